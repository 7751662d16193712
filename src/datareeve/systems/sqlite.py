"""SQLite databases: one file, read through the standard library.

The file is opened `mode=ro`, with `query_only`, no attached databases and an authorizer that SQLite itself asks about every single thing
a statement would do: whatever is not reading is refused by the engine, not by looking at the text. A progress handler keeps the time limit.
"""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused, Unreachable
from datareeve.systems.adapter import reads
from datareeve.systems.answers import Shape, answers, shaped
from datareeve.systems.json_values import ROW_CAP
from datareeve.systems.one_file import OneFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from datareeve.systems.measure import Engine

BUSY_SECONDS = 5.0  # that a reader waits while another process commits
INSTRUCTIONS = 20_000  # of SQLite's machine, between two looks at the clock: about a millisecond
LONGEST_VALUE = 2**26  # bytes of one string or blob: zeroblob() makes no more
ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
FORBIDDEN_FUNCTIONS = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
ABOUT_FILE = {  # pragmas that only tell, without an argument
    "application_id", "auto_vacuum", "compile_options", "database_list", "encoding", "freelist_count", "function_list", "journal_mode",
    "page_count", "page_size", "schema_version", "user_version", "collation_list", "foreign_keys",
}  # fmt: skip
ABOUT_TABLE = {  # pragmas that tell of what their argument names
    "foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo", "integrity_check", "quick_check", "table_info",
    "table_list", "table_xinfo",
}  # fmt: skip


