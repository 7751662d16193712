"""`max_parallel_workers`: parallel workers in all, no more than cores."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """As many as cores (at least 2)."""
    if now.host is None:
        return None
    return Advice(
        value=max(now.host.cores, 2),
        why=f"More parallel workers than the {now.host.cores} cores would only wait for each other.",
    )


RULE = Rule(
    "max_parallel_workers",
    source="PostgreSQL manual, 15.1 How Parallel Query Works, and 19.4.6",
    advise=advise,
)
