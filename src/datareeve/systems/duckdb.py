"""DuckDB databases: one file, opened read-only and let go after each look.

A process that has the file open for reading keeps every other from writing it, so nothing is held between two reads; `ask` answers
several statements on one opening. DuckDB's own settings close the way out: no file, no network, no extension, no change of settings.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused, Unreachable
from datareeve.systems.adapter import reads
from datareeve.systems.answers import Shape, answers, missing_driver, shaped
from datareeve.systems.json_values import ROW_CAP
from datareeve.systems.one_file import OneFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from datareeve.systems.measure import Engine

SEALED = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "temp_directory": "",
    "threads": "2",  # a reader does not take the machine from what works there
    "lock_configuration": "true",
}
READING = {"SELECT", "EXPLAIN"}


class Duckdb(OneFile):
    """One DuckDB file."""

    kind = "duckdb"

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def query(
        self,
        sql: str,
        parameters: dict[str, Any] | list[Any] | None = None,
        shape: Shape = "rows",
        timeout_seconds: float | None = None,
    ) -> Any:
        """The answer of one statement that only reads. Shapes and bound as for PostgreSQL; parameters are `$name` or `?`.

        Errors: `Refused` `duckdb.not-a-read`, `duckdb.several-statements`; `Failed` `duckdb.timeout`; `Unreachable` `duckdb.locked`.
        """
        with self.reading(timeout_seconds) as connection:
            return _answer(connection, sql, parameters, shape)

    @reads
    def ask(self, statements: dict[str, str]) -> dict[str, Any]:
        """The rows of several statements by name, on one opening of the file; None for one that DuckDB cannot answer, of a damaged table too."""
        with self.reading(None) as connection:

            def query(sql: str) -> Any:
                try:
                    return _answer(connection, sql, None, "rows")
                except _driver().Error as error:
                    raise translate(error, self.name, self.entry.path, late=False) from None

            return answers(query, statements, passed_on=(".timeout",))

    def measuring(self, sqls: list[str], busy_share: float) -> AbstractContextManager[Engine]:
        """See `Measured`."""
        from datareeve.systems import duckdb_measure  # noqa: PLC0415 - asked for by checks only

        del sqls
        return duckdb_measure.engine(self, busy_share)

    @reads
    def server(self) -> dict[str, Any]:
        """What this file is: version (of the DuckDB that reads it), path, bytes, wal_bytes."""
        self._must_be_there()
        wal = self.file.with_name(self.file.name + ".wal")
        return {
            "engine": "DuckDB",
            "version": _driver().__version__,
            "path": str(self.file.resolve()),
            "bytes": self.file.stat().st_size,
            "wal_bytes": wal.stat().st_size if wal.is_file() else 0,
        }

    @reads
    def workload(self) -> dict[str, Any]:
        """The recorded workload without any value, from a trace or a file of statements: DuckDB keeps no statistics of statements."""
        from datareeve.systems import workload_elsewhere  # noqa: PLC0415 - parses statements

        return workload_elsewhere.of_file(self, "duckdb").summary()

    @reads
    def plan_of(self, sql: str | None = None, fingerprint: str | None = None) -> dict[str, Any]:
        """The plan of a statement, or of a family of the workload, without running it and without any constant in it."""
        from datareeve.systems import plans_elsewhere  # noqa: PLC0415

        return plans_elsewhere.of_duckdb(self, sql, fingerprint)

    def identity(self) -> str:
        """The file itself, whatever it is called."""
        self._must_be_there()
        found = self.file.stat()
        return f"duckdb:{found.st_dev}:{found.st_ino}"

    # -- connection ----------------------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self, timeout_seconds: float | None = None) -> Iterator[Any]:
        """A sealed connection, closed at the end; what runs longer than allowed is interrupted."""
        driver = _driver()
        late = threading.Event()
        connection = self.opened(SEALED)

        def interrupt() -> None:
            late.set()
            connection.interrupt()

        timer = threading.Timer(timeout_seconds or self.entry.read_timeout_seconds, interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield connection
        except (driver.Error, UnicodeDecodeError) as error:
            raise translate(error, self.name, self.entry.path, late=late.is_set()) from None
        finally:
            timer.cancel()
            timer.join()
            connection.close()

    def opened(self, settings: dict[str, str]) -> Any:
        """A connection that can only read. Errors: `Unreachable`."""
        driver = _driver()
        self._must_be_there()
        try:
            return driver.connect(str(self.file.resolve()), read_only=True, config=settings)
        except (driver.Error, UnicodeDecodeError) as error:
            made = translate(error, self.name, self.entry.path, late=False)
            # A file of another kind is tried with an extension, and those are closed.
            raise made if isinstance(made, Failed) else _not_a_database(self.name, self.entry.path) from None

    def _must_be_there(self) -> None:
        if why := self._why_missing():
            raise Unreachable(
                "duckdb.missing",
                f"{self.name}: the file {self.entry.path} {why}.",
                f"Correct systems.{self.name}.path in estate.yaml.",
            )


def _driver() -> Any:
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError:
        raise missing_driver("duckdb", "DuckDB", "duckdb") from None
    return duckdb


def _answer(connection: Any, sql: str, parameters: Any, shape: Shape) -> Any:
    """The answer of one statement."""
    cursor = execute(connection, sql, parameters)
    names = [column[0] for column in cursor.description or ()]
    return shaped(names, cursor.fetchmany(ROW_CAP + 1), shape, "duckdb")


def execute(connection: Any, sql: str, parameters: Any = None) -> Any:
    """Run one statement that only reads; which kind it is, DuckDB's own parser says. Its rows are fetched as they come."""
    found = connection.extract_statements(sql)
    if len(found) != 1:
        raise Refused(
            "duckdb.several-statements", "More than one statement was given.", "Give one statement at a time."
        )
    if found[0].type.name not in READING or re.match(r"\s*explain\s*(\(?\s*analyze)", sql, re.IGNORECASE):
        raise Refused("duckdb.not-a-read", "This is not only reading; it was not run.", "Give one SELECT.")
    return connection.execute(found[0], parameters) if parameters else connection.execute(found[0])


