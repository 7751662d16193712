"""`autovacuum_vacuum_scale_factor`: how much of a table may be dead before it is vacuumed."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """A twentieth where a table has a million rows or more."""
    if now.activity.largest_table_rows < 1_000_000:  # noqa: PLR2004
        return None
    return Advice(
        value=0.05,
        why=f"The largest table has about {now.activity.largest_table_rows:,} rows: a fifth of them dead is too many to wait for.",
    )


RULE = Rule(
    "autovacuum_vacuum_scale_factor", source="PostgreSQL manual, 24.1.6 The Autovacuum Daemon", advise=advise
)
