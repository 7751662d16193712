"""Files of a folder as a source: what is new among them, and their rows.

A part is a large file, or several small ones together. Where the source stands are the files it has read, each by its size and what it is
known by: a file that changed after it was read is told of, and read again only where that cannot double rows. What was detected (encoding,
dialect, types) is remembered with the part: after a crash the rest is read as it was begun.
"""

# ruff: noqa: S608 - identifiers and literals are quoted by the mover's own functions

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Protocol

from datareeve.core.errors import BadInput, Failed
from datareeve.systems import file_json
from datareeve.systems.file_listing import FORMATS, FoundFile, listed, opened, unfinished
from datareeve.systems.file_spool import FileSpool
from datareeve.systems.file_tables import ExcelFiles, ParquetFiles
from datareeve.systems.file_text import TextFiles
from datareeve.systems.file_types import Told, looked_at, typed
from datareeve.systems.mover import identifier, literal
from datareeve.systems.row_source import Part, Reading, SourceColumn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datareeve.systems.mover import Mover

TOGETHER_BYTES, TOGETHER_FILES = 32 * 2**20, 100  # small files that are one part
LOOKED_AT = 500  # files; of more, the newest and some of the others
SAID = 5  # names in a message
NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class FileRows(Protocol):
    """The files of one format."""

    warnings: list[str]

    def look(self, mover: Mover, files: list[FoundFile]) -> list[SourceColumn]:
        """The columns of all together; called again with more files."""

    def stated(self) -> dict[str, Any]:
        """What was detected."""

    def known(self, files: list[FoundFile]) -> dict[str, Any]:
        """What is to be remembered to read them the same again."""

    def remember(self, files: list[FoundFile], known: dict[str, Any]) -> None:
        """Read them as remembered."""

    def relation(self, file: FoundFile, constants: dict[str, str]) -> str:
        """A file's rows, for a FROM clause."""

    def carefully(self, file: FoundFile, constants: dict[str, str]) -> tuple[str, str]:
        """As `RowSource.carefully`."""


