"""Times that usage is asked for: the last days, a month, and the time before that it is compared with. All in UTC, in whole hours."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from datareeve.core.errors import BadInput
from datareeve.core.value import Value

MONTH = re.compile(r"(?P<year>20\d\d)-(?P<month>0[1-9]|1[0-2])")
DAY = re.compile(r"20\d\d-[01]\d-[0-3]\d")
HOUR = 3600
MONTH_DAYS = 365.25 / 12


class Period(Value):
    """From a moment to before another, in Unix seconds."""

    since: float
    until: float
    words: str

    @property
    def days(self) -> float:
        """Its length."""
        return max((self.until - self.since) / 86_400, 1 / 24)

    @property
    def arguments(self) -> dict[str, float]:
        """As reads take it."""
        return {"since": self.since, "until": self.until}

    def a_month(self, amount: float) -> float:
        """What an amount of this time comes to in an average month."""
        return amount / self.days * MONTH_DAYS


def last_days(days: float, now: datetime) -> Period:
    """The last so many days, the hour that is running included."""
    until = _next_hour(now)
    return Period(
        since=until - days * 86_400,
        until=until,
        words=f"the last {days:g} days" if days != 1 else "the last day",
    )


def lately(minutes: float, now: datetime) -> Period:
    """At least the last so many minutes, from the beginning of an hour on."""
    since = (now.timestamp() - minutes * 60) // HOUR * HOUR
    return Period(
        since=since,
        until=_next_hour(now),
        words=f"the time since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M} UTC",
    )


def between(since: str | None, until: str | None, days: float, now: datetime) -> Period:
    """From day to day, both included; without them the last so many days. Errors: `BadInput` `usage.day`."""
    if since is None and until is None:
        return last_days(days, now)
    end = _day(until) + timedelta(days=1) if until else now
    begin = _day(since) if since else end - timedelta(days=days)
    if begin >= end:
        raise BadInput(
            "usage.day",
            "The time ends before it begins.",
            "Give since before until: --since 2026-11-01 --until 2026-11-30",
        )
    words = f"{begin:%Y-%m-%d} to {end - timedelta(seconds=1):%Y-%m-%d}"
    return Period(
        since=begin.timestamp(),
        until=min(end.timestamp(), _next_hour(now)) if begin < now else end.timestamp(),
        words=words,
    )


def month(name: str | None, now: datetime) -> tuple[Period, Period]:
    """A month, the running one as far as it has come, and the one before it up to the same length. Errors: `BadInput` `usage.month`."""
    found = MONTH.fullmatch(name) if name else None
    if name and not found:
        raise BadInput("usage.month", f"{name[:20]!r} is no month.", "Write it so: 2026-11")
    begin = datetime(int(found["year"]), int(found["month"]), 1, tzinfo=UTC) if found else _month_of(now)
    if begin > now:
        raise BadInput("usage.month", f"{begin:%Y-%m} has not begun.")
    after = _month_of(begin + timedelta(days=32))
    before = _month_of(begin - timedelta(days=1))
    until = min(after.timestamp(), _next_hour(now))
    running = until < after.timestamp()
    same = (
        min(before.timestamp() + (until - begin.timestamp()), begin.timestamp())
        if running
        else begin.timestamp()
    )
    this = Period(
        since=begin.timestamp(), until=until, words=f"{begin:%Y-%m}" + (" so far" if running else "")
    )
    that = Period(
        since=before.timestamp(),
        until=same,
        words=f"{before:%Y-%m}" + (" up to the same day" if running else ""),
    )
    return this, that


def _month_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _day(text: str) -> datetime:
    try:
        if DAY.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        pass
    raise BadInput("usage.day", f"{text[:20]!r} is no day.", "Write it so: 2026-11-23")


def _next_hour(now: datetime) -> float:
    return float((int(now.timestamp()) // HOUR + 1) * HOUR)
