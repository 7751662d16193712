"""`autovacuum_analyze_scale_factor`: how much of a table may change before it is analysed."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """A fiftieth where a table has a million rows or more."""
    if now.activity.largest_table_rows < 1_000_000:  # noqa: PLR2004
        return None
    return Advice(
        value=0.02,
        why=f"The largest table has about {now.activity.largest_table_rows:,} rows: statistics go stale long before a tenth has changed.",
    )


RULE = Rule(
    "autovacuum_analyze_scale_factor", source="PostgreSQL manual, 24.1.6 The Autovacuum Daemon", advise=advise
)
