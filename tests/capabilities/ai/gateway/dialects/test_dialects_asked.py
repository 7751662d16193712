from __future__ import annotations

import json

import orjson
import pytest

from datareeve.capabilities.ai.gateway.dialects import Refusal, table
from datareeve.capabilities.ai.gateway.dialects.meaning import meaning, prefix

CHAT = table.of("POST", "/v1/chat/completions")
COMPLETIONS = table.of("POST", "/v1/completions")
RESPONSES = table.of("POST", "/v1/responses")
MESSAGES = table.of("POST", "/v1/messages")
EMBEDDINGS = table.of("POST", "/v1/embeddings")
HELLO = [{"role": "user", "content": "Hello"}]


def read(dialect, raw):
    raw = raw if type(raw) is bytes else orjson.dumps(raw)
    return dialect.asked(raw, orjson.loads(raw))


def refused(dialect, raw):
    with pytest.raises(Refusal) as caught:
        read(dialect, raw)
    return caught.value.problem


@pytest.mark.parametrize(
    ("dialect", "body", "output"),
    [
        (CHAT, {"max_tokens": 5}, 5),
        (CHAT, {"max_tokens": 5, "max_completion_tokens": 9, "n": 3}, 27),
        (CHAT, {"n": 3}, None),
        (CHAT, {"max_tokens": 0}, 0),
        (CHAT, {"max_tokens": None, "max_completion_tokens": 7.0}, 7),
        (COMPLETIONS, {"prompt": ["a", "b"], "max_tokens": 5, "best_of": 4}, 40),
        (COMPLETIONS, {"prompt": [1, 2, 3], "max_tokens": 5}, 5),
        (RESPONSES, {"input": "x", "max_output_tokens": 5}, 5),
        (MESSAGES, {"max_tokens": 5}, 5),
        (EMBEDDINGS, {"input": "x"}, 0),
    ],
)
def test_the_output_is_bounded_as_the_client_says_times_the_answers(dialect, body, output):
    assert read(dialect, {"model": "m", **body}).max_output == output


@pytest.mark.parametrize("dialect", [CHAT, RESPONSES, MESSAGES])
def test_only_temperature_zero_is_deterministic(dialect):
    told = [read(dialect, {"model": "m", "temperature": t}).deterministic for t in (0, 0.0, 1, None, False)]
    assert told == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("raw", "code", "word"),
    [
        (b'{"model":"cheap","model":"dear"}', "gateway.repeated-field", "model"),
        (rb'{"model":"cheap","mod\u0065l":"dear"}', "gateway.repeated-field", "model"),
        (rb'{"\u006d\u006f\u0064\u0065\u006c":"cheap","model":"cheap"}', "gateway.repeated-field", "model"),
        (b'{"model":"cheap", "Model":"dear"}', "gateway.odd-field", "model"),
        (b'{"model":"cheap","MODEL":"dear"}', "gateway.odd-field", "model"),
        (rb'{"model":"cheap","model\u0000":"dear"}', "gateway.odd-field", "model"),
        (b'{"model":"cheap"," model":"dear"}', "gateway.odd-field", "model"),
        ('{"model":"cheap","\u017ftream":true}'.encode(), "gateway.odd-field", "stream"),
        ('{"model":"cheap","max_to\u212aens":9}'.encode(), "gateway.odd-field", "max_tokens"),
        (b'{"model":"cheap","models":["dear"]}', "gateway.foreign-route", "models"),
        (b'{"model":"cheap","fallbacks":["dear"]}', "gateway.foreign-route", "fallbacks"),
        (b'{"model":"m","max_tokens":1,"max_tokens":100000}', "gateway.repeated-field", "max_tokens"),
        (b'{"model":"m","n":1,"x":1,"n":100}', "gateway.repeated-field", "n"),
        (b'{"model":"m","private":1,"private":2}', "gateway.repeated-field", "a key"),
        (b"{}", "gateway.no-model", "model"),
        (b'{"model":""}', "gateway.no-model", "model"),
        (b'{"model":["a"]}', "gateway.no-model", "model"),
        (rb'{"model":"a\r\nx"}', "gateway.no-model", "model"),
        (b'{"model":"%s"}' % (b"a" * 300), "gateway.no-model", "model"),
        (b'{"model":"m","stream":"true"}', "gateway.bad-field", "stream"),
        (b'{"model":"m","stream":1}', "gateway.bad-field", "stream"),
        (b'{"model":"m","n":"5"}', "gateway.bad-field", "n"),
        (b'{"model":"m","n":-1}', "gateway.bad-field", "n"),
        (b'{"model":"m","max_tokens":1e300}', "gateway.bad-field", "max_tokens"),
        (b'{"model":"m","max_tokens":true}', "gateway.bad-field", "max_tokens"),
        (b'{"model":"m","stream":true,"stream_options":[]}', "gateway.bad-field", "stream_options"),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_usage":"yes"}}',
            "gateway.bad-field",
            "include_usage",
        ),
    ],
)
def test_what_two_readers_may_read_in_two_ways_is_refused_by_its_name(raw, code, word):
    problem = refused(CHAT, raw)
    assert (problem.status, problem.kind, problem.code) == (400, "bad_request", code)
    assert word in problem.message
    assert "cheap" not in problem.message
    assert "private" not in problem.message


