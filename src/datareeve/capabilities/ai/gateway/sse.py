"""Following a stream of server-sent events as its bytes pass by (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Bytes go on as they came, an event at a time: what is held is only the part of an event whose end has not come, so that a stream that
breaks never leaves half an event with the client. Once an answer has begun, an event is parsed only where its bytes hold one of the
dialect's marks (usage, error, end); text is laid by, and counted only if the provider never says what it used. The events of a stream
begin alike: one that begins as the last plain one did is searched from there on only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.usage import Tokens

MOST_HELD: Final = 8 * 1024 * 1024  # bytes of one event: beyond it, it passes in pieces
HEAD: Final = 4096  # bytes of such an event in which its type stands,
TAIL: Final = 64 * 1024  # and in which its usage does
MOST_UNREAD: Final = 64 * 1024  # bytes laid by before they are counted
DONE: Final = b"[DONE]"
_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?=[^\n]))")
_LINE_FEEDS: Final = re.compile(rb"\n\n")  # the same, faster, where there is no carriage return
_ENDS: Final = (b"\n\n", b"\r\n\r\n")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_NAMED: Final = re.compile(rb"^event: ?([a-z_.]{1,64})\r?$", re.MULTILINE)
_TYPED: Final = re.compile(rb'^data: ?\{\s*"type"\s*:\s*"([a-z_.]{1,64})"', re.MULTILINE)
USAGE: Final = re.compile(rb'"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})')


class EventScanner:
    """Splits a stream into events and reads those that matter. A dialect says what matters: `marked` and `read`."""

    __slots__ = (
        "_chars",
        "_head",
        "_held",
        "_long",
        "_unread",
        "_unread_size",
        "answer_id",
        "began",
        "complete",
        "failed",
        "tokens",
    )

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self.began = False
        self.complete = False
        self.failed = ""
        self.answer_id = ""
        self._chars = 0
        self._head = b""  # how the last plain event began
        self._held = bytearray()
        self._long: bytes | None = None  # how the event began that is too long to be held, while it passes
        self._unread: list[bytes] = []
        self._unread_size = 0

    # -- what a dialect says -----------------------------------------------------------------------------------

    def marked(self, data: bytes, start: int = 0) -> bool:
        """Whether these events must be read now. `start`: past the head of a single event. Cheap, and true rather than false."""
        raise NotImplementedError

    def head(self, event: bytes) -> int:
        """How many bytes of an event of one delta the next one shares; 0 where it is no such event."""
        raise NotImplementedError

    def read(self, event: dict[str, Any]) -> bool:
        """Take what an event says; False for one that the client did not ask for."""
        raise NotImplementedError

    def text(self, event: dict[str, Any]) -> int:
        """How many bytes of text an event brings, and what else is read of those laid by."""
        raise NotImplementedError

    # -- the stream --------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came; gives those to send on."""
        if self.began and not self._held and data.endswith(_ENDS) and self._laid_by(data):
            return data
        return self._split(data)

    def flush(self) -> bytes:
        """At the end: the last event where only its blank line is missing; half an event is not sent on."""
        tail = b"" if self._long is not None else bytes(self._held)
        self._held.clear()
        whole = _whole(tail)
        sent = tail if whole and self._taken(tail) else b""
        if not self.complete:
            self._count()
        return sent

    @property
    def output_chars(self) -> int:
        """Text so far, in bytes of UTF-8."""
        self._count()
        return self._chars

    # -- within ------------------------------------------------------------------------------------------------

    def _split(self, data: bytes) -> bytes:
        if self._long is not None:
            return self._pass(data)
        held = self._held
        seen = max(0, len(held) - 3)  # a blank line may begin in what was held: \r\n\r\n
        held += data
        sent, start = [], 0
        for blank in (_BLANK_LINE if b"\r" in held else _LINE_FEEDS).finditer(held, seen):
            event = bytes(held[start : blank.end()])
            start = blank.end()
            if self._taken(event):
                sent.append(event)
        del held[:start]
        if len(held) > MOST_HELD:
            self._long = bytes(held[:HEAD])
            sent.append(bytes(held))
            del held[:-TAIL]
        return b"".join(sent)

    def _pass(self, data: bytes) -> bytes:
        """The rest of an event that was too long."""
        held, head = self._held, self._long
        seen = len(held) - 3
        held += data
        end = _BLANK_LINE.search(held, seen)
        if end is None:
            del held[:-TAIL]
            return data
        self._long = None
        rest = bytes(held[end.end() :])
        del held[end.start() :]
        self._passed(head or b"", bytes(held[-TAIL:]))
        held.clear()
        return data[: len(data) - len(rest)] + self._split(rest)

    def _passed(self, head: bytes, tail: bytes) -> None:
        """What is known of an event that was too long: its type, and the last usage in it, which no text can have written unescaped."""
        said = _NAMED.search(head) or _TYPED.search(head)
        event: dict[str, Any] = {"type": said[1].decode()} if said is not None else {}
        usage = USAGE.search(tail, max(0, tail.rfind(b'"usage"')))
        if usage is not None and (found := _parsed(usage[1])) is not None:
            event |= {"usage": found, "message": {"usage": found}}
        self.began = True
        self.text(event)
        self.read(event)

    def _taken(self, event: bytes) -> bool:
        """Read an event if it must be; whether it is sent on."""
        if self.began and self._laid_by(event):
            return True
        payload = payload_of(event)
        if payload is None:
            return True
        if payload == DONE:
            self.complete = True
            return True
        found = _parsed(payload)
        if found is None:
            return True
        self._chars += self.text(found)
        return self.read(found)

    def _laid_by(self, data: bytes) -> bool:
        """Lay whole events by, unless one of them must be read now."""
        head = self._head
        alike = len(head)
        if not (alike and data.startswith(head) and data.find(b"\n", alike) == len(data) - 2):
            alike = 0
        if self.marked(data, alike):
            return False
        if not alike:
            self._head = data[: self.head(data)]
        self._unread.append(data)
        self._unread_size += len(data)
        if self._unread_size > MOST_UNREAD:
            self._count()
        return True

    def _count(self) -> None:
        """Read what was laid by."""
        if not self._unread:
            return
        events = _BLANK_LINE.split(b"".join(self._unread))
        self._unread.clear()
        self._unread_size = 0
        for event in events:
            payload = payload_of(event)
            found = _parsed(payload) if payload else None
            if found is not None:
                self._chars += self.text(found)


def payload_of(event: bytes) -> bytes | None:
    """The data of an event, its lines joined; None where it has none (a comment, a bare name)."""
    if event.startswith(_BYTE_ORDER_MARK):
        event = event[3:]
    lines = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
    if len(lines) == 1:
        return lines[0].strip()
    return b"\n".join(lines).strip() if lines else None


def _parsed(payload: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return found if type(found) is dict else None


def _whole(tail: bytes) -> bool:
    """Whether an event lacks nothing but its end."""
    payload = payload_of(tail)
    if payload is None:
        return not tail.strip() or tail.startswith(b":")
    return payload == DONE or _parsed(payload) is not None


def size(*texts: object) -> int:
    """The bytes of those that are text."""
    return sum(
        len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        for text in texts
        if type(text) is str
    )


def written(value: object) -> int:
    """The bytes of a value's JSON; 0 for what an upstream nested too deep to be written."""
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        return 0
