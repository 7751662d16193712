from __future__ import annotations

import itertools

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.capabilities.ai.gateway import sse
from datareeve.capabilities.ai.gateway.dialects import table
from datareeve.capabilities.ai.gateway.usage import Tokens

CHAT = table.of("POST", "/v1/chat/completions")
MESSAGES = table.of("POST", "/v1/messages")
RESPONSES = table.of("POST", "/v1/responses")


def asked(dialect, **fields):
    body = {"model": "m", "messages": [], "stream": True, **fields}
    return dialect.asked(orjson.dumps(body), body)


def chunk(delta=None, finish=None, usage="null", choices=None, end=b"\n\n"):
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}] if choices is None else choices
    told = orjson.dumps({"id": "c", "object": "chat.completion.chunk", "choices": choices})[:-1]
    return b"data: " + told + b',"usage":' + (usage if type(usage) is bytes else usage.encode()) + b"}" + end


USAGE = (
    b'{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4},'
    b'"completion_tokens_details":{"reasoning_tokens":1}}'
)
START = chunk({"role": "assistant", "content": ""})
WORDS = [chunk({"content": word}) for word in (" one", " two", ' "usage":{ é\n')]
STOP = chunk({}, "stop")
TOTAL = chunk(choices=[], usage=USAGE)
DONE = b"data: [DONE]\n\n"
STREAM = [b": hello\n\n", START, *WORDS, STOP, TOTAL, DONE]
USED = Tokens(input=9, output=3, cache_read=4, reasoning=1)


def passed(scanner, pieces):
    return b"".join([*(scanner.feed(piece) for piece in pieces), scanner.flush()])


def cut(data: bytes, places) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def endings(data: bytes, kind: bytes) -> bytes:
    return data.replace(b"\n", kind)


PLACES = st.lists(st.integers(0, 10_000), max_size=40)
KINDS = st.sampled_from((b"\n", b"\r\n", b"\r"))


@given(PLACES, KINDS)
def test_a_stream_whose_client_asked_for_usage_passes_byte_by_byte_wherever_it_is_cut(places, kind):
    data = endings(b"".join(STREAM), kind)
    scanner = CHAT.scanner(asked(CHAT, stream_options={"include_usage": True}))
    assert passed(scanner, cut(data, places)) == data
    assert (scanner.tokens, scanner.began, scanner.complete, scanner.failed) == (USED, True, True, "")


@given(PLACES, KINDS)
def test_the_usage_that_only_we_asked_for_is_taken_out_and_nothing_else(places, kind):
    data = endings(b"".join(STREAM), kind)
    scanner = CHAT.scanner(asked(CHAT))
    assert passed(scanner, cut(data, places)) == endings(b"".join(e for e in STREAM if e is not TOTAL), kind)
    assert (scanner.tokens, scanner.complete) == (USED, True)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_garbage_passes_as_it_came_up_to_half_an_event(pieces):
    for dialect in (CHAT, MESSAGES, RESPONSES):
        scanner = dialect.scanner(
            asked(dialect, stream_options={"include_usage": True}) if dialect is CHAT else None
        )
        told, data = passed(scanner, pieces), b"".join(pieces)
        assert data.startswith(told)
        assert scanner.output_chars >= 0
        assert scanner.tokens is None


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "choices delta content usage error type response message item tool_calls finish_reason prompt_tokens input_tokens".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.lists(SHAPES, max_size=6))
@settings(max_examples=200)
def test_events_of_any_shape_are_survived(shapes):
    data = b"".join(b"data: " + orjson.dumps(s, default=str) + b"\n\n" for s in shapes if _fits(s))
    for dialect in (CHAT, MESSAGES, RESPONSES):
        scanner = dialect.scanner(
            asked(dialect, stream_options={"include_usage": True}) if dialect is CHAT else None
        )
        assert passed(scanner, [data]) == data
        assert scanner.output_chars >= 0


def _fits(shape) -> bool:
    try:
        orjson.dumps(shape)
    except (TypeError, orjson.JSONEncodeError):
        return False
    return True


