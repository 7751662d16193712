"""What a database's catalog says that an erasure depends on: columns, what refers to what and how, triggers; one shape for every engine.

{table: {source, columns: {name: {type, nullable, generated}}, primary: [column], keys: [{columns, table, references, on_delete}], triggers: [name],
 materialized: {view: {filenode, may, owner}}, kind}}; tables are named as the engine prints them, `source` is the quoted name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput
from datareeve.systems.subject_sql import SPEECH

if TYPE_CHECKING:
    from datareeve.core.operation import Reader
    from datareeve.systems.subject_sql import Rows

PG_COLUMNS = """
SELECT n.nspname AS s, c.relname AS t, c.relkind::text AS kind, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       NOT a.attnotnull AS nullable, a.attgenerated <> '' AS generated,
       EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary AND a.attnum = ANY (x.indkey)) AS of_key
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY 1, 2, a.attnum
"""
PG_KEYS = """
SELECT n.nspname AS s, c.relname AS t, rn.nspname AS rs, rc.relname AS rt, k.confdeltype::text AS on_delete,
       ARRAY(SELECT attname FROM unnest(k.conkey) WITH ORDINALITY u(n, o) JOIN pg_attribute ON attrelid = k.conrelid AND attnum = u.n ORDER BY o)::text[] AS columns,
       ARRAY(SELECT attname FROM unnest(k.confkey) WITH ORDINALITY u(n, o) JOIN pg_attribute ON attrelid = k.confrelid AND attnum = u.n ORDER BY o)::text[] AS refs
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class rc ON rc.oid = k.confrelid JOIN pg_namespace rn ON rn.oid = rc.relnamespace
 WHERE k.contype = 'f' AND NOT c.relispartition AND NOT rc.relispartition ORDER BY 1, 2, k.conname
"""
PG_TRIGGERS = """
SELECT n.nspname AS s, c.relname AS t, g.tgname AS name FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND (g.tgtype & 24) <> 0 AND NOT c.relispartition ORDER BY 1, 2, 3
"""
# Which materialized views read a table, straight or through other views; a view of a partition is one of the whole table.
PG_MATERIALIZED = """
WITH RECURSIVE reads AS (
  SELECT DISTINCT d.refobjid AS base, r.ev_class AS view FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
   WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND r.ev_class <> d.refobjid
), below AS (
  SELECT base, view FROM reads UNION SELECT b.base, r.view FROM below b JOIN reads r ON r.base = b.view
)
SELECT DISTINCT bn.nspname AS s, bc.relname AS t, n.nspname AS vs, c.relname AS v, c.relfilenode::bigint AS filenode,
       CASE WHEN current_setting('server_version_num')::int >= 170000 THEN has_table_privilege(c.oid, 'MAINTAIN') ELSE pg_has_role(c.relowner, 'USAGE') END AS may,
       pg_get_userbyid(c.relowner)::text AS owner
  FROM below b JOIN pg_class c ON c.oid = b.view AND c.relkind = 'm' AND c.relispopulated JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class bc ON bc.oid = coalesce(pg_partition_root(b.base), b.base) JOIN pg_namespace bn ON bn.oid = bc.relnamespace
 ORDER BY 1, 2, 3, 4
"""
ON_DELETE = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}
DUCKDB_COLUMNS = """
SELECT c.schema_name AS s, c.table_name AS t, CASE WHEN v.view_name IS NULL THEN 'r' ELSE 'v' END AS kind, c.column_name AS name, c.data_type AS type,
       c.is_nullable AS nullable, t.sql AS sql, p.names IS NOT NULL AND list_contains(p.names, c.column_name) AS of_key
  FROM duckdb_columns() c LEFT JOIN duckdb_views() v ON v.view_oid = c.table_oid AND v.schema_name = c.schema_name AND v.view_name = c.table_name
  LEFT JOIN duckdb_tables() t ON t.table_oid = c.table_oid AND t.schema_name = c.schema_name AND t.table_name = c.table_name
  LEFT JOIN (SELECT table_oid, constraint_column_names AS names FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY' AND database_name = current_database()) p
    ON p.table_oid = c.table_oid
 WHERE NOT c.internal AND c.database_name = current_database() ORDER BY 1, 2, c.column_index
"""
DUCKDB_KEYS = """
SELECT schema_name AS s, table_name AS t, schema_name AS rs, referenced_table AS rt, 'no action' AS on_delete,
       constraint_column_names AS columns, referenced_column_names AS refs
  FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' AND database_name = current_database() ORDER BY 1, 2, constraint_index
"""
MYSQL_COLUMNS = """
SELECT c.TABLE_NAME AS t, CASE t.TABLE_TYPE WHEN 'BASE TABLE' THEN 'r' ELSE 'v' END AS kind, c.COLUMN_NAME AS name, c.COLUMN_TYPE AS type,
       c.IS_NULLABLE = 'YES' AS nullable, c.EXTRA LIKE '%GENERATED%' AS generated
  FROM information_schema.COLUMNS c JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME)
 WHERE c.TABLE_SCHEMA = DATABASE() ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION
