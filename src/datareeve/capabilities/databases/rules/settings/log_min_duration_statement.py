"""`log_min_duration_statement`: slow statements in the server's log."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import SECOND, Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """Half a second."""
    del now
    return Advice(
        value=SECOND // 2, why="Statements over half a second are on record when somebody asks what was slow."
    )


RULE = Rule("log_min_duration_statement", source="PostgreSQL manual, 19.8.2 When to Log", advise=advise)
