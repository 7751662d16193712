"""The disk of the data directory fills up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_PERCENT = 85.0
CRITICAL_PERCENT = 95.0


def find(health: Health) -> Iterator[Finding]:
    """One finding from 85 %; critical from 95 %."""
    used = health.figure("disk_used_percent") or 0.0
    if used >= WARNING_PERCENT:
        yield Finding(
            rule="disk-used",
            subject=health.system,
            what=f"The disk of its data directory is {used:g} % full.",
            why="A full disk stops every write, and the server with it when WAL cannot be written.",
            instead=f"Add space; look for stale slots, failed archiving and old logs first.{_when(health)}",
            severity=Severity.CRITICAL if used >= CRITICAL_PERCENT else Severity.WARNING,
            figures={"disk_used_percent": used, "disk_free_bytes": health.figures["disk_free_bytes"]},
        )


def _when(health: Health) -> str:
    return f" It is full on {health.disk_full.date} if it goes on like this." if health.disk_full else ""
