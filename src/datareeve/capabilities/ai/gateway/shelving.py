"""The cache's shelf: earlier answers outlive the process, in the gateway's store or in Redis, sealed where there is a key to seal with.

Nobody waits for it long: what it does not give within a quarter of a second it does not have, and where it fails it is left alone for a while.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import orjson

from datareeve.capabilities.ai.gateway.cache import Stored
from datareeve.capabilities.ai.gateway.usage import Tokens
from datareeve.capabilities.ai.gateway.writing import Writer
from datareeve.core.errors import DatareeveError
from datareeve.systems.answer_shelf import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.systems.answer_shelf import Board
    from datareeve.systems.gateway_contents import Contents

PATIENCE_SECONDS: Final = 0.25
MOST_ASKED: Final = 64  # look-ups at once; further ones find nothing
QUEUE_BYTES: Final = 32 << 20
TRIM_SECONDS: Final = 5.0
REST_SECONDS: Final = (1.0, 60.0)  # that it is left alone after a failure, at first and at most
TIMES_MEMORY: Final = 16  # it holds so many times what memory holds


class Shelving:
    """A `Shelf` on a `Board`. `get` and `put` belong to the event loop; neither raises."""

    def __init__(
        self, board: Board, contents: Contents, *, max_mb: int, clock: Callable[[], float] = time.time
    ) -> None:
        """`max_mb`: of the cache in memory."""
        self.max_bytes = (max_mb << 20) * TIMES_MEMORY
        self._board = board
        self._contents = contents
        self._clock = clock
        self._writer: Writer[tuple[str, Stored]] = Writer(self._write, most_bytes=QUEUE_BYTES, name="answers")
        self._readers = ThreadPoolExecutor(2, "answers-read")
        self._asked = 0
        self._rests_until = self._trimmed_at = 0.0  # time.monotonic()
        self._rest = REST_SECONDS[0]

    @property
    def lost(self) -> int:
        """How many answers were not kept."""
        return self._writer.lost

    async def get(self, place: bytes) -> Stored | None:
        """The entry, while it is good and comes soon."""
        if self._asked >= MOST_ASKED or time.monotonic() < self._rests_until:
            return None
        self._asked += 1
        reading = asyncio.get_running_loop().run_in_executor(self._readers, self._read, place.hex())
        reading.add_done_callback(self._was_asked)
        done, _ = await asyncio.wait((reading,), timeout=PATIENCE_SECONDS)
        if not done:
            self._leave_alone()
            return None
        return reading.result()

    def put(self, place: bytes, stored: Stored) -> None:
        """Keep it soon."""
        if time.monotonic() >= self._rests_until:
            self._writer.give((place.hex(), stored), len(stored.body))

    def close(self) -> None:
        """Write what waits; close the board."""
        self._writer.close()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._board.close()

    def _was_asked(self, _: object) -> None:
        self._asked -= 1

    def _leave_alone(self) -> None:
        """For a while, and longer each time that it fails again."""
        self._rests_until = time.monotonic() + self._rest
        self._rest = min(2 * self._rest, REST_SECONDS[1])

    def _read(self, key: str) -> Stored | None:
        try:
            box = self._board.get(key, self._clock())
            data = self._contents.open(box, _row(key)) if box is not None else None
        except Exception:  # noqa: BLE001 - the thread's boundary: a request that can do without must not fail by it
            self._leave_alone()
            return None
        self._rest = REST_SECONDS[0]
        return unpacked(data) if data is not None else None

    def _write(self, batch: list[tuple[str, Stored]]) -> None:
        try:
            now = self._clock()
            self._board.put([self._entry(key, stored, now) for key, stored in batch if stored.until > now])
            if time.monotonic() - self._trimmed_at > TRIM_SECONDS:
                self._board.trim(now, self.max_bytes)
                self._trimmed_at = time.monotonic()
        except DatareeveError:
            self._leave_alone()
            raise

    def _entry(self, key: str, stored: Stored, now: float) -> Entry:
        return Entry(key, self._contents.seal(packed(stored), _row(key), must=False), now, stored.until)


def packed(stored: Stored) -> bytes:
    """An entry as bytes: what it is in one line of JSON, and the answer."""
    tokens = [getattr(stored.tokens, name) for name in Tokens.__slots__]
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in stored.headers]
    head = orjson.dumps([1, headers, stored.stream, tokens, stored.microusd, stored.target, stored.until])
    return b"%b\n%b" % (head, stored.body)


def unpacked(data: bytes) -> Stored | None:
    """The entry; None where it is none of ours."""
    head, _, body = data.partition(b"\n")
    try:
        version, headers, stream, tokens, microusd, target, until = orjson.loads(head)
        if version != 1:
            return None
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return Stored(pairs, body, bool(stream), Tokens(*tokens), int(microusd), str(target), float(until))
    except (ValueError, TypeError, AttributeError):
        return None


def _row(key: str) -> str:
    return f"answer:{key}"
