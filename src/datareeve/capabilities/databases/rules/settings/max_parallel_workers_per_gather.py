"""`max_parallel_workers_per_gather`: how much of the machine one query may take."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """Half the cores: at most 2 where many short queries share the machine, 4 for mixed work, 8 for analytics."""
    if now.host is None:
        return None
    most = {"oltp": 2, "mixed": 4, "analytics": 8}[now.workload]
    return Advice(
        value=min(now.host.cores // 2, most),
        why=f"One query takes at most half of {now.host.cores} cores, and {most} workers for this kind of work.",
    )


RULE = Rule(
    "max_parallel_workers_per_gather",
    source="PostgreSQL manual, 19.4.6 Asynchronous Behavior: each worker counts as another session's resources",
    advise=advise,
)
