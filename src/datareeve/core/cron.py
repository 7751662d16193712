"""When a cron expression is due, in its time zone, through the days on which clocks are changed.

Two kinds of schedule, as Debian's cron has them. One that names hours ('30 2 * * *') runs once a day at what the clock on the wall says: a
moment that the clocks jump over comes at the first moment after the jump, one that they repeat comes the first time only. One that goes by
intervals (every hour, or '*/15') runs in every real hour: both times where an hour is repeated, and never twice where one is left out.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIELDS, HOURS = 5, 24
MARGIN = timedelta(hours=3)  # no zone's clocks are changed by more


def moments(  # noqa: PLR0913 - what a schedule is made of
    cron: str,
    timezone: str,
    after: datetime,
    until: datetime,
    *,
    name: str = "schedule",
    skips: Callable[[date], bool] | None = None,
) -> Iterator[datetime]:
    """The moments after `after` and not after `until`, in UTC, in order. `skips`: the days, as the zone's calendar has them, that have none.

    Errors: `BadInput` `schedule.cron`, `schedule.timezone`, naming `name`.
    """
    zone = zone_of(timezone, name)
    ticks = _ticks(cron, after.astimezone(zone).replace(tzinfo=None) - MARGIN, name)
    real = len(ticks.hours) == HOURS or cron.lstrip().startswith("*")
    last, end = after, until.astimezone(zone).replace(tzinfo=None) + MARGIN
    for moment in _in_order(ticks, end, zone, skips, by_intervals=real):
        if moment > until:
            return
        if moment > last:
            yield moment
            last = moment


def check(cron: str, timezone: str, name: str = "schedule") -> None:
    """Errors: `BadInput` `schedule.cron`, `schedule.timezone`."""
    zone_of(timezone, name)
    _ticks(cron, datetime(2026, 1, 1), name)  # noqa: DTZ001 - what the clock on the wall says


def _in_order(
    ticks: Iterator[datetime],
    end: datetime,
    zone: ZoneInfo,
    skips: Callable[[date], bool] | None,
    *,
    by_intervals: bool,
) -> Iterator[datetime]:
    """A day's moments are put in order when it is over: where clocks go back, those of one hour come twice."""
    day: list[datetime] = []
    today: date | None = None
    for wall in ticks:
        if wall > end:
            break
        if wall.date() != today:
            yield from sorted(day)
            day, today = [], wall.date()
        if skips is None or not skips(wall.date()):
            day += _real(wall, zone, by_intervals=by_intervals)
    yield from sorted(day)


def _real(wall: datetime, zone: ZoneInfo, *, by_intervals: bool) -> list[datetime]:
    """The moments at which the clock on the wall says so. One that does not exist is told by the offset before the jump (RFC 5545, 3.3.5)."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return [first]
    if first < second:  # the hour comes twice
        return [first, second] if by_intervals else [first]
    return [first] if by_intervals else [_after_the_jump(second, first, zone)]


def _after_the_jump(before: datetime, later: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after the clocks were changed: `before` and `later` lie on either side, less than a day apart."""
    offset = later.astimezone(zone).utcoffset()
    low, high = int(before.timestamp()), int(later.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        after = datetime.fromtimestamp(middle, zone).utcoffset() == offset
        low, high = (low, middle) if after else (middle, high)
    return datetime.fromtimestamp(high, UTC)


def zone_of(timezone: str, name: str = "schedule") -> ZoneInfo:
    """The time zone of that name. Errors: `BadInput` `schedule.timezone`."""
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise BadInput(
            "schedule.timezone", f"{name}: there is no time zone {timezone!r}.", "Write Europe/Berlin."
        ) from None


def _ticks(cron: str, after: datetime, name: str) -> CronSim:
    if len(cron.split()) != FIELDS:  # cronsim takes seconds too, but nobody looks more than once a minute
        raise _not_cron(cron, name, "Wrong number of fields")
    try:
        return CronSim(cron, after)
    except CronSimError as error:
        raise _not_cron(cron, name, str(error)) from None


def _not_cron(cron: str, name: str, why: str) -> BadInput:
    what = f"{name}: {cron!r} is not a cron expression: {why}."
    return BadInput("schedule.cron", what, "Five fields: minute, hour, day, month, weekday: '30 2 * * *'.")
