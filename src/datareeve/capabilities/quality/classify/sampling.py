"""How a table is sampled for the classifier: one statement of bounded cost, rows from across the table, every column as text.

Which rows: PostgreSQL and Spark take blocks from all over a large table (TABLESAMPLE, REPEATABLE), DuckDB a reservoir, SQLite rows at even steps of
its rowid, MariaDB and MySQL each row by chance until there are enough. A small table is read in whole. The text of a value is cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.classify.column import ColumnEvidence
from datareeve.core.personal_data.values import Looks

if TYPE_CHECKING:
    from datareeve.capabilities.quality.catalog import CatalogColumn, CatalogTable
    from datareeve.capabilities.quality.engines.dialect import Dialect

ROWS = 400  # of a table
SMALL = 20_000  # rows: below it the whole table is read to choose from
CHARACTERS = 4_000  # of a value
SEED = 7


def sampled(table: CatalogTable) -> list[CatalogColumn]:
    """The columns whose values are looked at: those that may be read, and hold text of some kind."""
    return [column for column in table.columns if column.readable and column.family != "binary"]


def statements(table: CatalogTable, dialect: Dialect) -> list[str]:
    """The statement that samples a table, and a plainer one for where the engine will not answer it; none where nothing can be read."""
    columns = sampled(table)
    if not columns or table.why_not:
        return []
    told = ", ".join(f"{_text(dialect, column)} AS c{place}" for place, column in enumerate(columns))
    source = dialect.table(table)
    plain = f"SELECT {told} FROM {source} LIMIT {ROWS}"
    make = _OF.get(dialect.kind)
    better = make(told, source, table) if make else plain
    return list(dict.fromkeys((better, plain)))


def _text(dialect: Dialect, column: CatalogColumn) -> str:
    name = dialect.name(column.name)
    cast = {
        "postgresql": f"({name})::text",
        "mysql": f"CAST({name} AS CHAR CHARACTER SET utf8mb4)",
        "sqlite": f"CAST({name} AS TEXT)",
    }.get(dialect.kind, f"CAST({name} AS {'STRING' if dialect.kind == 'spark' else 'VARCHAR'})")
    return f"substr({cast}, 1, {CHARACTERS})"


def _percent(table: CatalogTable) -> float:
    """Of blocks, so that some five times as many rows are met as are taken."""
    return min(100.0, max(0.001, 500.0 * ROWS / max(table.estimated_rows or 1, 1)))


def _postgresql(told: str, source: str, table: CatalogTable) -> str:
    if table.kind in ("table", "partitioned") and (table.estimated_rows or 0) > SMALL:
        return f"SELECT {told} FROM {source} TABLESAMPLE SYSTEM ({_percent(table):.4f}) REPEATABLE ({SEED}) LIMIT {ROWS}"
    if table.kind in ("table", "partitioned"):
        return (
            f"SELECT {told} FROM (SELECT * FROM {source} LIMIT {SMALL}) AS t ORDER BY hashtext(t::text) LIMIT {ROWS}"
            if _narrow(table)
            else f"SELECT {told} FROM {source} LIMIT {ROWS}"
        )
    return f"SELECT {told} FROM {source} LIMIT {ROWS}"


def _narrow(table: CatalogTable) -> bool:
    """Whether whole rows can be read: every column is readable, and none is large by its type."""
    return all(column.readable and column.family not in ("binary", "json") for column in table.columns)


def _duckdb(told: str, source: str, table: CatalogTable) -> str:
    del table
    return f"SELECT {told} FROM (SELECT * FROM {source} USING SAMPLE reservoir({ROWS} ROWS) REPEATABLE ({SEED})) AS t"


def _sqlite(told: str, source: str, table: CatalogTable) -> str:
    if table.kind == "view":
        return f"SELECT {told} FROM {source} LIMIT {ROWS}"
    step = f"(((SELECT max(rowid) FROM {source}) - (SELECT min(rowid) FROM {source})) / {ROWS - 1}.0)"
    return (
        f"WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < {ROWS - 1}), "
        f"picked(r) AS (SELECT DISTINCT (SELECT min(rowid) FROM {source} WHERE rowid >= (SELECT min(rowid) FROM {source}) + CAST(i.n * {step} AS INTEGER)) FROM i) "
        f"SELECT {told} FROM {source} WHERE rowid IN (SELECT r FROM picked)"
    )


def _mysql(told: str, source: str, table: CatalogTable) -> str:
    rows = table.estimated_rows or 0
    chance = f" WHERE RAND({SEED}) < {min(1.0, 5.0 * ROWS / rows):.8f}" if rows > SMALL else ""
    return f"SELECT {told} FROM {source}{chance} LIMIT {ROWS}"


def _spark(told: str, source: str, table: CatalogTable) -> str:
    if (table.estimated_rows or 0) > SMALL:
        return f"SELECT {told} FROM {source} TABLESAMPLE ({_percent(table):.4f} PERCENT) REPEATABLE ({SEED}) LIMIT {ROWS}"
    return f"SELECT {told} FROM {source} LIMIT {ROWS}"


_OF = {"postgresql": _postgresql, "duckdb": _duckdb, "folder": _duckdb, "sqlite": _sqlite, "mysql": _mysql, "spark": _spark}  # fmt: skip


def evidence(table: CatalogTable, answer: list[dict[str, Any]]) -> list[ColumnEvidence]:
    """The columns of a table as the classifier takes them; those that were not looked at have their names alone."""
    seen = {column.name: one for column, one in zip(sampled(table), answer, strict=False)}
    return [_evidence(table, column, seen.get(column.name)) for column in table.columns]


def _evidence(table: CatalogTable, column: CatalogColumn, one: dict[str, Any] | None) -> ColumnEvidence:
    rows = int(one["rows"]) if one else 0
    there = rows - int(one["nulls"]) if one else 0
    return ColumnEvidence(
        name=column.name,
        type=column.type,
        family=column.family,
        comment=column.comment,
        looks=Looks.model_validate(one["looks"]) if one else Looks(),
        null_share=1 - there / rows if one and rows else None,
        distinct_ratio=int(one["distinct"]) / there if one and there else None,
        table=table.name,
        rows=rows if one else None,
    )