def test_it_has_begun_with_the_first_token_and_not_before():
    scanner = CHAT.scanner(asked(CHAT))
    scanner.feed(b": wait\n\n" + START)
    assert not scanner.began
    scanner.feed(WORDS[0])
    assert scanner.began


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": ""}}]},
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"refusal": "no"},
        {"function_call": {"name": "f", "arguments": ""}},
    ],
)
def test_any_kind_of_output_is_a_beginning(delta):
    scanner = CHAT.scanner(asked(CHAT))
    scanner.feed(chunk(delta))
    assert scanner.began
    assert scanner.output_chars > 0


def test_text_is_counted_where_the_usage_never_comes():
    scanner = CHAT.scanner(asked(CHAT))
    for piece in (START, *WORDS * 2000):
        scanner.feed(piece)
    assert scanner.tokens is None
    assert scanner.output_chars == 2000 * len(' one two "usage":{ é\n'.encode())
    assert not scanner.complete


def test_a_stream_without_its_done_is_complete_when_each_choice_has_finished():
    scanner = CHAT.scanner(asked(CHAT))
    passed(scanner, [START, *WORDS, STOP])
    assert scanner.complete
    two = CHAT.scanner(asked(CHAT, n=2))
    passed(two, [START, *WORDS, STOP])
    assert not two.complete


def test_an_upstream_that_nests_a_thousand_deep_is_survived():
    scanner = CHAT.scanner(asked(CHAT))
    scanner.feed(b'data: {"choices":[{"delta":{"tool_calls":' + b"[" * 900 + b"]" * 900 + b"}}]}\n\n")
    assert scanner.output_chars == 0


def test_half_an_event_never_reaches_the_client():
    scanner = CHAT.scanner(asked(CHAT))
    told = [scanner.feed(piece) for piece in (START, WORDS[0], WORDS[1][:-20])]
    assert b"".join(told) == START + WORDS[0]
    assert scanner.flush() == b""
    assert not scanner.complete


def test_a_last_event_that_lacks_only_its_blank_line_is_sent():
    scanner = CHAT.scanner(asked(CHAT))
    told = passed(scanner, [START, *WORDS, STOP, b"data: [DONE]\n"])
    assert told.endswith(b"data: [DONE]\n")
    assert scanner.complete


def test_usage_beside_choices_is_counted_and_passed_on():
    last = chunk({}, "stop", usage=USAGE)
    scanner = CHAT.scanner(asked(CHAT))
    assert passed(scanner, [START, *WORDS, last]) == b"".join([START, *WORDS, last])
    assert scanner.tokens == USED


def test_azures_first_event_without_choices_is_passed_on():
    first = b'data: {"choices":[],"model":"","prompt_filter_results":[{"prompt_index":0}]}\n\n'
    scanner = CHAT.scanner(asked(CHAT))
    assert scanner.feed(first) == first


def test_an_error_within_the_stream_is_seen_before_and_after_the_first_token():
    for before in ([], [START, *WORDS]):
        scanner = CHAT.scanner(asked(CHAT))
        passed(
            scanner, [*before, b'data: {"error":{"message":"m","type":"server_error","code":null}}\n\n', DONE]
        )
        assert scanner.failed == "server_error"


def test_several_events_in_one_piece_are_each_read():
    scanner = CHAT.scanner(asked(CHAT))
    scanner.feed(START + WORDS[0])
    assert scanner.feed(WORDS[0] + WORDS[1]) == WORDS[0] + WORDS[1]
    assert scanner.feed(WORDS[0] + TOTAL + DONE) == WORDS[0] + DONE
    assert scanner.complete
    assert scanner.tokens == USED


