"""`log_temp_files`: spills to disk on record."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import MB, Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """Files of 10 MB and more."""
    del now
    return Advice(
        value=10 * MB,
        why="Sorts and hashes that spill 10 MB or more to disk are logged with their statement.",
    )


RULE = Rule("log_temp_files", source="PostgreSQL manual, 19.8.3 What to Log", advise=advise)
