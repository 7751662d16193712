"""Reads go past the buffer cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_PERCENT = 90.0
ENOUGH_BLOCKS = 1_000_000  # 8 GB of reads: below that a cache is still warming up
WARM_SECONDS = 900  # and for a quarter of an hour after each start


def find(health: Health) -> Iterator[Finding]:
    """One finding below 90 % on a database larger than a trickle of reads."""
    hit = health.figure("cache_hit_percent")
    reads = health.figures.get("blocks_hit_total", 0) + health.figures.get("blocks_read_total", 0)
    warm = reads >= ENOUGH_BLOCKS and health.figures.get("uptime_seconds", WARM_SECONDS) >= WARM_SECONDS
    if hit is not None and hit < WARNING_PERCENT and warm:
        yield Finding(
            rule="cache-hit",
            subject=health.system,
            what=f"{hit:g} % of block reads were served from the cache, {health.rates_since}.",
            why="The rest wait for the operating system or the disk.",
            instead="Look for queries that read whole tables (databases.advise-indexes); then at shared_buffers (databases.tune-settings).",
            figures={"cache_hit_percent": hit},
        )
