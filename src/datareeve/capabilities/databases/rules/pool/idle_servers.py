"""A pool whose connections hardly ever are at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.pool_health import PoolHealth

FEWEST_SAMPLES = 60  # an hour of them
USED_PART = 0.25
SMALL = 10  # a smaller pool costs nothing


def find(pool: PoolHealth) -> Iterator[Finding]:
    """One finding where in all samples of a day at most a quarter of a pool of ten or more were at work."""
    size, samples = pool.figure("pool_size"), pool.sampled_active
    if size < SMALL or len(samples) < FEWEST_SAMPLES or max(samples) > size * USED_PART:
        return
    yield Finding(
        rule="pool-mostly-idle",
        subject=pool.pool,
        what=f"Of {size:.0f} connections at most {max(samples):.0f} were at work in {len(samples)} samples.",
        why="Idle connections take memory of the server, and a larger pool lets a burst crowd it.",
        instead="databases.configure-pool with a smaller size.",
        severity=Severity.INFO,
        figures={"pool_size": size, "pool_servers_active_most": max(samples)},
    )
