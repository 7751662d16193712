"""The recorded workload on a disposable copy, under one choice of indexes after another.

An index dropped in a transaction is out of the planner's sight and comes back with the rollback, at no cost. So a choice is looked at by planning every
statement under it, and only a plan that was never seen before is executed: what a plan takes is measured once, and a search over
hundreds of choices costs as many executions as there are different plans.

What is measured is the processor time of the server's processes (`stopwatch`): other work on the machine hardly disturbs it. Where that cannot be
known it is the server's own execution time.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from datareeve.core.errors import DatareeveError
from datareeve.systems import workload_replay
from datareeve.systems.plan_needs import needs as needs_of
from datareeve.systems.plan_needs import nodes
from datareeve.systems.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from datareeve.systems.postgres import Postgres
    from datareeve.systems.workload_source import Family, Recording

CASES = 5  # executions of a family that are tried: values differ, and so do the rows behind them
LONGEST_MS = 10_000.0  # of a statement of which nothing is known
RUNS = 2  # the better one counts
FIXED_CALLS = 5  # executions after which an equal constant is taken for the application's own
ROUNDS_WRITTEN = 5
NUMBERS = {
    "Plan Rows",
    "Plan Width",
    "Startup Cost",
    "Total Cost",
    "Output",
    "Planned Partitions",
    "Cache Key",
    "Parallel Aware",
    "Async Capable",
}


class Measured(NamedTuple):
    """One execution of one plan. `is_floor`: it was given up after that time, and would have taken longer."""

    cpu_ms: float
    ms: float
    buffers: int
    wal_bytes: int
    is_floor: bool = False


class Planned(NamedTuple):
    """A statement under one choice of indexes."""

    identity: str
    cost: float
    indexes: frozenset[str]


class Lab:
    """A connection to a copy, and what is known there of every plan that was seen."""

    def __init__(self, copy: Postgres) -> None:
        self._copy = copy
        self._connection = copy.connect(application_name="datareeve/trial")
        self._cases: dict[str, list[workload_replay.Case]] = {}
        self._families: dict[str, Family] = {}
        self._known: dict[tuple[str, int, str], Measured] = {}
        # The cost of a case's first plan and what that took: estimates of others rest on it.
        self._first: dict[tuple[str, int], tuple[float, Measured]] = {}
        self._roots: dict[str, str] = {}
        self._stopwatch = Stopwatch(self._connection)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def evaluate(
        self,
        hidden: Sequence[str],
        fingerprints: Sequence[str] | None,
        longest_ms: Mapping[str, float],
        *,
        execute: bool,
    ) -> dict[str, dict[str, Any]]:
        """What each family takes with these indexes hidden; see `pg_copy.Copy.evaluate`."""
        self._load(fingerprints)
        asked = list(fingerprints) if fingerprints is not None else list(self._cases)
        planned: dict[tuple[str, int], Planned] = {}
        with self._connection.transaction(force_rollback=True):
            self._roots = workload_replay.roots(self._connection)
            for name in hidden:
                self._connection.execute(f"DROP INDEX {name}")
            for fingerprint in asked:
                for number, case in enumerate(self._cases[fingerprint]):
                    if (plan := self._planned(fingerprint, case, hidden)) is not None:
                        planned[fingerprint, number] = plan
                        if execute and (fingerprint, number, plan.identity) not in self._known:
                            self._execute(fingerprint, number, plan, longest_ms.get(fingerprint, LONGEST_MS))
        return {fingerprint: self._figures(fingerprint, planned) for fingerprint in asked}

    @cached_property
    def _recording(self) -> Recording:
        """Read once: a trial is of one workload, and asks hundreds of times."""
        return workload_replay.recording(self._copy)

    def _load(self, fingerprints: Sequence[str] | None) -> None:
        wanted = None if fingerprints is None else [f for f in fingerprints if f not in self._cases]
        for family in workload_replay.wanted(self._recording, wanted):
            fingerprint = family.shape.fingerprint
            if fingerprint not in self._cases:
                self._families[fingerprint] = family
                self._cases[fingerprint] = workload_replay.cases(self._copy, family, CASES)

    def _planned(self, fingerprint: str, case: workload_replay.Case, hidden: Sequence[str]) -> Planned | None:
        try:
            with self._connection.transaction(force_rollback=True):
                plan = workload_replay.answered(self._connection, "EXPLAIN (VERBOSE, FORMAT JSON) ", case)[
                    "Plan"
                ]
        except psycopg.Error:
            return None  # a table that is gone, a parameter that does not fit: it tells nothing
        used = frozenset(node["Index Name"] for node in nodes(plan) if "Index Name" in node)
        # A write maintains every index that is there, whatever its plan says.
        also = sorted(hidden) if self._families[fingerprint].shape.kind == "write" else []
        whole = used | {self._roots[name] for name in used if name in self._roots}
        return Planned(plan_identity(plan, also), plan["Total Cost"], whole)

    def _execute(self, fingerprint: str, number: int, plan: Planned, longest_ms: float) -> None:
        case = self._cases[fingerprint][number]
        runs: list[Measured] = []
        try:
            self._connection.execute(f"SET LOCAL statement_timeout = {int(longest_ms)}")
            while not runs or len(runs) < RUNS:
                with self._connection.transaction(force_rollback=True):
                    runs.append(self._run(case))
        except psycopg.errors.QueryCanceled:
            runs = runs or [Measured(longest_ms, longest_ms, 0, 0, is_floor=True)]
        except psycopg.Error:
            runs = runs or [
                Measured(0.0, 0.0, 0, 0)
            ]  # a duplicate key of a replayed INSERT: the same under every choice
        finally:
            self._connection.execute("SET LOCAL statement_timeout = 0")
        least = min(runs, key=lambda run: run.cpu_ms)
        self._known[fingerprint, number, plan.identity] = least
        self._first.setdefault((fingerprint, number), (plan.cost, least))

    def _taken(self, fingerprint: str, number: int, plan: Planned) -> Measured | None:
        """What a plan took; where there was no time to execute it, what its cost says beside that of one that was."""
        known = self._known.get((fingerprint, number, plan.identity))
        if known is not None or (fingerprint, number) not in self._first:
            return known
        cost, first = self._first[fingerprint, number]
        factor = plan.cost / max(cost, 1e-9)
        return first._replace(cpu_ms=first.cpu_ms * factor, ms=first.ms * factor, is_floor=False)

    def _run(self, case: workload_replay.Case) -> Measured:
        self._stopwatch.start()
        explain = "EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT JSON) "
        answer = workload_replay.answered(self._connection, explain, case)
        top, ms = answer["Plan"], answer["Execution Time"] + answer["Planning Time"]
        parallel = any(node.get("Workers Launched") for node in nodes(top))
        cpu = self._stopwatch.stop(parallel=parallel)
        buffers = top.get("Shared Hit Blocks", 0) + top.get("Shared Read Blocks", 0)
        return Measured(round(ms if cpu is None else cpu, 3), ms, buffers, top.get("WAL Bytes", 0))

    def _figures(self, fingerprint: str, planned: dict[tuple[str, int], Planned]) -> dict[str, Any]:
        plans = [
            (plan, taken)
            for (key, number), plan in planned.items()
            if key == fingerprint and (taken := self._taken(key, number, plan)) is not None
        ]
        if not plans:
            return {
                "cpu_ms": None,
                "ms": None,
                "buffers": None,
                "wal_bytes": None,
                "cost": None,
                "is_floor": False,
                "indexes": [],
            }
        means = {
            name: round(sum(getattr(m, name) for _, m in plans) / len(plans), 3)
            for name in ("cpu_ms", "ms", "buffers", "wal_bytes")
        }
        return {
            **means,
            "cost": sum(plan.cost for plan, _ in plans) / len(plans),
            "is_floor": any(m.is_floor for _, m in plans),
            "indexes": sorted(frozenset().union(*(plan.indexes for plan, _ in plans))),
        }

    def interleaved(
        self, hidden: Sequence[Sequence[str]], fingerprints: Sequence[str], rounds: int
    ) -> list[dict[str, dict[str, Any]]]:
        """Run families under several choices in turn, `rounds` times; the medians. What was given up before is not run again."""
        self._load(fingerprints)
        measured: list[dict[str, list[list[Measured]]]] = [{} for _ in hidden]
        for _ in range(rounds):
            for names, result in zip(hidden, measured, strict=True):
                with self._connection.transaction(force_rollback=True):
                    for name in names:
                        self._connection.execute(f"DROP INDEX {name}")
                    for fingerprint in fingerprints:
                        result.setdefault(fingerprint, []).append(self._round(fingerprint, names))
        return [{key: _medians(runs) for key, runs in result.items()} for result in measured]

    def _round(self, fingerprint: str, hidden: Sequence[str]) -> list[Measured]:
        runs = []
        for number, case in enumerate(self._cases[fingerprint]):
            plan = self._planned(fingerprint, case, hidden)
            known = self._known.get((fingerprint, number, plan.identity)) if plan else None
            if known is not None and known.is_floor:
                runs.append(known)
                continue
            try:
                with self._connection.transaction(force_rollback=True):
                    runs.append(self._run(case))
            except psycopg.Error:
                continue
        return runs

    # -- what a written row costs -------------------------------------------------------------------------------------------------

    def write_cost(
        self, table: str, shown: Sequence[Sequence[str]], every: Sequence[str], rows: int
    ) -> list[dict[str, Any]]:
        """What inserting rows takes with some of the indexes `every` there and the others hidden; see `pg_copy.Copy.write_cost`."""
        runs: list[list[Measured]] = [[] for _ in shown]
        try:
            with self._connection.transaction(force_rollback=True):
                columns = self._take_out(table, rows)
                for _ in range(ROUNDS_WRITTEN):
                    for names, found in zip(shown, runs, strict=True):
                        found.append(
                            self._put_back(table, columns, [name for name in every if name not in names])
                        )
        except psycopg.Error:
            return [{"cpu_ms": None, "wal_bytes": None} for _ in shown]
        least = [min(found, key=lambda run: run.cpu_ms) for found in runs]
        return [{"cpu_ms": one.cpu_ms, "wal_bytes": one.wal_bytes} for one in least]

    def _take_out(self, table: str, rows: int) -> str:
        """Put a part of a table's rows aside; gives the columns that can be written."""
        execute = self._connection.execute
        execute("SET LOCAL session_replication_role = replica")  # rows that refer to them stay where they are
        share = execute(SHARE_SQL, (rows, table)).fetchone() or {}
        execute(PLACES_SQL.format(table=table, percent=float(share["percent"]), rows=int(rows)))
        execute(ROWS_SQL.format(table=table))
        execute(DELETE_SQL.format(table=table))
        execute("SET LOCAL session_replication_role = origin")
        written = execute(WRITTEN_SQL, (table,)).fetchone() or {}
        return str(written["columns"])

    def _put_back(self, table: str, columns: str, hidden: Sequence[str]) -> Measured:
        with self._connection.transaction(force_rollback=True):
            for name in hidden:
                self._connection.execute(f"DROP INDEX {name}")
            return self._run((INSERT_SQL.format(table=table, columns=columns), None))


