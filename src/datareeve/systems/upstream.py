"""HTTP/1.1 to providers: kept connections, one request at a time on each, answers handed on as they come (RFC 9112).

Only addresses that the estate declares are ever reached: redirects are not followed, and no request names a host.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datareeve.systems.http1 import Headers

HEAD_BYTES = 64 * 1024
ANSWER_BYTES = 64 << 20  # of a whole answer that is gathered
KEPT = 512  # idle connections
KEPT_SECONDS = 25.0  # shorter than servers usually keep theirs, so that a request seldom meets a closing one
SWEEP_SECONDS = 0.05
ZIPPED = frozenset((b"gzip", b"deflate"))
TOO_MANY = 4096  # connections at once to one origin


class UpstreamError(Exception):
    """An attempt failed without an answer. `code` is stable; `sent`: the provider may have begun to work."""

    def __init__(self, code: str, *, sent: bool, stale: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.sent = sent
        self.stale = stale  # a kept connection had been closed meanwhile: not the provider's failure


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds."""

    connect: float = 5.0
    first_byte: float = 120.0
    idle: float = 60.0


class Call:
    """One request on its way and its answer.

    `await head()` gives the status when the headers are there; then either `await whole()` for the body, or `relay(...)` to be handed
    its bytes as they come. `cancel()` cuts the connection, so that the provider stops working.
    """

    __slots__ = (
        "_connection", "_done", "_ended", "_head", "_loop", "_parts", "_size", "_timeouts", "_unzip", "deadline", "error",
        "first_at", "headers", "last_at", "on_data", "on_end", "status",
    )  # fmt: skip

    def __init__(self, connection: Connection, timeouts: Timeouts, deadline: float) -> None:
        self._loop = connection.loop
        self._connection: Connection | None = connection
        self._head: asyncio.Future[int] | None = None
        self._done: asyncio.Future[None] | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._timeouts = timeouts
        self._unzip: zlib._Decompress | None = None
        self.status = 0
        self.headers: Headers = []
        self.error: UpstreamError | None = None
        self.on_data: Callable[[bytes], None] | None = None
        self.on_end: Callable[[UpstreamError | None], None] | None = None
        self.deadline = deadline  # time.monotonic(); infinite once a stream has begun
        self.last_at = time.monotonic()
        self.first_at = 0.0  # when the headers came

    # -- for whoever asked -------------------------------------------------------------------------------------

    async def head(self) -> int:
        """The status, when the headers are there. Errors: `UpstreamError`."""
        if self.error is not None:
            raise self.error
        if not self.status:
            self._head = self._loop.create_future()
            await self._head
        return self.status

    async def whole(self) -> bytes:
        """The whole body. Errors: `UpstreamError`, also where it is cut short or too long."""
        if self.error is not None:
            raise self.error
        if not self._ended:
            self._done = self._loop.create_future()
            await self._done
        return b"".join(self._parts)

    def relay(self, on_data: Callable[[bytes], None], on_end: Callable[[UpstreamError | None], None]) -> None:
        """From now on hand over bytes as they come (those that have come already, now), and say once how it ended."""
        self.on_data, self.on_end = on_data, on_end
        parts, self._parts = self._parts, []
        for part in parts:
            on_data(part)
        if self._ended:
            self._tell_end()

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, `name` in lower case."""
        for known, value in self.headers:
            if known == name:
                return value
        return None

    def cancel(self) -> None:
        """Nobody waits for it any more: the connection is cut."""
        if not self._ended:
            self.fail("upstream.cancelled")

    def pause(self) -> None:
        """Do not read on: whoever takes the bytes is slow."""
        if self._connection is not None:
            self._connection.read_on(reading=False)

    def resume(self) -> None:
        """Read on."""
        self.last_at = time.monotonic()
        if self._connection is not None:
            self._connection.read_on(reading=True)

    # -- for the connection ------------------------------------------------------------------------------------

    def got_head(self, status: int) -> None:
        """The headers are whole."""
        self.status = status
        self.first_at = self.last_at = time.monotonic()
        for name, value in self.headers:
            if name == b"content-encoding" and value.lower() in ZIPPED:
                self._unzip = zlib.decompressobj(47)  # 32 + 15: either of both, by its own header
        if self._head is not None and not self._head.done():
            self._head.set_result(status)

    def got_data(self, data: bytes) -> None:
        """Part of the body."""
        self.last_at = time.monotonic()
        if self._unzip is not None:
            data = self._unzipped(data)
        if self.on_data is not None:
            return self.on_data(data)
        self._size += len(data)
        self._parts.append(data)
        if self._size > ANSWER_BYTES:
            self.fail("upstream.too-long")
        return None

    def got_end(self) -> None:
        """The answer is whole."""
        if not self._ended:
            self._finish(None)

    def fail(self, code: str, *, sent: bool = True, stale: bool = False) -> None:
        """It ends here, without being whole."""
        if not self._ended:
            connection = self._connection
            self._finish(UpstreamError(code, sent=sent, stale=stale))
            if connection is not None:
                connection.cut()

    def _finish(self, error: UpstreamError | None) -> None:
        self._ended = True
        self.error = error
        if self._connection is not None:
            self._connection.origin.calls.discard(self)
        self._connection = None
        if self._done is not None and not self._done.done():
            if error is None:
                self._done.set_result(None)
            else:
                self._done.set_exception(error)
        if error is not None and self._head is not None and not self._head.done():
            self._head.set_exception(error)
        if self.on_end is not None:
            self._tell_end()

    def _tell_end(self) -> None:
        """Say how it ended, and let go of whom it was handed to: each knows the other, which only the collector would see."""
        on_end, self.on_data, self.on_end = self.on_end, None, None
        if on_end is not None:
            on_end(self.error)

    def _unzipped(self, data: bytes) -> bytes:
        try:
            plain = self._unzip.decompress(data, ANSWER_BYTES) if self._unzip is not None else data
        except zlib.error:
            self.fail("upstream.garbage")
            return b""
        return plain

    def overdue(self, now: float) -> str:
        """The code of the patience that it has worn out; '' where none."""
        if now >= self.deadline:
            return "upstream.deadline"
        quiet = now - self.last_at
        if not self.status:
            return "upstream.first-byte-timeout" if quiet >= self._timeouts.first_byte else ""
        held = (
            self._connection is not None and self._connection.held
        )  # a client that reads slowly is not the provider's silence
        return "upstream.idle-timeout" if quiet >= self._timeouts.idle and not held else ""


class Connection(asyncio.Protocol):
    """One connection to a provider."""

    __slots__ = (
        "_bodies",
        "_call",
        "_fed",
        "_head_bytes",
        "_parser",
        "_transport",
        "_unasked",
        "held",
        "loop",
        "origin",
        "since",
        "used",
    )

    def __init__(self, origin: Origin) -> None:
        self.loop = origin.loop
        self.origin = origin
        self.used = 0  # requests answered on it
        self.since = 0.0  # when it became idle
        self.held = False  # not read on
        self._call: Call | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._fed = False
        self._bodies: list[bytes] = []  # parts of the answer that came together: they are handed on as one
        self._unasked = False  # it has said more than it was asked

    @property
    def open(self) -> bool:
        """Whether a request can be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes, timeouts: Timeouts, deadline: float) -> Call:
        """Send a whole request; one at a time."""
        call = self._call = Call(self, timeouts, deadline)
        self._head_bytes = 0
        self._fed = False
        if self._transport is not None:
            self._transport.write(request)
        return call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by whomever."""
        del exc
        self._transport = None
        self.origin.lost(self)
        if (call := self._call) is not None:
            self._call = None
            self._closed_within(call)

    def _closed_within(self, call: Call) -> None:
        """Where nothing gives the answer's length, the end of the connection is its end (RFC 9112, 6.3)."""
        if call.status and not self._has_length(call):
            call.got_end()
        else:
            call.fail("upstream.cut", stale=self.used > 0 and not self._fed)

    @staticmethod
    def _has_length(call: Call) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in call.headers)

    def data_received(self, data: bytes) -> None:
        """Bytes of the provider."""
        call = self._call
        if call is None:
            return self.cut()  # it speaks without being asked: nothing after this could be trusted
        self._fed = True
        if not call.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._hand_on(call)
            call.fail("upstream.garbage")
            return self.cut()
        self._hand_on(call)
        if self._unasked:
            return self.cut()
        if self._head_bytes > HEAD_BYTES and not call.status:
            call.fail("upstream.garbage")
        return None

    def _hand_on(self, call: Call) -> None:
        bodies, self._bodies = self._bodies, []
        if bodies:
            call.got_data(bodies[0] if len(bodies) == 1 else b"".join(bodies))

    def on_message_begin(self) -> None:
        """An answer begins."""
        if self._call is None:
            self._unasked = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the answer."""
        if self._call is not None:
            self._call.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The headers are whole; interim answers (1xx) are read past."""
        call = self._call
        if call is None:
            return
        status = self._parser.get_status_code()
        if status < 200:  # noqa: PLR2004 - RFC 9110, 15.2
            call.headers.clear()
        else:
            call.got_head(status)

    def on_body(self, data: bytes) -> None:
        """Part of the body."""
        if self._call is not None:
            self._bodies.append(data)

    def on_message_complete(self) -> None:
        """The answer is whole; the connection can be used again where both sides keep it."""
        call = self._call
        if call is None or not call.status:
            return
        self._hand_on(call)
        if self._call is None:  # it was more than is taken
            return
        self._call = None
        self.used += 1
        if self.held:
            self.read_on(reading=True)
        if self._parser.should_keep_alive():
            self.origin.keep(self)
        else:
            self.cut()
        call.got_end()

    def read_on(self, *, reading: bool) -> None:
        """Read on or not: a slow client holds the provider back."""
        transport = self._transport
        self.held = not reading
        if transport is not None and not transport.is_closing() and transport.is_reading() is not reading:
            (transport.resume_reading if reading else transport.pause_reading)()

    def cut(self) -> None:
        """Close it now; a request that still waits on it is told."""
        call, self._call = self._call, None
        self.origin.lost(self)
        if self._transport is not None:
            self._transport.abort()
        if call is not None:
            call.fail("upstream.closed")


