"""Which pipelines have an occasion to run: decided from the schedules, the moment, what the ledger knows and what was seen. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from datareeve.core import cron, holidays
from datareeve.core.errors import BadInput
from datareeve.core.value import Value, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datareeve.capabilities.pipelines.spec import Schedule

LATE = timedelta(minutes=2)  # the loop looks once a minute: a moment this far back was missed
MOST_AT_ONCE = 500  # occasions of one schedule in one look; the rest come with the next
MOST_COUNTED = 10_000  # missed moments; there may have been more
NEWEST_WITHIN = tuple(timedelta(days=days) for days in (1, 32, 400))
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Cause = Literal["clock", "file", "upstream"]


class Occasion(Value):
    """A reason to run a pipeline once. `missed` counts the moments that passed with nobody there, its own among them where it is late."""

    pipeline: str
    key: str  # the same for the same occasion, whoever decides it
    at: datetime  # the clock's moment, or when it was seen
    causes: tuple[Cause, ...]
    missed: int = 0
    first_missed: datetime | None = None
    skipped: bool = False  # missed, and by `catch_up: none` not run
    files: dict[str, str] = Field(default_factory=dict)  # those that are new or changed, with their marks
    upstream: dict[str, str] = Field(default_factory=dict)  # what those above had published, and when


class Known(Value):
    """What the ledger knows of one schedule. Without `watched` it was never looked at."""

    watched: datetime | None = None
    rule: str = ""  # the clock's part of the schedule, as it was watched by
    upto: datetime | None = None  # moments up to here have been met
    met: int = 0  # occasions so far
    waiting: bool = False  # one of them has not ended
    files: dict[str, str] = Field(default_factory=dict)  # every file met, with its mark
    upstream: dict[str, str] = Field(default_factory=dict)  # the publications that were met


class Seen(Value):
    """What is there now: complete files with their marks by pipeline, and when each pipeline was last published."""

    files: dict[str, dict[str, str]] = Field(default_factory=dict)
    published: dict[str, str] = Field(default_factory=dict)


def due(
    schedules: Mapping[str, Schedule], now: datetime, history: Mapping[str, Known], seen: Seen | None = None
) -> tuple[Occasion, ...]:
    """Every new occasion at `now`.

    A schedule that was never watched has no moment to catch up with; files that are there, and publications of all that it waits for, are
    occasions at once. While one is open no other comes, but with `catch_up: all`, where each moment is run: what happens meanwhile is met
    when it has ended, as one. On days that are skipped there are no moments, and what arrives waits for the next day that is not.
    Errors: `BadInput` `schedule.cron`, `schedule.timezone`, `schedule.skip-days`.
    """
    there = seen or Seen()
    found: list[Occasion] = []
    for name, schedule in schedules.items():
        found += _due(name, schedule, now, history.get(name, Known()), there)
    return tuple(found)


def rule_of(schedule: Schedule) -> str:
    """Tells whether the clock's part of a schedule is what it was: else its moments are counted from now on."""
    return fingerprint([schedule.cron, schedule.timezone, schedule.skip_days])[:16]


def check(name: str, schedule: Schedule) -> None:
    """Errors: `BadInput` `schedule.cron`, `schedule.timezone`, `schedule.skip-days`."""
    cron.check(schedule.cron or "0 0 * * *", schedule.timezone, name)
    skips(schedule.skip_days, name)


# -- one schedule ------------------------------------------------------------------------------------------------------------------


def _due(name: str, schedule: Schedule, now: datetime, known: Known, seen: Seen) -> list[Occasion]:
    skip = skips(schedule.skip_days, name)
    found = list(_of_clock(name, schedule, now, known, skip))
    if known.waiting or skip(_day(now, schedule, name)):
        return found
    arrived, published = _arrived(name, known, seen), _published(schedule, known, seen)
    if not arrived and not published:
        return found
    runs = [occasion for occasion in found if not occasion.skipped]
    causes: tuple[Cause, ...] = (*(("file",) if arrived else ()), *(("upstream",) if published else ()))
    if not runs:
        key = f"{name}#{known.met + len(found) + 1}"
        return [
            *found,
            Occasion(pipeline=name, key=key, at=now, causes=causes, files=arrived, upstream=published),
        ]
    both = {"causes": (*runs[-1].causes, *causes), "files": arrived, "upstream": published}
    return [occasion.model_copy(update=both) if occasion is runs[-1] else occasion for occasion in found]


