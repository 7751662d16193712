"""A replication slot keeps WAL for a consumer that does not come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health, Slot

WARNING_BYTES = 2**30
WARNING_SECONDS = 3600.0  # known from version 17 on
NEAR_THE_END_BYTES = 2**30  # left before max_slot_wal_keep_size cuts it off


def find(health: Health) -> Iterator[Finding]:
    """One finding an inactive slot: a warning when it keeps 1 GiB, nears its limit or was left for an hour; else a word."""
    for slot in health.slots:
        if not slot.active and not slot.wal_lost:
            since = f" for {spell(slot.inactive_seconds)}" if slot.inactive_seconds is not None else ""
            left = (
                f", and may keep {slot.safe_bytes / 2**30:.1f} GiB more"
                if slot.safe_bytes is not None
                else ""
            )
            yield Finding(
                rule="slot-inactive",
                subject=f"slot {slot.name}",
                what=f"Nobody has read this {slot.kind} slot{since}; it keeps {slot.retained_bytes / 2**20:,.0f} MiB of WAL{left}.",
                why="WAL is kept for it until the disk is full, and a logical one keeps vacuum from the catalogs too.",
                instead="Bring its consumer back, or drop it with pg_drop_replication_slot if that is gone for good.",
                severity=Severity.WARNING if _urgent(slot) else Severity.INFO,
                figures={"retained_bytes": slot.retained_bytes, "safe_bytes": slot.safe_bytes},
            )


def _urgent(slot: Slot) -> bool:
    return (
        slot.retained_bytes >= WARNING_BYTES
        or (slot.safe_bytes is not None and slot.safe_bytes <= NEAR_THE_END_BYTES)
        or (slot.inactive_seconds or 0.0) >= WARNING_SECONDS
    )
