"""The server was started again since the last look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding, for the look after it."""
    if health.figures.get("restarts_new"):
        yield Finding(
            rule="restarted",
            subject=health.system,
            what=f"It was started again {spell(health.figures['uptime_seconds'])} ago.",
            why="Every connection was cut, and the cache is cold.",
            instead="If nobody did it on purpose: the end of the log before the start says why (out of memory, a crash, a package upgrade).",
            severity=Severity.INFO,
            figures={"uptime_seconds": round(health.figures["uptime_seconds"])},
        )