# What `write_cost` runs; names are quoted by whoever asks.
SHARE_SQL = (
    "SELECT least(100, 300.0 * %s / greatest(reltuples, 1)) AS percent FROM pg_class WHERE oid = %s::regclass"
)
PLACES_SQL = "CREATE TEMP TABLE datareeve_places ON COMMIT DROP AS SELECT ctid AS place FROM {table} TABLESAMPLE BERNOULLI ({percent}) REPEATABLE (7) LIMIT {rows}"
ROWS_SQL = "CREATE TEMP TABLE datareeve_rows ON COMMIT DROP AS SELECT * FROM {table} WHERE ctid = ANY (ARRAY(SELECT place FROM datareeve_places))"
DELETE_SQL = "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT place FROM datareeve_places))"
INSERT_SQL = "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM datareeve_rows"
WRITTEN_SQL = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns
  FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


def _medians(rounds: list[list[Measured]]) -> dict[str, Any]:
    """The median over rounds of the mean over cases."""
    rounds = [one for one in rounds if one]
    figures = {
        name: round(
            statistics.median(statistics.fmean(getattr(run, name) for run in one) for one in rounds), 3
        )
        if rounds
        else None
        for name in ("cpu_ms", "ms", "buffers", "wal_bytes")
    }
    return {**figures, "is_floor": any(run.is_floor for one in rounds for run in one)}


