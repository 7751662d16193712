"""Client sessions do the work of the checkpointer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_FSYNCS = 0.1  # a second
INFO_PERCENT = 50.0
ENOUGH_BLOCKS = 100_000  # 800 MB written since the statistics began


def find(health: Health) -> Iterator[Finding]:
    """A finding when sessions call fsync themselves, else when they write half of the changed blocks."""
    fsyncs = health.figures.get("backend_fsyncs_per_second", 0.0)
    share = health.figures.get("backend_writes_percent", 0.0)
    written = sum(
        health.figures.get(f"{who}_blocks_total", 0.0) for who in ("checkpoint", "bgwriter", "backend")
    )
    if fsyncs >= WARNING_FSYNCS:
        yield Finding(
            rule="backend-fsyncs",
            subject=health.system,
            what=f"Sessions had to call fsync themselves {fsyncs:.1f} times a second, {health.rates_since}.",
            why="The checkpointer's queue is full; every such session waits for the disk.",
            instead="Look at the disk, and at shared_buffers (databases.tune-settings), whose size the queue has.",
            figures={"backend_fsyncs_per_second": fsyncs},
        )
    elif share >= INFO_PERCENT and written >= ENOUGH_BLOCKS:
        yield Finding(
            rule="backend-writes",
            subject=health.system,
            what=f"Client sessions wrote {share:g} % of the changed blocks themselves, {health.rates_since}.",
            why="A query that needs a place in the cache first writes out another's page.",
            instead="Raise shared_buffers, or bgwriter_lru_maxpages (databases.tune-settings).",
            severity=Severity.INFO,
            figures={"backend_writes_percent": share},
        )
