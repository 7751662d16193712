"""`log_checkpoints`: checkpoints on record."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """On, the built-in value since version 15."""
    del now
    return Advice(value="on", why="Each checkpoint is logged with its cause, its writes and its time.")


RULE = Rule("log_checkpoints", source="PostgreSQL manual, 19.8.3 What to Log", advise=advise)
