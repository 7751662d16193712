"""Tables whose indexes were never counted, or are ten times as large now: the planner guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.sqlite import SqliteLook

WORTH_ROWS = 10_000
FACTOR = 10


def find(look: SqliteLook) -> Iterator[Finding]:
    """One finding a table of at least 10,000 rows that has an index."""
    for table in look.tables:
        if not table.indexes or table.rows < WORTH_ROWS:
            continue
        if table.counted_rows is None:
            what = f"{table.name} has about {table.rows:,} rows and {table.indexes} indexes, and ANALYZE never looked at it."
        elif not table.counted_rows / FACTOR <= table.rows <= table.counted_rows * FACTOR:
            what = f"{table.name} has about {table.rows:,} rows; when ANALYZE last looked it had {table.counted_rows:,}."
        else:
            continue
        yield Finding(
            rule="statistics-missing" if table.counted_rows is None else "stale-statistics",
            subject=table.name,
            what=what,
            why="Without counts the planner takes the first index that fits, whether it tells rows apart or not.",
            instead="PRAGMA optimize, when the application closes its connection (or ANALYZE once).",
            severity=Severity.INFO,
            figures={"rows": table.rows},
        )
