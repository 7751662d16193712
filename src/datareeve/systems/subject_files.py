"""A subject's lines and rows in files: Parquet, CSV, JSON lines, logs. A file is written anew beside, and takes its place whole.

What was there before stays beside it under a hidden name, until the last step of an erasure removes it: a step that fails later can be taken
back. Lines that are not meant are passed on byte for byte; a Parquet file's dictionaries and statistics are made anew of the rows that stay.
"""

# ruff: noqa: S608 - identifiers are quoted as the engine does it, values are parameters
from __future__ import annotations

import csv
import grp
import gzip
import hashlib
import io
import json
import os
import pwd
import re
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from datareeve.core.errors import BadInput, Failed, Refused
from datareeve.systems.keyed import Finder, wanted_of, written
from datareeve.systems.redacting import redacted_json
from datareeve.systems.subject_sql import DUCKDB, Condition, Looking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from datareeve.systems.keyed import Keyed
    from datareeve.systems.subject_shapes import Sought, Store

PARTIAL, FORMER = ".datareeve-erasing", ".datareeve-former"
MARK = "[erased]"
UNREAD = (".json", ".zst", ".bz2", ".xz", ".lzma", ".lz4", ".br", ".z", ".7z", ".rar", ".zip", ".tar", ".tgz", ".orc", ".avro", ".feather", ".arrow",
          ".xlsx", ".xls", ".ods", ".docx", ".pdf", ".xml", ".db", ".sqlite", ".duckdb")  # fmt: skip
GZIP = b"\x1f\x8b"
PACKED = (GZIP, b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"BZh", b"PK\x03\x04", b"\x04\x22\x4d\x18", b"\x1f\x9d", b"7z\xbc\xaf")  # fmt: skip
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
AFTER_HEX = 12
FORMER_NAME = re.compile(
    rf"\.(?P<file>.+)\.(?P<run>[^.]*)\.(?P<after>[0-9a-f]{{{AFTER_HEX}}}){re.escape(FORMER)}"
)
TOGETHER = 1 << 14  # bytes of a file that are let pass, or are looked at line by line
LOOKED_AT = 1 << 20  # bytes of a file whose form is looked at
PARQUET = (".parquet", ".pq")
PARQUET_MARK = b"PAR1"  # its first bytes, and its last
DAMAGED = "files.damaged"
JSON_LINES = (".jsonl", ".ndjson")
CSV = (".csv", ".tsv")
MOST_LINES = 100_000  # of one subject, that are shown at once
MOST_JOINED = 1_000  # lines that one quoted CSV record may span
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}")  # ISO 8601: as text it stands in the order of time
CODECS = {"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "BROTLI", "LZ4", "LZ4_RAW"}


class Source(NamedTuple):
    """Where the files of a dataset lie."""

    folder: Path
    pattern: str

    def files(self) -> list[Path]:
        """The files, in order; hidden ones are ours or an editor's."""
        below = self.folder / self.pattern
        if below.is_dir():
            found = (path for path in below.rglob("*"))
        elif below.is_file():
            return [] if below.is_symlink() else [below]
        else:
            found = self.folder.glob(self.pattern)
        return sorted(
            path
            for path in found
            if path.is_file() and not path.name.startswith(".") and not path.is_symlink()
        )

    def all_files(self) -> list[Path]:
        """The files, and links that are not followed."""
        below = self.folder / self.pattern
        found = below.rglob("*") if below.is_dir() else [below] if below.is_symlink() else self.folder.glob(self.pattern)  # fmt: skip
        links = [path for path in found if path.is_symlink() and not path.name.startswith(".")]
        return sorted({*self.files(), *links})

    def formers(self) -> list[Path]:
        """What an erasure left beside them."""
        return sorted({path for file in self._folders() for path in file.glob(f".*{FORMER}")})

    def partials(self) -> list[Path]:
        """What an interrupted rewriting left."""
        return sorted({path for file in self._folders() for path in file.glob(f".*{PARTIAL}*")})

    def _folders(self) -> set[Path]:
        below = self.folder / self.pattern
        return {path.parent for path in self.files()} | {below if below.is_dir() else below.parent}


def form_of(path: Path) -> str:
    """parquet, csv, json or text."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    last = suffixes[-1] if suffixes else ""
    if last in PARQUET:
        return "parquet"
    return "csv" if last in CSV else "json" if last in JSON_LINES else "text"


def unfit(source: Source) -> list[str]:
    """Why files of a dataset cannot be searched or written anew; nothing where all can."""
    found = {why for path in source.all_files() if (why := _unfit(path))}
    heads = (
        {tuple(columns(path)) for path in source.files() if form_of(path) == "csv"} if not found else set()
    )
    return sorted(found | ({"CSV files with different heads"} if len(heads) > 1 else set()))


def rights(files: list[Path]) -> dict[str, Any]:
    """Whom the permissions of files let in, as far as this machine's accounts go; a folder that is closed closes what lies in it."""
    found: dict[str, Any] = {
        "files": len(files),
        "owners": set(),
        "groups": set(),
        "all_read": 0,
        "all_write": 0,
    }
    for path in files:
        seen = path.stat()
        found["owners"].add(_name_of(pwd.getpwuid, seen.st_uid))
        if seen.st_mode & stat.S_IRGRP:
            found["groups"].add(_name_of(grp.getgrgid, seen.st_gid))
        if all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents):
            found["all_read"] += bool(seen.st_mode & stat.S_IROTH)
            found["all_write"] += bool(seen.st_mode & stat.S_IWOTH)
    return {**found, "owners": sorted(found["owners"]), "groups": sorted(found["groups"])}