class FileSource:
    """A `RowSource` of files."""

    def __init__(self, read_as: dict[str, Any], patterns: Sequence[str], root: Path, *, mode: str = "full", spool: Path | None = None) -> None:  # fmt: skip
        self._read_as = {name: value for name, value in read_as.items() if value not in (None, (), [], {})}
        self._patterns, self._root, self._mode = tuple(patterns), root, mode
        self._spool = FileSpool(spool)
        self._files: list[FoundFile] | None = None
        self._left: dict[str, str] = {}
        self._rows: FileRows | None = None
        self._columns: list[SourceColumn] = []
        self._partitions: dict[str, str] = {}  # name: type

    # -- what there is -------------------------------------------------------------------------------------------------------------

    def columns(self, mover: Mover) -> list[SourceColumn]:
        """See `RowSource`. Errors: `BadInput` `pipelines.no-files`, and what is wrong with a file, by its name."""
        if not self._columns:
            files = self._found()
            if not files:
                raise self._none()
            self._columns = self._look(mover, _some(files))
        return self._columns

    def _look(self, mover: Mover, files: list[FoundFile]) -> list[SourceColumn]:
        rows = self._format(files)
        found = [*rows.look(mover, files), *self._partitioned(mover, files)]
        if not found:
            raise BadInput("pipelines.no-columns", f"{_named([file.name for file in files])}: there is no column in any file.", "Write a header, or give the columns in the files.")  # fmt: skip
        return found

    def _found(self) -> list[FoundFile]:
        """The files that are whole. Errors: `Failed` `pipelines.file-unfinished` where all are to be read and one is not."""
        if self._files is None:
            files = listed(self._root, self._patterns)
            self._left = unfinished(files)
            if self._left and self._mode in ("full", "snapshot"):
                name, why = next(iter(self._left.items()))
                raise Failed("pipelines.file-unfinished", f"{name} is still being written: {why}.", "Run again when its writer has ended; write beside, then rename.")  # fmt: skip
            self._files = [file for file in files if file.name not in self._left]
        return self._files

    def _none(self) -> BadInput:
        return BadInput("pipelines.no-files", f"No file of {self._root} is named by {', '.join(self._patterns)}.", "Look at the patterns and the folder; names that begin with . or _ are not data.")  # fmt: skip

    def _format(self, files: list[FoundFile]) -> FileRows:
        if self._rows is None:
            kinds = {self._kind(file): file for file in files if file.size} or {
                self._kind(files[0]): files[0]
            }
            if len(kinds) > 1:
                raise BadInput("pipelines.mixed-formats", f"The files are of several formats: {', '.join(f'{file.name} is {kind}' for kind, file in kinds.items())}.", "Load each format by itself, or give read_as.format.")  # fmt: skip
            kind = next(iter(kinds))
            if kind == "parquet":
                self._rows = ParquetFiles()
            else:
                self._rows = (
                    ExcelFiles(self._read_as)
                    if kind == "excel"
                    else TextFiles(kind, self._read_as, self._spool)
                )
        return self._rows

    def _kind(self, file: FoundFile) -> str:
        if given := self._read_as.get("format"):
            return str(given)
        if self._read_as.get("widths"):
            return "fixed"
        return FORMATS.get(file.bare.suffix.lower()) or _by_first_bytes(file)

    # -- partitions ----------------------------------------------------------------------------------------------------------------

    def _partitioned(self, mover: Mover, files: list[FoundFile]) -> list[SourceColumn]:
        """The columns that folders say: year=2013/…."""
        values: dict[str, set[str]] = {}
        for file in files:
            for name, value in file.partitions.items():
                values.setdefault(name, set()).add(value)
        found = []
        for name, some in values.items():
            texts = ", ".join(literal(value) for value in some if value != NO_PARTITION) or "NULL"
            seen = looked_at(mover, f"(SELECT unnest([{texts}]) AS {identifier(name)})", [name])[name]
            one = typed(seen, Told())
            self._partitions[name] = one.type
            found.append(SourceColumn(name, one.type, "of the folder's name"))
        return found

    def _constants(self, file: FoundFile) -> dict[str, str]:
        given = file.partitions
        return {name: f"CAST({literal(given[name]) if given.get(name, NO_PARTITION) != NO_PARTITION else 'NULL'} AS {kind})" for name, kind in self._partitions.items()}  # fmt: skip

    # -- what is new ---------------------------------------------------------------------------------------------------------------

    def reading(self, mover: Mover, position: dict[str, Any] | None, batch_rows: int | None) -> Reading:
        """See `RowSource`. A file is never cut, whatever `batch_rows` is: small ones are read together."""
        del batch_rows
        known: dict[str, list[Any]] = (
            {} if self._mode in ("full", "snapshot") else dict((position or {}).get("files") or {})
        )
        files = self._found()
        if not files and not known:
            raise self._none() if not self._left else Failed("pipelines.file-unfinished", f"All files are still being written: {_named(list(self._left))}.", "Run again when their writers have ended.")  # fmt: skip
        new, now, warnings = self._new(files, known)
        self.columns(mover) if files else None
        if new:
            self._columns_hold(mover, new)
        told = self._rows.warnings if self._rows else []
        parts = tuple(self._part(group, now) for group in _together(new))
        if self._left:
            warnings.append(
                f"left for the next run, as they are still being written: {_named(list(self._left))}"
            )
        return Reading(
            parts,
            {"files": {**known, **now}},
            bytes=sum(file.size for file in new),
            stated={**(self._rows.stated() if self._rows else {}), "files": len(new), "files_known": len(known)},
            warnings=(*warnings, *told),
        )  # fmt: skip

    def _columns_hold(self, mover: Mover, new: list[FoundFile]) -> None:
        """What is new is looked at; the columns stay those that were told."""
        if self._rows is not None and len(self._found()) > LOOKED_AT:
            self._rows.look(mover, new)

    def _new(self, files: list[FoundFile], known: dict[str, list[Any]]) -> tuple[list[FoundFile], dict[str, list[Any]], list[str]]:  # fmt: skip
        new, changed = [], []
        now: dict[str, list[Any]] = {}
        for file in files:
            before = known.get(file.name)
            if before and before[:2] == [file.size, file.changed_ns]:
                continue
            stamp = file.stamp()
            if before and before[2] == stamp:  # touched, or copied anew
                now[file.name] = [file.size, file.changed_ns, stamp]
                continue
            if before:
                changed.append(file.name)
            if before and self._mode == "append":
                continue
            now[file.name] = [file.size, file.changed_ns, stamp]
            new.append(file)
        return new, now, self._of_changed(changed)

    def _of_changed(self, names: list[str]) -> list[str]:
        if not names:
            return []
        what = "and are not read again, as their rows would be doubled" if self._mode == "append" else "and are read again"  # fmt: skip
        return [f"changed since they were read, {what}: {_named(names)}"]

    def _part(self, files: list[FoundFile], now: dict[str, list[Any]]) -> Part:
        said = "|".join(f"{file.name}:{now[file.name][2]}" for file in files)
        rows = self._rows
        return Part(
            id=hashlib.blake2b(said.encode(), digest_size=16).hexdigest(),
            bytes=sum(file.size for file in files),
            told=files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more files",
            data={
                "files": [[file.name, file.size, file.changed_ns] for file in files],
                "known": rows.known(files) if rows else {},
                "partitions": self._partitions,
            },
        )  # fmt: skip

    # -- rows ----------------------------------------------------------------------------------------------------------------------

    def relation(self, mover: Mover, part: Part) -> str:
        """See `RowSource`. Errors: `Failed` `pipelines.file-changed` where a file is another than it was."""
        relations = [rows.relation(file, constants) for rows, file, constants in self._of(mover, part)]
        return (
            relations[0]
            if len(relations) == 1
            else f"({' UNION ALL '.join(f'SELECT * FROM {one}' for one in relations)})"
        )

    def carefully(self, mover: Mover, part: Part) -> tuple[str, str]:
        """See `RowSource`: places are file:line, of JSON documents file#record."""
        found = [rows.carefully(file, constants) for rows, file, constants in self._of(mover, part)]
        good = " UNION ALL ".join(f"SELECT * FROM {one}" for one, _ in found)
        bad = " UNION ALL ".join(f"SELECT * FROM {one}" for _, one in found if one)
        return f"({good})", f"({bad})" if bad else ""

    def still(self, part: Part) -> None:
        """See `RowSource`: a file that was written to while it was read is taken by the next run."""
        for name, size, changed in part.data["files"]:
            FoundFile(self._root / name, name, size, changed).must_be_as_it_was()

    def _of(self, mover: Mover, part: Part) -> list[tuple[FileRows, FoundFile, dict[str, str]]]:
        files = [
            FoundFile(self._root / name, name, size, changed) for name, size, changed in part.data["files"]
        ]
        for file in files:
            file.must_be_as_it_was()
        rows = self._format(files)
        if isinstance(rows, ExcelFiles):
            mover.load("excel")
        rows.remember(files, part.data["known"])
        self._partitions = dict(part.data["partitions"])
        return [(rows, file, self._constants(file)) for file in files]

    def keys_relation(self, mover: Mover, keys: tuple[str, ...]) -> str:
        """The keys of all files that are there. Errors: `Failed` `pipelines.file-unfinished` where one is not whole."""
        files = self._found()
        if self._left:
            raise Failed("pipelines.file-unfinished", f"{_named(list(self._left))}: still being written, so which rows are gone is not known.", "Run again when it is written.")  # fmt: skip
        self.columns(mover)
        rows = self._format(files)
        rows.look(mover, files)
        out = ", ".join(map(identifier, keys))
        some = [f"SELECT {out} FROM {rows.relation(file, self._constants(file))}" for file in files]
        return f"({' UNION ALL '.join(some)})" if some else ""

    def close(self) -> None:
        """See `RowSource`."""
        self._spool.close()


