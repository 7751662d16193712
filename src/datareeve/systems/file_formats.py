"""How files of each format are read as relations of texts: CSV, fixed width, JSON Lines, and JSON documents by way of them."""

# ruff: noqa: S608 - identifiers and literals are quoted by the mover's own functions

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from datareeve.core.errors import BadInput, Failed
from datareeve.systems import file_bytes
from datareeve.systems.file_types import EXACT_IN_A_DOUBLE as EXACT
from datareeve.systems.file_types import driver_errors
from datareeve.systems.mover import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from datareeve.systems.file_listing import FoundFile
    from datareeve.systems.mover import Mover

LINE = "datareeve line"  # the column that a line's number has while rows are told apart
SEPARATOR = "\x01"  # stands in no text that a line is read whole from
NOTHING = "\x02"  # no line is this
SAMPLED_ROWS = 20_480


@dataclass(frozen=True)
class Shape:
    """How one file is read. `names` are its columns, in its order."""

    names: tuple[str, ...]
    encoding: str = "utf-8"
    dialect: dict[str, Any] = field(default_factory=dict)
    told: tuple[str, ...] = ()  # what a person is to know of it
    fixed: dict[str, str] = field(default_factory=dict)  # columns whose type is known without their texts


class TextFormat(Protocol):
    """A format whose rows are lines."""

    def look(self, mover: Mover, file: FoundFile, head: bytes, sample: Path, like: Shape | None) -> Shape:
        """What a file's columns are; `sample` is UTF-8, `head` its beginning, `like` a file that was looked at before."""

    def raw(self, shape: Shape, path: Path, *, lenient: bool = False) -> str:
        """The relation of its texts."""

    def part_rows(self, shape: Shape, pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes, str]]:
        """(line, record, why it is none, or '') of a file that could not be read as it is."""

    def cleaned(self, shape: Shape, path: Path) -> str:
        """The relation of records that were written as `line,record`: their texts, and `LINE`."""

    def row(self, shape: Shape) -> str:
        """Of `cleaned`, the record as it stands in the file."""


def _columns(
    names: Sequence[str], first: dict[str, str] | None = None, doubles: AbstractSet[str] = frozenset()
) -> str:
    kinds = {**(first or {}), **{name: "DOUBLE" if name in doubles else "VARCHAR" for name in names}}
    return "{" + ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in kinds.items()) + "}"


