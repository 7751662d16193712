"""Requests across the protocols: what goes in, what comes out, and what is refused by which name."""

from __future__ import annotations

import base64

import pytest
from anthropic.types import message_create_params
from openai.types.chat import completion_create_params

import ai_protocols
from datareeve.capabilities.ai.gateway import translate
from datareeve.capabilities.ai.gateway.translate import Untranslatable

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQK"
HI = {"role": "user", "content": "Hi"}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
CHAT_TOOL = {
    "type": "function",
    "function": {"name": "add", "description": "adds", "parameters": SCHEMA, "strict": True},
}
CLAUDE_TOOL = {"name": "add", "input_schema": SCHEMA, "description": "adds", "strict": True}
CLAUDE_ASKED = {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": [HI]}
GPT_ASKED = {"model": "gpt-4.1", "max_tokens": 50, "messages": [HI]}


def conforming(source: str, target: str, body: dict, model: str) -> dict:
    """The translation, checked against the types of the target's own SDK."""
    written = translate.request(source, target, body, model)
    if target == "messages":
        shown = {
            name: value for name, value in written.items() if name not in ("temperature", "top_p", "stream")
        }
        assert ai_protocols.strangers(shown, message_create_params.MessageCreateParamsBase) == []
    else:
        shown = {name: value for name, value in written.items() if name != "stream"}
        assert ai_protocols.strangers(shown, completion_create_params.CompletionCreateParamsBase) == []
    return written


def to_claude(**fields) -> dict:
    return conforming(
        "chat", "messages", {"model": "m", "max_tokens": 50, "messages": [HI]} | fields, "claude-sonnet-4-5"
    )


def to_gpt(**fields) -> dict:
    return conforming(
        "messages", "chat", {"model": "m", "max_tokens": 50, "messages": [HI]} | fields, "gpt-4.1"
    )


def respond_to(target: str, **fields) -> dict:
    return conforming(
        "responses",
        target,
        {"model": "m", "input": "Hi", "max_output_tokens": 50} | fields,
        "gpt-4.1" if target == "chat" else "claude-sonnet-4-5",
    )


CHAT_SETTINGS = [
    ({}, {}),
    ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
    ({"temperature": 1, "top_p": 1.0}, {}),
    ({"stop": "END"}, {"stop_sequences": ["END"]}),
    ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
    ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
    ({"user": "u1", "safety_identifier": "s1"}, {"metadata": {"user_id": "s1"}}),
    ({"service_tier": "auto"}, {}),
    ({"service_tier": "default"}, {"service_tier": "standard_only"}),
    ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}),
    ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}),
    ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    ({"max_tokens": None, "max_completion_tokens": 7}, {"max_tokens": 7}),
    (
        {
            "n": 1,
            "logprobs": False,
            "frequency_penalty": 0,
            "store": False,
            "modalities": ["text"],
            "seed": None,
        },
        {},
    ),
    ({"response_format": {"type": "text"}}, {}),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "sum", "schema": SCHEMA, "strict": True},
            }
        },
        {"output_config": {"format": {"type": "json_schema", "schema": {"title": "sum", **SCHEMA}}}},
    ),
    ({"tools": [CHAT_TOOL]}, {"tools": [CLAUDE_TOOL]}),
    (
        {"tools": [CHAT_TOOL], "tool_choice": "auto"},
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "auto"}},
    ),
    (
        {"tools": [CHAT_TOOL], "tool_choice": "required"},
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "any"}},
    ),
    (
        {"tools": [CHAT_TOOL], "tool_choice": "none"},
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "none"}},
    ),
    (
        {"tools": [CHAT_TOOL], "tool_choice": {"type": "function", "function": {"name": "add"}}},
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "tool", "name": "add"}},
    ),
    (
        {"tools": [CHAT_TOOL], "parallel_tool_calls": False},
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    (
        {
            "tools": [CHAT_TOOL, {"type": "function", "function": {"name": "b"}}],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "b"}}],
                },
            },
        },
        {
            "tools": [{"name": "b", "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "any"},
        },
    ),
    ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
]


@pytest.mark.parametrize(("asked", "expected"), CHAT_SETTINGS)
def test_settings_of_chat_become_those_of_messages(asked, expected):
    assert to_claude(**asked) == CLAUDE_ASKED | expected


