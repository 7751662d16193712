"""The server read blocks that are not what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding when a checksum ever failed."""
    failures = health.figures.get("checksum_failures_total", 0.0)
    if failures > 0:
        yield Finding(
            rule="checksum-failures",
            subject=health.system,
            what=f"{failures:.0f} blocks failed their checksum.",
            why="The disk or memory corrupts data; backups made from here on may hold it too.",
            instead="Keep the newest good backup, move to other hardware, and restore; pg_amcheck tells what is hit.",
            severity=Severity.CRITICAL,
            figures={"checksum_failures": failures},
        )
