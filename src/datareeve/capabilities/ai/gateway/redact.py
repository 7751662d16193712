"""Personal data stays here: what of a prompt is personal goes out as `<EMAIL_1>`, and comes back in the answer as it was.

A value has one placeholder within a request, numbered in order of appearance: a conversation that grows keeps the placeholders of its earlier
turns, so that providers' prompt caches still know it. The map of them lives as long as the request and is written nowhere.

What is looked at: every text of the body, except what is program rather than prompt (`NOT_TEXT`: ids, names, tools' definitions, media). JSON
within a text, and arguments of earlier calls, are read as what they are, so that columns named in the estate are found there.
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from datareeve.capabilities.ai.gateway import large
from datareeve.capabilities.ai.gateway.dialects import Problem, Refusal
from datareeve.capabilities.ai.gateway.dialects.batches import Creation, Upload
from datareeve.capabilities.ai.gateway.dialects.passing import Conversation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.capabilities.ai.gateway.dialects import Asked, Dialect

NOT_TEXT: Final = frozenset(
    """model role type id name call_id tool_call_id tool_use_id item_id file_id container_id previous_response_id media_type format
    image_url url file_url data file_data input_audio audio encrypted_content signature tools functions tool_choice function_call_name
    response_format output_config modalities stop stop_sequences logit_bias service_tier reasoning_effort include stream_options cache_control
    mcp_servers container status detail encoding_format prompt_cache_key""".split()
)  # fmt: skip
WRITTEN_JSON: Final = frozenset(("arguments",))  # texts that are JSON
OBJECTS: Final = frozenset(("input", "arguments", "args"))  # JSON of tools: no key in it is the protocol's
IRREVERSIBLE: Final = (Creation, Upload, Conversation)  # read later, when nobody knows the placeholders
LARGE: Final = 64 * 1024  # bytes of a body that is looked through in a thread
PIECE: Final = 128 * 1024  # characters of a text that are looked at at once
NEAR: Final = 4096  # before the end of a piece, where it may end between two words
LEAST_KNOWN: Final = 4  # characters of a column's value that is looked for elsewhere too
_WRITTEN: Final = re.compile(r"<([A-Z][A-Z0-9_]*)_(\d+)>")
_BETWEEN: Final = re.compile(r"[^\W\d]{2}[,.;]? (?=[^\W\d]{2})")
_NO_NAME: Final = re.compile(r"[^A-Z0-9]+")


class Placeholders:
    """What stands for what, of one request."""

    __slots__ = ("_counts", "_names", "values")

    def __init__(self, raw: bytes) -> None:
        self.values: dict[str, str] = {}  # by placeholder
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        for kind, number in _written(raw.decode("utf-8", "replace")) if b"_" in raw and b"<" in raw else ():
            self._counts[kind] = max(
                self._counts.get(kind, 0), int(number[:9])
            )  # the client's own: not ours to put back

    def of(self, kind: str, value: str) -> str:
        """The placeholder of a value."""
        known = self._names.get((kind, value))
        if known is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self._names[kind, value] = f"<{kind}_{number}>"
            self.values[known] = value
        return known

    def known(self, values: Sequence[str]) -> re.Pattern[str] | None:
        """What finds these values as whole words."""
        words = sorted({v for v in values if len(v) >= LEAST_KNOWN}, key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)") if words else None


def load() -> None:
    """Load what finds personal data: many patterns, which take a moment, before the first prompt is looked through."""
    from datareeve.core.personal_data import text  # noqa: F401, PLC0415 - only where an estate redacts


async def looked_through(
    asked: Asked, dialect: Dialect, columns: tuple[str, ...]
) -> tuple[Asked, Placeholders] | None:
    """As `redacted`, which a large body is given to in a thread: others do not wait for it."""
    if len(asked.raw) < LARGE:
        return redacted(asked, dialect, columns)
    if len(asked.raw) > large.LARGE:
        return await large.apart(redacted, asked, dialect, columns)
    return await asyncio.to_thread(redacted, asked, dialect, columns)


def redacted(asked: Asked, dialect: Dialect, columns: tuple[str, ...]) -> tuple[Asked, Placeholders] | None:
    """The request without its personal data, and what stands for what; None where it has none.

    Errors: `Refusal` `gateway.not-redactable`; those of reading the request.
    """
    if isinstance(dialect, IRREVERSIBLE):
        raise Refusal(_not_redactable())
    if not dialect.reads_json:
        return None
    placeholders = Placeholders(asked.raw)
    body = _Reader(placeholders, columns).body(asked.body)
    if body is asked.body:
        return None
    return dialect.asked(orjson.dumps(body), body), placeholders


class _Reader:
    """Goes through one body. What has nothing personal in it comes back as the same object."""

    def __init__(self, placeholders: Placeholders, columns: tuple[str, ...]) -> None:
        from datareeve.core.personal_data.text import find  # noqa: PLC0415 - see `load`

        self._find = find
        self._placeholders = placeholders
        self._columns = named(columns)
        self._in_json = _patterns(tuple(self._columns)) if self._columns else ()
        self._known: re.Pattern[str] | None = None
        self._kinds: dict[str, str] = {}

    def body(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body. Where columns had values, those are looked for in all of its texts."""
        found = self._fields(body, free=False)
        self._known = self._placeholders.known(list(self._kinds))
        return self._fields(found, free=False) if self._known is not None else found

    def _any(self, value: Any, *, free: bool) -> Any:
        kind = type(value)
        if kind is str:
            return self._text(value)
        if kind is list:
            return self._items(value, free=free)
        if kind is dict:
            return self._fields(value, free=free)
        return value

    def _items(self, items: list[Any], *, free: bool) -> list[Any]:
        if items and type(items[0]) is int:  # tokens
            return items
        changed = [self._any(item, free=free) for item in items]
        return changed if any(a is not b for a, b in zip(changed, items, strict=True)) else items

    def _fields(self, fields: dict[str, Any], *, free: bool) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        for name, value in fields.items():
            new = self._field(name, value, fields, free=free)
            if new is not value:
                changes[name] = new
        return {**fields, **changes} if changes else fields

    def _field(self, name: str, value: Any, fields: dict[str, Any], *, free: bool) -> Any:
        """`free`: within a tool's own JSON, where names are the user's."""
        if free:
            kind = self._columns.get(name.lower()) if self._columns else None
            return self._any(value, free=True) if kind is None else self._column(kind, value)
        if name in NOT_TEXT and not (name == "data" and fields.get("type") == "text"):
            return value
        if name in WRITTEN_JSON and type(value) is str:
            return self._json(value)
        inner = name in OBJECTS and type(value) is dict
        return self._any(value, free=inner)

    def _column(self, kind: str, value: Any) -> Any:
        """A value of a column that the estate names, whatever it is."""
        if type(value) is list:
            return [self._column(kind, item) for item in value]
        if type(value) is dict:
            return {name: self._column(kind, item) for name, item in value.items()}
        if value is None or value == "" or type(value) is bool:
            return value
        return self._stands_for(kind, value if type(value) is str else orjson.dumps(value).decode())

    def _stands_for(self, kind: str, value: str) -> str:
        if value in self._placeholders.values:  # it was seen to already
            return value
        self._kinds[value] = kind
        return self._placeholders.of(kind, value)

    def _json(self, text: str) -> str:
        """A text that is JSON: its strings are looked at as what they mean."""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return self._text(text)
        changed = self._any(value, free=True)
        return text if changed is value else orjson.dumps(changed).decode()

    def _text(self, text: str) -> str:
        if len(text) > PIECE:
            joined = "".join(map(self._text, _pieces(text)))
            return text if joined == text else joined
        if self._known is not None:
            return self._known.sub(lambda m: self._placeholders.of(self._kinds[m[0]], m[0]), text)
        for pattern in self._in_json if '"' in text else ():
            text = pattern.sub(self._in_text, text)
        found = self._find(text)
        if not found:
            return text
        parts: list[str] = []
        last = 0
        for start, end, kind in found:
            parts += (text[last:start], self._placeholders.of(kind, text[start:end]))
            last = end
        return "".join((*parts, text[last:]))

    def _in_text(self, match: re.Match[str]) -> str:
        """A column's value in JSON that stands in a text, or in JSON that is written within that."""
        value = match["number"]
        if value is None:
            value = _meant(match["text"], written=len(match["quote"]))
        if not value:
            return match[0]
        kind, quote = self._columns[match["name"].lower()], match["quote"]
        return f"{match['head']}{quote}{self._stands_for(kind, value)}{quote}"


