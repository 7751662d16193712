"""The planner knows nothing of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

ENOUGH_ROWS = 10_000


def find(health: Health) -> Iterator[Finding]:
    """One finding a table of 10,000 rows or more without any statistics."""
    for table in health.tables:
        if table.ours and table.never_analyzed and table.live_rows >= ENOUGH_ROWS:
            yield Finding(
                rule="never-analyzed",
                subject=table.full_name,
                what=f"It has about {table.live_rows:,} rows and was never analysed.",
                why="Its rows are guessed from the size of the file and its values from nothing, and so are the plans of every join with it.",
                instead="ANALYZE it now (databases.analyze-table)"
                + (
                    "; its autovacuum is off, so nothing will do it by itself."
                    if table.autovacuum_off
                    else "; autovacuum does so later by itself."
                ),
                figures={"live_rows": table.live_rows},
                mended_by="databases.analyze-table",
            )
