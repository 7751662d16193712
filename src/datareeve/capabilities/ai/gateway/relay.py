"""A streamed answer on its way from the provider to the client.

Until its first token it is held, so that a stream that breaks early can be had elsewhere without the client knowing. From then on its bytes go
through as they come; a client that reads slowly slows the provider down.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol

from datareeve.systems.upstream import UpstreamError

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.dialects import StreamScanner
    from datareeve.capabilities.ai.gateway.restoring import Restorer
    from datareeve.systems.http1 import Exchange, Headers
    from datareeve.systems.upstream import Call

MASK = b"***"
HELD_BYTES = 256 * 1024  # of events before the first token; then it counts as begun


class Changer(Protocol):
    """Changes a stream on its way: translation to another protocol, names put back."""

    failed: str  # '' unless it could not go on, and told the client so

    def feed(self, data: bytes) -> bytes:
        """What becomes of these bytes."""

    def flush(self) -> bytes:
        """What is left at the end."""


class Relay:
    """One stream: `await ready` until it has begun, ended or failed; then `commit` it to the client and `await done`."""

    __slots__ = (
        "_changers", "_exchange", "_held", "_record_left", "call", "done", "error", "fault", "first_at", "ready", "record",
        "restorer", "scanner", "secret",
    )  # fmt: skip

    def __init__(self, call: Call, scanner: StreamScanner, changers: tuple[Changer, ...] = ()) -> None:
        loop = asyncio.get_running_loop()
        self.call = call
        self.scanner = scanner
        self._changers = changers
        self._exchange: Exchange | None = None
        self._held: list[bytes] = []
        self.record: list[bytes] | None = None  # what came for the client, for the cache
        self.restorer: Restorer | None = (
            None  # puts back what was taken out of the prompt, after it was recorded
        )
        self._record_left = 0
        self.fault: Exception | None = None  # of ours
        self.error: UpstreamError | None = None
        self.secret = b""  # the provider's key: it may stand in an error event
        self.first_at = 0.0  # time.monotonic() of the first token
        self.ready: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        call.relay(self._on_data, self._on_end)

    @property
    def whole(self) -> bool:
        """Whether it ended as its protocol says a stream ends, and not as an error within."""
        return not self.problem

    @property
    def told(self) -> bool:
        """Whether the client was told of an error within the stream."""
        return bool(self.scanner.failed) or any(changer.failed for changer in self._changers)

    @property
    def problem(self) -> str:
        """Why it is not whole, as a stable code; '' where it is."""
        if self.error is not None:
            return self.error.code
        if self.told:
            return "upstream.error-event"
        return "" if self.scanner.complete else "upstream.incomplete"

    def commit(self, exchange: Exchange, status: int, headers: Headers) -> None:
        """Begin the client's answer with what was held."""
        self._exchange = exchange
        self.call.deadline = math.inf  # a stream that has begun may go on as long as it is not silent
        exchange.on_gone = self.call.cancel
        exchange.on_resume = self.call.resume
        first, self._held = b"".join(self._held), []
        self._recorded(first)
        exchange.start(status, headers, self.restorer.feed(first) if self.restorer is not None else first)
        if exchange.held_back:
            self.call.pause()

    def keep(self, most_bytes: int) -> None:
        """Record what comes for the client, as long as it is no more than that."""
        self.record, self._record_left = [], most_bytes

    def _recorded(self, out: bytes) -> None:
        if self.record is not None:
            self._record_left -= len(out)
            self.record.append(out)
            if self._record_left < 0:
                self.record = None

    def _on_data(self, data: bytes) -> None:
        try:
            self._pass(data)
        except Exception as error:  # noqa: BLE001 - the boundary to the wire: a fault of ours ends this stream, and no other
            self.fault = error
            self.call.fail("gateway.internal")

    def _pass(self, data: bytes) -> None:
        scanner = self.scanner
        out = scanner.feed(data)
        if scanner.failed and self.secret:
            out = out.replace(self.secret, MASK)
        for changer in self._changers:
            out = changer.feed(out)
        if not self.first_at and scanner.began:
            self.first_at = self.call.last_at
        self._give(out)
        if not self.ready.done() and (scanner.began or sum(map(len, self._held)) > HELD_BYTES):
            self.ready.set_result(None)

    def _give(self, out: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            if out:
                self._held.append(out)
            return
        self._recorded(out)
        exchange.write(self.restorer.feed(out) if self.restorer is not None else out)
        if exchange.held_back:
            self.call.pause()

    def _on_end(self, error: UpstreamError | None) -> None:
        self.error = error
        try:
            self._flush(whole=error is None)
        except Exception as fault:  # noqa: BLE001 - as above; whoever waits is told in any case
            self.fault = fault
            self.error = error or UpstreamError("gateway.internal", sent=True)
        for future in (self.ready, self.done):
            if not future.done():
                future.set_result(None)

    def _flush(self, *, whole: bool) -> None:
        out = self.scanner.flush()
        for changer in self._changers:
            out = changer.feed(out) if out else b""
            out += changer.flush()
        if whole and out:
            self._give(out)
