"""A recorded workload against a database: what it holds, how long its reads take, how the planner would answer them.

The recorded statements and their parameters are used here as bound parameters and nowhere else; what comes out is counts, timings and
plans whose constants are taken out. On a live database everything runs in READ ONLY transactions with a statement timeout.
"""

from __future__ import annotations

import math
import re
import statistics
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql as pgsql

from datareeve.core.errors import BadInput, DatareeveError
from datareeve.systems import workload_activity
from datareeve.systems.plan_needs import nodes
from datareeve.systems.postgres import refuse_several
from datareeve.systems.workload_columns import base_tables
from datareeve.systems.workload_examples import invent
from datareeve.systems.workload_source import LEXER, Family, Recording, executable, record, shape_of
from datareeve.systems.workload_statistics import NO_STATISTICS, NOT_LOADED, from_statistics, view_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.systems.postgres import Postgres

Case = tuple[str, Any]  # a statement as psycopg takes it, and its parameters
GENERIC_SINCE = 160000  # EXPLAIN (GENERIC_PLAN)


# -- the recording ----------------------------------------------------------------------------------------------------------------


def recording(system: Postgres) -> Recording:
    """The declared workload of a database; where none is declared, pg_stat_statements. Read again only when the file changed."""
    if system.original is not None:
        return recording(system.original)
    source = system.entry.workload
    if source is not None and source.kind == "activity":
        return _sampled(system)
    if source is None or source.kind == "pg_stat_statements" or source.path is None:
        return from_statistics(system)
    path = system.project / source.path
    stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else (0, 0)
    if system.recorded is None or system.recorded[0] != stamp:
        database = unquote(urlsplit(system.entry.url).path.lstrip("/"))
        found = record(source.kind, path, source.path, database)
        if source.kind == "log":
            _say_what_is_logged(system, found)
        system.recorded = (stamp, found)
    return system.recorded[1]


def summary(system: Postgres) -> dict[str, Any]:
    """The workload as JSON, each family with its base tables: views resolved, partitions as what they are a part of."""
    found = recording(system).summary()
    names = sorted({name for family in found["families"] for name in family["tables"]})
    try:
        known = base_tables(system, names)
    except DatareeveError:
        known = {}  # a file's workload is told though its server cannot be asked
    for family in found["families"]:
        family["base_tables"] = sorted(
            {base for name in family["tables"] for base in known.get(name, [name])}
        )
    return found


def _sampled(system: Postgres) -> Recording:
    """Samples of what runs, taken again when they are no longer fresh, so that one look at the workload is of one moment."""
    now = int(time.monotonic())
    if system.recorded is None or now - system.recorded[0][0] > workload_activity.FRESH_SECONDS:
        system.recorded = ((now, 0), workload_activity.sample(system))
    return system.recorded[1]


LOGGED_SQL = """
SELECT name, setting::float8 AS value FROM pg_settings
 WHERE name IN ('log_min_duration_statement', 'log_min_duration_sample', 'log_statement_sample_rate', 'log_transaction_sample_rate')
"""


def _say_what_is_logged(system: Postgres, found: Recording) -> None:
    """Which statements the server writes into its log: all, the slow ones, or a sample; figures of a part are not those of the whole."""
    try:
        now = {row["name"]: row["value"] for row in system.query(LOGGED_SQL)}
    except DatareeveError:
        found.notes.append("the server was not asked which statements it logs")
        return
    least, sampled = now["log_min_duration_statement"], now["log_min_duration_sample"]
    found.exact = least == 0
    found.at_least_ms = least if least > 0 else None
    if least > 0:
        found.notes.append(
            f"the log holds only statements of {least:g} ms and more (log_min_duration_statement): shorter ones are missing from every figure"
        )
    rates = [now["log_transaction_sample_rate"]] + [now["log_statement_sample_rate"]] * (sampled >= 0)
    if least != 0 and any(0 < rate < 1 for rate in rates):
        found.at_least_ms = None
        found.notes.append(
            "the log holds a random sample of statements: counts and totals are of the sample alone"
        )


def source_of(system: Postgres) -> dict[str, Any]:
    """Whether a workload can be counted here: {kind, counts, why_empty}."""
    source = system.entry.workload
    if source is not None and source.kind == "activity":
        return {"kind": "activity", "counts": False, "why_empty": NOT_COUNTED.format(system=system.name)}
    if source is not None and source.kind != "pg_stat_statements" and source.path is not None:
        return {"kind": source.kind, "counts": True, "why_empty": recording(system).why_empty}
    view = view_of(system)
    why = NO_STATISTICS if view is None else NOT_LOADED if view.track is None else ""
    return {"kind": "pg_stat_statements", "counts": not why, "why_empty": why}


NOT_COUNTED = (
    "The workload of {system} is sampled from pg_stat_activity, which counts nothing from one moment to the next: "
    "give a source that counts (pg_stat_statements, or the server's log)"
)


