"""`effective_cache_size`: what the planner may believe is cached."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation, megabytes, whole_mb


def advise(now: Situation) -> Advice | None:
    """Three quarters of the memory: shared buffers and the system's cache together."""
    if now.host is None:
        return None
    value = whole_mb(now.host.memory_bytes * 3 / 4)
    return Advice(
        value=value,
        why=f"Of {megabytes(now.host.memory_bytes)}, three quarters hold cached data, so an index scan is costed as mostly cached; nothing is allocated.",
    )


RULE = Rule(
    "effective_cache_size",
    source="PostgreSQL manual, 19.7.2 Planner Cost Constants: consider both shared buffers and the kernel's disk cache",
    advise=advise,
)