def unique(names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Names that differ, whatever their case, and what was done for it."""
    found: list[str] = []
    taken: set[str] = set()
    told = []
    for place, given in enumerate(names):
        name = stem = given.strip() or f"column{place}"
        number = 0
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        if number:
            told.append(f"a second column {stem} is read as {name}")
        taken.add(name.casefold())
        found.append(name)
    return tuple(found), told


# -- CSV ---------------------------------------------------------------------------------------------------------------------------------


class Csv:
    """Delimited text."""

    def __init__(self, read_as: dict[str, Any], aside: Callable[[str], Path]) -> None:
        del aside
        self.given = read_as
        self.longest = int(read_as.get("longest_line") or 16 * 2**20)

    def look(self, mover: Mover, file: FoundFile, head: bytes, sample: Path, like: Shape | None) -> Shape:
        """See `TextFormat`. Errors: `BadInput` `pipelines.csv-header`, `pipelines.csv-unclear`."""
        text = head.decode("utf-8", "replace").lstrip("\ufeff")
        if like and (same := self._as_before(text, like)):
            return same
        dialect = self._sniffed(mover, file, sample)
        cells = self._first_row(text, dialect)
        if not dialect["header"]:
            if like and like.dialect["header"]:
                raise BadInput("pipelines.csv-header", f"{file.name} has no header as the files before it have.", "Give it one, or load it by itself.")  # fmt: skip
            return Shape(tuple(f"column{place}" for place in range(len(cells))), dialect=dialect)
        names, told = unique(cells)
        return Shape(names, dialect=dialect, told=tuple(told))

    def _as_before(self, text: str, like: Shape) -> Shape | None:
        if not like.dialect["header"]:
            return None
        cells, told = unique(self._first_row(text, like.dialect))
        return Shape(cells, dialect=like.dialect, told=tuple(told)) if set(cells) == set(like.names) else None

    def _first_row(self, text: str, dialect: dict[str, Any]) -> list[str]:
        lines = io.StringIO(text, newline="")
        for _ in range(dialect["skip"]):
            lines.readline()
        comment = dialect.get("comment")
        rows = csv.reader(
            (line for line in lines if not (comment and line.startswith(comment))), **_reader(dialect)
        )
        try:
            return next((row for row in rows if row), [])
        except csv.Error:
            return []

    def _sniffed(self, mover: Mover, file: FoundFile, sample: Path) -> dict[str, Any]:
        given = {"delim": self.given.get("delimiter"), "quote": self.given.get("quote"), "escape": self.given.get("escape"),
                 "header": self.given.get("header"), "skip": self.given.get("skip") or None}  # fmt: skip
        said = "".join(f", {key} = {_option(value)}" for key, value in given.items() if value is not None)
        try:
            row = mover.row(
                f"SELECT Delimiter, Quote, Escape, SkipRows, Comment, HasHeader FROM sniff_csv({literal(str(sample))}, sample_size = {SAMPLED_ROWS}, ignore_errors = true, max_line_size = {self.longest}, buffer_size = {self.longest * 2}{said})"
            )
        except driver_errors():
            raise BadInput("pipelines.csv-unclear", f"{file.name} is not CSV that can be told apart.", "Give `delimiter`, `quote` and `header` in `read_as`.") from None  # fmt: skip
        delim, quote, escape, skip, comment, header = ("" if value == "(empty)" else value for value in row)
        quote = '"' if self.given.get("quote") is None and not quote else quote or ""
        return {"delim": delim, "quote": quote, "escape": escape or quote, "skip": skip, "header": bool(header),
                **({"comment": comment} if comment else {})}  # fmt: skip

    def raw(self, shape: Shape, path: Path, *, lenient: bool = False) -> str:
        """See `TextFormat`."""
        return self._read(shape, path, shape.dialect, _columns(shape.names), lenient=lenient)

    def _read(
        self, shape: Shape, path: Path, dialect: dict[str, Any], columns: str, *, lenient: bool = False
    ) -> str:
        del shape
        nulls = ", ".join(literal(text) for text in ("", *(self.given.get("null") or ())))
        options = ", ".join(f"{key} = {_option(value)}" for key, value in dialect.items())
        return f"read_csv({literal(str(path))}, auto_detect = false, {options}, columns = {columns}, nullstr = [{nulls}], allow_quoted_nulls = false, max_line_size = {self.longest}, buffer_size = {self.longest * 2}{', ignore_errors = true' if lenient else ''})"  # fmt: skip

    def part_rows(self, shape: Shape, pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes, str]]:
        """See `TextFormat`."""
        records = _Records(shape, self.longest).of(file_bytes.lines(pieces, self.longest))
        header = shape.dialect["header"]
        for line, record, why in records:
            if header:
                header = False
                continue
            yield line, record, why

    def cleaned(self, shape: Shape, path: Path) -> str:
        """See `TextFormat`."""
        dialect = {**shape.dialect, "header": False, "skip": 0}
        return self._read(shape, path, dialect, _columns(shape.names, {LINE: "BIGINT"}))

    def row(self, shape: Shape) -> str:
        """See `TextFormat`: quoted where it must be."""
        delim, quote = shape.dialect["delim"], shape.dialect["quote"] or '"'
        cells = (
            f"CASE WHEN {name} IS NULL THEN '' WHEN {name} = '' OR regexp_matches({name}, {literal(f'[{re.escape(delim)}{re.escape(quote)}' + chr(92) + 'r' + chr(92) + 'n]')}) THEN {literal(quote)} || replace({name}, {literal(quote)}, {literal(quote * 2)}) || {literal(quote)} ELSE {name} END"
            for name in map(identifier, shape.names)
        )
        return f"concat_ws({literal(delim)}, {', '.join(cells)})"

    def prefix(self, shape: Shape, line: int) -> bytes:
        """What stands before a record in a cleaned file."""
        return f"{line}{shape.dialect['delim']}".encode()


def _reader(dialect: dict[str, Any]) -> dict[str, Any]:
    """The dialect as the standard library's reader has it."""
    quote, escape = dialect["quote"], dialect["escape"]
    delim = dialect["delim"] if len(dialect["delim"]) == 1 else "\x00"
    return {"delimiter": delim, "quotechar": quote or None, "quoting": csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            "escapechar": escape if escape and escape != quote else None, "doublequote": escape == quote, "strict": True}  # fmt: skip


class _Records:
    """Lines joined to records by their quotes; one whose quote is never closed is rejected alone, not with all that follows it."""

    def __init__(self, shape: Shape, longest: int) -> None:
        self.shape, self.longest = shape, longest
        self.quote = (shape.dialect["quote"] or "\x00").encode()
        self.delim = shape.dialect["delim"].encode()
        self.comment = (shape.dialect.get("comment") or "").encode()
        self.reader = _reader(shape.dialect)

    def of(self, lines: Iterator[tuple[int, bytes, bool]]) -> Iterator[tuple[int, bytes, str]]:
        waiting: list[tuple[int, bytes, bool]] = []
        source = iter(lines)
        for _ in range(self.shape.dialect["skip"]):
            next(source, None)
        while (one := waiting.pop() if waiting else next(source, None)) is not None:
            number, line, whole = one
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if whole and (not line.strip() or (self.comment and line.startswith(self.comment))):
                continue
            why = self._wrong(line) if whole else f"is longer than {self.longest:,} bytes"
            if why == OPEN:
                record, taken = self._joined(line, source, waiting)
                if record is None:
                    waiting.extend(reversed(taken))
                    why = "a quote is not closed"
                else:
                    line, why = record, ""
            yield number, line, why

    def _joined(
        self,
        line: bytes,
        source: Iterator[tuple[int, bytes, bool]],
        waiting: list[tuple[int, bytes, bool]],
    ) -> tuple[bytes | None, list[tuple[int, bytes, bool]]]:
        taken: list[tuple[int, bytes, bool]] = []
        parts, size = [line], len(line)
        while size <= self.longest and (one := waiting.pop() if waiting else next(source, None)) is not None:
            taken.append(one)
            if not one[2]:
                break
            parts.append(one[1])
            size += len(one[1]) + 1
            if one[1].count(self.quote) and (why := self._wrong(record := b"\n".join(parts))) != OPEN:
                return (record, taken) if not why else (None, taken)
        return None, taken

    def _wrong(self, record: bytes) -> str:
        if b"\0" in record:
            return "holds a NUL character"
        if self.quote not in record:
            return self._counted(record.count(self.delim) + 1) or ("" if _is_text(record) else "is not UTF-8")
        try:
            text = record.decode()
        except UnicodeDecodeError:
            return "is not UTF-8"
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), **self.reader))
        except csv.Error as error:
            return OPEN if "unexpected end" in str(error) else "its quotes do not add up"
        return self._counted(len(rows[0]) if len(rows) == 1 else -1)

    def _counted(self, cells: int) -> str:
        expected = len(self.shape.names)
        return "" if cells == expected else f"has {cells} columns, not {expected}" if cells >= 0 else "its quotes do not add up"  # fmt: skip


