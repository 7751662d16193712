"""MariaDB and MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from datareeve.capabilities.quality.catalog import Catalog, CatalogColumn, CatalogTable, ForeignKey
from datareeve.capabilities.quality.engines import queries
from datareeve.capabilities.quality.engines.dialect import Dialect, Query
from datareeve.capabilities.quality.engines.places import choose
from datareeve.capabilities.quality.regexes import Syntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.catalog import Family
    from datareeve.core.operation import Reader

FAMILIES: dict[str, Family] = {
    **dict.fromkeys("tinyint smallint mediumint int bigint year".split(), "integer"), "decimal": "decimal", "float": "float", "double": "float",
    **dict.fromkeys("char varchar tinytext text mediumtext longtext enum set".split(), "text"), "date": "date", "datetime": "timestamp",
    "timestamp": "timestamptz", "time": "time", "uuid": "uuid", "inet6": "other", "json": "json",
    **dict.fromkeys("binary varbinary tinyblob blob mediumblob longblob bit".split(), "binary"),
}  # fmt: skip
ASKED = ("mysql_tables", "mysql_columns", "mysql_keys", "mysql_references", "mysql_checks")


class MysqlDialect(Dialect):
    """MariaDB's SQL, with the connection in utf8mb4 and backslashes that escape."""

    kind: ClassVar[str] = "mysql"
    sqlglot: ClassVar[str] = "mysql"
    quote: ClassVar[str] = "`"
    text_type: ClassVar[str] = "char"
    integer_type: ClassVar[str] = "signed"
    now: ClassVar[str] = "unix_timestamp()"
    casts_round: ClassVar[bool] = True
    folds: ClassVar[bool] = True
    backtracks: ClassVar[bool] = True
    syntax: ClassVar[Syntax] = Syntax(prefix="(?-i)", vertical_tab=r"\x0b")

    def text(self, value: str) -> str:
        """Backslashes escape here."""
        return super().text(value).replace("\\", "\\\\")

    def count_where(self, condition: str) -> str:
        """A condition is 1, 0 or NULL."""
        return f"coalesce(sum({condition}), 0)"

    def boolean(self, *, value: bool) -> str:
        """A number."""
        return "1" if value else "0"

    def matches(self, column: str, regex: str) -> str:
        """PCRE, whatever the column's character set."""
        return f"CONVERT({column} USING utf8mb4) REGEXP {self.text(regex)}"

    def contains(self, column: str, part: str) -> str:
        """As `exact`."""
        return f"locate({self.text(part)}, {self.exact(column, 'text')}) > 0"

    def exact(self, column: str, family: str) -> str:
        """Byte by byte: the collation would fold case, accents and spaces at the end."""
        return f"CAST(CONVERT({column} USING utf8mb4) AS BINARY)" if family == "text" else column

    def distinct(self, source: str, columns: Sequence[CatalogColumn]) -> Query:
        """Several columns at once, without a row around them: it leaves out what has a NULL, as is wanted."""
        exact = ", ".join(self.exact(self.name(column.name), column.family) for column in columns)
        counted = f"SELECT count(*) - count(DISTINCT {exact}) AS failing FROM {source}"
        return Query(sql=counted, listing=self.repeated(source, columns), grouped=True)

    def orphans(self, child: str, parent: str, pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """By NOT IN, which is answered from a hash of the parent's keys; a LEFT JOIN reads the parent for every row where none is indexed."""
        return child, self.not_in(parent, pairs)

    def real(self, expression: str) -> str:
        """As a double."""
        return f"({expression} + 0.0E0)"

    def stddev(self, column: str) -> str:
        """Of whole numbers it would have four decimals."""
        return super().stddev(self.real(column))

    def quantile(self, column: str, q: float) -> str:
        """There is none as an aggregate."""
        del column, q
        return ""

    def epoch(self, expression: str, family: str) -> str:
        """A TIMESTAMP is a moment; DATE and DATETIME are taken as UTC."""
        if family == "timestamptz":
            return f"unix_timestamp({expression})"
        return f"(timestampdiff(MICROSECOND, '1970-01-01', {expression}) / 1000000)"

    def moment(self, value: str, family: str) -> str:
        """A moment with a zone is told in the session's, which is UTC."""
        said = super().moment(value, "timestamptz" if family == "timestamptz" else family)
        return said.replace("+00:00'", "'").replace("DATE '", "CAST('").replace("TIMESTAMP '", "CAST('") + (" AS DATE)" if family == "date" else " AS DATETIME(6))")  # fmt: skip

    def _sample(self, table: str, share: float) -> str:
        return f"(SELECT * FROM {table} WHERE rand(7) < {share:.9f}) AS sampled"


def tables(reader: Reader) -> list[tuple[str, ...]]:
    """Every table and view of the database in the URL."""
    database = reader.read("server")["database"]
    rows = reader.read("query", sql=queries.load("mysql_tables"))
    return [(row["table_schema"], row["table_name"]) for row in rows if row["table_schema"] == database]


def catalog(reader: Reader, names: Sequence[str]) -> Catalog:
    """The tables that were asked for, in five small reads."""
    asked = {name: reader.read("query", sql=queries.load(name)) for name in ASKED[:1]}
    rows = {(row["table_schema"], row["table_name"]): row for row in asked["mysql_tables"]}
    found = choose(names, rows, prefer=(reader.read("server")["database"],))
    rest = {
        name: _by_place(reader.read("query", sql=queries.load(name)), set(found.values()))
        for name in ASKED[1:]
    }
    made = {place: _table(rows[place], place, rest) for place in set(found.values())}
    return Catalog(
        system=reader.name,
        kind="mysql",
        tables={name: made[place] for name, place in found.items()},
    )


def _by_place(
    rows: list[dict[str, Any]], wanted: set[tuple[str, str]]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if (place := (row["table_schema"], row["table_name"])) in wanted:
            found.setdefault(place, []).append(row)
    return found


def _table(row: dict[str, Any], place: tuple[str, str], rest: dict[str, Any]) -> CatalogTable:
    keys = _collected(rest["mysql_keys"].get(place, []))
    unique = {name: columns for (name, is_unique), columns in keys.items() if is_unique}
    primary = unique.pop("PRIMARY", ())
    return CatalogTable(
        name=".".join(place),
        place=place,
        kind="view" if row["table_type"] == "VIEW" else "table",
        columns=tuple(_column(one) for one in rest["mysql_columns"].get(place, [])),
        keys=(*([primary] if primary else []), *unique.values()),
        primary_key=primary,
        kept=False,
        foreign_keys=tuple(_references(rest["mysql_references"].get(place, []))),
        checks=tuple(one["expression"] for one in rest["mysql_checks"].get(place, [])),
        indexed=tuple(keys.values()),
        estimated_rows=row["estimated_rows"],
        bytes=row["bytes"],
    )


def _collected(rows: list[dict[str, Any]]) -> dict[tuple[str, bool], tuple[str, ...]]:
    """Columns by index, in order; one on a prefix of a column or an expression is none."""
    found: dict[tuple[str, bool], tuple[str, ...]] = {}
    partial = {row["index_name"] for row in rows if row["partial"]}
    for row in rows:
        if row["index_name"] not in partial:
            key = (row["index_name"], bool(row["is_unique"]))
            found[key] = (*found.get(key, ()), row["column_name"])
    return found


def _references(rows: list[dict[str, Any]]) -> list[ForeignKey]:
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(row["constraint_name"], []).append(row)
    return [
        ForeignKey(
            columns=tuple(one["column_name"] for one in own),
            table=f"{own[0]['referenced_schema']}.{own[0]['referenced_table']}",
            references=tuple(one["referenced_column"] for one in own),
        )
        for own in by_name.values()
    ]


def _column(row: dict[str, Any]) -> CatalogColumn:
    boolean = row["column_type"] == "tinyint(1)"
    return CatalogColumn(
        name=row["column_name"],
        type=row["column_type"],
        values=_labels(row["column_type"]) if row["data_type"] == "enum" else (),
        family="boolean" if boolean else FAMILIES.get(row["data_type"], "other"),
        not_null=row["is_nullable"] == "NO",
        comment=row["column_comment"] or "",
        max_length=row["max_length"] if row["data_type"] in ("char", "varchar") else None,
        collation=row["collation_name"] or "",
    )


def _labels(type_: str) -> tuple[str, ...]:
    return tuple(
        part.replace("''", "'") for part in type_.removeprefix("enum('").removesuffix("')").split("','")
    )
