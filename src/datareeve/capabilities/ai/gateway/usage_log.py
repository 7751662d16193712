"""The usage log: one row a request, written off its path. `begin` and `end` put a row into memory; everything else happens later.

Every 20 ms what began and ended is appended to the spool with one write; a thread moves the spool into the store (`systems.usage_mover`).
What is lost when the process is killed: what ended in the 20 ms before, or within one turn of the loop if that is longer; well under the
250 ms that are promised. What began before and had not ended becomes an `interrupted` row, counted by the estimate it began with, when the
next process starts, or the next one looks.

A full disk: requests go on. Frames wait in memory, up to `MEMORY_BYTES`, and are written when there is room; beyond that rows are summed by
key and model, and each sum becomes one row that stands for `requests` many. `figures` tells all of it. Nothing is left out silently.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from datareeve.capabilities.ai.gateway.usage import UsageRow
from datareeve.systems.usage_mover import Mover
from datareeve.systems.usage_spool import Frame, Spool, decoded, encoded, interrupted
from datareeve.systems.usage_table import COLUMNS, HOUR, PLACE, cleaned

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from datareeve.systems.gateway_store import GatewayStore
    from datareeve.systems.usage_mover import Observer
    from datareeve.systems.usage_table import UsageTuple

FLUSH_SECONDS = 0.02
RETRY_SECONDS = 0.25  # where the disk is full
MEMORY_BYTES = 32 * 1024 * 1024  # of frames that wait for the disk: some 100,000 requests
SUMS_MOST = 10_000
ROW_BYTES_MOST = 4096  # on average in a frame: beyond it, texts are cut

_TOKENS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
_head, _tokens = attrgetter(*COLUMNS[: PLACE["input"]]), attrgetter(*_TOKENS)
_tail = attrgetter(*COLUMNS[PLACE["estimated"] : PLACE["requests"]])
# Rows are summed where these are the same …
_SAME = [
    PLACE[name]
    for name in ("virtual_key", "key_name", "team", "endpoint", "asked_model", "provider", "provider_key", "model", "status",
                 "http_status", "stream", "cached", "estimated", "price_version", "error")
]  # fmt: skip
# … and of these the sum is kept.
_ADDED = [
    PLACE[name] for name in ("attempts", *_TOKENS, "total_ms", "cost_microusd", "saved_microusd", "requests")
]


@dataclass(frozen=True, slots=True)
class LogFigures:
    """How the log does."""

    requests: int  # that ended
    behind: int  # of those, not in the store yet
    behind_seconds: float  # since when there are such
    in_memory_bytes: int  # of frames that the disk did not take
    summed: int  # requests that only a sum is kept of, since the start
    interrupted: int  # rows made of requests that other processes had not ended when they were gone
    damaged: int  # frames that could not be read again
    problem: str  # a stable code; '' where nothing hinders it


@dataclass(frozen=True, slots=True)
class Left:
    """What a closed log leaves behind."""

    in_spool: int  # requests whose rows the next process moves
    lost: int  # requests that neither disk nor store took


class Unmade(Protocol):
    """A request that makes its first row when that is wanted: one that ends within a flush needs none."""

    @property
    def id(self) -> str:
        """The request's id."""

    def begun(self) -> UsageRow:
        """Its row while it runs: an estimate of what it will have used."""


