"""How several processes share one limit: each holds a *share* of it, and the shares together are never more than the limit.

A process takes from its own share without asking anybody. It gives back what it does not need and asks for more when it runs low; both
are one exchange with a pool (`systems/lease_pool.py`: memory, SQL; `lease_pool_redis.py`). A share of a limit a minute is not used up: what
was taken sixty seconds ago is free again, in the same process, so that steady traffic needs no exchange at all. A share of a budget of a
day or a month is used up; what of it was spent is told at every exchange.

What is told is a state, never a difference: telling it twice does no harm, and a late message is known by its turn. A process that is
not heard of for `TTL_SECONDS` stops using its share, and `REAP_SECONDS` later, when also the last thing it can have taken has left every
window, the others get it; what it had spent, and what it had reserved, stays counted. Prior art: leases (Gray and Cheriton, 1989), max-min
fairness (Bertsekas and Gallager, Data Networks, section 6.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Window = Literal["minute", "day", "month", "parallel"]

TTL_SECONDS = 10.0  # a share is good for so long after the exchange that confirmed it
WINDOW_SECONDS = 61.0  # the longest that something taken counts in a minute's window of one-second slots
REAP_SECONDS = WINDOW_SECONDS  # after its end a dead process's share goes back
BOOKS_CLOSE_SECONDS = 86_400.0  # after its end a period's shares are summed up: nothing runs as long
UNBOUNDED = 1 << 53  # more than any amount, and exact in a Lua number


@dataclass(frozen=True, slots=True)
class Ask:
    """What one process says of one counter, and what it would like. Amounts are integers: requests, tokens, micro-dollars."""

    counter: str
    period: str  # '' for windows that slide; '2026-11-23' or '2026-11' for those of the calendar
    limit: int | None  # None: only counted
    used: int  # taken: within the window, or settled and reserved of the period
    keep: int  # how much of its share it keeps, at least `used`; it gave up the rest before it said so
    settled: int = 0  # of a period: known to be spent
    least: int = 0  # the smallest amount that a request waits for
    need: int = 0  # what requests wait for, together
    want: int = 0  # `need` and some in reserve
    alone: bool = (
        False  # one request may go beyond the limit where nothing else is reserved and not all is spent
    )
    ends_at: float | None = None  # of the period, Unix seconds
    opening: int = 0  # spent in the period before anybody counted it; read where the counter is new

    @property
    def key(self) -> tuple[str, str]:
        """The counter in its period."""
        return self.counter, self.period


@dataclass(frozen=True, slots=True)
class Share:
    """One process's row of one counter."""

    held: int
    used: int
    settled: int
    need: int  # not met yet; 0 where the process is not heard of


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to one ask."""

    held: int  # the share now: `keep` and what was added
    fair: (
        int | None
    )  # others need more, or the limit was lowered: go down to this, which leaves each as much as can be
    others: int  # held by the others, or spent by those that are gone
    free_elsewhere: int  # of that, not taken as far as is known
    spent_elsewhere: int  # of a period, by the others and those that are gone


@dataclass(frozen=True, slots=True)
class Reply:
    """What an exchange brought."""

    grants: tuple[Grant, ...] = ()
    wanted: frozenset[tuple[str, str]] = frozenset()  # counters we hold a share of and others need more of
    instances: int = 1  # processes heard of, this one included
    lost: bool = False  # we were taken for dead, what we used was summed up: say everything anew from there
    forgotten: bool = False  # the pool was emptied: say everything anew, and wait until all have done so


class Pool(Protocol):
    """What shares are kept in. One object belongs to one instance: a process from its start to its end."""

    async def exchange(self, turn: int, asks: Sequence[Ask]) -> Reply:
        """Tell and ask, for all counters at once; also says that this process lives. `turn` grows with each call.

        Errors: `Unreachable` `gateway.limits-down`.
        """

    async def leave(self, turn: int, asks: Sequence[Ask]) -> None:
        """Say the last word on each counter and give back what was not taken. Errors: as `exchange`."""

    async def close(self) -> None:
        """Let go of connections."""


def decide(ask: Ask, base: int, others: Sequence[Share]) -> tuple[Share, Grant]:
    """The share that a process gets. `base` is what those that are gone have spent of the period.

    The same rules stand in lease_pool.lua; a test holds both against each other.
    """
    held = base + sum(other.held for other in others)
    fair, room = _room(ask, held, others)
    extra = _extra(ask, room, contested=fair is not None)
    if extra < ask.least and ask.alone and _nothing_open(ask, base, others):
        extra = ask.least
    unmet = ask.want - extra if extra < ask.need else 0
    free = sum(max(other.held - other.used, 0) for other in others)
    spent = base + sum(other.settled for other in others)
    grant = Grant(ask.keep + extra, fair, held, free, spent)
    return Share(ask.keep + extra, ask.used, ask.settled, unmet), grant


def _room(ask: Ask, held: int, others: Sequence[Share]) -> tuple[int | None, int]:
    """The fair share, where it matters, and how much can be added."""
    if ask.limit is None:
        return None, UNBOUNDED
    room = ask.limit - held - ask.keep
    if room >= 0 and not any(other.need for other in others):
        return None, room
    if ask.period:
        return 0, room
    mine = UNBOUNDED if ask.need else ask.keep
    fair = level(ask.limit, [mine, *(UNBOUNDED if other.need else other.held for other in others)])
    if not ask.used:  # one request at a time may go on, also where there is less than that for each
        fair = max(fair, ask.keep + ask.least)
    return fair, min(room, fair - ask.keep)


def _extra(ask: Ask, room: int, *, contested: bool) -> int:
    """What is added: all that is needed where it is there, and in reserve at most half of what is left then."""
    if room <= 0 or room < ask.least:
        return 0
    if room < ask.need:
        return room
    return ask.need + (0 if contested else min(ask.want - ask.need, (room - ask.need) // 2))


def _nothing_open(ask: Ask, base: int, others: Sequence[Share]) -> bool:
    """Whether nothing is reserved anywhere, nothing held in reserve, and the limit not yet spent."""
    if ask.limit is None or ask.keep != ask.settled or any(other.held != other.settled for other in others):
        return False
    return base + ask.settled + sum(other.settled for other in others) < ask.limit


def level(limit: int, demands: Iterable[int]) -> int:
    """Max-min fairness: the most that each may hold so that all together hold the limit; who wants less leaves the rest."""
    ordered = sorted(demands)
    for place, demand in enumerate(ordered):
        share = limit // (len(ordered) - place)
        if demand >= share:
            return share
        limit -= demand
    return max(limit, 0) + (ordered[-1] if ordered else 0)
