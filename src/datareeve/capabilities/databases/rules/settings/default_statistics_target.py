"""`default_statistics_target`: how fine the planner's statistics are."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """500 for analytics; otherwise no reason to change it is seen."""
    if now.workload != "analytics":
        return None
    return Advice(
        value=500,
        why="Large analytical joins need finer histograms; ANALYZE and planning take longer for it.",
    )


RULE = Rule(
    "default_statistics_target", source="PostgreSQL manual, 19.7.4 Other Planner Options", advise=advise
)
