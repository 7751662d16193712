"""What a source looks like to somebody who is to write a pipeline for it: columns, keys, how it grows. Catalogs first; rows are only counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines.scaffold_counts import with_counts
from datareeve.capabilities.pipelines.scaffold_source import NAMED_A_KEY, Key, Source, quoted, seen
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from datareeve.core.operation import Reader, Systems

COUNTED_BYTES = 256 * 2**20  # of a table whose rows are counted, not estimated
SECONDS = 30.0  # of one statement


def look(systems: Systems, system: str, table: str) -> Source:
    """A table of a database or folder. Errors: `BadInput` `pipelines.no-table`, with the nearest; those of the system's reads."""
    reader = systems[system]
    if reader.kind == "folder":
        return _folder_table(systems, system, table)
    if reader.kind not in LOOKS:
        raise BadInput("pipelines.cannot-look", f"A table of {system} ({reader.kind}) cannot be looked at.", f"Name a system of kind {', '.join(LOOKS)} or folder.")  # fmt: skip
    return _measured(reader, LOOKS[reader.kind](reader, table))


def _ask(reader: Reader, sql: str, parameters: Any = None, shape: str = "rows") -> Any:
    return reader.read("query", sql=sql, parameters=parameters, shape=shape, timeout_seconds=SECONDS)


def _no_table(reader: Reader, table: str, known: Sequence[str]) -> BadInput:
    from datareeve.capabilities.pipelines.spec_errors import nearest  # noqa: PLC0415 - of an error only

    bare = table.rpartition(".")[2]
    near = nearest(table, known) or nearest(bare, known)
    there = f"It has: {', '.join(known[:20])}." if known else "It has no tables that this role may see."
    return BadInput("pipelines.no-table", f"{reader.name} has no table {table!r}{near}.", there)


# -- PostgreSQL -------------------------------------------------------------------------------------------------------------------------

PG_TABLES = """SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.reltuples::bigint AS rows,
  CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) END AS bytes, s.n_tup_ins AS inserted, s.n_tup_upd + s.n_tup_del AS changed
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
  WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND (c.relname = %(table)s OR n.nspname || '.' || c.relname = %(table)s)
  ORDER BY pg_table_is_visible(c.oid) DESC, n.nspname LIMIT 2"""
