"""Whole answers and errors across the protocols, read back by the official SDKs."""

from __future__ import annotations

import json

import anthropic
import openai
import orjson
import pytest

from ai_protocols import anthropic_client, openai_client
from datareeve.capabilities.ai.gateway import translate
from datareeve.capabilities.ai.gateway.translate import Untranslatable

ASKED = {"model": "app-model", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}


def claude_says(*content: dict, stop_reason: str = "end_turn", **held) -> dict:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 25, "ephemeral_1h_input_tokens": 5},
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
        "service_tier": "standard",
    }
    plain = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": list(content),
    }
    return plain | {"stop_reason": stop_reason, "stop_sequence": None, "usage": usage} | held


def gpt_says(message: dict, finish_reason: str = "stop", **held) -> dict:
    usage = {
        "prompt_tokens": 60,
        "completion_tokens": 7,
        "total_tokens": 67,
        "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 30, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    choice = {
        "index": 0,
        "finish_reason": finish_reason,
        "logprobs": None,
        "message": {"role": "assistant", "content": None, "refusal": None} | message,
    }
    plain = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4.1-2025-04-14"}
    return (
        plain
        | {"choices": [choice], "usage": usage, "service_tier": "default", "system_fingerprint": "fp"}
        | held
    )


def read_by_openai(body: dict):
    told = translate.answer("messages", "chat", body, "app-model")
    return openai_client(orjson.dumps(told)).chat.completions.create(**ASKED)


def read_by_anthropic(body: dict):
    told = translate.answer("chat", "messages", body, "app-model")
    return anthropic_client(orjson.dumps(told)).messages.create(**ASKED)


def read_as_response(source: str, body: dict, asked: dict | None = None):
    told = translate.answer(source, "responses", body, "app-model", asked)
    return openai_client(orjson.dumps(told)).responses.create(model="app-model", input="Hi")


TEXT = {"type": "text", "text": "Hello."}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1, "b": ["ä"]}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


def test_claudes_answer_reads_as_a_chat_completion():
    completion = read_by_openai(
        claude_says(THINKING, TEXT, USE, {"type": "text", "text": " Bye."}, stop_reason="tool_use")
    )
    choice = completion.choices[0]
    assert completion.model == "app-model"
    assert completion.id == "msg_1"
    assert completion.service_tier == "default"
    assert choice.message.content == "Hello. Bye."
    assert choice.message.reasoning_content == "Hm."
    assert choice.finish_reason == "tool_calls"
    call = choice.message.tool_calls[0]
    assert (call.id, call.type, call.function.name) == ("toolu_1", "function", "add")
    assert json.loads(call.function.arguments) == {"a": 1, "b": ["ä"]}


def test_tokens_are_the_same_in_both_ways_of_counting():
    usage = read_by_openai(claude_says(TEXT)).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (60, 7, 67)
    assert (usage.prompt_tokens_details.cached_tokens, usage.prompt_tokens_details.cache_write_tokens) == (
        20,
        30,
    )
    assert usage.completion_tokens_details.reasoning_tokens == 3
    usage = read_by_anthropic(gpt_says({"content": "Hello."})).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (
        10,
        20,
        30,
    )
    assert (usage.output_tokens, usage.output_tokens_details.thinking_tokens) == (7, 3)
    assert usage.service_tier == "standard"
    usage = read_as_response("messages", claude_says(TEXT)).usage
    assert (usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.total_tokens) == (60, 20, 67)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ],
)
def test_why_claude_stopped_is_told_in_chats_words(said, told):
    assert read_by_openai(claude_says(TEXT, stop_reason=said)).choices[0].finish_reason == told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        (None, "end_turn"),
    ],
)
def test_why_gpt_stopped_is_told_in_claudes_words(said, told):
    assert read_by_anthropic(gpt_says({"content": "x"}, finish_reason=said)).stop_reason == told


