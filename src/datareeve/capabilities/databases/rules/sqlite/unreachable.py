"""The database cannot be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.sqlite import SqliteLook


def find(look: SqliteLook) -> Iterator[Finding]:
    """One finding where it did not answer."""
    if look.down:
        yield Finding(
            rule="unreachable",
            subject=look.system,
            what=f"It cannot be looked at: {look.down}",
            why="Nothing is known of it while it does not answer.",
            instead="See that the file is there, readable, and not held by another process.",
            severity=Severity.CRITICAL,
        )
