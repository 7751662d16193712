"""`measure` on MariaDB and MySQL: one transaction WITH CONSISTENT SNAPSHOT, READ ONLY, on a connection of its own.

As on PostgreSQL, going back to a savepoint after each statement lets its locks on tables' definitions go. Tables of engines without
versions of rows (MyISAM, Aria) are read as they are at the moment.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from datareeve.core.clock import stamp
from datareeve.core.errors import DatareeveError, Failed, Unreachable
from datareeve.systems import measure
from datareeve.systems.mysql import GRACE_SECONDS, LOCK_SECONDS, SETTINGS
from datareeve.systems.mysql_text import only_reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.systems.measure import Stream
    from datareeve.systems.mysql import Mysql

SESSION = (  # UTC: what a day is does not hang on whose session asks
    SETTINGS % (LOCK_SECONDS, LOCK_SECONDS),
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION TRANSACTION READ ONLY",
)


class MysqlEngine:
    """One check's connection."""

    kind = "mysql"
    longest_snapshot: float | None = None

    def __init__(self, system: Mysql) -> None:
        self.system = system
        self.connection: Any = None

    def begin(self) -> str | None:
        """Begin the transaction. Gives the moment by the server's clock."""
        with self.system.translated():
            if self.connection is None:
                self.system.supported()
                self.connection = self.system.connect()
                for statement in SESSION:
                    self._run(statement)
            self._run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        return stamp()

    def _run(self, statement: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    def end(self) -> None:
        """Roll back; the connection is kept for the next snapshot until `close`."""
        if self.connection is not None and self.connection.open:
            with suppress(Exception):  # lost: then the server has let go by itself
                self.connection.rollback()

    def close(self) -> None:
        """Let the connection go."""
        if self.connection is not None:
            with suppress(Exception):  # it is closed already, or the server is gone
                self.connection.close()
            self.connection = None

    @contextmanager
    def stream(self, sql: str, seconds: float) -> Iterator[Stream]:
        """The rows of one statement as they come; the server keeps its time."""
        statement = only_reading(sql)
        with self.system.translated():
            self._run("SAVEPOINT statement")
            self._run(self.system.limit(seconds))
            self.connection._read_timeout = seconds + GRACE_SECONDS  # noqa: SLF001 - for a statement that heeds no limit
            cursor = self.connection.cursor(_streaming())
            try:
                cursor.execute(statement)
                names = [column[0] for column in cursor.description or ()]
                yield names, measure.fetched(cursor)
            finally:
                self._leave(cursor)

    def _leave(self, cursor: Any) -> None:
        """Be ready for the next statement: end what still runs, and go back to the savepoint."""
        if not self.connection.open:
            return
        result = self.connection._result  # noqa: SLF001 - whether rows are still to come, only it knows
        with suppress(
            Exception
        ):  # what went wrong is told already; where the connection is lost, by the next
            if result is not None and result.unbuffered_active:
                self.system.kill(self.connection.thread_id())
                with suppress(Exception):
                    cursor.close()
                result.unbuffered_active = False
            self._run("ROLLBACK TO SAVEPOINT statement")

    def lost(self, error: DatareeveError) -> bool:
        """Whether our own connection is gone."""
        return isinstance(error, Unreachable) or not self.connection.open


def _streaming() -> Any:
    from pymysql.cursors import SSCursor  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra

    return SSCursor


@contextmanager
def engine(system: Mysql) -> Iterator[MysqlEngine]:
    """One check's connection, closed at the end. Errors: `Unreachable` where it is lost."""
    made = MysqlEngine(system)
    try:
        yield made
    except Failed as error:
        if isinstance(error, Unreachable):
            raise
        raise Unreachable(
            "mysql.lost", f"The connection to {system.name} was lost.", "Try again when the server is back."
        ) from None
    finally:
        made.close()