def _name_of(ask: Callable[[int], Any], number: int) -> str:
    try:
        return str(ask(number)[0])
    except KeyError:
        return str(number)


def _unfit(path: Path) -> str:
    if path.is_symlink():
        return "a symbolic link"
    linked = sum(former.samefile(path) for former in path.parent.glob(f".*{FORMER}"))
    if path.stat().st_nlink > 1 + linked:
        return "a file with further hard links"
    if path.suffix.lower() in UNREAD:
        return f"a file of form {path.suffix.lower()}"
    if form_of(path) == "parquet":
        return "" if _is_whole(path) else f"a damaged Parquet file ({path.name})"
    return _unfit_bytes(path)


def _is_whole(path: Path) -> bool:
    """Whether a Parquet file has its end: what was cut off has not. What is damaged within is found when it is read."""
    if path.stat().st_size < 3 * len(PARQUET_MARK):
        return False
    with path.open("rb") as file:
        begins = file.read(len(PARQUET_MARK))
        file.seek(-len(PARQUET_MARK), 2)
        return begins == file.read() == PARQUET_MARK


def _unfit_bytes(path: Path) -> str:
    packed = _starts(path).startswith(GZIP)
    if packed != (path.suffix.lower() == ".gz"):
        return "a file that is packed, or not, against its name"
    with _open(path, "rb") as file:
        start = file.read(LOOKED_AT)
    if start.startswith(PACKED):
        return "a packed file"
    return "a binary file, or text in UTF-16" if b"\0" in start or start.startswith(UTF_16) else ""


def _starts(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(GZIP))


def former_of(path: Path, run: str, after: str) -> Path:
    """Where the former file stays, of one run; its name says what took its place (SHA-256)."""
    return path.with_name(f".{path.name}.{run}.{after[:AFTER_HEX]}{FORMER}")


# -- lines -------------------------------------------------------------------------------------------------------------------------


