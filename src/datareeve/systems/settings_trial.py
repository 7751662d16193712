"""A recorded workload on a disposable copy under several sets of settings: which plans they give, what each costs, what spills.

The one idea: settings that a session may choose are set for one transaction that is rolled back, so no restart is needed, writes leave
nothing behind, and two variants are run in turn, family by family, within moments of each other.

CPU is the server process's own run time (`/proc/<pid>/schedstat`, nanoseconds: Linux, sched-stats.rst), parallel workers included (the
postmaster's ended children, to 10 ms). Where the server is not on this machine it is None, and wall time alone is known.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from datareeve.systems import workload_replay
from datareeve.systems.plan_needs import nodes
from datareeve.systems.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from datareeve.systems.pg_copy import Copy
    from datareeve.systems.workload_replay import Case
    from datareeve.systems.workload_source import Family

Variant = dict[str, str]  # settings by name, as SET takes them

STATISTICS = "default_statistics_target"
ESTIMATES = {"Startup Cost", "Total Cost", "Plan Rows", "Plan Width"}
EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT JSON) "
ROUND_MS = 15.0  # a shorter family is run several times a round, so that a round can be told from noise
MOST_REPEATS = 20
SLOW_MS = 25.0  # of a slower family one case is enough: its time is far above noise
BLOCK = 8192
REMEMBERS = {"Sort", "Incremental Sort", "Hash", "Aggregate", "SetOp", "WindowAgg", "Materialize", "CTE Scan", "Memoize"}  # fmt: skip
FIGURES = ("ms", "cpu_ms", "buffers", "temp_bytes", "wal_bytes")
MEGABYTE = 1024 * 1024


class Bounds(NamedTuple):
    """How much of the workload is run, and for how long."""

    limit: int  # cases of a family
    statement_seconds: float
    deadline: float  # of time.monotonic()


# -- plans ------------------------------------------------------------------------------------------------------------------------


def plans(
    copy: Copy, variants: Sequence[Variant], fingerprints: Sequence[str] | None, limit: int
) -> dict[str, list[int]]:
    """Which plan each variant gives each family: {fingerprint: [number a variant]}; equal numbers are equal plans.

    Costs and estimates are left out of the comparison, whether a plan is compiled (JIT) is not. A family that cannot be planned is left
    out. Nothing is executed.
    """
    found: dict[str, list[int]] = {}
    with _session(copy, 10.0) as connection:
        for family in workload_replay.wanted(workload_replay.recording(copy), fingerprints):
            cases = workload_replay.cases(copy, family, limit)
            shapes = [_planned(connection, variant, family, cases) for variant in variants]
            if None not in shapes:
                found[family.shape.fingerprint] = [shapes.index(shape) for shape in shapes]
    return found


def _planned(
    connection: psycopg.Connection[Any], variant: Variant, family: Family, cases: Sequence[Case]
) -> str | None:
    shapes = []
    try:
        with connection.transaction(force_rollback=True):
            _prepare(connection, variant, family)
            for case in cases:
                answer = workload_replay.answered(connection, "EXPLAIN (FORMAT JSON) ", case)
                shapes.append(json.dumps([_shape(answer["Plan"]), "JIT" in answer], sort_keys=True))
    except psycopg.Error:
        return None
    return "\n".join(shapes) or None


def _shape(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _shape(value) for key, value in node.items() if key not in ESTIMATES}
    return [_shape(one) for one in node] if isinstance(node, list) else node


# -- running ----------------------------------------------------------------------------------------------------------------------


def trial(
    copy: Copy,
    variants: Sequence[Variant],
    fingerprints: Sequence[str] | None,
    *,
    rounds: int,
    bounds: Bounds,
) -> dict[str, Any]:
    """Run each family under each variant, one warm-up each and then `rounds` in turn: {families, left_out}.

    `families`: {fingerprint: [one a variant: {ms, cpu_ms, buffers, temp_bytes, wal_bytes, rounds: [ms], rounds_cpu: [ms] or None}]},
    for one call, medians over the rounds. `left_out`: {fingerprint: 'time' | 'failed' | 'no parameters'}.
    """
    result: dict[str, list[dict[str, Any]]] = {}
    left_out: dict[str, str] = {}
    with _session(copy, bounds.statement_seconds) as connection:
        track = _Track(connection, Stopwatch(connection), variants)
        for family in workload_replay.wanted(workload_replay.recording(copy), fingerprints):
            name = family.shape.fingerprint
            cases = workload_replay.cases(copy, family, bounds.limit)
            if not cases:
                left_out[name] = "no parameters"
            elif time.monotonic() > bounds.deadline:
                left_out[name] = "time"
            elif (runs := track.family(family, cases, rounds, bounds.deadline)) is None:
                left_out[name] = "failed"
            else:
                result[name] = runs
    return {"families": result, "left_out": left_out}


class _Track(NamedTuple):
    """Where families run: a connection, its stopwatch, and the variants that take turns."""

    connection: psycopg.Connection[Any]
    stopwatch: Stopwatch
    variants: Sequence[Variant]

    def family(
        self, family: Family, cases: Sequence[Case], rounds: int, deadline: float
    ) -> list[dict[str, Any]] | None:
        """A family's figures under each variant; None where it cannot be run, or does not end in time."""
        warm = [self._round(family, cases[:1], variant, 1) for variant in self.variants]
        first = [one for one in warm if one is not None]
        if len(first) < len(warm):
            return None
        slowest = max(one["ms"] for one in first)
        cases = cases[:1] if slowest > SLOW_MS else cases
        repeats = int(min(max(ROUND_MS / max(slowest * len(cases), 0.01), 1), MOST_REPEATS))
        measured: list[list[dict[str, Any]]] = [[] for _ in self.variants]
        for number in range(rounds):
            if number and time.monotonic() > deadline:
                break  # what is there counts
            for variant, runs in zip(self.variants, measured, strict=True):
                runs.extend([one] if (one := self._round(family, cases, variant, repeats)) else [])
        return [_medians(runs or [one]) for runs, one in zip(measured, first, strict=True)]

    def _round(
        self, family: Family, cases: Sequence[Case], variant: Variant, repeats: int
    ) -> dict[str, Any] | None:
        """The mean of a family's cases under a variant; None where none of them could be run."""
        runs: list[dict[str, Any]] = []
        try:
            with self.connection.transaction(force_rollback=True):
                _prepare(self.connection, variant, family)
                for case in (case for case in cases for _ in range(repeats)):
                    runs += _attempt(self.connection, self.stopwatch, case)
        except psycopg.errors.QueryCanceled:
            return None  # it does not end in time
        return _means(runs) if runs else None


