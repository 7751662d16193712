"""The newest backup is older than the estate allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding beyond targets.backup_age_hours."""
    age, allowed = health.figure("backup_age_hours"), health.targets.backup_age_hours
    if age is not None and age > allowed:
        yield Finding(
            rule="backup-age",
            subject=health.system,
            what=f"The newest backup is {age:.1f} h old; at most {allowed:g} h are allowed.",
            why="What was written since then may be lost with the disk.",
            instead="Run databases.back-up, and look why its schedule did not.",
            severity=Severity.CRITICAL,
            figures={"backup_age_hours": age},
        )