def test_gpts_answer_reads_as_a_message():
    message = read_by_anthropic(
        gpt_says(
            {"content": "Hello.", "tool_calls": [CALL], "reasoning_content": "Hm."}, finish_reason="stop"
        )
    )
    assert message.model == "app-model"
    assert message.id == "chatcmpl-1"
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert message.content[0].text == "Hello."
    assert (message.content[1].id, message.content[1].name, message.content[1].input) == (
        "call_1",
        "add",
        {"a": 1},
    )
    assert message.stop_reason == "tool_use"  # OpenAI says 'stop' where tool_choice named the tool


def test_a_refusal_keeps_its_words():
    message = read_by_anthropic(gpt_says({"refusal": "I will not."}))
    assert message.stop_reason == "refusal"
    assert message.content[0].text == "I will not."
    assert message.stop_details.explanation == "I will not."
    details = {"type": "refusal", "category": "cyber", "explanation": "No malware."}
    completion = read_by_openai(claude_says(TEXT, stop_reason="refusal", stop_details=details))
    assert completion.choices[0].message.refusal == "No malware."
    response = read_as_response("chat", gpt_says({"refusal": "I will not."}))
    assert response.output[0].content[0].refusal == "I will not."
    assert response.status == "completed"


def test_an_answer_reads_as_a_response_that_repeats_its_settings():
    tool = {"type": "function", "name": "add", "parameters": {}, "strict": True}
    asked = {
        "model": "app-model",
        "input": "Hi",
        "instructions": "Be brief.",
        "temperature": 0.5,
        "tools": [tool],
    }
    response = read_as_response("messages", claude_says(THINKING, TEXT, USE, stop_reason="tool_use"), asked)
    assert response.id == "resp_msg_1"
    assert response.status == "completed"
    assert response.output_text == "Hello."
    assert [item.type for item in response.output] == ["message", "function_call"]
    assert response.output[1].call_id == "toolu_1"
    assert json.loads(response.output[1].arguments) == USE["input"]
    assert (response.instructions, response.temperature, response.tools[0].name) == ("Be brief.", 0.5, "add")
    assert response.error is None
    cut = read_as_response("chat", gpt_says({"content": "Hel"}, finish_reason="length"))
    assert (cut.status, cut.incomplete_details.reason, cut.output[0].status) == (
        "incomplete",
        "max_output_tokens",
        "incomplete",
    )
    assert (
        read_as_response("messages", claude_says(stop_reason="refusal")).incomplete_details.reason
        == "content_filter"
    )


def test_an_empty_answer_is_still_one():
    assert read_by_openai(claude_says()).choices[0].message.content == ""
    assert read_by_anthropic(gpt_says({"content": ""})).content == []
    assert read_as_response("chat", gpt_says({"content": ""})).output_text == ""


def test_arguments_that_are_no_object_are_never_passed_as_one():
    broken = CALL | {"function": {"name": "add", "arguments": '{"a": '}}
    with pytest.raises(Untranslatable, match=r"choices\[0\]\.message\.tool_calls\[0\]\.function\.arguments"):
        translate.answer("chat", "messages", gpt_says({"tool_calls": [broken]}), "m")
    cut = read_by_anthropic(gpt_says({"content": "I add.", "tool_calls": [broken]}, finish_reason="length"))
    assert [block.type for block in cut.content] == ["text"]  # the call was cut: nobody may act on it
    assert cut.stop_reason == "max_tokens"


def test_a_block_that_only_anthropic_knows_is_not_dropped_in_silence():
    with pytest.raises(Untranslatable, match=r"content\[0\]\.type"):
        translate.answer(
            "messages",
            "chat",
            claude_says({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
            "m",
        )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": 7},
        {"choices": [{"message": None}]},
        {"content": [{"type": "text"}]},
        {"content": {}},
    ],
)
@pytest.mark.parametrize(
    ("source", "target"), [("chat", "messages"), ("messages", "chat"), ("messages", "responses")]
)
def test_what_is_no_answer_is_said_to_be_none(source, target, body):
    if source == "messages" and body == {"content": {}}:
        return  # an empty object holds no blocks: an empty answer
    with pytest.raises(Untranslatable, match="answer"):
        translate.answer(source, target, body, "m")