def plan_identity(plan: dict[str, Any], also: Iterable[str] = ()) -> str:
    """A hash of all that makes a plan this plan: nodes, indexes, conditions; not its estimates."""
    return hashlib.sha256(json.dumps([_bare(plan), list(also)], sort_keys=True).encode()).hexdigest()[:24]


def _bare(node: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in node.items() if name not in NUMBERS and name != "Plans"}
    return {**kept, "Plans": [_bare(child) for child in node.get("Plans", ())]}


# -- what plans ask of tables -----------------------------------------------------------------------------------------------------


def needs(system: Postgres, fingerprints: Sequence[str] | None) -> list[dict[str, Any]]:
    """How the planner answers each family, and what its scans are asked, without a value: [{fingerprint, cost, indexes, scans}]."""
    found = []
    for family in workload_replay.wanted(workload_replay.recording(system), fingerprints):
        try:
            plans = _plans(system, family)
        except DatareeveError:
            continue  # a table that is gone, parameters that cannot be known: the family is judged without a plan
        scans = [needs_of(plan) for plan in plans]
        fixed = _fixed(scans, _constants(family))
        found.append(
            {
                "fingerprint": family.shape.fingerprint,
                "cost": plans[0]["Total Cost"],
                "indexes": sorted({node["Index Name"] for node in nodes(plans[0]) if "Index Name" in node}),
                "scans": [_without_values(s, fixed, knows_values=bool(family.examples)) for s in scans[0]],
            }
        )
    return found


