"""Large bodies: how many values they have is known before they are read, and they are read in short looks that find what long ones do."""

import asyncio
import json
import threading

import orjson
import pytest

from datareeve.capabilities.ai.gateway import large, redact, splice
from datareeve.capabilities.ai.gateway.dialects import Asked, Refusal, meaning, table
from datareeve.capabilities.ai.gateway.large import MOST_VALUES

HELLO = [{"role": "user", "content": "hello"}]
AWKWARD = [
    {"model": "a", "b": {"c": [1, 2, {"d": "]}"}], "e": "\\"}, "f": '"'},
    {"x": ['\\"', "\\\\", '\\\\"]', "[", {"{": "}"}], "model": "cheap", "n": -1.5e3, "t": True},
    {"": "", "model": "é\n\u0000", "deep": [[[[[[{}]]]]]]},
]  # fmt: skip
WRITTEN = [json.dumps, lambda value: json.dumps(value, indent=2), lambda value: json.dumps(value, ensure_ascii=False)]  # fmt: skip


@pytest.mark.parametrize("write", WRITTEN)
@pytest.mark.parametrize("value", AWKWARD)
def test_short_looks_find_the_members_that_long_ones_find(monkeypatch, value, write):
    raw = write(value).encode()
    expected = list(splice.members(raw))
    assert [name for name, _, _ in expected] == list(value)
    monkeypatch.setattr(splice, "LARGE", 1)
    assert list(splice.members(raw)) == expected
    assert orjson.loads(splice.replaced(raw, "model", b'"other"')) == {**value, "model": "other"}
    assert splice.repeated(raw, value) is None
    twice = raw[:-1] + b',"model":"x"}' if not raw.endswith(b"\n}") else raw[:-2] + b',"model":"x"\n}'
    assert splice.repeated(twice, orjson.loads(twice)) == "model"


@pytest.mark.parametrize(
    ("body", "least"),
    [
        (b'{"a":[%b1]}' % (b"1," * MOST_VALUES), MOST_VALUES),
        (b'{"a":[%b{}]}' % (b"{}," * MOST_VALUES), MOST_VALUES),
        (b'{"a":"\\\\",%b"b":1}' % (b'"\\"":1,' * MOST_VALUES), MOST_VALUES),
        (b"[" * (MOST_VALUES + 20_000), MOST_VALUES),
        (b'"a":' * (MOST_VALUES + 1), MOST_VALUES),
    ],
    ids=range(5),
)
def test_a_body_of_too_many_values_is_refused_unread(body, least):
    assert large.values(body) > least
    with pytest.raises(Refusal) as refused:
        large.bounded(body)
    assert (refused.value.problem.status, refused.value.problem.code) == (413, "gateway.too-many-values")


def test_the_most_that_is_embedded_at_once_is_taken():
    """OpenAI: 300,000 tokens of 2,048 texts; clients send them as numbers."""
    tokens = [[100_000] * 147 for _ in range(2048)]
    large.bounded(orjson.dumps({"model": "m", "input": tokens, "encoding_format": "base64"}))


def test_signs_within_texts_are_no_values():
    text = 'Well, "this": [that], {and} so on\\; \\" '
    body = orjson.dumps({"messages": [{"role": "user", "content": text * MOST_VALUES}]})
    assert large.values(body) == 7
    large.bounded(body)


def test_a_picture_does_not_wait_for_a_file_of_many_lines():
    gate = threading.Event()

    async def work():
        lines = asyncio.ensure_future(large.apart(gate.wait, 60, lines=True))
        try:
            assert await asyncio.wait_for(large.apart(lambda: "seen"), 30) == "seen"
            assert not lines.done()
        finally:
            gate.set()
        assert await lines

    asyncio.run(work())


def test_a_large_request_is_what_its_bytes_are():
    chat = table.of("POST", "/v1/chat/completions")
    assert chat is not None
    texts = [{"role": "user", "content": "x" * splice.LARGE}]
    plain, spaced = (json.dumps({"model": "m", "messages": texts}, separators=how).encode() for how in ((",", ":"), (", ", ": ")))  # fmt: skip
    one, same, other = (meaning.meaning(chat.asked(raw, orjson.loads(raw))) for raw in (plain, plain, spaced))
    assert one == same != other
    assert len(one) == 32


def test_personal_data_in_a_long_text_is_found_wherever_a_piece_of_it_ends():
    chat = table.of("POST", "/v1/chat/completions")
    assert chat is not None
    for filler in ("some plain words and more of them. ", "lines of words\n"):
        text = (filler * 7 + "write to anna.b@example.com or +49 170 1234567 ") * (5 * redact.PIECE // 250)
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        found = redact.redacted(Asked(orjson.dumps(body), body, "m"), chat, ())
        assert found is not None
        assert sorted(found[1].values.values()) == ["+49 170 1234567", "anna.b@example.com"]
        assert "@" not in found[0].body["messages"][0]["content"]
    plain = {"model": "m", "messages": [{"role": "user", "content": "words " * redact.PIECE}]}
    assert redact.redacted(Asked(orjson.dumps(plain), plain, "m"), chat, ()) is None


def test_placeholders_of_the_clients_own_in_a_large_body_are_not_given_again():
    chat = table.of("POST", "/v1/chat/completions")
    assert chat is not None
    text = "<EMAIL_7> " + "words < and more " * (redact.PIECE // 10) + "a.b@example.com"
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    found = redact.redacted(Asked(orjson.dumps(body), body, "m"), chat, ())
    assert found is not None
    assert found[1].values == {"<EMAIL_8>": "a.b@example.com"}
