"""JSON documents: the rows of `data.items`, found as the bytes pass by, so that no document is ever held whole."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from datareeve.core.errors import BadInput, Failed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
ENDS = {b"}": b"{", b"]": b"["}
DEEPEST = 1000


def is_lines(head: bytes) -> bool:
    """Whether what is called .json holds an object a line."""
    first, _, rest = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    try:
        return isinstance(json.loads(first), dict) and rest.lstrip()[:1] == b"{"
    except (ValueError, RecursionError):
        return False


def write_records(pieces: Iterator[bytes], at: str, to: Path, longest: int, name: str) -> None:
    """The records of a document as JSON Lines. Errors: `pipelines.not-json`, `pipelines.file-cut-off`, `pipelines.json-records`, `pipelines.json-record`."""
    with to.open("wb") as target:
        for record in Records([step for step in at.split(".") if step], longest, name).of(pieces):
            target.write(record.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n")


class Records:
    """Where in a document we are: `kinds` of what is open, and the `keys` that led there."""

    def __init__(self, path: list[str], longest: int, name: str) -> None:
        self.path, self.longest, self.name = path, longest, name
        self.kinds: list[bytes] = []
        self.keys: list[str | None] = []
        self.expects_key = False
        self.inside: int | None = None  # how deep the array of the rows is
        self.start: int | None = None  # of the row that is passing by, in the buffer
        self.depth = 0  # at which it began
        self.reached = False

    def of(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Each record's bytes."""
        buffer, seen = b"", 0
        for piece in pieces:
            buffer += piece if buffer or self.kinds or self.reached else piece.removeprefix(b"\xef\xbb\xbf")
            for token in TOKEN.finditer(buffer, seen):
                if token.end() == len(buffer):  # it may go on in the next piece
                    break
                seen = token.end()
                yield from self._token(token, buffer)
            buffer, seen = self._kept(buffer, seen)
        for token in TOKEN.finditer(buffer, seen):
            yield from self._token(token, buffer)
        self._must_be_whole()

    def _kept(self, buffer: bytes, seen: int) -> tuple[bytes, int]:
        keep = seen if self.start is None else self.start
        if len(buffer) - keep > self.longest:
            raise Failed("pipelines.json-record", f"{self.name}: a record is longer than {self.longest:,} bytes.", "Raise read_as.longest_line, or say in `records` where the rows are.")  # fmt: skip
        self.start = None if self.start is None else 0
        return buffer[keep:], seen - keep

    def _token(self, token: re.Match[bytes], buffer: bytes) -> Iterator[bytes]:
        sign = buffer[token.start() : token.start() + 1]
        if sign in b"{[":
            self._opened(sign, token.start())
        elif sign in b"}]":
            yield from self._closed(sign, token.end(), buffer)
        elif sign == b",":
            self.expects_key = self.kinds[-1:] == [b"{"]
        elif sign != b":":
            yield from self._scalar(token[0])

    def _scalar(self, text: bytes) -> Iterator[bytes]:
        if self.expects_key:
            try:
                self.keys[-1] = str(json.loads(text))
            except ValueError:
                raise self._not_json() from None
            self.expects_key = False
        elif self.start is None and self._is_row():
            yield text

    def _opened(self, sign: bytes, place: int) -> None:
        if self.start is None:
            if self._is_row():
                self.start, self.depth = place, len(self.kinds)
            elif self.inside is None and self.keys == self.path:
                self._arrived(sign, place)
        if len(self.kinds) >= DEEPEST:
            raise self._not_json()
        self.kinds.append(sign)
        self.keys.append(None)
        self.expects_key = sign == b"{"

    def _arrived(self, sign: bytes, place: int) -> None:
        self.reached = True
        if sign == b"[":
            self.inside = len(self.kinds) + 1
        else:
            self.start, self.depth = place, len(self.kinds)

    def _closed(self, sign: bytes, end: int, buffer: bytes) -> Iterator[bytes]:
        if self.kinds[-1:] != [ENDS[sign]]:
            raise self._not_json()
        self.kinds.pop()
        self.keys.pop()
        self.expects_key = False
        if self.start is not None and len(self.kinds) == self.depth:
            yield buffer[self.start : end]
            self.start = None
        if self.inside is not None and len(self.kinds) < self.inside:
            self.inside = -1

    def _is_row(self) -> bool:
        return self.inside == len(self.kinds)

    def _must_be_whole(self) -> None:
        if self.kinds:
            raise Failed("pipelines.file-cut-off", f"{self.name} is not whole JSON: it ends too early.", "Wait until it is written; write beside, then rename.")  # fmt: skip
        if not self.reached:
            raise BadInput("pipelines.json-records", f"{self.name} has no rows at {'.'.join(self.path) or 'its top'}.", "Say in read_as.records where its rows are: data.items.")  # fmt: skip

    def _not_json(self) -> Failed:
        return Failed("pipelines.not-json", f"{self.name} is not JSON.", "Have it written anew.")
