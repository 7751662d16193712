from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.ai.gateway import splice

TEXT = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=12)
NUMBER = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
SPACE = st.sampled_from(("", " ", "\n", "\t ", "\r\n  "))


def _string(text: str, style: int) -> str:
    if style == 0:
        return json.dumps(text, ensure_ascii=False)
    if style == 1:
        return json.dumps(text)
    return '"' + "".join(f"\\u{unit:04x}" for unit in _units(text)) + '"'


def _units(text: str) -> list[int]:
    data = text.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2)]


@st.composite
def _written(draw, value):
    """A value's JSON in any style: spaces anywhere, strings escaped in any way."""
    gap = lambda: draw(SPACE)  # noqa: E731
    if type(value) is str:
        return _string(value, draw(st.integers(0, 2)))
    if type(value) is list:
        return "[" + ",".join(gap() + draw(_written(v)) + gap() for v in value) + "]"
    if type(value) is dict:
        pairs = (
            f"{gap()}{draw(_written(k))}{gap()}:{gap()}{draw(_written(v))}{gap()}" for k, v in value.items()
        )
        return "{" + ",".join(pairs) + "}"
    return json.dumps(value)


@st.composite
def _bodies(draw):
    body = draw(st.dictionaries(TEXT | st.just("model"), VALUE, max_size=5))
    return body, (draw(SPACE) + draw(_written(body)) + draw(SPACE)).encode()


@given(_bodies())
def test_the_members_of_any_json_object_are_found_however_it_is_written(made):
    body, raw = made
    found = [(key, orjson.loads(raw[start:end])) for key, start, end in splice.members(raw)]
    assert found == list(body.items())


@given(_bodies(), TEXT)
def test_a_changed_body_says_the_new_value_and_all_else_as_before(made, model):
    body, raw = made
    told = splice.changed(raw, body, {"model": model})
    assert orjson.loads(told) == {**body, "model": model}
    if "model" in body:
        [(start, end)] = splice.top_level(raw, "model")
        assert told == raw[:start] + orjson.dumps(model) + raw[end:]


@given(st.lists(st.tuples(st.sampled_from(("model", "n", "x")), VALUE), min_size=1, max_size=5), st.data())
def test_a_key_that_stands_twice_is_found_however_it_is_written(pairs, data):
    raw = (
        "{" + ",".join(f"{data.draw(_written(k))}:{data.draw(_written(v))}" for k, v in pairs) + "}"
    ).encode()
    names = [key for key, _ in pairs]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    assert splice.repeated(raw, orjson.loads(raw)) == twice


@given(_bodies())
def test_the_elements_of_a_list_are_found(made):
    body, raw = made
    whole = b'{"requests":[' + raw + b" , 1 ,[]]}"
    start, _ = splice.top_level(whole, "requests")[0]
    assert [orjson.loads(whole[s:e]) for s, e in splice.elements(whole, start)] == [body, 1, []]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"model":"a","x":1.0}', b'{"model":"b","x":1.0}'),
        (b'{ "x" : 1e5,\n "model" : "a" }', b'{ "x" : 1e5,\n "model" : "b" }'),
        (b'{"x":{"model":"a"}, "model":"a"}', b'{"x":{"model":"a"}, "model":"b"}'),
        (b'{"x":"model", "model":"a"}', b'{"x":"model", "model":"b"}'),
        (rb'{"x":"\"model\":\"a\"", "model":"a"}', rb'{"x":"\"model\":\"a\"", "model":"b"}'),
        (rb'{"mod\u0065l":"\u0061"}', rb'{"mod\u0065l":"b"}'),
        (rb'{"x":"\u0041","model":"a"}', rb'{"x":"\u0041","model":"b"}'),
    ],
)
def test_only_the_bytes_of_the_model_change(raw, told):
    assert splice.changed(raw, orjson.loads(raw), {"model": "b"}) == told


def test_each_of_several_equal_keys_is_replaced():
    assert (
        splice.replaced(rb'{"model":1,"\u006dodel":{"a":[]},"x":0}', "model", b'"b"')
        == rb'{"model":"b","\u006dodel":"b","x":0}'
    )


@pytest.mark.parametrize(
    ("raw", "told"), [(b"{}", b'{"a":1}'), (b"{ }\n", b'{ "a":1}\n'), (b'{"b":"{"} ', b'{"b":"{","a":1} ')]
)
def test_a_member_is_added_at_the_end(raw, told):
    assert splice.added(raw, "a", b"1") == told


def test_a_value_nested_a_thousand_deep_is_crossed_in_time():
    raw = b'{"a": ' + b'[{"b":' * 500 + b"1" + b"}]" * 500 + b', "model":"x"}'
    assert splice.top_level(raw, "model") == [(len(raw) - 4, len(raw) - 1)]
    wide = b'{"a": [' + b'["\\"]",{}],' * 100_000 + b'1], "model":"x"}'
    assert splice.changed(wide, orjson.loads(wide), {"model": "y"}).endswith(b'"model":"y"}')
