"""Erasing rows in PostgreSQL: one transaction a dataset, its rows locked and counted first; and what its rows leave behind.

A deleted row stays in its page until VACUUM, and the most common values of a column stay in pg_statistic until ANALYZE, or for ever where the
table has become empty: PostgreSQL 18 can clear them.
"""

# ruff: noqa: S608 - identifiers are quoted as the engine does it, values are parameters
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql as pgsql

from datareeve.core.errors import Failed
from datareeve.systems.subject_files import changed

if TYPE_CHECKING:
    from datareeve.systems.postgres import Postgres
    from datareeve.systems.subject_shapes import Store
    from datareeve.systems.subject_sql import Condition, Looking, Rows

LOCK_SECONDS = 10
BATCH = 5_000
EVERY_ROW = (
    "SET LOCAL row_security = off"  # a policy that hides rows from us is an error, and never "none is left"
)
CLEARS_STATISTICS = 180000


def erase(system: Postgres, store: Store, source: str, looking: Looking, run: str) -> dict[str, Any]:
    """Delete or anonymise a subject's rows of one table, all or none. Errors: `Failed` `erasure.changed` where there are more than planned."""
    where = looking.where(store, source)
    with system._acting(run) as connection:  # noqa: SLF001 - of its own package
        _log_no_parameters(connection)
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            connection.execute(EVERY_ROW)
            rows = _count(connection, source, where, lock=True)
            if store.expected is not None and rows > store.expected:
                raise changed(store.dataset, store.expected, rows)
            _change(connection, store, source, looking, where)
            if left := _count(connection, source, where):
                raise Failed("erasure.left", f"{store.dataset}: {left:,} rows are still there after the statement.", "A trigger or a rule puts them back: look at the table's.")  # fmt: skip
    return {"rows": rows}


def shape(store: Store, source: str, condition: str) -> str:
    """The statement as it is told: with placeholders, without a value."""
    if store.mode == "delete":
        return f"DELETE FROM {source} WHERE {condition}"
    puts = ", ".join(f'"{column}" = %s' for column in store.set)
    return f"UPDATE {source} SET {puts} WHERE {condition}"


def _change(connection: Any, store: Store, source: str, looking: Looking, where: Condition) -> None:
    if store.mode == "delete":
        connection.execute(f"DELETE FROM {source} WHERE {where.sql}", where.parameters)
        return
    puts = [looking.put(store, column, how) for column, how in store.set.items()]
    statement = shape(store, source, where.sql)
    connection.execute(statement, [*puts, *where.parameters])


def _count(connection: Any, source: str, where: Condition, *, lock: bool = False) -> int:
    rows = f"SELECT 1 FROM {source} WHERE {where.sql}{' FOR UPDATE' if lock else ''}"
    found = connection.execute(f"SELECT count(*) AS n FROM ({rows}) AS r", where.parameters).fetchone()
    return int(found["n"])


def remove_batches(
    system: Postgres, store: Store, table: dict[str, Any], looking: Looking, run: str
) -> dict[str, Any]:
    """Delete old rows, some thousand in a transaction, so that no lock and no WAL peak lasts.

    Errors: `Failed` `erasure.changed` where many more come to light than were planned: what is gone by then stays gone.
    """
    source = table["source"]
    where = looking.where(store, source)
    # Two partitions may have rows of one ctid: there the partition is compared too.
    row = "(tableoid, ctid)" if table["kind"] == "p" else "ctid"
    chosen = f"SELECT {row.strip('()')} FROM {source} WHERE {where.sql} LIMIT {BATCH}"
    meant = f"{row} IN ({chosen})" if table["kind"] == "p" else f"ctid = ANY (ARRAY({chosen}))"
    statement = f"DELETE FROM {source} WHERE {meant} AND ({where.sql})"
    rows = batches = 0
    with system._acting(run) as connection:  # noqa: SLF001 - as above
        _log_no_parameters(connection)
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        connection.execute(EVERY_ROW.replace("LOCAL ", ""))
        while gone := connection.execute(statement, where.parameters * 2).rowcount:
            rows, batches = rows + gone, batches + 1
            if store.expected is not None and rows > store.expected + BATCH:
                raise changed(store.dataset, store.expected, rows)
    return {"rows": rows, "batches": batches}


def clear_statistics(system: Postgres, table: str, columns: list[str], run: str) -> dict[str, Any]:
    """Forget what the planner keeps of some columns, of partitions, expressions of indexes and CREATE STATISTICS too, and gather the table's anew.

    ANALYZE passes by what has no rows any more. PostgreSQL 18 can clear single columns; statistics of several are made anew.
    """
    schema, name = table.split(".", 1)
    with system._acting(run) as connection:  # noqa: SLF001 - as above
        if connection.info.server_version >= CLEARS_STATISTICS:
            for one in connection.execute(KEPT_OF, (schema, name, columns)).fetchall():
                connection.execute(
                    "SELECT pg_clear_attribute_stats(%s, %s, %s, %s)",
                    (one["schema"], one["relation"], one["name"], one["inherited"]),
                )
        connection.execute(pgsql.SQL("VACUUM (ANALYZE) {}").format(pgsql.Identifier(schema, name)), prepare=False)  # fmt: skip
        for one in connection.execute(OF_SEVERAL, (schema, name)).fetchall():
            _made_anew(connection, one)
    return {}


