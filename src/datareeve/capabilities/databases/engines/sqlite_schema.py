"""The catalog of an SQLite file in the same words as PostgreSQL's: pragmas as table-valued functions. Its one schema is `main`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import dialects, sql
from datareeve.capabilities.databases.schema import Column, Constraint, Index, Schema, Table
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datareeve.core.operation import Reader, Systems

Row = dict[str, Any]
AFFINITIES = (  # https://www.sqlite.org/datatype3.html, 3.1: the first that the declared type contains
    (("BOOL",), "boolean"),  # of affinity numeric, and never meant as a number
    (("DATE", "TIME"), "datetime"),
    (("INT",), "bigint"),
    (("CHAR", "CLOB", "TEXT"), "text"),
    (("BLOB",), "blob"),
    (("REAL", "FLOA", "DOUB"), "double precision"),
    (("DEC", "NUMERIC"), "numeric"),
)


def schema(systems: Systems, system: str, schema_name: str | None = None) -> Schema:
    """The tables and views of the file. Errors: `BadInput` `schema.unknown` where another schema than main is asked for."""
    if schema_name not in (None, "main"):
        raise BadInput(
            "schema.unknown", f"{system} has no schema {schema_name!r}.", "An SQLite file has one: main."
        )
    reader = systems[system]
    names = ("sqlite_columns", "sqlite_indexes", "sqlite_references")
    columns, indexes, references = (_by_table(reader.read("query", sql=sql.load(name))) for name in names)
    found = reader.read("query", sql=sql.load("sqlite_tables"))
    rows, sizes = _rows(reader, [row for row in found if row["type"] == "table"]), _sizes(reader)
    keys = {name: _key(parts) for name, parts in columns.items()}
    return Schema(
        sized=bool(sizes) or not found,
        relations=tuple(
            Table(
                schema="main",
                name=row["name"],
                kind="v" if row["type"] == "view" else "r",
                estimated_rows=rows.get(row["name"]),
                bytes=sizes.get(row["name"], 0),
                columns=tuple(_column(c, keys[row["name"]]) for c in columns.get(row["name"], ())),
                constraints=tuple(_constraints(row["name"], keys, indexes, references)),
                indexes=tuple(
                    _indexes(
                        indexes.get(row["name"], ()), keys.get(row["name"], ()), columns.get(row["name"], ())
                    )
                ),
            )
            for row in found
            if row["type"] != "virtual"
        ),
    )


def _by_table(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["table"], []).append(row)
    return found


def _key(columns: Iterable[Row]) -> tuple[str, ...]:
    return tuple(row["name"] for row in sorted(columns, key=lambda row: row["key_place"]) if row["key_place"])


def _rows(reader: Reader, tables: list[Row]) -> dict[str, int]:
    """Estimated rows: the largest rowid, which is read from one page. None of tables without one, and of empty ones 0."""
    statements = {
        row["name"]: f"SELECT coalesce(max(_rowid_), 0) AS n FROM {dialects.SQLITE.name(row['name'])}"  # noqa: S608 - quoted
        for row in tables
        if not row["without_rowid"]
    }
    answers = reader.read("ask", statements=statements)
    return {name: rows[0]["n"] for name, rows in answers.items() if rows}


SIZES_SQL = "SELECT name, pgsize AS bytes FROM dbstat WHERE aggregate"
READ_WHOLE = 2**28  # bytes of a file whose every page is read for its tables' sizes


def _sizes(reader: Reader) -> dict[str, int]:
    """Bytes by table, where this SQLite has dbstat and the file is not large: it reads every page."""
    if reader.read("server")["bytes"] > READ_WHOLE:
        return {}
    rows = reader.read("ask", statements={"sizes": SIZES_SQL})["sizes"]
    return {row["name"]: row["bytes"] for row in rows or ()}


def canonical(declared: str) -> str:
    """PostgreSQL's word for a declared type."""
    upper = declared.upper()
    return next((name for parts, name in AFFINITIES if any(part in upper for part in parts)), "any")


def _column(row: Row, key: tuple[str, ...]) -> Column:
    is_rowid = key == (row["name"],) and (row["type"] or "").upper() == "INTEGER"
    return Column(
        name=row["name"],
        type=row["type"] or "any",
        not_null=bool(row["not_null"]) or is_rowid,
        default=row["default"],
        generated=row["hidden"] in (2, 3),
        canonical=canonical(row["type"] or ""),
    )


def _constraints(
    table: str,
    keys: dict[str, tuple[str, ...]],
    indexes: dict[str, list[Row]],
    references: dict[str, list[Row]],
) -> Iterator[Constraint]:
    if key := keys.get(table):
        yield Constraint(
            name=f"{table} primary key", kind="p", columns=key, definition=f"PRIMARY KEY ({', '.join(key)})"
        )
    for name, group in groupby(indexes.get(table, ()), key=lambda row: row["name"]):
        parts = list(group)
        if parts[0]["origin"] == "u":
            columns = tuple(part["column"] for part in parts)
            yield Constraint(
                name=name, kind="u", columns=columns, definition=f"UNIQUE ({', '.join(columns)})"
            )
    for number, group in groupby(references.get(table, ()), key=lambda row: row["id"]):
        yield _reference(table, number, list(group), keys)


def _reference(table: str, number: int, parts: list[Row], keys: dict[str, tuple[str, ...]]) -> Constraint:
    target = parts[0]["references_table"]
    known = next(
        (name for name in keys if name.lower() == target.lower()), target
    )  # names are not case-sensitive
    columns = tuple(part["column"] for part in parts)
    named = tuple(part["references_column"] for part in parts)
    ends = keys.get(known, ()) if None in named else named
    rules = (("DELETE", parts[0]["on_delete"]), ("UPDATE", parts[0]["on_update"]))
    acts = "".join(f" ON {what} {rule}" for what, rule in rules if rule != "NO ACTION")
    return Constraint(
        name=f"{table} reference {number + 1}",
        kind="f",
        columns=columns,
        definition=f"FOREIGN KEY ({', '.join(columns)}) REFERENCES {known} ({', '.join(ends)}){acts}",
        references_schema="main",
        references_table=known,
        references_columns=ends,
    )


def _indexes(rows: Iterable[Row], key: tuple[str, ...], columns: Iterable[Row]) -> Iterator[Index]:
    rowid_key = len(key) == 1 and any(
        c["name"] == key[0] and (c["type"] or "").upper() == "INTEGER" for c in columns
    )
    if rowid_key:  # an INTEGER PRIMARY KEY is the table itself: no index is listed for it
        yield Index(
            name="the table itself",
            columns=key,
            unique=True,
            definition=f"INTEGER PRIMARY KEY ({key[0]})",
            of_constraint=True,
        )
    for name, group in groupby(rows, key=lambda row: row["name"]):
        parts = list(group)
        names = tuple(part["column"] or "(expression)" for part in parts)
        yield Index(
            name=name,
            columns=names,
            unique=bool(parts[0]["unique"]),
            whole=not parts[0]["partial"] and all(part["column"] for part in parts),
            definition=parts[0]["definition"] or f"made by a constraint on ({', '.join(names)})",
            of_constraint=parts[0]["origin"] != "c",
        )
