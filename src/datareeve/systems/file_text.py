"""Files of rows as text (CSV, fixed width, JSON Lines, JSON documents) as a load reads them: looked at once, all together, then read exactly."""

# ruff: noqa: S608 - identifiers and literals are quoted by the mover's own functions

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import Failed
from datareeve.systems import file_bytes, file_json
from datareeve.systems.file_formats import LINE, Csv, Fixed, JsonLines, Shape
from datareeve.systems.file_types import (
    Looked,
    Told,
    Typed,
    apart,
    driver_errors,
    formatted,
    looked_at,
    strictly,
    together,
    typed,
)
from datareeve.systems.mover import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datareeve.systems.file_listing import FoundFile
    from datareeve.systems.file_spool import FileSpool
    from datareeve.systems.mover import Mover
    from datareeve.systems.row_source import SourceColumn

SETTLED_NS = 2 * 10**9  # a file that was written just now may be written again, and have the same time
LOOKS_KEPT = 200
# What was seen of files as they are: a plan looks at them, and the run after it would look at the same again.
_LOOKS: dict[tuple[object, ...], tuple[Shape, dict[str, Looked]]] = {}
FORMATS: dict[str, Any] = {"csv": Csv, "fixed": Fixed, "jsonl": JsonLines, "json": JsonLines}


@dataclass
class Seen:
    """One file, after it was looked at."""

    file: FoundFile
    shape: Shape
    looked: dict[str, Looked]
    whole: bool
    plain: Path | None = None  # where it is as plain UTF-8 lines


