"""This process's part in limits that several processes share: it asks the pool for more before it runs dry, and gives back what others need.

One task exchanges with the pool for all meters at once: at once when a request waits, else every quarter of a second if there is anything to say.
What is given up is given up here first and said afterwards, so that at no moment two processes may take the same. Where the pool cannot
be reached, each process goes on with its part of the limit (the limit divided by the processes last heard of), and `state` says so.
The rules of sharing are in `systems/lease_rules.py`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.gateway.tallies import NEVER, Calendar, Parallel
from datareeve.core.errors import DatareeveError
from datareeve.systems.lease_rules import BOOKS_CLOSE_SECONDS, TTL_SECONDS, Ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from datareeve.capabilities.ai.gateway.tallies import Tally
    from datareeve.systems.lease_rules import Grant, Pool, Reply

EVERY_SECONDS = 0.25  # between two exchanges, where there is something to say
WAITING_SECONDS = 0.05  # ... while a request waits for what others hold
PATIENCE_SECONDS = 0.6  # a request waits so long for what others hold: they hear of it within two exchanges
RENEW_SECONDS = TTL_SECONDS / 4
ANSWER_SECONDS = 2.0  # a pool that takes longer cannot be reached
DOWN_SECONDS = 1.0  # between two tries to reach it
BACK_SECONDS = (
    2.5  # after it is back, nothing is asked of it until every process has told what it took meanwhile
)
IDLE_SECONDS = 60.0  # a share that nobody uses goes back
STARVING_SECONDS = 1.0  # after a refusal, more is asked for as long
SLICES = 20  # a share grows by a twentieth of the limit, or what a request needs


@dataclass(frozen=True, slots=True)
class LeasingState:
    """For status and metrics."""

    down_seconds: float  # the pool cannot be reached since; 0: it can
    exchanges: int
    failures: int
    last_ms: float  # how long the last exchange took
    instances: int  # processes that share the limits
    shares: int  # of meters, that this process holds
    trouble: str  # the code or type of the last failure


@dataclass(slots=True, eq=False)
class _Waiter:
    """A request that waits for more of one limit."""

    amount: int
    since: float
    future: asyncio.Future[bool]
    asked: bool = False  # the pool has been asked for it


class _Forgotten(Exception):
    """The pool was emptied: as if it had not been there."""


class Lease:
    """This process's share of one counter in one period. Made by `Leasing.add`."""

    __slots__ = (
        "_dry",
        "_dry_until",
        "_folded",
        "_hungry",
        "_hungry_again",
        "_idle_since",
        "_leasing",
        "_limit",
        "_pressed_until",
        "_seen",
        "_starving_until",
        "_told",
        "_waiting",
        "_wished",
        "counter",
        "fell",
        "held",
        "opened",
        "opening",
        "others",
        "period",
        "retired",
        "spent_elsewhere",
        "tally",
    )

    def __init__(self, leasing: Leasing, counter: str, period: str, tally: Tally) -> None:
        self._leasing = leasing
        self.counter = counter
        self.period = period  # '' where nothing is kept of it
        self.tally = tally
        self.opened = not period  # what was spent of the period before it was counted is known
        self.opening = 0
        self.held = 0  # as the pool knows it
        self.retired = False  # its meter is no longer in the estate
        self.others = 0
        self.spent_elsewhere = 0
        self.fell = False  # the pool cannot be reached: the share is our own guess
        self._limit: int | None = 0
        self._told = (0, 0)  # used and settled
        self._seen = (0, 0)
        self._folded = 0  # of a period: what the pool took over when it thought us dead
        self._waiting: list[_Waiter] = []
        self._dry = NEVER  # so much was refused ...
        self._dry_until = 0.0  # ... and is not asked for again before
        self._starving_until = 0.0
        self._wished = 0  # by requests that stand in a queue
        self._hungry = False
        self._hungry_again = 0.0  # not before
        self._idle_since = 0.0
        self._pressed_until = 0.0

    # -- for meters --------------------------------------------------------------------------------------------------------------

    def hungry(self) -> None:
        """The share is running out: have more fetched."""
        self.tally.low = NEVER
        self._hungry = True
        self._leasing.due(self)

    async def ask(self, amount: int, now: float, deadline: float) -> bool:
        """Have so much leased and take it; False where there is none, or not in time."""
        if self._leasing.down:
            self.fall_back()
            self._leasing.due(self, soon=False)
            return self.tally.take(amount, now)
        if (now < self._dry_until and amount >= self._dry) or now >= deadline:
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiter(amount, now, future))
        self._leasing.due(self)
        try:
            await asyncio.wait((future,), timeout=deadline - now)
        except asyncio.CancelledError:
            if future.done() and future.result():
                self.tally.settle(amount, 0, self._leasing.now(), now)
            future.cancel()
            raise
        if future.done():
            return future.result()
        future.cancel()
        return False

    def wish(self, amount: int, now: float) -> None:
        """A request of so much will look again: soon, or as long as it stands in a queue."""
        if now >= self._starving_until - STARVING_SECONDS / 2:
            self._leasing.due(self)
        self._starving_until, self._wished = now + STARVING_SECONDS, amount

    def set_limit(self, limit: int | None) -> None:
        """Work by another limit; None: only count."""
        self._limit, self.retired, self._dry_until = limit, False, 0.0
        self.tally.share = NEVER if limit is None else min(self.tally.share, self.held, limit)
        if limit is None or self.held:
            self._leasing.due(self, soon=False)

    def retire(self) -> None:
        """Its meter is no longer in the estate: hold nothing in reserve."""
        self.retired = True
        self.run_out()
        self._leasing.due(self, soon=False)

    def end(self) -> None:
        """The process ends: nothing waits, nothing is held in reserve, and nothing runs at one time any more."""
        self.give_up_waiting()
        if isinstance(self.tally, Parallel):
            self.tally.used = 0
        self.retire()

    # -- for the exchange --------------------------------------------------------------------------------------------------------

    @property
    def key(self) -> tuple[str, str]:
        """The counter in its period."""
        return self.counter, self.period

    @property
    def waiting(self) -> bool:
        """A request waits for it."""
        return bool(self._waiting)

    @property
    def slice(self) -> int:
        """By how much the share grows."""
        return max(1, -(-(self._limit or 0) // SLICES))

    def has_news(self, now: float) -> bool:
        """Whether the pool has to be told anything; also lets go of a share that has not been used for long."""
        tally = self.tally
        tally.refresh(now)
        state = (tally.used, tally.settled)
        if state != self._seen:
            self._seen, self._idle_since = state, now
        elif now - self._idle_since >= IDLE_SECONDS and tally.used == tally.settled and tally.share < NEVER:
            tally.share = min(tally.share, tally.used)
        if tally.low == NEVER and now >= self._hungry_again:
            self._set_low()
        if self._waiting or self._starves(now) or self._kept() != self.held:
            return True
        return bool(self.period) and state != self._told

    @property
    def over(self) -> bool:
        """Nothing is held, used or left to say: it can be put away."""
        tally = self.tally
        if (
            self._waiting
            or self.held != self._kept()
            or tally.used != tally.settled
            or tally.share > tally.used
        ):
            return False
        return (tally.used, tally.settled) == self._told if self.period else True

    @property
    def ends_at(self) -> float | None:
        """When its period ends, in Unix seconds."""
        return self.tally.period.ends_at if isinstance(self.tally, Calendar) else None

    def asking(self, now: float) -> Ask:
        """What to tell and to ask for."""
        tally = self.tally
        tally.refresh(now)
        self._waiting = [waiter for waiter in self._waiting if not waiter.future.done()]
        for waiter in self._waiting:
            waiter.asked = True
        asked_for = self._waiting or self._starves(now)
        unspent = self.period and tally.used == tally.settled and self._limit is not None
        if self.fell or (asked_for and unspent):
            # Alone, all but what is spent is put back: the last of a budget is given to one request as a whole.
            tally_free, keep = 0, tally.used
            tally.share = tally.share if self.fell else min(tally.share, tally.used)
        else:
            keep = max(tally.share, tally.used) if tally.share < NEVER else tally.used
            tally_free = keep - tally.used if tally.share >= tally.used else 0
        need, least, want = self._wishes(tally_free, now)
        folded = self._folded
        return Ask(
            self.counter,
            self.period,
            self._limit,
            tally.used - folded,
            keep - folded,
            settled=tally.settled - folded if self.period else 0,
            least=least,
            need=need,
            want=want,
            alone=bool(self.period) and least > 0,
            ends_at=self.ends_at,
            opening=self.opening,
        )

    def _wishes(self, free: int, now: float) -> tuple[int, int, int]:
        """Need, the least that helps, and want."""
        if self._limit is None or self.retired or self._leasing.down:
            return 0, 0, 0
        if self._waiting:
            amounts = [waiter.amount for waiter in self._waiting]
            need = max(sum(amounts) - free, 1)
            return need, max(min(amounts) - free, 1), need + self.slice
        if self._starves(now):
            short = max(self._wished, self.slice) - free
            return short, max(self._wished - free, 1), short
        return 0, 0, max(self.slice - free, 0) if self._hungry else 0

    def granted(self, ask: Ask, grant: Grant, now: float) -> None:
        """Work by what the pool gave; let those that wait take of it, and refuse those that wait for nothing."""
        tally, folded = self.tally, self._folded
        self.held = grant.held + folded
        self._told = (ask.used + folded, ask.settled + folded)
        self.others, self.spent_elsewhere = grant.others - folded, grant.spent_elsewhere - folded
        if self._limit is not None and not self._leasing.down:
            added = grant.held > ask.keep
            tally.share = self.held if added or self.fell else min(tally.share, self.held)
            self.serve(now)
            if grant.fair is not None:
                self.go_down(grant.fair)
            self._hungry = False
            self._hungry_again = now if added else now + EVERY_SECONDS
            self._idle_since = now if added else self._idle_since
            self.fell = False
            self._refuse(grant, now)

    @property
    def most(self) -> int:
        """What this process may use of the limit at most, as far as is known; `NEVER` where it is only counted, or the pool cannot be asked."""
        return NEVER if self._limit is None or self.fell else max(self._limit - self.others, 0)

    def shrunk(self) -> None:
        """The share has become smaller: the pool is told with the next exchange."""
        self._leasing.due(self, soon=False)

    def serve(self, now: float) -> None:
        """Let those that wait take what fits, the first come first."""
        left = []
        for waiter in self._waiting:
            if waiter.future.done():
                continue
            if self.tally.take(waiter.amount, now):
                waiter.future.set_result(True)
            else:
                left.append(waiter)
        self._waiting = left

    def go_down(self, fair: int | None = None) -> None:
        """Others need more: keep what is in use, and where it slides and is in steady use a little more, up to the fair share."""
        tally = self.tally
        if tally.share == NEVER:
            return
        if self.period or fair is None:
            tally.share = min(tally.share, tally.used)
        else:
            steady = self._leasing.now() - self._idle_since < STARVING_SECONDS
            tally.share = min(tally.share, fair, tally.used + (self.slice if steady else 0))
        tally.low = NEVER
        if self._kept() != self.held:
            self._leasing.due(self)

    def pressed(self, now: float) -> None:
        """Others need more of it: say soon what can be given up, but not all the time."""
        if self.period:
            self.go_down()
        if now >= self._pressed_until:
            self._pressed_until = now + EVERY_SECONDS
            self._leasing.due(self)

    def fall_back(self) -> None:
        """The pool cannot be reached: go on with our part of the limit, or of what was left of it."""
        if self.fell or self._limit is None:
            return
        self.fell = True
        tally, processes = self.tally, max(self._leasing.instances, 1)
        if self.period:
            left = self._limit - max(self.others, self.opening) - max(tally.share, tally.used)
            tally.share = max(tally.share, tally.used) + max(left, 0) // processes
        else:
            tally.share = max(self._limit // processes, 1)
        tally.low = NEVER

    def give_up_waiting(self) -> None:
        """Refuse all that wait."""
        for waiter in self._waiting:
            if not waiter.future.done():
                waiter.future.set_result(False)
        self._waiting = []

    def run_out(self) -> None:
        """Nothing is held beyond what is used."""
        if self.tally.share < NEVER:
            self.tally.share = min(self.tally.share, self.tally.used)

    def begin_anew(self) -> None:
        """The pool took us for dead: what it was told has been added up there; go on from that."""
        if self.period:
            self._folded = self._told[0]
        self.run_out()
        self.held = self._folded
        self._told = (self._folded, self._folded)

    # -- within ------------------------------------------------------------------------------------------------------------------

    def _starves(self, now: float) -> bool:
        """A request was refused a moment ago or stands in a queue, and what it needs is still not there."""
        if now >= self._starving_until:
            return False
        return self.tally.used + max(self._wished, self.slice) > self.tally.share

    def _kept(self) -> int:
        return max(self.tally.share, self.tally.used) if self.tally.share < NEVER else self.tally.used

    def _set_low(self) -> None:
        tally = self.tally
        # An empty share is not filled before somebody asks for it.
        filled = 0 < tally.share < NEVER and not self.retired
        tally.low = tally.share - max(1, self.slice // 4) if filled else NEVER

    def _refuse(self, grant: Grant, now: float) -> None:
        """Refuse those for whom there is nothing: none left anywhere, or others hold on to it for too long."""
        if not self._waiting or self._limit is None:
            return
        room = max(self._limit - self.others - self._kept(), 0) + max(self.tally.share - self.tally.used, 0)
        left = []
        for waiter in self._waiting:
            amount = waiter.amount
            hopeless = amount > room + grant.free_elsewhere if self.period else self.others == 0
            if waiter.asked and (hopeless or now - waiter.since >= PATIENCE_SECONDS):
                waiter.future.set_result(False)
                self._dry = amount if now >= self._dry_until else min(self._dry, amount)
                self._dry_until = now + EVERY_SECONDS
                self._starving_until, self._wished = now + STARVING_SECONDS if self.others else 0.0, 0
            else:
                left.append(waiter)
        self._waiting = left


class Leasing:
    """All shares of this process that are kept in one pool. `openings(counter, period)` gives what was spent of a period before it was counted.

    `run` is its task: it lives as long as the gateway. `close` gives everything back.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        now: Callable[[], float],
        wall: Callable[[], float] = time.time,
        openings: Callable[[str, str], Awaitable[int]] | None = None,
        instances: int = 1,
    ) -> None:
        self.now = now
        self.instances = instances
        self.down = False
        self.on_room: Callable[[], None] | None = None
        self._wall = wall
        self._pool = pool
        self._openings = openings
        self._leases: dict[tuple[str, str], Lease] = {}
        self._active: dict[tuple[str, str], Lease] = {}
        self._due: dict[tuple[str, str], Lease] = {}
        self._wake = asyncio.Event()
        self._turn = 0
        self._renew_at = 0.0
        self._listen_at = 0.0
        self._confirmed_at = now()
        self._trouble = ""
        self._down_since = 0.0
        self._back_at = 0.0
        self._forget_at = 100
        self._exchanges = self._failures = 0
        self._last_ms = 0.0

    # -- for meters --------------------------------------------------------------------------------------------------------------

    def lease(self, counter: str, period: str) -> Lease | None:
        """The share of a counter, if there is one yet."""
        return self._leases.get((counter, period))

    def add(self, counter: str, period: str, tally: Tally) -> Lease:
        """Share a counter from now on."""
        lease = tally.lease = self._leases[counter, period] = Lease(self, counter, period, tally)
        return lease

    def due(self, lease: Lease, *, soon: bool = True) -> None:
        """Something is to be said of it: now, or with the next exchange."""
        self._due[lease.key] = self._active[lease.key] = lease
        self._leases[lease.key] = lease
        if soon:
            self._wake.set()

    def state(self) -> LeasingState:
        """How it stands, for status and metrics."""
        down = max(self.now() - self._down_since, 0.001) if self.down else 0.0
        return LeasingState(
            down,
            self._exchanges,
            self._failures,
            self._last_ms,
            self.instances,
            len(self._active),
            self._trouble,
        )

    # -- the task ----------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Exchange with the pool until cancelled."""
        task = asyncio.current_task()
        while not (task is not None and task.cancelling()):  # a driver may have swallowed it
            if self.down:
                await asyncio.sleep(DOWN_SECONDS)  # requests help themselves meanwhile
            else:
                await self._pause()
            self._wake.clear()
            await self.exchange()
        raise asyncio.CancelledError

    async def _pause(self) -> None:
        """Until something is to be said at once, or it is time to listen."""
        waiting = any(lease.waiting for lease in self._due.values())
        with suppress(TimeoutError):
            async with asyncio.timeout(WAITING_SECONDS if waiting else EVERY_SECONDS):
                await self._wake.wait()

    async def exchange(self) -> None:
        """Tell and ask the pool for everything that is due; once, unless there is nothing to say."""
        now = self.now()
        self._sweep(now)
        if not self._due and not self._worth_asking(now):
            return
        self._listen_at = now + EVERY_SECONDS
        if now - self._confirmed_at > TTL_SECONDS and not self.down:
            self._run_out()
        batch, self._due = list(self._due.values()), {}
        try:
            await self._told_anyhow(batch)
        except Exception as error:  # noqa: BLE001 - the task's boundary: whatever it is, requests must go on
            self._failures += 1
            self._trouble = str(getattr(error, "code", type(error).__name__))
            self._fall_back(batch)
            return
        self._confirmed_at = now
        if now >= self._renew_at:
            self._renew_at = now + RENEW_SECONDS
        if self.down:
            self._come_back(now)
        if self.on_room is not None:
            self.on_room()

    def _run_out(self) -> None:
        """This process slept: what it held may be others' by now. Nothing is taken of it before the pool has confirmed it."""
        for lease in self._active.values():
            lease.run_out()

    def _worth_asking(self, now: float) -> bool:
        """With nothing to say: to be known to live, and to hear whether others need of what we hold."""
        if now >= self._renew_at:
            return bool(self._leases)
        return self.instances > 1 and bool(self._active) and now >= self._listen_at

    def _come_back(self, now: float) -> None:
        """The pool answers again: help ourselves a little longer, until all have told it what they took meanwhile."""
        self._due.update(self._active)
        if not self._back_at:
            self._back_at = now
        elif now - self._back_at >= BACK_SECONDS:
            self.down, self._back_at = False, 0.0

    async def close(self) -> None:
        """Give everything back; what was spent stays counted. Call it when no request is on its way and `run` has ended."""
        now = self.now()
        for lease in self._active.values():
            lease.end()
        self._turn += 1
        with suppress(DatareeveError, TimeoutError):
            asks = [lease.asking(now) for lease in self._active.values()]
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._pool.leave(self._turn, asks)
        self._leases.clear()
        self._active.clear()
        await self._pool.close()

    # -- within ------------------------------------------------------------------------------------------------------------------

    def _sweep(self, now: float) -> None:
        """Find what has news, and put away what is over. Of periods the news is also what others have spent, now and then."""
        renew = now >= self._renew_at
        for key, lease in tuple(self._active.items()):
            if lease.has_news(now) or (renew and lease.period and not lease.over):
                self._due[key] = lease
            elif key not in self._due and lease.over:
                del self._active[key]
                if lease.retired and not lease.period:
                    del self._leases[key]
        self._forget()

    def _forget(self) -> None:
        """Periods whose books are closed, now and then. Until then they are kept: the clock may go back, a budget may come back."""
        if len(self._leases) < self._forget_at:
            return
        before = self._wall() - BOOKS_CLOSE_SECONDS
        for key, lease in tuple(self._leases.items()):
            if key not in self._active and lease.ends_at is not None and lease.ends_at < before:
                del self._leases[key]
        self._forget_at = 2 * len(self._leases) + 100

    async def _told_anyhow(self, batch: list[Lease]) -> None:
        """One exchange; again where the first was lost on the way, or where we were taken for dead: then everything anew."""
        try:
            known = await self._told(batch)
        except (DatareeveError, TimeoutError):
            if self.down:
                raise
            known = await self._told(batch)
        if not known:
            await self._told(list(self._active.values()))

    async def _told(self, batch: list[Lease]) -> bool:
        """One exchange for these; False where the pool had taken us for dead. Errors: `Unreachable`, `TimeoutError`."""
        await self._open(batch)
        self._turn += 1
        began = self.now()
        asks = [lease.asking(began) for lease in batch]
        async with asyncio.timeout(ANSWER_SECONDS):
            reply = await self._pool.exchange(self._turn, asks)
        now = self.now()
        self._exchanges += 1
        self._last_ms = (now - began) * 1000
        if reply.forgotten:
            raise _Forgotten
        if reply.lost:
            for lease in self._leases.values():
                lease.begin_anew()
            return False
        self._heard(batch, asks, reply, now)
        return True

    def _heard(self, batch: Iterable[Lease], asks: list[Ask], reply: Reply, now: float) -> None:
        self.instances = reply.instances
        for lease, ask, grant in zip(batch, asks, reply.grants, strict=True):
            lease.granted(ask, grant, now)
            if lease.waiting:
                self._due[lease.key] = lease
        for key in reply.wanted:
            lease_ = self._active.get(key)
            if lease_ is not None:
                lease_.pressed(now)

    async def _open(self, batch: list[Lease]) -> None:
        """Learn what was spent of a period before it was counted."""
        for lease in batch:
            if not lease.opened:
                if self._openings is not None:
                    lease.opening = await self._openings(lease.counter, lease.period)
                lease.opened = True

    def _fall_back(self, batch: Iterable[Lease]) -> None:
        if not self.down:
            self.down, self._down_since = True, self.now()
        now, self._back_at = self.now(), 0.0
        for lease in batch:
            self._active[lease.key] = lease
        for lease in self._active.values():
            self._due[lease.key] = lease
            lease.fall_back()
            lease.serve(now)
            lease.give_up_waiting()
