"""`checkpoint_completion_target`: checkpoints spread over the time there is."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """0.9, the built-in value since version 14."""
    del now
    return Advice(
        value=0.9,
        why="Checkpoint writes are spread over nine tenths of the interval instead of coming in a burst.",
    )


RULE = Rule(
    "checkpoint_completion_target",
    source="PostgreSQL manual, 28.5 WAL Configuration: reducing it is not recommended",
    advise=advise,
)
