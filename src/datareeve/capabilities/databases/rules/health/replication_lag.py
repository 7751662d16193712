"""A standby is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health import spell
from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_SECONDS = 60.0
WARNING_BYTES = 2**30


def find(health: Health) -> Iterator[Finding]:
    """One finding a standby from a minute of lag, or 1 GiB where no time is known; of a standby itself, one for its own."""
    for standby in health.standbys:
        seconds, behind = standby.lag_seconds or 0.0, standby.lag_bytes or 0
        if seconds >= WARNING_SECONDS or (standby.lag_seconds is None and behind >= WARNING_BYTES):
            waits = "; commits wait for it" if standby.sync_state in ("sync", "quorum") else ""
            yield _behind(
                f"standby {standby.name}", seconds, behind, f"{standby.state}, {standby.sync_state}{waits}"
            )
    lag = health.figure("replication_lag_seconds") or 0.0
    if lag >= WARNING_SECONDS and not health.standbys:
        yield _behind(health.system, lag, int(health.figure("replication_lag_bytes") or 0), "its own replay")


def _behind(subject: str, seconds: float, behind: int, state: str) -> Finding:
    return Finding(
        rule="replication-lag",
        subject=subject,
        what=f"Replication is {spell(seconds)} and {behind / 2**20:,.0f} MiB behind ({state}).",
        why="What is read from the standby is that old, and that much would be lost by failing over to it.",
        instead="Look at the network and the standby's disk, and for a long query on it that holds replay back.",
        figures={"replication_lag_seconds": round(seconds, 1), "replication_lag_bytes": behind},
    )
