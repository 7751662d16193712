"""The catalog of MariaDB and MySQL in the same words as PostgreSQL's: four queries of information_schema."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.schema import Column, Constraint, Index, Schema, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datareeve.core.operation import Systems

Row = dict[str, Any]
CANONICAL = {
    "tinyint": "smallint", "smallint": "smallint", "mediumint": "integer", "int": "integer", "bigint": "bigint",
    "varchar": "character varying", "char": "character varying", "text": "text", "tinytext": "text", "mediumtext": "text",
    "longtext": "text", "float": "real", "double": "double precision", "decimal": "numeric", "uuid": "uuid",
    "date": "date", "datetime": "datetime", "timestamp": "datetime",
}  # fmt: skip
ROW_LIMITS = {"tinyint": 2**7, "smallint": 2**15, "mediumint": 2**23, "int": 2**31, "bigint": 2**63}


def schema(systems: Systems, system: str, schema_name: str | None = None) -> Schema:
    """The tables and views of one database; None: those the estate declares, else the one in the URL."""
    reader = systems[system]
    declared = systems["estate"].read("get", where=["systems", system, "schemas"]) or []
    wanted = [schema_name] if schema_name else list(declared) or [reader.read("server")["database"]]

    def ask(name: str) -> list[Row]:
        rows: list[Row] = reader.read("query", sql=sql.load(name), parameters={"schemas": wanted})
        return rows

    columns, indexes, keys = (
        _by_table(ask(name)) for name in ("mysql_columns", "mysql_indexes", "mysql_constraints")
    )
    tables = []
    for row in ask("mysql_tables"):
        place = (row["schema"], row["name"])
        tables.append(
            Table(
                schema=row["schema"],
                name=row["name"],
                kind="v" if row["type"] == "VIEW" else "r",
                estimated_rows=row["estimated_rows"],
                bytes=row["bytes"],
                comment=(row["comment"] if row["type"] != "VIEW" else None) or None,
                columns=tuple(_column(c) for c in columns.get(place, ())),
                constraints=tuple(_constraints(keys.get(place, ()), indexes.get(place, ()))),
                indexes=tuple(_indexes(indexes.get(place, ()), keys.get(place, ()))),
            )
        )
    return Schema(relations=tuple(tables))


def _by_table(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["schema"], row["table"]), []).append(row)
    return found


def _column(row: Row) -> Column:
    extra = str(row["extra"] or "").lower()
    base = str(row["base"]).lower()
    flag = base == "tinyint" and str(row["type"]).startswith("tinyint(1)")
    return Column(
        name=row["name"],
        type=row["type"],
        not_null=bool(row["not_null"]),
        default=None if row["default"] in (None, "NULL") else str(row["default"]),
        identity="auto_increment" in extra,
        generated=bool(row["generation"]),
        comment=row["comment"] or None,
        canonical="boolean" if flag else CANONICAL.get(base, base),
    )


def _constraints(keys: Iterable[Row], indexes: Iterable[Row]) -> Iterator[Constraint]:
    unique = {row["name"] for row in indexes if not row["repeats"]}
    for name, group in groupby(keys, key=lambda row: row["name"]):
        rows = list(group)
        refers = rows[0]["references_table"] is not None
        yield Constraint(
            name=name,
            kind="f" if refers else "p" if name == "PRIMARY" else "u" if name in unique else "c",
            columns=tuple(row["column"] for row in rows),
            definition=_definition(name, rows),
            references_schema=rows[0]["references_schema"],
            references_table=rows[0]["references_table"],
            references_columns=tuple(row["references_column"] for row in rows) if refers else None,
        )


def _definition(name: str, rows: list[Row]) -> str:
    columns = ", ".join(row["column"] for row in rows)
    first = rows[0]
    if first["references_table"] is None:
        return f"{'PRIMARY KEY' if name == 'PRIMARY' else 'UNIQUE'} ({columns})"
    keys = ", ".join(row["references_column"] for row in rows)
    rules = [(what, first[key]) for what, key in (("DELETE", "on_delete"), ("UPDATE", "on_update"))]
    acts = "".join(
        f" ON {what} {rule}" for what, rule in rules if rule not in (None, "NO ACTION", "RESTRICT")
    )
    return f"FOREIGN KEY ({columns}) REFERENCES {first['references_table']} ({keys}){acts}"


def _indexes(rows: Iterable[Row], keys: Iterable[Row]) -> Iterator[Index]:
    declared = {row["name"] for row in keys if row["references_table"] is None}
    for name, group in groupby(rows, key=lambda row: row["name"]):
        parts = list(group)
        columns = tuple(
            str(part["column"] or "(expression)") + (f"({part['part']})" if part["part"] else "")
            for part in parts
        )
        unique, kind = not parts[0]["repeats"], str(parts[0]["type"])
        word = "UNIQUE INDEX" if unique else "INDEX" if kind == "BTREE" else f"{kind} INDEX"
        yield Index(
            name=name,
            columns=columns,
            unique=unique,
            # A functional part has no name that could be compared, so nothing is said of such an index.
            whole=all(part["column"] is not None for part in parts),
            definition=f"PRIMARY KEY ({', '.join(columns)})"
            if name == "PRIMARY"
            else f"{word} {name} ({', '.join(columns)})",
            of_constraint=name == "PRIMARY" or (unique and name in declared),
            kind=kind.lower(),
        )