def open_files(read_as: dict[str, Any], patterns: Sequence[str], root: Path, *, mode: str = "full", spool: Path | None = None) -> FileSource:  # fmt: skip
    """Files below `root`. `read_as`: the JSON of `spec.FileFormat`; `mode`: the load's; `spool`: a folder for what is written while reading."""
    return FileSource(read_as, patterns, root, mode=mode, spool=spool)


def _by_first_bytes(file: FoundFile) -> str:
    with opened(file) as stream:
        head = stream.read(2**16)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "excel"
    if file_json.is_lines(head):
        return "jsonl"
    return "json" if head.lstrip()[:1] in (b"{", b"[") else "csv"


def _some(files: list[FoundFile]) -> list[FoundFile]:
    """All of a few; of many the newest, and some among the others."""
    if len(files) <= LOOKED_AT:
        return files
    by_age = sorted(files, key=lambda file: file.changed_ns, reverse=True)
    newest, others = by_age[: LOOKED_AT - 100], by_age[LOOKED_AT - 100 :]
    return sorted({*newest, *others[:: max(1, len(others) // 100)]}, key=lambda file: file.name)


def _together(files: list[FoundFile]) -> list[list[FoundFile]]:
    groups: list[list[FoundFile]] = []
    size = 0
    for file in files:
        if not groups or size + file.size > TOGETHER_BYTES or len(groups[-1]) >= TOGETHER_FILES:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.size
    return groups


def _named(names: list[str]) -> str:
    more = len(names) - SAID
    return ", ".join(sorted(names)[:SAID]) + (f" and {more} more" if more > 0 else "")