class Lines:
    """Which lines of a file are a subject's, and what becomes of them."""

    def __init__(self, store: Store, sought: Sought | None, keyed: Keyed, looking: Looking) -> None:
        self.store = store
        self.looking = looking
        self._keyed = keyed
        self._sought = sought
        self._finder = Finder(keyed, sought.traces, sought.names) if sought else Finder(keyed, ())
        traces = sought.traces if sought else ()
        self._wanted = {c: wanted_of(traces, store.identifying.get(c, "")) for c in store.match.values}
        keyed.refuse_foreign(*store.match.spared)
        self._clear = looking.clear()

    def each(self, path: Path) -> Iterator[tuple[bytes, bytes | None]]:
        """Every record as it stands, and what it becomes: itself, another, or nothing (None)."""
        form = form_of(path)
        with _open(path, "rb") as file:
            if form == "csv":
                yield from self._csv(file, path)
            elif form == "json" and self.store.match.column:
                yield from ((raw, self._json(raw)) for raw in file)
            else:
                yield from self._texts(file)

    def _texts(self, file: Any) -> Iterator[tuple[bytes, bytes | None]]:
        while lines := file.readlines(TOGETHER):
            some = self._finder.may_be_in(lines)
            for raw in lines:
                yield raw, self._text(raw) if some and self._finder.may_be_in([raw]) else raw

    def _text(self, raw: bytes) -> bytes | None:
        for encoding in _encodings(raw):
            text = raw.decode(encoding, errors="surrogateescape")
            if self._finder.is_in(text):
                if self.store.mode == "delete":
                    return None
                after = redacted_json(self._finder, text, MARK) or self._finder.redacted(text, MARK)
                return after.encode(encoding, errors="surrogateescape")
        return raw

    def _json(self, raw: bytes) -> bytes | None:
        try:
            row = json.loads(raw)
        except ValueError:
            return self._text(raw)
        meant = [one for one in _objects(row) if self._is_meant(one)]
        if not meant:
            return raw
        if self.store.mode == "delete":
            return None
        if not isinstance(row, dict) or meant != [row]:
            raise Failed("erasure.json", f"{self.store.dataset}: the subject's key stands in a nested object, where what is personal is not known.", "Give the dataset erasure: delete, or no subject_key: then it is text.")  # fmt: skip
        put = {c: self.looking.put(self.store, c, how) for c, how in self.store.set.items() if c in row}
        if all(row[column] == value for column, value in put.items()):
            return raw
        return json.dumps({**row, **put}, ensure_ascii=False).encode() + b"\n"

    def _csv(self, file: Any, path: Path) -> Iterator[tuple[bytes, bytes | None]]:
        head = file.readline()
        yield head, head
        delimiter = _delimiter(head, path)
        names = next(
            csv.reader([head.decode("utf-8-sig", errors="surrogateescape")], delimiter=delimiter), []
        )
        for raw in _records(file):
            yield raw, self._csv_record(raw, names, delimiter, path)

    def _csv_record(self, raw: bytes, names: list[str], delimiter: str, path: Path) -> bytes | None:
        if not self.store.match.column and not self.store.match.older and not self.store.match.values:
            return self._text(raw)
        text = raw.decode("utf-8", errors="surrogateescape")
        if not text.strip():
            return raw
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error:
            rows = []
        if len(rows) != 1 or len(rows[0]) != len(names):
            # Whose such a line is nobody can say; and a lone quote joins the lines of two people.
            raise Failed("erasure.csv", f"{self.store.dataset}: a record of {path.name} has not the {len(names)} fields of its head, or a quote that is not closed.", "Mend that file; or declare it as text, without a subject_key.")  # fmt: skip
        fields = rows[0]
        if not self._is_meant(dict(zip(names, fields, strict=True))):
            return raw
        if self.store.mode == "delete":
            return None
        put = {c: self.looking.put(self.store, c, how) or "" for c, how in self.store.set.items()}
        after = [put.get(name, field) for name, field in zip(names, fields, strict=True)]
        if after == fields:
            return raw
        out = io.StringIO(newline="")
        ending = "\r\n" if raw.endswith(b"\r\n") else "\n"
        csv.writer(out, delimiter=delimiter, lineterminator=ending).writerow(after)
        return out.getvalue().encode("utf-8", errors="surrogateescape")

    def _is_meant(self, row: dict[str, Any]) -> bool:
        match = self.store.match
        if match.older and not _is_older(row.get(match.older), match.before):
            return False
        if (
            match.spared
            and self._keyed.subject(match.spared_subject, row.get(match.column, "")) in match.spared
        ):
            return False
        if self._sought is None:
            return bool(match.older)
        if match.column and self._is_key(row.get(match.column)):
            return True
        return any(
            self._keyed.tells(row[c], self._wanted[c]) for c in match.values if row.get(c) not in (None, "")
        )

    def _is_key(self, value: Any) -> bool:
        if value is None or self._sought is None:
            return False
        if self._clear is not None:
            return written(value) == self._clear
        return self._keyed.subject(self._sought.subject, value) == self._sought.digest


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON document, the outer ones first."""
    waiting = [value]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, dict):
            yield one
        waiting += [*(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())]


def _is_older(value: Any, before: str) -> bool:
    """Whether a moment as text lies before another; what is no moment is not old."""
    text = "" if value is None else written(value)
    return bool(MOMENT.match(text)) and text < before


def _encodings(raw: bytes) -> tuple[str, ...]:
    """In which encodings a line is searched: what is no UTF-8 may be Latin-1."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return ("utf-8", "latin-1")
    return ("utf-8",)