MESSAGES_SETTINGS = [
    ({}, {}),
    ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
    ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
    ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    ({"metadata": {"user_id": "u1"}}, {"user": "u1"}),
    ({"service_tier": "standard_only"}, {"service_tier": "default"}),
    ({"service_tier": "auto"}, {}),
    ({"output_config": {"effort": "high"}}, {"reasoning_effort": "high"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, {"reasoning_effort": "medium"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 16384}}, {"reasoning_effort": "high"}),
    ({"thinking": {"type": "disabled"}}, {}),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            }
        },
    ),
    ({"tools": [CLAUDE_TOOL]}, {"tools": [CHAT_TOOL]}),
    (
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "any"}},
        {"tools": [CHAT_TOOL], "tool_choice": "required"},
    ),
    (
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "none"}},
        {"tools": [CHAT_TOOL], "tool_choice": "none"},
    ),
    (
        {
            "tools": [CLAUDE_TOOL],
            "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
        },
        {
            "tools": [CHAT_TOOL],
            "tool_choice": {"type": "function", "function": {"name": "add"}},
            "parallel_tool_calls": False,
        },
    ),
]


@pytest.mark.parametrize(("asked", "expected"), MESSAGES_SETTINGS)
def test_settings_of_messages_become_those_of_chat(asked, expected):
    assert to_gpt(**asked) == GPT_ASKED | expected


CHAT_TALK = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "developer",
        "content": [{"type": "text", "text": "Be kind.", "prompt_cache_breakpoint": {"mode": "explicit"}}],
    },
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What are these?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            {
                "type": "file",
                "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"},
            },
        ],
    },
    {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
            {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}},
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "one"},
    {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "two"}]},
    {"role": "user", "content": "Well?"},
]
CLAUDE_SYSTEM = [
    {"type": "text", "text": "Be brief."},
    {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}},
]
CLAUDE_TALK = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What are these?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}},
            {"type": "tool_use", "id": "call_2", "name": "now", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
            {"type": "tool_result", "tool_use_id": "call_2", "content": "two"},
            {"type": "text", "text": "Well?"},
        ],
    },
]


def test_a_conversation_of_chat_becomes_one_of_messages():
    written = to_claude(messages=CHAT_TALK)
    assert written["system"] == CLAUDE_SYSTEM
    assert written["messages"] == CLAUDE_TALK


def test_a_conversation_of_messages_becomes_one_of_chat():
    written = to_gpt(messages=CLAUDE_TALK, system=CLAUDE_SYSTEM)
    first, *rest = written["messages"]
    assert first == {
        "role": "system",
        "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
    }
    expected = [message for message in CHAT_TALK if message["role"] not in ("system", "developer")]
    expected[1]["tool_calls"][1]["function"]["arguments"] = "{}"
    expected[3] = expected[3] | {"content": "two"}
    assert rest == expected


