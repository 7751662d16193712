"""A prepared transaction that nobody ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

CRITICAL_SECONDS = 86400.0  # a day of dead rows


def find(health: Health) -> Iterator[Finding]:
    """One finding a prepared transaction older than five minutes; critical from a day (manual, PREPARE TRANSACTION: unwise for long)."""
    for prepared in health.prepared:
        if prepared.seconds >= health.limits.prepared_seconds:
            yield Finding(
                rule="prepared-transaction",
                subject=f"prepared transaction {prepared.name}",
                what=f"It has waited for its second phase for {spell(prepared.seconds)}, in database {prepared.database}.",
                why="It outlives restarts, keeps its locks, and vacuum cannot remove what died since it began; at the end ids run out.",
                instead="Ask its transaction manager; if that is gone, COMMIT PREPARED or ROLLBACK PREPARED by its name, in that database.",
                severity=Severity.CRITICAL if prepared.seconds >= CRITICAL_SECONDS else Severity.WARNING,
                figures={"seconds": round(prepared.seconds, 1), "xmin_age": prepared.xmin_age},
            )
