"""A standby that does not follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """Of a standby: a finding when it receives nothing, when its replay was paused, and when its queries were cancelled for replay."""
    if health.figures.get("receivers") == 0:
        yield Finding(
            rule="standby-not-receiving",
            subject=health.system,
            what="It is a standby, and no WAL comes from its primary.",
            why="What is read here grows old, and a failover to it loses everything since.",
            instead="Look at the end of its log: primary_conninfo, pg_hba.conf of the primary, or WAL that is no longer there.",
        )
    if health.figures.get("replay_paused"):
        yield Finding(
            rule="replay-paused",
            subject=health.system,
            what="Someone has paused the replay of WAL.",
            why="It receives and does not apply: what is read here stands still, and WAL piles up.",
            instead="SELECT pg_wal_replay_resume() when that is no longer wanted.",
        )
    cancelled = health.figures.get("conflicts_new", 0.0)
    if health.in_recovery and cancelled > 0:
        yield Finding(
            rule="standby-conflicts",
            subject=health.system,
            what=f"{cancelled:.0f} queries were cancelled because replay could not wait for them, {health.rates_since}.",
            why="They fail with 'canceling statement due to conflict with recovery'.",
            instead="Raise max_standby_streaming_delay for a reporting standby, or set hot_standby_feedback; either has its price.",
            severity=Severity.INFO,
            figures={"conflicts": cancelled},
        )
