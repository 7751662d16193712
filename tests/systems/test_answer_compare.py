"""Two answers beside each other, of every protocol, whole and streamed, well-formed and not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.systems.answer_compare import compared, said, schema_of

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1, "b": 2}'}}


def chat(text, *calls):
    return {"choices": [{"message": {"content": text, "tool_calls": list(calls)}}]}


def messages(text, *blocks):
    return {"content": [{"type": "text", "text": text}, *blocks]}


def responses(text):
    return {
        "output": [
            {"type": "reasoning"},
            {"type": "message", "content": [{"type": "output_text", "text": text}]},
        ]
    }


@pytest.mark.parametrize(
    "answer",
    [
        chat("Ok."),
        messages("Ok."),
        responses("Ok."),
        json.dumps(chat("Ok.")),
        json.dumps(messages("Ok.")).encode(),
    ],
)
def test_the_text_of_every_protocol_is_found(answer):
    assert said(answer).text == "Ok."
    assert compared({}, chat("Ok."), answer).exact


STREAMS = {
    "chat": 'data: {"choices":[{"delta":{"content":"O"}}]}\n\ndata: {"choices":[{"delta":{"content":"k."}}]}\r\n\r\ndata: {"choices":[],"usage":{}}\n\ndata: [DONE]\n\n',
    "messages": 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"O"}}\n\n'
    'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"k."}}\n\ndata: {"type":"message_stop"}\n\n',
    "responses": f'data: {{"type":"response.completed","response":{json.dumps(responses("Ok."))}}}\n\n',
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_recorded_stream_says_what_its_pieces_say(stream):
    assert said(stream).text == "Ok."
    assert said(stream.encode()).text == "Ok."


def test_tools_are_compared_by_name_and_by_the_meaning_of_their_arguments():
    other = {"type": "tool_use", "name": "look", "input": {"b": 2, "a": 1}}
    assert said(chat(None, CALL)).calls == said(messages("", other)).calls
    result = compared({}, chat(None, CALL), messages("", other))
    assert (result.exact, result.same_tools, result.same_form) == (True, True, True)
    assert compared({}, chat(None, CALL), chat("No.")).same_tools is False
    assert compared({}, chat("Yes."), chat("No.")).same_tools is None
    streamed = 'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"look","arguments":"{\\"a\\": 1,"}}]}}]}\n\ndata: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":" \\"b\\": 2}"}}]}}]}\n\n'
    assert said(streamed).calls == said(chat(None, CALL)).calls


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('{"a": 1}', "json object"), ("```json\n[1, 2]\n```", "json array"), ("Here:\n```py\nx = 1\n```", "code"), ("- a\n- b\n1. c", "list"),
        ("Some words.", "text"), ("  ", "empty"), ("7", "text"),
    ],
)  # fmt: skip
def test_the_form_of_an_answer(text, form):
    assert said(chat(text)).form == form


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
ASKS = [
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
    {"text": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    {"output_format": {"type": "json_schema", "schema": SCHEMA}},
]


@pytest.mark.parametrize("body", ASKS)
def test_answers_are_held_against_the_schema_that_is_asked_for(body):
    found = compared(body, chat('{"a": 1}'), chat('{"a": "one"}'))
    assert (found.schema_before, found.schema_now) == (True, False)
    assert compared(body, chat("no JSON"), chat('{"a": 2}')).schema_before is False
    assert schema_of({"response_format": {"type": "text"}}) is None
    assert schema_of({"response_format": {"type": "json_object"}}) == {"type": "object"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:1/x"},
        {"$ref": "file:///etc/passwd"},
        {"pattern": "("},
        {"$ref": "#"},
        {"properties": 3},
    ],
)
def test_a_schema_that_is_none_or_leads_elsewhere_says_nothing_and_fetches_nothing(schema):
    body = {"response_format": {"json_schema": {"schema": schema}}}
    assert compared(body, chat('{"a": 1}'), chat('"text"')).schema_now in (None, False)


def test_json_is_equal_by_what_it_says_not_by_its_spaces():
    assert compared({}, chat('{"a": 1, "b": [2]}'), chat('```json\n{"b":[2],"a":1}\n```')).exact
    assert not compared({}, chat("Yes."), chat("Yes!")).exact
    assert compared({}, chat("four"), chat("eight888")).length_ratio == 2.0
    assert compared({}, chat(""), chat("")).length_ratio is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "output",
                    "delta",
                    "type",
                    "text",
                    "tool_calls",
                    "function",
                    "response",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values, json_values, st.text(max_size=100) | st.binary(max_size=100))
def test_no_answer_breaks_it(body, answer, raw):
    compared(body if isinstance(body, dict) else {}, answer, raw)
    said(f"data: {json.dumps(answer)}\n\n")
