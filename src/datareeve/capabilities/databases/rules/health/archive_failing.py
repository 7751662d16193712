"""WAL is not archived: what is written now cannot be restored to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding when the newest attempt to archive failed."""
    if health.figure("archive_failing"):
        yield Finding(
            rule="archive-failing",
            subject=health.system,
            what="The newest attempt to archive WAL failed.",
            why="Point-in-time recovery ends before it, and WAL piles up until the disk is full.",
            instead="Run archive_command by hand as the server's user; its error is in the server's log.",
            severity=Severity.CRITICAL,
            figures={"archive_failures": health.figures["archive_failures_total"]},
        )
