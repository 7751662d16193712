"""PostgreSQL 13 and newer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from datareeve.capabilities.quality.catalog import Catalog, CatalogColumn, CatalogTable, ForeignKey
from datareeve.capabilities.quality.engines import queries
from datareeve.capabilities.quality.engines.dialect import LISTED, Dialect, Query
from datareeve.capabilities.quality.engines.places import choose
from datareeve.capabilities.quality.regexes import Syntax, by_u

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datareeve.capabilities.quality.catalog import Family
    from datareeve.core.operation import Reader

FAMILIES: dict[str, Family] = {
    "int2": "integer", "int4": "integer", "int8": "integer", "oid": "integer", "numeric": "decimal", "money": "other", "float4": "float",
    "float8": "float", "text": "text", "varchar": "text", "bpchar": "text", "citext": "text", "name": "text", "date": "date", "timestamp": "timestamp",
    "timestamptz": "timestamptz", "time": "time", "timetz": "time", "bool": "boolean", "uuid": "uuid", "json": "json", "jsonb": "json", "bytea": "binary",
}  # fmt: skip
SHORT = 4  # signs
PACKED = {"integer": "{}", "smallint": "{}", "date": "({} - DATE '2000-01-01')"}  # whole numbers of 32 bits
UNPACKED = {"integer": "({})::integer", "smallint": "({})::smallint", "date": "DATE '2000-01-01' + ({})::integer"}  # fmt: skip
KINDS = {"r": "table", "v": "view", "m": "view", "p": "partitioned", "f": "foreign"}


class PostgresqlDialect(Dialect):
    """PostgreSQL's SQL."""

    kind: ClassVar[str] = "postgresql"
    sqlglot: ClassVar[str] = "postgres"
    integer_type: ClassVar[str] = "bigint"
    now: ClassVar[str] = "extract(epoch FROM CURRENT_TIMESTAMP)::float8"
    casts_round: ClassVar[bool] = True
    nan_is_greatest: ClassVar[bool] = True
    groups_few: ClassVar[bool] = True
    syntax: ClassVar[Syntax] = Syntax(end=r"\Z", hexadecimal=by_u)

    def is_nan(self, column: str, family: str) -> str:
        """PostgreSQL's NaN equals itself, and is greater than any number."""
        return f"{column} = 'NaN'" if family in ("float", "decimal") else ""

    def as_text(self, column: str, family: str) -> str:
        """An enumeration is text only when it is cast; of text the cast costs nothing."""
        del family
        return f"CAST({column} AS text)"

    def matches(self, column: str, regex: str) -> str:
        """An advanced regular expression; under the collation C classes are what they say."""
        return f'({column}) COLLATE "C" ~ {self.text(regex)}'

    def contains(self, column: str, part: str) -> str:
        """LIKE is a fifth cheaper than position()."""
        escaped = part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{column} LIKE {self.text(f'%{escaped}%')}"

    def length_within(self, column: str, given: Mapping[str, Any]) -> str:
        """A text never has more characters than bytes, and bytes need not be counted."""
        said = super().length_within(column, given)
        most = given.get("at_most")
        if most is None or set(given) != {"at_most"}:
            return said
        return f"octet_length({column}) <= {self.value(most, 'integer')} OR {said}"

    def only_of(self, column: str, signs: str, least: int, most: int | None) -> str:
        """Of short texts: translate() takes each sign through the list, which is dearer than a regex from five on."""
        if most is None or most > SHORT:
            return ""
        length = f"char_length({column})"
        bounds = f"{length} = {least}" if least == most else f"{length} BETWEEN {least} AND {most}"
        return f"translate({column}, {self.text(signs)}, '') = '' AND {bounds}"

    def exact(self, column: str, family: str) -> str:
        """Under the collation C: a comparison of bytes, whatever others take for equal, and cheaper."""
        return f'({column}) COLLATE "C"' if family == "text" else column

    def distinct(self, source: str, columns: Sequence[CatalogColumn]) -> Query:
        """By sorting: grouping is never done in parallel here, and spills. Two small whole numbers are one."""
        if len(columns) != 2 or not all(column.type in PACKED for column in columns):  # noqa: PLR2004 - into 64 bits
            return super().distinct(source, columns)
        named = [self.name(column.name) for column in columns]
        high, low = (PACKED[column.type].format(name) for name, column in zip(named, columns, strict=True))
        packed = f"({high}::bigint << 32) | ({low}::bigint & 4294967295)"
        times = self.times(named)
        # In order: the hash of a 64 bit number is of its halves, one upon the other, and grouping by it would never end.
        inner = f"SELECT {packed} AS packed FROM {source} ORDER BY 1"
        twice = f"SELECT packed, {times} FROM ({inner}) AS found GROUP BY 1 HAVING count(*) > 1 LIMIT {LISTED + 1}"
        first, second = (
            UNPACKED[column.type].format(half)
            for half, column in zip(("packed >> 32", "(packed << 32) >> 32"), columns, strict=True)
        )
        return Query(
            sql=f"SELECT count(*) - count(DISTINCT {packed}) AS failing FROM {source}",
            listing=f"SELECT {first} AS {named[0]}, {second} AS {named[1]}, {times.rpartition(' AS ')[2]} FROM ({twice}) AS twice",
            grouped=True,
        )

    def listed(self, shown: str, source: str, condition: str) -> str:
        """Planned as if all were wanted: for a few rows a join is not done in parallel, and reads a table again and again."""
        return f"WITH found AS MATERIALIZED (SELECT {shown} FROM {source} WHERE {condition}) SELECT * FROM found LIMIT {LISTED + 1}"

    def mean(self, column: str, family: str) -> str:
        """Of decimals it is exact, and cheaper than of their doubles."""
        return f"avg({column})::float8" if family in ("decimal", "integer") else super().mean(column, family)

    def moment(self, value: str, family: str) -> str:
        """With its zone, where the column has one."""
        said = super().moment(value, family)
        return f"TIMESTAMPTZ{said.removeprefix('TIMESTAMP')}" if family == "timestamptz" else said

    def epoch(self, expression: str, family: str) -> str:
        """As a double."""
        del family
        return f"extract(epoch FROM {expression})::float8"

    def _sample(self, table: str, share: float) -> str:
        return f"{table} TABLESAMPLE SYSTEM ({100 * share:.6f}) REPEATABLE (7)"


