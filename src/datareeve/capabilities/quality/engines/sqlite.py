"""SQLite: types are hints there, so few of its declarations are proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from datareeve.capabilities.quality.catalog import Catalog, CatalogColumn, CatalogTable
from datareeve.capabilities.quality.engines.dialect import MOMENTS, Dialect, glob
from datareeve.capabilities.quality.engines.places import choose
from datareeve.capabilities.quality.regexes import Syntax, by_u

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.catalog import Family
    from datareeve.core.operation import Reader

TABLES = "SELECT name, type, sql FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
COLUMNS = "SELECT t.name AS table_name, c.name AS name, c.type AS type, c.\"notnull\" AS not_null, c.pk AS pk FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c WHERE t.type IN ('table', 'view') ORDER BY t.name, c.cid"
KEYS = "SELECT t.name AS table_name, i.name AS name, i.\"unique\" AS is_unique, c.name AS column_name FROM sqlite_schema AS t JOIN pragma_index_list(t.name) AS i JOIN pragma_index_info(i.name) AS c WHERE t.type = 'table' AND NOT i.partial ORDER BY t.name, i.name, c.seqno"
ROWS = "SELECT tbl, stat FROM sqlite_stat1 WHERE stat IS NOT NULL"


class SqliteDialect(Dialect):
    """SQLite's SQL, with the functions that `systems/measure` adds: regexp, stddev."""

    kind: ClassVar[str] = "sqlite"
    sqlglot: ClassVar[str] = "sqlite"
    now: ClassVar[str] = "CAST(strftime('%s', 'now') AS real)"
    folds: ClassVar[bool] = True
    backtracks: ClassVar[bool] = True  # Python's re
    syntax: ClassVar[Syntax] = Syntax(end=r"\Z", hexadecimal=by_u)

    def boolean(self, *, value: bool) -> str:
        """A number."""
        return "1" if value else "0"

    def length(self, column: str) -> str:
        """Characters of a text."""
        return f"length({column})"

    def matches(self, column: str, regex: str) -> str:
        """Python's, by the function that is added."""
        return f"{column} REGEXP {self.text(regex)}"

    def only_of(self, column: str, signs: str, least: int, most: int | None) -> str:
        """Trimmed of them nothing is left; the regex would be Python's, value by value."""
        # What is NULL is neither: it must not be made false here.
        return self.all_of(
            [f"typeof({column}) IN ('text', 'null')", self.trimmed(column, signs, least, most)]
        )

    def of_places(self, column: str, places: Sequence[frozenset[str]]) -> str:
        """GLOB."""
        pattern = glob(places)
        return f"{column} GLOB {self.text(pattern)}" if pattern else ""

    def exact(self, column: str, family: str) -> str:
        """Whatever the column's collation."""
        return f"{column} COLLATE BINARY" if family == "text" else column

    def starts(self, column: str, prefix: str) -> str:
        """There is no left()."""
        return self.equal(f"substr({column}, 1, {len(prefix)})", prefix)

    def ends(self, column: str, suffix: str) -> str:
        """There is no right()."""
        return self.equal(f"substr({column}, -{len(suffix)})", suffix)

    def contains(self, column: str, part: str) -> str:
        """By code point."""
        return f"instr({column}, {self.text(part)}) > 0"

    def orphans(self, child: str, parent: str, pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """By NOT IN, for which SQLite builds an index by itself."""
        return child, self.not_in(parent, pairs)

    def floored(self, expression: str) -> str:
        """There is no floor() in every build; a cast cuts, which is one too many below zero."""
        return f"(CAST({expression} AS integer) - (({expression}) < CAST({expression} AS integer)))"

    def real(self, expression: str) -> str:
        """As a double."""
        return f"CAST({expression} AS real)"

    def stddev(self, column: str) -> str:
        """Of the sample, by the function that is added."""
        return f"stddev({column})"

    def quantile(self, column: str, q: float) -> str:
        """There is none as an aggregate."""
        del column, q
        return ""

    def is_nan(self, column: str, family: str) -> str:
        """A column may hold anything there: text among numbers, and text that is no moment, are in no range."""
        if family in MOMENTS:
            return f"({column} IS NOT NULL AND {self.epoch(column, family)} IS NULL)"
        return f"typeof({column}) IN ('text', 'blob')"

    def comparable(self, column: str, family: str) -> str:
        """Moments are text or numbers there: compared as seconds since 1970."""
        return self.epoch(column, family) if family in MOMENTS else column

    def moment(self, value: str, family: str) -> str:
        """As `comparable`."""
        return self.epoch(super().moment(value, family).partition(" ")[2], family)

    def epoch(self, expression: str, family: str) -> str:
        """Text in ISO form, or seconds since 1970 as a number."""
        del family
        # Days of the Julian calendar are milliseconds within, which a product of doubles misses by a little.
        days = f"round((julianday({expression}) - 2440587.5) * 86400.0, 3)"
        return f"CASE WHEN typeof({expression}) IN ('integer', 'real') THEN {expression} ELSE {days} END"

    def _sample(self, table: str, share: float) -> str:
        return f"(SELECT * FROM {table} WHERE abs(random() % 1000000000) < {int(share * 1e9)}) AS sampled"


def family_of(type_: str) -> Family:
    """By SQLite's rules of affinity, and by the names that people give moments and booleans."""
    said = type_.upper()
    rules: tuple[tuple[tuple[str, ...], Family], ...] = (
        (("BOOL",), "boolean"), (("TIMESTAMPTZ", "WITH TIME ZONE"), "timestamptz"), (("DATETIME", "TIMESTAMP"), "timestamp"), (("DATE",), "date"),
        (("INT",), "integer"), (("UUID",), "uuid"), (("JSON",), "json"), (("CHAR", "CLOB", "TEXT"), "text"), (("BLOB",), "binary"),
        (("REAL", "FLOA", "DOUB"), "float"), (("NUMERIC", "DECIMAL"), "decimal"),
    )  # fmt: skip
    return next((family for words, family in rules if any(word in said for word in words)), "other")


def tables(reader: Reader) -> list[tuple[str, ...]]:
    """Every table and view."""
    return [(row["name"],) for row in reader.read("query", sql=TABLES)]


def catalog(reader: Reader, names: Sequence[str]) -> Catalog:
    """The tables that were asked for, on one opening of the file."""
    asked = reader.read("ask", statements={"tables": TABLES, "columns": COLUMNS, "keys": KEYS, "rows": ROWS})
    rows = {(row["name"],): row for row in asked["tables"]}
    found = choose(names, rows)
    estimates = {row["tbl"]: int(str(row["stat"]).split(" ", maxsplit=1)[0]) for row in asked["rows"] or []}
    made = {place: _table(rows[place], asked, estimates) for place in set(found.values())}
    return Catalog(
        system=reader.name, kind="sqlite", tables={name: made[place] for name, place in found.items()}
    )


def _table(row: dict[str, Any], asked: dict[str, Any], estimates: dict[str, int]) -> CatalogTable:
    name = row["name"]
    columns = [one for one in asked["columns"] if one["table_name"] == name]
    primary = tuple(one["name"] for one in sorted((c for c in columns if c["pk"]), key=lambda c: c["pk"]))
    keys: dict[tuple[str, bool], tuple[str | None, ...]] = {}
    for one in asked["keys"]:
        if one["table_name"] == name:
            key = (one["name"], bool(one["is_unique"]))
            keys[key] = (*keys.get(key, ()), one["column_name"])
    whole = {key: tuple(filter(None, columns)) for key, columns in keys.items() if None not in columns}
    return CatalogTable(
        name=name,
        place=(name,),
        kind=row["type"],
        columns=tuple(_column(one, primary) for one in columns),
        keys=(
            *([primary] if primary else []),
            *(columns for (_, unique), columns in whole.items() if unique and columns != primary),
        ),
        primary_key=primary,
        kept=False,
        indexed=tuple(whole.values()),
        estimated_rows=estimates.get(name),
    )


def _column(row: dict[str, Any], primary: tuple[str, ...]) -> CatalogColumn:
    # Only a rowid's alias, of all the parts of a primary key, cannot be NULL unless that is said.
    alias = primary == (row["name"],) and str(row["type"]).upper() == "INTEGER"
    return CatalogColumn(
        name=row["name"],
        type=row["type"] or "",
        family=family_of(row["type"] or ""),
        not_null=bool(row["not_null"]) or alias,
    )
