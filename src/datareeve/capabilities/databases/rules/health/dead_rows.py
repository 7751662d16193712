"""Vacuum does not keep up with a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health import ago
from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health, Table

ENOUGH_ROWS = 10_000
WARNING_PERCENT = 33.0
FAR_BEHIND = 5.0  # times the dead rows at which autovacuum comes (manual, The Autovacuum Daemon)
OLD_HORIZON = 1000  # transactions: so old that most of the dead rows may be of later ones


def find(health: Health) -> Iterator[Finding]:
    """One finding a table with 10,000 dead rows or more that make up a third of it, or five times what autovacuum comes at."""
    for table in health.tables:
        if table.dead_rows >= ENOUGH_ROWS and (table.dead_percent >= WARNING_PERCENT or _far_behind(table)):
            yield Finding(
                rule="dead-rows",
                subject=f"{table.schema_name}.{table.name}",
                what=f"{table.dead_percent:g} % of its rows are dead; last vacuum: {ago(table.vacuum_age_seconds)}.",
                why="Every scan reads them, and the table grows instead of reusing their space.",
                instead=_advice(table, health),
                figures={"dead_rows": table.dead_rows, "live_rows": table.live_rows},
                mended_by="databases.vacuum-table",
            )


def _far_behind(table: Table) -> bool:
    return table.vacuum_at_rows is not None and table.dead_rows >= FAR_BEHIND * max(table.vacuum_at_rows, 1.0)


def _advice(table: Table, health: Health) -> str:
    if health.horizon and health.horizon[0][0] >= OLD_HORIZON:
        age, who, end = health.horizon[0]
        return f"First end what holds vacuum back: {who}, {age:,} transactions old; it ends with {end}. Then VACUUM it (databases.vacuum-table)."
    slow = "it is off for this table" if table.autovacuum_off else "lower its scale factor"
    return f"VACUUM (ANALYZE) it (databases.vacuum-table), and let autovacuum come earlier (databases.tune-autovacuum): {slow}."
