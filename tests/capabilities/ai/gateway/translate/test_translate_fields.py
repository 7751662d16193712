"""The table of fields is held against the official SDKs' types: a field that a new SDK adds fails here until someone says what becomes of it."""

from __future__ import annotations

import typing

import anthropic.types as at
import pytest
from anthropic.types import message_create_params
from openai.types import chat as ct
from openai.types import completion_usage
from openai.types import responses as rt
from openai.types.chat import (
    chat_completion,
    chat_completion_assistant_message_param,
    chat_completion_content_part_image_param,
    chat_completion_content_part_param,
    completion_create_params,
)
from openai.types.responses import response_create_params, response_input_item_param
from openai.types.shared_params import Reasoning, function_definition, response_format_json_schema

import ai_protocols
from datareeve.capabilities.ai.gateway.translate import TABLES, Untranslatable, fields

PAIRS = {
    "chat request": (fields.CHAT_REQUEST, [completion_create_params.CompletionCreateParamsBase]),
    "chat stream_options": (fields.CHAT_STREAM_OPTIONS, [ct.ChatCompletionStreamOptionsParam]),
    "chat message": (
        fields.CHAT_MESSAGE,
        [
            ct.ChatCompletionSystemMessageParam,
            ct.ChatCompletionDeveloperMessageParam,
            ct.ChatCompletionUserMessageParam,
            ct.ChatCompletionAssistantMessageParam,
            ct.ChatCompletionToolMessageParam,
            ct.ChatCompletionFunctionMessageParam,
        ],
    ),
    "chat text": (fields.CHAT_PARTS["text"], [ct.ChatCompletionContentPartTextParam]),
    "chat image": (fields.CHAT_PARTS["image_url"], [ct.ChatCompletionContentPartImageParam]),
    "chat image_url": (fields.CHAT_IMAGE_URL, [chat_completion_content_part_image_param.ImageURL]),
    "chat breakpoint": (
        fields.CHAT_BREAKPOINT,
        [chat_completion_content_part_image_param.PromptCacheBreakpoint],
    ),
    "chat audio": (fields.CHAT_PARTS["input_audio"], [ct.ChatCompletionContentPartInputAudioParam]),
    "chat file part": (fields.CHAT_PARTS["file"], [chat_completion_content_part_param.File]),
    "chat file": (fields.CHAT_FILE, [chat_completion_content_part_param.FileFile]),
    "chat refusal": (fields.CHAT_PARTS["refusal"], [ct.ChatCompletionContentPartRefusalParam]),
    "chat function tool": (fields.CHAT_TOOLS["function"], [ct.ChatCompletionFunctionToolParam]),
    "chat custom tool": (fields.CHAT_TOOLS["custom"], [ct.ChatCompletionCustomToolParam]),
    "chat function": (fields.CHAT_FUNCTION, [function_definition.FunctionDefinition]),
    "chat function call": (fields.CHAT_CALLS["function"], [ct.ChatCompletionMessageFunctionToolCallParam]),
    "chat custom call": (fields.CHAT_CALLS["custom"], [ct.ChatCompletionMessageCustomToolCallParam]),
    "chat call's function": (
        fields.CHAT_CALL_FUNCTION,
        [chat_completion_assistant_message_param.FunctionCall],
    ),
    "chat named choice": (fields.CHAT_CHOICES["function"], [ct.ChatCompletionNamedToolChoiceParam]),
    "chat allowed choice": (fields.CHAT_CHOICES["allowed_tools"], [ct.ChatCompletionAllowedToolChoiceParam]),
    "chat allowed tools": (fields.CHAT_ALLOWED, [ct.ChatCompletionAllowedToolsParam]),
    "chat json_schema": (
        fields.CHAT_FORMATS["json_schema"],
        [response_format_json_schema.ResponseFormatJSONSchema],
    ),
    "chat schema": (fields.CHAT_SCHEMA, [response_format_json_schema.JSONSchema]),
    "chat answer": (fields.CHAT_ANSWER, [ct.ChatCompletion]),
    "chat answer's choice": (fields.CHAT_ANSWER_CHOICE, [chat_completion.Choice]),
    "chat answer's message": (fields.CHAT_ANSWER_MESSAGE, [ct.ChatCompletionMessage]),
    "chat usage": (fields.CHAT_USAGE, [completion_usage.CompletionUsage]),
    "messages request": (fields.MESSAGES_REQUEST, [message_create_params.MessageCreateParamsBase]),
    "messages message": (fields.MESSAGES_MESSAGE, [at.MessageParam]),
    "messages text": (fields.MESSAGES_BLOCKS["text"], [at.TextBlockParam]),
    "messages image": (fields.MESSAGES_BLOCKS["image"], [at.ImageBlockParam]),
    "messages document": (fields.MESSAGES_BLOCKS["document"], [at.DocumentBlockParam]),
    "messages tool_use": (fields.MESSAGES_BLOCKS["tool_use"], [at.ToolUseBlockParam]),
    "messages tool_result": (fields.MESSAGES_BLOCKS["tool_result"], [at.ToolResultBlockParam]),
    "messages thinking block": (fields.MESSAGES_BLOCKS["thinking"], [at.ThinkingBlockParam]),
    "messages redacted": (fields.MESSAGES_BLOCKS["redacted_thinking"], [at.RedactedThinkingBlockParam]),
    "messages base64": (
        fields.MESSAGES_SOURCES["base64"],
        [at.Base64ImageSourceParam, at.Base64PDFSourceParam],
    ),
    "messages url": (fields.MESSAGES_SOURCES["url"], [at.URLImageSourceParam, at.URLPDFSourceParam]),
    "messages text source": (fields.MESSAGES_SOURCES["text"], [at.PlainTextSourceParam]),
    "messages tool": (fields.MESSAGES_TOOL, [at.ToolParam]),
    "messages auto": (fields.MESSAGES_CHOICES["auto"], [at.ToolChoiceAutoParam]),
    "messages any": (fields.MESSAGES_CHOICES["any"], [at.ToolChoiceAnyParam]),
    "messages named tool": (fields.MESSAGES_CHOICES["tool"], [at.ToolChoiceToolParam]),
    "messages none": (fields.MESSAGES_CHOICES["none"], [at.ToolChoiceNoneParam]),
    "messages thinking": (fields.MESSAGES_THINKING["enabled"], [at.ThinkingConfigEnabledParam]),
    "messages adaptive": (fields.MESSAGES_THINKING["adaptive"], [at.ThinkingConfigAdaptiveParam]),
    "messages output_config": (fields.MESSAGES_OUTPUT_CONFIG, [at.OutputConfigParam]),
    "messages format": (fields.MESSAGES_FORMAT, [at.JSONOutputFormatParam]),
    "messages metadata": (fields.MESSAGES_METADATA, [at.MetadataParam]),
    "messages answer": (fields.MESSAGES_ANSWER, [at.Message]),
    "messages usage": (fields.MESSAGES_USAGE, [at.Usage]),
    "responses request": (fields.RESPONSES_REQUEST, [response_create_params.ResponseCreateParamsBase]),
    "responses message": (
        fields.RESPONSES_ITEMS["message"],
        [rt.EasyInputMessageParam, response_input_item_param.Message, rt.ResponseOutputMessageParam],
    ),
    "responses call": (fields.RESPONSES_ITEMS["function_call"], [rt.ResponseFunctionToolCallParam]),
    "responses output": (
        fields.RESPONSES_ITEMS["function_call_output"],
        [response_input_item_param.FunctionCallOutput],
    ),
    "responses input_text": (fields.RESPONSES_PARTS["input_text"], [rt.ResponseInputTextParam]),
    "responses output_text": (fields.RESPONSES_PARTS["output_text"], [rt.ResponseOutputTextParam]),
    "responses input_image": (fields.RESPONSES_PARTS["input_image"], [rt.ResponseInputImageParam]),
    "responses input_file": (fields.RESPONSES_PARTS["input_file"], [rt.ResponseInputFileParam]),
    "responses tool": (fields.RESPONSES_TOOL, [rt.FunctionToolParam]),
    "responses named choice": (fields.RESPONSES_CHOICES["function"], [rt.ToolChoiceFunctionParam]),
    "responses allowed choice": (fields.RESPONSES_CHOICES["allowed_tools"], [rt.ToolChoiceAllowedParam]),
    "responses text": (fields.RESPONSES_TEXT, [rt.ResponseTextConfigParam]),
    "responses schema": (
        fields.RESPONSES_FORMATS["json_schema"],
        [rt.ResponseFormatTextJSONSchemaConfigParam],
    ),
    "responses reasoning": (fields.RESPONSES_REASONING, [Reasoning]),
}
# What servers and SDKs of before know beside the types: understood, or refused with a better reason than being unknown.
BEYOND = {
    "chat message": {"annotations", "reasoning", "reasoning_content"},
    "chat function call": {"index"},
    "chat answer's message": {"reasoning", "reasoning_content"},
    "messages request": {"stream", "temperature", "top_k", "top_p"},
    "chat request": {"stream"},
    "responses request": {"stream"},
}