def _plans(system: Postgres, family: Family) -> list[dict[str, Any]]:
    cases = workload_replay.cases(system, family, CASES if _constants(family) else 1)
    if not cases:
        return [workload_replay.plan_of_text(system, family.shape.text)]
    with system.reading() as cursor:
        return [workload_replay.explained(cursor, "VERBOSE, FORMAT JSON", case) for case in cases]


QUOTED = re.compile(r"'((?:[^']|'')*)'")


def _constants(family: Family) -> set[str]:
    """The values that every recorded execution has: those that stand in its text, and parameters that never change."""
    if family.calls < FIXED_CALLS or not family.examples:
        return set()
    written = set.intersection(*(set(QUOTED.findall(statement.text)) for statement in family.examples))
    given = [
        s.parameters if isinstance(s.parameters, list) else list((s.parameters or {}).values())
        for s in family.examples
    ]
    return written | {
        str(values[0]) for values in zip(*given, strict=False) if len(set(map(repr, values))) == 1
    }


Place = tuple[str, str, str]


def _literals(scans: list[dict[str, Any]]) -> dict[Place, str]:
    return {(scan["alias"], c["key"], c["kind"]): c["literal"] for scan in scans for c in scan["conditions"]}


def _fixed(plans: list[list[dict[str, Any]]], constants: set[str]) -> set[tuple[Place, str]]:
    """The constants of conditions that are the same in every plan and in every execution."""
    same = set.intersection(*(set(_literals(scans).items()) for scans in plans))
    return {(place, literal) for place, literal in same if _value(literal) in constants}


def _value(literal: str) -> str:
    quoted = QUOTED.match(literal)
    return quoted[1] if quoted else literal.partition("::")[0]


def _without_values(
    scan: dict[str, Any], fixed: set[tuple[Place, str]], *, knows_values: bool
) -> dict[str, Any]:
    """A scan as it may leave. Where values were invented, so were the wildcards of a LIKE: the pattern is then not known."""
    conditions = []
    for one in scan["conditions"]:
        literal = one["literal"]
        keeps = literal and ((scan["alias"], one["key"], one["kind"]), literal) in fixed
        conditions.append(
            {
                **{k: v for k, v in one.items() if k not in {"alias", "literal"}},
                "fixed": literal if keeps else "",
                **({"pattern": "unknown"} if one["pattern"] and not knows_values else {}),
            }
        )
    arms = [
        [[{k: v for k, v in c.items() if k not in {"alias", "literal"}} for c in arm] for arm in arms]
        for arms in scan["arms"]
    ]
    return {**{k: v for k, v in scan.items() if k != "alias"}, "conditions": conditions, "arms": arms}
