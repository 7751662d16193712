"""`log_parameter_max_length`: no bound values in the log of slow statements."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """0: statements are logged with $1 in place of values."""
    del now
    return Advice(
        value=0, why="Logged statements would otherwise carry their parameters, which may be personal data."
    )


RULE = Rule("log_parameter_max_length", source="PostgreSQL manual, 19.8.3 What to Log", advise=advise)
