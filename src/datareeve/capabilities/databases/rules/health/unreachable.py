"""The server does not answer: nothing else can be said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding when the look did not succeed."""
    if health.down:
        yield Finding(
            rule="unreachable",
            subject=health.system,
            what=f"The server cannot be used: {health.down}",
            why="Every application that needs it is failing now.",
            instead="Look whether it runs and at the end of its log; then whether host, port, password and pg_hba.conf let us in.",
            severity=Severity.CRITICAL,
        )