def within(system: Postgres, target_ms: float, windows: Sequence[float]) -> dict[str, Any]:
    """How many calls took at most `target_ms`, counted one by one, in the last so many seconds of the recording and in all of it.

    Gives {exact, at_least_ms, as_of, began, windows: {seconds ('' for all): {fingerprint: [calls, within]}}}. `exact`: every execution is
    recorded; `at_least_ms`: only those as long as that are.
    """
    found = recording(system)
    times = [moment for f in found.families.values() for moment in f.when if moment == moment]  # noqa: PLR0124 - NaN
    as_of = max(times, default=None)
    spans = {"": -math.inf} | ({f"{s:g}": as_of - s for s in windows} if as_of is not None else {})
    return {
        "exact": found.exact,
        "at_least_ms": found.at_least_ms,
        "as_of": as_of,
        "began": min(times, default=None),
        "windows": {
            name: {key: n for key, f in found.families.items() if (n := _counted(f, target_ms, after))[0]}
            for name, after in spans.items()
        },
    }


def _counted(family: Family, target_ms: float, after: float) -> list[int]:
    chosen = [ms for ms, at in zip(family.ms, family.when, strict=True) if after == -math.inf or at > after]
    return [len(chosen), sum(ms <= target_ms for ms in chosen)]


def cases(system: Postgres, family: Family, limit: int) -> list[Case]:
    """Up to `limit` different executions of a family, spread over the recording.

    Where the source keeps no parameters they are invented from the planner's statistics.
    """
    recorded = {repr(case): case for s in family.examples if (case := executable(s)) is not None}
    found = list(recorded.values()) or invent(system, family.shape, limit, family.open_text())
    step = max(1, len(found) // limit)
    return found[::step][:limit]


def wanted(found: Recording, fingerprints: Sequence[str] | None) -> list[Family]:
    """The families of some fingerprints, or all, longest first. Errors: `BadInput` `workload.unknown-family`."""
    if fingerprints is None:
        return sorted(found.families.values(), key=lambda f: (-f.total_ms, -f.calls))
    for fingerprint in fingerprints:
        if fingerprint not in found.families:
            raise BadInput(
                "workload.unknown-family",
                f"The workload has no family {fingerprint!r}.",
                "`databases.find-slow-queries` lists them.",
            )
    return [found.families[fingerprint] for fingerprint in fingerprints]


# -- replaying --------------------------------------------------------------------------------------------------------------------


def replay(  # noqa: PLR0913 - the bounds belong to the question
    system: Postgres,
    fingerprints: Sequence[str] | None,
    *,
    limit: int,
    repeats: int,
    statement_seconds: float,
    budget_seconds: float,
) -> dict[str, Any]:
    """Run the read families, and give the median milliseconds of each case as a client sees them.

    Writes are left out, and so is whatever the time budget does not reach; both are counted.
    """
    deadline = time.monotonic() + budget_seconds
    left_out: Counter[str] = Counter()
    measured = []
    with system.connect(
        application_name="datareeve/replay", options="-c default_transaction_read_only=on"
    ) as connection:
        _settle_in(system, connection, statement_seconds)
        for family in wanted(recording(system), fingerprints):
            if family.shape.kind != "read":
                left_out["writes"] += 1
            elif time.monotonic() > deadline:
                left_out["out_of_time"] += 1
            else:
                measured.append(_replay_family(connection, system, family, limit, repeats))
    return {"families": measured, "left_out": dict(left_out)}


def _settle_in(system: Postgres, connection: psycopg.Connection[Any], statement_seconds: float) -> None:
    if system.entry.read_role:
        connection.execute(pgsql.SQL("SET ROLE {}").format(pgsql.Identifier(system.entry.read_role)))
    connection.execute(f"SET statement_timeout = {int(statement_seconds * 1000)}")
    # Where the role may, what is replayed is not counted as if the application had asked it.
    with suppress(psycopg.Error):
        connection.execute("SET pg_stat_statements.track = 'none'")


def _replay_family(
    connection: psycopg.Connection[Any], system: Postgres, family: Family, limit: int, repeats: int
) -> dict[str, Any]:
    medians: list[float] = []
    failed: Counter[str] = Counter()
    for case in cases(system, family, limit):
        try:
            with connection.transaction(force_rollback=True):
                if not case[1]:
                    refuse_several(connection, case[0])
                medians.append(
                    round(statistics.median(_milliseconds(connection, case) for _ in range(repeats)), 3)
                )
        except psycopg.Error as error:
            failed[error.sqlstate or "connection"] += 1
        except BadInput as error:
            failed[error.code] += 1
    return {
        "fingerprint": family.shape.fingerprint,
        "calls": family.calls,
        "ms": medians,
        "failed": dict(failed),
    }


def _milliseconds(connection: psycopg.Connection[Any], case: Case) -> float:
    began = time.perf_counter()
    # prepare=False: a plan for these very values, as an application's first execution gets.
    connection.execute(case[0], case[1], prepare=False).fetchall()
    return (time.perf_counter() - began) * 1000


def analysed(connection: psycopg.Connection[Any], case: Case) -> dict[str, Any]:
    """One execution as the server measures it: ms (planning included), buffers, wal_bytes and the indexes used."""
    explain = "EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT JSON) "
    plan = answered(connection, explain, case)
    top = plan["Plan"]
    return {
        "ms": plan["Execution Time"] + plan["Planning Time"],
        "buffers": top.get("Shared Hit Blocks", 0) + top.get("Shared Read Blocks", 0),
        "wal_bytes": top.get("WAL Bytes", 0),
        "indexes": sorted({node["Index Name"] for node in nodes(top) if "Index Name" in node}),
    }


# -- plans ------------------------------------------------------------------------------------------------------------------------


def plan_of(system: Postgres, sql: str | None, fingerprint: str | None) -> dict[str, Any]:
    """The plan of a statement or of a family, without running it, and without any constant in it.

    Errors: `BadInput` `workload.no-parameters` where a family's parameters are not known and the server is older than 16.
    """
    if fingerprint is not None:
        plan = _plan_of_family(system, wanted(recording(system), [fingerprint])[0])
    else:
        plan = plan_of_text(system, sql or "")
    stripped: dict[str, Any] = strip(plan)
    return stripped


def _plan_of_family(system: Postgres, family: Family) -> dict[str, Any]:
    found = cases(system, family, 1)
    if not found:
        return plan_of_text(system, family.shape.text)
    with system.reading() as cursor:
        return explained(cursor, "VERBOSE, FORMAT JSON", found[0])


def plan_of_text(system: Postgres, text: str) -> dict[str, Any]:
    """The plan of a text, constants included; one with open parameters is planned for any of them (16 and newer). Errors as `plan_of`."""
    open_ones = any(t.lastgroup == "given" for t in LEXER.finditer(text))
    with system.reading() as cursor:
        if not open_ones:
            return explained(cursor, "VERBOSE, FORMAT JSON", (text, None))
        if cursor.connection.info.server_version < GENERIC_SINCE:
            raise BadInput(
                "workload.no-parameters",
                "The statement has open parameters, which this server cannot explain.",
                "Give it with values.",
            )
        shape = shape_of(text)
        if shape.kind not in {"read", "write"} or not shape.parsed:
            raise BadInput(
                "postgres.unparsed", "The statement cannot be parsed.", "Give one plain SQL statement."
            )
        # Open parameters reach the server only by the simple protocol; a parsed shape holds no value.
        return explained(cursor, "VERBOSE, FORMAT JSON, GENERIC_PLAN", (shape.text, None))


def explained(cursor: psycopg.Cursor[Any], options: str, case: Case) -> dict[str, Any]:
    """The plan that EXPLAIN with some options gives of one execution, constants included."""
    statement = f"EXPLAIN ({options}) {case[0]}"
    if not case[1]:
        refuse_several(cursor.connection, statement)
    plan: dict[str, Any] = answer_of(cursor.execute(statement, case[1]))["Plan"]
    return plan


def answered(connection: psycopg.Connection[Any], explain: str, case: Case) -> dict[str, Any]:
    """What EXPLAIN (FORMAT JSON, ...) gives for an execution, by the extended protocol."""
    return answer_of(connection.execute(explain + case[0], case[1], prepare=None if case[1] else True))


def answer_of(cursor: psycopg.Cursor[Any]) -> dict[str, Any]:
    """What EXPLAIN (FORMAT JSON) gave."""
    row = cursor.fetchone() or {"plan": [{}]}
    answer: dict[str, Any] = next(iter(row.values()))[0]
    return answer


# Names of the catalog and words of the planner; every other text of a plan may quote a constant of the statement.
NAMES = {
    "Node Type", "Relation Name", "Schema", "Alias", "Index Name", "Join Type", "Strategy", "Partial Mode", "Parent Relationship", "CTE Name",
    "Function Name", "Subplan Name", "Settings", "Scan Direction", "Operation", "Command", "Tuplestore Name",
}  # fmt: skip
CAST = re.compile(r"\?(?:::[\w .]+(?:\[\])?(?:\([\d,? ]*\))?)+")


def strip(plan: Any) -> Any:
    """A plan with `?` in place of every constant."""
    if isinstance(plan, dict):
        return {
            name: value if name in NAMES else strip(value) for name, value in plan.items() if name != "Output"
        }
    if isinstance(plan, list):
        return [strip(part) for part in plan]
    if isinstance(plan, str):
        bare = LEXER.sub(lambda t: "?" if t.lastgroup in {"string", "number", "dollar"} else t[0], plan)
        return CAST.sub("?", bare)
    return plan


ROOTS_SQL = """
SELECT p.relname AS part, r.relname AS root FROM pg_class p JOIN pg_class r ON r.oid = pg_partition_root(p.oid)
 WHERE p.relkind = 'i' AND p.relispartition
"""


def roots(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The indexes of partitions, each with the index of the partitioned table that it is a part of: plans name the part."""
    return {row["part"]: row["root"] for row in connection.execute(ROOTS_SQL)}
