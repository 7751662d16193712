"""`idle_in_transaction_session_timeout`: an end to forgotten transactions."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import MINUTE, Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """Ten minutes."""
    del now
    return Advice(
        value=10 * MINUTE,
        why="A session idle inside a transaction for ten minutes keeps its locks and holds back VACUUM; it is ended, and its work rolled back.",
    )


RULE = Rule(
    "idle_in_transaction_session_timeout",
    source="PostgreSQL manual, 19.11.1 Statement Behavior: idle transactions keep locks and hold back vacuum",
    advise=advise,
)
