"""The file is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.sqlite import SqliteLook

MOST = 20  # faults that are asked for


def find(look: SqliteLook) -> Iterator[Finding]:
    """One finding with the number of faults that SQLite's own check found; the check names tables and pages, no value."""
    if look.faults:
        yield Finding(
            rule="damaged",
            subject=look.system,
            what=f"{look.check} finds {len(look.faults)}{'' if len(look.faults) < MOST else ' or more'} faults: {'; '.join(look.faults[:3])}.",
            why="Queries give wrong answers or none, and the next write can make it worse.",
            instead="Stop writing to it. Where only indexes are named, REINDEX mends it; else restore a backup, or save what is readable: sqlite3 FILE .recover | sqlite3 NEW.",
            severity=Severity.CRITICAL,
            figures={"faults": list(look.faults)},
        )
