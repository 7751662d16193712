"""Pools of shared limits: in memory, and in the gateway's store (SQLite, PostgreSQL). The rules are in `lease_rules`, Redis in `lease_pool_redis`.

In SQL an exchange is one transaction. It locks the counters it touches in one order, so that processes wait for each other and never in a
circle; it runs in a thread of its own, off the way of requests.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from datareeve.core.errors import DatareeveError, Unreachable
from datareeve.systems.lease_rules import (
    BOOKS_CLOSE_SECONDS,
    REAP_SECONDS,
    TTL_SECONDS,
    UNBOUNDED,
    Ask,
    Grant,
    Reply,
    Share,
    decide,
)
from datareeve.systems.store_database import named_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from datareeve.systems.store_database import Transaction

SQL = named_statements("lease_pool.sql")
TABLES = ("counters", "holders", "shares", "shares_by_instance", "shares_needed")
MOST_ASKS = 400  # counters in one transaction
REAP_EVERY_SECONDS = 5.0  # between two looks for the dead
BEAT_EVERY_SECONDS = TTL_SECONDS / 5  # between two writings that this process lives
KEEP_SECONDS = 400 * 86_400.0  # that a period's sum is kept after its end

LAST_TURN = UNBOUNDED  # of a process that has left

Key = tuple[str, str]


def create_tables(t: Transaction) -> None:
    """Make the pool's tables in the gateway's store, where they are not there."""
    for name in TABLES:
        t.run(SQL[name])


# -- in memory -----------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Holder:
    turn: int
    expires_at: float
    reaped: bool = False


@dataclass(slots=True)
class SharedMemory:
    """What `MemoryPool`s of one process have in common. `clock`: Unix seconds."""

    clock: Callable[[], float] = time.time
    spent: dict[Key, int] = field(default_factory=dict)
    ends: dict[Key, float | None] = field(default_factory=dict)
    shares: dict[Key, dict[str, Share]] = field(default_factory=dict)
    holders: dict[str, _Holder] = field(default_factory=dict)


class MemoryPool:
    """Shares of several meters in one process, and the plainest telling of what every pool does."""

    def __init__(self, shared: SharedMemory, instance: str) -> None:
        self._shared = shared
        self._instance = instance

    async def exchange(self, turn: int, asks: Sequence[Ask]) -> Reply:
        """See `Pool.exchange`."""
        shared, now = self._shared, self._shared.clock()
        self._reap(now)
        holder = shared.holders.get(self._instance)
        if holder is not None and not holder.reaped and holder.turn >= turn:
            raise _late()
        shared.holders[self._instance] = _Holder(turn, now + TTL_SECONDS)
        if holder is not None and holder.reaped:
            return Reply(lost=True)
        if holder is None and turn > 1:
            return Reply(forgotten=True)
        grants = tuple(self._decided(ask, now) for ask in asks)
        living = sum(1 for other in shared.holders.values() if other.expires_at > now)
        return Reply(grants, self._wanted(now), living)

    async def leave(self, turn: int, asks: Sequence[Ask]) -> None:
        """See `Pool.leave`."""
        holder = self._shared.holders.get(self._instance)
        if holder is None or holder.turn == LAST_TURN:
            return
        await self.exchange(turn, asks)
        self._fold(self._instance, [key for key in self._shared.shares if key[1]])
        self._shared.holders[self._instance] = _Holder(LAST_TURN, self._shared.clock())

    async def close(self) -> None:
        """Nothing is open."""

    def _decided(self, ask: Ask, now: float) -> Grant:
        shared = self._shared
        base = shared.spent.setdefault(ask.key, ask.opening)
        shared.ends.setdefault(ask.key, ask.ends_at)
        rows = shared.shares.setdefault(ask.key, {})
        others = [self._heard(name, row, now) for name, row in rows.items() if name != self._instance]
        row, grant = decide(ask, base, others)
        if row == Share(0, 0, 0, 0):
            rows.pop(self._instance, None)
        else:
            rows[self._instance] = row
        return grant

    def _heard(self, name: str, row: Share, now: float) -> Share:
        if self._shared.holders[name].expires_at > now:
            return row
        return Share(row.held, row.used, row.settled, 0)

    def _wanted(self, now: float) -> frozenset[Key]:
        mine = self._instance
        return frozenset(
            key
            for key, rows in self._shared.shares.items()
            if mine in rows
            and rows[mine].held > 0
            and any(name != mine and self._heard(name, row, now).need for name, row in rows.items())
        )

    def _reap(self, now: float) -> None:
        for name, holder in self._shared.holders.items():
            if not holder.reaped and holder.expires_at + REAP_SECONDS <= now:
                holder.reaped = True
                self._fold(name, self._shared.shares)
        ended = [
            k for k, end in self._shared.ends.items() if end is not None and end + BOOKS_CLOSE_SECONDS <= now
        ]
        for key in ended:
            for name in tuple(self._shared.shares.get(key, ())):
                self._fold(name, (key,))

    def _fold(self, name: str, keys: Iterable[Key]) -> None:
        for key in keys:
            row = self._shared.shares.get(key, {}).pop(name, None)
            if row is not None and key[1]:
                self._shared.spent[key] += row.used


# -- in the store ----------------------------------------------------------------------------------------------------------------


class Store(Protocol):
    """What `SqlPool` needs of the gateway's store."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """All of it is done, or nothing."""

    def reading(self) -> AbstractContextManager[Transaction]:
        """Queries that see one state."""


