"""Streams across the protocols, cut anywhere, read back by the official SDKs, synchronous and not."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json

import anthropic
import openai
import orjson
import pytest

from ai_protocols import anthropic_client, async_anthropic_client, async_openai_client, openai_client
from datareeve.capabilities.ai.gateway import translate
from datareeve.capabilities.ai.gateway.translate import StreamTranslator
from datareeve.capabilities.ai.gateway.translate.events import MAX_EVENT, Events, Oversized

ASKED = {"model": "app-model", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
WITH_USAGE = ASKED | {"stream": True, "stream_options": {"include_usage": True}}


def sse(*events: dict | str) -> bytes:
    """Events of Anthropic's, with their names."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events
    )


def chunks(*deltas: dict, finish: str | None = "stop", usage: dict | None = None, done: bool = True) -> bytes:
    """Chunks of OpenAI's."""
    shared = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1"}
    said = [shared | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    if finish:
        said.append(shared | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage:
        said.append(shared | {"choices": [], "usage": usage})
    whole = b"".join(b"data: %b\n\n" % orjson.dumps(chunk) for chunk in said)
    return whole + (b"data: [DONE]\n\n" if done else b"")


def call(index: int, arguments: str = "", *, call_id: str | None = None, name: str | None = None) -> dict:
    held: dict = {"index": index, "function": {"arguments": arguments}}
    if call_id:
        held |= {"id": call_id, "type": "function"}
    if name:
        held["function"]["name"] = name
    return {"tool_calls": [held]}


USAGE = {
    "prompt_tokens": 60,
    "completion_tokens": 7,
    "total_tokens": 67,
    "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 30},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
GPT = chunks(
    {"role": "assistant", "content": ""},
    {"reasoning_content": "Hm."},
    {"content": "I "},
    {"content": "add: ä€😀."},
    call(0, call_id="call_1", name="add"),
    call(0, '{"a":'),
    call(0, " 1}"),
    call(1, call_id="call_2", name="now"),
    call(1, "{}"),
    finish="tool_calls",
    usage=USAGE,
)
STARTED = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 20,
            "cache_creation_input_tokens": 30,
            "output_tokens": 1,
        },
    },
}
CLAUDE = sse(
    STARTED,
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "add: ä€😀."}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "input_json_delta", "partial_json": '{"a":'},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": " 1}"}},
    {"type": "content_block_stop", "index": 2},
    {
        "type": "content_block_start",
        "index": 3,
        "content_block": {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    },
    {"type": "content_block_stop", "index": 3},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 3}},
    },
    {"type": "message_stop"},
)


def through(source: str, target: str, data: bytes, pieces: int = 1 << 20, asked: dict | None = None) -> bytes:
    translator = StreamTranslator(source, target, "app-model", asked)
    said = b"".join(translator.feed(data[start : start + pieces]) for start in range(0, len(data), pieces))
    return said + translator.flush()


@pytest.mark.parametrize("pieces", [1, 2, 7, 64, 1 << 20])
def test_gpts_stream_reads_as_a_message(pieces):
    told = through("chat", "messages", GPT, pieces)
    with anthropic_client(told, stream=True, pieces=pieces).messages.stream(**ASKED) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert (message.id, message.model, message.stop_reason) == ("chatcmpl-1", "app-model", "tool_use")
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert message.content[0].text == "I add: ä€😀."
    assert [(block.id, block.name, block.input) for block in message.content[1:]] == [
        ("call_1", "add", {"a": 1}),
        ("call_2", "now", {}),
    ]
    assert (
        message.usage.input_tokens,
        message.usage.cache_read_input_tokens,
        message.usage.cache_creation_input_tokens,
    ) == (10, 20, 30)
    assert (message.usage.output_tokens, message.usage.output_tokens_details.thinking_tokens) == (7, 3)