class Sqlite(OneFile):
    """One SQLite file. Every read opens it anew, so that a file that was replaced is not mistaken for the one before."""

    kind = "sqlite"

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def query(
        self,
        sql: str,
        parameters: dict[str, Any] | list[Any] | None = None,
        shape: Shape = "rows",
        timeout_seconds: float | None = None,
    ) -> Any:
        """The answer of one statement that only reads. Shapes and bound as for PostgreSQL; parameters are `:name` or `?`.

        Errors: `Refused` `sqlite.not-a-read`, `Failed` `sqlite.timeout`, `Unreachable` `sqlite.locked`.
        """
        with self.reading(timeout_seconds) as connection:
            cursor = connection.execute(sql, parameters or ())
            names = [column[0] for column in cursor.description or ()]
            rows = cursor.fetchmany(ROW_CAP + 1)
        return shaped(names, rows, shape, self.kind)

    @reads
    def ask(self, statements: dict[str, str]) -> dict[str, Any]:
        """The rows of several statements by name; None for one that the engine will not answer as it is written."""
        return answers(self.query, statements)

    def measuring(self, sqls: list[str], busy_share: float) -> AbstractContextManager[Engine]:
        """See `Measured`."""
        from datareeve.systems import sqlite_measure  # noqa: PLC0415 - asked for by checks only

        del sqls
        return sqlite_measure.engine(self, busy_share)

    @reads
    def server(self) -> dict[str, Any]:
        """What this file is: version (of the SQLite that reads it), path, bytes, wal_bytes, journal_bytes (of a writer that is at work or died)."""
        self._must_be_there()
        beside = {
            name: self.file.with_name(self.file.name + end)
            for name, end in (("wal", "-wal"), ("journal", "-journal"))
        }
        return {
            "engine": "SQLite",
            "version": sqlite3.sqlite_version,
            "path": str(self.file.resolve()),
            "bytes": self.file.stat().st_size,
            "wal_bytes": _size(beside["wal"]),
            "journal_bytes": _size(beside["journal"]),
        }

    @reads
    def workload(self) -> dict[str, Any]:
        """The recorded workload without any value, from a trace or a file of statements: SQLite keeps no statistics of statements."""
        from datareeve.systems import workload_elsewhere  # noqa: PLC0415 - parses statements

        return workload_elsewhere.of_file(self, "sqlite").summary()

    @reads
    def plan_of(self, sql: str | None = None, fingerprint: str | None = None) -> dict[str, Any]:
        """The plan of a statement, or of a family of the workload, without running it and without any constant in it."""
        from datareeve.systems import plans_elsewhere  # noqa: PLC0415

        return plans_elsewhere.of_sqlite(self, sql, fingerprint)

    def explain(self, sql: str, parameters: Any = ()) -> list[dict[str, Any]]:
        """The rows of EXPLAIN QUERY PLAN: id, parent, detail. A statement that writes is planned too; nothing is run.

        The authorizer sees the statement as if it ran, so it is left out here; `mode=ro` and `query_only` stay.
        """
        with self.reading(None) as connection:
            if not re.match(r"\s*(select|with|values|insert|update|delete|replace)\b", sql, re.IGNORECASE):
                raise Refused(
                    "sqlite.not-a-read",
                    "Only SELECT, INSERT, UPDATE and DELETE are planned.",
                    "Give one of them.",
                )
            connection.set_authorizer(None)
            cursor = connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            return [{"id": row[0], "parent": row[1], "detail": row[3]} for row in cursor]

    def identity(self) -> str:
        """The file itself, whatever it is called."""
        self._must_be_there()
        found = self.file.stat()
        return f"sqlite:{found.st_dev}:{found.st_ino}"

    # -- connection ----------------------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self, timeout_seconds: float | None = None) -> Iterator[sqlite3.Connection]:
        """A connection that can only read, for one statement."""
        deadline = time.monotonic() + (timeout_seconds or self.entry.read_timeout_seconds)
        late: list[bool] = []

        def out_of_time() -> int:
            if time.monotonic() > deadline:
                late.append(True)
            return len(late)

        try:
            with closing(self.opened()) as connection:
                connection.set_progress_handler(out_of_time, INSTRUCTIONS)
                yield connection
        except sqlite3.Error as error:
            raise translate(error, self.name, self.entry.path, late=bool(late)) from None
        except (
            sqlite3.Warning,
            OverflowError,
        ) as error:  # several statements (Python 3.11); a number too large to bind
            raise translate(error, self.name, self.entry.path, late=False) from None

    def opened(self) -> sqlite3.Connection:
        """A connection that can only read."""
        self._must_be_there()
        connection = sqlite3.connect(
            f"file:{quote(str(self.file.resolve()))}?mode=ro",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        # A text that is not UTF-8 is read as far as it goes; refusing the whole answer would hide the rest.
        connection.text_factory = _text
        connection.set_authorizer(authorise)
        return connection

    def _must_be_there(self) -> None:
        if why := self._why_missing():
            raise Unreachable(
                "sqlite.missing",
                f"{self.name}: the file {self.entry.path} {why}.",
                f"Correct systems.{self.name}.path in estate.yaml.",
            )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def authorise(
    action: int, first: str | None, second: str | None, _database: str | None, _inner: str | None
) -> int:
    """What SQLite asks of everything that a statement would do while it is prepared: reading is allowed, all else denied.

    https://www.sqlite.org/c3ref/set_authorizer.html
    """
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in FORBIDDEN_FUNCTIONS else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        return (
            sqlite3.SQLITE_OK
            if name in ABOUT_TABLE or (name in ABOUT_FILE and not second)
            else sqlite3.SQLITE_DENY
        )
    # Declaring a table-valued function asks for this within SQLite; said in a statement, it is "may not be modified" all the same.
    declaring = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
    return sqlite3.SQLITE_OK if declaring or action in ALLOWED else sqlite3.SQLITE_DENY


def translate(error: Exception, system: str, path: str, *, late: bool) -> DatareeveError:  # noqa: PLR0911 - one a kind
    """The error as ours, by SQLite's result code; its words are passed on only where they name objects."""
    said, code = str(error), int(getattr(error, "sqlite_errorcode", 0) or 0)
    kind = code & 0xFF
    if late or kind == sqlite3.SQLITE_INTERRUPT:
        return Failed(
            "sqlite.timeout",
            f"{system}: the statement took longer than allowed.",
            "Give systems.*.read_timeout_seconds more.",
        )
    if (
        kind == sqlite3.SQLITE_AUTH
        or "not authorized" in said
        or "prohibited" in said
        or code == sqlite3.SQLITE_READONLY
    ):
        return Refused(
            "sqlite.not-a-read", f"{system}: this is not only reading; SQLite refused it.", "Give one SELECT."
        )
    if "one statement at a time" in said:
        return Refused(
            "sqlite.several-statements", "More than one statement was given.", "Give one statement at a time."
        )
    for codes, made in OF_FILE:
        if kind in codes:
            return made(system, path)
    if said.startswith(("no such", "ambiguous column", "misuse of")) or "has no column" in said:
        return Failed("sqlite.sql", f"{system}: {said}.", "Correct the statement.")
    if "syntax error" in said or "incomplete input" in said or "unrecognized token" in said:
        return BadInput(
            "sqlite.syntax", f"{system}: this is not SQL as SQLite knows it.", "Correct the statement."
        )
    if isinstance(error, (sqlite3.ProgrammingError, OverflowError)):
        return BadInput(
            "sqlite.parameters",
            f"{system}: the statement and its parameters do not fit.",
            "Name them as :name.",
        )
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return Failed(
        f"sqlite.{code or 'error'}", f"{system}: SQLite says {name}.", "Values are not repeated here."
    )


OF_FILE: tuple[tuple[set[int], Callable[[str, str], DatareeveError]], ...] = (
    (
        {sqlite3.SQLITE_NOTADB},
        lambda system, path: Unreachable(
            "sqlite.not-a-database",
            f"{system}: {path} is not an SQLite database, or it is encrypted.",
            "Correct the path. Encrypted files (SQLCipher) cannot be read.",
        ),
    ),
    (
        {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED},
        lambda system, path: Unreachable(
            "sqlite.locked",
            f"{system}: another process holds {path} locked.",
            f"Find it with `fuser {path}`, or try again when its transaction has ended.",
        ),
    ),
    (
        {sqlite3.SQLITE_CORRUPT},
        lambda system, path: Failed(
            "sqlite.damaged",
            f"{system}: {path} is damaged.",
            "Restore a backup; `sqlite3 FILE .recover` saves what can still be read.",
        ),
    ),
    (
        {sqlite3.SQLITE_READONLY},
        lambda system, path: Unreachable(
            "sqlite.needs-recovery",
            f"{system}: the last writer of {path} died in the middle, and its journal is not rolled back yet.",
            "Open it once with its application, or `sqlite3 FILE 'PRAGMA schema_version'`, which rolls it back; Datareeve only reads.",
        ),
    ),
    (
        {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR},
        lambda system, path: Unreachable(
            "sqlite.unreadable",
            f"{system}: {path} cannot be read.",
            "Check its rights. In WAL mode its folder must be writable, or its -wal and -shm be there.",
        ),
    ),
)