def _means(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        key: None if any(run[key] is None for run in runs) else statistics.fmean(run[key] for run in runs)
        for key in FIGURES
    }


def _attempt(connection: psycopg.Connection[Any], stopwatch: Stopwatch, case: Case) -> list[dict[str, Any]]:
    try:
        with connection.transaction(force_rollback=True):
            stopwatch.start()
            answer = workload_replay.answered(connection, EXPLAIN, case)
            cpu_ms = stopwatch.stop(parallel=_is_parallel(answer["Plan"]))
    except psycopg.errors.QueryCanceled:
        raise
    except psycopg.Error:
        return []  # a duplicate key of a replayed INSERT: it tells nothing of settings
    return [{**_figures(answer), "cpu_ms": cpu_ms}]


def _figures(answer: dict[str, Any]) -> dict[str, Any]:
    top = answer["Plan"]
    temporary = top.get("Temp Read Blocks", 0) + top.get("Temp Written Blocks", 0)
    return {
        "ms": answer["Execution Time"] + answer["Planning Time"],
        "buffers": top.get("Shared Hit Blocks", 0) + top.get("Shared Read Blocks", 0),
        "temp_bytes": temporary * BLOCK,
        "wal_bytes": top.get("WAL Bytes", 0),
    }


def _is_parallel(plan: dict[str, Any]) -> bool:
    return any(node.get("Workers Launched") for node in nodes(plan))