ERRORS = [
    (
        400,
        {"type": "error", "error": {"type": "invalid_request_error", "message": "bad"}},
        openai.BadRequestError,
        "invalid_request_error",
        None,
    ),
    (
        401,
        {"type": "error", "error": {"type": "authentication_error", "message": "bad"}},
        openai.AuthenticationError,
        "authentication_error",
        "invalid_api_key",
    ),
    (
        403,
        {"type": "error", "error": {"type": "permission_error", "message": "bad"}},
        openai.PermissionDeniedError,
        "permission_error",
        None,
    ),
    (
        404,
        {"type": "error", "error": {"type": "not_found_error", "message": "bad"}},
        openai.NotFoundError,
        "not_found_error",
        None,
    ),
    (
        413,
        {"type": "error", "error": {"type": "request_too_large", "message": "bad"}},
        openai.APIStatusError,
        "invalid_request_error",
        None,
    ),
    (
        429,
        {"type": "error", "error": {"type": "rate_limit_error", "message": "bad"}},
        openai.RateLimitError,
        "rate_limit_error",
        "rate_limit_exceeded",
    ),
    (
        500,
        {"type": "error", "error": {"type": "api_error", "message": "bad"}},
        openai.InternalServerError,
        "server_error",
        None,
    ),
    (
        529,
        {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "bad", "details": {"error_code": "x_y"}},
        },
        openai.InternalServerError,
        "service_unavailable_error",
        "x_y",
    ),
]


@pytest.mark.parametrize(("status", "said", "raised", "kind", "code"), ERRORS)
def test_claudes_errors_are_raised_by_openais_sdk(status, said, raised, kind, code):
    told = translate.error("messages", "chat", status, orjson.dumps(said))
    with pytest.raises(raised) as caught:
        openai_client(told, status).chat.completions.create(**ASKED)
    assert (caught.value.type, caught.value.code, caught.value.body["message"]) == (kind, code, "bad")


@pytest.mark.parametrize(
    ("status", "said", "raised", "kind"),
    [
        (
            400,
            {
                "message": "bad",
                "type": "invalid_request_error",
                "param": "x",
                "code": "context_length_exceeded",
            },
            anthropic.BadRequestError,
            "invalid_request_error",
        ),
        (
            401,
            {"message": "bad", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"},
            anthropic.AuthenticationError,
            "authentication_error",
        ),
        (
            404,
            {"message": "bad", "type": "invalid_request_error", "param": None, "code": "model_not_found"},
            anthropic.NotFoundError,
            "not_found_error",
        ),
        (
            429,
            {"message": "bad", "type": "tokens", "param": None, "code": "rate_limit_exceeded"},
            anthropic.RateLimitError,
            "rate_limit_error",
        ),
        (
            429,
            {"message": "bad", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"},
            anthropic.RateLimitError,
            "billing_error",
        ),
        (
            500,
            {"message": "bad", "type": "server_error", "param": None, "code": None},
            anthropic.InternalServerError,
            "api_error",
        ),
        (
            503,
            {"message": "bad", "type": "server_error", "param": None, "code": None},
            anthropic.InternalServerError,
            "overloaded_error",
        ),
    ],
)
def test_gpts_errors_are_raised_by_anthropics_sdk(status, said, raised, kind):
    told = translate.error("chat", "messages", status, orjson.dumps({"error": said}), "req_1")
    with pytest.raises(raised):
        anthropic_client(told, status).messages.create(**ASKED)
    error = json.loads(told)["error"]
    assert (error["type"], error["message"]) == (kind, "bad")
    assert json.loads(told)["request_id"] == "req_1"
    assert error.get("details", {}).get("error_code") == said["code"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"[1]",
        b'{"error": "oops"}',
        b'{"detail": "x"}',
        b'{"object":"error","message":"oops","code":400}',
    ],
)
@pytest.mark.parametrize(
    ("target", "kind"), [("chat", "service_unavailable_error"), ("messages", "overloaded_error")]
)
def test_whatever_a_broken_server_says_is_an_error_of_the_protocol(target, kind, body):
    told = json.loads(translate.error("messages" if target == "chat" else "chat", target, 503, body))
    assert told["error"]["type"] == kind
    assert told["error"]["message"] == (
        "oops" if b"oops" in body else "the provider answered with an error, status 503, without saying which"
    )
