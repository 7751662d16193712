"""Where in its day, week and month a moment lies: the slots that a seasonal pattern is learned by, in local time.

Which pattern a series has is not said here: several are tried, and the one that foretold best is used (`watcher`).
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
NEAR_MONTH_END = 3  # days on either side that are told apart


class Place(NamedTuple):
    """A moment's slots."""

    day_time: int  # a slot of the day, of `slot_minutes`
    week_day: int
    week_time: int
    month_day: int  # 1..3 from the beginning, -1..-3 from the end, 15, else 0
    work_day: int  # the same, of Mondays to Fridays alone; other days: 0
    month: int
    local: datetime


class Part(NamedTuple):
    """A part of a seasonal pattern: which slot a moment has in it, and how much of a surprise it takes in at least."""

    name: str
    slot: Callable[[Place], int]
    least_gain: float


DAY_TIME = Part("hour of day", lambda place: place.day_time, 0.05)
WEEK_DAY = Part("day of week", lambda place: place.week_day, 0.08)
WEEK_TIME = Part("hour of week", lambda place: place.week_time, 0.12)
MONTH_DAY = Part("turn of the month", lambda place: place.month_day, 0.15)
WORK_DAY = Part("working days of the month's turn", lambda place: place.work_day, 0.15)
MONTH = Part("month of year", lambda place: place.month, 0.2)

OF_THE_WEEK = (WEEK_DAY, WEEK_TIME, DAY_TIME)
OF_THE_MONTH = (MONTH_DAY, WORK_DAY)


def patterns(step: float, years: float) -> tuple[tuple[Part, ...], ...]:
    """The patterns that are tried for points `step` seconds apart."""
    if step < 20 * HOUR:
        return ((), (DAY_TIME,), (DAY_TIME, WEEK_DAY), (DAY_TIME, WEEK_DAY, WEEK_TIME))
    if step < 1.5 * DAY:
        return ((), (WEEK_DAY,), (WEEK_DAY, MONTH_DAY), (WEEK_DAY, WORK_DAY), (MONTH_DAY,))
    return ((), (MONTH,)) if years > 2 else ((),)  # noqa: PLR2004 - a month is known from two of it


def place(at: datetime, zone: ZoneInfo, slot_minutes: int) -> Place:
    """Where a moment lies, in the local time of `zone`."""
    local = at.astimezone(zone)
    week_day = local.weekday()
    day_time = (local.hour * 60 + local.minute) // slot_minutes
    return Place(
        day_time, week_day, week_day * 96 + day_time, _month_day(local.year, local.month, local.day),
        _work_day(local.year, local.month, local.day), local.month, local,
    )  # fmt: skip


def on_week_day(place: Place, week_day: int) -> Place:
    """The same place of another day of the week."""
    return place._replace(week_day=week_day, week_time=week_day * 96 + place.day_time)


@lru_cache(4096)
def _month_day(year: int, month: int, day: int) -> int:
    back = day - monthrange(year, month)[1] - 1
    if day <= NEAR_MONTH_END:
        return day
    return back if back >= -NEAR_MONTH_END else 15 * (day == 15)  # noqa: PLR2004 - the middle


@lru_cache(4096)
def _work_day(year: int, month: int, day: int) -> int:
    """Which working day it is from the month's beginning, or, below nought, from its end; 0 in the middle and at weekends."""
    days = [n for n in range(1, monthrange(year, month)[1] + 1) if date(year, month, n).weekday() < 5]  # noqa: PLR2004 - Saturday
    if day not in days:
        return 0
    front, back = days.index(day) + 1, days.index(day) - len(days)
    return front if front <= NEAR_MONTH_END else back if back >= -NEAR_MONTH_END else 0


def anniversaries(local: datetime) -> tuple[tuple[str, int, int, int], ...]:
    """By what a day is known again in another year: its date, the nth weekday of its month, the last weekday of its month."""
    nth, last = (local.day - 1) // 7, local.day + 7 > monthrange(local.year, local.month)[1]
    weekday = ("nth", local.month, local.weekday(), nth)
    kinds = (("date", local.month, local.day, 0), weekday)
    return (*kinds, ("last", local.month, local.weekday(), 0)) if last else kinds


def clock_changes(local: datetime, step: float) -> bool:
    """Whether the clock repeats or leaves out an hour within `step` seconds from a moment: naive hours are then of another length."""
    after = (local.astimezone(UTC) + timedelta(seconds=step)).astimezone(local.tzinfo)
    before = (local.astimezone(UTC) - timedelta(seconds=step)).astimezone(local.tzinfo)
    return len({before.utcoffset(), local.utcoffset(), after.utcoffset()}) > 1


def zone_of(name: str) -> ZoneInfo:
    """The time zone of a name. Errors: `BadInput` `quality.zone`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput(
            "quality.zone",
            f"There is no time zone {name!r}.",
            "Give one of the IANA names, as Europe/Berlin.",
        ) from None


def moment(told: str, zone: ZoneInfo | None = None) -> datetime:
    """A moment of its ISO text, in UTC; one without a zone is of `zone`, by default of UTC."""
    found = datetime.fromisoformat(told)
    return (found if found.tzinfo else found.replace(tzinfo=zone or UTC)).astimezone(UTC)


def usual_step(moments: Sequence[datetime]) -> float:
    """Seconds between points, as they mostly are. A day where there are none."""
    gaps = sorted((b - a).total_seconds() for a, b in pairwise(moments) if b > a)
    return max(1.0, gaps[len(gaps) // 2]) if gaps else DAY
