"""Two indexes that are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding an index that is equal to another in everything but its name."""
    for index in health.indexes:
        if index.trouble == "duplicate":
            yield Finding(
                rule="duplicate-index",
                subject=f"{index.schema_name}.{index.name}",
                what=f"It is the same index on {index.table} as {index.same_as}.",
                why="Every write keeps up both; queries use one.",
                instead="Drop it (databases.drop-index, which looks at what depends on it); databases.advise-indexes finds the rest.",
                severity=Severity.INFO,
                figures={"bytes": index.bytes},
                mended_by="databases.drop-index",
            )