def _made_anew(connection: Any, one: dict[str, Any]) -> None:
    """Statistics of several columns of a table without rows, dropped and made as they were: nothing else empties them."""
    table, own = pgsql.Identifier(one["schema"], one["relation"]), pgsql.Identifier(one["own_schema"], one["name"])  # fmt: skip
    if connection.execute(pgsql.SQL("SELECT FROM {} LIMIT 1").format(table)).fetchone() is not None:
        return  # ANALYZE has just gathered them
    statements = [
        pgsql.SQL("DROP STATISTICS {}").format(own),
        pgsql.SQL(one["definition"]),
        pgsql.SQL("COMMENT ON STATISTICS {} IS {}").format(own, pgsql.Literal(one["comment"])),
        pgsql.SQL("ALTER STATISTICS {} OWNER TO {}").format(own, pgsql.Identifier(one["owner"])),
    ]
    with connection.transaction():
        for statement in statements:
            connection.execute(statement, prepare=False)


def refresh(system: Postgres, view: str, columns: list[str], run: str) -> dict[str, Any]:
    """Fill a materialized view anew, into a new file: CONCURRENTLY would leave the rows in the pages of the old one."""
    with system._acting(run) as connection:  # noqa: SLF001 - as above
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        connection.execute(pgsql.SQL("REFRESH MATERIALIZED VIEW {}").format(pgsql.Identifier(*view.split(".", 1))), prepare=False)  # fmt: skip
    return clear_statistics(system, view, columns, run)


# A table with all that inherits from it, partitions too, and the indexes of expressions over them.
RELATIONS = """
WITH RECURSIVE tables (oid) AS (
  SELECT to_regclass(format('%%I.%%I', %s::text, %s::text))::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tables t ON t.oid = i.inhparent
), relations AS (
  SELECT oid, false AS of_index FROM tables UNION ALL SELECT x.indexrelid, true FROM pg_index x JOIN tables t ON t.oid = x.indrelid WHERE x.indexprs IS NOT NULL
)
"""
_KEPT = """
  FROM relations r JOIN pg_class c ON c.oid = r.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_stats p ON p.schemaname = n.nspname AND p.tablename = c.relname AND (r.of_index OR p.attname = ANY(%s::text[]))
"""
KEPT_OF = (
    f"{RELATIONS} SELECT n.nspname AS schema, c.relname AS relation, p.attname AS name, p.inherited {_KEPT}"
)
OF_SEVERAL = f"""{RELATIONS}
SELECT n.nspname AS schema, c.relname AS relation, en.nspname AS own_schema, e.stxname AS name, pg_get_statisticsobjdef(e.oid) AS definition,
       obj_description(e.oid, 'pg_statistic_ext') AS comment, pg_get_userbyid(e.stxowner) AS owner
  FROM tables t JOIN pg_statistic_ext e ON e.stxrelid = t.oid JOIN pg_namespace en ON en.oid = e.stxnamespace
  JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY e.oid
"""
STATISTICS_SQL = f"""{RELATIONS}
SELECT CASE WHEN r.of_index THEN '' ELSE p.attname END AS name,
       coalesce(most_common_vals::text, '') || ' ' || coalesce(histogram_bounds::text, '') || ' ' || coalesce(most_common_elems::text, '') AS kept {_KEPT}
UNION ALL SELECT '', coalesce(s.most_common_vals::text, '') FROM tables t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_stats_ext s ON s.schemaname = n.nspname AND s.tablename = c.relname
"""
OF_EXPRESSIONS_SQL = """
UNION ALL SELECT '', coalesce(s.most_common_vals::text, '') || ' ' || coalesce(s.histogram_bounds::text, '') FROM tables t JOIN pg_class c ON c.oid = t.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_stats_ext_exprs s ON s.schemaname = n.nspname AND s.tablename = c.relname
"""


def rows_of(cursor: psycopg.Cursor[dict[str, Any]]) -> Rows:
    """How an open transaction is asked; the server's log is given no parameters, where we may say so."""
    from datareeve.systems.json_values import to_json  # noqa: PLC0415

    if cursor.connection.info.parameter_status("is_superuser") == "on":
        cursor.execute("SET LOCAL log_parameter_max_length = 0")

    cursor.execute(EVERY_ROW)

    def rows(sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
        cursor.execute(sql, parameters)
        return [{name: to_json(value) for name, value in row.items()} for row in cursor.fetchall()]

    return rows


def _log_no_parameters(connection: Any) -> None:
    """Ask the server to write no parameters of ours into its log; only a superuser may, others are told of it in the plan."""
    for setting in ("log_parameter_max_length", "log_parameter_max_length_on_error"):
        try:
            connection.execute(f"SET {setting} = 0")
        except psycopg.errors.InsufficientPrivilege:
            continue