def test_an_event_that_is_too_long_passes_unread_and_the_next_is_read_again():
    scanner = CHAT.scanner(asked(CHAT))
    scanner.feed(START + WORDS[0])
    long = b'data: {"x":"' + b"a" * (sse.MOST_HELD + 1000)
    told = (
        scanner.feed(long)
        + scanner.feed(b"b" * 1000)
        + scanner.feed(b'"}\n')
        + scanner.feed(b"\n" + WORDS[0] + TOTAL[:30])
    )
    assert told == long + b"b" * 1000 + b'"}\n\n' + WORDS[0]
    assert scanner.feed(TOTAL[30:] + DONE) == DONE
    assert scanner.flush() == b""
    assert scanner.tokens == USED


def in_pieces(scanner, data, size=1_000_003):
    told = b""
    for at in range(0, len(data), size):
        told += scanner.feed(data[at : at + size])
        assert len(scanner._held) <= sse.MOST_HELD + size
    assert len(scanner._held) < sse.TAIL
    return told + scanner.flush()


@pytest.mark.parametrize("named", [b"event: response.completed\n", b""])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("size", [1_000_003, 65536, 64 * 1024 * 1024])
def test_the_usage_of_an_answer_with_pictures_is_found_in_the_end_of_its_last_event(named, end, size):
    scanner = RESPONSES.scanner(asked(RESPONSES))
    output = b'[{"type":"image_generation_call","result":"' + b"A" * (sse.MOST_HELD + 5_000_000) + b'"}]'
    usage = b'{"input_tokens":9,"output_tokens":3,"output_tokens_details":{"reasoning_tokens":1}}'
    data = named.replace(b"\n", end[: len(end) // 2]) + b'data: {"type":"response.completed","response":{"output":' + output + b',"tools":[{"usage":{}}],"usage":' + usage + b',"user":null}}' + end  # fmt: skip
    assert in_pieces(scanner, data, size) == data
    assert (scanner.complete, scanner.began, scanner.failed) == (True, True, "")
    assert scanner.tokens == Tokens(input=9, output=3, reasoning=1)


def test_a_long_event_that_is_an_error_or_never_ends_is_no_end():
    for head, failed in ((b'event: error\ndata: {"type":"error","x":"', "error"), (b'data: {"type":"response.output_text.delta","delta":"', "")):  # fmt: skip
        scanner = RESPONSES.scanner(asked(RESPONSES))
        in_pieces(scanner, head + b"A" * (sse.MOST_HELD + 5_000_000) + b'"}\n\n')
        assert (scanner.complete, scanner.failed, scanner.tokens) == (False, failed, None)
    scanner = RESPONSES.scanner(asked(RESPONSES))
    scanner.feed(b'event: response.completed\ndata: {"type":"response.completed","usage":{"input_tokens":1},"x":"' + b"A" * (sse.MOST_HELD + 1000))  # fmt: skip
    assert scanner.flush() == b""
    assert not scanner.complete


def test_what_is_held_of_a_long_stream_is_bounded():
    scanner = CHAT.scanner(asked(CHAT))
    scanner.feed(START)
    for _ in range(5000):
        scanner.feed(WORDS[0])
        assert scanner._unread_size <= sse.MOST_UNREAD + len(WORDS[0])
    assert not scanner._held


# -- messages ----------------------------------------------------------------------------------------------------


def event(kind, **fields):
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **fields}) + b"\n\n"


OPENED = event(
    "message_start",
    message={
        "id": "msg_1", "role": "assistant", "content": [], "model": "m",
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 30, "output_tokens": 1,
                  "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}},
    },
)  # fmt: skip
BLOCK = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
DELTAS = [
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
    for word in ("one", " two é")
]
CLOSING = [
    event("content_block_stop", index=0),
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 8}),
    event("message_stop"),
]
THEIRS = [OPENED, event("ping"), BLOCK, *DELTAS, *CLOSING]


@given(PLACES, KINDS)
def test_a_stream_of_messages_passes_and_is_counted_wherever_it_is_cut(places, kind):
    data = endings(b"".join(THEIRS), kind)
    scanner = MESSAGES.scanner(None)
    assert passed(scanner, cut(data, places)) == data
    assert scanner.tokens == Tokens(input=135, output=8, cache_read=100, cache_write=10, cache_write_1h=20)
    assert (scanner.complete, scanner.output_chars) == (True, len("one two é".encode()))


