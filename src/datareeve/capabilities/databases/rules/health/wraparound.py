"""Transaction ids run out: at the end the server takes no more writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_PERCENT = 50.0
CRITICAL_PERCENT = 80.0


def find(health: Health) -> Iterator[Finding]:
    """One finding from half of the ids used; critical from 80 %."""
    used = health.figure("wraparound_percent") or 0.0
    if used >= WARNING_PERCENT:
        yield Finding(
            rule="wraparound",
            subject=health.system,
            what=f"{used:g} % of the transaction ids are used in the oldest database of the server.",
            why="At the end PostgreSQL refuses every write until old rows are frozen.",
            instead=f"End long transactions, stale slots and prepared transactions; then VACUUM (FREEZE) the oldest tables (databases.vacuum-table){_oldest(health)}.",
            severity=Severity.CRITICAL if used >= CRITICAL_PERCENT else Severity.WARNING,
            figures={"wraparound_percent": used},
        )


def _oldest(health: Health) -> str:
    """': here public.flights, ...', of this database; another one may be older."""
    tables = sorted(health.tables, key=lambda t: -max(t.xid_age, t.multixact_age))[:3]
    return f": in this database {', '.join(table.full_name for table in tables)}" if tables else ""
