"""A disposable copy of a database, on a server of its own on this machine, on which advice and plans are tried.

The copy is made from a logical dump of one snapshot and has its own statistics. It may be another major version than the original:
`Copy.differs` says so. It is made without fsync, listens on loopback alone and is removed at the end, whatever happens.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psutil
import psycopg

from datareeve.core.errors import Failed
from datareeve.systems import pg_server, settings_trial, workload_replay
from datareeve.systems.adapter import reads
from datareeve.systems.pg_server import LocalServer
from datareeve.systems.postgres import Postgres, new_label
from datareeve.systems.workload_trial import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

GIGABYTE = 10**9
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",  # statistics must not change between two measurements
    "max_wal_size": "4GB",
    "maintenance_work_mem": "256MB",
    "shared_buffers": "256MB",
}
# Settings of the original that decide which plan is taken.
PLANNER = (
    "work_mem",
    "random_page_cost",
    "seq_page_cost",
    "effective_cache_size",
    "jit",
    "default_statistics_target",
)
# Debian's PostgreSQL 15.20 stamps columns with an option that other versions reject, and the table with it.
REJECTED = re.compile(r"^ALTER TABLE .* ALTER COLUMN .* SET \(pg_attver=[^)]*\);$", re.MULTILINE)


class Copy(Postgres):
    """The copy: a database like the original, with its name and its recorded workload, where effects need no run."""

    differs: str = ""  # in what it is not like the original, in a sentence; empty where it is

    def perform(
        self, action: str, /, *, run: str = "rehearsal", connection: Any = None, **arguments: Any
    ) -> dict[str, Any]:
        """Carry out one of PostgreSQL's published effects on the copy."""
        return super().perform(action, run=run, connection=connection, **arguments)

    @reads
    def trial(
        self,
        hidden: list[list[str]],
        fingerprints: list[str] | None = None,
        *,
        limit: int = 3,
        rounds: int = 3,
        statement_seconds: float = 10.0,
    ) -> list[dict[str, dict[str, Any]]]:
        """Run the recorded workload, writes included, with some indexes hidden, and once more with others hidden, interleaved.

        `hidden` holds sets of indexes ('"public"."flights_tailnum_idx"'). Gives for each set {fingerprint: {ms, buffers, wal_bytes,
        indexes}}: medians over `rounds`, then over the cases. Every round is rolled back, so nothing is hidden afterwards.
        """
        families = workload_replay.wanted(workload_replay.recording(self), fingerprints)
        cases = {f.shape.fingerprint: workload_replay.cases(self, f, limit) for f in families}
        measured: list[dict[str, list[list[dict[str, Any]]]]] = [{} for _ in hidden]
        with self.connect(application_name="datareeve/trial") as connection:
            connection.execute(f"SET statement_timeout = {int(statement_seconds * 1000)}")
            for _ in range(rounds):
                for names, result in zip(hidden, measured, strict=True):
                    _one_round(connection, names, cases, result, statement_seconds)
        return [{key: _median(runs) for key, runs in result.items()} for result in measured]

    @cached_property
    def _lab(self) -> Lab:
        return Lab(self)

    @reads
    def evaluate(
        self, hidden: list[str], fingerprints: list[str] | None = None, longest_ms: float = 10_000.0
    ) -> dict[str, dict[str, Any]]:
        """What each family takes with some indexes hidden: {fingerprint: {cpu_ms, ms, buffers, wal_bytes, cost, is_floor, indexes}}, means over its cases.

        A plan that was seen before is not executed again. `is_floor`: a statement was given up, it would take longer.
        """
        with self.translated():
            return self._lab.evaluate(hidden, fingerprints, longest_ms)

    @reads
    def interleaved(
        self, hidden: list[list[str]], fingerprints: list[str], rounds: int = 3
    ) -> list[dict[str, dict[str, Any]]]:
        """Families run with one set of indexes hidden after another, in turn: medians over the rounds, as `evaluate` names them."""
        with self.translated():
            return self._lab.interleaved(hidden, fingerprints, rounds)

    @reads
    def write_cost(
        self, table: str, shown: list[list[str]], every: list[str], rows: int = 2000
    ) -> list[dict[str, Any]]:
        """What inserting rows into a table takes with only some of the indexes `every` there: [{cpu_ms, wal_bytes}], None where it cannot be done.

        Rows of the table are taken out and put back in a transaction that is rolled back: constraints and triggers act as for new rows.
        """
        with self.translated():
            return self._lab.write_cost(table, shown, every, rows)

    def close(self) -> None:
        """End the connections."""
        if "_lab" in self.__dict__:
            self._lab.close()
            del self.__dict__["_lab"]
        super().close()

    @reads
    def settings_plans(
        self, variants: list[dict[str, str]], fingerprints: list[str] | None = None, *, limit: int = 2
    ) -> dict[str, list[int]]:
        """Which plan each variant of settings gives each family: {fingerprint: [number a variant]}. Nothing is executed."""
        return settings_trial.plans(self, variants, fingerprints, limit)

    @reads
    def settings_trial(  # noqa: PLR0913 - the bounds belong to the question
        self,
        variants: list[dict[str, str]],
        fingerprints: list[str] | None = None,
        *,
        limit: int = 2,
        rounds: int = 3,
        statement_seconds: float = 10.0,
        budget_seconds: float = 30.0,
    ) -> dict[str, Any]:
        """Run the workload, writes included and rolled back, under several variants of settings in turn. See `settings_trial.trial`."""
        bounds = settings_trial.Bounds(limit, statement_seconds, time.monotonic() + budget_seconds)
        with self.translated():
            return settings_trial.trial(self, variants, fingerprints, rounds=rounds, bounds=bounds)

    @reads
    def memory_needs(
        self,
        fingerprints: list[str],
        settings: dict[str, str],
        *,
        most_bytes: int = 2**30,
        statement_seconds: float = 10.0,
        budget_seconds: float = 20.0,
    ) -> list[dict[str, Any]]:
        """The smallest work_mem with which each family spills nothing: [{fingerprint, temp_bytes, needs_bytes, operations}]."""
        bounds = settings_trial.Bounds(1, statement_seconds, time.monotonic() + budget_seconds)
        with self.translated():
            return settings_trial.memory(self, fingerprints, settings, most_bytes=most_bytes, bounds=bounds)

    @reads
    def measure_states(
        self,
        fingerprint: str,
        before: list[str],
        after: list[str],
        rounds: int = 3,
        statement_seconds: float = 10.0,
    ) -> dict[str, Any]:
        """A family's recorded executions in two states of this copy, interleaved: {before, after}, each {ms, buffers, shapes}."""
        from datareeve.systems import pg_plans  # noqa: PLC0415 - parses statements

        return pg_plans.measure_states(self, fingerprint, before, after, rounds, statement_seconds)

    @reads
    def compare_statements(
        self, fingerprint: str, sql: str, rounds: int = 3, statement_seconds: float = 30.0
    ) -> dict[str, Any]:
        """A family's recorded executions as they are and written as `sql`: the same rows, and at what time? See pg_rewrite.compare."""
        from datareeve.systems import pg_rewrite  # noqa: PLC0415

        return pg_rewrite.compare(self, fingerprint, sql, rounds, statement_seconds)


