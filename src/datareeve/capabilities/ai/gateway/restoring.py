"""Placeholders become what they stand for again: in whole answers, and in streams, where one may come in pieces.

A piece of text that may be the beginning of a placeholder is held back until the rest has come; then both go out in one event. What belongs
together is told by the event itself: the choice and field of a chat's delta, the block of a message, the item of a response. A value that goes
into JSON which is itself a text (the arguments of a tool's call) is escaped for that as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.capabilities.ai.gateway.redact import Placeholders

_WRITTEN: Final = re.compile(r"<[A-Z][A-Z0-9_]*_\d+>")
_BEGUN: Final = re.compile(r"<(?:[A-Z][A-Z0-9_]*)?\Z")
_LONGEST: Final = 96  # characters of a placeholder
_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?=[^\n]))")
_DATA: Final = re.compile(rb"^data: ?(.*)$", re.MULTILINE)
_SIGNS: Final = (b"<", b"\\u003c", b"\\u003C")
MOST_HELD: Final = 8 << 20  # bytes of an event; what is longer passes as it is

NESTED: Final = frozenset(("arguments", "partial_json"))  # texts that are JSON

Belongs = tuple[Any, ...]
Slot = tuple[
    dict[str, Any], str, bool, Belongs
]  # where a piece stands: object, field, whether it is JSON's text; and of what it is one


class Restorer:
    """Puts one request's values back. It is a stream's `Changer`."""

    __slots__ = ("_held", "_kept", "_last", "_values")

    def __init__(self, placeholders: Placeholders) -> None:
        self._values = placeholders.values
        self._held = bytearray()  # of an event whose end has not come
        self._kept: dict[Belongs, str] = {}  # beginnings of placeholders, by what they belong to
        self._last: dict[Belongs, tuple[bytes, bytes]] = {}  # the event that one came in: its lines, its data

    # -- whole answers -------------------------------------------------------------------------------------------------------------

    def whole(self, body: bytes) -> bytes:
        """A whole answer."""
        if not any(sign in body for sign in _SIGNS):
            return body
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self._text(body.decode("utf-8", "replace")).encode() if self._any_in(body) else body
        return orjson.dumps(value) if self._put_back(value) else body

    def _any_in(self, body: bytes) -> bool:
        return any(placeholder.encode() in body for placeholder in self._values)

    def _put_back(self, value: Any) -> bool:
        """Change every text below a list or an object; whether any was."""
        items = (
            list(enumerate(value))
            if type(value) is list
            else list(value.items())
            if type(value) is dict
            else ()
        )
        changed = False
        for name, item in items:
            if type(item) is not str:
                changed |= self._put_back(item)
            elif "<" in item and (new := self._text(item, nested=name in NESTED)) is not item:
                value[name] = new
                changed = True
        return changed

    def _text(self, text: str, *, nested: bool = False, before: str = "") -> str:
        """A text with its values; `nested`: it is JSON. So is a placeholder taken that follows a quote: most likely it stands in one."""

        def value(match: re.Match[str]) -> str:
            found = self._values.get(match[0])
            if found is None:
                return match[0]
            start = match.start()
            quoted = nested or (text[start - 1] if start else before) == '"'
            return orjson.dumps(found).decode()[1:-1] if quoted else found

        changed = _WRITTEN.sub(value, text)
        return text if changed == text else changed

    # -- streams -------------------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came; gives those to send on, an event at a time."""
        held = self._held
        if (
            not held
            and not self._kept
            and data.endswith(b"\n\n")
            and not any(sign in data for sign in _SIGNS)
        ):
            return data
        seen = max(0, len(held) - 3)
        held += data
        sent, start = [], 0
        for blank in _BLANK_LINE.finditer(held, seen):
            sent.append(self._event(bytes(held[start : blank.end()])))
            start = blank.end()
        del held[:start]
        if len(held) > MOST_HELD:
            sent.append(bytes(held))
            held.clear()
        return b"".join(sent)

    def flush(self) -> bytes:
        """What is left at the end."""
        rest, self._held = bytes(self._held), bytearray()
        return self._let_go(list(self._kept)) + (self._event(rest) if rest else b"")

    def _event(self, event: bytes) -> bytes:
        if not self._kept and not any(sign in event for sign in _SIGNS):
            return event
        data = _DATA.search(event)
        if data is None or event.count(b"data:") > 1 + data[1].count(
            b"data:"
        ):  # a comment, or data of several lines
            return event
        payload = data[1].rstrip(b"\r")
        try:
            value = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return self._let_go(list(self._kept)) + event  # [DONE]
        if type(value) is not dict:
            return event
        return self._changed(event, payload, value)

    def _changed(self, event: bytes, payload: bytes, value: dict[str, Any]) -> bytes:
        slots = list(_slots(value))
        ours = [of for *_, of in slots]
        over = _over(value, [*self._kept, *ours])
        before = self._let_go([of for of in over if of not in ours])
        pieces = []
        for place, name, nested, of in slots:
            text = self._kept.pop(of, "") + place[name]
            if of not in over:
                text = self._kept_back(text, of, (event, payload))
            pieces.append(self._text(text, nested=nested))
            place[name] = ""
        changed = self._put_back(value)  # beside its pieces, whole texts
        for (place, name, *_), piece in zip(slots, pieces, strict=True):
            place[name] = piece
        return before + (event.replace(payload, orjson.dumps(value), 1) if changed or slots else event)

    def _kept_back(self, text: str, of: Belongs, event: tuple[bytes, bytes]) -> str:
        """What of a text can go out now: what may be the beginning of a placeholder is kept."""
        begun = _BEGUN.search(text, max(0, len(text) - _LONGEST))
        if begun is None or not any(placeholder.startswith(begun[0]) for placeholder in self._values):
            return text
        self._kept[of] = begun[0]
        self._last[of] = event
        return text[: begun.start()]

    def _let_go(self, over: Sequence[Belongs]) -> bytes:
        """What was kept and turned out to be no placeholder, in an event like the one it came in."""
        sent = []
        for of in over:
            kept = self._kept.pop(of, "")
            if not kept:
                continue
            event, payload = self._last.pop(of)
            value = orjson.loads(payload)
            for place, name, _, whose in _slots(value):
                place[name] = kept if whose == of else ""
            sent.append(event.replace(payload, orjson.dumps(value), 1))
        return b"".join(sent)


