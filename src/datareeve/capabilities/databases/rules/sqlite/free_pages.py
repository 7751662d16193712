"""Much of the file is free pages after deletes: VACUUM gives them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.sqlite import SqliteLook

WORTH_BYTES = 10_000_000
SHARE = 0.25


def find(look: SqliteLook) -> Iterator[Finding]:
    """One finding where at least 10 MB and a quarter of the file are free."""
    free = look.figures.get("free_bytes", 0.0)
    if free >= WORTH_BYTES and free > SHARE * look.figures["file_bytes"]:
        room = look.figures.get("disk_free_bytes", 0.0) > 2 * look.figures["file_bytes"]
        yield Finding(
            rule="free-pages",
            subject=look.system,
            what=f"{free / 1e6:,.0f} MB of {look.figures['file_bytes'] / 1e6:,.0f} MB are free pages.",
            why="The file stays as large as it once was, and its tables lie scattered in it.",
            instead="VACUUM; it needs a moment without writers and as much room again on the disk"
            + (", which is there." if room else "; there is too little now: VACUUM INTO a file elsewhere."),
            severity=Severity.INFO,
            figures={"free_bytes": free},
        )
