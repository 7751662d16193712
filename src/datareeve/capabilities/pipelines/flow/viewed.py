"""The views of a target that read what a pipeline publishes there, themselves or by way of another view: as its catalogue has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core.errors import DatareeveError
from datareeve.systems.mover import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.systems.pipeline_desk import Shop

POSTGRES = """WITH RECURSIVE reads AS (
  SELECT DISTINCT v.oid AS view, d.refobjid AS read FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
    JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
   WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass AND v.relkind IN ('v', 'm') AND d.refobjid <> v.oid),
 touched AS (
  SELECT t.oid FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = {schema} AND t.relname IN ({tables})
  UNION SELECT r.view FROM reads r JOIN touched t ON r.read = t.oid)
SELECT DISTINCT n.nspname AS schema, v.relname AS name FROM touched t JOIN reads r ON r.view = t.oid JOIN pg_catalog.pg_class v ON v.oid = t.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace ORDER BY 1, 2 LIMIT 900"""
DUCKDB = "SELECT schema_name AS schema, view_name AS name, sql FROM duckdb_views() WHERE NOT internal ORDER BY 1, 2 LIMIT 900"


def views(shop: Shop, given: dict[str, Any]) -> list[str]:
    """Each with its schema; none where there is no database yet."""
    adapter = shop.systems[given["system"]]
    postgres = adapter.kind == "postgresql"
    schema = given.get("schema") or ("public" if postgres else "main")
    names = ", ".join(map(literal, given["tables"])) or "''"
    sql = POSTGRES.format(schema=literal(schema), tables=names) if postgres else DUCKDB
    try:
        rows = adapter.read("query", sql=sql)
    except DatareeveError as error:
        if error.code == "duckdb.missing":
            return []
        raise
    if postgres:
        return [f"{row['schema']}.{row['name']}" for row in rows]
    return _reading(rows, {f"{schema}.{table}".casefold() for table in given["tables"]}) if rows else []


def _reading(rows: Iterable[dict[str, Any]], touched: set[str]) -> list[str]:
    """DuckDB's catalogue has views as they are written: what they read is parsed, until no further one is found."""
    from datareeve.capabilities.pipelines.ahead import named  # noqa: PLC0415 - only where there are views

    reads = {f"{row['schema']}.{row['name']}": set(named(str(row["sql"]), str(row["schema"]))) - {f"{row['schema']}.{row['name']}".casefold()}
             for row in rows}  # fmt: skip
    found: set[str] = set()
    while more := {view for view, tables in reads.items() if view not in found and tables & touched}:
        found |= more
        touched |= {view.casefold() for view in more}
    return sorted(found)
