"""Transactions that wait long for a connection on average."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.pool_health import PoolHealth

WARNING_MS = 100.0


def find(pool: PoolHealth) -> Iterator[Finding]:
    """One finding from a tenth of a second on."""
    mean = pool.figure("pool_wait_ms_mean")
    if mean >= WARNING_MS:
        yield Finding(
            rule="pool-long-wait",
            subject=pool.pool,
            what=f"A transaction waited {mean:,.0f} ms for a connection on average, {pool.since}.",
            why=f"It then took {pool.figure('pool_transaction_ms_mean'):,.1f} ms.",
            instead="databases.load-test-pool shows whether a larger pool serves more; shorter transactions need fewer connections.",
            figures={
                "pool_wait_ms_mean": mean,
                "pool_transaction_ms_mean": pool.figure("pool_transaction_ms_mean"),
            },
        )
