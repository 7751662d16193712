"""A replication slot keeps WAL for a consumer that does not come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_BYTES = 2**30


def find(health: Health) -> Iterator[Finding]:
    """One finding an inactive slot that keeps 1 GiB or more."""
    for slot in health.slots:
        if not slot.active and not slot.wal_lost and slot.retained_bytes >= WARNING_BYTES:
            yield Finding(
                rule="slot-inactive",
                subject=f"slot {slot.name}",
                what=f"Nobody reads it; it keeps {slot.retained_bytes / 2**30:.1f} GiB of WAL.",
                why="WAL is kept for it until the disk is full.",
                instead="Bring its consumer back, or drop it with pg_drop_replication_slot if that is gone for good.",
                figures={"retained_bytes": slot.retained_bytes},
            )
