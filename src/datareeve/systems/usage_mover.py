"""The thread that moves usage rows from a process's spool into the store, in batches, a few times a second.

The one idea: a batch is tried until the store has it; before each further try the store is asked how far it is, so that a commit whose answer
was lost is not done twice. While the store cannot be reached rows stay in the spool, and requests do not notice.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from datareeve.core.errors import Failed
from datareeve.systems import gateway_kept, usage_spool
from datareeve.systems.usage_spool import Drained, Frame, Reader
from datareeve.systems.usage_table import Move, prune_usage, spool_frame, write_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from datareeve.systems.gateway_store import GatewayStore
    from datareeve.systems.usage_spool import Spool
    from datareeve.systems.usage_table import UsageTuple

INTERVAL_SECONDS = 0.2  # between two commits
IDLE_SECONDS = 15.0  # between two looks for spools of processes that are gone
TIDY_SECONDS = 3600.0
WAIT_FIRST, WAIT_MOST = 0.25, 10.0  # before another try, where the store refuses


class Observer(Protocol):
    """Told of rows once the store has them, in the mover's thread: tracing. What it raises is counted, and goes no further."""

    def __call__(self, rows: Sequence[UsageTuple]) -> None:
        """Take rows in the order of `usage_table.COLUMNS`."""


@dataclass(slots=True)
class _Batch:
    rows: list[UsageTuple]
    last: int  # its last frame


class Mover(threading.Thread):
    """Moves rows until it is stopped. Its public fields are written by it alone and may be read from any thread."""

    def __init__(
        self,
        store: GatewayStore,
        spool: Spool,
        in_memory: Callable[[int], Iterable[Frame]],
        *,
        observers: Sequence[Observer] = (),
        keep_days: float | None = None,
    ) -> None:
        super().__init__(name="usage-mover", daemon=True)
        self._store = store
        self._spool = spool.name
        self._folder: Path = spool.folder
        self._reader = Reader(spool.folder, spool.name)
        self._in_memory = in_memory
        self._observers = observers
        self._keep_days = keep_days
        self._batch: _Batch | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._deadline = float("inf")
        self._drain_at = self._tidy_at = 0.0
        self._left = ""  # why spools of processes that are gone cannot be moved
        self._failing = False  # the round before failed
        self._wait = WAIT_FIRST
        self._stored = 0  # the frame that the store says
        self.moved = 0  # the last frame that needs nothing more
        self.requests = 0  # whose rows were moved from this process's spool
        self.caught_up_at = time.monotonic()
        self.drained = Drained()  # from processes that are gone
        self.problem = ""  # the code of what hinders it; '' while it goes on
        self.failed_observers = 0

    @property
    def damaged(self) -> int:
        """Frames that could not be read again."""
        return self._reader.damaged + self.drained.damaged

    def wake(self) -> None:
        """There is something to move."""
        self._wake.set()

    def stop(self, seconds: float) -> None:
        """Move what is there, for so long at most, then end."""
        self._deadline = time.monotonic() + seconds
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """The thread."""
        while True:
            stopping = self._stopping.is_set()
            began = time.monotonic()
            try:
                self._round()
                self._failing, self.problem = False, self._left
                self._wait, pause = WAIT_FIRST, INTERVAL_SECONDS
            except Failed as error:
                self._failing, self.problem, pause = True, error.code, self._next_wait()
                self._hold()
            except Exception as error:  # noqa: BLE001 - the thread's boundary: rows wait, and it is told
                self._failing, self.problem = True, f"gateway.usage-mover:{type(error).__name__}"
                pause = self._next_wait()
            if stopping and (not self._failing or time.monotonic() > self._deadline):
                return
            self._stopping.wait(max(0.0, began + pause - time.monotonic()))
            if stopping:
                time.sleep(0.02)  # `_stopping` is set: it does not wait any more
            if not self._failing:
                self._wake.wait(IDLE_SECONDS)
            self._wake.clear()

    def _round(self) -> None:
        """Everything that is there to move; now and then what others left, and what is too old."""
        while self._next_batch() is not None:
            self._move()
        self.caught_up_at = time.monotonic()
        now = time.monotonic()
        if now >= self._drain_at and not self._stopping.is_set():
            self._drain_at = now + IDLE_SECONDS
            self._drain()
        if now >= self._tidy_at and not self._stopping.is_set():
            self._tidy_at = now + (0 if self._tidy() else TIDY_SECONDS)

    def _drain(self) -> None:
        """Move what processes left that are gone; what cannot be moved is told, and our own rows go on."""
        try:
            _add(self.drained, usage_spool.drain(self._store, self._folder))
            self._left = ""
        except Failed as error:
            self._left = error.code

    def _tidy(self) -> bool:
        """Take out what is too old. Gives whether there is more."""
        gateway_kept.trim_prompts(self._store, time.time())
        self._store.forget_instances()
        return self._keep_days is not None and prune_usage(self._store, time.time() - self._keep_days * 86400)

    def _next_batch(self) -> _Batch | None:
        """The batch that is being tried, else the next frames of the spool, else those that the disk did not take."""
        if self._batch is None:
            self._batch = _gathered(self._reader.frames(), self.moved) or _gathered(
                self._in_memory(self.moved), self.moved
            )
        return self._batch

    def _move(self) -> None:
        batch = self._batch
        assert batch is not None  # noqa: S101 - asked for just before; for the type checker
        if batch.rows and not (self._failing and self._is_in(batch)):
            write_usage(self._store, batch.rows, Move(self._spool, self._stored, batch.last))
        if batch.rows:  # frames in which requests only began are not worth a commit
            self._stored = batch.last
        self._batch, self.moved = None, batch.last
        self.requests += sum(row[-1] for row in batch.rows)
        self._tell(batch.rows)

    def _is_in(self, batch: _Batch) -> bool:
        """Whether the try before went in after all. Where the store was put back to an earlier state, it goes on from there."""
        found, _ = spool_frame(self._store, self._spool)
        self._stored = found
        return found >= batch.last

    def _tell(self, rows: Sequence[UsageTuple]) -> None:
        for observer in self._observers:
            try:
                observer(rows)
            except Exception:  # noqa: BLE001 - tracing must not hinder counting
                self.failed_observers += 1

    def _hold(self) -> None:
        """The store does not take rows: see to it that the spool is on the disk itself."""
        try:
            self._reader.sync()
        except OSError:
            self.problem = "gateway.spool"

    def _next_wait(self) -> float:
        """Full jitter, so that many gateways do not come back to a server that was away all at once."""
        self._wait = min(self._wait * 2, WAIT_MOST)
        return random.uniform(0.05, self._wait)  # noqa: S311 - no secret


def _gathered(frames: Iterable[Frame], after: int) -> _Batch | None:
    """Frames behind `after`, up to a batch of rows."""
    batch: _Batch | None = None
    for frame in frames:
        if frame.number <= after:
            continue
        if batch is None:
            batch = _Batch([], after)
        batch.rows += frame.ended
        batch.last = frame.number
        if len(batch.rows) >= usage_spool.BATCH_ROWS:
            break
        time.sleep(0)  # let the event loop have the interpreter between two frames
    return batch


def _add(total: Drained, more: Drained) -> None:
    for name in Drained.__slots__:
        setattr(total, name, getattr(total, name) + getattr(more, name))
