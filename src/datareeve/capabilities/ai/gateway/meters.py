"""Limits: requests, tokens and money, a minute, a day, a month or at one time. What a request may take is reserved before it is sent and settled after.

Everything here is on the event loop and waits for nothing: `reserve` takes from what this process holds. Where a limit is shared with other
processes, `admit` also asks for more (`leasing`); where there is none to be had, a request may stand in a queue (`queueing`).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datareeve.capabilities.ai.gateway.tallies import (
    LOOK_AGAIN_SECONDS,
    NEVER,
    Calendar,
    Parallel,
    Sliding,
    period_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from datareeve.capabilities.ai.gateway.leasing import Leasing
    from datareeve.capabilities.ai.gateway.tallies import Tally
    from datareeve.systems.lease_rules import Window

    Demands = Sequence[tuple["Meter", int]]

REQUESTS: Final = 0  # units: which of the amounts that `settle` is told counts
TOKENS: Final = 1
MICROUSD: Final = 2
AT_ONCE: Final = 3
UNITS = ("requests", "tokens", "microusd", "at-once")
ELSEWHERE_SECONDS = 1.0  # other processes hold the rest of the limit: worth asking again after


class Meter:
    """One limit. `hard`: refuses beyond it; else it only counts. `queued`: how many requests stand in a queue for it."""

    __slots__ = (
        "_meters", "_past", "hard", "kept_at", "kept_back", "limit", "name", "queued", "tally", "unit", "window",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - `Meters.of` gives them
        self, meters: Meters, name: str, limit: int, window: Window, unit: int, *, hard: bool
    ) -> None:
        self._meters = meters
        self._past: dict[str, Calendar] = {}  # of periods in which something is still reserved
        self.name = name
        self.limit = limit
        self.window: Window = window
        self.unit = unit
        self.hard = hard
        self.kept_back = 0  # of a budget: what open batches may still cost
        self.kept_at = -math.inf
        self.queued = 0
        self.tally: Tally = self._begun()

    def take(self, amount: int, now: float) -> bool:
        """Take from what this process holds; never waits."""
        tally = self.tally
        if now >= tally.until:
            tally = self._turned(now)
        return tally.take(amount, now)

    def settle(self, reserved: int, actual: int, now: float, taken: float | None = None) -> None:
        """What was taken (at `taken`, default now) was really so much. A `Reservation` does it for the period that it was taken in."""
        self.tally.settle(reserved, actual, now, now if taken is None else taken)

    def free_in(self, amount: int, now: float) -> float:
        """Seconds until so much may be there; infinite where it is more than the limit ever admits."""
        if now >= self.tally.until:
            self._turned(now)
        if amount > self.limit and not isinstance(self.tally, Calendar) and self.hard:
            return math.inf
        seconds = self.tally.free_in(amount, now)
        if isinstance(self.tally, Calendar):
            return min(seconds, max(self.tally.period.ends_at - self._meters.wall(), LOOK_AGAIN_SECONDS))
        return ELSEWHERE_SECONDS if seconds == math.inf else seconds

    async def ask(self, amount: int, now: float, deadline: float) -> bool:
        """After `take` said no: have more of the limit leased to this process, and take it. False where there is none, or not in time."""
        lease = self.tally.lease
        if lease is None or (amount > self.limit and not isinstance(self.tally, Calendar)):
            return False
        return await lease.ask(amount, now, deadline)

    def set_limit(self, limit: int, *, hard: bool) -> None:
        """Change the limit in place; what was taken stays taken."""
        if (limit, hard) == (self.limit, self.hard):
            return
        self.limit, self.hard = limit, hard
        self._limit(self.tally)

    def keep_back(self, amount: int, now: float) -> None:
        """Admit so much less than the limit: it is spoken for."""
        if amount != self.kept_back:
            self.kept_back, self.kept_at = amount, now
            self._limit(self.tally)

    @property
    def left(self) -> int:
        """The limit without what is kept back and what is spent; below 0 where that is more."""
        return self.limit - self.kept_back - self.spent

    def wish(self, amount: int, now: float) -> None:
        """A request stands in a queue for it: have more of a shared limit leased."""
        if self.tally.lease is not None:
            self.tally.lease.wish(amount, now)

    @property
    def spent(self) -> int:
        """What is used up: of the window in this process, or of the period in all processes as far as is known."""
        now = self._meters.now()
        tally = self._turned(now)
        tally.refresh(now)
        if isinstance(tally, Calendar):
            return tally.settled + (tally.lease.spent_elsewhere if tally.lease is not None else 0)
        return tally.used if isinstance(tally, Sliding) else 0

    @property
    def reserved(self) -> int:
        """What requests of this process that are on their way hold, and may give back."""
        tally = self.tally
        return 0 if isinstance(tally, Sliding) else tally.used - tally.settled

    # -- within ------------------------------------------------------------------------------------------------------------------

    def _turned(self, now: float) -> Tally:
        """The tally of the present period. The wall clock is looked at every second: it may jump, and the period with it."""
        tally, wall = self.tally, self._meters.wall()
        if not isinstance(tally, Calendar):
            return tally
        if not tally.period.begins_at <= wall < tally.period.ends_at:
            tally = self._turn_to(tally, wall)
        tally.until = now + min(LOOK_AGAIN_SECONDS, tally.period.ends_at - wall)
        return tally

    def _turn_to(self, ended: Calendar, wall: float) -> Calendar:
        self._past[ended.period.name] = ended
        name = period_of(self.window, wall).name
        tally = self._past.pop(name, None) or self._begun()
        self._past = {
            name: past for name, past in self._past.items() if past is ended or past.used != past.settled
        }
        self.tally = tally
        assert isinstance(tally, Calendar)  # noqa: S101 - as above
        return tally

    def _begun(self) -> Tally:
        leasing = self._meters.leasing_of(self.window)
        if leasing is None:
            tally = self._made(alone=True)
            self._limit(tally)
            return tally
        period = (
            "" if self.window in ("minute", "parallel") else period_of(self.window, self._meters.wall()).name
        )
        counter = f"{UNITS[self.unit]} {self.name}"
        lease = leasing.lease(counter, period) or leasing.add(counter, period, self._made(alone=False))
        self._limit(lease.tally)
        return lease.tally

    def _made(self, *, alone: bool) -> Tally:
        if self.window == "minute":
            return Sliding(0)
        if self.window == "parallel":
            return Parallel(0)
        return Calendar(0, period_of(self.window, self._meters.wall()), alone=alone)

    def _limit(self, tally: Tally) -> None:
        limit = max(self.limit - self.kept_back, 0)
        if tally.lease is not None:
            tally.lease.set_limit(limit if self.hard else None)
        else:
            tally.share = limit if self.hard else NEVER


@dataclass(slots=True, eq=False)
class Short:
    """What a request could not have: so much of this meter."""

    meter: Meter
    amount: int


class Reservation:
    """What a request holds of several meters: settled once, or released."""

    __slots__ = ("_meters", "_taken", "at")

    def __init__(self, meters: Meters, taken: list[tuple[Tally, int, int]], at: float) -> None:
        self._meters = meters
        self._taken: list[tuple[Tally, int, int]] | None = taken  # tally, unit, amount
        self.at = at

    @classmethod
    def of_nothing(cls) -> Reservation:
        """What a request holds where nothing is limited."""
        found = cls.__new__(cls)
        found._taken, found.at = None, 0.0  # noqa: SLF001 - of its own kind
        return found

    def settle(self, *, tokens: int, microusd: int, requests: int = 1) -> None:
        """The request has ended and used so much. A second time does nothing."""
        taken, self._taken = self._taken, None
        if taken is None:
            return
        meters, at, actual = self._meters, self.at, (requests, tokens, microusd, 0)
        now = meters.now()
        for tally, unit, amount in taken:
            tally.settle(amount, actual[unit], now, at)
        if meters.on_room is not None:
            meters.on_room()

    def release(self) -> None:
        """Nothing was sent: everything goes back, the request itself too."""
        self.settle(tokens=0, microusd=0, requests=0)


class Meters:
    """Every meter by name and window. They outlive changes of configuration: what was taken stays taken.

    `leasing` shares limits with other processes; `durable`, where given, those of the calendar instead. Without either this process has each
    limit to itself. `now` is the loop's clock, `wall` says Unix seconds.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        wall: Callable[[], float] = time.time,
        leasing: Leasing | None = None,
        durable: Leasing | None = None,
    ) -> None:
        self.now = now
        self.wall = wall
        self.on_room: Callable[[], None] | None = None  # called when something was given back: a queue's
        self._leasing = leasing
        self._durable = durable or leasing
        self._meters: dict[tuple[str, Window, int], Meter] = {}
        for shared in (leasing, durable):
            if shared is not None:
                shared.on_room = self._room

    def of(self, name: str, limit: int, window: Window, unit: int, *, hard: bool = True) -> Meter:
        """The meter of that name, window and unit, made where it is not there; its limit is changed in place."""
        meter = self._meters.get((name, window, unit))
        if meter is None:
            meter = self._meters[name, window, unit] = Meter(self, name, limit, window, unit, hard=hard)
        else:
            meter.set_limit(limit, hard=hard)
        return meter

    def keep(self, meters: Iterable[Meter]) -> None:
        """Forget all others: their limits are no longer in the estate. What this process holds of them goes back."""
        kept = {id(meter) for meter in meters}
        for place, meter in tuple(self._meters.items()):
            if id(meter) not in kept:
                del self._meters[place]
                if meter.tally.lease is not None:
                    meter.tally.lease.retire()

    def all(self) -> tuple[Meter, ...]:
        """Every meter there is."""
        return tuple(self._meters.values())

    def reserve(self, demands: Demands, *, queued: bool = False) -> Reservation | Short:
        """Take of all of them or of none. Who comes new does not pass those that are `queued` for the same meter."""
        now = self.now()
        taken: list[tuple[Tally, int, int]] = []
        for meter, amount in demands:
            if (meter.queued and not queued) or not meter.take(amount, now):
                self._undo(taken, now)
                return Short(meter, amount)
            taken.append((meter.tally, meter.unit, amount))
        return Reservation(self, taken, now)

    async def admit(self, demands: Demands, deadline: float) -> Reservation | Short:
        """`reserve`, and where this process holds too little of a shared limit, have more leased until `deadline` (of the loop's clock)."""
        found = self.reserve(demands)
        if isinstance(found, Reservation) or found.meter.queued or found.meter.tally.lease is None:
            return found
        for meter, amount in demands:  # all at once, not one after the other
            if meter.tally.used + amount > meter.tally.share:
                meter.wish(amount, self.now())
        asked: dict[int, tuple[Tally, int, int]] = {}  # place in `demands` -> what was leased for it
        try:
            while isinstance(found, Short) and not found.meter.queued:
                short = found.meter
                place = next(n for n, (meter, _) in enumerate(demands) if meter is short and n not in asked)
                tally = short.tally
                if not await short.ask(found.amount, self.now(), deadline):
                    return found
                asked[place] = (tally, short.unit, found.amount)
                found = self._reserve_beside(demands, asked)
        finally:
            if isinstance(found, Short):
                self._undo(asked.values(), self.now())
        return found

    def _reserve_beside(
        self, demands: Demands, asked: dict[int, tuple[Tally, int, int]]
    ) -> Reservation | Short:
        """The rest of what is demanded, beside what was leased already."""
        found = self.reserve([demand for n, demand in enumerate(demands) if n not in asked])
        if isinstance(found, Reservation) and found._taken is not None:  # noqa: SLF001 - ours
            found._taken += asked.values()  # noqa: SLF001
        return found

    def leasing_of(self, window: Window) -> Leasing | None:
        """What shares the limits of such a window."""
        return self._durable if window in ("day", "month") else self._leasing

    def _room(self) -> None:
        if self.on_room is not None:
            self.on_room()

    @staticmethod
    def _undo(taken: Iterable[tuple[Tally, int, int]], now: float) -> None:
        for tally, _, amount in taken:
            tally.settle(amount, 0, now, now)
