"""The write-ahead log is large: a reader that never ends, or no checkpoint, lets it grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.sqlite import SqliteLook

WORTH_BYTES = 64 * 1024**2
SHARE = 0.1


def find(look: SqliteLook) -> Iterator[Finding]:
    """One finding from 64 MB that are more than a tenth of the file."""
    wal = look.figures.get("wal_bytes", 0.0)
    if wal >= WORTH_BYTES and wal > SHARE * look.figures["file_bytes"]:
        yield Finding(
            rule="wal-large",
            subject=look.system,
            what=f"The write-ahead log is {wal / 1e6:,.0f} MB beside a file of {look.figures['file_bytes'] / 1e6:,.0f} MB.",
            why="Every read looks through it, and it is copied whole at the next open.",
            instead="Find the reader that keeps a transaction open; then PRAGMA wal_checkpoint(TRUNCATE).",
            severity=Severity.WARNING,
            figures={"wal_bytes": wal},
        )
