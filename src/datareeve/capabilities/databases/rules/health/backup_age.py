"""The newest backup is older than the estate allows, or there is none where one is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding: data written since is at risk."""
    age, allowed = health.figure("backup_age_hours"), health.targets.backup_age_hours
    if health.down or not (health.backups_declared if age is None else age > allowed):
        return
    yield Finding(
        rule="backup-age",
        subject=health.system,
        what="No backup is known."
        if age is None
        else f"The newest backup is {age:.1f} h old; at most {allowed:g} h are allowed.",
        why="What was written since then may be lost with the disk.",
        instead="Run databases.back-up, and look why its schedule did not.",
        severity=Severity.WARNING if age is None else Severity.CRITICAL,
        figures={} if age is None else {"backup_age_hours": age},
    )