def _pieces(text: str) -> Iterator[str]:
    """A long text in pieces that end with a line, or between two words: no single look at it is long."""
    start = 0
    while len(text) - start > PIECE:
        end = start + PIECE
        lines = text.rfind("\n", start, end) + 1
        words = 0 if lines else max((m.end() for m in _BETWEEN.finditer(text, end - NEAR, end)), default=0)
        yield text[start : lines or words or end]
        start = lines or words or end
    yield text[start:]


def _written(text: str) -> Iterator[tuple[str, str]]:
    """What looks like a placeholder: its kind and its number."""
    if len(text) <= PIECE:
        yield from _WRITTEN.findall(text)
        return
    at = text.find("<")
    while at >= 0:
        if (found := _WRITTEN.match(text, at)) is not None:
            yield found[1], found[2]
        at = text.find("<", at + 1)


def named(columns: tuple[str, ...]) -> dict[str, str]:
    """The placeholders' kind of each column: `customers.full_name` is `full_name`, and stands as `<FULL_NAME_1>`."""
    last = (column.rpartition(".")[2].lower() for column in columns)
    return {name: _NO_NAME.sub("_", name.upper()).strip("_") or "VALUE" for name in last if name}


@lru_cache(maxsize=8)
def _patterns(names: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What finds columns in JSON, and in JSON that is itself a string in JSON."""
    words = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    head = rf"(?P<name>{words})(?P=quote)\s*:\s*)"
    number = r"(?P<number>-?\d+(?:\.\d+)?)"
    plain = r'(?P<head>(?<!\\)(?P<quote>")' + head + rf'(?:"(?P<text>(?:[^"\\]|\\.)*)"|{number})'
    inner = (
        r'(?P<head>(?<!\\)(?P<quote>\\{1,15}")'
        + head
        + rf"(?:(?P=quote)(?P<text>.*?)(?<!\\)(?P=quote)|{number})"
    )
    return re.compile(plain, re.IGNORECASE | re.DOTALL), re.compile(inner, re.IGNORECASE | re.DOTALL)


def _meant(text: str, *, written: int) -> str:
    """What a JSON string means; `written`: the length of its quotes, 1, 2, 4 …, by how often it was written as a string again."""
    for _ in range(written.bit_length()):
        if "\\" not in text:
            break
        try:
            text = str(orjson.loads(f'"{text}"'))
        except orjson.JSONDecodeError:
            break
    return text


def _not_redactable() -> Problem:
    message = (
        "Personal data is taken out of prompts here, and could not be put back into answers that come later: "
        "files, batches and conversations' items are not taken. Ask one by one, or take `privacy: redact` out of estate.yaml."
    )
    return Problem(400, "bad_request", "gateway.not-redactable", message)