class UsageLog:
    """The log of one process. `begin`, `end`, `flush`, `figures` and `close` belong to the event loop."""

    def __init__(
        self,
        store: GatewayStore,
        spool_folder: Path,
        instance: str,
        *,
        observers: Sequence[Observer] = (),
        keep_days: float | None = None,
    ) -> None:
        """`keep_days`: rows that are older are removed; their sums stay."""
        self._timer: asyncio.TimerHandle | None = None
        self._begun: dict[str, UsageRow | Unmade] = {}  # since the last flush: most end before it
        self._running: dict[str, UsageTuple] = {}  # whose beginning is in the spool
        self._untold: dict[str, UsageTuple] = {}  # that began while rows were summed
        self._ended: list[UsageTuple] = []
        self._over: list[str] = []  # of those that ended, the ids whose beginning is in the spool
        self._requests = 0
        self._behind_since = 0.0
        self._spool = Spool(spool_folder, instance)
        self._memory = _Memory()
        self._sums = _Sums()
        self._mover = Mover(store, self._spool, self._memory.after, observers=observers, keep_days=keep_days)

    async def start(self) -> None:
        """Begin to move rows into the store, first those that processes left which are gone. Rows given before wait."""
        self._mover.start()

    @property
    def behind(self) -> int:
        """Requests that ended and are not in the store yet."""
        return self.figures().behind

    # -- a request's two calls ----------------------------------------------------------------------------------------------------

    def begin(self, row: UsageRow | Unmade) -> None:
        """A request is about to be sent; the row holds an estimate of what it uses: that is what it counts if its end is never seen."""
        self._begun[row.id] = row
        if self._timer is None:
            self._arm(FLUSH_SECONDS)

    def end(self, row: UsageRow) -> None:
        """A request has ended, whether it had begun or was refused."""
        flat = _flat(row)
        if self._begun.pop(flat[0], None) is None:  # a request within one flush needs no beginning
            if self._running.pop(flat[0], None) is not None:
                self._over.append(flat[0])
            elif self._untold:
                self._untold.pop(flat[0], None)
        self._ended.append(flat)
        if self._timer is None:
            self._arm(FLUSH_SECONDS)

    # -- every 20 ms -------------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Append what began and ended to the spool, and what had to wait before."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._retry()
        if self._begun or self._ended:
            self._keep()
        self._mover.wake()
        self._spool.remove_until(self._mover.moved)
        if self._memory.frames or self._sums:
            self._arm(RETRY_SECONDS)

    def _keep(self) -> None:
        begun, ended, over = _made(self._begun), self._ended, self._over
        self._begun, self._ended, self._over = {}, [], []
        if self._requests == self._mover.requests:
            self._behind_since = time.monotonic()
        self._requests += len(ended)
        if self._sums or self._memory.bytes > MEMORY_BYTES:
            self._untold.update(begun)
            self._sums.add(ended, over)
            return
        self._running.update(begun)
        self._append([*begun.values()], ended, ())
        if self._spool.is_full and not self._memory.frames:
            self._rotate()

    def _append(
        self, begun: Sequence[UsageTuple], ended: Sequence[UsageTuple], summed: Sequence[str]
    ) -> None:
        """One frame, to the disk where it takes it and nothing waits before it, else into memory."""
        self._spool.frame += 1
        line = _line(self._spool.frame, begun, ended, summed)
        if self._memory.frames or not self._written(self._spool.frame, line):
            self._memory.put(self._spool.frame, line)

    def _written(self, number: int, line: bytes) -> bool:
        try:
            self._spool.append(line)
        except OSError:
            return False
        self._memory.in_file = number
        return True

    def _rotate(self) -> None:
        number = self._spool.frame + 1
        try:
            self._spool.rotate(_line(number, [*self._running.values()], (), ()), number - 1)
        except OSError:
            return  # the next flush tries again
        self._spool.frame = self._memory.in_file = number

    def _retry(self) -> None:
        """Write what waits for the disk, but for what the store has taken from memory; then what was summed meanwhile."""
        memory = self._memory
        memory.drop_until(self._mover.moved)
        while memory.frames and self._written(*memory.frames[0]):
            memory.drop_first()
        if self._sums and memory.bytes < MEMORY_BYTES // 2:
            rows, ids = self._sums.taken()
            self._append([*self._untold.values()], rows, ids)
            self._running.update(self._untold)
            self._untold = {}

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self.flush)

    # -- what it tells, and its end ------------------------------------------------------------------------------------------------

    def figures(self) -> LogFigures:
        """How the log does at this moment."""
        mover, requests = self._mover, self._requests + len(self._ended)
        behind = max(0, requests - mover.requests)
        full = "gateway.spool-full" if self._memory.frames or self._sums else ""
        since = max(self._behind_since, mover.caught_up_at)
        return LogFigures(
            requests=requests,
            behind=behind,
            behind_seconds=max(0.0, time.monotonic() - since) if behind else 0.0,
            in_memory_bytes=self._memory.bytes,
            summed=self._sums.summed,
            interrupted=mover.drained.interrupted,
            damaged=mover.damaged,
            problem=full or mover.problem,
        )

    async def close(self, seconds: float = 10.0) -> Left:
        """Write down everything, wait until the store has it, for so long at most, and let go of the spool.

        Requests that still run are written as interrupted ones. Rows that the store did not take stay in the spool.
        """
        deadline = time.monotonic() + seconds
        self._end_running()
        self.flush()
        while (self._memory.frames or self._sums) and time.monotonic() < deadline:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()
        self._mover.stop(max(0.0, deadline - time.monotonic()))
        if self._mover.ident is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._mover.join, seconds + 1)
        if self._timer is not None:
            self._timer.cancel()
        return self._let_go()

    def _end_running(self) -> None:
        now = time.time()
        running = {**self._running, **self._untold, **_made(self._begun)}
        self._over += self._running
        self._ended += [interrupted(row, now) for row in running.values()]
        self._running, self._untold, self._begun = {}, {}, {}

    def _let_go(self) -> Left:
        self._memory.drop_until(self._mover.moved)
        behind, lost = self.figures().behind, self._memory.requests() + self._sums.requests
        self._spool.close(remove=behind == 0)
        return Left(in_spool=behind - lost, lost=lost)


