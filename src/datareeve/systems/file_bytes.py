"""The bytes of text files: unpacked, decoded, and cut into lines, in streams of bounded memory.

DuckDB reads plain UTF-8 best, in parallel, and takes a gzip or zstd stream that is cut off for its end. So everything else is
written to the spool once as plain UTF-8, with the packing's own checks, and read from there.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import importlib
import re
import zlib
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.answers import missing_driver
from datareeve.systems.file_listing import opened

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from datareeve.systems.file_listing import FoundFile

CHUNK = 2**20
HEAD = 2**19  # bytes of a large file's beginning that are looked at
WINDOWS, WINDOW = 12, 64 * 2**10  # and so many bytes at so many places after it
WHOLE = 4 * 2**20  # a file up to this is looked at whole
BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
WORDS_OF_1252 = re.compile(rb"[\x80-\x9f]")
NOT_IN_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
SHOWN = 500  # characters of a rejected line that are kept


@contextmanager
def unpacked(file: FoundFile) -> Iterator[BinaryIO]:
    """The file's bytes without its packing."""
    with ExitStack() as closing:
        stream: Any = closing.enter_context(opened(file))
        if file.packed == "gzip":
            stream = closing.enter_context(gzip.GzipFile(fileobj=stream))
        elif file.packed == "bz2":
            stream = closing.enter_context(bz2.BZ2File(stream))
        elif file.packed == "zstd":
            stream = closing.enter_context(_zstd(stream))
        yield stream


def _zstd(stream: Any) -> Any:
    try:
        pa: Any = importlib.import_module("pyarrow")  # an extra
    except ImportError:
        raise missing_driver("pipelines", "zstd files", "pyarrow") from None
    return pa.CompressedInputStream(stream, "zstd")  # says where a stream is cut off, which DuckDB does not


def chunks(file: FoundFile, size: int = CHUNK) -> Generator[bytes]:
    """The unpacked bytes. Errors: `Failed` `pipelines.file-cut-off`."""
    with unpacked(file) as stream:
        while True:
            try:
                chunk = stream.read(size)
            except (EOFError, zlib.error, OSError) as error:
                raise cut_off(file, error) from None
            if not chunk:
                return
            yield chunk


def cut_off(file: FoundFile, error: Exception) -> Failed:
    """A packed file that does not come to its end."""
    how = "is cut off" if isinstance(error, EOFError) or "truncated" in str(error).lower() else "is damaged"
    return Failed(
        "pipelines.file-cut-off",
        f"{file.name}: its {file.packed or 'file'} stream {how}.",
        "Wait until it is written, or write it anew; write beside, then rename.",
    )


# -- encodings ---------------------------------------------------------------------------------------------------------------------------