@pytest.mark.parametrize("pieces", [1, 2, 7, 64, 1 << 20])
def test_claudes_stream_reads_as_a_chat_completion(pieces):
    told = through("messages", "chat", CLAUDE, pieces, WITH_USAGE)
    reasoning = ""
    with openai_client(told, stream=True, pieces=pieces).chat.completions.stream(
        model="app-model", messages=ASKED["messages"], stream_options={"include_usage": True}
    ) as stream:
        for event in stream:
            if event.type == "chunk" and event.chunk.choices:
                reasoning += getattr(event.chunk.choices[0].delta, "reasoning_content", None) or ""
        completion = stream.get_final_completion()
    choice = completion.choices[0]
    assert (completion.id, completion.model, choice.finish_reason) == ("msg_1", "app-model", "tool_calls")
    assert choice.message.content == "I add: ä€😀."
    assert reasoning == "Hm."
    calls = [(c.id, c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls]
    assert calls == [("toolu_1", "add", {"a": 1}), ("toolu_2", "now", {})]
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details.cached_tokens) == (
        60,
        7,
        20,
    )


@pytest.mark.parametrize(("source", "data"), [("chat", GPT), ("messages", CLAUDE)])
@pytest.mark.parametrize("pieces", [1, 64, 1 << 20])
def test_both_streams_read_as_a_response(source, data, pieces):
    told = through(
        source, "responses", data, pieces, {"model": "app-model", "input": "Hi", "temperature": 0.5}
    )
    numbers, text = [], ""
    with openai_client(told, stream=True, pieces=pieces).responses.stream(
        model="app-model", input="Hi"
    ) as stream:
        for event in stream:
            numbers.append(event.sequence_number)
            if event.type == "response.output_text.delta":
                text += event.delta
        response = stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert (response.status, response.temperature, response.model) == ("completed", 0.5, "app-model")
    assert response.output_text == text == "I add: ä€😀."
    assert [item.type for item in response.output] == ["message", "function_call", "function_call"]
    assert [json.loads(item.arguments) for item in response.output[1:]] == [{"a": 1}, {}]
    assert (
        response.usage.input_tokens,
        response.usage.output_tokens,
        response.usage.input_tokens_details.cached_tokens,
    ) == (60, 7, 20)


def test_the_asynchronous_sdks_read_them_too():
    async def both() -> tuple[str, str]:
        messages = async_anthropic_client(through("chat", "messages", GPT))
        async with messages.messages.stream(**ASKED) as stream:
            message = await stream.get_final_message()
        said = ""
        chat = async_openai_client(through("messages", "chat", CLAUDE, asked=WITH_USAGE))
        async for chunk in await chat.chat.completions.create(**WITH_USAGE):
            said += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        return message.content[0].text, said

    assert asyncio.run(both()) == ("I add: ä€😀.", "I add: ä€😀.")


def test_usage_is_told_only_where_it_is_asked_for():
    silent = through("messages", "chat", CLAUDE, asked=ASKED | {"stream": True})
    assert b"usage" not in silent
    assert silent.endswith(b"data: [DONE]\n\n")
    assert b'"prompt_tokens":60' in through("messages", "chat", CLAUDE, asked=WITH_USAGE)


def test_every_event_is_said_at_once():
    translator = StreamTranslator("chat", "messages", "m")
    assert b"message_start" in translator.feed(
        chunks({"role": "assistant", "content": ""}, finish=None, done=False)
    )
    assert b"Hel" in translator.feed(chunks({"content": "Hel"}, finish=None, done=False))
    assert translator.feed(b'data: {"choices": [{"index": 0, ') == b""
    assert b"lo" in translator.feed(b'"delta": {"content": "lo"}}]}\n\n')
    assert not translator.complete


def test_a_cut_stream_does_not_look_complete():
    translator = StreamTranslator("chat", "messages", "m")
    said = translator.feed(chunks({"content": "Hel"}, finish=None, done=False)) + translator.flush()
    assert b"message_stop" not in said
    assert not translator.complete
    translator = StreamTranslator("messages", "chat", "m")
    said = translator.feed(CLAUDE[: CLAUDE.index(b"event: message_stop")]) + translator.flush()
    assert b"[DONE]" not in said
    assert b'finish_reason":"' not in said
    assert not translator.complete


