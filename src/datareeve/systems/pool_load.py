"""PgBouncer under load: pgbench through pools of several sizes in turn, on a disposable copy of the database or where one says.

The load is the recorded workload, as scripts weighted by how often each family was called, or pgbench's own where nothing is recorded.
Scripts hold recorded values: they stand in a folder of mode 0700 for as long as the test takes. What comes out is counts and times.
A statement that writes is rolled back, and one that cannot be run is left out beforehand.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psycopg

from datareeve.core import clock
from datareeve.core.errors import BadInput, Failed
from datareeve.core.estate import STATE_FOLDER, PgbouncerSystem
from datareeve.systems import pg_copy, pg_server, workload_replay
from datareeve.systems.postgres import Postgres, new_label
from datareeve.systems.workload_source import quantile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.systems.pgbouncer import Pgbouncer

MOST_SCRIPTS = 40  # pgbench takes 128
CASES = 3  # of a family
LOOK_SECONDS = 0.1
SPARE = 10  # server connections beside the largest pool
SCALE = 5  # of pgbench's own tables: 500,000 accounts
STATEMENT_SECONDS = 5
FRAMES = {"write": "BEGIN;\n{};\nROLLBACK;\n", "copy": "{};\n", "here": "BEGIN READ ONLY;\n{};\nCOMMIT;\n"}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be tested. `where`: 'copy', or 'here' for the database itself, reads alone."""

    sizes: Sequence[int]
    clients: int
    seconds: float
    settings: dict[str, str] = field(default_factory=dict)  # of the pool, beside its size
    where: Literal["copy", "here"] = "copy"
    rate: float | None = None  # transactions a second that arrive by chance; None: as many as go through
    script: Literal["workload", "pgbench"] = "workload"


def load_test(pool: Pgbouncer, digest: str, wish: Wish, run: str) -> dict[str, Any]:
    """Run the load through a pool of each size, one after another; gives and keeps {sizes: [...], ...}.

    Each size has tps, latency_ms_p50, p95, p99, failed, and of SHOW POOLS and STATS: clients_waiting_most, wait_seconds_longest,
    wait_ms_mean, servers_active_most. Errors: `BadInput` `pgbouncer.not-installed`, `pgbench.missing`; those of `pg_copy.copy_of`.
    """
    if pool.read("installed") is None:
        raise BadInput(
            "pgbouncer.not-installed",
            "PgBouncer is not installed here.",
            "Install your system's pgbouncer package.",
        )
    began = time.monotonic()
    folder = _folder(pool) / f"test-{new_label()}"
    folder.mkdir(parents=True)
    folder.chmod(0o755)  # its files are closed on their own; PgBouncer, another user, goes through
    try:
        with _target(pool, wish, folder) as database:
            load = _Load(pool, database, wish, folder, run)
            with load.scripts() as scripts:
                rows = [load.through(size, scripts) for size in wish.sizes]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = {f"with_{row['size']}_connections": _sentence(row) for row in rows}
    record = {**told, "sizes": rows, "script": load.kind, "families": load.families, "clients": wish.clients, "where": wish.where,
              "seconds": round(time.monotonic() - began, 1), "at": clock.stamp()}  # fmt: skip
    place = _record(pool, digest)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(record), encoding="utf-8")
    return record


def record_of(pool: Pgbouncer, digest: str) -> dict[str, Any] | None:
    """The record of an earlier test."""
    place = _record(pool, digest)
    return json.loads(place.read_text(encoding="utf-8")) if place.exists() else None


def forget(pool: Pgbouncer, digest: str) -> dict[str, Any]:
    """Remove a record."""
    _record(pool, digest).unlink(missing_ok=True)
    return {}


def _folder(pool: Pgbouncer) -> Path:
    return pool.database.project / STATE_FOLDER / "pool-tests"


