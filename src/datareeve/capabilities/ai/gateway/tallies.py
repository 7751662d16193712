"""What was taken of one limit: within a window that slides, at this moment, or in a period of the calendar.

A tally admits what fits into its `share`: all of the limit where nobody shares it, else the part that this process holds at the time. Amounts are
integers (requests, tokens, micro-dollars); `now` is in seconds of a clock that never goes back (the event loop's).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.leasing import Lease
    from datareeve.systems.lease_rules import Window

NEVER = 1 << 62  # more than any amount
SLOTS = 61  # one-second slots: what was taken at the end of the first must count for sixty whole seconds
LOOK_AGAIN_SECONDS = 1.0  # how soon a wall clock that jumps is noticed


class Sliding:
    """Never more than the share in any sixty seconds. What was taken counts in the second in which it was taken."""

    __slots__ = ("_second", "_slots", "lease", "low", "share", "until", "used")
    settled = 0  # nothing stays: there is no period

    def __init__(self, share: int) -> None:
        self.share = share
        self.used = 0
        self.low = NEVER  # beyond it, more is fetched
        self.until = math.inf
        self.lease: Lease | None = None
        self._second = 0
        self._slots = [0] * SLOTS

    def take(self, amount: int, now: float) -> bool:
        """Take it if it fits."""
        second = int(now)
        if second > self._second:
            self._advance(second)
        used = self.used + amount
        if used > self.share:
            return False
        self._slots[self._second % SLOTS] += amount
        self.used = used
        if used > self.low and self.lease is not None:
            self.lease.hungry()
        return True

    def settle(self, reserved: int, actual: int, now: float, taken: float) -> None:
        """It was really so much: give back the rest if it still counts, or take what was too little, now."""
        if actual == reserved:
            return
        second = int(now)
        if second > self._second:
            self._advance(second)
        if actual > reserved:
            self._slots[self._second % SLOTS] += actual - reserved
            self.used += actual - reserved
        elif self._second - int(taken) < SLOTS:
            place = int(taken) % SLOTS
            back = min(reserved - actual, self._slots[place])
            self._slots[place] -= back
            self.used -= back

    def refresh(self, now: float) -> None:
        """Let what is older than the window go."""
        if int(now) > self._second:
            self._advance(int(now))

    def free_in(self, amount: int, now: float) -> float:
        """Seconds until it fits if nothing is given back before; infinite where it never does."""
        self.refresh(now)
        over = self.used + amount - self.share
        if over <= 0:
            return 0.0
        for second in range(self._second - SLOTS + 1, self._second + 1):
            over -= self._slots[second % SLOTS]
            if over <= 0:
                return max(second + SLOTS - now, 0.0)
        return math.inf

    def _advance(self, second: int) -> None:
        slots = self._slots
        for gone in range(self._second + 1, min(second, self._second + SLOTS) + 1):
            self.used -= slots[gone % SLOTS]
            slots[gone % SLOTS] = 0
        self._second = second


class Parallel:
    """Never more than the share at one time."""

    __slots__ = ("lease", "low", "share", "until", "used")
    settled = 0

    def __init__(self, share: int) -> None:
        self.share = share
        self.used = 0
        self.low = NEVER
        self.until = math.inf
        self.lease: Lease | None = None

    def take(self, amount: int, now: float) -> bool:
        """Take it if it fits."""
        del now
        used = self.used + amount
        if used > self.share:
            return False
        self.used = used
        if used > self.low and self.lease is not None:
            self.lease.hungry()
        return True

    def settle(self, reserved: int, actual: int, now: float, taken: float) -> None:
        """It has ended."""
        del actual, now, taken
        self.used -= reserved

    def refresh(self, now: float) -> None:
        """Nothing goes by itself."""

    def free_in(self, amount: int, now: float) -> float:
        """Nobody knows when another one ends: a second, if it can ever fit."""
        del now
        return 0.0 if self.used + amount <= self.share else 1.0


class Calendar:
    """Never more than the share in a period. `used` is what is settled and what is still reserved.

    Where nobody shares the limit, the last of it goes to one request at a time: it may be more than is left, but nothing else is reserved then.
    """

    __slots__ = ("alone", "lease", "low", "period", "settled", "share", "until", "used")

    def __init__(self, share: int, period: Period, *, alone: bool) -> None:
        self.share = share
        self.period = period
        self.alone = alone  # nobody shares it
        self.used = 0
        self.settled = 0
        self.low = NEVER
        self.until = 0.0  # the period is looked at again then
        self.lease: Lease | None = None

    def take(self, amount: int, now: float) -> bool:
        """Take it if it fits."""
        del now
        used = self.used + amount
        if used > self.share and amount and not (self.alone and self.used == self.settled < self.share):
            return False  # what costs nothing may go: a batch's state and results, when all is spent
        self.used = used
        if used > self.low and self.lease is not None:
            self.lease.hungry()
        return True

    def settle(self, reserved: int, actual: int, now: float, taken: float) -> None:
        """It was really so much."""
        del now, taken
        self.used += actual - reserved
        self.settled += actual
        if self.lease is not None and self.share > self.lease.most:
            # One request was given more than was left of the limit; what it did not need is nobody's.
            self.share = max(self.used, self.lease.most)
            self.lease.shrunk()

    def refresh(self, now: float) -> None:
        """Nothing goes before the period ends."""

    def free_in(self, amount: int, now: float) -> float:
        """0 where it fits; else not before the period ends, which its meter knows."""
        del now
        fits = self.used + amount <= self.share or (self.alone and self.used == self.settled < self.share)
        return 0.0 if fits else math.inf


Tally = Sliding | Parallel | Calendar


class Period(NamedTuple):
    """A day or a month in UTC: its name and its two ends in Unix seconds."""

    name: str  # '2026-11-23', '2026-11'
    begins_at: float
    ends_at: float


def period_of(window: Window, wall: float) -> Period:
    """The day or the month that a moment is in."""
    moment = datetime.fromtimestamp(wall, UTC)
    begin = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "day":
        return Period(f"{begin:%Y-%m-%d}", begin.timestamp(), (begin + timedelta(days=1)).timestamp())
    begin = begin.replace(day=1)
    end = (begin + timedelta(days=32)).replace(day=1)
    return Period(f"{begin:%Y-%m}", begin.timestamp(), end.timestamp())
