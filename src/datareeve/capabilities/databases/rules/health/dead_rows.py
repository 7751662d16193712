"""Vacuum does not keep up with a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health import ago
from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

ENOUGH_ROWS = 10_000
WARNING_PERCENT = 33.0


def find(health: Health) -> Iterator[Finding]:
    """One finding a table with 10,000 dead rows or more that make up a third of it."""
    for table in health.tables:
        if table.dead_rows >= ENOUGH_ROWS and table.dead_percent >= WARNING_PERCENT:
            yield Finding(
                rule="dead-rows",
                subject=f"{table.schema_name}.{table.name}",
                what=f"{table.dead_percent:g} % of its rows are dead; last vacuum: {ago(table.vacuum_age_seconds)}.",
                why="Every scan reads them, and the table grows instead of reusing their space.",
                instead="VACUUM (ANALYZE) it, and lower its autovacuum_vacuum_scale_factor; look for a long transaction first.",
                figures={"dead_rows": table.dead_rows, "live_rows": table.live_rows},
            )
