"""A block of the file does not have the checksum it was written with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.duckdb import DuckdbLook


def find(look: DuckdbLook) -> Iterator[Finding]:
    """One finding with the tables that could not be read."""
    if look.damaged:
        yield Finding(
            rule="damaged",
            subject=", ".join(look.damaged[:5]),
            what=f"{len(look.damaged)} tables cannot be read whole: a block's checksum is wrong.",
            why="What was written is not what is there: a disk or a copy has failed.",
            instead="Stop writing to it and restore a backup; other tables can be saved with COPY FROM DATABASE.",
            severity=Severity.CRITICAL,
            figures={"tables": list(look.damaged)},
        )
