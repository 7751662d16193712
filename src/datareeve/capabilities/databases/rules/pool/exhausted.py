"""Every connection of the pool is at work while clients wait for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.pool_health import PoolHealth

LONG_SECONDS = 5.0


def find(pool: PoolHealth) -> Iterator[Finding]:
    """One finding where a client waits behind a full pool; critical from five seconds on."""
    waiting, longest = pool.figure("pool_clients_waiting"), pool.figure("pool_wait_seconds_longest")
    if not waiting or pool.figure("pool_used_percent") < 100:  # noqa: PLR2004 - full
        return
    yield Finding(
        rule="pool-exhausted",
        subject=pool.pool,
        what=f"All {pool.figure('pool_size'):.0f} connections are at work, and {waiting:.0f} clients wait, the longest for {longest:g} s.",
        why="More transactions come than the connections get done: too few of them, or each is held for too long.",
        instead="databases.find-slow-queries and check-health say what holds them; databases.configure-pool sizes by the peak that was sampled.",
        severity=Severity.CRITICAL if longest >= LONG_SECONDS else Severity.WARNING,
        figures={
            name: pool.figure(name)
            for name in ("pool_size", "pool_clients_waiting", "pool_wait_seconds_longest")
        },
    )
