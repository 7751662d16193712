"""Server-sent events as they come: bytes in, the data of each whole event out (WHATWG HTML, "Server-sent events").

Both protocols say an event's kind within its data, so that `event:` lines, ids and comments need not be read.
"""

from __future__ import annotations

MAX_EVENT = 32 * 1024 * 1024
"""Bytes of one event; a provider that sends more of one sends garbage."""


class Oversized(Exception):
    """An event is longer than any protocol's."""


class Events:
    """Takes a stream in pieces cut anywhere."""

    __slots__ = ("_data", "_rest", "_size")

    def __init__(self) -> None:
        self._rest = b""  # of an unfinished line
        self._data: list[bytes] = []  # lines of an unfinished event
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of every event that these bytes complete. Errors: `Oversized`."""
        held = self._rest + piece if self._rest else piece
        if b"\r" in held:
            held, self._rest = (held[:-1], b"\r") if held.endswith(b"\r") else (held, b"")
            held = held.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            lines = held.split(b"\n")
            self._rest = lines.pop() + self._rest
        else:
            lines = held.split(b"\n")
            self._rest = lines.pop()
        whole = [event for line in lines if (event := self._line(line)) is not None]
        if len(self._rest) + self._size > MAX_EVENT:
            raise Oversized
        return whole

    def flush(self) -> list[bytes]:
        """The data of a last event whose empty line never came."""
        line, self._rest = self._rest.rstrip(b"\r"), b""
        before = self._line(line) if line else None
        last = self._line(b"")
        return [event for event in (before, last) if event is not None]

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            if not self._data:
                return None
            event = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            self._data, self._size = [], 0
            return event
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            self._size += len(line)
        return None
