"""Tables that a crash empties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

NAMED = 5


def find(health: Health) -> Iterator[Finding]:
    """One finding for all of them: they may be meant so."""
    found = [table.full_name for table in health.tables if table.unlogged and table.ours]
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        yield Finding(
            rule="unlogged-tables",
            subject=health.system,
            what=f"Unlogged: {', '.join(found[:NAMED])}{more}.",
            why="They are emptied after a crash, and are neither on standbys nor in backups of the files.",
            instead="ALTER TABLE ... SET LOGGED where the rows matter; leave it where they can be made again.",
            severity=Severity.INFO,
            figures={"tables": len(found)},
        )