OPEN = "open"


def _is_text(record: bytes) -> bool:
    try:
        record.decode()
    except UnicodeDecodeError:
        return False
    return True


def _option(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else literal(value)  # fmt: skip


# -- lines that are read whole -----------------------------------------------------------------------------------------------------------


class _Whole:
    """Formats whose lines are read whole, and cut up in SQL."""

    longest: int

    def _lines(self, path: Path, columns: str, *, lenient: bool = False, skip: int = 0) -> str:
        return f"read_csv({literal(str(path))}, auto_detect = false, delim = {literal(SEPARATOR)}, quote = '', escape = '', header = false, skip = {skip}, columns = {columns}, nullstr = [{literal(NOTHING)}], max_line_size = {self.longest}, buffer_size = {self.longest * 2}{', ignore_errors = true' if lenient else ''})"

    def prefix(self, shape: Shape, line: int) -> bytes:
        """What stands before a record in a cleaned file."""
        del shape
        return f"{line}{SEPARATOR}".encode()

    def row(self, shape: Shape) -> str:
        """See `TextFormat`."""
        del shape
        return '"datareeve text"'

    def part_rows(self, shape: Shape, pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes, str]]:
        """See `TextFormat`."""
        skip = shape.dialect.get("skip", 0)
        for number, line, whole in file_bytes.lines(pieces, self.longest):
            if number <= skip or (whole and not line.strip()):
                continue
            yield (
                number,
                line,
                self._wrong(shape, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, whole),
            )

    def _wrong(self, shape: Shape, line: bytes, whole: bool) -> str:  # noqa: FBT001 - with the line, it is what was read
        if not whole:
            return f"is longer than {self.longest:,} bytes"
        if SEPARATOR.encode() in line or b"\0" in line:
            return "holds a control character"
        return self._not_one(shape, line) if _is_text(line) else "is not UTF-8"

    def _not_one(self, shape: Shape, line: bytes) -> str:
        raise NotImplementedError


