"""A pool that is declared and does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.pool_health import PoolHealth


def find(pool: PoolHealth) -> Iterator[Finding]:
    """One critical finding where clients cannot connect."""
    if pool.down:
        yield Finding(
            rule="pool-down",
            subject=pool.pool,
            what=f"{pool.pool} does not serve: {pool.down}",
            why="Applications that connect through it are refused.",
            instead="databases.configure-pool starts it again.",
            severity=Severity.CRITICAL,
        )
