"""Public holidays, by country, computed: days on which a weekday may look like a Sunday, which no history of a single year can tell.

Only those of a whole country stand here. The days around them, where people stay away as well, are told apart from the holiday itself.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from datareeve.core.errors import BadInput

FULL, NEAR = 1.2, 0.6  # how much of the way to another day of the week a day may go, and a little beyond
SATURDAY, SUNDAY = 5, 6

# 12-25: a date; easter+1; mon1/09: the first Monday of September, mon-1/05: the last of May; mon<05-24, fri>06-19: the nearest up to, or from, that date; 06-19@2021: since then.
_WEST = "01-01 12-25"
RULES: Final[dict[str, str]] = {
    "AT": f"{_WEST} 01-06 easter+1 05-01 easter+39 easter+50 easter+60 08-15 10-26 11-01 12-08 12-26",
    "AU": f"{_WEST} 01-26 easter-2 easter+1 04-25 12-26",
    "BE": f"{_WEST} easter+1 05-01 easter+39 easter+50 07-21 08-15 11-01 11-11",
    "CA": f"{_WEST} easter-2 mon<05-24 07-01 mon1/09 mon2/10 12-26",
    "CH": f"{_WEST} easter-2 easter+1 easter+39 easter+50 08-01 12-26",
    "CZ": f"{_WEST} easter-2 easter+1 05-01 05-08 07-05 07-06 09-28 10-28 11-17 12-24 12-26",
    "DE": f"{_WEST} easter-2 easter+1 05-01 easter+39 easter+50 10-03 12-26",
    "DK": f"{_WEST} easter-3 easter-2 easter+1 easter+39 easter+50 06-05 12-24 12-26",
    "ES": f"{_WEST} 01-06 easter-2 05-01 08-15 10-12 11-01 12-06 12-08",
    "FI": f"{_WEST} 01-06 easter-2 easter+1 05-01 easter+39 fri>06-19 sat>10-31 12-06 12-24 12-26",
    "FR": f"{_WEST} easter+1 05-01 05-08 easter+39 easter+50 07-14 08-15 11-01 11-11",
    "GB": f"{_WEST} easter-2 easter+1 mon1/05 mon-1/05 mon-1/08 12-26",
    "IE": f"{_WEST} 03-17 easter+1 mon1/05 mon1/06 mon1/08 mon-1/10 12-26",
    "IT": f"{_WEST} 01-06 easter+1 04-25 05-01 06-02 08-15 11-01 12-08 12-26",
    "NL": f"{_WEST} easter-2 easter+1 04-27 easter+39 easter+50 12-26",
    "NO": f"{_WEST} easter-3 easter-2 easter+1 05-01 05-17 easter+39 easter+50 12-26",
    "NZ": f"{_WEST} 01-02 02-06 easter-2 easter+1 04-25 mon1/06 mon-1/10 12-26",
    "PL": f"{_WEST} 01-06 easter+1 05-01 05-03 easter+60 08-15 11-01 11-11 12-26",
    "PT": f"{_WEST} easter-2 04-25 05-01 easter+60 06-10 08-15 10-05 11-01 12-01 12-08",
    "SE": f"{_WEST} 01-06 easter-2 easter+1 05-01 easter+39 06-06 fri>06-18 12-24 12-26",
    "US": f"{_WEST} mon3/01 mon3/02 mon-1/05 06-19@2021 07-04 mon1/09 mon2/10 11-11 thu4/11",
}
MADE_UP_FOR: Final = {"AU", "CA", "GB", "IE", "NZ", "US"}  # one at a weekend is had on a weekday beside it
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES: Final[dict[str, str]] = {
    "AT": "Europe/Vienna", "BE": "Europe/Brussels", "CH": "Europe/Zurich", "CZ": "Europe/Prague", "DE": "Europe/Berlin Europe/Busingen",
    "DK": "Europe/Copenhagen", "ES": "Europe/Madrid Atlantic/Canary", "FI": "Europe/Helsinki", "FR": "Europe/Paris", "GB": "Europe/London",
    "IE": "Europe/Dublin", "IT": "Europe/Rome", "NL": "Europe/Amsterdam", "NO": "Europe/Oslo", "NZ": "Pacific/Auckland", "PL": "Europe/Warsaw",
    "PT": "Europe/Lisbon", "SE": "Europe/Stockholm",
    "AU": "Australia/Sydney Australia/Melbourne Australia/Brisbane Australia/Perth Australia/Adelaide Australia/Hobart Australia/Darwin",
    "CA": "America/Toronto America/Vancouver America/Edmonton America/Winnipeg America/Halifax America/Regina America/St_Johns",
    "US": "America/New_York America/Chicago America/Denver America/Los_Angeles America/Phoenix America/Detroit America/Anchorage America/Boise"
          " Pacific/Honolulu US/Eastern US/Central US/Mountain US/Pacific",
}  # fmt: skip
BY_ZONE: Final = {zone: country for country, zones in ZONES.items() for zone in zones.split()}
_OWN = re.compile(r"(\d{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


def told(given: tuple[str, ...] | None, zone: str) -> tuple[str, ...]:
    """The calendar that is gone by: what was given, else that of the country of the time zone, where one is known."""
    if given is not None:
        return given
    return (BY_ZONE[zone],) if zone in BY_ZONE else ()


def check(given: tuple[str, ...]) -> None:
    """Errors: `BadInput` `quality.holidays` for what is neither a country that is known nor a day."""
    for one in given:
        if one not in RULES and not _OWN.fullmatch(one):
            raise BadInput(
                "quality.holidays", f"There are no holidays of {one!r}.", f"Give a day, as 12-24 or 2026-05-15, or one of {', '.join(sorted(RULES))}."
            )  # fmt: skip


@lru_cache(20_000)
def quiet(day: date, calendar: tuple[str, ...]) -> float:
    """How much a day may look like another day of the week: wholly in a run of free days that holds a holiday, half on the days beside it, else not."""
    if not calendar:
        return 0.0
    if _in_run(day, calendar):
        return FULL
    return NEAR if any(_in_run(day + timedelta(days=n), calendar) for n in (-1, 1)) else 0.0


def is_holiday(day: date, calendar: tuple[str, ...]) -> bool:
    """Whether it is one, or lies between Christmas and New Year."""
    christmas = (day.month, day.day) >= (12, 24) and any(one in RULES for one in calendar)
    return christmas or any(day in _of_year(one, day.year) for one in calendar)


def is_public(day: date, country: str) -> bool:
    """Whether it is a public holiday of a whole country, or the weekday that is free for one."""
    return day in _of_year(country, day.year)


def _is_off(day: date, calendar: tuple[str, ...]) -> bool:
    return day.weekday() >= SATURDAY or is_holiday(day, calendar)


def _is_bridge(day: date, calendar: tuple[str, ...]) -> bool:
    """A day between a holiday and a weekend, or another holiday."""
    around = [day - timedelta(days=1), day + timedelta(days=1)]
    return all(_is_off(one, calendar) for one in around) and any(is_holiday(one, calendar) for one in around)


@lru_cache(20_000)
def _in_run(day: date, calendar: tuple[str, ...]) -> bool:
    """Whether a day lies in a run of free and bridging days that holds a holiday."""
    if not _is_free(day, calendar):
        return False
    for step in (timedelta(days=-1), timedelta(days=1)):
        at = day
        while _is_free(at, calendar):
            if is_holiday(at, calendar):
                return True
            at += step
    return False


def _is_free(day: date, calendar: tuple[str, ...]) -> bool:
    return _is_off(day, calendar) or _is_bridge(day, calendar)


@lru_cache(2_000)
def _of_year(one: str, year: int) -> frozenset[date]:
    """The days of a country in a year, or a day of one's own."""
    if one not in RULES:
        return frozenset({_date(one, year)} - {None})  # type: ignore[arg-type]
    rules = (rule.partition("@") for rule in RULES[one].split())
    days = {_day(rule, year) for rule, _, since in rules if year >= int(since or 0)}
    if one in MADE_UP_FOR:
        days |= {_made_up_for(day, days, one) for day in days}
        days |= {date(year, 12, 31)} if one == "US" and date(year + 1, 1, 1).weekday() == SATURDAY else set()
    return frozenset(days)