@pytest.mark.parametrize("name", PAIRS)
def test_every_field_of_the_sdk_stands_in_the_table_and_no_other(name):
    table, kinds = PAIRS[name]
    known = set()
    for kind in kinds:
        for option in typing.get_args(kind) or (kind,):
            known |= ai_protocols.fields(option)
    assert set(table) == known | BEYOND.get(name, set())


def test_every_rule_says_what_becomes_of_the_field():
    rules = [rule for objects in TABLES.values() for table in objects.values() for rule in table.values()]
    assert len(rules) > 250
    assert all(rule.says and rule.does in ("carried", "left_out", "refused") for rule in rules)


def test_every_table_of_a_request_is_in_the_documentation():
    shown = [table for objects in TABLES.values() for table in objects.values()]
    for table, _ in PAIRS.values():
        assert any(set(table) <= set(other) for other in shown)


def test_an_unknown_field_is_refused_by_its_name_and_never_by_its_value():
    with pytest.raises(Untranslatable) as caught:
        fields.check({"telepathy": "a secret"}, fields.CHAT_REQUEST, "messages[3].", [])
    assert caught.value.field == "messages[3].telepathy"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["a b", "x" * 65, "a\r\nset-cookie: b", "", "ä"])
def test_a_name_that_no_protocol_would_have_is_not_repeated(name):
    with pytest.raises(Untranslatable) as caught:
        fields.check({name: 1}, fields.CHAT_REQUEST, "", [])
    assert caught.value.field == "?"
