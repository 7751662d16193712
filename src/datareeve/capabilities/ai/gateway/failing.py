"""Failing well: which target is left alone and for how long, when to try again, and how much trying again is bearable.

Sources: M. Nygard, Release It! (circuit breaker); M. Brooker, Exponential Backoff And Jitter (AWS, 2015; full jitter);
Google SRE book, Handling Overload (retry budgets: a share of the requests).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.core.estate_gateway import BreakerSettings

FIRST_PAUSE = 0.25  # seconds; doubles with each round
LONGEST_PAUSE = 8.0
LONGEST_OPEN = 16  # times `open_seconds`
RETRY_SHARE = 0.2  # repeated attempts at most this share of requests ...
RETRY_RESERVE = 100.0  # ... and so many at once
RETRY_REFILL = 10.0  # and so many a second, that a quiet gateway may repeat too (Finagle's default)
LEAST_SAMPLES = 10  # before a share of failures says anything
LATELY = 300.0  # seconds that what a candidate did is told; what is longer ago says nothing of now

Fate = Literal["ok", "try-again", "other-key", "other-target", "final"]

FATES: dict[int, Fate] = {  # by HTTP status, as OpenAI's and Anthropic's error pages tell what to do
    401: "other-key",  # this key is not taken
    402: "other-key",  # this account does not pay
    403: "other-key",
    404: "other-target",  # the model is gone, or was never there
    408: "try-again",
    409: "try-again",
    410: "other-target",
    425: "try-again",
    429: "other-key",  # this key's limit
    529: "try-again",  # Anthropic: overloaded
}


def fate(status: int) -> Fate:
    """What an answer's status means for the request."""
    if status < 400:  # noqa: PLR2004 - RFC 9110, 15
        return "ok" if status < 300 else "other-target"  # noqa: PLR2004 - a redirect is not followed
    return FATES.get(status, "try-again" if status >= 500 else "final")  # noqa: PLR2004


class Breaker:
    """One target's circuit: closed, open for a while, then half-open for one probe at a time."""

    __slots__ = (
        "_before",
        "_failed",
        "_in_a_row",
        "_open_for",
        "_probing",
        "_seen",
        "_settings",
        "_window_began",
        "asked",
        "failed_at",
        "opened_at",
        "opens",
        "reason",
        "since",
    )

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._in_a_row = 0
        self._failed = 0
        self._seen = 0
        self._window_began = 0.0
        self._before = (0.0, 0, 0)  # the window before: when it began, attempts, and those that failed
        self._open_for = 0.0  # seconds; 0: closed
        self._probing = False
        self.asked = False  # open only because it asked to be left alone: it may be waited for
        self.opened_at = 0.0
        self.opens = 0  # how often it opened
        self.reason = ""  # the last failure's code
        self.failed_at = float("-inf")
        self.since = 0.0  # when the trouble began that it is in, or was in last

    def allows(self, now: float) -> bool:
        """Whether a request may go there. When half-open, asking takes the one probe: `ok`, `failed` or `spared` must follow."""
        if not self._open_for:
            return True
        if self._probing or now - self.opened_at < self._open_for:
            return False
        self._probing = True
        return True

    @property
    def is_open(self) -> bool:
        """Whether it has failed and not yet answered since."""
        return self._open_for > 0 or self._in_a_row > 0

    def ok(self, now: float) -> None:
        """It answered."""
        self._in_a_row = 0
        if self._open_for:
            self._open_for = 0.0
            self._probing = False
            self._failed = self._seen = 0
            self._before, self.failed_at = (0.0, 0, 0), float("-inf")  # that trouble is over
        self._count(now, failed=0)

    def failed(self, now: float, reason: str = "", seconds: float | None = None) -> None:
        """It did not answer, or not usably. `seconds`: how long it asks to be left alone (Retry-After)."""
        self._begins(now)
        self.reason, self.failed_at = reason, now
        self._in_a_row += 1
        self._count(now, failed=1)
        least = 0.0
        if self._open_for and not self.asked:
            least = min(self._open_for * 2, self._settings.open_seconds * LONGEST_OPEN)
        elif self._in_a_row >= self._settings.failures or self._too_many():
            least = self._settings.open_seconds
        if least or seconds is not None:
            self._open(now, max(least, seconds or 0.0))
            self.asked = not least
        elif self.asked and not self.opens_in(
            now
        ):  # its rest is over: a failure after it is one like any other
            self._open_for, self._probing, self.asked = 0.0, False, False

    def rests(self, now: float, reason: str, seconds: float) -> None:
        """It asks to be left alone for so long, which is no failure: it answered."""
        self._begins(now)
        self.reason, self._in_a_row = reason, 0
        self._open(now, seconds)
        self.asked = True

    def spared(self) -> None:
        """The probe came to nothing that says anything: the client left, or the fault was the request's."""
        self._probing = False

    def opens_in(self, now: float) -> float:
        """Seconds until it may be tried again; 0 where it may be now."""
        return max(0.0, self.opened_at + self._open_for - now) if self._open_for else 0.0

    def state(self, now: float) -> Literal["closed", "open", "half-open"]:
        """For people and metrics."""
        if not self._open_for:
            return "closed"
        return "open" if now - self.opened_at < self._open_for else "half-open"

    def left_alone(self, now: float) -> bool:
        """Whether it was closed off for its failures and has not answered since: not where nobody has asked it for long."""
        return self._open_for > 0 and not self.asked and now - self.opened_at - self._open_for <= LATELY

    def lately(self, now: float) -> tuple[int, int]:
        """Its attempts of the last minutes, and how many of them failed. A rest that it asked for is neither."""
        windows = ((self._window_began, self._seen, self._failed), self._before)
        told = [(seen, failed) for began, seen, failed in windows if now - began <= LATELY]
        return sum(seen for seen, _ in told), sum(failed for _, failed in told)

    def _begins(self, now: float) -> None:
        if not self._open_for and now - self.failed_at > LATELY:
            self.since = now

    def _open(self, now: float, seconds: float) -> None:
        self.opened_at, self._open_for, self._probing = now, max(seconds, 0.001), False
        self.opens += 1

    def _count(self, now: float, *, failed: int) -> None:
        if now - self._window_began > self._settings.window_seconds:
            self._before = (self._window_began, self._seen, self._failed)
            self._window_began, self._seen, self._failed = now, 0, 0
        self._seen += 1
        self._failed += failed

    def _too_many(self) -> bool:
        return self._seen >= LEAST_SAMPLES and self._failed >= self._seen * self._settings.failure_share


