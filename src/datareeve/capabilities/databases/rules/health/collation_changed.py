"""Text sorts differently than when the indexes were built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding a collation whose recorded version is not the library's of today."""
    for name, recorded, actual in health.collations_changed:
        yield Finding(
            rule="collation-changed",
            subject=f"collation {name}",
            what=f"Its order was recorded with version {recorded}; the operating system's is {actual} now.",
            why="Indexes on text may be in the wrong order: rows are not found, and unique ones let duplicates in.",
            instead="Rebuild the indexes on text of that collation (databases.reindex), then ALTER COLLATION ... or ALTER DATABASE ... REFRESH COLLATION VERSION.",
            severity=Severity.CRITICAL,
            mended_by="databases.reindex",
        )
