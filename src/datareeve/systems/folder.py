"""Folders of data files (Parquet, CSV, JSON): each file, or each folder of files, is a table, read through DuckDB in memory.

DuckDB may open the files of the tables that a statement names, and nothing else: they are listed one by one (`allowed_paths`) before the way
out is closed. What a CSV or JSON file's columns are is detected once, from all of a small file and from the first million rows of a large
one, and every view states it: `detected` tells. A file that is empty, half-written or of other columns than its neighbours is named.
Links that lead out of the folder are not followed, and names that begin with `.` or `_` are not data.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput, DatareeveError, Failed, Unreachable
from datareeve.systems import duckdb_measure
from datareeve.systems.adapter import reads
from datareeve.systems.answers import Shape, answers, shaped
from datareeve.systems.dataset_manifest import folder_of, newest
from datareeve.systems.dataset_store import LocalStore
from datareeve.systems.dataset_work import notes, work_file
from datareeve.systems.duckdb import _driver, execute, translate
from datareeve.systems.erasing import Subjects
from datareeve.systems.json_values import ROW_CAP
from datareeve.systems.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datareeve.core.estate_data import FolderSystem
    from datareeve.systems.measure import Engine, Stream
    from datareeve.systems.subject_files import Source

FORMATS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json",
}  # fmt: skip
PACKED = {".gz", ".zst"}
READ_WHOLE = 64 * 2**20  # bytes of a CSV file whose every row is looked at to know its columns' types
SAMPLED_ROWS = 1_000_000
MOST_FILES = 100_000
CATALOG = re.compile(r"\b(duckdb_\w+|information_schema|pg_catalog|show|sqlite_master)\b", re.IGNORECASE)
BY_FILE = "files"  # the schema in which the tables have the names of their files: files."flights/*.parquet"
WIDER = ("BIGINT", "DOUBLE")


@dataclass(frozen=True)
class Files:
    """A table: its files, their format, and what they are called together."""

    paths: tuple[Path, ...]
    pattern: str  # below the folder
    format: str = ""
    wrong: DatareeveError | None = None  # why it cannot be read at all


@dataclass
class Detected:
    """How the files of a table are read, as the statement of its view says it."""

    source: str
    columns: list[tuple[str, str]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


class Folder(Measured, Subjects):
    """One folder."""

    kind = "folder"
    entry: FolderSystem

    def __init__(self, name: str, entry: FolderSystem, project: Path | None = None) -> None:
        super().__init__(name)
        self.entry = entry
        self.project = project or Path.cwd()
        self._detected: dict[tuple[Any, ...], Detected] = {}

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def query(
        self,
        sql: str,
        parameters: dict[str, Any] | list[Any] | None = None,
        shape: Shape = "rows",
        timeout_seconds: float | None = None,
    ) -> Any:
        """The answer of one statement that only reads, in DuckDB's SQL. Shapes and bound as for PostgreSQL; parameters are `$name` or `?`."""
        with self._reading([sql], timeout_seconds) as (connection, _):
            cursor = execute(connection, sql, parameters)
            names = [column[0] for column in cursor.description or ()]
            return shaped(names, cursor.fetchmany(ROW_CAP + 1), shape, self.kind)

    @reads
    def ask(self, statements: dict[str, str]) -> dict[str, Any]:
        """The rows of several statements by name; None for one that cannot be answered as it is written."""
        with self._reading(statements.values(), None) as (connection, broken):

            def query(sql: str) -> Any:
                try:
                    cursor = execute(connection, sql)
                    names = [column[0] for column in cursor.description or ()]
                    return shaped(names, cursor.fetchmany(ROW_CAP + 1), "rows", self.kind)
                except (_driver().Error, UnicodeDecodeError) as error:
                    raise self._ours(error, sql, broken, late=False) from None

            return answers(query, statements, passed_on=(".timeout",))

    @contextmanager
    def measuring(self, sqls: list[str], busy_share: float) -> Iterator[Engine]:
        """See `Measured`. Files have no snapshots: one that is changed meanwhile is an error."""
        del busy_share
        with duckdb_measure.spilling(self.project) as settings:
            yield FolderEngine(self, sqls, settings)

    @reads
    def tables(self) -> list[str]:
        """The names of the tables."""
        return list(self._tables())

    @reads
    def patterns(self) -> dict[str, str]:
        """Below the folder, the files of each table: {name: 'orders.csv', or 'events/*.parquet'}."""
        return {name: one.pattern for name, one in self._tables().items()}

    @reads
    def detected(self) -> dict[str, Any]:
        """What each table is: {name: {pattern, format, files, bytes, columns: [{name, type}], options, why_not}}."""
        found = self._tables()
        with self._connected(found.values()) as connection:
            return {name: self._about(connection, one) for name, one in found.items()}

    def _about(self, connection: Any, one: Files) -> dict[str, Any]:
        told = {
            "pattern": one.pattern,
            "format": one.format,
            "files": len(one.paths),
            "bytes": sum(map(_size, one.paths)),
        }
        try:
            read = self._detect(connection, one)
        except DatareeveError as error:
            return {**told, "columns": [], "options": {}, "why_not": error.what}
        columns = [{"name": name, "type": kind} for name, kind in read.columns]
        return {**told, "columns": columns, "options": read.options, "why_not": ""}

    @reads
    def server(self) -> dict[str, Any]:
        """What this folder is: version (of the DuckDB that reads it), path, tables, files, bytes."""
        found = self._tables()
        paths = [path for one in found.values() for path in one.paths]
        return {
            "engine": "DuckDB on files",
            "version": _driver().__version__,
            "path": str(self.root),
            "tables": len(found),
            "files": len(paths),
            "bytes": sum(map(_size, paths)),
        }

    def identity(self) -> str:
        """The folder itself, whatever it is called."""
        if self.entry.writable and not self.root.exists():
            return f"folder:{self.root}"
        found = self.root.stat()
        return f"folder:{found.st_dev}:{found.st_ino}"

    # -- files ---------------------------------------------------------------------------------------------------------------------

    @property
    def root(self) -> Path:
        """The folder. Errors: `Unreachable` `folder.missing`."""
        place = (self.project / self.entry.path).resolve()
        if not place.is_dir() and (
            place.exists() or not self.entry.writable
        ):  # a pipeline makes the folder that it writes to
            why = "is a file" if place.exists() else "does not exist"
            raise Unreachable("folder.missing", f"{self.name}: {self.entry.path} {why}.", f"Correct systems.{self.name}.path in estate.yaml.")  # fmt: skip
        return place

    def _tables(self) -> dict[str, Files]:
        root = self.root
        if self.entry.writable:
            return self._of_manifest(root)
        if self.entry.tables:
            return {name: self._declared(root, name, pattern) for name, pattern in self.entry.tables.items()}
        try:
            entries = sorted(path for path in root.iterdir() if _is_data(path))
        except OSError:
            raise Unreachable(
                "folder.unreadable", f"{self.name}: {self.entry.path} cannot be read.", "Check its rights."
            ) from None
        found: dict[str, Files] = {}
        stems = [_stem(path) for path in entries if path.is_file()]
        for path in entries:
            one = self._made(root, [path] if path.is_file() else path.rglob("*"), path.name)
            if one.paths or one.wrong:
                alone = path.is_file() and stems.count(_stem(path)) == 1
                found[_stem(path) if alone else path.name] = one
        return found

    def _of_manifest(self, root: Path) -> dict[str, Files]:
        """What the newest manifest names; and what a build made ready, under the names that its audit has for it."""
        found = newest(LocalStore(root, self.name)).tables
        ready = notes(work_file(self.project, root))
        return {
            name: Files(
                tuple(root / file for file in one["files"]),
                f"{folder_of(one.get('target', name))}/{said}.parquet",
                "parquet",
            )
            for tables, said in ((found, "*"), (ready, "next-*"))
            for name, one in tables.items()
        }

    def _declared(self, root: Path, name: str, pattern: str) -> Files:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise BadInput(
                "folder.outside",
                f"{self.name}: the table {name!r} leads out of the folder.",
                "Name files below it.",
            )
        paths = [root / pattern] if (root / pattern).is_file() else (root / pattern).rglob("*") if (root / pattern).is_dir() else root.glob(pattern)  # fmt: skip
        made = self._made(root, paths, pattern, declared=True)
        if not made.paths and made.wrong is None:
            missing = Failed(
                "folder.vanished",
                f"{self.name}: there are no files {pattern}.",
                f"Correct systems.{self.name}.tables.{name}.",
            )
            return Files((), pattern, wrong=missing)
        return made

    def _made(self, root: Path, paths: Iterable[Path], pattern: str, *, declared: bool = False) -> Files:
        """The files that are data, of one format, and within the folder."""
        kept: list[Path] = []
        for path in paths:
            below = path.relative_to(root)
            if not path.is_file() or any(part.startswith((".", "_")) for part in below.parts):
                continue
            if not (_format(path) or declared) or not path.resolve().is_relative_to(root):
                continue
            kept.append(path)
        formats = sorted({_format(path) for path in kept})
        wrong = None
        if len(formats) > 1 or "" in formats or len(kept) > MOST_FILES:
            said = (
                "holds files of several formats"
                if len(formats) > 1
                else "is of no format that is known"
                if "" in formats
                else f"holds more than {MOST_FILES:,} files"
            )
            wrong = Failed("folder.format", f"{self.name}: {pattern} {said}.", f"Declare its tables one by one, in systems.{self.name}.tables.")  # fmt: skip
        together = (
            pattern
            if len(kept) == 1 or "*" in pattern
            else f"{pattern}/*{_ending(kept[0])}"
            if kept
            else pattern
        )
        return Files(tuple(sorted(kept)), together, formats[0] if len(formats) == 1 else "", wrong)

    def _source(self, table: str) -> Source:
        """The files that an owner means by `clicks`, `clicks.parquet` or `files.clicks.parquet`; any others below the folder by their pattern."""
        found = super()._source(table)
        if found.files() or not self.root.is_dir():
            return found
        of_files = table.removeprefix(f"{BY_FILE}.").removeprefix("main.").strip('"')
        for name, one in self._tables().items():
            if one.paths and of_files in (name, one.pattern):
                return found._replace(pattern=one.pattern)
        return found

    # -- connection ----------------------------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(
        self, sqls: Iterable[str], timeout_seconds: float | None
    ) -> Iterator[tuple[Any, dict[str, DatareeveError]]]:
        """A connection on which the tables that are named are views; and those that cannot be, with the reason."""
        sqls, late = list(sqls), threading.Event()
        with duckdb_measure.spilling(self.project) as settings:
            connection, broken = self.opened(sqls, settings)

            def interrupt() -> None:
                late.set()
                connection.interrupt()

            timer = threading.Timer(timeout_seconds or self.entry.read_timeout_seconds, interrupt)
            timer.daemon = True
            timer.start()
            try:
                connection.execute("SET lock_configuration = true")
                yield connection, broken
            except (_driver().Error, UnicodeDecodeError) as error:
                raise self._ours(error, " ".join(sqls), broken, late=late.is_set()) from None
            finally:
                timer.cancel()
                timer.join()
                connection.close()

    def opened(self, sqls: Iterable[str], settings: dict[str, str]) -> tuple[Any, dict[str, DatareeveError]]:
        """A sealed connection with the views that statements may need; and why some are not there."""
        wanted = self._wanted(sqls)
        connection, broken = self._sealed(wanted.values(), settings), {}
        for name, one in wanted.items():
            try:
                self._view(connection, name, one)
            except DatareeveError as error:
                broken[name] = error
        return connection, broken

    def _wanted(self, sqls: Iterable[str]) -> dict[str, Files]:
        """The tables that statements may be about: those whose name or pattern occurs in them; all, where they ask what there is."""
        text = "\n".join(sqls).lower()
        whole = CATALOG.search(text) is not None
        return {
            name: one
            for name, one in self._tables().items()
            if whole or any(said.lower().replace('"', '""') in text for said in (name, one.pattern))
        }

    def state(self, sqls: Iterable[str]) -> dict[Path, tuple[int, int, int] | None]:
        """The files that statements may be about, and by what they are known to be the same: inode, size, time."""
        return {path: _state(path) for one in self._wanted(sqls).values() for path in one.paths}

    @contextmanager
    def _connected(self, files: Iterable[Files]) -> Iterator[Any]:
        with duckdb_measure.spilling(self.project) as settings:
            connection = self._sealed(files, settings)
            try:
                yield connection
            finally:
                connection.close()

    def _sealed(self, files: Iterable[Files], settings: dict[str, str]) -> Any:
        connection = _driver().connect(config={**settings, "enable_external_access": "true"})
        paths = [str(path) for one in files for path in one.paths]
        if paths:
            connection.execute(f"SET allowed_paths = [{', '.join(map(_literal, paths))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    def _view(self, connection: Any, name: str, one: Files) -> None:
        read = self._detect(connection, one)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {BY_FILE}")
        for place in (_identifier(name), f"{BY_FILE}.{_identifier(one.pattern)}"):
            connection.execute(f"CREATE OR REPLACE VIEW {place} AS SELECT * FROM {read.source}")  # noqa: S608 - quoted

    def _detect(self, connection: Any, one: Files) -> Detected:
        """How its files are read; kept as long as they stay as they are."""
        if one.wrong:
            raise one.wrong
        state = (one.format, *((path, _state(path)) for path in one.paths))
        if state not in self._detected:
            for path in one.paths:
                if not _size(path):
                    raise Failed("folder.empty-file", f"{self.name}: {self._below(path)} is empty: not even its columns are there.", "Write it anew, or remove it.")  # fmt: skip
            try:
                self._detected[state] = _Detecting(self, connection, one).detected
            except _driver().Error as error:
                raise self._ours(error, "", {}, late=False, of=one) from None
        return self._detected[state]

    def _below(self, path: Path | str) -> str:
        with suppress(ValueError):
            return str(Path(path).relative_to(self.root))
        return Path(path).name

    # -- errors --------------------------------------------------------------------------------------------------------------------

    def _ours(self, error: Exception, sql: str, broken: dict[str, DatareeveError], *, late: bool, of: Files | None = None) -> DatareeveError:  # fmt: skip
        """The error as ours: of a file where one is to blame, else of the statement."""
        said = str(error)
        if not late and type(error).__name__ == "CatalogException":
            for name, why in broken.items():
                if name.lower().replace('"', '""') in sql.lower():
                    return why
        if not late and (made := self._of_file(said, of)):
            return made
        made = translate(error, self.name, self.entry.path, late=late)
        return type(made)(made.code.replace("duckdb.", "folder.", 1), made.what, made.remedy)

    def _of_file(self, said: str, of: Files | None) -> DatareeveError | None:
        path = next(
            iter(re.findall(r"""["']([^"'\n]+\.\w+)["']""", said) or re.findall(r"file = (.+)", said)), None
        )
        name = self._below(path) if path else of.pattern if of else self.entry.path
        for pattern, code, what, remedy in OF_FILE:
            if found := re.search(pattern, said):
                return Failed(
                    f"folder.{code}", f"{self.name}: {name} {what.format(*found.groups())}.", remedy
                )
        return None


OF_FILE = (
    (r"No magic bytes found|too small to be a Parquet|Invalid Parquet|footer length|Snappy|ZSTD|Thrift|TProtocol|Parquet file .*corrupt",
     "half-written", "is not a whole Parquet file", "Wait until it is written, or write it anew; write beside, then rename."),
    (r"CSV Error on Line: (\d+)", "csv", "cannot be read as its columns were detected, from line {0} on",
     "Mend that line, or the file's quotes and delimiters."),
    (r"sniffing file|CSV options could not be auto-detected", "csv", "is not CSV that can be told apart", "Mend the file's quotes and delimiters."),
    (r"Malformed JSON in file .* at byte (\d+) in (?:line|record/value) (\d+)", "json", "is not whole JSON in line {1}", "Mend that line, or wait until it is written."),
    (r"Malformed JSON|Expected .* JSON|JSON transform error", "json", "is not JSON that can be read as its columns were detected", "Mend the file."),
    (r"schema mismatch|Schema mismatch|failed to cast column", "mixed-schema", "has other columns than the files beside it", "Write it anew with their columns, or declare two tables."),
    (r"No files found|No such file|Could not open|Cannot open file", "vanished", "has vanished, or cannot be read", "Look again."),
)  # fmt: skip  # what DuckDB says of files; its own words may quote rows


class FolderEngine(duckdb_measure.DuckdbEngine):
    """One check's connection to the files."""

    kind = "folder"

    def __init__(self, system: Folder, sqls: list[str], settings: dict[str, str]) -> None:
        broken: dict[str, DatareeveError] = {}

        def connect() -> Any:
            connection, wrong = system.opened(sqls, settings)
            broken.update(wrong)
            return connection

        def explain(error: Exception, sql: str, late: bool) -> DatareeveError:  # noqa: FBT001 - as `DuckdbEngine` calls it
            return system._ours(error, sql, broken, late=late)  # noqa: SLF001 - the other half of the same thing

        super().__init__(connect, explain)
        self._system, self._sqls = system, sqls
        self._before: dict[Path, Any] = {}

    def begin(self) -> None:
        """Files have no snapshots; that they stay as they are is looked at after each statement."""
        super().begin()
        self._before = self._system.state(self._sqls)

    @contextmanager
    def stream(self, sql: str, seconds: float) -> Iterator[Stream]:
        """The rows of one statement. Errors: `Failed` `folder.changed` where a file is another than before."""
        with super().stream(sql, seconds) as found:
            yield found
        if changed := next(
            (
                path
                for path, state in self._system.state(self._sqls).items()
                if state != self._before.get(path)
            ),
            None,
        ):
            raise Failed("folder.changed", f"{changed.name} was written while it was read.", "Check again when its writer has ended; write beside, then rename.")  # fmt: skip


class _Detecting:
    """What the files of a table hold, looked at once."""

    def __init__(self, folder: Folder, connection: Any, one: Files) -> None:
        self.folder, self.connection, self.one = folder, connection, one
        self.list = f"[{', '.join(_literal(str(path)) for path in one.paths)}]"
        # year=2013/x.parquet: a column of the folders' names; a lone file is read as it is
        self.hive = any(
            "=" in part for path in one.paths for part in path.relative_to(folder.root).parts[:-1]
        )

    @cached_property
    def detected(self) -> Detected:
        """By format."""
        made: Detected = {"parquet": self._parquet, "csv": self._csv, "json": self._json}[self.one.format]()
        return made

    def _described(self, source: str, **options: Any) -> Detected:
        rows = self.connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608 - made here
        return Detected(source, [(row[0], row[1]) for row in rows], options)

    def _parquet(self) -> Detected:
        if len(self.one.paths) > 1:
            rows = self.connection.execute(
                f"SELECT file_name, list((name, coalesce(duckdb_type, type)) ORDER BY column_id) FROM parquet_schema({self.list}) WHERE num_children IS NULL GROUP BY 1 ORDER BY 1"  # noqa: S608 - literals made here
            ).fetchall()
            self._must_agree([(path, dict(columns)) for path, columns in rows])
        return self._described(f"read_parquet({self.list}, hive_partitioning = {str(self.hive).lower()})", hive_partitioning=self.hive)  # fmt: skip

    def _must_agree(self, columns: list[tuple[str, dict[str, str]]]) -> None:
        first = columns[0]
        for path, other in columns[1:]:
            if set(other) != set(first[1]):
                more, fewer = sorted(set(other) - set(first[1])), sorted(set(first[1]) - set(other))
                said = "; ".join(f"{word}: {', '.join(names[:5])}" for word, names in (("more", more), ("missing", fewer)) if names)  # fmt: skip
                raise Failed("folder.mixed-schema", f"{self.folder.name}: {self.folder._below(path)} has other columns than {self.folder._below(first[0])} ({said}).", "Write it anew with their columns, or declare two tables.")  # noqa: SLF001 # fmt: skip

    def _csv(self) -> Detected:
        found = [self._sniffed(path) for path in self.one.paths]
        self._must_agree(
            [(str(path), dict(one["columns"])) for path, one in zip(self.one.paths, found, strict=True)]
        )
        order = [[name for name, _ in one["columns"]] for one in found]
        if wrong := next(
            (path for path, names in zip(self.one.paths, order, strict=True) if names != order[0]), None
        ):
            raise Failed("folder.mixed-schema", f"{self.folder.name}: {self.folder._below(wrong)} has its columns in another order.", "Write it anew in the order of the others.")  # noqa: SLF001 # fmt: skip
        columns = [(name, _widest([dict(one["columns"])[name] for one in found])) for name in order[0]]
        said = {key: value for key, value in found[0].items() if key != "columns"}
        options = ", ".join(
            [
                f"columns = {{{', '.join(f'{_literal(name)}: {_literal(kind)}' for name, kind in columns)}}}",
                *(f"{key} = {_option(value)}" for key, value in said.items()),
                f"hive_partitioning = {str(self.hive).lower()}",
            ]
        )
        return self._described(f"read_csv({self.list}, auto_detect = false, {options})", **said)

    def _sniffed(self, path: Path) -> dict[str, Any]:
        rows = -1 if path.stat().st_size <= READ_WHOLE else SAMPLED_ROWS
        cursor = self.connection.execute(
            f"SELECT Delimiter AS delim, Quote AS quote, Escape AS escape, SkipRows AS skip, Comment AS comment, HasHeader AS header, DateFormat AS dateformat, TimestampFormat AS timestampformat, Columns AS columns FROM sniff_csv({_literal(str(path))}, sample_size = {rows}, ignore_errors = true)"  # noqa: S608 - a literal made here
        )
        # One line that is cut must not have the whole file taken for one of a single column; reading is strict, and names the line.
        told = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
        told["columns"] = [(column["name"], column["type"]) for column in told["columns"]]
        for sign in ("quote", "escape"):  # none among the rows that were looked at: those of RFC 4180
            told[sign] = '"' if told[sign] in (None, "", "(empty)") else told[sign]
        told["comment"] = "" if told["comment"] == "(empty)" else told["comment"]
        return {key: value for key, value in told.items() if value not in (None, "")}

    def _json(self) -> Detected:
        first = self._described(f"read_json({self.list}, maximum_sample_files = {len(self.one.paths)})")
        columns = ", ".join(f"{_literal(name)}: {_literal(kind)}" for name, kind in first.columns)
        return self._described(f"read_json({self.list}, columns = {{{columns}}})")


def _widest(kinds: list[str]) -> str:
    """The type that holds what several files hold."""
    if len(set(kinds)) == 1:
        return kinds[0]
    return "DOUBLE" if set(kinds) <= set(WIDER) else "VARCHAR"


def _option(value: Any) -> str:
    return (
        str(value).lower()
        if isinstance(value, bool)
        else str(value)
        if isinstance(value, int)
        else _literal(str(value))
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _is_data(path: Path) -> bool:
    return not path.name.startswith((".", "_")) and (path.is_dir() or bool(_format(path)))


def _bare(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def _format(path: Path) -> str:
    found = FORMATS.get(_bare(path).suffix.lower(), "")
    return "" if found == "parquet" and path.suffix.lower() in PACKED else found


def _stem(path: Path) -> str:
    return _bare(path).stem


def _ending(path: Path) -> str:
    return path.name.removeprefix(_stem(path))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
