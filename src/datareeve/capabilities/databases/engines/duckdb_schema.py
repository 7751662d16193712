"""The catalog of a DuckDB file in the same words as PostgreSQL's: its catalog functions, asked on one opening of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.schema import Column, Constraint, Index, Schema, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.core.operation import Systems

Row = dict[str, Any]
CANONICAL = {
    "TINYINT": "smallint", "SMALLINT": "smallint", "UTINYINT": "smallint", "INTEGER": "integer", "USMALLINT": "integer",
    "BIGINT": "bigint", "UINTEGER": "bigint", "UBIGINT": "bigint", "HUGEINT": "bigint", "VARCHAR": "text", "UUID": "uuid",
    "FLOAT": "real", "DOUBLE": "double precision", "DECIMAL": "numeric", "DATE": "date", "TIMESTAMP": "datetime",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone", "BOOLEAN": "boolean",
}  # fmt: skip
KINDS = {"PRIMARY KEY": "p", "UNIQUE": "u", "FOREIGN KEY": "f", "CHECK": "c"}
NAMES = ("duckdb_tables", "duckdb_columns", "duckdb_constraints", "duckdb_indexes")
SIZED_AT_MOST = 300  # tables: each is a query of its own


def schema(systems: Systems, system: str, schema_name: str | None = None) -> Schema:
    """The tables and views of one schema; None: those the estate declares, else all of the file."""
    declared = systems["estate"].read("get", where=["systems", system, "schemas"]) or []
    wanted = {schema_name} if schema_name else set(declared)
    asked = systems[system].read("ask", statements={name: sql.load(name) for name in NAMES})
    tables = [row for row in asked["duckdb_tables"] if not wanted or row["schema"] in wanted]
    columns, constraints, indexes = (_by_table(asked[name]) for name in NAMES[1:])
    sizes = _sizes(systems, system, tables)
    relations = []
    for row in tables:
        place = (row["schema"], row["name"])
        keys = tuple(_constraint(c) for c in constraints.get(place, ()))
        relations.append(
            Table(
                schema=row["schema"],
                name=row["name"],
                kind=row["kind"],
                estimated_rows=row["estimated_rows"],
                bytes=sizes.get(place, 0),
                comment=row["comment"],
                columns=tuple(_column(c) for c in columns.get(place, ())),
                constraints=keys,
                indexes=(*_of_keys(keys), *(_index(i) for i in indexes.get(place, ()))),
            )
        )
    return Schema(relations=tuple(relations))


def _by_table(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["schema"], row["table"]), []).append(row)
    return found


def _sizes(systems: Systems, system: str, tables: list[Row]) -> dict[tuple[str, str], int]:
    """Bytes by table: the blocks its columns lie in, 256 kB each."""
    real = [(row["schema"], row["name"]) for row in tables if row["kind"] == "r"][:SIZED_AT_MOST]
    statements = {}
    for number, (schema_name, name) in enumerate(real):
        quoted = f"{_quoted(schema_name)}.{_quoted(name)}".replace("'", "''")
        statements[str(number)] = (
            f"SELECT count(DISTINCT block_id) * 262144 AS bytes FROM pragma_storage_info('{quoted}') WHERE block_id >= 0"  # noqa: S608 - quoted
        )
    answers = systems[system].read("ask", statements=statements)
    return {place: rows[0]["bytes"] for number, place in enumerate(real) if (rows := answers[str(number)])}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _column(row: Row) -> Column:
    base = str(row["type"]).partition("(")[0]
    return Column(
        name=row["name"],
        type=row["type"],
        not_null=row["not_null"],
        default=None if row["default"] in (None, "NULL") else row["default"],
        comment=row["comment"],
        canonical=CANONICAL.get(base, str(row["type"]).lower()),
    )


def _constraint(row: Row) -> Constraint:
    kind = KINDS.get(row["type"], "c")
    return Constraint(
        name=row["name"] or row["type"].lower(),
        kind=kind,
        columns=tuple(row["columns"] or ()) or None,
        definition=row["definition"],
        references_schema=row["schema"] if kind == "f" else None,
        references_table=row["references_table"] or None,
        references_columns=tuple(row["references_columns"] or ()) or None,
    )


def _of_keys(keys: Iterable[Constraint]) -> list[Index]:
    """The ART indexes that DuckDB makes for primary, unique and foreign keys."""
    return [
        Index(
            name=key.name,
            columns=key.columns or (),
            unique=key.kind in "pu",
            definition=key.definition,
            of_constraint=True,
            kind="of a foreign key" if key.kind == "f" else "",
        )
        for key in keys
        if key.kind in "puf"
    ]


def _index(row: Row) -> Index:
    # `expressions` is '[a, b]' as text, names quoted where they need it.
    columns = tuple(part.strip().strip("'\"") for part in str(row["expressions"]).strip("[]").split(","))
    return Index(name=row["name"], columns=columns, unique=row["unique"], definition=row["definition"] or "")