def _one_round(
    connection: psycopg.Connection[Any],
    hidden: Sequence[str],
    cases: dict[str, list[workload_replay.Case]],
    result: dict[str, list[list[dict[str, Any]]]],
    statement_seconds: float,
) -> None:
    # An index dropped in a transaction is out of the planner's sight and comes back with the rollback, at no cost.
    with connection.transaction(force_rollback=True):
        for name in hidden:
            connection.execute(f"DROP INDEX {name}")
        for fingerprint, found in cases.items():
            result.setdefault(fingerprint, []).append(_attempts(connection, found, statement_seconds))


def _attempts(
    connection: psycopg.Connection[Any], cases: list[workload_replay.Case], statement_seconds: float
) -> list[dict[str, Any]]:
    """The runs of a family's cases. One that does not end in time counts as that time, and the family's others are not tried."""
    runs = []
    for case in cases:
        try:
            with connection.transaction(force_rollback=True):
                runs.append(workload_replay.analysed(connection, case))
        except psycopg.errors.QueryCanceled:
            return [{"ms": statement_seconds * 1000, "buffers": 0, "wal_bytes": 0, "indexes": []}]
        except psycopg.Error:
            continue  # a duplicate key of a replayed INSERT, a table that is gone: it tells nothing
    return runs


def _median(rounds: list[list[dict[str, Any]]]) -> dict[str, Any]:
    runs = [run for one in rounds for run in one]
    figures = {
        key: round(statistics.median([statistics.fmean(run[key] for run in one) for one in rounds if one]), 3)
        if runs
        else None
        for key in ("ms", "buffers", "wal_bytes")
    }
    return {**figures, "indexes": sorted({name for run in runs for name in run["indexes"]})}


@contextmanager
def copy_of(
    system: Postgres,
    folder: Path,
    *,
    progress: Callable[[str], None] | None = None,
    max_bytes: int = 20 * GIGABYTE,
) -> Iterator[Copy]:
    """A copy of a database below `folder`, removed at the end.

    Errors: `Failed` `copy.too-large`, `copy.dump`, `copy.restore`; `BadInput` `postgres.no-binaries`, `postgres.no-tool`.
    """
    say = progress or (lambda _text: None)
    size = _refuse_too_large(system, folder, max_bytes)
    say(f"copying {system.name} ({size / 1e6:.0f} MB)")
    tools = pg_server.tool(system, "pg_dump").parent
    _remove_abandoned(folder)
    place = folder / f"copy-{os.getpid()}-{new_label()}"
    server, url = pg_server.initialise(place, binaries=_binaries(system, tools), settings=SETTINGS)
    copy = Copy(
        system.name,
        system.entry.model_copy(update={"url": url, "password": None, "read_role": None}),
        None,
        server,
    )
    copy.original, copy.project = system, system.project
    try:
        _fill(system, copy, tools)
        say("copied; gathering statistics")
        copy.perform("execute", sql="VACUUM (ANALYZE)")
        copy.differs = _difference(system, copy)
        yield copy
    finally:
        copy.close()
        pg_server.destroy(server)


