"""The planner works with statistics of a table that is no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health import ago
from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

ENOUGH_ROWS = 10_000


def find(health: Health) -> Iterator[Finding]:
    """One finding a table where more than half of at least 10,000 rows changed since ANALYZE."""
    for table in health.tables:
        if (
            not table.never_analyzed
            and table.changed_rows >= ENOUGH_ROWS
            and table.changed_rows > table.live_rows / 2
        ):
            yield Finding(
                rule="stale-statistics",
                subject=f"{table.schema_name}.{table.name}",
                what=f"{table.changed_rows:,} rows changed since ANALYZE, which last ran: {ago(table.analyze_age_seconds)}.",
                why="Row estimates are wrong, and with them the plans.",
                instead="ANALYZE it (databases.analyze-table); autovacuum does so by itself when it is on and keeps up.",
                figures={"changed_rows": table.changed_rows, "live_rows": table.live_rows},
                mended_by="databases.analyze-table",
            )