class Origin:
    """A provider's address with its kept connections. `base_url` may hold a path: requests are made under it."""

    def __init__(
        self, base_url: str, query: Mapping[str, str] | None = None, *, context: ssl.SSLContext | None = None
    ) -> None:
        parts = urlsplit(base_url)
        self.loop = asyncio.get_running_loop()
        self.secure = parts.scheme == "https"
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if self.secure else 80)
        self.path = quote(parts.path.rstrip("/"), safe="/%").encode()
        self.query = urlencode(query or {}).encode()
        self.query_names = frozenset(name.lower() for name in query or {})
        self.host_header = self._host_header().encode("idna" if not self.host.isascii() else "ascii")
        self._context = (context or ssl.create_default_context()) if self.secure else None
        self._wanted = True
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self.calls: set[Call] = set()  # on their way
        self._sweeper: asyncio.TimerHandle | None = None

    async def ask(self, request: bytes, timeouts: Timeouts, deadline: float = math.inf) -> Call:
        """Send a whole request. `deadline`: of `time.monotonic()`. Errors: `UpstreamError`: nothing was sent."""
        call = self.ask_kept(request, timeouts, deadline)
        if call is not None:
            return call
        patience = min(timeouts.connect, max(deadline - time.monotonic(), 0.001))
        connection = await self.loop.create_task(self._connect(patience))
        return self._watched(connection.ask(request, timeouts, deadline))

    def ask_kept(self, request: bytes, timeouts: Timeouts, deadline: float = math.inf) -> Call | None:
        """Send a whole request on a connection that is open already; None where there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.open and self.loop.time() - connection.since < KEPT_SECONDS:
                return self._watched(connection.ask(request, timeouts, deadline))
            connection.cut()
        return None

    def keep(self, connection: Connection) -> None:
        """A connection that has answered waits for the next request."""
        if self._wanted and connection.open and len(self._idle) < KEPT:
            connection.since = self.loop.time()
            self._idle.append(connection)
        else:
            connection.cut()

    def lost(self, connection: Connection) -> None:
        """A connection has ended."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def retire(self) -> None:
        """It is asked no more: a connection ends when its last call has its answer, or has worn out its patience."""
        self._wanted = False
        for connection in tuple(self._idle):
            connection.cut()

    def close(self) -> None:
        """End all connections now. Calls on their way fail: `upstream.closed`."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in tuple(self._open):
            connection.cut()

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def _watched(self, call: Call) -> Call:
        """One timer watches over all calls: a timer for each would cost more than sending it."""
        self.calls.add(call)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)
        return call

    def _sweep(self) -> None:
        now = time.monotonic()
        for call in tuple(self.calls):
            if code := call.overdue(now):
                call.fail(code)
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep) if self.calls else None

    async def _connect(self, seconds: float) -> Connection:
        if len(self._open) >= TOO_MANY:
            raise UpstreamError("upstream.too-many-connections", sent=False)
        try:
            async with asyncio.timeout(seconds):
                _, connection = await self.loop.create_connection(
                    lambda: Connection(self),
                    self.host,
                    self.port,
                    ssl=self._context,
                    server_hostname=self.host if self._context else None,
                )
        except TimeoutError:
            raise UpstreamError("upstream.connect-timeout", sent=False) from None
        except ssl.SSLError:
            raise UpstreamError("upstream.tls", sent=False) from None
        except OSError:
            raise UpstreamError("upstream.unreachable", sent=False) from None
        self._open.add(connection)
        return connection

    def _host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"
