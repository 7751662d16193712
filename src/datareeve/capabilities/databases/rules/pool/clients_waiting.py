"""Clients that wait although connections of the pool are free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.pool_health import PoolHealth

WARNING_SECONDS = 1.0


def find(pool: PoolHealth) -> Iterator[Finding]:
    """One finding from a second on, where the pool is not full: then the server does not let it in."""
    longest = pool.figure("pool_wait_seconds_longest")
    if longest < WARNING_SECONDS or pool.paused or pool.figure("pool_used_percent") >= 100:  # noqa: PLR2004 - full
        return
    yield Finding(
        rule="pool-clients-waiting",
        subject=pool.pool,
        what=f"{pool.figure('pool_clients_waiting'):.0f} clients wait, the longest for {longest:g} s, though the pool is not full.",
        why=f"{pool.figure('pool_servers_logging_in'):.0f} connections are logging in: the server is slow to take them, or refuses them.",
        instead="Look whether the server has connections left (databases.check-health), and at the pool's log.",
        figures={
            "pool_clients_waiting": pool.figure("pool_clients_waiting"),
            "pool_wait_seconds_longest": longest,
        },
    )
