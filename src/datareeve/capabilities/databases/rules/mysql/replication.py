"""A replica that has stopped, or is behind: what is read there is old, and a failover would lose it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_trend import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

WARNING_SECONDS = 60.0


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding a channel that does not receive or apply, or is more than a minute behind; critical where it stands."""
    for replica in look.replicas:
        stopped = [
            what for what, runs in (("receive", replica.receives), ("apply", replica.applies)) if not runs
        ]
        behind = replica.behind_seconds or 0.0
        if stopped or behind >= WARNING_SECONDS:
            error = f" (error {replica.error})" if replica.error else ""
            yield Finding(
                rule="replication-stopped" if stopped else "replication-lag",
                subject=f"channel {replica.channel}",
                what=f"It does not {' and '.join(stopped)}{error}."
                if stopped
                else f"It is {spell(behind)} behind its source.",
                why="What is read here is old, and a failover would lose what has not arrived.",
                instead="SHOW REPLICA STATUS tells why; mend the cause, then START REPLICA."
                if stopped
                else "Look for a long transaction on the source; apply in parallel (slave_parallel_threads, replica_parallel_workers).",
                severity=Severity.CRITICAL if stopped else Severity.WARNING,
                figures={"behind_seconds": replica.behind_seconds, "error": replica.error},
            )
