"""A table that autovacuum passes over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

ENOUGH_ROWS = 1000  # dead or changed


def find(health: Health) -> Iterator[Finding]:
    """One finding a table with autovacuum_enabled = off that is being written."""
    for table in health.tables:
        if table.autovacuum_off and max(table.dead_rows, table.changed_rows) >= ENOUGH_ROWS:
            yield Finding(
                rule="autovacuum-off",
                subject=table.full_name,
                what=f"autovacuum_enabled is off for it; it has {table.dead_rows:,} dead rows and {table.changed_rows:,} changed since ANALYZE.",
                why="It bloats and its statistics grow old until someone thinks of it; only against wraparound is it vacuumed still.",
                instead="ALTER TABLE ... RESET (autovacuum_enabled), and set its thresholds instead (databases.tune-autovacuum).",
                figures={"dead_rows": table.dead_rows, "changed_rows": table.changed_rows},
                mended_by="databases.tune-autovacuum",
            )
