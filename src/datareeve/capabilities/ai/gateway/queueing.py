"""A short queue instead of an error 429: requests wait for room under a limit, each virtual key in its turn, until their deadline.

The rule: keys take turns, and within a key the first come is first. A request that is next and finds too little of a meter keeps all others from that
meter, so that large requests are not passed for ever by small ones; what waits for other meters goes on. Nobody who comes new passes those that wait
for a meter it needs; what they wait for, not what else they need, keeps it back: a team whose budget is held does not close a route to the others.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.gateway.meters import MICROUSD, Reservation, Short

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.ai.gateway.meters import Demands, Meter, Meters

MOST_WAITING = 1000
MOST_PER_KEY = 200
LOOK_SECONDS = 0.25  # the longest pause between two looks: other processes give room back without telling
OTHERS_SECONDS = 2.0  # a request waits so long for what other processes hold of a budget
PAUSE_SECONDS = 0.002  # the shortest: many requests that end at once are looked at together


class _Waiter:
    """One request that waits."""

    __slots__ = ("demands", "future", "gone", "key", "short")

    def __init__(
        self,
        demands: Demands,
        key: str,
        short: Short,
        future: asyncio.Future[Reservation],
        gone: Callable[[], bool] | None,
    ) -> None:
        self.demands = demands
        self.key = key
        self.future = future
        self.gone = gone
        self.short = short  # whose meter is kept from who comes new: that one alone


class Waiting:
    """The queue of one process. `most`: requests that wait at one time; beyond it, or `most_per_key` of one key, they are refused at once."""

    def __init__(self, meters: Meters, *, most: int = MOST_WAITING, most_per_key: int = MOST_PER_KEY) -> None:
        self._meters = meters
        self._most = most
        self._most_per_key = most_per_key
        self._queues: dict[str, deque[_Waiter]] = {}  # by key, whose turn is next first
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._idle: dict[Meter, float] = {}  # budgets of which nothing is held here, and since when
        meters.on_room = self._room

    def __len__(self) -> int:
        """How many requests wait."""
        return self._count

    async def wait(
        self, demands: Demands, key: str, deadline: float, *, gone: Callable[[], bool] | None = None
    ) -> Reservation | Short:
        """Wait for room for all of these until `deadline` (of the loop's clock), or until the client is `gone`.

        Gives what is still short where there was no room in time, where the queue is full, or at once where waiting is in vain.
        """
        found = self._meters.reserve(demands)
        now = self._meters.now()
        if isinstance(found, Reservation) or now >= deadline or self._in_vain(found, now) or self._full(key):
            return found
        waiter = _Waiter(demands, key, found, asyncio.get_running_loop().create_future(), gone)
        self._enter(waiter)
        self._look_in(PAUSE_SECONDS)
        try:
            await asyncio.wait((waiter.future,), timeout=deadline - now)
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                waiter.future.result().release()
            raise
        finally:
            if not waiter.future.done():
                waiter.future.cancel()
                self._leave(waiter)
                self._look_in(PAUSE_SECONDS)
        return waiter.short if waiter.future.cancelled() else waiter.future.result()

    # -- within ------------------------------------------------------------------------------------------------------------------

    @staticmethod
    def _in_vain(short: Short, now: float) -> bool:
        """More than the limit ever admits."""
        return short.meter.free_in(short.amount, now) == math.inf

    def _full(self, key: str) -> bool:
        return self._count >= self._most or len(self._queues.get(key, ())) >= self._most_per_key

    def _enter(self, waiter: _Waiter) -> None:
        self._queues.setdefault(waiter.key, deque()).append(waiter)
        self._count += 1
        waiter.short.meter.queued += 1

    def _leave(self, waiter: _Waiter) -> None:
        queue = self._queues[waiter.key]
        queue.remove(waiter)
        if not queue:
            del self._queues[waiter.key]
        self._count -= 1
        waiter.short.meter.queued -= 1

    @staticmethod
    def _still(waiter: _Waiter, short: Short) -> None:
        """It waits on, for this."""
        waiter.short.meter.queued -= 1
        waiter.short = short
        short.meter.queued += 1

    def _room(self) -> None:
        """Something was given back."""
        if self._count:
            self._look_in(PAUSE_SECONDS)

    def _look_in(self, seconds: float) -> None:
        """Look in so many seconds, or sooner where that is arranged already."""
        if not self._count:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Admit whom there is room for, and arrange the next look."""
        self._timer = None
        blocked: set[Meter] = set()
        shorts: list[Short] = []
        while self._turn(blocked, shorts):
            pass
        if self._count:
            now = self._meters.now()
            soonest = min((short.meter.free_in(short.amount, now) for short in shorts), default=LOOK_SECONDS)
            self._look_in(min(max(soonest, PAUSE_SECONDS), LOOK_SECONDS))

    def _turn(self, blocked: set[Meter], shorts: list[Short]) -> bool:
        """One turn of each key; True if any request was admitted."""
        admitted = False
        for key in tuple(self._queues):
            waiter = self._first(self._queues[key], blocked, shorts)
            if waiter is not None:
                self._leave(waiter)
                admitted = True
                if key in self._queues:
                    self._queues[key] = self._queues.pop(key)  # it was its turn
        return admitted

    def _first(self, queue: deque[_Waiter], blocked: set[Meter], shorts: list[Short]) -> _Waiter | None:
        """The first of a key's requests that there is room for, which it is given."""
        for waiter in tuple(queue):
            if waiter.gone is not None and waiter.gone():
                waiter.future.cancel()
                return waiter
            if any(meter in blocked for meter, _ in waiter.demands):
                continue
            found = self._meters.reserve(waiter.demands, queued=True)
            if isinstance(found, Reservation):
                self._idle.clear()
                waiter.future.set_result(found)
                return waiter
            self._still(waiter, found)
            if self._hopeless(found.meter):
                waiter.future.cancel()
                return waiter
            blocked.add(found.meter)
            shorts.append(found)
            found.meter.wish(found.amount, self._meters.now())
        return None

    def _hopeless(self, meter: Meter) -> bool:
        """Whether a budget is used up; or nothing of it is held here that could come back, and other processes gave none for a while."""
        if meter.unit != MICROUSD:
            return False
        if meter.spent >= meter.limit:
            return True
        now = self._meters.now()
        since = self._idle.setdefault(meter, now)
        if meter.reserved > 0:
            self._idle[meter] = now
        return now - since > OTHERS_SECONDS
