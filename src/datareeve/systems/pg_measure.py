"""`measure` on PostgreSQL: one REPEATABLE READ, READ ONLY transaction on a connection of its own, a savepoint for each statement.

Going back to the savepoint after every statement, not only after one that failed, lets its locks on tables go: a check that runs for half
an hour never has an ALTER TABLE waiting longer than for one statement. What it costs: a table that is truncated meanwhile is seen empty.
"""

from __future__ import annotations

import math
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import sql as pgsql
from psycopg.rows import tuple_row

from datareeve.core.errors import DatareeveError, Unreachable
from datareeve.systems import measure
from datareeve.systems.postgres import marked, refuse_several

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from datareeve.systems.measure import Stream
    from datareeve.systems.postgres import Postgres

APPLICATION = "datareeve/check"
WORK_MEM = "64MB"
LOCK_MS = 5_000  # that a statement waits for a lock of a table's definition
CHUNKS_SINCE = 170000  # libpq
# UTC: what a day is does not hang on whose session asks; nor does what a backslash is in a literal.
OPTIONS = "-c default_transaction_read_only=on -c timezone=UTC -c standard_conforming_strings=on -c idle_in_transaction_session_timeout=0"


class PostgresEngine:
    """One check's connection."""

    kind = "postgres"
    longest_snapshot: float | None = None

    def __init__(self, system: Postgres, busy_share: float) -> None:
        self.system = system
        self.polite = busy_share < 1
        self.connection: psycopg.Connection[Any] | None = None

    def begin(self) -> str | None:
        """Begin the transaction, under the role that reads. Gives the moment of its snapshot."""
        if self.connection is None:
            self.connection = self.system.connect(application_name=APPLICATION, options=OPTIONS)
            self.connection.prepare_threshold = None
        with self._translated() as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for setting in self._settings():
                connection.execute(setting)
            found = connection.execute(
                "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"') AS moment"
            ).fetchone()
        return str(found["moment"]) if found else None

    def _settings(self) -> Iterator[pgsql.SQL | pgsql.Composed]:
        if self.system.entry.read_role:
            yield pgsql.SQL("SET LOCAL ROLE {}").format(pgsql.Identifier(self.system.entry.read_role))
        yield pgsql.SQL("SET LOCAL lock_timeout = {}").format(pgsql.Literal(LOCK_MS))
        # A statement of some seconds with hundreds of expressions takes longer to be compiled than compiling saves; distinct keys are sorted.
        yield pgsql.SQL("SET LOCAL jit = off")
        yield pgsql.SQL("SET LOCAL work_mem = {}").format(pgsql.Literal(WORK_MEM))
        # The few rows that a condition leaves cost nothing to hand over: it is tested by several processes.
        yield pgsql.SQL("SET LOCAL parallel_tuple_cost = 0")
        if self.polite:  # who is to take a share of the time takes one core, too
            yield pgsql.SQL("SET LOCAL max_parallel_workers_per_gather = 0")

    def end(self) -> None:
        """Roll back; the connection is kept for the next snapshot until `close`."""
        if self.connection is not None and not self.connection.closed:
            with suppress(psycopg.Error):  # lost: then the server has let go by itself
                self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Let the connection go."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    @contextmanager
    def stream(self, sql: str, seconds: float) -> Iterator[Stream]:
        """The rows of one statement, a thousand at a time; the server keeps its time."""
        with self._translated() as connection:
            connection.execute("SAVEPOINT statement")
            try:
                connection.execute(
                    f"SET LOCAL statement_timeout = {min(math.ceil(seconds * 1000), 2**31 - 1)}"
                )
                self._must_read(connection, sql)
                with connection.cursor(row_factory=tuple_row) as cursor:
                    rows = cast("Generator[Any]", cursor.stream(marked(sql), size=_chunk()))
                    first = list(_first(rows))
                    names = [column.name for column in cursor.description or ()]
                    try:
                        yield names, chain(first, rows)
                    finally:
                        rows.close()  # cancels what is still under way
            finally:
                with suppress(
                    psycopg.Error
                ):  # what went wrong is told; where the connection is lost, by the next
                    connection.execute("ROLLBACK TO SAVEPOINT statement")
                    connection.execute("RELEASE SAVEPOINT statement")

    @staticmethod
    def _must_read(connection: psycopg.Connection[Any], sql: str) -> None:
        """One statement that gives rows, by the server's own parser: COMMIT, SET and DO give none. READ ONLY does the rest."""
        refuse_several(connection, sql)
        if connection.pgconn.describe_prepared(b"").nfields == 0:
            raise measure.only_one_of("postgres")

    @contextmanager
    def _translated(self) -> Iterator[psycopg.Connection[Any]]:
        connection = self.connection
        if connection is None:  # pragma: no cover - `begin` comes first
            raise Unreachable(
                "postgres.lost", f"The connection to {self.system.name} is closed.", "Try again."
            )
        try:
            with self.system.translated():
                yield connection
        except DatareeveError as error:
            if connection.closed and not isinstance(error, Unreachable):
                raise self._ended(error) from None
            raise

    def _ended(self, error: DatareeveError) -> Unreachable:
        if error.code == "postgres.40001":
            return Unreachable(
                "postgres.recovery-conflict",
                f"{self.system.name} is a standby that ended the check: replay needed what its snapshot still saw.",
                "Set hot_standby_feedback = on there, or quality.snapshot_seconds below its max_standby_streaming_delay.",
            )
        return Unreachable(
            "postgres.lost",
            f"The connection to {self.system.name} was lost.",
            "Try again when the server is back.",
        )

    def lost(self, error: DatareeveError) -> bool:
        """Whether our own connection is gone: a foreign server that a table leads to can be away while it stands."""
        del error
        return self.connection is None or self.connection.closed or self.connection.broken


def _first(rows: Iterator[Any]) -> Iterator[Any]:
    """The first row, or none: the description is there afterwards."""
    for row in rows:
        yield row
        return


def _chunk() -> int:
    return measure.ROWS_AT_ONCE if psycopg.pq.version() >= CHUNKS_SINCE else 1


@contextmanager
def engine(system: Postgres, busy_share: float) -> Iterator[PostgresEngine]:
    """One check's connection, closed at the end."""
    made = PostgresEngine(system, busy_share)
    try:
        yield made
    finally:
        made.close()