def _record(pool: Pgbouncer, digest: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{8,64}", digest):
        raise BadInput("pool.digest", "A load test is known by the digest of its arguments.", "Plan again.")
    return _folder(pool) / f"{pool.name}-{digest}.json"


@contextmanager
def _target(pool: Pgbouncer, wish: Wish, folder: Path) -> Iterator[Postgres]:
    """The database that takes the load: a copy with connections enough, or the database itself."""
    if wish.where == "here":
        yield pool.database
        return
    with pg_copy.copy_of(pool.database, folder) as copy:
        needed = max(wish.sizes) + SPARE
        if int(copy.read("query", sql="SHOW max_connections", shape="scalar")) < needed:
            copy.perform("alter_system", name="max_connections", value=str(needed))
            copy.perform("restart")
        yield copy


@dataclass
class _Load:
    """A load on one database, through pools of its own making."""

    pool: Pgbouncer
    database: Postgres
    wish: Wish
    folder: Path
    run: str
    kind: str = "workload"
    families: int = 0

    # -- what is asked ----------------------------------------------------------------------------------------

    @contextmanager
    def scripts(self) -> Iterator[list[str]]:
        """Pgbench's arguments that name the scripts; they are there inside the block alone."""
        with tempfile.TemporaryDirectory(prefix="datareeve-load-") as place:  # mode 0700
            arguments = self._recorded(Path(place)) if self.wish.script == "workload" else []
            if not arguments:
                self.kind = "pgbench"
                arguments = self._built_in()
            yield arguments

    def _recorded(self, place: Path) -> list[str]:
        """A script for each case of the families that take most time, weighted by calls."""
        found = workload_replay.wanted(workload_replay.recording(self.database), None)
        arguments: list[str] = []
        read_only = "-c default_transaction_read_only=on" if self.wish.where == "here" else ""
        with self.database.connect(application_name="datareeve/load", options=read_only) as connection:
            connection.execute(f"SET statement_timeout = {STATEMENT_SECONDS * 1000}")
            for family in found:
                if self.wish.where == "here" and family.shape.kind != "read":
                    continue
                texts = [
                    text
                    for case in workload_replay.cases(self.database, family, CASES)
                    if (text := _runs(connection, case))
                ]
                if texts and len(arguments) // 2 + len(texts) <= MOST_SCRIPTS:
                    self.families += 1
                    weight = max(round(family.calls / len(texts)), 1)
                    frame = FRAMES["write" if family.shape.kind != "read" else self.wish.where]
                    arguments += [
                        part for text in texts for part in ("-f", f"{_script(place, text, frame)}@{weight}")
                    ]
        return arguments

    def _built_in(self) -> list[str]:
        """Pgbench's own tables and transactions, on a copy; what only reads, and asks no table, elsewhere."""
        if self.wish.where == "here":
            place = self.folder / "select.sql"
            place.write_text("SELECT count(*) FROM generate_series(1, 500);\n", encoding="utf-8")
            return ["-f", str(place)]
        self._pgbench(self.database.entry.url, ["-i", "-q", "-s", str(SCALE)])
        return ["-b", "tpcb-like"]

    # -- how it is asked --------------------------------------------------------------------------------------

    def through(self, size: int, scripts: list[str]) -> dict[str, Any]:
        """The load through a pool of that size."""
        with self._started(size) as front:
            url = f"postgresql://{front.target()['user']}@127.0.0.1:{front.entry.port}/{front.target()['dbname']}"
            before = front.read("status")
            watch = _Watch(front)
            with watch, tempfile.TemporaryDirectory(prefix="datareeve-load-") as logs:
                wish = self.wish
                rate = ["-R", f"{wish.rate:g}"] if wish.rate else []
                time_ = [
                    "-T",
                    str(max(int(wish.seconds), 1)),
                    "-c",
                    str(wish.clients),
                    "-j",
                    str(min(2, wish.clients)),
                ]
                told = self._pgbench(
                    url, ["-n", "-l", "--log-prefix", f"{logs}/log", "-M", "simple", *time_, *rate, *scripts]
                )
                latencies = sorted(_latencies(Path(logs)))
            waits = _waits(before, front.read("status"))
        figures = {
            f"latency_ms_p{p}": round(quantile(latencies, p), 3) if latencies else None for p in (50, 95, 99)
        }
        tps = re.search(r"tps = ([\d.]+)", told)
        return {
            "size": size,
            "tps": round(float(tps[1]), 1) if tps else 0.0,
            "transactions": len(latencies),
            **figures,
            **waits,
            **watch.figures(),
        }

    @contextmanager
    def _started(self, size: int) -> Iterator[Pgbouncer]:
        from datareeve.systems.pgbouncer import Pgbouncer  # noqa: PLC0415 - each knows the other

        name, port = f"load-{size}", pg_server.free_port()
        entry = PgbouncerSystem(kind="pgbouncer", database=self.pool.database.name, port=port)
        front = Pgbouncer(name, entry, self.folder, self.database)
        front.ini.parent.mkdir(parents=True, exist_ok=True)
        front.ini.write_text(self._configuration(front, size, port), encoding="utf-8")
        try:
            front.perform("start", run=self.run)
            yield front
        finally:
            front.perform("stop", run=self.run)
            front.ini.unlink(missing_ok=True)

    def _configuration(self, front: Pgbouncer, size: int, port: int) -> str:
        """The pool's settings with this size; logins and clients such that nothing else bounds the load."""
        target = front.target()
        own = {
            "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "stats_users": target["user"], "default_pool_size": size,
            "reserve_pool_size": 0, "max_db_connections": 0, "max_client_conn": self.wish.clients + SPARE, "query_wait_timeout": 120,
        }  # fmt: skip
        settings = {"pool_mode": "transaction", "auth_type": "trust", **self.wish.settings, **own}
        if self.wish.where == "copy":  # it trusts this machine, speaks no TLS, and is gone in a moment
            settings["auth_type"] = "trust"
            settings.pop("server_tls_sslmode", None)
        place = f"{target['dbname']} = host={target['host']} port={target['port']} dbname={target['dbname']}"
        return "\n".join(
            [
                "[databases]",
                place,
                "",
                "[pgbouncer]",
                *(f"{key} = {value}".rstrip() for key, value in settings.items()),
                "",
            ]
        )

    def _pgbench(self, url: str, arguments: list[str]) -> str:
        program = _program(self.database)
        password = (
            self.database.password.reveal() if self.database.password and self.wish.where == "here" else None
        )
        with pg_server.password_file(url, password) as env:
            done = pg_server.run_as(None, [str(program), *arguments, url], env=env, check=False)
        if done.returncode != 0:
            # pgbench repeats the statement that failed, with its values: nothing of it is told.
            raise Failed(
                "pgbench.failed", f"pgbench ended with status {done.returncode}.", "See the server's own log."
            )
        return done.stdout


def _program(database: Postgres) -> Path:
    places = [database.local_server.bin] if database.local_server else []
    places += [p for p in (pg_server.embedded_binaries(), pg_server.find_binaries()) if p is not None]
    for place in places:
        if (place / "pgbench").exists():
            return place / "pgbench"
    raise BadInput(
        "pgbench.missing",
        "pgbench is not installed here.",
        "Install datareeve[embedded], or your system's postgresql-contrib.",
    )


def _runs(connection: psycopg.Connection[Any], case: workload_replay.Case) -> str:
    """The statement with its values in it; empty where it cannot be run."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(*case)
    except psycopg.Error:
        return ""
    return psycopg.ClientCursor(connection).mogrify(*case)


def _script(place: Path, text: str, frame: str) -> Path:
    file = place / f"{len(list(place.iterdir()))}.sql"
    file.write_text(frame.format(text.strip().rstrip(";")), encoding="utf-8")
    return file


def _latencies(logs: Path) -> Iterator[float]:
    """Milliseconds of each transaction, from its schedule on: pgbench's log has microseconds in its third column."""
    for file in logs.iterdir():
        for line in file.read_text().splitlines():
            fields = line.split()
            if len(fields) > 2 and fields[2].isdigit():  # noqa: PLR2004 - the third; 'skipped' and 'failed' are words
                yield int(fields[2]) / 1000


def _sentence(row: dict[str, Any]) -> str:
    times = ", ".join(f"p{p} {row[f'latency_ms_p{p}']} ms" for p in (50, 95, 99))
    waits = f"at most {row.get('clients_waiting_most', 0)} clients waited, {row.get('wait_seconds_longest', 0)} s at the longest"
    return f"{row['tps']:,.0f} transactions/s, {times}; {waits}, {row['wait_ms_mean']} ms on average"


def _waits(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Mean wait of a query for a connection, over the test."""

    def total(status: dict[str, Any], name: str) -> int:
        return sum(int(row[name]) for row in status["stats"])

    queries = total(after, "total_xact_count") - total(before, "total_xact_count")
    waited = total(after, "total_wait_time") - total(before, "total_wait_time")
    return {"wait_ms_mean": round(waited / 1000 / queries, 3) if queries else None}


class _Watch:
    """Looks at SHOW POOLS ten times a second while the block runs."""

    def __init__(self, front: Pgbouncer) -> None:
        self._front = front
        self._over = threading.Event()
        self._looks: list[dict[str, float]] = []
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            rows = self._front.read("status")["pools"]
            waited = max((int(row["maxwait"]) + int(row["maxwait_us"]) / 1e6 for row in rows), default=0.0)
            counts = {
                name: float(sum(int(row[name]) for row in rows)) for name in ("cl_waiting", "sv_active")
            }
            self._looks.append({**counts, "maxwait": waited})

    def figures(self) -> dict[str, Any]:
        """The most that was seen, and the means."""
        if not self._looks:
            return {}

        def most(name: str) -> float:
            return round(max(look[name] for look in self._looks), 3)

        waiting = sum(look["cl_waiting"] for look in self._looks) / len(self._looks)
        return {
            "clients_waiting_most": int(most("cl_waiting")),
            "clients_waiting_mean": round(waiting, 1),
            "wait_seconds_longest": most("maxwait"),
            "servers_active_most": int(most("sv_active")),
        }