PG_NAMES = """SELECT n.nspname || '.' || c.relname AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' ORDER BY 1 LIMIT 5000"""
PG_COLUMNS = """SELECT a.attname AS name, format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), CASE WHEN t.typbasetype <> 0 THEN t.typtypmod ELSE a.atttypmod END) AS type,
  a.attnotnull AS not_null, a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid), '') LIKE 'nextval(%%' AS numbered
  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = %(oid)s::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
PG_KEYS = """SELECT c.relname AS told, i.indisprimary AS is_primary, i.indisunique AND i.indimmediate AS is_unique,
  array_agg(a.attname::text ORDER BY u.place) AS columns, bool_and(a.attnotnull) AS not_null
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS u (attnum, place)
  JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
  WHERE i.indrelid = %(oid)s::oid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND u.place <= i.indnkeyatts
  GROUP BY 1, 2, 3 ORDER BY 2 DESC, count(*), 1"""


def _postgresql(reader: Reader, table: str) -> Source:
    found = _ask(reader, PG_TABLES, {"table": table})
    if not found:
        raise _no_table(reader, table, _ask(reader, PG_NAMES, shape="column"))
    one = found[0]
    columns = _ask(reader, PG_COLUMNS, {"oid": one["oid"]})
    keys = _ask(reader, PG_KEYS, {"oid": one["oid"]})
    counts = one["bytes"] is not None and one["bytes"] <= COUNTED_BYTES
    place = f"{quoted(one['schema'])}.{quoted(one['name'])}"
    rows = _ask(reader, f"SELECT count(*) FROM {place}", shape="scalar") if counts else one["rows"]
    return Source(
        kind=reader.kind,
        **_named(one["schema"], one["name"], place),
        columns=tuple(map(seen, columns)),
        keys=tuple(_keys(keys)),
        indexed=tuple(dict.fromkeys(key["columns"][0] for key in keys)),
        rows=rows if rows is not None and rows >= 0 else None,
        counted=counts,
        changed=one["changed"] if one["inserted"] else None,
    )


def _named(schema: str, name: str, place: str) -> dict[str, str]:
    """How a pipeline names a table; a name with a dot in it only a query can."""
    if "." in name or "." in schema:
        return {"query": f"SELECT * FROM {place}"}
    return {"table": f"{schema}.{name}" if schema else name}


def _keys(rows: Sequence[Mapping[str, Any]]) -> Iterator[Key]:
    """What the engine keeps unique and not NULL, the primary key first."""
    for row in rows:
        if row["is_primary"]:
            yield Key(columns=tuple(row["columns"]), why="primary")
        elif row["is_unique"] and row["not_null"]:
            yield Key(columns=tuple(row["columns"]), why="unique", told=row["told"])


# -- MariaDB and MySQL -------------------------------------------------------------------------------------------------------------------

MY_TABLES = """SELECT table_schema AS `schema`, table_name AS name, table_rows AS n, data_length AS bytes FROM information_schema.tables
  WHERE table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
    AND (table_name = %(table)s AND table_schema = database() OR concat(table_schema, '.', table_name) = %(table)s)"""
MY_NAMES = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = database() ORDER BY 1 LIMIT 5000"
MY_COLUMNS = """SELECT column_name AS name, column_type AS type, is_nullable = 'NO' AS not_null, extra LIKE '%%auto_increment%%' AS numbered
  FROM information_schema.columns WHERE table_schema = %(schema)s AND table_name = %(name)s ORDER BY ordinal_position"""
MY_KEYS = """SELECT index_name AS told, index_name = 'PRIMARY' AS is_primary, non_unique = 0 AS is_unique, column_name AS name, nullable = 'YES' AS may_be_null
  FROM information_schema.statistics WHERE table_schema = %(schema)s AND table_name = %(name)s AND sub_part IS NULL ORDER BY index_name = 'PRIMARY' DESC, index_name, seq_in_index"""


def _mysql(reader: Reader, table: str) -> Source:
    found = _ask(reader, MY_TABLES, {"table": table})
    if not found:
        raise _no_table(reader, table, _ask(reader, MY_NAMES, shape="column"))
    one = {key.lower(): value for key, value in found[0].items()}
    place = f"{quoted(one['schema'], '`')}.{quoted(one['name'], '`')}"
    counts = int(one["bytes"] or 0) <= COUNTED_BYTES
    parameters = {"schema": one["schema"], "name": one["name"]}
    keys = _grouped(_ask(reader, MY_KEYS, parameters))
    return Source(
        kind=reader.kind,
        **_named(one["schema"], one["name"], place),
        columns=tuple(map(seen, _ask(reader, MY_COLUMNS, parameters))),
        keys=tuple(_keys(keys)),
        indexed=tuple(dict.fromkeys(key["columns"][0] for key in keys)),
        rows=_ask(reader, f"SELECT count(*) AS n FROM {place}", shape="scalar") if counts else one["n"],
        counted=counts,
    )


def _grouped(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        one = found.setdefault(row["told"], {**row, "columns": [], "not_null": True})
        one["columns"].append(row["name"])
        one["not_null"] = one["not_null"] and not row["may_be_null"]
    return list(found.values())


# -- SQLite ------------------------------------------------------------------------------------------------------------------------------

LITE_NAMES = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1"
LITE_COLUMNS = 'SELECT name, type, "notnull" AS not_null, pk FROM pragma_table_info(?) ORDER BY cid'
LITE_KEYS = """SELECT l.name AS told, 0 AS is_primary, l."unique" AND NOT l.partial AS is_unique, i.name AS name, l.origin AS origin
  FROM pragma_index_list(?1) AS l JOIN pragma_index_info(l.name) AS i WHERE i.name IS NOT NULL ORDER BY l.name, i.seqno"""


def _sqlite(reader: Reader, table: str) -> Source:
    names = _ask(reader, LITE_NAMES, shape="column")
    bare = table.removeprefix("main.")
    name = next((one for one in names if one.casefold() in (table.casefold(), bare.casefold())), None)
    if name is None:
        raise _no_table(reader, table, names)
    rows = _ask(reader, LITE_COLUMNS, [name])
    own = [row["name"] for row in sorted(rows, key=lambda row: row["pk"]) if row["pk"]]
    numbered = len(own) == 1 and next(row["type"] for row in rows if row["pk"]).upper() == "INTEGER"
    held = {row["name"]: bool(row["not_null"]) or (numbered and bool(row["pk"])) for row in rows}
    keys = _grouped(
        [{**row, "may_be_null": not held[row["name"]]} for row in _ask(reader, LITE_KEYS, [name])]
    )
    primary = [Key(columns=tuple(own), why="primary")] if own and all(held[one] for one in own) else []
    named = quoted(name)
    return Source(
        kind=reader.kind,
        **_named("", name, named),
        columns=tuple(seen({**row, "not_null": held[row["name"]], "numbered": numbered and row["pk"]}) for row in rows),
        keys=(*primary, *(key for key in _keys(keys) if list(key.columns) != own)),
        indexed=tuple(dict.fromkeys([*own[:1], *(key["columns"][0] for key in keys)])),
        rows=_ask(reader, f"SELECT count(*) FROM {named}", shape="scalar"),
        counted=True,
    )  # fmt: skip


# -- DuckDB ------------------------------------------------------------------------------------------------------------------------------

DUCK_TABLES = """SELECT schema_name AS schema, table_name AS name, estimated_size AS rows FROM duckdb_tables() WHERE NOT internal AND NOT temporary AND database_name = current_database()
  UNION ALL SELECT schema_name, view_name, NULL FROM duckdb_views() WHERE NOT internal AND NOT temporary AND database_name = current_database() ORDER BY 1, 2"""
DUCK_COLUMNS = """SELECT column_name AS name, data_type AS type, NOT is_nullable AS not_null, coalesce(column_default, '') LIKE 'nextval(%' AS numbered
  FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = $schema AND table_name = $name ORDER BY column_index"""
DUCK_KEYS = """SELECT constraint_name AS told, constraint_type = 'PRIMARY KEY' AS is_primary, TRUE AS is_unique, constraint_column_names AS columns
  FROM duckdb_constraints() WHERE database_name = current_database() AND schema_name = $schema AND table_name = $name
    AND constraint_type IN ('PRIMARY KEY', 'UNIQUE') ORDER BY 2 DESC, constraint_index"""


def _duckdb(reader: Reader, table: str) -> Source:
    tables = _ask(reader, DUCK_TABLES)
    wanted = table.casefold()
    found = sorted(
        (one for one in tables if wanted in (one["name"].casefold(), f"{one['schema']}.{one['name']}".casefold())),
        key=lambda one: one["schema"] != "main",
    )  # fmt: skip
    if not found:
        raise _no_table(reader, table, [f"{one['schema']}.{one['name']}" for one in tables])
    place = {"schema": found[0]["schema"], "name": found[0]["name"]}
    columns = tuple(map(seen, _ask(reader, DUCK_COLUMNS, place)))
    held = {one.name for one in columns if not one.nullable}
    keys = [{**row, "not_null": row["is_primary"] or held.issuperset(row["columns"])} for row in _ask(reader, DUCK_KEYS, place)]  # fmt: skip
    named = f"{quoted(place['schema'])}.{quoted(place['name'])}"
    return Source(
        kind=reader.kind,
        **_named(place["schema"], place["name"], named),
        columns=columns,
        keys=tuple(_keys(keys)),
        rows=_ask(reader, f"SELECT count(*) FROM {named}", shape="scalar"),
        counted=True,
    )


LOOKS: dict[str, Callable[[Reader, str], Source]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "sqlite": _sqlite,
    "duckdb": _duckdb,
}


# -- files -------------------------------------------------------------------------------------------------------------------------------


def _folder_table(systems: Systems, system: str, table: str) -> Source:
    patterns = systems[system].read("patterns")
    if table not in patterns and table not in patterns.values():
        raise _no_table(systems[system], table, list(patterns))
    return look_at_files(systems, system, patterns.get(table, table))


def look_at_files(systems: Systems, system: str | None, pattern: str) -> Source:
    """Files below a folder of the estate, or below the project. Errors: `BadInput` `pipelines.no-files`, `pipelines.cannot-look`."""
    kind = systems[system].kind if system else "folder"
    if kind != "folder":
        raise BadInput("pipelines.cannot-look", f"Files of {system} ({kind}) cannot be looked at.", "Name a folder of the estate.")  # fmt: skip
    told = systems["pipeline-code"].read("files_seen", system=system, pattern=pattern)
    if not told["files"]:
        raise BadInput("pipelines.no-files", f"No file of {system or 'the project'} is named {pattern}.", "Look at the pattern: flights/*.csv, or flights/**/*.parquet.")  # fmt: skip
    if told["why_not"]:
        raise BadInput("pipelines.cannot-look", f"{pattern} cannot be read: {told['why_not']}", "Mend the file, or say how it is read: write the pipeline by hand (docs/how-to/pipelines.md).")  # fmt: skip
    columns = tuple(seen({**one, "not_null": False}) for one in told["columns"])
    source = Source(
        kind="folder",
        files=pattern,
        columns=columns,
        rows=told["rows"],
        counted=True,
        stated={"format": told["format"], "files": told["files"], "bytes": told["bytes"], **told["options"]},
    )

    def ask(sql: str) -> Any:
        return systems["pipeline-code"].read("files_asked", system=system, pattern=pattern, sql=sql)

    return with_counts(source, ask, "rows", '"')


def look_at_url(systems: Systems, url: str) -> Source:
    """One page of an HTTP API. Errors: those of `url_look.look`."""
    told = systems["pipeline-code"].read("url_seen", url=url)
    columns = tuple(map(seen, told["columns"]))
    unique = sorted(
        (one for one in told["unique"] if NAMED_A_KEY.search(one)), key=lambda one: one.casefold() != "id"
    )
    return Source(
        kind="http",
        url=url,
        page=told["rows"],
        columns=columns,
        keys=tuple(Key(columns=(name,), why="measured") for name in unique[:1]),
        stated={key: told[key] for key in ("format", "records", "link", "more")},
        notes=(told["why_not"],) if told["why_not"] else (),
    )


def _measured(reader: Reader, source: Source) -> Source:
    sign = "`" if reader.kind == "mysql" else '"'
    parts = source.table.split(".") if source.table else []
    relation = ".".join(quoted(one, sign) for one in parts) or f"({source.query}) AS t"
    return with_counts(source, lambda sql: _ask(reader, sql, shape="row"), relation, sign)
