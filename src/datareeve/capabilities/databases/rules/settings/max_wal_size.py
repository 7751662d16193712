"""`max_wal_size`: so much WAL between two checkpoints that the clock, not the volume, starts them."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import GB, Advice, Rule, Situation, power_of_two


def advise(now: Situation) -> Advice | None:
    """4 GB, or what is written between two timed checkpoints and half as much again, bounded by the disk (an eighth of what is free, or half the data where that is not known)."""
    activity = now.activity
    between = (activity.wal_bytes_per_second or 0) * now.amount("checkpoint_timeout") / 1000 * 1.5
    room = (
        activity.database_bytes / 2
        if now.host is None or now.host.disk_free_bytes is None
        else now.host.disk_free_bytes / 8
    )
    value = min(max(2 * power_of_two(between), 4 * GB), power_of_two(room))
    if value <= GB:
        return None
    seen = f"{activity.checkpoints_requested} checkpoints were asked for and {activity.checkpoints_timed} came by the clock"
    return Advice(
        value=value,
        why=f"Checkpoints forced by WAL volume write every page again in full ({seen}); recovery may replay up to this much.",
        tolerance=1,
    )


RULE = Rule(
    "max_wal_size",
    source="PostgreSQL manual, 28.5 WAL Configuration: frequent requested checkpoints call for more max_wal_size",
    advise=advise,
)