def _records(file: Any) -> Iterator[bytes]:
    """Whole CSV records, line breaks within quotes included."""
    record, lines = b"", 0
    for raw in file:
        record, lines = record + raw, lines + 1
        if record.count(b'"') % 2 == 0 or lines >= MOST_JOINED:
            yield record
            record, lines = b"", 0
    if record:
        yield record


def _delimiter(head: bytes, path: Path) -> str:
    if ".tsv" in path.suffixes:
        return "\t"
    return max(",;\t|", key=lambda sign: head.count(sign.encode()))


# -- counting and rewriting ----------------------------------------------------------------------------------------------------------


class Files:
    """The files of one dataset, for one subject or one age."""

    def __init__(
        self, source: Source, store: Store, sought: Sought | None, keyed: Keyed, project: Path
    ) -> None:
        self.source = source
        self.store = store
        self._looking = Looking(DUCKDB, _nothing, keyed, project, sought)
        self._lines = Lines(store, sought, keyed, self._looking)

    def count(self) -> int:
        """Rows or lines that are meant."""
        return sum(self._count(path) for path in self.source.files())

    def rewrite(self, most: int | None, run: str = "") -> dict[str, Any]:
        """Write each file that holds some anew, and put it in the former's place. Gives {rows, files: [{path, before, after, rows}]}."""
        _remove(self.source.partials())
        told = []
        for path in self.source.files():
            if (rows := self._count(path)) > 0:
                told.append(  # noqa: PERF401 - it acts
                    {
                        "path": path.relative_to(self.source.folder).as_posix(),
                        "rows": rows,
                        **self._replace(path, run),
                    }
                )
        total = sum(one["rows"] for one in told)
        if most is not None and total > most:
            self.put_back(run)
            raise changed(self.store.dataset, most, total)
        return {"rows": total, "files": told}

    def put_back(self, run: str = "") -> None:
        """Put the former files of a run in their places again; quiet where there are none. Another run's stay: they hold who was erased."""
        _remove(self.source.partials())
        put_back(self.source.formers(), run)

    def shown(self) -> list[dict[str, Any]]:
        """The rows or lines themselves, for the subject alone."""
        found: list[dict[str, Any]] = []
        for path in self.source.files():
            found.extend(self._shown(path))
            if len(found) > MOST_LINES:
                raise BadInput("subject.too-many", f"{self.store.dataset} holds more than {MOST_LINES:,} rows of one subject.", "Export it by its own tools.")  # fmt: skip
        return found

    def _shown(self, path: Path) -> Iterator[dict[str, Any]]:
        name = path.relative_to(self.source.folder).as_posix()
        if form_of(path) == "parquet":
            with _parquet(path) as table:
                condition = self._where(table)
                yield from table.rows(
                    f"SELECT * FROM {table.source} WHERE {condition.sql}", condition.parameters
                )
            return
        head: list[str] = columns(path)
        for number, (raw, after) in enumerate(self._lines.each(path), 1):
            if after != raw:
                text = raw.decode("utf-8", errors="replace").rstrip("\r\n")
                yield _fields(text, path, head) or {"file": name, "line": number, "text": text}

    def _count(self, path: Path) -> int:
        if form_of(path) == "parquet":
            with _parquet(path) as table:
                condition = self._where(table)
                counted = table.rows(
                    f"SELECT count(*) AS n FROM {table.source} WHERE {condition.sql}", condition.parameters
                )
                return int(counted[0]["n"])
        return sum(after != raw for raw, after in self._lines.each(path))

    def _where(self, table: Any) -> Condition:
        self._looking.rows = table.rows
        return self._looking.where(self.store, table.source)

    def _replace(self, path: Path, run: str) -> dict[str, Any]:
        if busy := writers(path):
            raise Refused(
                "erasure.open-file",
                f"{self.store.dataset}: {path.name} is open for writing by process {busy[0]}: what it writes next would go to the former file.",
                "Let that program close or rotate it first; then erase again.",
            )
        partial, seen = path.with_name(f".{path.name}{PARTIAL}{path.suffix}"), path.stat()
        try:
            self._write(path, partial)
            if _changed(seen, path.stat()):
                raise Failed("erasure.changed", f"{self.store.dataset}: {path.name} was written to in the meantime.", "Plan again when it is at rest.")  # fmt: skip
            return take_place(partial, path, run)
        finally:
            partial.unlink(missing_ok=True)

    def _write(self, path: Path, partial: Path) -> None:
        if form_of(path) == "parquet":
            with _parquet(path) as table:
                table.write(self._kept(table), partial)
            return
        with _open(partial, "wb", like=path) as out:
            for _, after in self._lines.each(path):
                if after is not None:
                    out.write(after)

    def _kept(self, table: Any) -> Condition:
        condition = self._where(table)
        if self.store.mode == "delete":
            return Condition(
                f"SELECT * FROM {table.source} WHERE ({condition.sql}) IS NOT TRUE", condition.parameters
            )
        replaced, parameters = [], []
        for column, how in self.store.set.items():
            name = DUCKDB.name(column)
            replaced.append(f"CASE WHEN {condition.sql} THEN ? ELSE {name} END AS {name}")
            parameters += [*condition.parameters, self._looking.put(self.store, column, how)]
        return Condition(f"SELECT * REPLACE ({', '.join(replaced)}) FROM {table.source}", parameters)


