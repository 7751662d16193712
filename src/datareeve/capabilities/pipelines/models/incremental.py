"""Models that are not built whole: which intervals are replaced, and the statement of one interval; which keys are.

By time an interval is [start, end) of the model's own column, and is replaced whole: what it was is deleted, what the model makes of it is put in.
What is built again is a list that can be shown before it runs, the same whenever it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.models.kinds import DATE, MOMENT, TIMESTAMP, kind_of
from datareeve.capabilities.pipelines.models.words import Words
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datareeve.capabilities.pipelines.spec import Incremental

MOST = 100_000  # intervals of one run


@dataclass(frozen=True, order=True)
class Interval:
    """[start, end), without a time zone: UTC where the column has one."""

    start: datetime
    end: datetime

    @property
    def id(self) -> str:
        """The same whenever it is planned again: 2026-01-31, 2026-01-31T05."""
        return (
            self.start.isoformat(timespec="hours")
            if self.end - self.start < timedelta(days=1)
            else self.start.date().isoformat()
        )


def floor(moment: datetime | date, interval: str) -> datetime:
    """The start of the interval that a moment is in. Weeks begin on Monday."""
    at = _naive(moment)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "hour":
        return at.replace(minute=0, second=0, microsecond=0)
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def after(start: datetime, interval: str) -> datetime:
    """The start of the next interval."""
    if interval == "month":
        return (start.replace(day=28) + timedelta(days=4)).replace(day=1)
    return (
        start + {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}[interval]
    )


def before(start: datetime, interval: str, count: int) -> datetime:
    """The start of the interval so many back."""
    if interval != "month":
        return start - count * (after(start, interval) - start)
    months = start.year * 12 + start.month - 1 - count
    return start.replace(year=months // 12, month=months % 12 + 1) if months >= 12 else datetime.min  # noqa: DTZ901, PLR2004 - the first year


def between(start: datetime | date, end: datetime | date, interval: str) -> list[Interval]:
    """The intervals that [start, end) touches, for a backfill. Errors: `BadInput` `pipelines.interval`."""
    found, at, stop = [], floor(start, interval), _naive(end)
    if stop <= _naive(start):
        raise BadInput("pipelines.interval", f"From {_naive(start)} to {stop} there is no {interval}.", "Give an end that is after the start: the end itself is not in it.")  # fmt: skip
    while at < stop:
        found.append(Interval(at, after(at, interval)))
        at = found[-1].end
        if len(found) > MOST:
            raise BadInput("pipelines.interval", f"From {_naive(start)} to {stop} there are more than {MOST:,} times a {interval}.", "Give a shorter time, or a longer `interval`.")  # fmt: skip
    return found


def to_replace(
    how: Incremental,
    published: datetime | date | None,
    arrived: Sequence[tuple[datetime | date, datetime | date]],
) -> list[Interval]:
    """The intervals that this run builds: those that something arrived for, (first, last) both in it, and the lag before the newest published one.

    `published` is the newest value of the model's column that is published; None: the model is built from `start`, or from the first that arrived.
    """
    found: set[Interval] = set()
    first = floor(_read(how.start), how.interval) if how.start else None
    for low, high in arrived:
        begin = floor(low, how.interval)
        if published is None and first is not None:
            begin = first
        begin = max(begin, first) if first is not None else begin
        end = after(floor(high, how.interval), how.interval)
        if begin < end:
            found.update(between(begin, end, how.interval))
    if published is not None and how.lag:
        last = floor(published, how.interval)
        begin = before(last, how.interval, how.lag)
        found.update(between(max(begin, first) if first else begin, after(last, how.interval), how.interval))
    return sorted(found)


def runs(intervals: Iterable[Interval]) -> list[Interval]:
    """Intervals that follow one another, as one: for one statement over all of them."""
    joined: list[Interval] = []
    for one in sorted(intervals):
        if joined and joined[-1].end == one.start:
            joined[-1] = Interval(joined[-1].start, one.end)
        else:
            joined.append(one)
    return joined


def of_interval(select: str, column: str, told: str, interval: Interval, engine: str) -> str:
    """The model's rows of one interval. The filter stands around the model: inside of it, windows and sums would see less than they should."""
    words = Words(engine)
    return f"SELECT * FROM (\n{select}\n) AS {words.name('_model')} WHERE {condition(column, told, interval, engine)}"


def from_on(select: str, column: str, told: str, since: str, engine: str) -> str:
    """The model's rows from a moment on: what is built anew where the newest intervals are."""
    words, kind = Words(engine), kind_of(told)
    if kind not in (DATE, TIMESTAMP, MOMENT):
        raise BadInput("pipelines.interval", f"The column {column} is {told}: intervals are of days or moments.", "Name a column that is a date or a timestamp in `incremental.column`.")  # fmt: skip
    low = _literal(_read(since), kind == DATE, kind == MOMENT)
    return f"SELECT * FROM (\n{select}\n) AS {words.name('_model')} WHERE {words.name(column)} >= CAST('{low}' AS {words.type(kind)})"


def condition(column: str, told: str, interval: Interval, engine: str) -> str:
    """Whether a row is of an interval: what is deleted before it is put in anew. `told` is the column's type. Errors: `BadInput` `pipelines.interval`."""
    words, kind = Words(engine), kind_of(told)
    if kind not in (DATE, TIMESTAMP, MOMENT):
        raise BadInput("pipelines.interval", f"The column {column} is {told}: intervals are of days or moments.", "Name a column that is a date or a timestamp in `incremental.column`.")  # fmt: skip
    if kind == DATE and interval.end - interval.start < timedelta(days=1):
        raise BadInput(
            "pipelines.interval", f"The column {column} is a date: it has no hours.", "interval: day"
        )
    low, high = (_literal(at, kind == DATE, kind == MOMENT) for at in (interval.start, interval.end))
    name = words.name(column)
    return f"{name} >= CAST('{low}' AS {words.type(kind)}) AND {name} < CAST('{high}' AS {words.type(kind)})"


def of_keys(select: str, keys: Sequence[str], changed: str, engine: str) -> str:
    """The model's rows of the keys that changed; `changed` is a relation of those keys under the model's names."""
    words = Words(engine)
    same = " AND ".join(
        f"{words.name('_changed')}.{words.name(key)} IS NOT DISTINCT FROM {words.name('_model')}.{words.name(key)}"
        for key in keys
    )
    return f"SELECT {words.name('_model')}.* FROM (\n{select}\n) AS {words.name('_model')} WHERE EXISTS (SELECT 1 FROM {changed} AS {words.name('_changed')} WHERE {same})"


def _literal(at: datetime, is_day: bool, has_zone: bool) -> str:  # noqa: FBT001 - two of one question
    if is_day:
        return at.date().isoformat()
    return at.isoformat(" ", timespec="microseconds") + ("+00" if has_zone else "")


def _naive(moment: datetime | date) -> datetime:
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - a day of the column's own clock
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _read(text: str) -> datetime:
    try:
        return _naive(datetime.fromisoformat(text))
    except ValueError:
        raise BadInput("pipelines.interval", "`incremental.start` is not a day or a moment.", "start: 2026-01-01") from None  # fmt: skip