def sampled(file: FoundFile) -> tuple[list[bytes], bool]:
    """Pieces of the unpacked file, each of whole lines but perhaps the first's end: its head, and windows; and whether that is all of it."""
    if file.packed:
        head, whole = _head(file)
        return [head], whole
    with opened(file) as stream:
        if file.size <= WHOLE:
            return [stream.read(WHOLE)], True
        pieces = [_to_last_line(stream.read(HEAD))]
        for place in range(1, WINDOWS + 1):
            stream.seek(HEAD + (file.size - HEAD - WINDOW) * place // WINDOWS)
            pieces.append(_whole_lines(stream.read(WINDOW)))
    return [piece for piece in pieces if piece], False


def _head(file: FoundFile) -> tuple[bytes, bool]:
    found = b""
    with closing(chunks(file)) as pieces:
        for chunk in pieces:
            found += chunk
            if len(found) > WHOLE:
                return _to_last_line(found[:WHOLE]), False
    return found, True


def _to_last_line(piece: bytes) -> bytes:
    end = piece.rfind(b"\n")
    return piece[: end + 1] if end >= 0 else piece


def _whole_lines(piece: bytes) -> bytes:
    start = piece.find(b"\n")
    end = piece.rfind(b"\n")
    return piece[start + 1 : end + 1] if end > start >= 0 else b""


def encoding_of(pieces: list[bytes]) -> tuple[str, str]:
    """The encoding, and what is to be told about it ('' where it is certain)."""
    head = pieces[0] if pieces else b""
    for bom, name in BOMS:
        if head.startswith(bom):
            return name, ""
    if wide := _without_mark(head):
        return wide, f"taken for {wide} without a byte order mark"
    return _narrow(b"\n".join(pieces))


def _without_mark(head: bytes) -> str:
    """UTF-16 that says nothing: every other byte of its beginning is zero."""
    start = head[:400]
    if len(start) < 4:  # noqa: PLR2004 - two characters
        return ""
    for name, place in (("utf-16-le", 1), ("utf-16-be", 0)):
        zeros = start[place::2].count(0) / len(start[place::2])
        if zeros > 0.7 and start[1 - place :: 2].count(0) == 0:  # noqa: PLR2004 - most of a text's letters are Latin or signs
            return name
    return ""


def _narrow(sample: bytes) -> tuple[str, str]:
    strange = sample.translate(None, bytes(range(128)))
    if not strange:
        return "utf-8", ""
    good = bad = 0
    for line in sample.split(b"\n"):
        if line.isascii():
            continue
        try:
            line.decode()
            good += 1
        except UnicodeDecodeError:
            bad += 1
    if not bad:
        return "utf-8", ""
    if good:
        return (
            "utf-8",
            f"encodings are mixed: of {good + bad:,} lines looked at with other letters than ASCII, {bad:,} are not UTF-8",
        )
    if not WORDS_OF_1252.search(sample):
        return "latin-1", "is not UTF-8: taken for latin-1; give `encoding` where it is another"
    if not NOT_IN_1252.search(sample):
        return "cp1252", "is not UTF-8: taken for cp1252; give `encoding` where it is another"
    return "utf-8", "is neither UTF-8 nor cp1252: give `encoding`"


def codec(name: str) -> str:
    """Python's name of an encoding. Errors: `BadInput` `pipelines.encoding`."""
    try:
        found = codecs.lookup(name)
        b"".decode(found.name)  # not one of the codecs of bytes to bytes, zip or base64
    except LookupError:
        raise BadInput("pipelines.encoding", f"There is no encoding {name!r}.", "Write utf-8, latin-1, cp1252, utf-16 …") from None  # fmt: skip
    return found.name


def write_plain(file: FoundFile, encoding: str, to: Path) -> None:
    """The file unpacked and as UTF-8, in one stream. Errors: `Failed` `pipelines.encoding`, naming file and line."""
    decoder = None if codec(encoding) == "utf-8" else codecs.getincrementaldecoder(encoding)()
    line = 1
    with to.open("wb") as target:
        for piece, last in _with_end(file):
            if decoder is None:
                target.write(piece)
                continue
            try:
                text = decoder.decode(piece, final=last)
            except UnicodeDecodeError as error:
                line += piece[: error.start].count(b"\n")
                raise _not_so_encoded(file, encoding, line) from None
            line += text.count("\n")
            target.write(
                text.lstrip("\ufeff").encode() if target.tell() == 0 else text.encode("utf-8", "replace")
            )


def _with_end(file: FoundFile) -> Iterator[tuple[bytes, bool]]:
    for chunk in chunks(file):
        yield chunk, False
    yield b"", True


def _not_so_encoded(file: FoundFile, encoding: str, line: int) -> Failed:
    return Failed(
        "pipelines.encoding",
        f"{file.name}:{line}: is not {encoding} there.",
        "Give `encoding`, or have the file written in one.",
    )


# -- lines -------------------------------------------------------------------------------------------------------------------------------


def lines(pieces: Iterator[bytes], longest: int) -> Iterator[tuple[int, bytes, bool]]:
    """(number, the line without its end, whether it is whole): of a line above `longest` bytes only the beginning is kept."""
    number, kept, long = 1, b"", False
    for piece in pieces:
        found = piece.split(b"\n")
        for index, part in enumerate(found):
            ends = index < len(found) - 1
            if not long:
                kept += part
                long = len(kept) > longest
                kept = kept[:SHOWN] if long else kept
            if ends:
                yield number, kept.removesuffix(b"\r"), not long
                number, kept, long = number + 1, b"", False
    if kept:
        yield number, kept.removesuffix(b"\r"), not long