def translate(error: Exception, system: str, path: str, *, late: bool) -> DatareeveError:  # noqa: PLR0911 - one a kind
    """The error as ours; DuckDB's words often quote values, so only those that name objects are passed on."""
    said, kind = str(error), type(error).__name__
    if late or kind == "InterruptException":
        return Failed(
            "duckdb.timeout",
            f"{system}: the statement took longer than allowed.",
            "Give systems.*.read_timeout_seconds more.",
        )
    if "Conflicting lock" in said or "Could not set lock" in said:
        holder = re.search(r"PID (\d+)", said)
        return Unreachable(
            "duckdb.locked",
            f"{system}: {path} is open for writing in another process{f' (PID {holder[1]})' if holder else ''}.",
            "DuckDB lets one process write or several read: try again when it has closed the file, or give a copy of the file.",
        )
    if "different configuration" in said or "already attached" in said:
        return Unreachable(
            "duckdb.locked",
            f"{system}: {path} is open in this process with other settings.",
            "Close that connection first.",
        )
    if "encrypt" in said.lower():
        return Unreachable(
            "duckdb.encrypted",
            f"{system}: {path} is encrypted.",
            "Datareeve has no key for it: give a decrypted copy.",
        )
    if "not a valid DuckDB database" in said or kind == "UnicodeDecodeError":
        return _not_a_database(system, path)
    if "version number" in said and "can only read" in said:
        return Unreachable(
            "duckdb.version",
            f"{system}: {path} was written by another version of DuckDB.",
            "EXPORT DATABASE with that version, or give a file of storage version 1.0 to 1.5.",
        )
    return _of_statement(said, kind, system, path)


def _not_a_database(system: str, path: str) -> Unreachable:
    return Unreachable(
        "duckdb.not-a-database", f"{system}: {path} is not a DuckDB database.", "Correct the path."
    )


WRITING_FAILED = ("IOException", "TransactionException", "FatalException")
NO_SPACE = ("No space left", "File too large", "quota exceeded")


def _of_statement(said: str, kind: str, system: str, path: str) -> DatareeveError:  # noqa: PLR0911 - one a kind
    if kind == "PermissionException" or "disabled" in said or "read-only" in said:
        return Refused(
            "duckdb.not-a-read",
            f"{system}: files, networks, extensions and writing are closed to reading.",
            "Give one SELECT over the file's own tables.",
        )
    if kind == "ParserException":
        return BadInput(
            "duckdb.syntax", f"{system}: this is not SQL as DuckDB knows it.", "Correct the statement."
        )
    if "regular expression" in said or re.search(
        r"Invalid Input Error: (?:missing|unexpected|invalid|bad repet|no argument|trailing|pattern too)",
        said,
    ):
        return BadInput(
            "duckdb.regex",
            f"{system}: DuckDB cannot read a pattern of this statement.",
            "Write it as RE2 takes it.",
        )
    if kind in WRITING_FAILED and any(reason in said for reason in NO_SPACE):
        return Failed(
            "duckdb.no-space",
            f"{system}: there is no space to write what {path} becomes.",
            "Free as much space as that file takes: what stood there stays as it was.",
        )
    if kind == "OutOfMemoryException":
        return Failed(
            "duckdb.memory",
            f"{system}: the statement needs more memory than it may have.",
            "Ask for less at once.",
        )
    if kind == "CatalogException" and (
        name := re.match(r"Catalog Error: ([\w ]+) with name (\S+) does not exist", said)
    ):
        return Failed(
            "duckdb.sql", f"{system}: there is no {name[1].lower()} {name[2]}.", "Correct the statement."
        )
    if kind in {"FatalException", "InternalException"} or "checksum" in said or "Corrupt" in said:
        return Failed(
            "duckdb.damaged",
            f"{system}: DuckDB gave up reading {path}; it may be damaged.",
            "Restore a backup, and check the disk.",
        )
    if kind == "IOException":
        return Unreachable(
            "duckdb.unreadable", f"{system}: {path} cannot be read.", "Check its rights and that it is whole."
        )
    return Failed(
        f"duckdb.{kind.removesuffix('Exception').lower()}",
        f"{system}: DuckDB says {kind}.",
        "Values are not repeated here.",
    )
