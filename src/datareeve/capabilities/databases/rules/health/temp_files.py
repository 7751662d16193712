"""Sorts and hashes spill to disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_BYTES_PER_SECOND = 2**20
LONG_ENOUGH_SECONDS = 300  # of statistics: a load or an index build is no habit


def find(health: Health) -> Iterator[Finding]:
    """One finding from 1 MiB a second on average, once there are five minutes to average."""
    rate = health.figures.get("temp_bytes_per_second", 0.0)
    known = health.figures.get("statistics_seconds", LONG_ENOUGH_SECONDS)
    if rate >= WARNING_BYTES_PER_SECOND and known >= LONG_ENOUGH_SECONDS:
        yield Finding(
            rule="temp-files",
            subject=health.system,
            what=f"Queries write {rate / 2**20:.1f} MiB of temporary files a second, {health.rates_since}.",
            why="What does not fit in work_mem is sorted and hashed on disk.",
            instead="Find the statements (databases.find-slow-queries) and index what they sort by, or raise work_mem for their role.",
            figures={"temp_bytes_per_second": rate},
        )
