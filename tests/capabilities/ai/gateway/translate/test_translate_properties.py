"""What holds for every request, answer and stream: there and back is the same; hostile bodies are refused by name; cuts do not matter."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import re

import orjson
import pytest
from anthropic.types import Message, message_create_params
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, completion_create_params
from openai.types.responses import Response

import ai_protocols
from datareeve.capabilities.ai.gateway import translate
from datareeve.capabilities.ai.gateway.translate import StreamTranslator, Untranslatable
from datareeve.capabilities.ai.gateway.translate.conversation import identifier
from datareeve.capabilities.ai.gateway.translate.events import Events

words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(names, json_values, max_size=3)


# -- requests there and back -----------------------------------------------------------------------------------------------------------


@st.composite
def chat_requests(draw) -> dict:
    """Chat requests in the form that translation gives them: turns of one side together, a single text as it is."""
    messages = [{"role": "system", "content": draw(words)}] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 3))):
        if turn:
            said = draw(st.none() | words)
            calls = draw(st.lists(arguments, min_size=0 if said else 1, max_size=2))
            message: dict = {"role": "assistant", "content": said}
            ids = [f"call_{turn}_{number}" for number in range(len(calls))]
            if calls:
                message["tool_calls"] = [
                    {
                        "id": i,
                        "type": "function",
                        "function": {"name": draw(names), "arguments": orjson.dumps(held).decode()},
                    }
                    for i, held in zip(ids, calls, strict=True)
                ]
            messages.append(message)
            messages += [
                {"role": "tool", "tool_call_id": i, "content": draw(words | st.just(""))} for i in ids
            ]
            if calls and draw(st.booleans()):
                continue
        messages.append({"role": "user", "content": draw(user_content)})
    body: dict = {"model": "gpt-4.1", "messages": messages, "max_tokens": draw(st.integers(1, 10**6))}
    optional = {
        "temperature": st.floats(0, 0.99),
        "top_p": st.floats(0, 0.99),
        "stop": st.lists(words.filter(str.strip), min_size=1, max_size=4),
        "user": words,
        "reasoning_effort": st.sampled_from(["low", "medium", "high", "xhigh", "max"]),
        "service_tier": st.just("default"),
        "tools": st.lists(tools, min_size=1, max_size=3),
    }
    for name, values in optional.items():
        if draw(st.booleans()):
            body[name] = draw(values)
    if "tools" in body and draw(st.booleans()):
        body["tool_choice"] = draw(st.sampled_from(["auto", "required"]))
        if draw(st.booleans()):
            body["parallel_tool_calls"] = False
    return body


image = st.sampled_from(
    ["https://example.org/a.png", "data:image/png;base64,iVBORw0KGgo=", "data:image/webp;base64,"]
)
part = words.map(lambda text: {"type": "text", "text": text}) | image.map(
    lambda url: {"type": "image_url", "image_url": {"url": url}}
)
pdf = st.builds(
    lambda name: {
        "type": "file",
        "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": name},
    },
    words,
)
user_content = words | st.lists(part | pdf, min_size=2, max_size=4)
tools = st.builds(
    lambda name, schema, description: {
        "type": "function",
        "function": {"name": name, "parameters": schema} | description,
    },
    names,
    st.dictionaries(names, json_values, max_size=2),
    st.just({})
    | st.builds(lambda said, strict: {"description": said, "strict": strict}, words, st.booleans()),
)


@settings(max_examples=100)
@given(chat_requests())
def test_a_chat_request_there_and_back_is_the_same(body):
    before = copy.deepcopy(body)
    there = translate.translated("chat", "messages", body, "claude-sonnet-4-5")
    assert body == before  # what a client sent is never changed: it is sent to other targets too
    assert there.left_out == ()
    back = translate.translated("messages", "chat", there.body, "gpt-4.1")
    assert back.left_out == ()
    assert _read_arguments(back.body) == _read_arguments(body)


def _read_arguments(body: dict) -> dict:
    """Arguments are JSON text: the same when they read the same."""
    body = copy.deepcopy(body)
    for message in body["messages"]:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return body


@settings(max_examples=150)
@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from([40, 64]))
def test_ids_stay_apart_and_are_always_taken(one, other, longest):
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", identifier(one, longest))
    assert len(identifier(one, longest)) <= longest
    assert (identifier(one, longest) == identifier(other, longest)) == (one == other)


# -- hostile requests --------------------------------------------------------------------------------------------------------------------

SEEDS = [
    ("chat", "messages", {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "https://x"}}]}, {"role": "assistant", "content": "y", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "c", "content": "z"}], "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "tool_choice": {"type": "function", "function": {"name": "f"}}, "stop": ["a"], "temperature": 0, "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}),
    ("messages", "chat", {"model": "m", "max_tokens": 5, "system": [{"type": "text", "text": "s"}], "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}, {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}]}, {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "z"}]}]}], "tools": [{"name": "f", "input_schema": {}}], "tool_choice": {"type": "tool", "name": "f"}, "thinking": {"type": "enabled", "budget_tokens": 2000}, "output_config": {"format": {"type": "json_schema", "schema": {}}}, "metadata": {"user_id": "u"}}),
    ("responses", "messages", {"model": "m", "instructions": "i", "input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "input_file", "file_url": "https://x"}]}, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c", "output": "z"}], "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}], "text": {"format": {"type": "text"}}, "reasoning": {"effort": "low"}}),
    ("responses", "chat", {"model": "m", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x"}]}], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}, "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": None}], "text": {"format": {"type": "json_object"}, "verbosity": "low"}}),
]  # fmt: skip


def places(value, at=()):
    """Every place within a JSON value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in inner:
        yield from places(held, (*at, key))


