"""Forms with files (`multipart/form-data`, RFC 7578), read strictly: a part that two readers may read in two ways is refused.

What the official SDKs, curl and browsers write is read; comments, folded headers, other quotings, text before the first part are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from datareeve.capabilities.ai.gateway import splice
from datareeve.capabilities.ai.gateway.dialects import Asked, fields
from datareeve.capabilities.ai.gateway.dialects.passing import Made

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_PARTS: Final = 256
_BOUNDARY: Final = re.compile(
    r'multipart/form-data\s*;\s*boundary=(?:"([^"\\]{1,70})"|([^\s";,]{1,70}))\s*', re.IGNORECASE
)
_FIRST: Final = re.compile(rb"--([0-9A-Za-z'()+_,./:=? -]{1,70})\r\n")
_DISPOSITION: Final = re.compile(
    rb'content-disposition: *form-data; *name="([^"\\\r\n]*)"(; *filename="[^"\r\n]*")?(; *filename\*=[^;\r\n]*)?',
    re.IGNORECASE,
)
# a folded header, or contents that a reader decodes before it reads them
_ODD_LINE: Final = re.compile(
    rb"[ \t]|content-transfer-encoding(?!: *+(?:binary|8bit|7bit) *$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Part:
    """A field or a file of a form, and where its content stands."""

    name: str
    is_file: bool
    start: int
    end: int


def _wrong() -> Exception:
    return fields.refusal(
        "gateway.form",
        "The body is not a form that can be read in one way only. Send it as the official SDK does.",
    )


def parts(raw: bytes, content_type: str = "") -> Iterator[Part]:
    """The parts of a form in order. Errors: `Refusal` where it is none, or may be read in two ways."""
    mark = b"\r\n--" + _boundary(raw, content_type)
    if not raw.startswith(mark[2:] + b"\r\n"):
        raise _wrong()
    at = len(mark)
    for _ in range(MOST_PARTS):
        head, end = raw.find(b"\r\n\r\n", at), raw.find(mark, at)
        if head < 0 or end < head:
            raise _wrong()
        yield _part(raw[at:head], head + 4, max(end, head + 4))
        at = end + len(mark) + 2
        closing = raw[at - 2 : at]
        if closing == b"--" and not raw[at:].strip():
            return
        if closing != b"\r\n":
            break
    raise _wrong()


def _boundary(raw: bytes, content_type: str) -> bytes:
    if content_type:
        said = _BOUNDARY.fullmatch(content_type)
        if said is None:
            raise _wrong()
        return (said[1] or said[2]).encode("latin-1")
    first = _FIRST.match(raw)
    if first is None:
        raise _wrong()
    return first[1]


def _part(head: bytes, start: int, end: int) -> Part:
    """A part by its headers; `content-disposition` stands there once."""
    lines = head.strip(b"\r\n").split(b"\r\n")
    found = [line for line in lines if line.lower().startswith(b"content-disposition")]
    said = _DISPOSITION.fullmatch(found[0]) if len(found) == 1 else None
    if said is None or b"\n" in head.replace(b"\r\n", b"") or any(_ODD_LINE.match(line) for line in lines):
        raise _wrong()
    try:
        return Part(said[1].decode(), said[2] is not None or said[3] is not None, start, end)
    except UnicodeDecodeError:
        raise _wrong() from None


def plain(raw: bytes, found: list[Part]) -> dict[str, str]:
    """The fields that are no files. Errors: `Refusal` for one that decides and stands twice."""
    values: dict[str, str] = {}
    for part in found:
        fields.not_disguised(part.name)
        if part.is_file and part.name not in fields.GUARDED:
            continue
        if part.name in values and part.name in fields.GUARDED:
            raise fields.refusal(
                "gateway.repeated-field", f"The form has {part.name} more than once. Give it once."
            )
        values[part.name] = raw[part.start : part.end][:4096].decode("utf-8", "replace")
    return values


def _flag(said: str) -> bool:
    """A boolean of a form. Errors: `Refusal` for what some readers take for true, and others do not."""
    plain = said.strip().lower()
    if plain not in ("", "false", "0", "true", "1"):
        raise fields.refusal("gateway.bad-field", "stream must be true or false.")
    return plain in ("true", "1")


class Form(Made):
    """A form that names a model: edits of images, transcriptions."""

    reads_json = False

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read a form; `body` may hold its `content-type`."""
        values = plain(raw, list(parts(raw, str(body.get("content-type", "")))))
        said = values.get("n", "").strip()
        several = int(said[:10]) if said.isdecimal() else 1
        return Asked(
            raw,
            body,
            fields.model(values),
            stream=_flag(values.get("stream", "")),
            max_output=self._most_each and self._most_each * max(1, min(several, fields.MOST_TOKENS)),
        )

    def outgoing(self, asked: Asked, model: str) -> bytes:
        """The form with another model."""
        if model == asked.model:
            return asked.raw
        found = parts(asked.raw, str(asked.body.get("content-type", "")))
        return splice.put(asked.raw, ((p.start, p.end, model.encode()) for p in found if p.name == "model"))