class Fixed(_Whole):
    """Columns of fixed widths, in characters."""

    def __init__(self, read_as: dict[str, Any], aside: Callable[[str], Path]) -> None:
        del aside
        self.widths: dict[str, int] = dict(read_as.get("widths") or {})
        self.given = read_as
        self.longest = int(read_as.get("longest_line") or 16 * 2**20)
        if not self.widths:
            raise BadInput("pipelines.widths", "A fixed-width file needs `widths`.", "Give read_as.widths: {column: characters}.")  # fmt: skip

    def look(self, mover: Mover, file: FoundFile, head: bytes, sample: Path, like: Shape | None) -> Shape:
        """See `TextFormat`."""
        del mover, file, head, sample, like
        skip = int(self.given.get("skip") or 0) + bool(self.given.get("header"))
        return Shape(tuple(self.widths), dialect={"skip": skip, "widths": self.widths})

    def raw(self, shape: Shape, path: Path, *, lenient: bool = False) -> str:
        """See `TextFormat`: a line that is longer than its columns is an error."""
        lines = self._lines(path, _columns(["line"]), lenient=lenient, skip=shape.dialect["skip"])
        whole = sum(self.widths.values())
        wrong = "" if lenient else f"CASE WHEN length(rtrim(line, ' ' || chr(13))) > {whole} THEN error('long') ELSE line END AS "  # fmt: skip
        return f"(SELECT {self._cells()} FROM (SELECT {wrong}line FROM {lines}) WHERE trim(line) <> '')"

    def _cells(self) -> str:
        start, found = 1, []
        nulls = ", ".join(literal(text) for text in ("", *(self.given.get("null") or ())))
        for name, width in self.widths.items():
            cell = f"rtrim(substr(line, {start}, {width}), ' ' || chr(13))"
            found.append(
                f"CASE WHEN trim({cell}) IN ({nulls}) THEN NULL ELSE {cell} END AS {identifier(name)}"
            )
            start += width
        return ", ".join(found)

    def cleaned(self, shape: Shape, path: Path) -> str:
        """See `TextFormat`."""
        del shape
        lines = self._lines(path, _columns(["line"], {LINE: "BIGINT"}))
        return f'(SELECT {identifier(LINE)}, line AS "datareeve text", {self._cells()} FROM {lines})'

    def _not_one(self, shape: Shape, line: bytes) -> str:
        del shape
        whole = sum(self.widths.values())
        return f"is longer than its columns, {whole} characters" if len(line.decode().rstrip()) > whole else ""  # fmt: skip


