"""What a copy or a twin has to know of the original before it is made: one look, on one connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datareeve.systems import pg_planner

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from datareeve.systems.postgres import Postgres

DATABASE_SQL = """
SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('server_encoding') AS encoding, d.datcollate AS collation,
       d.datctype AS ctype, pg_database_size(d.oid) AS bytes, pg_is_in_recovery() AS standby, current_setting('shared_buffers') AS shared_buffers,
       coalesce(to_jsonb(d)->>'datlocprovider', 'c') AS provider
  FROM pg_database d WHERE d.datname = current_database()
"""
# `hidden`: rows and statistics that row security keeps from this role. Sizes are asked of the file system, not of statistics.
RELATIONS_SQL = """
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, coalesce(i.indrelid, 0)::bigint AS table_oid,
       greatest(c.reltuples, 0) AS rows,
       CASE WHEN c.relkind IN ('r', 'm', 'i') THEN coalesce(pg_relation_size(c.oid), 0) ELSE 0 END AS bytes,
       has_schema_privilege(n.oid, 'USAGE') AND (c.relkind IN ('i', 'I') OR has_table_privilege(c.oid, 'SELECT')) AS readable,
       CASE WHEN c.relrowsecurity THEN row_security_active(c.oid) ELSE false END AS hidden,
       c.relrowsecurity AS row_security
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
 WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I', 'v', 'f', 'S') AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = coalesce(i.indrelid, c.oid) AND d.deptype = 'e')
"""
# From the names that statements use: what views stand on, partitions and those they belong to.
REACHED_SQL = """
WITH RECURSIVE reached (oid) AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relname = ANY(%(names)s) AND c.relkind IN ('r', 'p', 'm', 'v', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  UNION
  SELECT near.oid
    FROM reached
   CROSS JOIN LATERAL (
         SELECT d.refobjid AS oid FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
          WHERE w.ev_class = reached.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> reached.oid
         UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = reached.oid
         UNION ALL SELECT inhparent FROM pg_inherits WHERE inhrelid = reached.oid) near
)
SELECT oid::bigint AS oid FROM reached
"""
LOCK_MS = 5000


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view, index or matview of the original; `table_oid` is 0 but for an index."""

    oid: int
    schema: str
    name: str
    kind: str
    table_oid: int
    rows: float
    bytes: int
    readable: bool
    hidden: bool
    row_security: bool

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Source:
    """The original: its database, its planner's settings, and its relations."""

    major: int
    encoding: str
    collation: str
    ctype: str
    provider: str
    bytes: int
    standby: bool
    shared_buffers: str
    settings: dict[str, str]
    relations: tuple[Relation, ...]

    @property
    def tables(self) -> tuple[Relation, ...]:
        """Tables and materialized views; of partitioned ones, the partitions and the whole."""
        return tuple(r for r in self.relations if r.kind in "rpm")

    def unreadable(self) -> tuple[Relation, ...]:
        """Relations that the role may not read."""
        return tuple(r for r in self.relations if r.kind in "rpmvf" and not r.readable)


def look(system: Postgres, binaries: Path, seconds: float = 60.0) -> Source:
    """Look at the original. `binaries`: those of the server that its settings are for. Errors: those of the connection."""
    with (
        system.connect(application_name="datareeve/copy") as connection,
        system.translated(),
        connection.transaction(),
    ):
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute(f"SET LOCAL lock_timeout = {LOCK_MS}")
        connection.execute(f"SET LOCAL statement_timeout = {max(int(seconds * 1000), 1)}")
        database: dict[str, Any] = connection.execute(DATABASE_SQL).fetchone() or {}
        settings = pg_planner.settings(connection, binaries)
        relations = tuple(Relation(**row) for row in connection.execute(RELATIONS_SQL))
    return Source(**database, settings=settings, relations=relations)


def reached(system: Postgres, names: Iterable[str], seconds: float = 60.0) -> set[int]:
    """The relations that statements reach which use these names, with the views' tables and all partitions of a table."""
    found = system.query(REACHED_SQL, {"names": sorted(set(names))}, shape="column", timeout_seconds=seconds)
    return {int(oid) for oid in found}
