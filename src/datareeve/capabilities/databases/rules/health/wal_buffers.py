"""WAL is written by whoever finds its buffers full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

INFO_PER_SECOND = 10.0


def find(health: Health) -> Iterator[Finding]:
    """One finding from ten times a second between two looks (manual, pg_stat_wal: wal_buffers_full)."""
    rate = health.figures.get("wal_buffers_full_per_second", 0.0)
    if rate >= INFO_PER_SECOND:
        yield Finding(
            rule="wal-buffers",
            subject=health.system,
            what=f"The WAL buffers were full {rate:.0f} times a second, {health.rates_since}.",
            why="Each time a session writes WAL itself before it can go on.",
            instead="Raise wal_buffers (databases.tune-settings); it needs a restart.",
            severity=Severity.INFO,
            figures={"wal_buffers_full_per_second": rate},
            mended_by="databases.tune-settings",
        )
