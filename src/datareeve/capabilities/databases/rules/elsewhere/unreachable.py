"""The database cannot be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines import Look

SEE = {
    "mysql": "See that the server runs and that its host, port, account and password are what estate.yaml says.",
    "sqlite": "See that the file is there, readable, and not held by another process.",
    "duckdb": "See that the file is there, readable, and not open for writing elsewhere.",
}


def find(look: Look) -> Iterator[Finding]:
    """One finding where it did not answer."""
    if look.down:
        yield Finding(
            rule="unreachable",
            subject=look.system,
            what=f"It cannot be looked at: {look.down}",
            why="Nothing is known of it while it does not answer.",
            instead=SEE[look.kind],
            severity=Severity.CRITICAL,
        )
