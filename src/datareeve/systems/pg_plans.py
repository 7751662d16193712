"""The plans of a workload as they are now, to be kept and compared later: shapes, costs, planner settings, and what the planner knew.

Everything is planned in one new session, so that a setting of the database or of the role is seen that an older session does not have.
Constants are taken out before a plan leaves this module.
"""

from __future__ import annotations

import statistics
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql as pgsql

from datareeve.core.errors import BadInput
from datareeve.systems import workload_replay
from datareeve.systems.plan_needs import nodes
from datareeve.systems.plan_shape import plan_shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.systems.pg_copy import Copy
    from datareeve.systems.postgres import Postgres
    from datareeve.systems.workload_source import Family

Session = psycopg.Connection[dict[str, Any]]
CASES = 3  # executions of a family that are planned: skewed values may have different plans
NODES_KEPT = 150  # of one plan
TABLES_KEPT = 500

SETTINGS_SQL = r"""
SELECT name, current_setting(name) AS value FROM pg_settings
 WHERE name LIKE 'enable\_%' OR name LIKE '%\_cost' OR name LIKE 'geqo%' OR name LIKE 'jit%' OR name LIKE '%collapse\_limit'
    OR name IN ('work_mem', 'hash_mem_multiplier', 'effective_cache_size', 'effective_io_concurrency', 'max_parallel_workers',
                'max_parallel_workers_per_gather', 'max_worker_processes', 'min_parallel_table_scan_size', 'min_parallel_index_scan_size',
                'parallel_leader_participation', 'default_statistics_target', 'constraint_exclusion', 'cursor_tuple_fraction',
                'plan_cache_mode', 'recursive_worktable_factor', 'debug_parallel_query', 'force_parallel_mode')
 ORDER BY name
"""
TABLES_SQL = """
SELECT n.nspname || '.' || c.relname AS name, c.reltuples::float8 AS rows, pg_relation_size(c.oid) AS bytes, s.n_live_tup AS live,
       s.n_mod_since_analyze AS modified, greatest(s.last_analyze, s.last_autoanalyze)::text AS analyzed_at,
       CASE WHEN has_table_privilege(c.oid, 'SELECT')
            THEN EXISTS (SELECT FROM pg_stats p WHERE p.schemaname = n.nspname AND p.tablename = c.relname) END AS has_statistics,
       coalesce((SELECT json_object_agg(i.relname, json_build_object('valid', x.indisvalid, 'definition', pg_get_indexdef(x.indexrelid)))
                   FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid), '{}') AS indexes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
 WHERE n.nspname || '.' || c.relname = ANY(%s) AND c.relkind IN ('r', 'p', 'm')
 ORDER BY 1
"""


def capture(system: Postgres, limit: int, only: Sequence[str] | None = None) -> dict[str, Any]:
    """The plans of the workload's `limit` most costly families now: {version_num, settings, tables, families}.

    `only` keeps the plans of those families; settings and tables are told of all. A family has {fingerprint, sql, calls, total_ms,
    plans}, and each plan {shape, cost, rows, tree}. What cannot be planned (a table that is gone) is left out.
    """
    wanted = workload_replay.wanted(workload_replay.recording(system), None)[:limit]
    with planning(system) as session:
        families = [found for family in wanted if (found := _family(system, session, family))]
        tables = sorted({name for one in families for plan in one["plans"] for name in plan.pop("tables")})
        return {
            "version_num": session.info.server_version,
            "settings": {row["name"]: row["value"] for row in session.execute(SETTINGS_SQL)},
            "tables": {row.pop("name"): row for row in session.execute(TABLES_SQL, (tables[:TABLES_KEPT],))},
            "families": [one for one in families if only is None or one["fingerprint"] in only],
        }


@contextmanager
def planning(system: Postgres) -> Iterator[Session]:
    """A new READ ONLY session with a statement timeout, as an application's would be planned."""
    options = "-c default_transaction_read_only=on"
    with (
        system.translated(),
        system.connect(application_name="datareeve/plans", options=options) as session,
    ):
        if system.entry.read_role:
            session.execute(pgsql.SQL("SET ROLE {}").format(pgsql.Identifier(system.entry.read_role)))
        session.execute(f"SET statement_timeout = {int(system.entry.read_timeout_seconds * 1000)}")
        yield session


def _family(system: Postgres, session: Session, family: Family) -> dict[str, Any] | None:
    plans: dict[str, dict[str, Any]] = {}
    for case in statements_to_plan(system, session, family):
        try:
            with session.transaction():
                plan = explained(session, case)
        except psycopg.Error:
            continue
        plans.setdefault(plan_shape(plan), plan)
    if not plans:
        return None
    return {
        "fingerprint": family.shape.fingerprint,
        "sql": family.shape.sql,
        "calls": family.calls,
        "total_ms": round(family.total_ms, 3) if family.timed else None,
        "plans": [_described(shape, plan) for shape, plan in plans.items()],
    }


def statements_to_plan(system: Postgres, session: Session, family: Family) -> list[tuple[str, Any]]:
    """Executions of a family to plan: recorded or invented ones, else its general plan (PostgreSQL 16 and newer)."""
    found = workload_replay.cases(system, family, CASES)
    if found or not family.shape.parsed:
        return found
    if "$1" in family.shape.text and session.info.server_version < workload_replay.GENERIC_SINCE:
        return []
    return [(family.shape.text, None)]


