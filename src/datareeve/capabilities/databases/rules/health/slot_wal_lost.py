"""A replication slot whose WAL is removed, or will be at the next checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding a slot beyond max_slot_wal_keep_size."""
    for slot in health.slots:
        if slot.wal_lost:
            yield Finding(
                rule="slot-wal-lost",
                subject=f"slot {slot.name}",
                what=f"Its WAL is {slot.wal_status}.",
                why="Its consumer cannot catch up once the WAL is gone, and must be built anew.",
                instead="Raise max_slot_wal_keep_size while there is time; else rebuild the consumer and drop the slot.",
                severity=Severity.CRITICAL,
                figures={"retained_bytes": slot.retained_bytes},
            )
