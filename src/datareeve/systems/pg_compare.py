"""Whether a restored database is what production was at one moment: row counts and an order-independent checksum per table.

The moment is exact. One statement gives production's snapshot and, after it, a WAL position; every transaction that the snapshot sees has its
commit before that position, so a server recovered up to there holds all of them. What it may hold besides are the few commits
between snapshot and position, and those it can name: `pg_xact_status` of the transactions that the snapshot did not see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from datareeve.systems.postgres import Postgres

    Digests = dict[str, tuple[int, str]]  # table: rows and checksum

SHOWN = 20
WHOLE = 100.0  # per cent of a table's pages

# The permanent tables that this role may read, with their size; partitions stand for their parents.
TABLES_SQL = """
SELECT n.nspname AS schema, c.relname AS name, pg_table_size(c.oid) AS bytes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
   AND (c.relkind = 'r' OR c.relispopulated)
 ORDER BY 1, 2
"""
MOMENT_SQL = """
SELECT pg_current_snapshot()::text AS snapshot, pg_current_wal_insert_lsn()::text AS lsn, clock_timestamp() AS at
"""
MARKER_SQL = """
SELECT pg_current_xact_id()::text AS xid, pg_logical_emit_message(true, 'datareeve', 'drill')
"""
# How many transactions that the snapshot did not see are committed here.
UNSEEN_SQL = """
SELECT count(*) AS unseen
  FROM (SELECT pg_snapshot_xip(%(snapshot)s::pg_snapshot)::text AS xid
        UNION ALL
        SELECT generate_series(pg_snapshot_xmax(%(snapshot)s::pg_snapshot)::text::numeric,
                               pg_snapshot_xmax(pg_current_snapshot())::text::numeric - 1)::text) AS candidate
 WHERE pg_xact_status(xid::xid8) = 'committed'
"""
# The same text for the same value on both sides.
SAME_TEXT = (
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO'",
    "SET IntervalStyle = 'postgres'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
)


@dataclass(frozen=True, kw_only=True)
class Then:
    """Production at one moment."""

    snapshot: str
    lsn: str
    at: datetime
    marker: str  # a transaction committed just before
    shares: dict[str, float]  # per cent of a table's pages that were read
    digests: Digests


def production(system: Postgres, limit: int) -> Then:
    """Production now: every table up to `limit` bytes in full, of a larger one a sample of its pages of that size.

    Commits an empty marker transaction first; reads in one READ ONLY snapshot.
    """
    with system.connect(application_name="datareeve/drill") as connection, system.translated():
        marker = (connection.execute(MARKER_SQL).fetchone() or {})["xid"]
        _prepare(connection)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        moment = connection.execute(MOMENT_SQL).fetchone() or {}
        shares = {
            sql.Identifier(t["schema"], t["name"]).as_string(): _share(t["bytes"], limit)
            for t in connection.execute(TABLES_SQL)
        }
        digests = {table: _digest(connection, table, share) for table, share in shares.items()}
        connection.execute("ROLLBACK")
    return Then(
        snapshot=moment["snapshot"],
        lsn=moment["lsn"],
        at=moment["at"],
        marker=marker,
        shares=shares,
        digests=digests,
    )


def compare(then: Then, restored: psycopg.Connection[dict[str, Any]], *, exact: bool) -> dict[str, Any]:
    """How the restored database differs from production then.

    Where it may hold later commits (`exact` false: a backup without archive; or commits within the moment), a table that differs cannot be
    told from one that changed: it counts as `changed_while_comparing`, else as `differing`.
    """
    _prepare(restored)
    there = {sql.Identifier(t["schema"], t["name"]).as_string() for t in restored.execute(TABLES_SQL)}
    here = {table: _digest(restored, table, then.shares[table]) for table in then.shares if table in there}
    wrong = sorted(
        (then.shares.keys() ^ there) | {table for table in here if here[table] != then.digests[table]}
    )
    unseen = (
        (restored.execute(UNSEEN_SQL, {"snapshot": then.snapshot}).fetchone() or {})["unseen"]
        if exact
        else None
    )
    certain = unseen == 0
    return {
        "tables": len(then.digests),
        "rows_compared": sum(rows for rows, _ in then.digests.values()),
        "sampled": sum(share < WHOLE for share in then.shares.values()),
        "differing": len(wrong) if certain else 0,
        "differing_tables": wrong[:SHOWN] if certain else [],
        "changed_while_comparing": 0 if certain else len(wrong),
        "marker_restored": exact and _committed(restored, then.marker),
    }


def _prepare(connection: psycopg.Connection[dict[str, Any]]) -> None:
    for statement in SAME_TEXT:
        connection.execute(statement)


def _share(size: int, limit: int) -> float:
    return WHOLE if size <= limit else round(100.0 * limit / size, 6)


def _digest(connection: psycopg.Connection[dict[str, Any]], table: str, share: float) -> tuple[int, str]:
    sample = f" TABLESAMPLE SYSTEM ({share}) REPEATABLE (1)" if share < WHOLE else ""
    statement = f"SELECT count(*) AS rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text AS checksum FROM {table} AS t{sample}"  # noqa: S608
    row = connection.execute(statement, prepare=True).fetchone() or {}
    return row["rows"], row["checksum"]


def _committed(connection: psycopg.Connection[dict[str, Any]], xid: str) -> bool:
    row = (
        connection.execute("SELECT pg_xact_status(%(xid)s::text::xid8) AS status", {"xid": xid}).fetchone()
        or {}
    )
    return bool(row["status"] == "committed")
