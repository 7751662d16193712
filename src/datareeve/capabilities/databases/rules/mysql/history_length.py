"""Old versions of rows pile up because purge does not come after, or an old snapshot keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_trend import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

WARNING_ENTRIES = 100_000
CRITICAL_ENTRIES = 1_000_000


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding from 100,000 undo entries; critical from a million."""
    length = look.figures.get("history_length", 0.0)
    if length >= WARNING_ENTRIES:
        oldest = max((t.seconds for t in look.transactions), default=0.0)
        yield Finding(
            rule="history-length",
            subject=look.system,
            what=f"InnoDB keeps {length:,.0f} old versions of rows; the oldest open transaction is {spell(oldest)} old.",
            why="Reads step over them one by one, and the undo space grows until purge may remove them.",
            instead="End the oldest transaction; then purge catches up by itself.",
            severity=Severity.CRITICAL if length >= CRITICAL_ENTRIES else Severity.WARNING,
            figures={"history_length": length},
        )