def _medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    known = [run["cpu_ms"] for run in runs if run["cpu_ms"] is not None]
    middle = {
        key: round(statistics.median(values), 3) if all(v is not None for v in values) else None
        for key, values in ((key, [run[key] for run in runs]) for key in FIGURES)
    }
    return {
        **middle,
        "rounds": [round(run["ms"], 3) for run in runs],
        "rounds_cpu": [round(value, 3) for value in known] if len(known) == len(runs) else None,
    }


# -- memory -----------------------------------------------------------------------------------------------------------------------


def memory(
    copy: Copy, fingerprints: Sequence[str], settings: Variant, *, most_bytes: int, bounds: Bounds
) -> list[dict[str, Any]]:
    """For families that spill to disk: the smallest work_mem, in doublings of what is set, with which nothing spills.

    Gives [{fingerprint, temp_bytes, needs_bytes (None: more than `most_bytes`), operations}]; `operations` are the sorts, hashes and the
    like of its plan, each of which may take that much, in every worker.
    """
    text = {"text": settings["work_mem"]}
    sizes = [int(copy.read("query", sql="SELECT pg_size_bytes(%(text)s)", parameters=text, shape="scalar"))]
    while sizes[-1] < most_bytes:
        sizes.append(2 * sizes[-1])
    found = []
    with _session(copy, bounds.statement_seconds) as connection:
        for family in workload_replay.wanted(workload_replay.recording(copy), fingerprints):
            cases = workload_replay.cases(copy, family, bounds.limit)
            variants = (settings | {"work_mem": f"{size // 1024}kB"} for size in sizes)
            spilled = (max(_spill(connection, v, family, c) for c in cases) for v in variants if cases)
            if (need := _need(zip(sizes, spilled, strict=False), bounds.deadline)) is not None:
                found.append({"fingerprint": family.shape.fingerprint, **need})
    return found


def _need(tried: Iterator[tuple[int, tuple[int, int]]], deadline: float) -> dict[str, Any] | None:
    """The first size with which nothing spills, of (size, (temp_bytes, operations)) in ascending order; None where nothing ever did."""
    first = 0
    operations = 1
    for size, (temporary, found) in tried:
        operations = max(found, 1)
        if not temporary:
            return {"temp_bytes": first, "needs_bytes": size, "operations": operations} if first else None
        first = first or temporary
        if time.monotonic() > deadline:
            break
    return {"temp_bytes": first, "needs_bytes": None, "operations": operations} if first else None


def _spill(
    connection: psycopg.Connection[Any], variant: Variant, family: Family, case: Case
) -> tuple[int, int]:
    try:
        with connection.transaction(force_rollback=True):
            _prepare(connection, variant, family)
            answer = workload_replay.answered(connection, EXPLAIN, case)
    except psycopg.Error:
        return 0, 0
    return _figures(answer)["temp_bytes"], sum(_operations(answer["Plan"], 1))


def _operations(node: dict[str, Any], processes: int) -> Iterator[int]:
    """How many memory areas of work_mem a plan may use, one a sort or hash and process."""
    if node["Node Type"] in REMEMBERS:
        yield processes
    below = processes + node.get("Workers Planned", 0)
    for child in node.get("Plans", ()):
        yield from _operations(child, below)


# -- the session ------------------------------------------------------------------------------------------------------------------


def _session(copy: Copy, statement_seconds: float) -> psycopg.Connection[Any]:
    milliseconds = int(statement_seconds * 1000)
    return copy.connect(application_name="datareeve/settings", options=f"-c statement_timeout={milliseconds}")


def _prepare(connection: psycopg.Connection[Any], variant: Mapping[str, str], family: Family) -> None:
    """Settings for this transaction; where statistics are among them the family's tables are analysed with them."""
    for name, value in variant.items():
        connection.execute("SELECT set_config(%s, %s, true)", (name, value))
    if STATISTICS in variant:
        for table in family.shape.tables:
            row = connection.execute("SELECT to_regclass(quote_ident(%s))::text AS name", (table,)).fetchone()
            if row and row["name"]:
                connection.execute(f"ANALYZE {row['name']}")  # as regclass writes it: quoted where needed
