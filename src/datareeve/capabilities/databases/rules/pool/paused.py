"""A pool that somebody has paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.pool_health import PoolHealth


def find(pool: PoolHealth) -> Iterator[Finding]:
    """One critical finding: clients wait until somebody resumes it."""
    if pool.paused:
        yield Finding(
            rule="pool-paused",
            subject=pool.pool,
            what=f"The pool is paused; {pool.figure('pool_clients_waiting'):.0f} clients wait.",
            why="PAUSE was given on its console, as for a restart of the server, and not taken back.",
            instead="RESUME on the console: psql -p <port> pgbouncer -c RESUME",
            severity=Severity.CRITICAL,
        )
