"""A replication slot keeps WAL for a consumer that does not come, or has lost what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_BYTES = 2**30


def find(health: Health) -> Iterator[Finding]:
    """One finding a slot: inactive with 1 GiB or more, or out of its WAL."""
    for slot in health.slots:
        lost = slot.wal_status in ("lost", "unreserved")
        if lost or (not slot.active and slot.retained_bytes >= WARNING_BYTES):
            yield Finding(
                rule="slot-wal-lost" if lost else "slot-inactive",
                subject=f"slot {slot.name}",
                what=f"Its WAL is {slot.wal_status}."
                if lost
                else f"Nobody reads it; it keeps {slot.retained_bytes / 2**30:.1f} GiB of WAL.",
                why="Its consumer can no longer catch up." if lost else "WAL is kept until the disk is full.",
                instead="Rebuild the consumer, or drop the slot with pg_drop_replication_slot if it is gone for good.",
                severity=Severity.CRITICAL if lost else Severity.WARNING,
                figures={"retained_bytes": slot.retained_bytes},
            )