ODD: list = [
    None,
    0,
    -1,
    1.5,
    True,
    "",
    "odd",
    [],
    [7],
    ["odd"],
    {},
    {"odd": 1},
    {"type": "odd"},
    [{}],
    [{"type": "text"}],
]
GONE = object()


def spoilt(seed: dict):
    """Every body in which one place is gone, or holds something odd, or an unknown field more."""
    for *path, last in [place for place in places(seed) if place]:
        for odd in [GONE, *ODD]:
            body = copy.deepcopy(seed)
            holder = body
            for key in path:
                holder = holder[key]
            if odd is GONE:
                del holder[last]
            elif odd == {"odd": 1} and isinstance(holder[last], dict):
                holder[last]["odd"] = 1
            else:
                holder[last] = copy.deepcopy(odd)
            yield body


@pytest.mark.parametrize(("source", "target", "seed"), SEEDS)
def test_a_hostile_request_is_translated_into_a_sound_one_or_refused_by_name(source, target, seed):
    kind = completion_create_params.CompletionCreateParamsBase
    if target == "messages":
        kind = message_create_params.MessageCreateParamsBase
    sound = refused = 0
    for body in spoilt(seed):
        try:
            written = translate.request(
                source, target, body, "claude-sonnet-4-5" if target == "messages" else "gpt-4.1"
            )
        except Untranslatable as refusal:
            refused += bool(refusal.field)
            continue
        sound += 1
        shown = {
            name: value for name, value in written.items() if name not in ("temperature", "top_p", "stream")
        }
        assert _unforeseen(ai_protocols.strangers(shown, kind)) == []
        orjson.dumps(written)
    assert sound > 20
    assert refused > 5 * sound


def _unforeseen(strange: list[str]) -> list[str]:
    """Words that a setting does not have are the provider's to refuse by name: an effort, a tier; all else is sound."""
    return [
        found
        for found in strange
        if not re.match(r"\.(reasoning_effort|output_config|verbosity|service_tier|metadata)", found)
    ]


@settings(max_examples=100)
@given(st.sampled_from(["chat", "messages", "responses"]), json_values)
def test_any_json_at_all_is_refused_and_never_a_traceback(source, body):
    target = "messages" if source != "messages" else "chat"
    with pytest.raises(Untranslatable):
        translate.request(source, target, body, "m")


def test_a_value_nested_beyond_measure_is_refused_or_sent_on():
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Untranslatable):
        translate.request("chat", "messages", {"model": "m", "messages": deep}, "m")


# -- answers -------------------------------------------------------------------------------------------------------------------------------


@st.composite
def chat_answers(draw) -> dict:
    text = draw(words | st.just(""))
    calls = draw(st.lists(arguments, max_size=2))
    message: dict = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call_{i}",
                "type": "function",
                "function": {"name": draw(names), "arguments": orjson.dumps(held).decode()},
            }
            for i, held in enumerate(calls)
        ]
    cached, fresh, written = (draw(st.integers(0, 10**6)) for _ in range(3))
    output, reasoning = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    usage = {
        "prompt_tokens": cached + fresh + written,
        "completion_tokens": output,
        "total_tokens": cached + fresh + written + output,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    finish = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    return {
        "id": draw(names),
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }


@settings(max_examples=100)
@given(chat_answers())
def test_a_chat_answer_there_and_back_is_the_same(body):
    there = translate.answer("chat", "messages", body, "asked")
    back = translate.answer("messages", "chat", there, "asked")
    assert (back["id"], back["usage"]) == (body["id"], body["usage"])
    one, other = back["choices"][0], body["choices"][0]
    assert one["finish_reason"] == other["finish_reason"]
    assert (one["message"]["content"] or None) == other["message"]["content"]
    calls = [
        [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in held["message"].get("tool_calls", ())
        ]
        for held in (one, other)
    ]
    assert calls[0] == calls[1]


@settings(max_examples=100)
@given(
    st.sampled_from(
        [("chat", "messages"), ("messages", "chat"), ("messages", "responses"), ("chat", "responses")]
    ),
    json_values,
)
def test_an_answer_that_is_none_is_said_to_be_none(pair, body):
    with contextlib.suppress(Untranslatable):
        orjson.dumps(translate.answer(*pair, body, "m"))


@settings(max_examples=100)
@given(st.binary(max_size=60) | json_values.map(orjson.dumps), st.integers(400, 599))
def test_every_error_is_one_of_the_protocol(body, status):
    openai = json.loads(translate.error("messages", "chat", status, body))["error"]
    assert openai.keys() == {"message", "type", "param", "code"}
    assert openai["message"]
    anthropic = json.loads(translate.error("chat", "messages", status, body))
    assert anthropic["type"] == "error"
    assert anthropic["error"]["message"]


CLAUDE_ANSWER = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [{"type": "text", "text": "x"}, {"type": "thinking", "thinking": "y", "signature": "s"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}], "stop_reason": "refusal", "stop_sequence": "q", "stop_details": {"type": "refusal", "explanation": "z"}, "usage": {"input_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 3, "cache_creation": {"ephemeral_1h_input_tokens": 1}, "output_tokens": 4, "output_tokens_details": {"thinking_tokens": 1}, "service_tier": "standard"}}  # fmt: skip
GPT_ANSWER = {"id": "c", "service_tier": "default", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x", "refusal": "r", "reasoning": "h", "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}, "completion_tokens_details": {"reasoning_tokens": 1}}}  # fmt: skip
ANSWERED = {"chat": ChatCompletion, "messages": Message, "responses": Response}