def _fields(text: str, path: Path, head: list[str]) -> dict[str, Any] | None:
    """A record by its columns; None of a line of text."""
    form = form_of(path)
    if form == "json":
        with suppress(ValueError):
            row = json.loads(text)
            return row if isinstance(row, dict) else None
    if form == "csv" and head:
        with _open(path, "rb") as file:
            delimiter = _delimiter(file.readline(), path)
        fields = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        return dict(zip(head, fields, strict=True)) if len(fields) == len(head) else None
    return None


@contextmanager
def writing(what: str) -> Iterator[None]:
    """What the file system refuses while files are written anew, as ours: the run then puts the former ones back. Errors: `Failed` `erasure.not-written`."""
    try:
        yield
    except OSError as error:
        raise Failed("erasure.not-written", f"{what} cannot be written anew: {error.strerror or 'the file system refuses'}.", "Free as much space as its largest file takes, or mend the folder's rights; then plan again.") from None  # fmt: skip


def take_place(new: Path, path: Path, run: str) -> dict[str, Any]:
    """Put a finished file in the place of another, which stays beside it. Gives {before, after}: SHA-256 of both."""
    seen = path.stat()
    new.chmod(seen.st_mode & 0o777)
    with suppress(PermissionError):
        os.chown(new, seen.st_uid, seen.st_gid)
    before, after = digest(path), digest(new)
    former = former_of(path, run, after)
    _sync(new)
    if former.exists():
        raise Failed("erasure.former", f"{former.name} stands beside {path.name} already.", "An earlier erasure was not ended: resume it, or look at that file and remove it.")  # fmt: skip
    os.link(path, former)
    new.replace(path)
    former.chmod(0o600)
    _sync(path.parent)
    return {"before": before, "after": after}


def put_back(formers: Iterable[Path], run: str) -> None:
    """Put the former files of one run in their places. Errors: `Refused` `erasure.written-since` where something was written to one in the meantime."""
    for former in formers:
        said = FORMER_NAME.fullmatch(former.name)
        if said and said["run"] == run:
            _back(former, former.with_name(said["file"]), said["after"])


def _back(former: Path, path: Path, after: str) -> None:
    # Where it is the very file that stands there, renaming would do nothing (rename(2)).
    if path.exists() and former.samefile(path):
        former.unlink()
    elif path.exists() and not digest(path).startswith(after):
        raise Refused("erasure.written-since", f"{path.name} was written to since it was written anew: putting the former file back would lose that.", "Plan the erasure again: it ends what is left, and removes the former file.")  # fmt: skip
    else:
        former.replace(path)


def remove_formers(source: Source) -> int:
    """Remove what stands beside the files; gives how many there were."""
    return _remove(source.formers())


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def writers(path: Path) -> list[int]:
    """The processes of this machine that have the file open for writing, as far as we may see."""
    wanted = str(path.resolve())
    with os.scandir("/proc") as processes:
        return sorted(int(one.name) for one in processes if one.name.isdigit() and _writes(one.path, wanted))


def _writes(process: str, wanted: str) -> bool:
    with suppress(OSError), os.scandir(f"{process}/fd") as opened:
        for one in opened:
            with suppress(OSError):
                if os.readlink(one) == wanted and _for_writing(f"{process}/fdinfo/{one.name}"):  # noqa: PTH115 - thousands of them
                    return True
    return False