class SqlPool:
    """Shares in the gateway's store. `clock` stands in for the database's own, in tests."""

    def __init__(
        self,
        store: Store,
        instance: str,
        *,
        clock: Callable[[], float] | None = None,
        reap_every: float = REAP_EVERY_SECONDS,
    ) -> None:
        self._store = store
        self._instance = instance
        self._clock = clock
        self._reap_every = reap_every
        self._beat_every = min(reap_every, BEAT_EVERY_SECONDS)
        self._beat_at = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="limits")
        self._reap_at = 0.0
        self._at_work: asyncio.Future[Any] | None = None

    async def exchange(self, turn: int, asks: Sequence[Ask]) -> Reply:
        """See `Pool.exchange`."""
        reply: Reply = await self._off_the_loop(self._exchanged, turn, asks)
        return reply

    async def leave(self, turn: int, asks: Sequence[Ask]) -> None:
        """See `Pool.leave`."""
        await self._off_the_loop(self._left, turn, asks)

    async def close(self) -> None:
        """The store is its owner's to close; a transaction that hangs is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _off_the_loop(self, work: Callable[..., Any], *arguments: object) -> Any:
        if self._at_work is not None and not self._at_work.done():
            raise _down(
                "The gateway's store has not answered the last question yet.", "It is asked again by itself."
            )
        self._at_work = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        # Nobody may be waiting for it any more when it ends.
        self._at_work.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(self._at_work)
        except DatareeveError as error:
            raise _down(error.what, error.remedy) from None

    def _now(self, t: Transaction) -> float:
        return self._clock() if self._clock is not None else t.now()

    def _exchanged(self, turn: int, asks: Sequence[Ask]) -> Reply:
        if not asks and time.monotonic() < self._beat_at:
            return self._listened()
        self._reap()
        grants: dict[Key, Grant] = {}
        for start in range(0, max(len(asks), 1), MOST_ASKS):
            part = asks[start : start + MOST_ASKS]
            with self._store.transaction() as t:
                now = self._now(t)
                # Every statement before this one only reads the clock: SQLite's write lock, and ours on our row, come first.
                if start == 0 and (unknown := self._beat(t, turn, now)) is not None:
                    return unknown
                grants |= self._decided(t, part, now)
                if start + MOST_ASKS >= len(asks):
                    reply = self._reply(t, tuple(grants[ask.key] for ask in asks), now)
        self._beat_at = time.monotonic() + self._beat_every
        return reply

    def _listened(self) -> Reply:
        """What others need, without writing anything: we said a moment ago that we live."""
        with self._store.reading() as t:
            return self._reply(t, (), self._now(t))

    def _beat(self, t: Transaction, turn: int, now: float) -> Reply | None:
        """Say that we live; a reply where nobody knows us any more. Errors: `Unreachable` where a later message was first."""
        row = {"instance": self._instance, "turn": turn, "expires_at": now + TTL_SECONDS}
        if t.run(SQL["beat"], **row):
            return None
        holder = t.one(SQL["holder"], instance=self._instance)
        if holder is not None and not holder["reaped"]:
            raise _late()
        t.run(SQL["arrive"], **row)
        if holder is not None:
            return Reply(lost=True)
        return Reply(forgotten=True) if turn > 1 else None

    def _decided(self, t: Transaction, asks: Sequence[Ask], now: float) -> dict[Key, Grant]:
        if not asks:
            return {}
        spent = self._spent(t, asks)
        others: dict[Key, list[Share]] = {}
        keys, values = _keys(asks)
        found = t.rows(SQL["shares_of"].replace("{keys}", keys), now=now, instance=self._instance, **values)
        for row in found:
            share = Share(row["held"], row["used"], row["settled"], row["need"])
            others.setdefault((row["counter"], row["period"]), []).append(share)
        decided = {ask.key: decide(ask, spent[ask.key], others.get(ask.key, [])) for ask in asks}
        rows = [self._row(key, share) for key, (share, _) in decided.items()]
        t.run_many(SQL["set_share"], [row for row in rows if not _empty(row)])
        t.run_many(SQL["drop_share"], [_place(row) for row in rows if _empty(row)])
        return {key: grant for key, (_, grant) in decided.items()}

    def _spent(self, t: Transaction, asks: Sequence[Ask]) -> dict[Key, int]:
        """What those that are gone have spent of each counter; new counters are begun."""
        keys, values = _keys(asks)
        look = SQL["spent"].replace("{keys}", keys) + t.for_update
        found = {(row["counter"], row["period"]): int(row["spent"]) for row in t.rows(look, **values)}
        new = [ask for ask in sorted(asks, key=lambda ask: ask.key) if ask.key not in found]
        if new:
            t.run_many(SQL["open_counter"], [_opened(ask) for ask in new])
            found = {(row["counter"], row["period"]): int(row["spent"]) for row in t.rows(look, **values)}
        return found

    def _row(self, key: Key, share: Share) -> dict[str, object]:
        place = {"counter": key[0], "period": key[1], "instance": self._instance}
        return {**place, "held": share.held, "used": share.used, "settled": share.settled, "need": share.need}

    def _reply(self, t: Transaction, grants: tuple[Grant, ...], now: float) -> Reply:
        wanted = t.rows(SQL["wanted"], now=now, instance=self._instance)
        living = t.one(SQL["living"], now=now)
        return Reply(
            grants,
            frozenset((row["counter"], row["period"]) for row in wanted),
            int(living["n"]) if living else 1,
        )

    def _left(self, turn: int, asks: Sequence[Ask]) -> None:
        with self._store.transaction() as t:
            holder = t.one(SQL["holder"] + t.for_update, instance=self._instance)
            if holder is None or holder["turn"] == LAST_TURN:
                return  # it never came, or has left already
        self._exchanged(turn, asks)
        with self._store.transaction() as t:
            if t.run(SQL["gone"], instance=self._instance, turn=LAST_TURN, now=self._now(t)):
                self._fold(t, self._instance, only_periods=True)

    def _reap(self) -> None:
        """What the dead held goes back, what they had used stays counted; books that closed are summed up. Now and then."""
        if time.monotonic() < self._reap_at:
            return
        self._reap_at = time.monotonic() + self._reap_every
        with self._store.transaction() as t:
            now = self._now(t)
            before = now - REAP_SECONDS
            dead = [row["instance"] for row in t.rows(SQL["dead"], before=before)]
        for instance in dead:  # one transaction each: within it, counters are locked in one order
            with self._store.transaction() as t:
                if t.run(SQL["still_dead"], before=before, instance=instance):
                    self._fold(t, instance)
        with self._store.transaction() as t:
            self._close_books(t, now)

    def _fold(self, t: Transaction, instance: str, *, only_periods: bool = False) -> None:
        for row in t.rows(SQL["held_by"], instance=instance):
            if row["period"] or not only_periods:
                _fold_share(t, {**row, "instance": instance})

    def _close_books(self, t: Transaction, now: float) -> None:
        for row in t.rows(SQL["closed"], before=now - BOOKS_CLOSE_SECONDS):
            _fold_share(t, row)
        t.run(SQL["forget_holders"], before=now - BOOKS_CLOSE_SECONDS)
        t.run(SQL["old_counters"], before=now - KEEP_SECONDS)


def _fold_share(t: Transaction, row: dict[str, Any]) -> None:
    place = {"counter": row["counter"], "period": row["period"]}
    # Whoever removes the row adds it up: two that try at once do it once.
    if t.run(SQL["drop_share"], **place, instance=row["instance"]) and row["period"]:
        t.run(SQL["add_spent"], **place, used=row["used"])


def _keys(asks: Sequence[Ask]) -> tuple[str, dict[str, str]]:
    """The counters of some asks as VALUES lists, and their parameters."""
    lists = ", ".join(f"(:c{n}, :p{n})" for n in range(len(asks)))
    values = {f"c{n}": ask.counter for n, ask in enumerate(asks)} | {
        f"p{n}": ask.period for n, ask in enumerate(asks)
    }
    return f"VALUES {lists}", values


def _opened(ask: Ask) -> dict[str, object]:
    return {"counter": ask.counter, "period": ask.period, "ends_at": ask.ends_at, "spent": ask.opening}


def _empty(row: dict[str, object]) -> bool:
    return not (row["held"] or row["used"] or row["settled"] or row["need"])


def _place(row: dict[str, object]) -> dict[str, object]:
    return {name: row[name] for name in ("counter", "period", "instance")}


def _late() -> Unreachable:
    return _down("A message to the pool of limits came after a later one.", "It is sent anew by itself.")


def _down(what: str, remedy: str) -> Unreachable:
    return Unreachable("gateway.limits-down", what, remedy)
