"""`log_lock_waits`: lock waits on record."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """On."""
    del now
    return Advice(value="on", why="A wait longer than deadlock_timeout is logged with who waited for whom.")


RULE = Rule(
    "log_lock_waits",
    source="PostgreSQL manual, 19.8.3 What to Log: useful in determining if lock waits cause poor performance",
    advise=advise,
)
