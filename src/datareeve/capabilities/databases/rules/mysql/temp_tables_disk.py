"""Many temporary tables go to the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_trend import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

ENOUGH = 1000
WARNING_SHARE = 0.25


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding where more than a quarter of at least 1,000 temporary tables did."""
    disk, every = look.grown.get("temp_tables_disk_total", 0.0), look.grown.get("temp_tables_total", 0.0)
    if disk >= ENOUGH and disk > WARNING_SHARE * every:
        yield Finding(
            rule="temp-tables-disk",
            subject=look.system,
            what=f"{disk:,.0f} of {every:,.0f} temporary tables went to the disk in {spell(look.window_seconds)}.",
            why="GROUP BY, DISTINCT and UNION then wait for the disk.",
            instead="databases.find-slow-queries names the statements; an index in their order, or no TEXT and BLOB columns in them, avoids the table.",
            severity=Severity.WARNING,
            figures={"temp_tables_disk": disk, "temp_tables": every},
        )