def test_a_message_that_breaks_off_has_its_input_counted_and_is_not_complete():
    scanner = MESSAGES.scanner(None)
    for piece in (OPENED, event("ping"), BLOCK):
        scanner.feed(piece)
    assert not scanner.began
    for piece in DELTAS:
        scanner.feed(piece)
    scanner.flush()
    assert (scanner.began, scanner.complete, scanner.tokens.input, scanner.tokens.output) == (
        True,
        False,
        135,
        3,
    )
    assert scanner.output_chars == 10


def test_a_tool_call_is_a_beginning_and_a_delta_may_correct_the_input():
    scanner = MESSAGES.scanner(None)
    scanner.feed(OPENED)
    scanner.feed(
        event(
            "content_block_start",
            index=0,
            content_block={"type": "tool_use", "id": "t", "name": "f", "input": {}},
        )
    )
    assert scanner.began
    scanner.feed(
        event(
            "message_delta",
            delta={},
            usage={"input_tokens": 7, "output_tokens": 2, "cache_read_input_tokens": None},
        )
    )
    assert (scanner.tokens.input, scanner.tokens.cache_read) == (137, 100)


def test_anthropics_error_event_is_seen():
    scanner = MESSAGES.scanner(None)
    passed(scanner, [OPENED, event("error", error={"type": "overloaded_error", "message": "Overloaded"})])
    assert (scanner.failed, scanner.complete, scanner.began) == ("overloaded_error", False, False)


# -- responses ---------------------------------------------------------------------------------------------------


def typed(kind, number, **fields):
    data = orjson.dumps({"type": kind, "sequence_number": number, **fields})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


RESPONSE_USAGE = {
    "input_tokens": 20, "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
    "output_tokens": 6, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 26,
}  # fmt: skip
RESPONSE = [
    typed("response.created", 0, response={"id": "r", "usage": None, "error": None}),
    typed("response.output_item.added", 1, item={"type": "message"}),
    typed("response.output_text.delta", 2, delta="one"),
    typed("response.output_text.delta", 3, delta=" two"),
    typed("response.output_text.done", 4, text="one two"),
    typed("response.completed", 5, response={"id": "r", "error": None, "usage": RESPONSE_USAGE}),
]


@given(PLACES)
def test_a_stream_of_a_response_passes_and_is_counted(places):
    data = b"".join(RESPONSE)
    scanner = RESPONSES.scanner(None)
    assert passed(scanner, cut(data, places)) == data
    assert scanner.tokens == Tokens(input=20, output=6, cache_read=8, cache_write=2, reasoning=4)
    assert (scanner.complete, scanner.failed, scanner.output_chars) == (True, "", 7)


def test_a_response_begins_with_its_first_delta_or_with_work():
    scanner = RESPONSES.scanner(None)
    for piece in RESPONSE[:2]:
        scanner.feed(piece)
    assert not scanner.began
    scanner.feed(typed("response.output_item.added", 2, item={"type": "function_call", "name": "f"}))
    assert scanner.began


def test_sound_is_a_beginning_but_no_text():
    scanner = RESPONSES.scanner(None)
    scanner.feed(typed("response.audio.delta", 1, delta="UklGRg" * 1000))
    assert (scanner.began, scanner.output_chars) == (True, 0)


@pytest.mark.parametrize(
    ("last", "failed", "complete"),
    [
        (typed("response.incomplete", 9, response={"usage": RESPONSE_USAGE}), "", True),
        (
            typed("response.failed", 9, response={"error": {"code": "server_error"}, "usage": None}),
            "server_error",
            False,
        ),
        (
            typed("error", 9, code="rate_limit_exceeded", message="m", param=None),
            "rate_limit_exceeded",
            False,
        ),
    ],
)
def test_how_a_response_ends_otherwise(last, failed, complete):
    scanner = RESPONSES.scanner(None)
    passed(scanner, [*RESPONSE[:4], last])
    assert (scanner.failed, scanner.complete) == (failed, complete)
