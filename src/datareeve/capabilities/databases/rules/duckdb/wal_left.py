"""A write-ahead log is left beside the file: its writer did not close it, or never checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.duckdb import DuckdbLook

WORTH_BYTES = 32 * 1024**2


def find(look: DuckdbLook) -> Iterator[Finding]:
    """One finding from 32 MB, twice what a writer checkpoints at by itself."""
    wal = look.figures.get("wal_bytes", 0.0)
    if wal >= WORTH_BYTES:
        yield Finding(
            rule="wal-left",
            subject=look.system,
            what=f"{wal / 1e6:,.0f} MB of changes are in the write-ahead log and not in the file.",
            why="Every opening plays them all again first, and a copy of the file alone misses them.",
            instead="CHECKPOINT in the writer, and close its connection in the end.",
            severity=Severity.WARNING,
            figures={"wal_bytes": wal},
        )