class RetryBudget:
    """Asking the same target again is paid for by requests: when all fails, repeating does not multiply the load."""

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left = RETRY_RESERVE
        self._at = 0.0

    def asked(self) -> None:
        """A request came."""
        self._left = min(RETRY_RESERVE, self._left + RETRY_SHARE)

    def take(self, now: float) -> bool:
        """Whether one more attempt may be repeated; it is taken."""
        self._left = min(RETRY_RESERVE, self._left + max(0.0, now - self._at) * RETRY_REFILL)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


def pause(round_: int, random_: Callable[[], float] = random.random) -> float:
    """Seconds to wait before round 1, 2, ...: anything from none to a bound that doubles (full jitter)."""
    return random_() * min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (round_ - 1))


def retry_after(milliseconds: bytes | None, value: bytes | None, now: float) -> float | None:
    """Seconds that a provider asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).

    None where it does not say, or not readably. Never negative, at most an hour.
    """
    seconds: float | None = None
    try:
        if milliseconds is not None:
            seconds = float(milliseconds) / 1000
        elif value is not None:
            seconds = float(value) if value.strip().replace(b".", b"", 1).isdigit() else _until(value, now)
    except (ValueError, TypeError, OverflowError):
        return None
    return None if seconds is None or seconds != seconds else min(max(seconds, 0.0), 3600.0)  # noqa: PLR0124 - NaN


def _until(date: bytes, now: float) -> float:
    return parsedate_to_datetime(date.decode("latin-1")).timestamp() - now


@dataclass(slots=True)
class Escalating:
    """A provider that answers 429 again after the wait it asked for is given longer each time (doubling, to 16 times)."""

    times: int = 0
    until: float = 0.0

    def refused(self, now: float, asked: float | None) -> float:
        """It refused now, asking for `asked` seconds; gives the seconds it is really left alone."""
        self.times = min(self.times + 1, 5) if now < self.until + 60 else 1
        seconds = max(asked if asked is not None else FIRST_PAUSE, 0.05) * 2.0 ** (self.times - 1)
        seconds = min(seconds, 3600.0)
        self.until = now + seconds
        return seconds

    def ok(self) -> None:
        """It answered."""
        self.times = 0
