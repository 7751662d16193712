"""A span of time or of numbers, cut into intervals: what a backfill goes through, one after the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from datareeve.core.errors import BadInput

MOST = 100_000
STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}


def intervals(since: str, until: str, interval: str = "day") -> list[tuple[str, str]]:
    """The intervals from `since` up to, and without, `until`: days, months, or numbers of a key.

    interval: hour, day, week, month, or a number. The first and the last may be shorter. Errors: `BadInput` `pipelines.interval`.
    """
    if interval.isdigit():
        return _numbers(since, until, int(interval))
    begin, end = _moment(since), _moment(until)
    if interval != "month" and interval not in STEPS:
        raise BadInput(
            "pipelines.interval",
            f"There is no interval {interval!r}.",
            "Give hour, day, week, month, or a number of a key's values.",
        )
    found: list[tuple[str, str]] = []
    while begin < end:
        following = min(end, _next(begin, interval))
        found.append((begin.isoformat(sep=" "), following.isoformat(sep=" ")))
        begin = following
        _bounded(found)
    return _some(found, since, until)


def _numbers(since: str, until: str, step: int) -> list[tuple[str, str]]:
    try:
        begin, end = int(since), int(until)
    except ValueError:
        raise BadInput(
            "pipelines.interval",
            "An interval that is a number needs numbers as its ends.",
            "Give --since 1 --until 100000 --interval 10000.",
        ) from None
    if step < 1 or (end - begin) // step > MOST:
        raise _too_many()
    return _some([(str(low), str(min(end, low + step))) for low in range(begin, end, step)], since, until)


def _some(found: list[tuple[str, str]], since: str, until: str) -> list[tuple[str, str]]:
    if not found:
        raise BadInput(
            "pipelines.interval",
            f"There is nothing from {since} to {until}.",
            "The end lies after the beginning, and is not part of it.",
        )
    return found


def _next(begin: datetime, interval: str) -> datetime:
    """The next boundary: of the day, the week (Monday), the month."""
    if interval == "month":
        year, month = divmod(begin.year * 12 + begin.month, 12)
        return begin.replace(year=year, month=month + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
    if interval == "hour":
        return begin.replace(minute=0, second=0, microsecond=0) + STEPS["hour"]
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (STEPS["day"] if interval == "day" else timedelta(days=7 - midnight.weekday()))


def _moment(said: str) -> datetime:
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise BadInput(
            "pipelines.interval", f"{said!r} is no moment.", "Write 2026-01-31 or 2026-01-31 06:00."
        ) from None
    return found if found.tzinfo is None else found.astimezone(UTC)


def _bounded(found: list[tuple[str, str]]) -> None:
    if len(found) > MOST:
        raise _too_many()


def _too_many() -> BadInput:
    return BadInput(
        "pipelines.interval",
        f"That is more than {MOST:,} intervals.",
        "Take longer intervals, or a shorter span.",
    )
