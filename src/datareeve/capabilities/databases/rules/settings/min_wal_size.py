"""`min_wal_size`: WAL files kept for reuse."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import MB, Advice, Rule, Situation, whole_mb


def advise(now: Situation) -> Advice | None:
    """A quarter of max_wal_size, where that is more than the built-in 80 MB."""
    value = whole_mb(now.amount("max_wal_size") / 4)
    if value <= 256 * MB:
        return None
    return Advice(
        value=value,
        why="A quarter of max_wal_size stays recycled, so a burst of writes need not create files.",
        tolerance=1,
    )


RULE = Rule(
    "min_wal_size",
    source="PostgreSQL manual, 28.5 WAL Configuration: reserves enough recycled segments for spikes",
    advise=advise,
)
