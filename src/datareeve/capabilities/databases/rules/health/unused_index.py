"""Large indexes that no query has used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

LONG_ENOUGH_SECONDS = 30 * 86400  # a month: the report at the end of it has run
NAMED = 5


def find(health: Health) -> Iterator[Finding]:
    """One finding for all of them, when the statistics are a month old; databases.advise-indexes looks closer."""
    found = [index for index in health.indexes if index.trouble == "unused"]
    if (
        found
        and not health.in_recovery
        and health.figures.get("statistics_seconds", 0.0) >= LONG_ENOUGH_SECONDS
    ):
        names = ", ".join(f"{index.schema_name}.{index.name}" for index in found[:NAMED])
        yield Finding(
            rule="unused-index",
            subject=health.system,
            what=f"{len(found)} indexes of 10 MiB or more were never used here: {names}.",
            why="Every write keeps them up. A standby may use them: its counts are its own.",
            instead="databases.advise-indexes says which can go, and what depends on them; databases.drop-index drops one.",
            severity=Severity.INFO,
            figures={"indexes": len(found), "bytes": sum(index.bytes for index in found)},
        )
