"""A vacuum that does not come to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding a vacuum at work for three hours or longer."""
    for vacuum in health.vacuums:
        if vacuum.seconds >= health.limits.vacuum_seconds:
            who = "Autovacuum" if vacuum.automatic else "A vacuum by hand"
            aim = " against wraparound" if vacuum.against_wraparound else ""
            yield Finding(
                rule="vacuum-running-long",
                subject=f"{vacuum.schema_name}.{vacuum.name}",
                what=f"{who}{aim} has been at work on it for {spell(vacuum.seconds)}: {vacuum.phase}, {vacuum.scanned_percent:g} % of the table scanned.",
                why="Other tables wait for the worker, and this one gains dead rows as fast as it loses them.",
                instead="Let it finish; then let it come earlier and do less each time, with a smaller cost delay and more maintenance_work_mem (databases.tune-autovacuum).",
                severity=Severity.INFO,
                figures={"seconds": round(vacuum.seconds), "scanned_percent": vacuum.scanned_percent},
                mended_by="databases.tune-autovacuum",
            )