def test_servers_that_never_say_done_end_with_their_reason():
    told = through("chat", "messages", chunks({"content": "Hello"}, done=False))
    with anthropic_client(told, stream=True).messages.stream(**ASKED) as stream:
        assert stream.get_final_message().content[0].text == "Hello"
    last = chunks({"content": "Hello"}, done=False).rstrip()  # not even the last empty line
    assert b"message_stop" in through("chat", "messages", last)


def test_usage_beside_choices_is_read_and_the_last_one_counts():
    early = orjson.dumps(
        {
            "id": "x",
            "choices": [{"index": 0, "delta": {"content": "a"}}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 1},
        }
    )
    late = orjson.dumps(
        {
            "id": "x",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2},
        }
    )
    told = through(
        "chat",
        "messages",
        b": hello\r\n\r\ndata:%b\r\n\r\ndata:%b\r\n\r\ndata:[DONE]\r\n\r\n" % (early, late),
    )
    with anthropic_client(told, stream=True).messages.stream(**ASKED) as stream:
        usage = stream.get_final_message().usage
    assert (usage.input_tokens, usage.output_tokens) == (5, 2)


def test_input_that_comes_whole_with_its_block_is_not_lost():
    block = {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}}
    said = sse(
        STARTED,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_stop"},
    )
    read = list(
        openai_client(through("messages", "chat", said), stream=True).chat.completions.create(
            **ASKED, stream=True
        )
    )
    deltas = [call for chunk in read for call in chunk.choices[0].delta.tool_calls or []]
    assert "".join(call.function.arguments for call in deltas) == '{"a":1}'


def test_a_first_chunk_that_says_nothing_names_nothing():
    azure = b'data: {"id": "", "model": "", "choices": [], "prompt_filter_results": []}\n\n'
    with anthropic_client(
        through("chat", "messages", azure + chunks({"content": "x"})), stream=True
    ).messages.stream(**ASKED) as stream:
        assert stream.get_final_message().id == "chatcmpl-1"


MIXED = chunks(
    call(0, call_id="a", name="f"),
    call(1, call_id="b", name="g"),
    call(0, '{"x":'),
    call(1, '{"y":'),
    {"content": "meanwhile"},
    call(1, "2}"),
    call(0, "1}"),
)


def test_calls_that_come_mixed_are_told_one_after_the_other():
    with anthropic_client(through("chat", "messages", MIXED), stream=True).messages.stream(**ASKED) as stream:
        opened = [event.index for event in stream if event.type == "content_block_start"]
        message = stream.get_final_message()
    assert opened == [0, 1, 2]
    found = {block.id: block.input for block in message.content if block.type == "tool_use"}
    assert found == {"a": {"x": 1}, "b": {"y": 2}}
    assert [block.text for block in message.content if block.type == "text"] == ["meanwhile"]
    with openai_client(through("chat", "responses", MIXED), stream=True).responses.stream(
        model="m", input="Hi"
    ) as stream:
        response = stream.get_final_response()
    calls = {
        item.call_id: json.loads(item.arguments) for item in response.output if item.type == "function_call"
    }
    assert calls == {"a": {"x": 1}, "b": {"y": 2}}


@pytest.mark.parametrize("number", [None, 0])
def test_calls_that_a_server_numbers_badly_are_told_apart(number):
    deltas = [
        call(0, '{"x":', call_id="a", name="f"),
        call(0, "1}"),
        call(0, '{"y":', call_id="b", name="g"),
        call(0, "2}", call_id="b"),
    ]
    for delta in deltas:
        delta["tool_calls"][0]["index"] = number
    told = through("chat", "messages", chunks(*deltas))
    with anthropic_client(told, stream=True).messages.stream(**ASKED) as stream:
        found = {block.id: block.input for block in stream.get_final_message().content}
    assert found == {"a": {"x": 1}, "b": {"y": 2}}


