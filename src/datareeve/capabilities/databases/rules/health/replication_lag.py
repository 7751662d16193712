"""A standby is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_SECONDS = 60.0


def find(health: Health) -> Iterator[Finding]:
    """One finding from a minute of lag."""
    lag = health.figure("replication_lag_seconds") or 0.0
    if lag >= WARNING_SECONDS:
        yield Finding(
            rule="replication-lag",
            subject=health.system,
            what=f"Replication is {lag:.0f} s behind.",
            why="What is read from the standby is that old, and that much would be lost by failing over to it.",
            instead="Look at the network and the standby's disk, and for a long query on it that holds replay back.",
            figures={"replication_lag_seconds": round(lag, 1)},
        )