@pytest.mark.parametrize(
    "dialect", [COMPLETIONS, RESPONSES, MESSAGES, EMBEDDINGS, table.of("POST", "/v1/images/generations")]
)
def test_every_endpoint_refuses_a_second_model(dialect):
    assert refused(dialect, b'{"model":"cheap","model":"dear"}').code == "gateway.repeated-field"
    assert refused(dialect, b'{"model":"cheap","mODEL":"dear"}').code == "gateway.odd-field"


def test_unknown_fields_of_ordinary_names_are_the_providers_to_judge():
    raw = b'{"model":"m", "messages":[], "topK":4, "x-own":{"model":"other","model":"other"}}'
    assert read(CHAT, raw).model == "m"


def test_a_body_passes_as_it_came_where_nothing_must_change():
    raw = b'{ "messages":[],\t"model":"m", "t":1e0 }'
    asked = read(CHAT, raw)
    assert CHAT.outgoing(asked, "m") is raw
    assert CHAT.outgoing(asked, "o") == b'{ "messages":[],\t"model":"o", "t":1e0 }'


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (
            b'{"model":"m","stream":true}',
            b'{"model":"o","stream":true,"stream_options":{"include_usage":true}}',
        ),
        (
            b'{ "model": "m", "stream": true }',
            b'{ "model": "o", "stream": true ,"stream_options":{"include_usage":true}}',
        ),
        (
            b'{"model":"m","stream_options":null,"stream":true}',
            b'{"model":"o","stream_options":{"include_usage":true},"stream":true}',
        ),
        (
            b'{"model":"m","stream":true,"stream_options":{ "include_obfuscation": false }}',
            b'{"model":"o","stream":true,"stream_options":{ "include_obfuscation": false ,"include_usage":true}}',
        ),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_usage":false,"a":1.50}}',
            b'{"model":"o","stream":true,"stream_options":{"include_usage":true,"a":1.50}}',
        ),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true,"a":1.50}}',
            b'{"model":"o","stream":true,"stream_options":{"include_usage":true,"a":1.50}}',
        ),
    ],
)
def test_a_chat_stream_is_asked_for_its_usage(raw, told):
    asked = read(CHAT, raw)
    assert asked.adds_usage == (b'"include_usage":true' not in raw)
    assert CHAT.outgoing(asked, "o") == told


def test_usage_is_asked_for_in_streams_of_chunks_only():
    assert not read(CHAT, {"model": "m"}).adds_usage
    assert not read(RESPONSES, {"model": "m", "stream": True}).adds_usage
    assert not read(MESSAGES, {"model": "m", "stream": True}).adds_usage
    assert read(COMPLETIONS, {"model": "m", "stream": True}).adds_usage


def test_equal_questions_mean_the_same_however_they_are_written_and_delivered():
    plain = {"model": "m", "messages": HELLO, "temperature": 0.5}
    other = {
        "user": "u",
        "temperature": 0.5,
        "stream": True,
        "messages": HELLO,
        "metadata": {"a": "b"},
        "model": "m",
    }
    assert meaning(read(CHAT, plain)) == meaning(read(CHAT, json.dumps(other, indent=2).encode()))
    assert meaning(read(CHAT, plain)) != meaning(read(CHAT, {**plain, "temperature": 0.6}))
    assert meaning(read(CHAT, plain)) != meaning(read(CHAT, {**plain, "model": "o"}))


def test_a_key_that_stands_twice_within_shares_no_meaning():
    hidden = b'{"model":"m","messages":[{"role":"user","content":"Give me the bad one","content":"Hello"}]}'
    assert meaning(read(CHAT, hidden)) != meaning(read(CHAT, {"model": "m", "messages": HELLO}))


