"""`log_autovacuum_min_duration`: long autovacuum runs on record."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import SECOND, Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """Ten seconds."""
    del now
    return Advice(
        value=10 * SECOND, why="Autovacuum runs over ten seconds are logged with what they could not remove."
    )


RULE = Rule("log_autovacuum_min_duration", source="PostgreSQL manual, 19.8.3 What to Log", advise=advise)
