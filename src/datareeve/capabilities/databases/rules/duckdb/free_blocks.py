"""Much of the file is free blocks: DuckDB uses them again, but does not give them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.duckdb import DuckdbLook

WORTH_BYTES = 64 * 1024**2
SHARE = 0.25


def find(look: DuckdbLook) -> Iterator[Finding]:
    """One finding where at least 64 MB and a quarter of the file are free."""
    free = look.figures.get("free_bytes", 0.0)
    if free >= WORTH_BYTES and free > SHARE * look.figures["file_bytes"]:
        yield Finding(
            rule="free-blocks",
            subject=look.system,
            what=f"{free / 1e6:,.0f} MB of {look.figures['file_bytes'] / 1e6:,.0f} MB are free blocks.",
            why="The file stays as large as it once was; VACUUM does not make it smaller.",
            instead="ATTACH a new file and COPY FROM DATABASE into it, then put it in the old one's place.",
            severity=Severity.INFO,
            figures={"free_bytes": free},
        )
