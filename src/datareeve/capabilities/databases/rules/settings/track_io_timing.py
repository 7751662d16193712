"""`track_io_timing`: time spent reading and writing."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """On."""
    del now
    return Advice(
        value="on",
        why="EXPLAIN (BUFFERS), pg_stat_database and pg_stat_statements tell waiting for the disk from computing; a clock read costs nanoseconds on current hosts.",
    )


RULE = Rule(
    "track_io_timing", source="PostgreSQL manual, 19.9.1 Cumulative Query and Index Statistics", advise=advise
)