def test_a_tools_failure_is_told_in_words():
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "no such file", "is_error": True}
    call = {"type": "tool_use", "id": "t1", "name": "add", "input": {}}
    turns = [HI, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    assert to_gpt(messages=turns)["messages"][-1] == {
        "role": "tool",
        "tool_call_id": "t1",
        "content": "Error: no such file",
    }


def test_ids_that_the_other_provider_refuses_are_replaced_alike_in_call_and_result():
    turns = [
        HI,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "functions.add:0", "type": "function", "function": {"name": "add", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "functions.add:0", "content": "1"},
    ]
    _, called, result = to_claude(messages=turns)["messages"]
    replaced = called["content"][0]["id"]
    assert replaced == result["content"][0]["tool_use_id"]
    assert replaced.replace("_", "").isalnum()
    long = "toolu_" + "a" * 50
    turns = [
        HI,
        {"role": "assistant", "content": [{"type": "tool_use", "id": long, "name": "add", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": long}]},
    ]
    _, called, result = to_gpt(messages=turns)["messages"]
    assert called["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) <= 40


def test_a_system_message_within_the_conversation_stays_in_its_place_or_is_refused():
    turns = [HI, {"role": "system", "content": "Now in French."}]
    body = {"model": "m", "messages": turns}
    written = conforming("chat", "messages", body, "claude-opus-4-8")
    assert written["messages"] == [HI, {"role": "system", "content": "Now in French."}]
    with pytest.raises(Untranslatable, match=r"messages\[1\]\.role"):
        translate.request("chat", "messages", body, "claude-sonnet-4-5")
    assert to_gpt(messages=turns)["messages"] == turns


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-sonnet-20241022", 8192),
        ("claude-3-7-sonnet-latest", 8192),
        ("claude-sonnet-4-20250514", 32000),
        ("claude-opus-4-1", 32000),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", 32000),
        ("some-other-model", 32000),
    ],
)
def test_without_a_limit_the_models_own_is_asked_for(model, most):
    assert (
        translate.request("chat", "messages", {"model": "m", "messages": [HI]}, model)["max_tokens"] == most
    )


@pytest.mark.parametrize(
    "model", ["claude-opus-4-7", "claude-opus-5", "claude-haiku-5-5", "claude-fable-5-1"]
)
def test_models_that_take_no_temperature_are_not_sent_one(model):
    body = {"model": "m", "messages": [HI], "temperature": 0}
    with pytest.raises(Untranslatable, match="temperature"):
        translate.request("chat", "messages", body, model)
    assert "temperature" not in translate.request("chat", "messages", body | {"temperature": 1}, model)
    assert translate.request("chat", "messages", body, "claude-sonnet-4-6")["temperature"] == 0


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4.1", "max_tokens"),
        ("gpt-4o-mini", "max_tokens"),
        ("gpt-35-turbo", "max_tokens"),
        ("llama3.1:8b", "max_tokens"),
        ("qwen/qwen3-32b", "max_tokens"),
        ("gpt-5-mini", "max_completion_tokens"),
        ("gpt-6.2-astra", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("openai/o4-mini", "max_completion_tokens"),
        ("our-gpt5-deployment", "max_completion_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_model_knows(model, name):
    written = translate.request("messages", "chat", {"model": "m", "max_tokens": 9, "messages": [HI]}, model)
    assert written[name] == 9
    assert len({"max_tokens", "max_completion_tokens"} & written.keys()) == 1


def image(url: str) -> list:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


def call_of(arguments: str) -> list:
    called = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [
        HI,
        {"role": "assistant", "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]


CHAT_REFUSALS = [
    ({"n": 2}, "n"),
    ({"seed": 7}, "seed"),
    ({"logprobs": True}, "logprobs"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"logit_bias": {"5": 1}}, "logit_bias"),
    ({"frequency_penalty": 0.1}, "frequency_penalty"),
    ({"presence_penalty": -1}, "presence_penalty"),
    ({"store": True}, "store"),
    ({"verbosity": "low"}, "verbosity"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"audio": {"voice": "alloy", "format": "mp3"}}, "audio"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"function_call": "auto"}, "function_call"),
    ({"temperature": 1.5}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"stop": "\n"}, "stop"),
    ({"max_completion_tokens": 60}, "max_tokens"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"response_format": {"type": "json_object"}}, "response_format.type"),
    ({"response_format": {"type": "yaml"}}, "response_format.type"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].custom"),
    ({"tools": [{"type": "function", "function": {"name": "f", "cost": 3}}]}, "tools[0].function.cost"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
    ({"tools": [CHAT_TOOL], "tool_choice": "sometimes"}, "tool_choice"),
    ({"telepathy": True}, "telepathy"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages"),
    ({"messages": [7]}, "messages[0]"),
    ({"messages": [{"role": "oracle", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].name"),
    ({"messages": [{"role": "user", "name": "Ann", "content": "x"}]}, "messages[0].name"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages[0].content[0].type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]},
        "messages[0].content[0].text",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "mp3"}}],
                }
            ]
        },
        "messages[0].content[0].input_audio",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f1"}}]}]},
        "messages[0].content[0].file.file_id",
    ),
    ({"messages": image("ftp://example.org/a.png")}, "messages[0].content[0].image_url.url"),
    ({"messages": image(f"data:image/tiff;base64,{PNG}")}, "messages[0].content[0].image_url.url"),
    ({"messages": call_of("{oops")}, "messages[1].tool_calls[0].function.arguments"),
    ({"messages": call_of("[1]")}, "messages[1].tool_calls[0].function.arguments"),
    ({"messages": [HI, {"role": "assistant", "content": "The answer is"}]}, "messages[1]"),
    (
        {"messages": [{"role": "system", "content": [{"type": "refusal", "refusal": 1}]}, HI]},
        "messages[0].content[0].refusal",
    ),
]