def test_a_name_that_comes_after_its_id_is_waited_for():
    deltas = [call(0, call_id="a"), call(0, name="f"), call(0, '{"x":1}')]
    with anthropic_client(through("chat", "messages", chunks(*deltas)), stream=True).messages.stream(
        **ASKED
    ) as stream:
        block = stream.get_final_message().content[0]
    assert (block.id, block.name, block.input) == ("a", "f", {"x": 1})


def test_a_call_without_an_id_is_given_one():
    with anthropic_client(
        through("chat", "messages", chunks(call(0, "{}", name="f"))), stream=True
    ).messages.stream(**ASKED) as stream:
        message = stream.get_final_message()
    assert message.content[0].id.startswith("call_")
    assert message.stop_reason == "tool_use"  # though the server said 'stop'


def test_refusals_are_told():
    said = chunks({"refusal": "I will "}, {"refusal": "not."})
    with anthropic_client(through("chat", "messages", said), stream=True).messages.stream(**ASKED) as stream:
        message = stream.get_final_message()
    assert (message.content[0].text, message.stop_reason) == ("I will not.", "refusal")
    with openai_client(through("chat", "responses", said), stream=True).responses.stream(
        model="m", input="Hi"
    ) as stream:
        kinds = {event.type for event in stream}
        response = stream.get_final_response()
    assert response.output[0].content[0].refusal == "I will not."
    assert {"response.refusal.delta", "response.refusal.done", "response.completed"} <= kinds
    details = {"type": "refusal", "category": None, "explanation": "No."}
    ended = {
        "type": "message_delta",
        "delta": {"stop_reason": "refusal", "stop_details": details},
        "usage": {"output_tokens": 1},
    }
    told = through("messages", "chat", sse(STARTED, ended, {"type": "message_stop"}))
    read = list(openai_client(told, stream=True).chat.completions.create(**WITH_USAGE))
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in read if chunk.choices) == "No."
    assert [chunk.choices[0].finish_reason for chunk in read if chunk.choices][-1] == "content_filter"


def test_an_answer_cut_by_its_length_says_so():
    told = through(
        "chat",
        "messages",
        chunks({"content": "x"}, call(0, '{"a": [1', call_id="c", name="f"), finish="length"),
    )
    with anthropic_client(told, stream=True).messages.stream(**ASKED) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "max_tokens"
    said = through("chat", "responses", chunks({"content": "x"}, finish="length"))
    events = list(openai_client(said, stream=True).responses.create(model="m", input="Hi", stream=True))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"
    assert events[-1].response.output[0].status == "incomplete"


def test_a_providers_error_within_a_stream_is_raised_by_the_clients_sdk():
    broken = sse(STARTED, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
    for target in ("chat", "responses"):
        translator = StreamTranslator("messages", target, "m")
        said = translator.feed(broken) + translator.feed(CLAUDE) + translator.flush()
        assert translator.failed == "provider"
        assert b"[DONE]" not in said
        assert said.count(b'"message":"busy"') >= 1
        client = openai_client(said, stream=True)
        with pytest.raises(openai.APIError, match="busy"):
            list(
                client.chat.completions.create(**ASKED, stream=True)
                if target == "chat"
                else client.responses.create(model="m", input="Hi", stream=True)
            )
    error = b'data: {"error": {"message": "busy", "type": "server_error", "code": null}}\n\n'
    said = through("chat", "messages", chunks({"content": "x"}, finish=None, done=False) + error)
    with pytest.raises(anthropic.APIError, match="busy"):
        list(anthropic_client(said, stream=True).messages.create(**ASKED, stream=True))


GARBAGE = [b"{oops", b"7", b"[]", b"null", b"\xff\xfe", b'"text"']
CHAT_GARBAGE = [
    b'{"choices": 7}',
    b'{"choices": [7]}',
    b'{"choices": [{"delta": {"content": {"a": 1}}}]}',
    b'{"choices": [{"index": 1, "delta": {"content": "another answer"}}]}',
    b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f"}, "id": {"a": 1}}]}}]}',
    b'{"choices": [{"delta": {"tool_calls": [{"index": [0], "function": {"name": "f"}}]}}]}',
]
MESSAGES_GARBAGE = [
    b"{}",
    b'{"type": "message_start"}',
    b'{"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use"}}',
    b'{"type": "content_block_delta", "index": 0, "delta": {"type": "telepathy_delta"}}',
    b'{"type": "content_block_delta", "index": 9, "delta": {"type": "input_json_delta", "partial_json": "x"}}',
    b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 7}}',
    b'{"type": "message_delta", "delta": [], "usage": {}}',
]


