"""The disk that the data lies on is nearly full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines import Look

WARNING_PERCENT = 85.0
CRITICAL_PERCENT = 95.0


def find(look: Look) -> Iterator[Finding]:
    """One finding from 85 % full; critical from 95 %."""
    used = look.figures.get("disk_used_percent", 0.0)
    if used >= WARNING_PERCENT:
        yield Finding(
            rule="disk-used",
            subject=look.system,
            what=f"The disk of its data is {used:g} % full.",
            why="On a full disk every write fails.",
            instead="Free or add space.",
            severity=Severity.CRITICAL if used >= CRITICAL_PERCENT else Severity.WARNING,
            figures={"disk_free_bytes": look.figures["disk_free_bytes"]},
        )