def _for_writing(info: str) -> bool:
    flags = re.search(r"flags:\s+(\d+)", Path(info).read_text(encoding="ascii"))
    return flags is not None and bool(int(flags[1], 8) & 3)


def changed(dataset: str, planned: int, found: int) -> Failed:
    """Said where there is more than was planned."""
    return Failed(
        "erasure.changed",
        f"{dataset} holds {found:,} rows of it now; the plan told of {planned:,}.",
        "Nothing of it was erased: plan again, and let a person see it.",
    )


def _changed(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_ino, before.st_size, before.st_mtime_ns) != (
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
    )


def _remove(paths: list[Path]) -> int:
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path, mode: str, like: Path | None = None) -> Any:
    """A file, unpacked where it is packed."""
    if ".gz" not in [suffix.lower() for suffix in (like or path).suffixes]:
        return path.open(mode)
    return gzip.open(path, mode)


def _nothing(sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
    del sql, parameters
    return []


# -- Parquet ---------------------------------------------------------------------------------------------------------------------------


class _parquet:  # noqa: N801 - used as a context
    """One Parquet file, through DuckDB."""

    def __init__(self, path: Path) -> None:
        from datareeve.systems.duckdb import _driver  # noqa: PLC0415 - an extra

        self.path = path
        self._errors = _driver().Error
        self._unreadable = (_driver().InvalidInputException, _driver().SerializationException, _driver().InternalException)  # fmt: skip
        self._connection = _driver().connect(config={"threads": "2"})
        self.source = f"read_parquet('{str(path).replace(chr(39), chr(39) * 2)}', hive_partitioning = false, union_by_name = false)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rows(self, sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
        """The rows of a statement."""
        cursor = self._told(lambda: self._connection.execute(sql, parameters))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def write(self, kept: Condition, out: Path) -> None:
        """Write the rows that stay, with the codec, row groups and schema that the file has."""
        codec, size = self._layout()
        place = str(out).replace("'", "''")
        options = f"FORMAT parquet, CODEC '{codec}', ROW_GROUP_SIZE {size}"
        statement = f"COPY ({kept.sql}) TO '{place}' ({options})"
        self._told(lambda: self._connection.execute(statement, kept.parameters))
        if self._schema(self.path) != self._schema(out):
            raise Failed("erasure.schema", f"{self.path.name} would not keep its columns and types.", "Rewrite it with the program that made it, without this subject.")  # fmt: skip

    def _layout(self) -> tuple[str, int]:
        found = self.rows(
            f"SELECT any_value(compression) AS codec, max(row_group_num_rows) AS rows FROM parquet_metadata('{str(self.path).replace(chr(39), chr(39) * 2)}')",
            [],
        )[0]
        codec = str(found["codec"] or "SNAPPY").upper()
        return codec if codec in CODECS else "SNAPPY", max(int(found["rows"] or 0), 2048)

    def _schema(self, path: Path) -> list[tuple[str, str]]:
        place = str(path).replace("'", "''")
        return [
            (row["column_name"], row["column_type"])
            for row in self.rows(
                f"DESCRIBE SELECT * FROM read_parquet('{place}', hive_partitioning = false)", []
            )
        ]

    def _told(self, act: Callable[[], Any]) -> Any:
        from datareeve.systems.duckdb import translate  # noqa: PLC0415

        try:
            return act()
        except self._errors as error:
            # What a codec says of bytes it did not write is an error of no kind.
            if isinstance(error, self._unreadable) or type(error) is self._errors:
                raise Failed(DAMAGED, f"{self.path.name} cannot be read to its end: it is damaged, or no Parquet file.", "Restore it from a backup, or take it out of the folder: whose data it holds nobody can say.") from None  # fmt: skip
            raise translate(error, self.path.name, self.path.name, late=False) from None


def columns(path: Path) -> list[str]:
    """The columns of a Parquet file or of a CSV file's head; none of others."""
    form = form_of(path)
    if form == "parquet":
        with _parquet(path) as table:
            return [row["column_name"] for row in table.rows(f"DESCRIBE SELECT * FROM {table.source}", [])]
    if form != "csv":
        return []
    with _open(path, "rb") as file:
        head = file.readline()
    return next(
        csv.reader([head.decode("utf-8-sig", errors="replace")], delimiter=_delimiter(head, path)), []
    )
