"""`measure` on DuckDB, for its files and for folders of data files: one transaction on a sealed connection that can only read.

An error ends a transaction of DuckDB, so the next statement begins another; while the connection is open no other process can write the
file, and so both see the same. Where the estate wants rests (`busy_share`), the file is let go in each, and a writer that took it is waited for. What does not fit into memory is spilled below the project's `.datareeve/`, and removed at the end.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from datareeve.core.clock import stamp
from datareeve.core.errors import Unreachable
from datareeve.systems import measure
from datareeve.systems.duckdb import SEALED, _driver, execute, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from datareeve.core.errors import DatareeveError
    from datareeve.systems.duckdb import Duckdb
    from datareeve.systems.measure import Stream

MEMORY = "240MB"  # of DuckDB's own, so that the process stays below 512 MB
ROWS_AT_ONCE = 2_048  # DuckDB's own vector
WRITER_SECONDS, LOOK_SECONDS = (
    30.0,
    0.1,
)  # how long a writer is waited for that took the file in a rest, and how often it is looked


class DuckdbEngine:
    """One check's connection. `connect` opens it; `explain` turns DuckDB's errors into ours."""

    kind = "duckdb"
    longest_snapshot: float | None = None

    def __init__(
        self, connect: Callable[[], Any], explain: Callable[[Exception, str, bool], DatareeveError]
    ) -> None:
        self._connect = connect
        self._explain = explain
        self.connection: Any = None
        self._began = False

    def begin(self) -> str | None:
        """Open the file: from now on it stays as it is."""
        self.connection = self._opened(WRITER_SECONDS if self._began else 0.0)
        self._began = True
        self._run("SET TimeZone = 'UTC'")  # what a day is does not hang on whose session asks
        self._run("SET enable_progress_bar = false")  # it goes to standard output
        self._run("SET lock_configuration = true")
        self._run("BEGIN TRANSACTION READ ONLY")
        return stamp()

    def _opened(self, seconds: float) -> Any:
        """A connection, when a writer has let the file go. Errors: `Unreachable` where it does not within so many seconds."""
        until = monotonic() + seconds
        while True:
            try:
                return self._connect()
            except Unreachable as error:
                if error.code != "duckdb.locked" or monotonic() > until:
                    raise
            sleep(LOOK_SECONDS)

    def _run(self, sql: str) -> None:
        try:
            self.connection.execute(sql)
        except _driver().Error as error:
            raise self._explain(error, "", False) from None  # noqa: FBT003 - not late

    def end(self) -> None:
        """Close the file, so that others can write it."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    @contextmanager
    def stream(self, sql: str, seconds: float) -> Iterator[Stream]:
        """The rows of one statement, a vector at a time; what runs longer than allowed is interrupted."""
        late = threading.Event()

        def interrupt() -> None:
            late.set()
            self.connection.interrupt()

        timer = threading.Timer(seconds, interrupt)
        timer.daemon = True
        timer.start()
        try:
            cursor = execute(self.connection, sql)
            names = [column[0] for column in cursor.description or ()]
            yield names, _fetched(cursor, late)
        except (_driver().Error, UnicodeDecodeError) as error:
            raise self._explain(error, sql, late.is_set()) from None
        finally:
            timer.cancel()
            timer.join()
            self._again()

    def _again(self) -> None:
        with suppress(_driver().Error):  # there is none to end, where the error ended it
            self.connection.execute("ROLLBACK")
        self._run("BEGIN TRANSACTION READ ONLY")

    def lost(self, error: DatareeveError) -> bool:
        """Whether the file itself cannot be read any more."""
        return measure.unreachable(error)


def _fetched(cursor: Any, late: threading.Event) -> Iterator[Any]:
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        if late.is_set():  # while the rows before were tested, DuckDB was idle and could not be interrupted
            raise _driver().InterruptException
        yield from rows


@contextmanager
def spilling(project: Path) -> Iterator[dict[str, str]]:
    """The settings of a connection that measures, with a folder of its own to spill into; none where the project cannot be written."""
    settings = {
        **SEALED,
        "memory_limit": MEMORY,
        "preserve_insertion_order": "false",
    }
    del settings["lock_configuration"]  # as the last, by `begin`
    folder = None
    with suppress(OSError):
        (project / ".datareeve").mkdir(mode=0o700, exist_ok=True)
        _sweep(project / ".datareeve")
        folder = tempfile.mkdtemp(
            prefix=f"spill-{os.getpid()}-", dir=project / ".datareeve"
        )  # that only we can read: it holds values
    try:
        yield {**settings, "temp_directory": folder or ""}
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed have spilled: it holds values."""
    for left in folder.glob("spill-*-*"):
        import psutil  # noqa: PLC0415 - seldom wanted, and slow to load

        owner = left.name.split("-")[1]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def engine(system: Duckdb, busy_share: float) -> Iterator[DuckdbEngine]:
    """One check's connection, which spills within the project."""
    with spilling(system.project) as settings:

        def explain(error: Exception, sql: str, late: bool) -> DatareeveError:  # noqa: FBT001 - as `DuckdbEngine` calls it
            del sql
            return translate(error, system.name, system.entry.path, late=late)

        made = DuckdbEngine(lambda: system.opened(settings), explain)
        made.longest_snapshot = None if busy_share == 1 else 0.0
        yield made
