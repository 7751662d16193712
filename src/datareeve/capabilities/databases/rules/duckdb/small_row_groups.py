"""A table in many small row groups: rows were inserted a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.duckdb import DuckdbLook

FULL_GROUP = 122_880  # rows; https://duckdb.org/docs/stable/internals/storage
WORTH_GROUPS = 20
SHARE = 0.1


def find(look: DuckdbLook) -> Iterator[Finding]:
    """One finding a table with at least 20 row groups that are a tenth full on average."""
    for table in look.tables:
        if table.row_groups >= WORTH_GROUPS and table.rows < SHARE * table.row_groups * FULL_GROUP:
            yield Finding(
                rule="small-row-groups",
                subject=table.name,
                what=f"Its {table.rows:,} rows lie in {table.row_groups:,} row groups, {table.rows / table.row_groups:,.0f} in each; a full one has {FULL_GROUP:,}.",
                why="Each is compressed and scanned by itself: the table is larger and slower than it need be.",
                instead="CREATE OR REPLACE TABLE ... AS SELECT * packs it once; insert in batches, or with COPY or the appender.",
                severity=Severity.INFO,
                figures={"rows": table.rows, "row_groups": table.row_groups},
            )
