"""DuckDB: its files, and folders of Parquet, CSV and JSON, which it reads as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from datareeve.capabilities.quality.catalog import Catalog, CatalogColumn, CatalogTable, ForeignKey
from datareeve.capabilities.quality.engines.dialect import LISTED, Close, Dialect, Query, glob
from datareeve.capabilities.quality.engines.places import choose
from datareeve.capabilities.quality.regexes import Syntax

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from datareeve.capabilities.quality.catalog import Family
    from datareeve.core.operation import Reader

FAMILIES: dict[str, Family] = {
    **dict.fromkeys("TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT".split(), "integer"),
    "DECIMAL": "decimal", "FLOAT": "float", "DOUBLE": "float", "VARCHAR": "text", "ENUM": "text", "DATE": "date", "TIME": "time",
    "TIMESTAMP": "timestamp", "TIMESTAMP_S": "timestamp", "TIMESTAMP_MS": "timestamp", "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz", "BOOLEAN": "boolean", "UUID": "uuid", "JSON": "json", "BLOB": "binary",
}  # fmt: skip
WHOLE = {  # types whose values are whole numbers, and how they are
    **dict.fromkeys(
        "TINYINT SMALLINT INTEGER BIGINT UTINYINT USMALLINT UINTEGER UBIGINT HUGEINT".split(), "{}::BIGINT"
    ),
    "DATE": "({} - DATE '2000-01-01')::BIGINT",
}
BLOCK = 2**16  # numbers that have their bits together
TABLES = """
SELECT schema_name, table_name, 'table' AS kind, estimated_size AS estimated_rows FROM duckdb_tables() WHERE NOT internal
UNION ALL SELECT schema_name, view_name, 'view', NULL FROM duckdb_views() WHERE NOT internal
"""
COLUMNS = "SELECT schema_name, table_name, column_name, data_type, NOT is_nullable AS not_null, comment FROM duckdb_columns() WHERE NOT internal ORDER BY schema_name, table_name, column_index"
CONSTRAINTS = "SELECT schema_name, table_name, constraint_type, constraint_column_names AS columns, referenced_table, referenced_column_names AS referenced_columns, expression FROM duckdb_constraints()"


class DuckdbDialect(Dialect):
    """DuckDB's SQL."""

    kind: ClassVar[str] = "duckdb"
    sqlglot: ClassVar[str] = "duckdb"
    text_type: ClassVar[str] = "VARCHAR"
    now: ClassVar[str] = "epoch(CURRENT_TIMESTAMP)"
    nan_is_greatest: ClassVar[bool] = True
    syntax: ClassVar[Syntax] = Syntax(lookaround=False)  # RE2: linear time

    def is_nan(self, column: str, family: str) -> str:
        """Floats only."""
        return f"isnan({column})" if family == "float" else ""

    def length(self, column: str) -> str:
        """Code points."""
        return f"length({column})"

    def matches(self, column: str, regex: str) -> str:
        """RE2, anywhere within."""
        return f"regexp_matches({column}, {self.text(regex)})"

    def count_where(self, condition: str) -> str:
        """A function of its own, cheaper than FILTER."""
        return f"count_if({condition})"

    def among(self, column: str, texts: Iterable[str]) -> str:
        """A function is asked once for each value of a dictionary; IN is a comparison after another for each row."""
        return f"list_contains([{', '.join(map(self.text, texts))}], {column})"

    def only_of(self, column: str, signs: str, least: int, most: int | None) -> str:
        """Trimmed of them nothing is left."""
        return self.trimmed(column, signs, least, most)

    def of_places(self, column: str, places: Sequence[frozenset[str]]) -> str:
        """GLOB."""
        pattern = glob(places)
        return f"{column} GLOB {self.text(pattern)}" if pattern else ""

    def length_within(self, column: str, given: Mapping[str, Any]) -> str:
        """A text never has more characters than bytes, and bytes need not be counted."""
        said = super().length_within(column, given)
        return (
            f"strlen({column}) <= {self.value(given['at_most'], 'integer')} OR {said}"
            if set(given) == {"at_most"}
            else said
        )

    def orphans(self, child: str, parent: str, pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """An anti-join that is written as one: NOT EXISTS would keep the whole child."""
        joined = " AND ".join(f"p.{theirs} = {ours}" for ours, theirs in pairs)
        return f"{child} ANTI JOIN {parent} AS p ON {joined}", "TRUE"

    def distinct(self, source: str, columns: Sequence[CatalogColumn]) -> Query:
        """Of whole numbers and dates that lie close enough, a bit for each: a fifth of the time and of the memory of grouping."""
        asked = super().distinct(source, columns)
        if not all(column.type in WHOLE for column in columns) or len(columns) > 2:  # noqa: PLR2004 - the span is their product
            return asked
        named = [self.name(column.name) for column in columns]
        whole = [WHOLE[column.type] for column in columns]
        ends = ", ".join(
            f"{one.format(f'min({name})')} AS low{n}, {one.format(f'max({name})')} AS high{n}"
            for n, (name, one) in enumerate(zip(named, whole, strict=True))
        )
        places = [
            f"({one.format(name)} - {{low{n}}})"
            for n, (name, one) in enumerate(zip(named, whole, strict=True))
        ]
        place = f"({' * {span1} + '.join(places)})"
        bits = f"bit_count(bitstring_agg({place} & {BLOCK - 1}, 0, {BLOCK - 1}))"
        beyond = f"SELECT {place} // {BLOCK} AS block, count(*) - {bits} AS beyond FROM {source} GROUP BY 1"
        listed = ", ".join(named)
        within = f"(SELECT {listed} FROM {source}) AS found WHERE {place} // {BLOCK} IN ({{blocks}})"
        close = Close(
            span=f"SELECT {ends}, count(*) AS n FROM {source}",
            sql=f"SELECT coalesce(sum(beyond), 0) AS failing, list(block) FILTER (WHERE beyond > 0) AS blocks FROM ({beyond}) AS blocks",
            keys=f"SELECT {listed}, {self.times(named)} FROM {within} GROUP BY {listed} HAVING count(*) > 1 LIMIT {LISTED + 1}",
        )
        return asked.model_copy(update={"close": close})

    def mean(self, column: str, family: str) -> str:
        """A double of any number."""
        del family
        return f"avg({column})"

    def contains(self, column: str, part: str) -> str:
        """A function of its own."""
        return f"contains({column}, {self.text(part)})"

    def starts(self, column: str, prefix: str) -> str:
        """A function of its own."""
        return f"starts_with({column}, {self.text(prefix)})"

    def ends(self, column: str, suffix: str) -> str:
        """A function of its own."""
        return f"ends_with({column}, {self.text(suffix)})"

    def quantile(self, column: str, q: float) -> str:
        """The continuous quantile."""
        return f"quantile_cont({column}, {q:.15g})"

    def epoch(self, expression: str, family: str) -> str:
        """As a double, to the microsecond."""
        del family
        return f"epoch({expression})"

    def _sample(self, table: str, share: float) -> str:
        return f"{table} TABLESAMPLE {100 * share:.6f} PERCENT (system, 7)"


class FolderDialect(DuckdbDialect):
    """The same, of views over files: only their rows can be sampled."""

    kind: ClassVar[str] = "folder"

    def _sample(self, table: str, share: float) -> str:
        return f"{table} TABLESAMPLE {100 * share:.6f} PERCENT (bernoulli, 7)"


def tables(reader: Reader) -> list[tuple[str, ...]]:
    """Every table and view; a folder's each once, by its name."""
    rows = reader.read("query", sql=TABLES)
    return [
        (row["schema_name"], row["table_name"])
        for row in rows
        if reader.kind != "folder" or row["schema_name"] == "main"
    ]


def catalog(reader: Reader, names: Sequence[str]) -> Catalog:
    """The tables that were asked for, in at most three reads."""
    asked = reader.read("ask", statements={"tables": TABLES, "columns": COLUMNS, "constraints": CONSTRAINTS})
    also = _by_files(reader)
    tables = {place: row for row in asked["tables"] if (place := (row["schema_name"], row["table_name"])) not in also}  # fmt: skip
    found = choose(names, tables, prefer=("main",))
    by_files = choose([name for name in names if name not in found], also)
    found |= {name: also[place] for name, place in by_files.items() if also[place] in tables}
    wanted = set(found.values())
    columns, keys = _by_place(asked["columns"], wanted), _by_place(asked["constraints"] or [], wanted)
    made = {
        place: _table(tables[place], columns.get(place, []), keys.get(place, []), files=reader.kind == "folder").model_copy(update={"also": tuple(by for by, one in also.items() if one == place)})
        for place in wanted
    }  # fmt: skip
    return Catalog(
        system=reader.name, kind=reader.kind, tables={name: made[place] for name, place in found.items()}
    )


def _by_files(reader: Reader) -> dict[tuple[str, str], tuple[str, str]]:
    """A folder's tables by the patterns of their files, which DuckDB knows them by as well."""
    if reader.kind != "folder":
        return {}
    return {("files", pattern): ("main", name) for name, pattern in reader.read("patterns").items()}


def _by_place(
    rows: list[dict[str, Any]], wanted: set[tuple[str, str]]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if (place := (row["schema_name"], row["table_name"])) in wanted:
            found.setdefault(place, []).append(row)
    return found


def _table(
    row: dict[str, Any], columns: list[dict[str, Any]], constraints: list[dict[str, Any]], *, files: bool
) -> CatalogTable:
    of = {
        kind: [one for one in constraints if one["constraint_type"] == kind]
        for kind in ("PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "CHECK")
    }
    place = (row["schema_name"], row["table_name"])
    primary = tuple(of["PRIMARY KEY"][0]["columns"]) if of["PRIMARY KEY"] else ()
    return CatalogTable(
        name=".".join(place if place[0] != "main" else place[1:]),
        place=place,
        kind="files" if files else row["kind"],
        columns=tuple(_column(one, primary) for one in columns),
        keys=(*([primary] if primary else []), *(tuple(one["columns"]) for one in of["UNIQUE"])),
        primary_key=primary,
        foreign_keys=tuple(
            ForeignKey(
                columns=tuple(one["columns"]),
                table=one["referenced_table"],
                references=tuple(one["referenced_columns"]),
            )
            for one in of["FOREIGN KEY"]
        ),
        checks=tuple(one["expression"] for one in of["CHECK"] if one["expression"]),
        estimated_rows=row["estimated_rows"],
    )


def _column(row: dict[str, Any], primary: tuple[str, ...]) -> CatalogColumn:
    base = str(row["data_type"]).partition("(")[0]
    return CatalogColumn(
        name=row["column_name"],
        type=row["data_type"],
        family=FAMILIES.get(base, "other"),
        not_null=bool(row["not_null"]) or row["column_name"] in primary,
        comment=row["comment"] or "",
    )