def tables(reader: Reader) -> list[tuple[str, ...]]:
    """Every table and view outside the server's own schemas."""
    return [
        (row["schema"], row["name"]) for row in reader.read("query", sql=queries.load("postgresql_tables"))
    ]


def catalog(reader: Reader, names: Sequence[str]) -> Catalog:
    """The tables that were asked for, in three reads."""
    relations = reader.read("query", sql=queries.load("postgresql_tables"))
    found = choose(names, [(row["schema"], row["name"]) for row in relations], prefer=_path(reader))
    by_place = {(row["schema"], row["name"]): row for row in relations}
    oids = {"oids": [by_place[place]["oid"] for place in set(found.values())]}
    columns = (
        _grouped(reader.read("query", sql=queries.load("postgresql_columns"), parameters=oids))
        if found
        else {}
    )
    constraints = (
        _grouped(reader.read("query", sql=queries.load("postgresql_constraints"), parameters=oids))
        if found
        else {}
    )
    made = {place: _table(by_place[place], columns, constraints) for place in set(found.values())}
    return Catalog(
        system=reader.name, kind="postgresql", tables={name: made[place] for name, place in found.items()}
    )


def _path(reader: Reader) -> list[str]:
    return list(reader.read("query", sql="SELECT unnest(current_schemas(false))", shape="column"))


def _grouped(rows: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["oid"], []).append(row)
    return found


def _table(
    row: dict[str, Any],
    columns: dict[int, list[dict[str, Any]]],
    constraints: dict[int, list[dict[str, Any]]],
) -> CatalogTable:
    own = constraints.get(row["oid"], [])
    if row["is_elsewhere"] or row["has_heirs"]:
        kept = ("c", "i") if row["has_heirs"] else ("i",)
        own = [one for one in own if one["kind"] in kept]
    primary = next((tuple(one["columns"]) for one in own if one["kind"] == "p"), ())
    return CatalogTable(
        name=f"{row['schema']}.{row['name']}",
        place=(row["schema"], row["name"]),
        kind=KINDS[row["kind"]],
        columns=tuple(_column(one, row) for one in columns.get(row["oid"], [])),
        keys=(*([primary] if primary else []), *(tuple(one["columns"]) for one in own if one["kind"] == "u")),
        nulls_distinct=any(one["kind"] == "u" and not one["nulls_equal"] for one in own),
        primary_key=primary,
        foreign_keys=tuple(_foreign_key(one) for one in own if one["kind"] == "f"),
        checks=tuple(one["expression"] for one in own if one["kind"] == "c"),
        indexed=tuple(tuple(one["columns"]) for one in own if one["kind"] == "i"),
        estimated_rows=max(int(row["rows"]), 0) if row["rows"] >= 0 else None,
        bytes=row["bytes"],
        why_not="" if row["may_use"] else f"no right to use the schema {row['schema']}",
    )


def _column(row: dict[str, Any], table: dict[str, Any]) -> CatalogColumn:
    kept = not table["is_elsewhere"]
    return CatalogColumn(
        name=row["name"],
        type=row["type"],
        values=tuple(row["labels"] or ()),
        family="text" if row["labels"] else FAMILIES.get(row["base"], "other"),
        not_null=row["not_null"] and kept and not table["has_heirs"],  # an heir may have dropped it
        readable=row["readable"],
        comment=row["comment"] or "",
        distinct=row["distinct_values"],
        max_length=row["max_length"] if kept else None,
        collation="citext" if row["base"] == "citext" else row["collation"] or "",
    )


def _foreign_key(row: dict[str, Any]) -> ForeignKey:
    return ForeignKey(
        columns=tuple(row["columns"]),
        table=row["references_table"],
        references=tuple(row["references_columns"]),
    )