def _slots(value: dict[str, Any]) -> Iterator[Slot]:
    """The pieces of text that an event brings."""
    kind = value.get("type")
    if kind == "content_block_delta":
        delta = value.get("delta")
        if type(delta) is dict:
            for name in ("text", "partial_json", "thinking"):
                if _is_piece(delta.get(name)):
                    yield delta, name, name == "partial_json", ("block", value.get("index"), name)
    elif type(kind) is str and kind.endswith(".delta"):
        if _is_piece(value.get("delta")):
            item = (
                value.get("item_id"),
                value.get("output_index"),
                value.get("content_index"),
                value.get("summary_index"),
            )
            yield value, "delta", "arguments" in kind, ("item", *item, kind)
    elif type(value.get("choices")) is list:
        for choice in value["choices"]:
            if type(choice) is dict:
                yield from _of_choice(choice)


def _of_choice(choice: dict[str, Any]) -> Iterator[Slot]:
    index, delta = choice.get("index"), choice.get("delta")
    if _is_piece(choice.get("text")):
        yield choice, "text", False, ("choice", index, "text")
    if type(delta) is not dict:
        return
    for name in ("content", "reasoning_content", "reasoning", "refusal"):
        if _is_piece(delta.get(name)):
            yield delta, name, False, ("choice", index, name)
    calls = delta.get("tool_calls")
    called = (
        [(call.get("index"), call.get("function")) for call in calls if type(call) is dict]
        if type(calls) is list
        else []
    )
    for number, function in (*called, (None, delta.get("function_call"))):
        if type(function) is dict and _is_piece(function.get("arguments")):
            yield function, "arguments", True, ("choice", index, "call", number)


def _is_piece(value: object) -> bool:
    return type(value) is str and value != ""


def _over(value: dict[str, Any], these: Sequence[Belongs]) -> list[Belongs]:
    """Of what texts are under way, those that end with this event."""
    kind = value.get("type")
    if kind == "content_block_stop":
        return [of for of in these if of[:2] == ("block", value.get("index"))]
    if kind in ("message_delta", "message_stop", "error"):
        return list(these)
    if type(kind) is str and kind.startswith("response."):
        return [] if kind.endswith(".delta") else _of_item(value, these)
    choices = value.get("choices")
    ended = (
        [c.get("index") for c in choices if type(c) is dict and c.get("finish_reason")]
        if type(choices) is list
        else []
    )
    return [of for of in these if of[0] == "choice" and of[1] in ended]


def _of_item(value: dict[str, Any], these: Sequence[Belongs]) -> list[Belongs]:
    """Those of the item that a response's event is about; all, where it is about the response."""
    inner = value.get("item")
    item = inner.get("id") if type(inner) is dict else value.get("item_id")
    return [of for of in these if item is None or of[1] == item]