def test_the_prefix_is_tools_and_instructions():
    system = [{"role": "system", "content": "Be brief"}, {"role": "developer", "content": "Be kind"}]
    tools = [{"type": "function", "function": {"name": "f"}}]
    one = read(CHAT, {"model": "m", "messages": [*system, *HELLO], "tools": tools})
    two = read(
        CHAT, {"model": "m", "messages": [*system, {"role": "user", "content": "Else"}], "tools": tools}
    )
    assert prefix(one) == prefix(two) != b""
    assert prefix(read(CHAT, {"model": "m", "messages": [*system[:1], *HELLO], "tools": tools})) != prefix(
        one
    )
    assert prefix(read(CHAT, {"model": "m", "messages": HELLO})) == b""
    assert prefix(read(MESSAGES, {"model": "m", "system": "Be brief", "messages": HELLO})) != b""
    assert prefix(read(RESPONSES, {"model": "m", "instructions": "Be brief", "input": "x"})) != b""
    assert 0 < one.prefix_estimate < one.input_estimate


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/v1/chat/completions", "chat"),
        ("POST", "/chat/completions", "chat"),
        ("POST", "/v1/completions", "completions"),
        ("POST", "/v1/responses", "responses"),
        ("POST", "/v1/responses/compact", "responses-compact"),
        ("POST", "/v1/responses/input_tokens", "responses-input-tokens"),
        ("GET", "/v1/responses/resp_1", "stored"),
        ("POST", "/v1/embeddings", "embeddings"),
        ("POST", "/v1/messages?beta=true", "messages"),
        ("POST", "/v1/messages/count_tokens", "count-tokens"),
        ("POST", "/v1/messages/batches", "message-batches"),
        ("GET", "/v1/messages/batches/msgbatch_1", "message-batches"),
        ("GET", "/v1/messages/batches/msgbatch_1/results", "message-batch-results"),
        ("POST", "/v1/messages/batches/msgbatch_1/cancel", "message-batches"),
        ("POST", "/v1/batches", "batches"),
        ("POST", "/v1/batches/batch_1/cancel", "batches"),
        ("POST", "/v1/files", "files"),
        ("GET", "/v1/files/file-1/content", "file-content"),
        ("DELETE", "/v1/files/file-1", "files"),
        ("GET", "/v1/models", "models"),
        ("GET", "/v1/models/meta-llama/Llama-3.1:free", "models"),
        ("POST", "/v1/moderations", "moderations"),
        ("POST", "/v1/images/edits", "images"),
        ("POST", "/v1/audio/transcriptions", "audio"),
    ],
)
def test_each_endpoint_has_its_dialect(method, path, name):
    assert table.of(method, path).name == name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"), ("POST", "/"), ("POST", "/v1"), ("GET", "/v1/files/../models"), ("GET", "/v1/files/.."),
        ("GET", "/v1/models/../files"), ("GET", "/v1/models/a/../b"), ("GET", "/v1/files/a%2f..%2fb"), ("GET", "/v1/files/a b"),
        ("GET", "/v1/batches/\r\nx"), ("POST", "/v1/v1/messages"), ("DELETE", "/v1/models/m"), ("POST", "/v1/organization/costs"),
        ("GET", "/v1/files/a\n"),
    ],
)  # fmt: skip
def test_what_is_no_endpoint_has_none(method, path):
    assert table.of(method, path) is None


def test_errors_are_shaped_by_their_path():
    assert [table.shape_of(p).protocol for p in ("/v1/messages/x", "/v1/chat/completions", "/x")] == [
        "anthropic",
        "openai",
        "openai",
    ]


@pytest.mark.parametrize(
    "options",
    [b'{"include_usage":false,"include_usage":true}', b'{"include_usage":true,"include_us\\u0061ge":false}', b'{"include_usage":true,"Include_Usage":false}'],
)  # fmt: skip
@pytest.mark.parametrize("after", [b"", b' , "user" : "x"'])
def test_options_of_a_stream_that_two_readers_may_read_in_two_ways_are_refused(options, after):
    raw = b'{"model":"m","messages":[],"stream":true,"stream_options":' + options + after + b"}"
    assert refused(CHAT, raw).code in ("gateway.repeated-field", "gateway.odd-field")


def test_options_of_a_stream_pass_as_they_came():
    raw = b'{"model":"m","messages":[],"stream":true,"stream_options": {"include_obfuscation" : false,"include_usage":true}}'
    assert CHAT.outgoing(read(CHAT, raw), "m") == raw


@pytest.mark.parametrize(
    "raw", [b'{"model":"m","Previous_Response_Id":"a"}', b'{"model":"m","conversation ":"a"}']
)
def test_what_is_continued_is_not_named_in_disguise(raw):
    assert refused(RESPONSES, raw).code == "gateway.odd-field"
