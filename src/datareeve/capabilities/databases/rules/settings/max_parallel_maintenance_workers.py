"""`max_parallel_maintenance_workers`: workers of one index build."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """Half the cores, at most 4."""
    if now.host is None:
        return None
    return Advice(value=min(now.host.cores // 2, 4), why="An index build takes at most half of the cores.")


RULE = Rule(
    "max_parallel_maintenance_workers",
    source="PostgreSQL manual, 19.4.6 Asynchronous Behavior",
    advise=advise,
)
