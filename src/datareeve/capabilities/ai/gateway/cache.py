"""The response cache: equal questions get the earlier answer, byte for byte; streams are replayed as the streams they were.

What makes questions equal is their meaning (`dialects.meaning`): not the order of keys, not who asks. Answers are shared within a team, not beyond
it, and of a key without a team by nobody: what another team asked cannot be found out by timing. Questions that are equal and come at once wait for the first one's answer
(single flight). Entries live in memory, and behind it on a `Shelf` that outlives the process and may be shared.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.ai.gateway.config import Config, Route, VirtualKey
    from datareeve.capabilities.ai.gateway.dialects import Asked, Dialect
    from datareeve.capabilities.ai.gateway.usage import Tokens
    from datareeve.systems.http1 import Headers

CACHED = frozenset(("chat", "completions", "responses", "messages", "embeddings"))
STATEFUL = (
    "previous_response_id",
    "conversation",
    "background",
    "store",
    "container",
)  # an answer that leaves something behind
BETAS = (b"anthropic-beta", b"anthropic-version", b"openai-beta")  # headers that change what an answer is
KEPT_HEADERS = (b"content-type", b"openai-version", b"openai-model")
LARGEST_SHARE = 16  # an entry is at most this part of the cache
LOOK_SECONDS = 1.0  # between two looks whether who waits is still there
OVERHEAD = 512  # bytes that an entry takes beside its answer, about


@dataclass(slots=True)
class Stored:
    """An answer that is kept."""

    headers: Headers
    body: bytes
    stream: bool
    tokens: Tokens
    microusd: int  # what it cost, and what having it again saves
    target: str
    until: float  # Unix seconds


class Shelf(Protocol):
    """Where entries outlive the process. Neither raises: a shelf that is down has nothing and takes nothing."""

    async def get(self, place: bytes) -> Stored | None:
        """The entry, while it is good."""

    def put(self, place: bytes, stored: Stored) -> None:
        """Keep it; the caller does not wait."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer is kept, and for how long it would be."""

    digest: bytes
    seconds: float
    stream: bool


class Flight:
    """A question that is being asked for the first time: `fill` with its answer, or `give_up`."""

    __slots__ = ("_cache", "_place", "landed")

    def __init__(self, cache: Cache, place: Place) -> None:
        self._cache = cache
        self._place = place
        self.landed: asyncio.Future[Stored | None] = asyncio.get_running_loop().create_future()

    @property
    def most_bytes(self) -> int:
        """A longer answer is not kept."""
        return self._cache.largest

    def fill(self, headers: Headers, body: bytes, *, tokens: Tokens, microusd: int, target: str) -> None:
        """Its answer: for whoever waits, and to keep."""
        kept = [pair for pair in headers if pair[0] in KEPT_HEADERS]
        until = self._cache.clock() + self._place.seconds
        stored = Stored(kept, body, self._place.stream, tokens, microusd, target, until)
        self._cache.keep(self._place.digest, stored)
        self._land(stored)

    def give_up(self) -> None:
        """It has no answer to keep: the next of those who wait asks."""
        self._land(None)

    def _land(self, stored: Stored | None) -> None:
        if self._cache.flights.get(self._place.digest) is self:
            del self._cache.flights[self._place.digest]
        if not self.landed.done():
            self.landed.set_result(stored)