@pytest.mark.parametrize(("asked", "field"), CHAT_REFUSALS)
def test_what_messages_cannot_say_is_refused_by_its_name_in_chat(asked, field):
    with pytest.raises(Untranslatable) as caught:
        to_claude(**asked)
    assert caught.value.field == field


def block(**held) -> dict:
    return {"messages": [{"role": "user", "content": [held]}]}


MESSAGES_REFUSALS = [
    ({"top_k": 5}, "top_k"),
    ({"container": "c1"}, "container"),
    ({"inference_geo": "eu"}, "inference_geo"),
    ({"speed": "fast"}, "speed"),
    ({"mcp_servers": []}, "mcp_servers"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": None}, "max_tokens"),
    ({"stop_sequences": list("abcde")}, "stop_sequences"),
    ({"thinking": {"type": "between_tools"}}, "thinking.type"),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"}}, "thinking.display"),
    ({"thinking": {"type": "psychic"}}, "thinking.type"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    ({"tools": [CLAUDE_TOOL | {"defer_loading": True}]}, "tools[0].defer_loading"),
    ({"tools": [CLAUDE_TOOL | {"name": "x" * 65}]}, "tools[0].name"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"service_tier": "gold"}, "service_tier"),
    ({"system": 7}, "system"),
    ({"messages": [HI, {"role": "assistant", "content": "The answer is"}]}, "messages[1]"),
    (block(type="thinking", thinking="", signature="s"), "messages[0].content[0].type"),
    (block(type="redacted_thinking", data="x"), "messages[0].content[0].type"),
    (block(type="search_result", source="", title="", content=[]), "messages[0].content[0].type"),
    (block(type="server_tool_use", id="s", name="web_search", input={}), "messages[0].content[0].type"),
    (block(type="image", source={"type": "file", "file_id": "f"}), "messages[0].content[0].source.type"),
    (block(type="document", source={"type": "url", "url": "https://x"}), "messages[0].content[0].source"),
    (
        block(
            type="document",
            source={"type": "text", "media_type": "text/plain", "data": "x"},
            citations={"enabled": True},
        ),
        "messages[0].content[0].citations",
    ),
    (
        block(
            type="tool_result",
            tool_use_id="t",
            content=[{"type": "image", "source": {"type": "url", "url": "https://x"}}],
        ),
        "messages[0].content[0].content[0]",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "x"}, {"type": "tool_result", "tool_use_id": "t"}],
                }
            ]
        },
        "messages[0].content[1]",
    ),
]


@pytest.mark.parametrize(("asked", "field"), MESSAGES_REFUSALS)
def test_what_chat_cannot_say_is_refused_by_its_name_in_messages(asked, field):
    with pytest.raises(Untranslatable) as caught:
        to_gpt(**asked)
    assert caught.value.field == field


def test_hints_that_do_not_touch_the_answer_are_left_out_and_named():
    body = {
        "model": "m",
        "messages": [HI],
        "metadata": {"a": "b"},
        "prompt_cache_key": "k",
        "prediction": None,
    }
    assert translate.translated("chat", "messages", body, "c").left_out == ("metadata", "prompt_cache_key")
    content = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    body = {
        "model": "m",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": content}],
        "thinking": {"type": "adaptive"},
    }
    written = translate.translated("messages", "chat", body, "gpt-4.1")
    assert written.left_out == ("messages[0].content[0].cache_control", "thinking.type")
    assert written.body == {
        "model": "gpt-4.1",
        "messages": [{"role": "user", "content": "x"}],
        "max_tokens": 1,
    }


