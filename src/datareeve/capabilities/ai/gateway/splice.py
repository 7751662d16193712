"""Changing one value of a JSON body without touching its other bytes.

Two facts carry it. A body that equals what a serialiser writes from its parsed form (so do those of the official SDKs) has no repeated,
escaped or odd key at any depth, and may be written anew by it: the other bytes come out as they were. Any other body is scanned: its
top-level members are found by one regular expression, and only the span of a value is replaced. Both take bodies that were parsed as
JSON before (RFC 8259); a body that was not must not come here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SPACED = json.JSONEncoder().encode  # as Python's `json.dumps` writes, and so `requests`
_START = 64  # bytes in which a body shows whether it is written with spaces
_DEPTH = 24  # containers within a value that one match crosses; deeper ones are walked
LARGE = 256 * 1024  # bytes of a body that no match crosses as a whole: it would hold up all others
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SPACE = rb"[ \t\r\n]*+"


def _nested(depth: int) -> bytes:
    """A whole array or object. Whether its brackets are of one kind was settled when the body was parsed."""
    pattern = rb"(?!)"
    for _ in range(depth):
        pattern = rb'[\[{](?:[^"\[\]{}]++|' + _STRING + rb"|" + pattern + rb")*+[\]}]"
    return pattern


_KEY = re.compile(_SPACE + b",?" + _SPACE + b"(" + _STRING + b")" + _SPACE + b":" + _SPACE, re.DOTALL)
_COLON = re.compile(_SPACE + b":" + _SPACE)
_VALUE = re.compile(_STRING + rb'|[^"\[\]{},\s]++|' + _nested(_DEPTH), re.DOTALL)
_ITEM = re.compile(_SPACE + rb",?" + _SPACE + rb"(?=[^\s\]])")
_TOKEN = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
_SIGN = re.compile(rb'["\[\]{}]')


def members(raw: bytes, at: int = 0) -> Iterator[tuple[str, int, int]]:
    """Each member of the object that begins at or after byte `at`, in order, repeated ones too: its key unescaped, its value's span."""
    position = raw.index(b"{", at) + 1
    while (key := _KEY.match(raw, position)) is not None:
        start = key.end()
        position = _end(raw, start)
        yield _unescaped(key[1]), start, position


def elements(raw: bytes, at: int) -> Iterator[tuple[int, int]]:
    """The span of each element of the array that begins at byte `at`."""
    position = at + 1
    while (found := _ITEM.match(raw, position)) is not None:
        start = found.end()
        position = _end(raw, start)
        yield start, position


def top_level(raw: bytes, name: str) -> list[tuple[int, int]]:
    """The spans of the values of a top-level key: more than one where it is repeated, however it is escaped."""
    return [(start, end) for key, start, end in members(raw) if key == name]


def top_level_span(raw: bytes, at: int, name: str) -> tuple[int, int]:
    """The span of the only value of that key, in the object that begins at byte `at`. Errors: KeyError."""
    for key, start, end in members(raw, at):
        if key == name:
            return start, end
    raise KeyError(name)


def span(raw: bytes, name: str) -> tuple[int, int]:
    """The span of the value of a top-level key that stands there once. Errors: KeyError."""
    return _alone(raw, name) or top_level_span(raw, 0, name)


def replaced(raw: bytes, name: str, value: bytes) -> bytes:
    """`raw` with the JSON `value` for that top-level key, wherever it stands: it must stand somewhere, else KeyError."""
    alone = _alone(raw, name)
    spans = [alone] if alone is not None else top_level(raw, name)
    if not spans:
        raise KeyError(name)
    return put(raw, ((start, end, value) for start, end in spans))


def put(raw: bytes, changes: Iterator[tuple[int, int, bytes]]) -> bytes:
    """`raw` with other bytes at these spans, which come in order and do not overlap."""
    parts: list[bytes] = []
    last = 0
    for start, end, value in changes:
        parts += (raw[last:start], value)
        last = end
    return b"".join((*parts, raw[last:]))


def added(raw: bytes, name: str, value: bytes) -> bytes:
    """`raw` with one more top-level member, at the end."""
    close = raw.rindex(b"}")
    comma = b"" if raw[:close].strip().endswith(b"{") and next(members(raw), None) is None else b","
    return b"".join((raw[:close], comma, orjson.dumps(name), b":", value, raw[close:]))


def changed(raw: bytes, body: Mapping[str, Any], values: Mapping[str, Any]) -> bytes:
    """`raw`, whose parsed form is `body`, with these top-level values instead of, or beside, its own."""
    if not values:
        return raw
    if orjson.dumps(body) == raw:
        return orjson.dumps({**body, **values})
    for name, value in values.items():
        edit = replaced if name in body else added
        raw = edit(raw, name, orjson.dumps(value))
    return raw


def plain(raw: bytes, body: object) -> bool:
    """Whether a serialiser writes `raw`, byte by byte, from its parsed form: then no key stands twice in it, at any depth."""
    if orjson.dumps(body) == raw:
        return True
    return len(raw) <= LARGE and raw.find(b'": ', 0, _START) > 0 and _SPACED(body).encode() == raw


def repeated(raw: bytes, body: Mapping[str, Any]) -> str | None:
    """A top-level key that stands twice, so that two readers may read two things; None where there is none."""
    if plain(raw, body):
        return None
    seen: set[str] = set()
    for key, _, _ in members(raw):
        if key in seen:
            return key
        seen.add(key)
    return None


def _alone(raw: bytes, name: str) -> tuple[int, int] | None:
    """The span of a top-level key's value where the key is written once in all the body and nothing is written in escapes; else None."""
    key = orjson.dumps(name)
    at = raw.find(key)
    if at < 0 or raw.find(key, at + 1) >= 0 or b"\\u" in raw:
        return None
    colon = _COLON.match(raw, at + len(key))
    return (colon.end(), _end(raw, colon.end())) if colon is not None else None


def _end(raw: bytes, start: int) -> int:
    """Where the value that begins at `start` ends."""
    if len(raw) > LARGE:
        return _end_in_large(raw, start)
    found = _VALUE.match(raw, start)
    return _end_of_deep(raw, start) if found is None else found.end()


def _end_of_deep(raw: bytes, start: int) -> int:
    """The end of a container that is nested too deep for one match."""
    depth = 0
    for token in _TOKEN.finditer(raw, start):
        sign = token[0]
        depth += sign in b"[{"
        depth -= sign in b"]}"
        if depth == 0:
            return token.end()
    raise ValueError("a container without its end")


def _end_in_large(raw: bytes, start: int) -> int:
    """The same as many short looks."""
    if raw[start : start + 1] == b'"':
        return _end_of_string(raw, start)
    if raw[start : start + 1] not in (b"[", b"{"):
        found = _VALUE.match(raw, start)
        return start if found is None else found.end()
    depth, at = 0, start
    while (sign := _SIGN.search(raw, at)) is not None:
        at = _end_of_string(raw, sign.start()) if sign[0] == b'"' else sign.end()
        depth += (sign[0] in b"[{") - (sign[0] in b"]}")
        if depth == 0:
            return at
    raise ValueError("a container without its end")


def _end_of_string(raw: bytes, start: int) -> int:
    at = start + 1
    while (quote := raw.find(b'"', at)) >= 0:
        before = raw[at:quote]
        at = quote + 1
        if (len(before) - len(before.rstrip(b"\\"))) % 2 == 0:
            return at
    raise ValueError("a string without its end")


def _unescaped(key: bytes) -> str:
    if b"\\" in key:
        return str(orjson.loads(key))
    return key[1:-1].decode()
