"""Whatever JSON an upstream or a client sends, no reader of it raises anything but a refusal."""

from __future__ import annotations

import contextlib

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.capabilities.ai.gateway.dialects import Refusal, meaning, table

KINDS = """message_start message_delta message_stop content_block_start content_block_delta error ping response.created
    response.completed response.failed response.output_item.added response.output_text.delta response.incomplete""".split()
WORDS = [*KINDS, "text", "system", "developer", "user", "image", "document", "file", "input_audio", "tool_result", "data:image/png;base64,iVBORw0KGgo="]  # fmt: skip
NAMES = """type message usage error delta content_block text partial_json thinking name data response item choices index finish_reason
    content tool_calls function_call reasoning refusal audio x_groq moderation code id input_tokens output_tokens prompt_tokens
    completion_tokens total_tokens prompt_tokens_details input_tokens_details cached_tokens cache_creation output output_tokens_details
    completion_tokens_details cache_creation_input_tokens status model""".split()
ASKED = """messages system tools functions input prompt instructions role content type text source image_url url detail file file_data
    data input_audio tool_calls n max_tokens max_completion_tokens max_output_tokens best_of stream stream_options include_usage temperature
    requests params thinking store background previous_response_id conversation id input_file_id endpoint""".split()
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**63), st.floats(allow_nan=False), st.sampled_from(WORDS)
)


def json(names):
    keys = st.sampled_from(names)
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    )


def objects(names):
    return st.dictionaries(st.sampled_from(names), json(names), max_size=6)


PATHS = ["/chat/completions", "/completions", "/responses", "/messages", "/images/generations"]


def scanner_of(path):
    dialect = table.of("POST", path)
    body = {"model": "m", "stream": True, "messages": [], "n": 1}
    return dialect.scanner(dialect.asked(orjson.dumps(body), body))


@pytest.mark.parametrize("path", PATHS)
@given(st.lists(objects(NAMES) | st.builds(lambda kind, rest: {**rest, "type": kind}, st.sampled_from(KINDS), objects(NAMES)), max_size=4))  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_no_event_is_more_than_a_scanner_bears(path, events):
    scanner = scanner_of(path)
    for event in events:
        assert isinstance(scanner.feed(b"data: " + orjson.dumps(event) + b"\n\n"), bytes)
    scanner.flush()
    assert scanner.output_chars >= 0
    assert isinstance(scanner.failed, str)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "value", [None, True, 0, -1, 1e300, "", "x", [], [[]], {}, {"type": []}, [{"type": {}}]]
)
def test_each_field_that_a_scanner_reads_bears_any_value(path, value):
    for kind in KINDS:
        scanner = scanner_of(path)
        for outer in NAMES:
            for event in (
                {"type": kind, outer: value},
                {"type": kind, outer: {"type": value, "id": value, "role": value}},
            ):
                scanner.feed(b"data: " + orjson.dumps(event) + b"\n\n")
        scanner.flush()


def test_a_block_whose_type_is_no_text_is_borne():
    scanner = scanner_of("/messages")
    scanner.feed(b'data: {"type":"content_block_start","content_block":{"type":[]}}\n\n')
    assert scanner.began


@pytest.mark.parametrize(
    "path", [*PATHS, "/embeddings", "/messages/batches", "/responses/input_tokens", "/batches"]
)
@given(objects(ASKED))
@settings(max_examples=40, deadline=None)
def test_no_request_is_more_than_its_reader_bears(path, fields):
    body = {**fields, "model": "m"}
    raw = orjson.dumps(body)
    dialect = table.of("POST", path)
    with contextlib.suppress(Refusal):
        asked = dialect.asked(raw, orjson.loads(raw))
        dialect.outgoing(asked, "other")
        meaning.meaning(asked)
        meaning.prefix(asked)


@pytest.mark.parametrize("path", [*PATHS, "/embeddings"])
@given(json(NAMES))
@settings(max_examples=40, deadline=None)
def test_no_answer_is_more_than_its_reader_bears(path, answer):
    table.of("POST", path).tokens(orjson.dumps(answer))
