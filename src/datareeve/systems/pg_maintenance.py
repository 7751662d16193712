"""Maintenance statements that wait for locks, outlive a restart of the server, and leave nothing half-made behind.

`CREATE INDEX CONCURRENTLY`, `REINDEX CONCURRENTLY`, `VACUUM` and `ANALYZE` have in common that they may be tried again once what an attempt
left is cleaned up. A statement is carried out under a lock timeout; a second session looks meanwhile at who holds it up, because
PostgreSQL forgets that the moment the timeout strikes.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import errors as pg
from psycopg import sql as pgsql

from datareeve.core.errors import DatareeveError, Failed, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from datareeve.systems.postgres import Postgres

LOOK_AFTER_SECONDS = 1.0  # most statements are over by then, and cost no second session
LOOK_EVERY_SECONDS = 2.0
CLEAN_UP_LOCK_MS = 3000
DEADLOCK_ATTEMPTS = 3  # the server breaks a deadlock at random: the one that gave way may well succeed next
RESTARTS = 2  # of the server, that one statement outlives
BACK_WITHIN_SECONDS = 60.0
SETTLED_SECONDS = 10.0
LONGEST_PAUSE = 5.0
SHARED_STATISTICS = 150000  # since this version a session sees the statistics of another at once

NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
BUILD = re.compile(
    rf"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<index>{NAME})"
    rf"\s+ON\s+(?:ONLY\s+)?(?P<table>(?:{NAME}\s*\.\s*)?{NAME})",
    re.IGNORECASE,
)


class Attempt(NamedTuple):
    """One statement with what surrounds it.

    `clean_up` takes away what a failed attempt left, and gives False where it cannot. `repeatable`: after a restart of the server it may
    be carried out again, unless `is_done` says that it had its effect before the server went.
    """

    sql: str
    run: str
    lock_timeout_ms: int = 5000
    statement_timeout_ms: int = 0
    attempts: int = 5
    settings: Mapping[str, str] = {}
    clean_up: Callable[[], bool] = lambda: True
    repeatable: bool = False
    is_done: Callable[[], bool] = lambda: False


def execute(system: Postgres, attempt: Attempt) -> int:
    """Carry a statement out, trying again while a lock is not to be had; gives the rows that it counts.

    `CREATE INDEX CONCURRENTLY` is made repeatable: its invalid index is dropped between attempts. Errors: `Failed` `postgres.lock-timeout`
    with who held the lock; those of `postgres.translate`.
    """
    build = BUILD.match(attempt.sql)
    if build is not None:
        attempt = attempt._replace(
            clean_up=lambda: _drop_invalid(system, build, attempt.run),
            repeatable=True,
            is_done=lambda: _state(system, build) is True,
        )
    return _persistently(system, attempt)


def _persistently(system: Postgres, attempt: Attempt) -> int:
    tried = restarts = 0
    while True:
        tried += 1
        once = Once(system, attempt)
        try:
            with system.translated():
                return once.carry_out()
        except DatareeveError as error:
            cause = once.error
            if isinstance(cause, (pg.LockNotAvailable, pg.DeadlockDetected)):
                enough = DEADLOCK_ATTEMPTS if isinstance(cause, pg.DeadlockDetected) else 1
                if not _cleaned(attempt) or tried >= max(attempt.attempts, enough):
                    raise _held_up(system, cause, once.watch.blockers) or error from None
            elif attempt.repeatable and restarts < RESTARTS and once.lost_by_restart():
                restarts += 1
                if attempt.is_done():
                    return 0
                if not _cleaned(attempt):
                    raise
            else:
                raise
        time.sleep(min(0.2 * 2**tried, LONGEST_PAUSE))


def _cleaned(attempt: Attempt) -> bool:
    with suppress(DatareeveError):
        return attempt.clean_up()
    return False


class Once:
    """A single go at a statement: its session, its watch, and the driver's error where it failed."""

    def __init__(self, system: Postgres, attempt: Attempt) -> None:
        self.system, self.attempt = system, attempt
        self.error: psycopg.Error | None = None
        self.watch = Watch(system, 0, 0.0)
        self._started: Any = None

    def carry_out(self) -> int:
        """The rows that the statement counts. Errors: the driver's, also kept in `error`."""
        what = self.attempt
        try:
            with self.system.connect(application_name=f"datareeve/{what.run}"[:63]) as connection:
                self._prepare(connection)
                after = min(LOOK_AFTER_SECONDS, what.lock_timeout_ms / 2000)
                self.watch = Watch(self.system, connection.info.backend_pid, after)
                with self.watch:
                    return max(connection.execute(what.sql, prepare=True).rowcount, 0)
        except psycopg.Error as error:
            self.error = error
            raise

    def _prepare(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        what = self.attempt
        connection.execute(f"SET lock_timeout = {int(what.lock_timeout_ms)}", prepare=True)
        connection.execute(f"SET statement_timeout = {int(what.statement_timeout_ms)}", prepare=True)
        for name, value in what.settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        if what.repeatable:
            self._started = _started(connection)

    def lost_by_restart(self) -> bool:
        """Whether the connection was lost because the server went down, and it is back.

        A session that was ended by itself is not one of these: another worker may have taken the run over (`Postgres.settle`).
        """
        if self._started is None or not _is_loss(self.error):
            return False
        deadline = time.monotonic() + BACK_WITHIN_SECONDS
        while time.monotonic() < deadline:
            with suppress(Unreachable, psycopg.Error), self.system.connect() as connection:
                crashed = isinstance(self.error, pg.CrashShutdown)
                return crashed or _started(connection) != self._started
            time.sleep(0.2)
        return False


def _is_loss(error: psycopg.Error | None) -> bool:
    """Whether the connection went, for whatever reason: a class of its own, or no SQLSTATE at all where the server could not say."""
    return (
        isinstance(error, psycopg.OperationalError)
        and (error.sqlstate or "08")[:2] in {"08", "57"}
        and not isinstance(error, pg.QueryCanceled)
    )


def _started(connection: psycopg.Connection[dict[str, Any]]) -> Any:
    row = connection.execute("SELECT pg_postmaster_start_time() AS at", prepare=True).fetchone() or {}
    return row.get("at")


class Watch:
    """Who holds our session up: looked at from another session, from `after` seconds on, until the block ends."""

    def __init__(self, system: Postgres, pid: int, after: float) -> None:
        self.blockers: list[dict[str, Any]] = []
        self._system, self._pid, self._after = system, pid, after
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        if self._over.wait(self._after):
            return
        with (
            suppress(DatareeveError, psycopg.Error),
            self._system.connect(application_name="datareeve/look") as other,
        ):
            other.execute("SET statement_timeout = 5000")
            while True:
                self.blockers = other.execute(BLOCKERS_SQL, (self._pid,)).fetchall() or self.blockers
                if self._over.wait(min(2 * self._after, LOOK_EVERY_SECONDS)):
                    return


BLOCKERS_SQL = """
SELECT b.pid, a.application_name, a.state, a.backend_type
  FROM unnest(pg_blocking_pids(%s)) AS b (pid)
  LEFT JOIN pg_stat_activity a ON a.pid = b.pid
 ORDER BY b.pid
"""


def _held_up(system: Postgres, cause: psycopg.Error, blockers: list[dict[str, Any]]) -> Failed | None:
    if not blockers or not isinstance(cause, pg.LockNotAvailable):
        return None
    return Failed(
        "postgres.lock-timeout",
        f"{system.name}: a lock was not granted in time; held by {', '.join(map(described, blockers))}.",
        "Let it end, end it with databases.end-session, or try in a quieter window.",
    )


def described(session: dict[str, Any]) -> str:
    """A session in words, without what it runs: 'pid 123 (psql, idle in transaction)'."""
    if not session["pid"]:
        return "a prepared transaction"
    said = [session["application_name"] or session["backend_type"] or "", session["state"] or ""]
    return f"pid {session['pid']} ({', '.join(word for word in said if word) or 'unknown'})"


# -- an index that is being built ------------------------------------------------------------------------------------------------------


STATE_SQL = """
SELECT i.indisvalid AND i.indisready AS valid, format('%%I.%%I', n.nspname, c.relname) AS name
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.indrelid = to_regclass(%(table)s) AND c.relname = (parse_ident(%(index)s))[1]
"""


def _built(system: Postgres, build: re.Match[str]) -> dict[str, Any] | None:
    row: dict[str, Any] | None = system.query(STATE_SQL, build.groupdict(), shape="row")
    return row


def _state(system: Postgres, build: re.Match[str]) -> bool | None:
    row = _built(system, build)
    return bool(row["valid"]) if row else None


def _drop_invalid(system: Postgres, build: re.Match[str], run: str) -> bool:
    """Take away the invalid index that a failed build left; False where a lock does not let us."""
    row = _built(system, build)
    return row is None or row["valid"] or _drop(system, row["name"], run)


def _drop(system: Postgres, name: str, run: str) -> bool:
    """Drop an index concurrently, waiting only briefly: whoever held the build up may hold this up too."""
    once = Once(system, Attempt(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", run, CLEAN_UP_LOCK_MS))
    try:
        with system.translated():
            once.carry_out()
    except DatareeveError:
        if isinstance(once.error, (pg.LockNotAvailable, pg.DeadlockDetected)):
            return False
        raise
    return True


# -- reindexing ------------------------------------------------------------------------------------------------------------------------


LEFTOVERS_SQL = """
SELECT format('%%I.%%I', n.nspname, c.relname) AS name
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_index o ON o.indexrelid = to_regclass(%(index)s) AND o.indrelid = i.indrelid
                 AND (o.indkey, o.indclass, o.indcollation, o.indoption) = (i.indkey, i.indclass, i.indcollation, i.indoption)
                 AND o.indisunique = i.indisunique AND o.indpred::text IS NOT DISTINCT FROM i.indpred::text
 WHERE NOT i.indisvalid AND i.indexrelid <> o.indexrelid AND c.relname ~ '_cc(new|old)[0-9]*$'
   AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
 ORDER BY 1
"""


def drop_leftovers(system: Postgres, index: str, run: str) -> bool:
    """Drop what interrupted rebuilds of an index left (`_ccnew`, `_ccold`); False where a lock does not let us."""
    found = system.query(LEFTOVERS_SQL, {"index": index}, shape="column")
    dropped = [_drop(system, name, run) for name in found]  # each is tried, whatever became of the one before
    return all(dropped)


def reindex(system: Postgres, index: str, *, run: str, lock_timeout_ms: int, attempts: int) -> dict[str, Any]:
    """Build an index anew beside itself, and take the old one's place. Gives {bytes_before, bytes_after}.

    Errors: `Failed` `postgres.lock-timeout`, also where what an earlier rebuild left cannot be dropped; nothing of ours is left then.
    """
    before = index_bytes(system, index)
    if not drop_leftovers(system, index, run):
        raise Failed(
            "postgres.lock-timeout",
            f"{system.name}: what an earlier rebuild of {index} left cannot be dropped: a lock was not granted in time.",
            "databases.check-health names who blocks whom; try in a quieter window.",
        )
    _persistently(
        system,
        Attempt(
            f"REINDEX INDEX CONCURRENTLY {index}",
            run,
            lock_timeout_ms,
            attempts=attempts,
            clean_up=lambda: drop_leftovers(system, index, run),
            repeatable=True,
        ),
    )
    return {"bytes_before": before, "bytes_after": index_bytes(system, index)}


def index_bytes(system: Postgres, index: str) -> int | None:
    """The size of an index (or table) on disk; None where there is none."""
    found = system.query("SELECT pg_relation_size(to_regclass(%(index)s))", {"index": index}, shape="scalar")
    return None if found is None else int(found)


# -- VACUUM, ANALYZE -------------------------------------------------------------------------------------------------------------------


def maintain(  # noqa: PLR0913 - as `Postgres.maintain` gives them
    system: Postgres,
    sql: str,
    table: str,
    *,
    run: str,
    settings: dict[str, str],
    lock_timeout_ms: int,
    attempts: int,
) -> dict[str, Any]:
    """Carry out a VACUUM or an ANALYZE of a table, with settings of its session. Gives {bytes_before, bytes_after}.

    What is interrupted has done no harm and is done again. Where it ends without having come by (SKIP_LOCKED, a missing grant: the server
    only warns), the step's probe tells.
    """
    before = index_bytes(system, table)
    seen = _maintained(system, table)
    _persistently(
        system,
        Attempt(sql, run, lock_timeout_ms, attempts=attempts, settings=settings, repeatable=True),
    )
    _await_statistics(system, table, seen)
    return {"bytes_before": before, "bytes_after": index_bytes(system, table)}


def _maintained(system: Postgres, table: str) -> Any:
    statement = "SELECT pg_stat_get_vacuum_count(r) + pg_stat_get_analyze_count(r) FROM (SELECT to_regclass(%(table)s)::oid AS r) AS one"
    return system.query(statement, {"table": table}, shape="scalar")


def _await_statistics(system: Postgres, table: str, seen: Any) -> None:
    """Before 15 a collector process counts what was done, and a reader may be half a second behind."""
    if int(system.read("server")["version_num"]) >= SHARED_STATISTICS:
        return
    deadline = time.monotonic() + 2.0
    while _maintained(system, table) == seen and time.monotonic() < deadline:
        time.sleep(0.1)


# -- sessions --------------------------------------------------------------------------------------------------------------------------


SESSION_SQL = """
SELECT a.pid, a.backend_start, a.xact_start, a.query_start, a.state, a.backend_type, a.application_name, a.usename AS role, a.query,
       a.wait_event_type, extract(epoch FROM clock_timestamp() - a.xact_start) AS transaction_seconds,
       extract(epoch FROM clock_timestamp() - a.state_change) AS state_seconds,
       coalesce((SELECT array_agg(w.pid ORDER BY w.pid) FROM pg_stat_activity w
                  WHERE w.wait_event_type = 'Lock' AND a.pid = ANY (pg_blocking_pids(w.pid))), '{}') AS blocks,
       (SELECT max(extract(epoch FROM clock_timestamp() - w.state_change)) FROM pg_stat_activity w
         WHERE w.wait_event_type = 'Lock' AND a.pid = ANY (pg_blocking_pids(w.pid))) AS longest_wait_seconds,
       a.datname = current_database() AS is_here
  FROM pg_stat_activity a
 WHERE a.pid = %(pid)s AND a.pid <> pg_backend_pid()
"""
WRAPAROUND = "(to prevent wraparound)"


def session(system: Postgres, pid: int) -> dict[str, Any] | None:
    """A session, with what it runs as a shape without constants in place of its text; None where there is none of that pid."""
    from datareeve.systems.workload_source import shape_of  # noqa: PLC0415 - parses statements

    row: dict[str, Any] | None = system.query(SESSION_SQL, {"pid": pid}, shape="row")
    if row is None:
        return None
    text = row.pop("query") or ""
    row["prevents_wraparound"] = row["backend_type"] == "autovacuum worker" and WRAPAROUND in text
    row["runs"] = shape_of(text).sql if text and row["backend_type"] == "client backend" else ""
    return row


ROOT_SQL = """
WITH RECURSIVE edge AS (SELECT w.pid AS waiter, b AS blocker FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) AS b
                         WHERE w.wait_event_type = 'Lock'),
     behind AS (SELECT blocker AS root, waiter FROM edge WHERE blocker NOT IN (SELECT waiter FROM edge)
                UNION SELECT b.root, e.waiter FROM behind b JOIN edge e ON e.blocker = b.waiter)
SELECT root AS pid, count(*) AS waiting FROM behind GROUP BY root ORDER BY waiting DESC, root
"""


def blocking_roots(system: Postgres) -> list[dict[str, Any]]:
    """The sessions that hold others up and wait for none themselves, the one with most behind it first: [{pid, waiting}]; pid 0: prepared."""
    found: list[dict[str, Any]] = system.query(ROOT_SQL)
    return found


END_SQL = """
SELECT {signal}(a.pid) AS sent
  FROM pg_stat_activity a
 WHERE a.pid = %(pid)s AND a.backend_start = %(backend_start)s::timestamptz
   AND a.xact_start IS NOT DISTINCT FROM %(xact_start)s::timestamptz
   AND (%(query_start)s::timestamptz IS NULL OR a.query_start = %(query_start)s::timestamptz)
   AND a.state IS NOT DISTINCT FROM %(state)s AND a.backend_type IN ('client backend', 'autovacuum worker')
   AND a.pid <> pg_backend_pid() AND a.application_name NOT LIKE 'datareeve/%%'
"""
STILL_SQL = """
SELECT count(*) FROM pg_stat_activity a
 WHERE a.pid = %(pid)s AND a.backend_start = %(backend_start)s::timestamptz
   AND (%(query_start)s::timestamptz IS NULL
        OR (a.query_start = %(query_start)s::timestamptz AND a.state = 'active'))
"""


def still_there(system: Postgres, who: dict[str, Any]) -> bool:
    """Whether that very session is there, or, with `query_start`, still runs that very statement."""
    return bool(system.query(STILL_SQL, who, shape="scalar"))


def end_session(system: Postgres, who: dict[str, Any], *, mode: str, run: str) -> dict[str, Any]:
    """Cancel or terminate a session, if it is still the one that was looked at; waits until it has ended.

    The look and the signal are one statement, so that a pid which the system gave to another session meanwhile is left alone.
    Errors: `Failed` `session.changed`, `session.stays`; `Refused` `postgres.grant`.
    """
    signal = {"cancel": "pg_cancel_backend", "terminate": "pg_terminate_backend"}[mode]
    statement = pgsql.SQL(END_SQL).format(signal=pgsql.SQL(signal))
    with (
        system.translated(),
        system.connect(application_name=f"datareeve/{run}"[:63]) as connection,
    ):
        sent = connection.execute(statement, who).fetchone()
    if sent is None and still_there(system, who):
        raise Failed(
            "session.changed",
            f"The session of pid {who['pid']} is not doing what it did when the plan was made; it was left alone.",
            "Plan again.",
        )
    deadline = time.monotonic() + SETTLED_SECONDS
    while still_there(system, who):
        if time.monotonic() > deadline:
            raise Failed(
                "session.stays",
                f"The session of pid {who['pid']} was told to end and has not within {SETTLED_SECONDS:.0f} s.",
                "It may be in a place that cannot be interrupted, or cleaning up; terminate it where it was cancelled.",
            )
        time.sleep(0.02)
    return {"sent": bool(sent and sent["sent"])}