def _remove_abandoned(folder: Path) -> None:
    """Remove copies whose process was killed before it could."""
    for data in pg_server.server_folder(folder / "copy").parent.glob("*copy-*-*"):
        owner = data.name.rsplit("copy-", 1)[1].partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            tools = pg_server.embedded_binaries() or pg_server.find_binaries()
            if tools is not None:
                os_user = pg_server.service_user()
                pg_server.destroy(
                    LocalServer(data=data, bin=pg_server.reachable_binaries(tools), os_user=os_user)
                )


def _refuse_too_large(system: Postgres, folder: Path, max_bytes: int) -> int:
    size = int(system.query("SELECT pg_database_size(current_database())", shape="scalar"))
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    bound = min(max_bytes, shutil.disk_usage(nearest).free // 2)
    if size > bound:
        raise Failed(
            "copy.too-large",
            f"{system.name} has {size / 1e9:.1f} GB, and a copy here may have {bound / 1e9:.1f} GB.",
            "Free space, or plan without rehearsal: advice is then an estimate.",
        )
    return size


def _binaries(system: Postgres, tools: Path) -> Path:
    """Binaries for the copy: the embedded server where it is new enough, else those of the dump's tools."""
    embedded = pg_server.embedded_binaries()
    major = int(system.read("server")["version_num"]) // 10000
    return embedded if embedded is not None and pg_server.version_of(embedded) >= major else tools


def _fill(system: Postgres, copy: Copy, tools: Path) -> None:
    """Bring over one snapshot: definitions first, filtered; then rows, indexes and constraints through a pipe."""
    _planner_settings(system, copy)
    with system.connect(application_name="datareeve/copy") as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        snapshot = connection.execute("SELECT pg_export_snapshot() AS name").fetchone() or {}
        password = system.password.reveal() if system.password else None
        with pg_server.password_file(system.entry.url, password) as env:
            dump = [
                str(tools / "pg_dump"),
                "--no-owner",
                "--no-privileges",
                f"--snapshot={snapshot['name']}",
                "-d",
                system.entry.url,
            ]
            _definitions(dump, env, copy, tools)
            _rows(dump, env, copy, tools)


def _planner_settings(system: Postgres, copy: Copy) -> None:
    found = system.query(
        "SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY(%(names)s)",
        {"names": list(PLANNER)},
    )
    for row in found:
        value = "on" if row["name"] == "jit" else row["value"]  # our reading sessions switch it off
        copy.perform("alter_system", name=row["name"], value=value)
    copy.perform("reload")


def _definitions(dump: list[str], env: dict[str, str], copy: Copy, tools: Path) -> None:
    text = pg_server.run_as(None, [*dump, "--section=pre-data"], env=env).stdout
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        file.write(REJECTED.sub("", text))
        file.seek(0)
        # Extensions and languages that are not installed here are left out; the tables that need them fail when rows come.
        pg_server.run_as(None, [str(tools / "psql"), "-XqAt", "-d", copy.entry.url], stdin=file)


def _rows(dump: list[str], env: dict[str, str], copy: Copy, tools: Path) -> None:
    command = [*dump, "--section=data", "--section=post-data", "-Fc", "-Z0"]
    restore = [str(tools / "pg_restore"), "--no-owner", "--no-privileges", "-d", copy.entry.url]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, env={**os.environ, **env}) as source:  # noqa: S603
        # What cannot be restored (an extension that is not installed here) is left out, and `differs` tells of it.
        subprocess.run(restore, stdin=source.stdout, stdout=quiet, stderr=quiet, check=False)  # noqa: S603
        if source.stdout is not None:
            source.stdout.close()
    if source.returncode != 0:
        raise Failed(
            "copy.dump",
            f"pg_dump of {copy.name} ended with status {source.returncode}.",
            "See the server's log.",
        )


RELATIONS_SQL = """
SELECT count(*) FILTER (WHERE c.relkind IN ('r', 'p', 'm')) AS tables, count(*) FILTER (WHERE c.relkind = 'i') AS indexes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
"""


def _difference(system: Postgres, copy: Copy) -> str:
    said = []
    versions = [int(one.read("server")["version_num"]) // 10000 for one in (system, copy)]
    if versions[0] != versions[1]:
        said.append(f"it is PostgreSQL {versions[1]}, the original {versions[0]}")
    here, there = (one.query(RELATIONS_SQL, shape="row") for one in (copy, system))
    said += [
        f"{there[what] - here[what]} {what} could not be brought over"
        for what in here
        if there[what] != here[what]
    ]
    return f"The copy differs: {'; '.join(said)}." if said else ""