"""
MYSQL_KEYS = """
SELECT k.TABLE_NAME AS t, k.REFERENCED_TABLE_NAME AS rt, LOWER(r.DELETE_RULE) AS on_delete, k.COLUMN_NAME AS col, k.REFERENCED_COLUMN_NAME AS ref, k.CONSTRAINT_NAME AS name
  FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
    ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
 WHERE k.TABLE_SCHEMA = DATABASE() AND k.REFERENCED_TABLE_NAME IS NOT NULL ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION
"""
SQLITE_COLUMNS = """
SELECT m.name AS t, CASE m.type WHEN 'table' THEN 'r' ELSE 'v' END AS kind, x.name AS name, x.type AS type, x."notnull" = 0 AS nullable, x.hidden > 1 AS generated
  FROM sqlite_master m JOIN pragma_table_xinfo(m.name) x WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' ORDER BY 1, x.cid
"""
SQLITE_KEYS = """
SELECT m.name AS t, f."table" AS rt, lower(f.on_delete) AS on_delete, f."from" AS col, f."to" AS ref, f.id AS name
  FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY 1, f.id, f.seq
"""


def tables(system: Reader) -> dict[str, dict[str, Any]]:
    """The tables of a database by name. Errors: `BadInput` `subject.engine` for a system that is no such database."""
    readers = {"postgresql": _postgresql, "duckdb": _duckdb, "mysql": _mysql, "sqlite": _sqlite}
    if system.kind not in readers:
        raise BadInput("subject.engine", f"{system.name} is {system.kind}: it has no tables of its own.", "Name a database or a folder.")  # fmt: skip
    return readers[system.kind](system)


PLACE = {
    "postgresql": "SELECT n.nspname AS s, c.relname AS t, c.relkind::text AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname || '.' || c.relname IN (%s, %s, %s, %s)",
    "duckdb": "SELECT table_schema AS s, table_name AS t, 'r' AS kind FROM information_schema.tables WHERE table_catalog = current_database() AND table_schema || '.' || table_name IN (?, ?, ?, ?)",
    "mysql": "SELECT TABLE_NAME AS t, 'r' AS kind FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN (%s, %s, %s, %s)",
    "sqlite": "SELECT name AS t, 'r' AS kind FROM sqlite_master WHERE type IN ('table', 'view') AND name IN (?, ?, ?, ?)",
}


def find(rows: Rows, table: str, kind: str) -> dict[str, Any] | None:
    """{name, source, kind} of a table by what an owner calls it; None where there is none. Costs one small look."""
    names = _meant(table, kind)
    seen = {
        f"{row['s']}.{row['t']}" if "s" in row else row["t"]: row["kind"]
        for row in rows(PLACE[kind], list(names))
    }
    name = next((name for name in names if name in seen), None)
    return None if name is None else {"name": name, "source": source_of(kind, name), "kind": seen[name]}


def source_of(kind: str, table: str) -> str:
    """The quoted name of a table that `tables` knows by that name."""
    return SPEECH[kind].name(*table.split(".", 1)) if kind in ("postgresql", "duckdb") else SPEECH[kind].name(table)  # fmt: skip


def named(found: dict[str, dict[str, Any]], table: str, kind: str) -> str | None:
    """The name in the catalog that an owner means by `customers`, `public.customers` or `"Weird".t`; None where there is none."""
    return next((name for name in _meant(table, kind) if name in found), None)


def _meant(table: str, kind: str) -> tuple[str, ...]:
    """What a table may be called in the catalog: as it is written, in the home schema, and both without quotes."""
    plain = table.replace('"', "").replace("`", "")
    home = {"postgresql": "public", "duckdb": "main"}.get(kind)
    if home is None:
        return (table, table.rpartition(".")[2], plain, plain.rpartition(".")[2])
    return (table, f"{home}.{table}", plain, f"{home}.{plain}")


def _made(rows: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = f"{row['s']}.{row['t']}" if "s" in row else row["t"]
        table = made.setdefault(name, {"source": source_of(kind, name), "kind": row["kind"], "columns": {}, "primary": [], "keys": [], "triggers": [], "materialized": {}})  # fmt: skip
        table["columns"][row["name"]] = {"type": row["type"], "nullable": bool(row["nullable"]), "generated": bool(row.get("generated"))}  # fmt: skip
        if row.get("of_key"):
            table["primary"].append(row["name"])
    return made


def _postgresql(system: Reader) -> dict[str, dict[str, Any]]:
    made = _made(system.read("query", sql=PG_COLUMNS), "postgresql")
    for key in system.read("query", sql=PG_KEYS):
        _add_key(made, f"{key['s']}.{key['t']}", f"{key['rs']}.{key['rt']}", key["columns"], key["refs"], ON_DELETE[key["on_delete"]])  # fmt: skip
    for trigger in system.read("query", sql=PG_TRIGGERS):
        if f"{trigger['s']}.{trigger['t']}" in made:
            made[f"{trigger['s']}.{trigger['t']}"]["triggers"].append(trigger["name"])
    for view in system.read("query", sql=PG_MATERIALIZED):
        if f"{view['s']}.{view['t']}" in made:
            made[f"{view['s']}.{view['t']}"]["materialized"][f"{view['vs']}.{view['v']}"] = {key: view[key] for key in ("filenode", "may", "owner")}  # fmt: skip
    return made


def _duckdb(system: Reader) -> dict[str, dict[str, Any]]:
    rows = system.read("query", sql=DUCKDB_COLUMNS)
    for row in rows:
        row["generated"] = is_generated(row.pop("sql") or "", row["name"])
    made = _made(rows, "duckdb")
    for key in system.read("query", sql=DUCKDB_KEYS):
        _add_key(made, f"{key['s']}.{key['t']}", f"{key['rs']}.{key['rt']}", key["columns"], key["refs"], key["on_delete"])  # fmt: skip
    return made


def is_generated(sql: str, column: str) -> bool:
    """Whether a table's own statement makes a column out of others."""
    name = re.escape(column.replace('"', '""'))
    return bool(re.search(rf'[(,]\s*"?{name}"?\s[^,]*\bGENERATED ALWAYS AS', sql))


