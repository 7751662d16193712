"""Writing off the path of requests: a bounded queue, and one thread that empties it in batches."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MOST = 2000
BATCH = 100


class Writer(Generic[T]):
    """What is given is written soon, or lost and counted: nobody waits for it. `give` belongs to one thread."""

    def __init__(self, write: Callable[[list[T]], None], *, most_bytes: int, name: str) -> None:
        """`write` is called in the thread with what waits; what it cannot write is lost."""
        self._write = write
        self._most_bytes = most_bytes
        self._name = name
        self._queue: queue.Queue[tuple[T, int] | None] = queue.Queue(MOST)
        self._given = self._taken = self._refused = self._failed = (
            0  # the first and third are the giver's, the others the thread's
        )
        self._thread: threading.Thread | None = None

    @property
    def lost(self) -> int:
        """How many were not written."""
        return self._refused + self._failed

    def give(self, item: T, size: int) -> bool:
        """Queue one of so many bytes; False where the queue is full."""
        if self._given - self._taken + size > self._most_bytes:
            self._refused += 1
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait((item, size))
        except queue.Full:
            self._refused += 1
            return False
        self._given += size
        return True

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, for so long."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(seconds)
            self._thread = None

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = self._batch(first)
            try:
                self._write([item for item, _ in batch])
            except Exception:  # noqa: BLE001 - the thread's boundary: what one batch does to it must not end the others
                self._failed += len(batch)
            self._taken += sum(size for _, size in batch)
            if last:
                return

    def _batch(self, first: tuple[T, int]) -> tuple[list[tuple[T, int]], bool]:
        """What waits, up to a batch; and whether nothing comes any more."""
        batch = [first]
        while len(batch) < BATCH:
            try:
                found = self._queue.get_nowait()
            except queue.Empty:
                break
            if found is None:
                return batch, True
            batch.append(found)
        return batch, False
