"""`maintenance_work_mem`: memory for VACUUM, CREATE INDEX and foreign key checks."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import GB, MB, Advice, Rule, Situation, whole_mb


def advise(now: Situation) -> Advice | None:
    """A sixteenth of the memory, between the built-in 64 MB and 2 GB; three autovacuum workers may take it at once."""
    if now.host is None:
        return None
    value = min(max(whole_mb(now.host.memory_bytes / 16), 64 * MB), 2 * GB)
    return Advice(
        value=value,
        why="A sixteenth of the memory lets VACUUM and index builds finish in fewer passes, even with three autovacuum workers at once.",
    )


RULE = Rule(
    "maintenance_work_mem",
    source="PostgreSQL manual, 19.4.1 Memory: safe to set significantly larger than work_mem",
    advise=advise,
)