def _of_clock(
    name: str, schedule: Schedule, now: datetime, known: Known, skip: Callable[[date], bool]
) -> list[Occasion]:
    if schedule.cron is None or known.upto is None or known.rule != rule_of(schedule):
        return []
    if known.waiting and schedule.catch_up != "all":
        return []
    passed = cron.moments(schedule.cron, schedule.timezone, known.upto, now, name=name, skips=skip)
    if schedule.catch_up == "all":
        return [_at(name, moment, now) for moment in islice(passed, MOST_AT_ONCE)]
    moments = list(islice(passed, MOST_COUNTED))
    if not moments:
        return []
    newest = moments[-1] if len(moments) < MOST_COUNTED else _newest(name, schedule, now, moments[-1], skip)
    late = now - newest > LATE
    missed = len(moments) - (not late)
    told = {"missed": missed, "first_missed": moments[0] if missed else None}
    skipped = late and schedule.catch_up == "none"
    return [_at(name, newest, now).model_copy(update={**told, "skipped": skipped})]


def _at(name: str, moment: datetime, now: datetime) -> Occasion:
    late = now - moment > LATE
    return Occasion(
        pipeline=name,
        key=f"{name}@{moment:%Y-%m-%dT%H:%MZ}",
        at=moment,
        causes=("clock",),
        missed=int(late),
        first_missed=moment if late else None,
    )


def _newest(
    name: str, schedule: Schedule, now: datetime, known: datetime, skip: Callable[[date], bool]
) -> datetime:
    """The last moment before now, where there are too many to count from the beginning."""
    assert schedule.cron is not None  # noqa: S101 - only a clock has so many
    for within in NEWEST_WITHIN:
        after = max(known, now - within)
        found = list(cron.moments(schedule.cron, schedule.timezone, after, now, name=name, skips=skip))
        if found:
            return found[-1]
    return known


def _arrived(name: str, known: Known, seen: Seen) -> dict[str, str]:
    return {path: mark for path, mark in seen.files.get(name, {}).items() if known.files.get(path) != mark}


def _published(schedule: Schedule, known: Known, seen: Seen) -> dict[str, str]:
    """The publications of all that it waits for, where each is newer than the one that was met; else none."""
    now = {name: seen.published.get(name, "") for name in schedule.after}
    anew = all(at > known.upstream.get(name, "") for name, at in now.items())
    return now if anew else {}


# -- days --------------------------------------------------------------------------------------------------------------------------


def _day(now: datetime, schedule: Schedule, name: str) -> date:
    return now.astimezone(cron.zone_of(schedule.timezone, name)).date()


@lru_cache(maxsize=256)
def skips(days: tuple[str, ...], name: str = "schedule") -> Callable[[date], bool]:
    """Whether a day is one of those: dates, weekdays, holidays:XX. Errors: `BadInput` `schedule.skip-days`."""
    weekdays, dates, countries = set(), set(), set()
    for day in days:
        kind, _, country = day.partition(":")
        if kind == "holidays" and country in holidays.RULES:
            countries.add(country)
        elif day[:3].lower() in WEEKDAYS and day.isalpha():
            weekdays.add(WEEKDAYS.index(day[:3].lower()))
        else:
            dates.add(_date(day, name))

    def skip(day: date) -> bool:
        return (
            day.weekday() in weekdays
            or day in dates
            or any(holidays.is_public(day, country) for country in countries)
        )

    return skip


def _date(day: str, name: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise BadInput(
            "schedule.skip-days",
            f"{name}: {day!r} is no day that can be skipped.",
            f"Write 2026-12-25, Sat, or holidays:XX with one of {', '.join(sorted(holidays.RULES))}.",
        ) from None
