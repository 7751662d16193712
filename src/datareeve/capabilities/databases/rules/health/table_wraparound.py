"""A table whose oldest rows autovacuum should have frozen long ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

LATE = 1.5  # times autovacuum_freeze_max_age: at once it that autovacuum starts by itself (manual, Preventing Transaction ID Wraparound Failures)
CRITICAL_AGE = (
    1_600_000_000  # vacuum_failsafe_age: vacuum then leaves everything else aside (manual, 14 and newer)
)
MOST = 3  # tables


def find(health: Health) -> Iterator[Finding]:
    """One finding a table, the oldest three, by transaction ids or multixacts, whichever is older."""
    limits = health.freeze_transactions, health.freeze_multixacts
    late = [t for t in health.tables if max(t.xid_age / limits[0], t.multixact_age / limits[1]) >= LATE]
    for table in sorted(late, key=lambda t: -max(t.xid_age, t.multixact_age))[:MOST]:
        ids = "transactions" if table.xid_age / limits[0] >= table.multixact_age / limits[1] else "multixacts"
        age = table.xid_age if ids == "transactions" else table.multixact_age
        holder = (
            f"; first end what holds it back: {health.horizon[0][1]}"
            if health.horizon and health.horizon[0][0] > age / 2
            else ""
        )
        yield Finding(
            rule="table-wraparound",
            subject=table.full_name,
            what=f"Its oldest rows are {age:,} {ids} old; autovacuum should have frozen them at {limits[0 if ids == 'transactions' else 1]:,}.",
            why="Vacuum does not get to it. At 2 billion the server refuses every write.",
            instead=f"VACUUM (FREEZE) it in a quiet hour (databases.vacuum-table){holder}.",
            severity=Severity.CRITICAL if age >= CRITICAL_AGE else Severity.WARNING,
            figures={"age": age, "bytes": table.bytes},
            mended_by="databases.vacuum-table",
        )
