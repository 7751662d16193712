"""Time, asked for in one place, so that a test or a task's TEMPORAL CONTEXT can stand in for the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, in UTC, with its time zone."""
    return datetime.now(UTC)


def stamp(moment: datetime | None = None) -> str:
    """A moment as ISO 8601 in UTC with microseconds: sortable as text, equal on both ledgers."""
    return (moment or now()).astimezone(UTC).isoformat(timespec="microseconds")