class Cache:
    """Entries by the meaning of their question; the longest unused go first."""

    def __init__(self, config: Config, clock: Callable[[], float], shelf: Shelf | None = None) -> None:
        self.clock = clock  # Unix seconds
        self.shelf = shelf
        self.flights: dict[bytes, Flight] = {}
        self.hits = 0
        self._entries: OrderedDict[bytes, Stored] = OrderedDict()
        self._bytes = 0
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """Work by this configuration."""
        self._settings = config.settings.cache
        self._on = bool(self._settings.seconds) or any(
            r.settings.cache_seconds for r in config.routes.values()
        )
        self._most = self._settings.max_mb << 20
        self.largest = self._most // LARGEST_SHARE
        self._shrink()

    def place(  # noqa: PLR0913 - everything that an answer depends on
        self,
        asked: Asked,
        meaning: bytes,
        *,
        dialect: Dialect,
        route: Route,
        key: VirtualKey,
        headers: Headers,
        query: bytes = b"",
    ) -> Place | None:
        """Where an answer would be; None where it is neither looked for nor kept."""
        if not self._on or not key.cache or dialect.name not in CACHED:
            return None
        own = route.settings.cache_seconds
        seconds = self._settings.seconds if own is None else own
        if not seconds or (self._settings.only_deterministic and not asked.deterministic):
            return None
        if any(asked.body.get(name) for name in STATEFUL) or not _wanted(headers):
            return None
        betas = b",".join(value for name, value in headers if name in BETAS)
        told = b"usage" if asked.stream and not asked.adds_usage else b""
        kind = f"{dialect.name}\0{route.name}\0{key.team or key.id}\0{asked.stream}".encode()
        digest = hashlib.sha256(b"\0".join((kind, told, betas, query, meaning))).digest()
        return Place(digest, seconds, asked.stream)

    async def look(
        self, place: Place, *, deadline: float = math.inf, gone: Callable[[], bool] = bool
    ) -> Stored | Flight:
        """The answer, once there is one; or a flight, which the caller must fill or give up.

        Who waits for another's answer does so until `deadline` (`time.monotonic()`), or until it is `gone`; then it has a flight of its own.
        """
        while True:
            if (found := self._in_memory(place.digest)) is not None:
                return found
            other = self.flights.get(place.digest)
            if other is None:
                break
            await asyncio.wait({other.landed}, timeout=min(LOOK_SECONDS, max(deadline - time.monotonic(), 0)))
            if other.landed.done():
                if (landed := other.landed.result()) is not None:
                    self.hits += 1
                    return landed
            elif gone() or time.monotonic() >= deadline:
                return Flight(self, place)
        flight = self.flights[place.digest] = Flight(self, place)
        if self.shelf is not None and (shelved := await self._from_shelf(flight, place)) is not None:
            return shelved
        return flight

    def keep(self, digest: bytes, stored: Stored) -> None:
        """Keep an entry, in memory and on the shelf."""
        if len(stored.body) > self.largest:
            return
        self._put(digest, stored)
        if self.shelf is not None:
            self.shelf.put(digest, stored)

    @property
    def size(self) -> tuple[int, int]:
        """Entries, and bytes."""
        return len(self._entries), self._bytes

    async def _from_shelf(self, flight: Flight, place: Place) -> Stored | None:
        try:
            found = await self.shelf.get(place.digest) if self.shelf is not None else None
        except BaseException:
            flight.give_up()
            raise
        if found is None or found.until <= self.clock():
            return None
        self._put(place.digest, found)
        self.hits += 1
        self.flights.pop(place.digest, None)
        flight.landed.set_result(found)
        return found

    def _in_memory(self, digest: bytes) -> Stored | None:
        found = self._entries.get(digest)
        if found is None:
            return None
        if found.until <= self.clock():
            self._drop(digest)
            return None
        self._entries.move_to_end(digest)
        self.hits += 1
        return found

    def _put(self, digest: bytes, stored: Stored) -> None:
        self._drop(digest)
        self._entries[digest] = stored
        self._bytes += len(stored.body) + OVERHEAD
        self._shrink()

    def _drop(self, digest: bytes) -> None:
        former = self._entries.pop(digest, None)
        if former is not None:
            self._bytes -= len(former.body) + OVERHEAD

    def _shrink(self) -> None:
        while self._bytes > self._most and self._entries:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= len(oldest.body) + OVERHEAD


def _wanted(headers: Headers) -> bool:
    """Whether the client wants the cache: `cache-control: no-cache` or `no-store` says that it does not (RFC 9111, 5.2.1)."""
    for name, value in headers:
        if name == b"cache-control" and (b"no-store" in value.lower() or b"no-cache" in value.lower()):
            return False
    return True
