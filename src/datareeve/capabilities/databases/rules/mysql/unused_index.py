"""An index that no statement used since the server started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

ENOUGH_DAYS = 7.0  # an index for a weekly report is unused on six days


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding an index, once the server is up for a week."""
    days = look.figures.get("uptime_seconds", 0.0) / 86_400
    if days >= ENOUGH_DAYS:
        for table, index in look.unused_indexes:
            yield Finding(
                rule="unused-index",
                subject=f"{table} ({index})",
                what=f"{index} was not used once in {days:.0f} days here. A replica may still use it.",
                why="It takes room, and every write keeps it up to date.",
                instead=f"MySQL: ALTER INDEX {index} INVISIBLE, MariaDB: IGNORED, for a while; then DROP INDEX.",
                severity=Severity.INFO,
            )
