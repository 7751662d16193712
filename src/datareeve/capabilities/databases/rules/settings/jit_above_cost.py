"""`jit_above_cost`: from what estimated cost a query is compiled."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """Ten times the built-in threshold for short transactions; analytics profits from compilation and is left."""
    if now.workload == "analytics":
        return None
    return Advice(
        value=1_000_000,
        why="Compiling a query takes tens of milliseconds, which a short one whose cost was overestimated never earns back.",
    )


RULE = Rule(
    "jit_above_cost",
    source="PostgreSQL manual, 30.2 When to JIT?: for short queries the added overhead is often higher than the time saved",
    advise=advise,
)