def _mysql(system: Reader) -> dict[str, dict[str, Any]]:
    return _keyed_by_row(_made(system.read("query", sql=MYSQL_COLUMNS), "mysql"), system.read("query", sql=MYSQL_KEYS))  # fmt: skip


def _sqlite(system: Reader) -> dict[str, dict[str, Any]]:
    return _keyed_by_row(_made(system.read("query", sql=SQLITE_COLUMNS), "sqlite"), system.read("query", sql=SQLITE_KEYS))  # fmt: skip


def _keyed_by_row(made: dict[str, dict[str, Any]], rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Foreign keys of a catalog that has a row for each of their columns."""
    keys: dict[tuple[str, Any], dict[str, Any]] = {}
    for row in rows:
        key = keys.setdefault((row["t"], row["name"]), {"to": row["rt"], "on_delete": row["on_delete"], "columns": [], "refs": []})  # fmt: skip
        key["columns"].append(row["col"])
        key["refs"].append(row["ref"])
    for (table, _), key in keys.items():
        _add_key(made, table, key["to"], key["columns"], key["refs"], key["on_delete"])
    return made


def _add_key(  # noqa: PLR0913, PLR0917 - a foreign key
    made: dict[str, dict[str, Any]], table: str, to: str, columns: list[str], refs: list[str], on_delete: str
) -> None:
    if table in made:
        made[table]["keys"].append({"columns": list(columns), "table": to, "references": list(refs), "on_delete": on_delete})  # fmt: skip
