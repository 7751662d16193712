"""Spark 4, in ANSI mode, with its session in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from datareeve.capabilities.quality.catalog import Catalog, CatalogColumn, CatalogTable
from datareeve.capabilities.quality.engines.dialect import Dialect
from datareeve.capabilities.quality.engines.places import choose, parts
from datareeve.capabilities.quality.regexes import Syntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.catalog import Family
    from datareeve.core.operation import Reader

FAMILIES: dict[str, Family] = {
    **dict.fromkeys("tinyint smallint int bigint".split(), "integer"), "decimal": "decimal", "float": "float", "double": "float", "string": "text",
    "varchar": "text", "char": "text", "date": "date", "timestamp": "timestamptz", "timestamp_ntz": "timestamp", "boolean": "boolean", "binary": "binary",
}  # fmt: skip


class SparkDialect(Dialect):
    """Spark's SQL."""

    kind: ClassVar[str] = "spark"
    sqlglot: ClassVar[str] = "spark"
    quote: ClassVar[str] = "`"
    text_type: ClassVar[str] = "string"
    now: ClassVar[str] = "unix_timestamp()"
    integer_type: ClassVar[str] = "bigint"
    backtracks: ClassVar[bool] = True  # Java's regex
    syntax: ClassVar[Syntax] = Syntax(vertical_tab=r"\x0b")
    nan_is_greatest: ClassVar[bool] = True

    def text(self, value: str) -> str:
        """Backslashes escape here, and so are quotes written."""
        super().text(value)
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def is_nan(self, column: str, family: str) -> str:
        """Floats only."""
        return f"isnan({column})" if family == "float" else ""

    def matches(self, column: str, regex: str) -> str:
        """Java's, anywhere within."""
        return f"{column} RLIKE {self.text(regex)}"

    def real(self, expression: str) -> str:
        """As a double."""
        return f"CAST({expression} AS double)"

    def quantile(self, column: str, q: float) -> str:
        """Exact, and continuous."""
        return f"percentile({column}, {q:.15g})"

    def epoch(self, expression: str, family: str) -> str:
        """As a double, to the microsecond."""
        del family
        return f"(unix_micros(CAST({expression} AS timestamp)) / 1e6)"

    def moment(self, value: str, family: str) -> str:
        """A moment without a zone has its own word."""
        said = super().moment(value, family)
        return said.replace("TIMESTAMP ", "TIMESTAMP_NTZ ", 1) if family == "timestamp" else said

    def _sample(self, table: str, share: float) -> str:
        return f"{table} TABLESAMPLE ({100 * share:.6f} PERCENT) REPEATABLE (7)"


def tables(reader: Reader) -> list[tuple[str, ...]]:
    """Every table and view that the session knows."""
    return [parts(name) for name in reader.read("tables")]


def catalog(reader: Reader, names: Sequence[str]) -> Catalog:
    """The tables that were asked for. Spark guarantees nothing of them but their columns and types."""
    known = [parts(name) for name in reader.read("tables")]
    found = choose(names, known, prefer=("default",))
    made = {place: _table(reader, place) for place in set(found.values())}
    return Catalog(
        system=reader.name, kind="spark", tables={name: made[place] for name, place in found.items()}
    )


def _table(reader: Reader, place: tuple[str, ...]) -> CatalogTable:
    columns = reader.read("columns", table=".".join(f"`{part.replace('`', '``')}`" for part in place))
    return CatalogTable(
        name=".".join(place),
        place=place,
        kind="files",
        columns=tuple(
            CatalogColumn(
                name=one["name"],
                type=one["type"],
                family=FAMILIES.get(str(one["type"]).partition("(")[0], "other"),
                comment=one.get("comment") or "",
            )
            for one in columns
        ),
    )