def explained(session: Session, case: tuple[str, Any]) -> dict[str, Any]:
    """The planner's plan of one execution; with parameters left open, the general one."""
    text, parameters = case
    generic = ", GENERIC_PLAN" if not parameters and "$1" in text else ""
    # An open parameter reaches the server only by the simple protocol; the text is then a parsed shape, one statement without values.
    row = session.execute(
        f"EXPLAIN (VERBOSE, FORMAT JSON{generic}) {text}",
        parameters,
        prepare=None if parameters or generic else True,
    ).fetchone()
    plan: dict[str, Any] = next(iter((row or {}).values()))[0]["Plan"]
    return plan


def _described(shape: str, plan: dict[str, Any]) -> dict[str, Any]:
    tables = {
        f"{n['Schema']}.{n['Relation Name']}" for n in nodes(plan) if "Schema" in n and "Relation Name" in n
    }
    return {
        "shape": shape,
        "cost": plan["Total Cost"],
        "rows": plan["Plan Rows"],
        "tree": condensed(workload_replay.strip(plan), [NODES_KEPT]),
        "tables": tables,
    }


KEPT = (
    "Node Type", "Join Type", "Strategy", "Partial Mode", "Parent Relationship", "Subplan Name", "CTE Name", "Schema", "Relation Name",
    "Index Name", "Scan Direction", "Total Cost", "Plan Rows", "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter",
    "Filter", "Sort Key", "Group Key", "Workers Planned", "Disabled",
)  # fmt: skip


def condensed(plan: dict[str, Any], left: list[int]) -> dict[str, Any]:
    """What of a plan is worth keeping; at most `left[0]` nodes, then `Nodes Left Out` says how many more there were."""
    left[0] -= 1
    kept: dict[str, Any] = {key: plan[key] for key in KEPT if key in plan}
    children = []
    for child in plan.get("Plans", ()):
        if left[0] <= 0:
            kept["Nodes Left Out"] = kept.get("Nodes Left Out", 0) + sum(1 for _ in nodes(child))
        else:
            children.append(condensed(child, left))
    return {**kept, "Plans": children} if children else kept


# -- what if -----------------------------------------------------------------------------------------------------------------------


def plan_under(system: Postgres, fingerprint: str, settings: dict[str, str]) -> list[dict[str, Any]]:
    """How a family would be planned with some planner settings as they are given: [{shape, cost}].

    Errors: `BadInput` `plans.setting` for a setting that is not the planner's.
    """
    [family] = workload_replay.wanted(workload_replay.recording(system), [fingerprint])
    with planning(system) as session:
        known = {row["name"] for row in session.execute(SETTINGS_SQL)}
        found: dict[str, dict[str, Any]] = {}
        for case in statements_to_plan(system, session, family):
            with session.transaction():
                for name, value in settings.items():
                    _set(session, known, name, value)
                plan = explained(session, case)
            found.setdefault(plan_shape(plan), {"shape": plan_shape(plan), "cost": plan["Total Cost"]})
    return list(found.values())


def _set(session: Session, known: set[str], name: str, value: str) -> None:
    if name not in known:
        raise BadInput(
            "plans.setting", f"{name} is not a setting of the planner.", "Give planner settings only."
        )
    session.execute("SELECT set_config(%s, %s, true)", (name, value))


# -- on a copy ---------------------------------------------------------------------------------------------------------------------


def measure_states(  # noqa: PLR0913 - the bounds belong to the question
    copy: Copy,
    fingerprint: str,
    before: list[str],
    after: list[str],
    *,
    rounds: int,
    statement_seconds: float,
) -> dict[str, Any]:
    """Run a family's recorded executions in two states of the copy, interleaved: {before, after}, each {ms, buffers, shapes}.

    A state is made by statements in a transaction that is rolled back: a setting, an index, statistics taken away.
    """
    [family] = workload_replay.wanted(workload_replay.recording(copy), [fingerprint])
    cases = workload_replay.cases(copy, family, CASES)
    runs: dict[str, list[dict[str, Any]]] = {"before": [], "after": []}
    with copy.translated(), copy.connect(application_name="datareeve/trial") as session:
        session.execute(f"SET statement_timeout = {int(statement_seconds * 1000)}")
        for _ in range(rounds if cases else 0):
            for name, statements in (("before", before), ("after", after)):
                runs[name].append(_state(session, statements, cases, statement_seconds))
    return {name: _summed(found) for name, found in runs.items()}


def _state(
    session: Session, statements: list[str], cases: list[tuple[str, Any]], statement_seconds: float
) -> dict[str, Any]:
    total: dict[str, Any] = {"ms": 0.0, "buffers": 0, "shapes": set()}
    with session.transaction(force_rollback=True):
        for statement in statements:
            session.execute(statement, prepare=True)
        for case in cases:
            try:
                with session.transaction(force_rollback=True):
                    total["shapes"].add(plan_shape(explained(session, case)))
                    run = workload_replay.analysed(session, case)
            except psycopg.errors.QueryCanceled:
                run = {"ms": statement_seconds * 1000, "buffers": 0}
            total["ms"] += run["ms"]
            total["buffers"] += run["buffers"]
    return total


def _summed(runs: list[dict[str, Any]]) -> dict[str, Any]:
    if not runs:
        return {"ms": None, "buffers": None, "shapes": []}
    return {
        "ms": round(statistics.median(run["ms"] for run in runs), 3),
        "buffers": statistics.median(run["buffers"] for run in runs),
        "shapes": sorted(set().union(*(run["shapes"] for run in runs))),
    }