def _made_up_for(day: date, days: set[date], country: str) -> date:
    """The weekday that is free for a holiday at a weekend: in America the Friday before a Saturday, else the next weekday that is not free."""
    if country == "US" and day.weekday() == SATURDAY:
        return day - timedelta(days=1)
    while day.weekday() >= SATURDAY:
        day += timedelta(days=1)
        while day in days:
            day += timedelta(days=1)
    return day


def _date(one: str, year: int) -> date | None:
    try:
        return date.fromisoformat(one if len(one) > 5 else f"{year}-{one}")  # noqa: PLR2004 - MM-DD
    except ValueError:  # February 29
        return None


def _day(rule: str, year: int) -> date:
    if rule.startswith("easter"):
        return easter(year) + timedelta(days=int(rule[6:]))
    if rule[0].isdigit():
        return date.fromisoformat(f"{year}-{rule}")
    weekday = WEEKDAYS.index(rule[:3])
    if rule[3] in "<>":
        return _beside(date.fromisoformat(f"{year}-{rule[4:]}"), weekday, 1 if rule[3] == ">" else -1)
    number, month = int(rule[3:].partition("/")[0]), int(rule[-2:])
    if number > 0:
        return _beside(date(year, month, 1), weekday, 1) + timedelta(weeks=number - 1)
    return _beside(date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1), weekday, -1)


def _beside(day: date, weekday: int, step: int) -> date:
    """The nearest such weekday, from a day on, forwards or backwards."""
    while day.weekday() != weekday:
        day += timedelta(days=step)
    return day


def easter(year: int) -> date:
    """Easter Sunday of the western churches (Meeus, Jones and Butcher: Nature, 1876)."""
    a, (b, c) = year % 19, divmod(year, 100)
    (d, e), f = divmod(b, 4), (b + 8) // 25
    h = (19 * a + b - d - (b - f + 1) // 3 + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = h + m - 7 * ((a + 11 * h + 22 * m) // 451) + 114
    return date(year, n // 31, n % 31 + 1)