RESPONSES_TALK = [
    {"role": "developer", "content": "Be kind."},
    {
        "type": "message",
        "role": "user",
        "content": [
            {"type": "input_text", "text": "See"},
            {"type": "input_image", "image_url": "https://x/a.png", "detail": "auto"},
        ],
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "add",
        "arguments": '{"a":1}',
        "status": "completed",
    },
    {"type": "function_call_output", "call_id": "call_1", "output": "one"},
]


def test_a_conversation_of_responses_becomes_one_of_messages():
    written = respond_to(
        "messages", instructions="Be brief.", input=RESPONSES_TALK, text={"verbosity": "medium"}
    )
    assert written["system"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]
    assert written["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "one"}]},
    ]


def test_a_conversation_of_responses_becomes_one_of_chat():
    written = respond_to(
        "chat",
        instructions="Be brief.",
        input=RESPONSES_TALK,
        store=False,
        metadata={"a": "b"},
        text={"verbosity": "low"},
    )
    assert written["metadata"] == {"a": "b"}
    assert written["verbosity"] == "low"
    assert written["messages"] == [
        {
            "role": "system",
            "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
    ]


def test_settings_of_responses_become_those_of_both_others():
    tool = {"type": "function", "name": "add", "description": "adds", "parameters": SCHEMA, "strict": True}
    asked = {
        "tools": [tool],
        "tool_choice": {"type": "function", "name": "add"},
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "sum", "schema": SCHEMA, "strict": True}},
        "include": ["reasoning.encrypted_content"],
        "truncation": "disabled",
    }
    chat = respond_to("chat", **asked)
    assert chat["tools"] == [CHAT_TOOL]
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert chat["reasoning_effort"] == "low"
    assert chat["response_format"]["json_schema"] == {"name": "sum", "schema": SCHEMA, "strict": True}
    claude = respond_to("messages", **asked)
    assert claude["tools"] == [CLAUDE_TOOL]
    assert claude["tool_choice"] == {"type": "tool", "name": "add"}
    assert claude["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {"title": "sum", **SCHEMA}},
    }
    assert respond_to("chat", text={"format": {"type": "json_object"}})["response_format"] == {
        "type": "json_object"
    }


RESPONSES_REFUSALS = [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"store": True}, "store"),
    ({"background": True}, "background"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"truncation": "auto"}, "truncation"),
    ({"include": ["message.output_text.logprobs"]}, "include"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tool_choice": {"type": "file_search"}}, "tool_choice.type"),
    ({"reasoning": {"summary": "auto"}}, "reasoning.summary"),
    ({"text": {"verbosity": "low"}}, "text.verbosity"),
    ({"text": {"format": {"type": "json_object"}}}, "text.format.type"),
    ({"input": [{"type": "item_reference", "id": "i"}]}, "input[0].type"),
    ({"input": [{"type": "reasoning", "id": "r", "summary": []}]}, "input[0].type"),
    (
        {
            "input": [
                {
                    "type": "function_call",
                    "call_id": "c",
                    "name": "f",
                    "arguments": "{",
                    "status": "completed",
                }
            ]
        },
        "input[0].arguments",
    ),
    ({"input": ""}, "input"),
    ({"input": None}, "input"),
    ({"service_tier": "ultrafast"}, "service_tier"),
    ({"temperature": 2}, "temperature"),
]


@pytest.mark.parametrize(("asked", "field"), RESPONSES_REFUSALS)
def test_what_messages_cannot_say_is_refused_by_its_name_in_responses(asked, field):
    with pytest.raises(Untranslatable) as caught:
        respond_to("messages", **asked)
    assert caught.value.field == field


def test_a_text_file_becomes_its_words():
    data = base64.b64encode("naïve".encode()).decode()
    file = {"type": "file", "file": {"file_data": f"data:text/plain;charset=utf-8;base64,{data}"}}
    assert to_claude(messages=[{"role": "user", "content": [file]}])["messages"] == [
        {"role": "user", "content": "naïve"}
    ]


def test_pairs_that_are_not_translated_are_said_so():
    assert translate.can("chat", "messages")
    assert translate.can("openai", "anthropic")
    assert not translate.can("messages", "responses")
    with pytest.raises(KeyError):
        translate.request("embeddings", "messages", {}, "m")