@pytest.mark.parametrize(
    ("source", "target", "garbage"),
    [("chat", target, garbage) for target in ("messages", "responses") for garbage in GARBAGE + CHAT_GARBAGE]
    + [
        ("messages", target, garbage)
        for target in ("chat", "responses")
        for garbage in GARBAGE + MESSAGES_GARBAGE
    ],
)
def test_garbage_ends_the_stream_with_an_error_of_the_clients_protocol(source, target, garbage):
    began = (
        sse(STARTED)
        if source == "messages"
        else chunks({"role": "assistant", "content": ""}, finish=None, done=False)
    )
    translator = StreamTranslator(source, target, "m")
    said = translator.feed(began)
    said = translator.feed(b"data: %b\n\n" % garbage) + translator.feed(GPT) + translator.flush()
    assert translator.failed == "garbage"
    assert said.count(b"data: ") == 1
    assert b"the provider sent something" in said


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_are_the_same_wherever_the_bytes_are_cut(end):
    lines = [
        b": comment",
        b"event: x",
        b"data: one",
        b"data:  two",
        b"id: 7",
        b"",
        b"",
        b"data:three",
        b"",
        b"retry: 5",
        b"",
        b"data: four",
    ]
    stream = end.join(lines)
    for first in range(len(stream)):
        for second in range(first, len(stream)):
            events = Events()
            pieces = (stream[:first], stream[first:second], stream[second:])
            found = [event for piece in pieces for event in events.feed(piece)] + events.flush()
            assert found == [b"one\n two", b"three", b"four"]


def test_an_endless_event_is_garbage():
    with pytest.raises(Oversized):
        Events().feed(b"data: " + b"x" * MAX_EVENT)
    translator = StreamTranslator("chat", "messages", "m")
    said = b"".join(translator.feed(b"data: " + b"x" * (1 << 22)) for _ in range(9))
    assert translator.failed == "garbage"
    assert said.count(b"event: error") == 1


def streamed_by(real_model, path: str, body: dict) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", real_model.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", path, orjson.dumps(body), {"content-type": "application/json"})
        return connection.getresponse().read()


def test_what_a_real_server_says_in_one_protocol_the_other_sdk_reads(real_model):
    """llama.cpp's server speaks both: the same question in each, translated, has the same answer."""
    asked = ASKED | {"max_tokens": 12, "temperature": 0, "stream": True}
    in_chat = streamed_by(
        real_model, "/v1/chat/completions", translate.request("messages", "chat", asked, "smollm2")
    )
    with anthropic_client(through("chat", "messages", in_chat), stream=True).messages.stream(
        **ASKED
    ) as stream:
        message = stream.get_final_message()
    in_messages = streamed_by(
        real_model, "/v1/messages", translate.request("chat", "messages", asked, "smollm2")
    )
    told = through("messages", "chat", in_messages, asked=WITH_USAGE)
    read = list(openai_client(told, stream=True).chat.completions.create(**WITH_USAGE))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in read if chunk.choices)
    assert message.content[0].text == text != ""
    assert message.usage.output_tokens == read[-1].usage.completion_tokens > 0
    whole = message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0)
    assert whole == read[-1].usage.prompt_tokens > 0