class JsonLines(_Whole):
    """A JSON object a line."""

    def __init__(self, read_as: dict[str, Any], aside: Callable[[str], Path]) -> None:
        self.aside = aside
        self.doubles: set[str] = (
            set()
        )  # columns that are read as what JSON's numbers are, which is faster than their texts
        self.longest = int(read_as.get("longest_line") or 16 * 2**20)

    def look(self, mover: Mover, file: FoundFile, head: bytes, sample: Path, like: Shape | None) -> Shape:
        """See `TextFormat`. Errors: `Failed` `pipelines.not-json`, `BadInput` `pipelines.json-keys`."""
        del head, like
        options = f"format = 'newline_delimited', records = true, sample_size = -1, map_inference_threshold = -1, ignore_errors = true, maximum_object_size = {self.longest}"
        rows = self._described(mover, sample, options)
        if rows is None and (whole := self._whole_lines(sample)):
            rows = self._described(mover, whole, options)
        if rows is None:
            raise Failed("pipelines.not-json", f"{file.name} is not JSON that can be read as rows.", "A line is one object, {…}; of a document, say in `records` where its rows are.") from None  # fmt: skip
        names = [str(row[0]) for row in rows]
        folded = {name.casefold() for name in names}
        if len(folded) < len(names):
            raise BadInput("pipelines.json-keys", f"{file.name} has keys that differ only in their case.", "Have them renamed where the file is written.")  # fmt: skip
        kinds = {row[0]: row[1] for row in rows}
        return Shape(
            tuple(names), fixed={name: _of_json(kind) for name, kind in kinds.items() if _of_json(kind)}
        )

    def _described(self, mover: Mover, sample: Path, options: str) -> list[tuple[Any, ...]] | None:
        try:
            found = mover.execute(
                f"DESCRIBE SELECT * FROM read_json({literal(str(sample))}, {options})"
            ).fetchall()
        except driver_errors():
            return None
        return [tuple(row) for row in found]

    def _whole_lines(self, sample: Path) -> Path | None:
        """The sample without lines that are no objects; None where there is no other."""
        to = self.aside(".sample")
        with sample.open("rb") as stream, to.open("wb") as target:
            kept = [
                target.write(line.rstrip() + b"\n")
                for line in stream
                if line.strip() and not self._not_one(Shape(()), line)
            ]
        return to if kept else None

    def raw(self, shape: Shape, path: Path, *, lenient: bool = False) -> str:
        """See `TextFormat`."""
        loose = ", ignore_errors = true" if lenient else ""
        columns = _columns(shape.names, doubles=self.doubles if not lenient else set())
        return f"read_json({literal(str(path))}, format = 'newline_delimited', records = true, columns = {columns}, maximum_object_size = {self.longest}{loose})"

    def cleaned(self, shape: Shape, path: Path) -> str:
        """See `TextFormat`."""
        lines = self._lines(path, _columns(["line"], {LINE: "BIGINT"}))
        cells = ", ".join(
            f"json_extract_string(line, {literal('/' + name.replace('~', '~0').replace('/', '~1'))}) AS {identifier(name)}"
            for name in shape.names
        )
        return f'(SELECT {identifier(LINE)}, line AS "datareeve text", {cells} FROM {lines})'

    def _not_one(self, shape: Shape, line: bytes) -> str:
        del shape
        try:
            found = json.loads(line, object_pairs_hook=_keys, parse_float=_kept_exactly)
        except _Inexact:
            return "has a number of more digits than are kept exactly"
        except (ValueError, RecursionError):
            return "is not whole JSON"
        if not isinstance(found, _Keys):
            return "is not a JSON object"
        return "has a key twice" if len(found) < found.given else ""


class _Inexact(Exception):
    """A number that a binary double does not hold as it is written."""


def _kept_exactly(text: str) -> float:
    found = float(text)
    if len(text) > EXACT and math.isfinite(found) and Decimal(text) != Decimal(repr(found)):
        raise _Inexact
    return found


class _Keys(dict[str, Any]):
    given = 0


def _keys(pairs: list[tuple[str, Any]]) -> _Keys:
    found = _Keys(pairs)
    found.given = len(pairs)
    return found


def _of_json(kind: str) -> str:
    """What of a JSON column is known by what it is: '' for one whose texts are to be looked at."""
    if kind.endswith("[]") or kind.startswith(("STRUCT", "MAP")):
        return "JSON"
    return "VARCHAR" if kind in ("VARCHAR", "UUID") else ""