@pytest.mark.parametrize(("source", "seed"), [("messages", CLAUDE_ANSWER), ("chat", GPT_ANSWER)])
def test_a_broken_answer_is_told_as_a_sound_one_or_not_at_all(source, seed):
    sound = refused = 0
    for body in spoilt(seed):
        for target in ANSWERED.keys() - {source}:
            try:
                told = translate.answer(source, target, body, "m")
            except Untranslatable:
                refused += 1
                continue
            sound += 1
            ANSWERED[target].model_validate_json(orjson.dumps(told))
    assert sound > 100
    assert refused > 100


# -- streams -------------------------------------------------------------------------------------------------------------------------------


@st.composite
def chat_streams(draw) -> tuple[bytes, str, list[tuple[str, dict]]]:
    """Chunks, with the text and the calls that they say."""
    deltas: list[dict] = [{"role": "assistant", "content": ""}]
    text, calls = "", []
    for said in draw(st.lists(words, max_size=4)):
        text += said
        deltas.append({"content": said})
    for number, held in enumerate(draw(st.lists(arguments, max_size=3))):
        name, raw = draw(names), orjson.dumps(held).decode()
        calls.append((name, held))
        deltas.append(
            {
                "tool_calls": [
                    {
                        "index": number,
                        "id": f"call_{number}",
                        "type": "function",
                        "function": {"name": name, "arguments": ""},
                    }
                ]
            }
        )
        cut = draw(st.integers(0, len(raw)))
        deltas += [
            {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}
            for piece in (raw[:cut], raw[cut:])
            if piece
        ]
    chunks = [
        {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"id": "x", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9}})
    end = draw(st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]))
    whole = b"".join(b"data: " + orjson.dumps(chunk) + end for chunk in chunks) + b"data: [DONE]" + end
    return whole, text, calls


def translated_in_pieces(translator: StreamTranslator, data: bytes, cuts: list[int]) -> bytes:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return b"".join(translator.feed(data[a:b]) for a, b in itertools.pairwise(edges)) + translator.flush()


@settings(max_examples=100)
@given(chat_streams(), st.lists(st.integers(0, 10**6), max_size=8))
def test_where_a_stream_is_cut_does_not_matter_and_there_and_back_says_the_same(stream, cuts):
    data, text, calls = stream
    whole = translated_in_pieces(StreamTranslator("chat", "messages", "m"), data, [])
    assert translated_in_pieces(StreamTranslator("chat", "messages", "m"), data, cuts) == whole
    back = StreamTranslator("messages", "chat", "m")
    said = translated_in_pieces(back, whole, cuts)
    assert back.complete
    found, made = "", {}
    for event in Events().feed(said):
        if event == b"[DONE]":
            break
        for choice in json.loads(event)["choices"]:
            found += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", ()):
                held = made.setdefault(call["index"], ["", ""])
                held[0] += call["function"].get("name", "")
                held[1] += call["function"].get("arguments", "")
    assert found == text
    assert [(name, json.loads(raw)) for name, raw in made.values()] == calls


@settings(max_examples=100)
@given(
    st.sampled_from(
        [("chat", "messages"), ("messages", "chat"), ("messages", "responses"), ("chat", "responses")]
    ),
    st.lists(json_values | st.binary(max_size=20), max_size=5),
)
def test_no_stream_is_a_traceback(pair, events):
    translator = StreamTranslator(*pair, "m")
    for event in events:
        data = event if isinstance(event, bytes) else orjson.dumps(event)
        translator.feed(b"data: " + data + b"\n\n")
    translator.flush()
