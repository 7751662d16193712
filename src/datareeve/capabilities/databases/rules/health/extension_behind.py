"""An extension whose objects are older than its library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases import sql
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding an extension."""
    for name, here, there in health.extensions_behind:
        yield Finding(
            rule="extension-behind",
            subject=f"extension {name}",
            what=f"It is at version {here} in this database; the server's files are of {there}.",
            why="Its new functions are missing, and its old ones call a library made for others.",
            instead=f"ALTER EXTENSION {sql.identifier(name)} UPDATE; read its release notes first.",
            severity=Severity.INFO,
        )