def _made(begun: dict[str, UsageRow | Unmade]) -> dict[str, UsageTuple]:
    return {name: _flat(row if isinstance(row, UsageRow) else row.begun()) for name, row in begun.items()}


def _flat(row: UsageRow) -> UsageTuple:
    return (*_head(row), *_tokens(row.tokens), *_tail(row), 1)


def _line(
    number: int, begun: Sequence[UsageTuple], ended: Sequence[UsageTuple], summed: Sequence[str]
) -> bytes:
    """A frame; where a row holds what has no form there, or texts without end, of rows that were cleaned."""
    try:
        line = encoded(number, begun, ended, summed)
        if len(line) <= ROW_BYTES_MOST * (1 + len(begun) + len(ended)):
            return line
    except TypeError:
        pass
    return encoded(number, [*map(cleaned, begun)], [*map(cleaned, ended)], summed)


class _Memory:
    """Frames that the disk did not take. The loop puts and drops; the mover looks."""

    def __init__(self) -> None:
        self.frames: deque[tuple[int, bytes]] = deque()
        self.bytes = 0
        self.in_file = 0  # the last frame that is in the file
        self._lock = threading.Lock()

    def put(self, number: int, line: bytes) -> None:
        with self._lock:
            self.frames.append((number, line))
            self.bytes += len(line)

    def drop_first(self) -> None:
        with self._lock:
            self.bytes -= len(self.frames.popleft()[1])

    def drop_until(self, number: int) -> None:
        while self.frames and self.frames[0][0] <= number:
            self.drop_first()

    def after(self, number: int) -> Iterable[Frame]:
        """The frames behind that one; none while there are some in the file still to be read before them."""
        with self._lock:
            lines = [line for at, line in self.frames if at > number] if self.in_file <= number else []
        return (frame for frame in map(decoded, lines) if frame is not None)

    def requests(self) -> int:
        """How many requests ended in these frames."""
        frames = (decoded(line) for _, line in self.frames)
        return sum(row[-1] for frame in frames if frame is not None for row in frame.ended)


class _Sums:
    """Rows summed by hour, key, model and outcome: what is left of them where neither the disk nor memory takes any more."""

    def __init__(self) -> None:
        self.requests = 0  # in the sums that are here
        self.summed = 0  # since the start
        self._rows: dict[UsageTuple, list[Any]] = {}
        self._ids: list[str] = []

    def __bool__(self) -> bool:
        return self.requests > 0

    def add(self, rows: Sequence[UsageTuple], ids: Sequence[str]) -> None:
        """Add rows; `ids` of those whose beginning the spool holds."""
        self._ids += ids
        self.requests += len(rows)
        self.summed += len(rows)
        for row in rows:
            values = list(cleaned(row))
            key = _sum_key(values)
            if key not in self._rows and len(self._rows) >= SUMS_MOST:
                for name in ("asked_model", "endpoint", "error"):  # what clients can invent
                    values[PLACE[name]] = ""
                key = _sum_key(values)
            self._add_one(key, values)

    def _add_one(self, key: UsageTuple, values: list[Any]) -> None:
        known = self._rows.get(key)
        if known is None:
            values[PLACE["id"]] = f"sum-{uuid4().hex}"
            values[PLACE["first_ms"]] = None
            for name in ("digest", "prefix"):
                values[PLACE[name]] = ""
            self._rows[key] = values
            return
        for place in _ADDED:
            known[place] += values[place]

    def taken(self) -> tuple[list[UsageTuple], list[str]]:
        """The sums as rows, each for so many `requests`, and the ids; none are here afterwards."""
        rows, ids = [tuple(row) for row in self._rows.values()], self._ids
        self._rows, self._ids, self.requests = {}, [], 0
        return rows, ids


def _sum_key(values: list[Any]) -> UsageTuple:
    return (int(values[PLACE["at"]]) // HOUR, *(values[place] for place in _SAME))
