"""Dates in a task's words: the day it calls today, and the days that its phrases mean seen from there."""

from __future__ import annotations

import re
from datetime import date, timedelta

from datareeve.core.value import Value

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NUMBERS = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "ten": 10,
}

_MONTH = "(?P<month>" + "|".join(f"{month[:3]}(?:{month[3:]})?" for month in MONTHS) + r")\.?"
_DATES = (
    re.compile(r"\b(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})\b"),
    re.compile(rf"\b{_MONTH}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}})\b", re.IGNORECASE),
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+{_MONTH},?\s+(?P<y>\d{{4}})\b", re.IGNORECASE),
)
_TODAY_IS = re.compile(r"\b(?:today(?:'s date)?|date)\s*(?:is|:|=)", re.IGNORECASE)
_DAY = "(?P<day>" + "|".join(DAYS) + ")"
_IN = re.compile(
    rf"\b(?:in|within)\s+(?P<n>\d{{1,3}}|{'|'.join(NUMBERS)})\s+(?P<unit>day|week|month)s?\b", re.IGNORECASE
)
_WEEKDAY = re.compile(rf"\b(?P<how>by|on|until|before|next|this)\s+{_DAY}\b", re.IGNORECASE)
_PHRASE = re.compile(
    r"\b(tomorrow|tonight|(?:this|next) (?:week|month)|(?:by )?(?:the )?end of (?:the )?(?:week|month))\b",
    re.IGNORECASE,
)


class Mention(Value):
    """A phrase of the task that names a day or a span of days, both ends included."""

    text: str
    first: date
    last: date

    def __str__(self) -> str:
        span = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"“{self.text}” is {span}"


def stated_today(text: str) -> date | None:
    """The day that a text says is today: the date after 'Today is', else the first date in it."""
    said = _TODAY_IS.search(text)
    dates = [(start, day) for start, _, day in _dates(text)]
    after = [day for start, day in dates if said and start >= said.end()]
    return next(iter(after or [day for _, day in dates]), None)


def mentions(text: str, today: date) -> tuple[Mention, ...]:
    """Every phrase of `text` that means certain days seen from `today`, in the order of the text."""
    found = [
        (start, Mention(text=words, first=day, last=day))
        for start, words, day in _dates(text)
        if day != today
    ]
    for pattern, resolve in ((_IN, _in), (_WEEKDAY, _weekday), (_PHRASE, _phrase)):
        for match in pattern.finditer(text):
            span = resolve(match, today)
            if span is not None:
                found.append((match.start(), Mention(text=match.group(), first=span[0], last=span[1])))
    return tuple(mention for _, mention in sorted(found, key=lambda pair: pair[0]))


def _dates(text: str) -> list[tuple[int, str, date]]:
    found = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            parts = match.groupdict()
            month = parts.get("m") or next(
                i for i, m in enumerate(MONTHS, 1) if m.startswith(parts["month"][:3].lower())
            )
            try:
                day = date(int(parts["y"]), int(month), int(parts["d"]))
            except ValueError:
                continue  # 2025-02-30: no such day, so the text names none
            found.append((match.start(), match.group(), day))
    return sorted(found)


def _in(match: re.Match[str], today: date) -> tuple[date, date] | None:
    word = match["n"].lower()
    count = NUMBERS.get(word) or int(word)
    unit = match["unit"].lower()
    day = (
        _months_later(today, count)
        if unit == "month"
        else _days_later(today, count * (7 if unit == "week" else 1))
    )
    return None if day is None else (today if match.group().lower().startswith("within") else day, day)


def _weekday(match: re.Match[str], today: date) -> tuple[date, date] | None:
    wanted = DAYS.index(match["day"].lower())
    ahead = (wanted - today.weekday()) % 7
    if match["how"].lower() == "next":  # the one in next week, as most people say it
        ahead = 7 - today.weekday() + wanted
    day = _days_later(today, ahead)
    return None if day is None else (day, day)


def _phrase(match: re.Match[str], today: date) -> tuple[date, date] | None:
    words = match.group().lower()
    if words in ("tomorrow", "tonight"):
        day = _days_later(today, 1 if words == "tomorrow" else 0)
        return None if day is None else (day, day)
    if "month" in words:
        return _month_span(today, later="next" in words, end="end" in words)
    monday = _days_later(today, (7 if "next" in words else 0) - today.weekday())
    sunday = None if monday is None else _days_later(monday, 6)
    if monday is None or sunday is None:
        return None
    return (sunday, sunday) if "end" in words else (max(monday, today), sunday)


def _month_span(today: date, *, later: bool, end: bool) -> tuple[date, date] | None:
    first = _months_later(today.replace(day=1), 1 if later else 0)
    after = None if first is None else _months_later(first, 1)
    if first is None or after is None:
        return None
    last = after - timedelta(days=1)
    return (last, last) if end else (max(first, today), last)


def _days_later(day: date, days: int) -> date | None:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return None


def _months_later(day: date, months: int) -> date | None:
    """The same day of a later month, or that month's last day. None past the year 9999."""
    years, month = divmod(day.month - 1 + months, 12)
    for last in range(day.day, day.day - 4, -1):
        try:
            return date(day.year + years, month + 1, last)
        except ValueError:
            continue
    return None
