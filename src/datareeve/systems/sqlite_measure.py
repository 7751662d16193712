"""`measure` on SQLite: one read transaction, with the few functions that checks need and SQLite has not.

In WAL mode a reader holds nobody up. With a rollback journal it keeps writers waiting for as long as its transaction lasts, so there a
snapshot is held for two seconds at most, below what applications commonly wait (`busy_timeout`), and through no rest; the answer says how many
it took.
"""

from __future__ import annotations

import math
import re
import sqlite3
import time
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from datareeve.core.clock import stamp
from datareeve.core.errors import BadInput, DatareeveError, Failed
from datareeve.systems import measure
from datareeve.systems.sqlite import INSTRUCTIONS, authorise, translate
from datareeve.systems.sqlite_forms import lend
from datareeve.systems.sqlite_regex import Matching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from datareeve.systems.measure import Stream
    from datareeve.systems.sqlite import Sqlite

LONGEST_KEPT_WAITING = 2.0  # seconds, of writers, where there is no write-ahead log


class SqliteEngine:
    """One check's connection."""

    kind = "sqlite"

    def __init__(self, system: Sqlite, busy_share: float) -> None:
        self.system = system
        self.kept_waiting = LONGEST_KEPT_WAITING if busy_share == 1 else 0.0
        self.connection: sqlite3.Connection | None = None
        self.longest_snapshot: float | None = None
        self.deadline = math.inf
        self.late = False
        self.matching = Matching(lambda: self.deadline - time.monotonic())
        self.wrong: list[
            DatareeveError
        ] = []  # what a function of ours could not do: SQLite tells only that it could not

    def begin(self) -> str | None:
        """Open the file anew, and read of it once: this begins SQLite's snapshot."""
        with self._translated():
            self.connection = self.system.opened()
            self.connection.set_authorizer(None)
            self.connection.execute("BEGIN")
            self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            wal = self.connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            self.connection.set_authorizer(authorise)
            add_functions(self.connection, self.matching, self.wrong)
            lend(self.connection)
            self.connection.set_progress_handler(self._out_of_time, INSTRUCTIONS)
        self.longest_snapshot = None if wal else self.kept_waiting
        return stamp()

    def _out_of_time(self) -> int:
        self.late = self.late or time.monotonic() > self.deadline
        return self.late

    def end(self) -> None:
        """Close the file."""
        self.matching.close()
        if self.connection is not None:
            with suppress(sqlite3.Error):
                self.connection.close()
            self.connection = None

    @contextmanager
    def stream(self, sql: str, seconds: float) -> Iterator[Stream]:
        """The rows of one statement as they come; the progress handler keeps its time."""
        self.deadline, self.late = time.monotonic() + seconds, False
        self.wrong.clear()
        with self._translated() as connection:
            cursor = connection.execute(sql)
            try:
                if cursor.description is None:
                    raise measure.only_one_of("sqlite")
                names = [column[0] for column in cursor.description]
                yield names, measure.fetched(cursor)
            finally:
                self.deadline = math.inf
                cursor.close()

    @contextmanager
    def _translated(self) -> Iterator[Any]:
        try:
            yield self.connection
        except sqlite3.Error as error:
            raise self._ours(error) from None
        except (sqlite3.Warning, OverflowError) as error:  # several statements (Python 3.11)
            raise translate(error, self.system.name, self.system.entry.path, late=False) from None

    def _ours(self, error: sqlite3.Error) -> DatareeveError:
        if self.wrong and not self.late:
            return self.wrong[0]
        return translate(error, self.system.name, self.system.entry.path, late=self.late)

    def lost(self, error: DatareeveError) -> bool:
        """Whether the file itself cannot be read any more."""
        return measure.unreachable(error)


# -- what SQLite has not -----------------------------------------------------------------------------------------------------------


def add_functions(connection: sqlite3.Connection, matching: Matching, wrong: list[DatareeveError]) -> None:
    """`x REGEXP pattern` as Python's `re.search`, and `stddev(x)` of a sample."""

    def regexp(pattern: Any, value: Any) -> bool | None:
        if pattern is None or value is None:
            return None
        try:
            return matching.search(str(pattern), _text(value))
        except TimeoutError:
            wrong.append(Failed("sqlite.timeout", "A pattern of this statement took longer than allowed.", "Write it without a repeat within a repeat."))  # fmt: skip
            raise
        except (re.error, RecursionError, OverflowError):
            wrong.append(BadInput("sqlite.regex", "A pattern of this statement is not a regular expression.", "Write it as Python's `re` takes it."))  # fmt: skip
            raise

    connection.create_function("regexp", 2, regexp, deterministic=True)
    connection.create_aggregate("stddev", 1, _telling(wrong))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _telling(wrong: list[DatareeveError]) -> type:
    """The standard deviation, which says why it could not go on."""

    class Telling(_Stddev):  # made for one connection
        def step(self, value: Any) -> None:
            try:
                if value is not None:
                    super().step(float(value))
            except (TypeError, ValueError):
                wrong.append(Failed("sqlite.cast", "A value that is no number was to be counted with.", "Cast or leave out what is none."))  # fmt: skip
                raise

    return Telling


class _Stddev:
    """Of a sample, by Welford's method: one pass, and no loss where values are large and close."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def step(self, value: float) -> None:
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self.squares += delta * (value - self.mean)

    def finalize(self) -> float | None:
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else None


def engine(system: Sqlite, busy_share: float) -> AbstractContextManager[SqliteEngine]:
    """One check's connection, which its snapshots open and close."""
    return nullcontext(SqliteEngine(system, busy_share))