@dataclass
class TextFiles:
    """The files of one load, of one format."""

    format: str
    read_as: dict[str, Any]
    spool: FileSpool
    seen: dict[str, Seen] = field(default_factory=dict)
    typed: dict[str, Typed] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = FORMATS[self.format](self.read_as, self.spool.path)
        self.longest = int(self.read_as.get("longest_line") or 16 * 2**20)
        self.told = Told(self.read_as.get("decimal") or "", self.read_as.get("date_format") or "", self.read_as.get("timestamp_format") or "")  # fmt: skip

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def look(self, mover: Mover, files: list[FoundFile]) -> list[SourceColumn]:
        """The columns of all the files together."""
        for file in files:
            if file.name not in self.seen:
                self._look(mover, file)
        merged: dict[str, Looked] = {}
        for one in self.seen.values():
            for name, looked in one.looked.items():
                merged[name] = together(merged[name], looked) if name in merged else looked
        self.typed = {name: self._typed(mover, looked) for name, looked in merged.items()}
        self.warnings += [
            one.warning for one in self.typed.values() if one.warning and one.warning not in self.warnings
        ]
        return [one.column for one in self.typed.values()]

    def _look(self, mover: Mover, file: FoundFile) -> None:
        plain = self._document(file) if self.format == "json" else None
        source = file if plain is None else replace(file, path=plain, size=plain.stat().st_size)
        pieces, whole = file_bytes.sampled(source)
        encoding, told = ("utf-8", "") if plain else self._encoding(file, pieces)
        sample, head = self._sample(source, pieces, encoding, whole=whole)
        if not head.strip():
            self._empty(file, plain)
            return
        like = next((one.shape for one in self.seen.values() if one.shape.names), None)
        settled = time.time_ns() - file.changed_ns > SETTLED_NS
        of = (file, self.format, json.dumps(self.read_as, sort_keys=True, default=str), repr(like), settled)
        if of not in _LOOKS or not settled:
            shape = self.rows.look(mover, file, head, sample, like)
            shape = replace(shape, encoding=encoding, told=(*shape.told, *((told,) if told else ())))
            if len(_LOOKS) >= LOOKS_KEPT:
                _LOOKS.clear()
            _LOOKS[of] = shape, self._looked(mover, file, shape, sample)
        shape, looked = _LOOKS[of]
        self.warnings += [f"{file.name}: {one}" for one in shape.told]
        if not whole and self.format in ("json", "jsonl"):
            self.warnings.append(
                f"{file.name} was looked at in part: a key that is in none of the rows looked at is not loaded"
            )
        self.seen[file.name] = Seen(file, shape, dict(looked), whole, plain)

    def _empty(self, file: FoundFile, plain: Path | None) -> None:
        self.warnings.append(f"{file.name} is empty")
        self.seen[file.name] = Seen(file, Shape(()), {}, whole=True, plain=plain)

    def _encoding(self, file: FoundFile, pieces: list[bytes]) -> tuple[str, str]:
        if given := self.read_as.get("encoding"):
            return file_bytes.codec(given), ""
        del file
        found, told = file_bytes.encoding_of(pieces)
        if self.format in ("json", "jsonl") and not found.startswith("utf"):
            return "utf-8", ""  # as its standard says: a line that is none is rejected
        return found, told

    def _sample(
        self, file: FoundFile, pieces: list[bytes], encoding: str, *, whole: bool
    ) -> tuple[Path, bytes]:
        """Where what is looked at lies as UTF-8, and its beginning."""
        if whole and encoding == "utf-8" and not file.packed:
            return file.path, pieces[0] if pieces else b""
        wide = encoding.startswith(("utf-16", "utf-32"))
        texts = [
            piece.decode(encoding, "replace").lstrip("\ufeff") for piece in (pieces[:1] if wide else pieces)
        ]
        head = texts[0].encode("utf-8", "replace") if texts else b""
        path = self.spool.path(".sample")
        path.write_bytes(b"".join(text.encode("utf-8", "replace") for text in texts))
        return path, head

    def _looked(self, mover: Mover, file: FoundFile, shape: Shape, sample: Path) -> dict[str, Looked]:
        if not shape.names:
            return {}
        try:
            return looked_at(mover, self.rows.raw(shape, sample, lenient=True), shape.names)
        except driver_errors():
            raise Failed("pipelines.file-unclear", f"{file.name} cannot be read as {self.format}.", "Say in `read_as` how it is written.") from None  # fmt: skip

    def _typed(self, mover: Mover, looked: Looked) -> Typed:
        for one in self.seen.values():
            if looked.name in one.shape.fixed:
                kinds = {
                    s.shape.fixed.get(looked.name, "")
                    for s in self.seen.values()
                    if looked.name in s.shape.names
                }
                return _known(looked, kinds)
        shapes = looked.shapes - {"blank"}
        if shapes & {"text", "day first?", "decimal"} and (
            self.told.date_format or self.told.timestamp_format
        ):
            for date, pattern in ((True, self.told.date_format), (False, self.told.timestamp_format)):
                if pattern and self._all_so_written(mover, looked.name, pattern):
                    return formatted(looked.name, pattern, date=date)
        return typed(looked, self.told)

    def _all_so_written(self, mover: Mover, name: str, pattern: str) -> bool:
        """Whether what was looked at is written so; files that are large are held to it while they are read."""
        for one in self.seen.values():
            if name in one.shape.names:
                try:
                    row = mover.row(
                        f"SELECT coalesce(bool_and(try_strptime({identifier(name)}, {literal(pattern)}) IS NOT NULL), true) FROM (SELECT {identifier(name)} FROM {self.rows.raw(one.shape, self._plain(one), lenient=True)} LIMIT 20000) WHERE {identifier(name)} IS NOT NULL"
                    )
                except driver_errors():
                    return False
                if not row[0]:
                    return False
        return True

    def stated(self) -> dict[str, Any]:
        """What was detected, for people."""
        shapes = [one.shape for one in self.seen.values() if one.shape.names]
        dialects = {json.dumps(shape.dialect, sort_keys=True): shape.dialect for shape in shapes}
        return {
            "format": self.format,
            "encoding": sorted({shape.encoding for shape in shapes}) or ["utf-8"],
            **({"dialect": list(dialects.values())} if any(dialects.values()) else {}),
            "types": "of all rows" if all(one.whole for one in self.seen.values()) else "of a part of the rows; each row is held to them",
        }  # fmt: skip

    def known(self, files: list[FoundFile]) -> dict[str, Any]:
        """What is to be remembered of files, so that they are read the same after a crash."""
        shapes = {file.name: asdict(self.seen[file.name].shape) for file in files}
        return {"shapes": shapes, "types": [asdict(one) for one in self.typed.values()]}

    def remember(self, files: list[FoundFile], known: dict[str, Any]) -> None:
        """Read them as it is remembered."""
        self.typed = {one["name"]: Typed(**one) for one in known["types"]}
        for file in files:
            shape = known["shapes"][file.name]
            made = Shape(**{**shape, "names": tuple(shape["names"]), "told": tuple(shape["told"])})
            before = self.seen.get(file.name)
            self.seen[file.name] = Seen(file, made, {}, whole=True, plain=before.plain if before else None)

    # -- reading -------------------------------------------------------------------------------------------------------------------

    def relation(self, file: FoundFile, constants: dict[str, str]) -> str:
        """A file's rows, exactly."""
        one = self.seen[file.name]
        columns = [self.typed[name] for name in one.shape.names]
        if self.format in ("jsonl", "json"):
            columns = [
                replace(one, double=one.type.startswith("DECIMAL(18,") and one.type != "DECIMAL(18,0)")
                for one in columns
            ]
            self.rows.doubles = {one.name for one in columns if one.double}
        if not columns:
            return self._as_all("(SELECT 1 WHERE false)", (), constants)
        rows = strictly(columns, self.rows.raw(one.shape, self._plain(one)))
        return self._as_all(rows, one.shape.names, constants)

    def _as_all(self, rows: str, names: tuple[str, ...], constants: dict[str, str]) -> str:
        """With the columns that other files have, in the order of all."""
        out = [
            identifier(name) if name in names else f"CAST(NULL AS {one.type}) AS {identifier(name)}"
            for name, one in self.typed.items()
        ]
        out += [f"{value} AS {identifier(name)}" for name, value in constants.items()]
        return f"(SELECT {', '.join(out) or '1'} FROM {rows})"

    def carefully(self, file: FoundFile, constants: dict[str, str]) -> tuple[str, str]:
        """The rows that can be read, and those that cannot with their place and reason."""
        one = self.seen[file.name]
        if not one.shape.names:
            return self.relation(file, constants), ""
        good, bad = self._told_apart(one)
        place = f"{literal(file.name + self._sign())} || CAST({identifier(LINE)} AS VARCHAR)"
        columns = [self.typed[name] for name in one.shape.names]
        rows, inexact = apart(columns, self.rows.cleaned(one.shape, good), place, self.rows.row(one.shape))
        broken = f"read_json({literal(str(bad))}, format = 'newline_delimited', columns = {{place: 'VARCHAR', reason: 'VARCHAR', row: 'VARCHAR'}})"
        return self._as_all(
            rows, one.shape.names, constants
        ), f"(SELECT * FROM {broken} UNION ALL SELECT * FROM {inexact})"

    def _sign(self) -> str:
        return "#" if self.format == "json" else ":"

    def _told_apart(self, one: Seen) -> tuple[Path, Path]:
        good, bad = self.spool.path(".rows"), self.spool.path(".rejected")
        with good.open("wb") as rows, bad.open("wb") as rejected:
            for line, record, why in self.rows.part_rows(one.shape, self._pieces(one)):
                if not why:
                    rows.write(self.rows.prefix(one.shape, line) + record + b"\n")
                    continue
                told = {"place": f"{one.file.name}{self._sign()}{line}", "reason": why, "row": _shown(record)}
                rejected.write(json.dumps(told).encode() + b"\n")
        return good, bad

    def _pieces(self, one: Seen) -> Iterator[bytes]:
        plain = self._plain(one)
        with plain.open("rb") as stream:
            while chunk := stream.read(file_bytes.CHUNK):
                yield chunk

    def _plain(self, one: Seen) -> Path:
        """The file as plain UTF-8: itself, where it is."""
        if one.plain and one.plain.exists():
            return one.plain
        if self.format == "json":
            one.plain = self._document(one.file)
            return one.plain
        if one.shape.encoding == "utf-8" and not one.file.packed:
            return one.file.path
        one.plain = self.spool.path(".plain")
        file_bytes.write_plain(one.file, one.shape.encoding, one.plain)
        self.spool.keep(one.plain)
        return one.plain

    def _document(self, file: FoundFile) -> Path:
        """The records of a JSON document as lines, in the spool."""
        pieces, _ = file_bytes.sampled(file)
        encoding, _ = self._encoding(file, pieces)
        to = self.spool.path(".records")
        plain: Path | None = None
        if encoding != "utf-8":
            plain = self.spool.path(".plain")
            file_bytes.write_plain(file, encoding, plain)
        source = file_bytes.chunks(file if plain is None else replace(file, path=plain))
        if (
            not self.read_as.get("records")
            and pieces
            and encoding == "utf-8"
            and file_json.is_lines(pieces[0])
        ):
            file_bytes.write_plain(file, encoding, to)
        elif file.size:
            file_json.write_records(source, self.read_as.get("records") or "", to, self.longest, file.name)
        else:
            to.touch()
        self.spool.keep(to)
        return to


def _known(looked: Looked, kinds: set[str]) -> Typed:
    if kinds == {"JSON"}:
        return Typed(looked.name, "JSON", "JSON", text="{v}")
    told = "text" if kinds == {"VARCHAR"} else "values of several kinds"
    return Typed(looked.name, told=told)


def _shown(record: bytes) -> str:
    """A rejected record as text: bytes that are none are shown as such."""
    return record.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
