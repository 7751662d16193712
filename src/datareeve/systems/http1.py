"""HTTP/1.1 for clients of the gateway: llhttp (by httptools) on asyncio's transports, bounded everywhere (RFC 9110, 9112).

One idea: a connection works at one request at a time. What a client sends ahead is kept, to a bound, and is not read further until its
turn; what it does not read holds the sender back; whoever is too slow at sending or at reading is cut off by one sweep a second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable

Headers = list[tuple[bytes, bytes]]  # names in lower case

SWEEP_SECONDS = 1.0
AHEAD = 32  # requests that a client may send before the first is answered
HEAD_BYTES = 64 * 1024  # of request line and headers
HEAD_FIELDS = 128
TARGET_BYTES = 8 * 1024
REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CRUMB_BYTES = 64
MOST_CRUMBS = 32_768  # chunks of a body that are smaller
READ_PAST_BYTES = 1 << 20  # of a refused request's body, to keep its connection
LINGER_SECONDS = 2.0
LAST_CHUNK = b"0\r\n\r\n"
HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "
LONGEST_LENGTH = 12  # digits


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a client may take, in seconds and bytes."""

    body_bytes: int = 32 << 20
    held_bytes: int = 512 << 20  # request bodies of all connections together, until they are answered
    connections: int = 8192
    header_seconds: float = 15.0
    body_seconds: float = 60.0
    idle_seconds: float = 75.0  # between two requests
    stalled_seconds: float = 60.0  # a client that does not read


class Application(Protocol):
    """What answers. Both are called on the loop and never wait."""

    def admit(self, exchange: Exchange) -> None:
        """The headers are there, the body is not: an answer given here (`respond`) spares reading it."""

    def handle(self, exchange: Exchange) -> None:
        """The request is there as a whole; it is answered now or later, by the exchange's methods. `release` it where the client leaves before."""

    def misread(self, status: int, code: str, message: str, target: bytes) -> tuple[Headers, bytes]:
        """The headers and body of an error that is found before there is a request."""

    def crashed(self, error: Exception) -> None:
        """A fault of ours, which ended a connection: it is written down."""


class Exchange:
    """One request and its answer: `respond` at once, or `start`, `write` ..., `end`."""

    __slots__ = (
        "_chunked", "body", "connection", "context", "gone", "headers", "held", "keep_alive", "lengths", "method", "on_gone",
        "on_resume", "state", "target",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.method = b""
        self.target = b""  # path and query as they came
        self.headers: Headers = []  # without the content-length
        self.lengths: list[bytes] = []  # the content-length, as often as it was given
        self.body = b""
        self.held = 0  # bytes of it that count against all bodies together
        self.keep_alive = True
        self.state = "asked"  # then 'streaming', 'answered'
        self.gone = False  # the client has left
        self.on_gone: Callable[[], None] | None = None  # called once, when the client leaves before the end
        self.on_resume: Callable[[], None] | None = None  # called when a client that held us back reads again
        self.context: object = None  # the application's own
        self._chunked = True

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, `name` in lower case."""
        for known, value in self.headers:
            if known == name:
                return value
        return None

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer at once. Nothing happens where the client has gone."""
        if self.state != "asked":
            return
        self.state = "answered"
        lines = [_status_line(status), _lines(headers), b"content-length: %d\r\n" % len(body)]
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        lines.append(body if self.method != b"HEAD" else b"")
        self.connection.answered(self, b"".join(lines))

    def start(self, status: int, headers: Headers, first: bytes = b"") -> None:
        """Begin an answer whose length is not known; `first` is sent along."""
        self.state = "streaming"
        head = [_status_line(status), _lines(headers)]
        if self._chunked:
            head.append(b"transfer-encoding: chunked\r\n")
        head.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        if first:
            head.append(self._framed(first))
        self.connection.send(b"".join(head))

    def write(self, data: bytes) -> None:
        """The next part of a begun answer."""
        if data and self.state == "streaming":
            self.connection.send(self._framed(data))

    def end(self) -> None:
        """A begun answer is whole."""
        if self.state == "streaming":
            self.state = "answered"
            self.connection.answered(self, LAST_CHUNK if self._chunked else b"")

    def release(self) -> None:
        """Nothing needs the body any more. It is so once the answer has ended; whoever still works when the client has left says it."""
        if self.held:
            self.connection.server.lets_go(self.held)
            self.held = 0

    def abort(self) -> None:
        """A begun answer cannot be finished: the connection is cut, so that it does not look whole."""
        self.connection.abort()

    @property
    def held_back(self) -> bool:
        """Whether the client does not read as fast as it is sent to."""
        return self.connection.held_back

    @property
    def of_http_1_0(self) -> bool:
        """Whether the client is of HTTP/1.0."""
        return not self._chunked

    def without_chunks(self) -> None:
        """The client is of HTTP/1.0: the end of the answer is the end of the connection."""
        self._chunked = False
        self.keep_alive = False

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data


@dataclass(frozen=True, slots=True)
class Head:
    """A head as it was read once, and its bytes before and behind the length of the body: from the same bytes the same is read, without parsing them."""

    before: bytes
    behind: bytes
    method: bytes
    target: bytes
    headers: Headers

    @classmethod
    def of(cls, exchange: Exchange, data: bytes) -> Head | None:
        """Of a request that `data` begins with. None where its length does not stand there plainly, or the connection ends with it."""
        end = data.find(HEAD_END)
        start = data[: max(end, 0)].lower().find(LENGTH) + len(LENGTH)
        if (
            start < len(LENGTH)
            or not exchange.keep_alive
            or exchange.of_http_1_0
            or len(exchange.lengths) != 1
        ):
            return None
        behind = start + len(exchange.lengths[0])
        line = b"%b %b " % (exchange.method, exchange.target)
        if data[start:behind] != exchange.lengths[0] or not data.startswith(line):
            return None
        return cls(
            data[:start],
            data[behind : end + len(HEAD_END)],
            exchange.method,
            exchange.target,
            exchange.headers,
        )

    def length_in(self, data: bytes) -> bytes | None:
        """The length that stands in this head, where `data` begins with it as a whole."""
        start = len(self.before)
        if not data.startswith(self.before):
            return None
        end = data.find(b"\r", start, start + LONGEST_LENGTH + 1)
        length = data[start:end]
        return length if end > 0 and length.isdigit() and data.startswith(self.behind, end) else None


class Connection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_asked", "_asking", "_begins", "_crumbs", "_current", "_deadline", "_fields", "_former", "_head", "_head_bytes", "_missing", "_parser",
        "_parts", "_refused", "_size", "_stalled_since", "_transport", "_unadmitted", "_waits_for", "memo", "server",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self.server = server
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._asked: deque[Exchange] = deque()  # whole, not begun
        self._asking: Exchange | None = None  # being read
        self._current: Exchange | None = None  # being answered
        self._parts: list[bytes] = []
        self._size = 0
        self._crumbs = 0  # parts of it that are tiny
        self._head_bytes = 0
        self._fields = 0
        self._refused = False  # nothing more is read: the connection ends with the answer
        self._stalled_since = 0.0
        self._waits_for = "header"
        self._unadmitted = False  # of the request being read: its headers are there, its turn was not
        self._deadline = 0.0
        self._former: tuple[Headers, bool] | None = None  # of the request before, and whether it had a length
        self._head: Head | None = None  # of requests that came twice with the same
        self._begins: bytes | None = None  # with what the request that is being parsed begins
        self._missing = 0  # bytes of a body that are read by its length, past the parser
        self.memo: object = None  # the application's own, of the request before

    # -- the transport's calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = transport  # type: ignore[assignment]
        self._expect("header")
        if not self.server.joined(self):
            self._misread(503, "gateway.busy", "Too many connections: try again in a moment.")

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, or we have cut it off."""
        del exc
        self._transport = None
        self.server.left(self, self._size)
        self._size = 0
        self._let_waiting_go()
        for exchange in (self._current, *self._asked):
            if exchange is not None and exchange.state != "answered":
                exchange.gone = True
                exchange.state = "answered"
                if exchange.on_gone is not None:
                    exchange.on_gone()
        self._asked.clear()

    def eof_received(self) -> bool:
        """The client sends no more. It has left: who still reads cannot be told from who does not, and an answer costs money."""
        return False

    def data_received(self, data: bytes) -> None:
        """Bytes of a client."""
        try:
            rest = self._read(data)
            while rest:  # requests that came together are read one after the other, not one within the other
                rest = self._read(rest)
        except Exception as error:  # noqa: BLE001 - the boundary to the wire: a fault of ours ends this connection, and no other
            self.server.application.crashed(error)
            self.abort()

    def _read(self, data: bytes) -> bytes:
        """Read a request whose head is known, to its end; anything else as far as it goes. Gives the rest."""
        if self._refused:
            return b""
        if self._missing:
            return self._read_body(data)
        if self._waits_for == "idle":
            if self._head is not None and (length := self._head.length_in(data)) is not None:
                return self._read_known(self._head, length, data)
            self._begins = data
            self._expect("header")
        self._parse(data)
        return b""

    def _parse(self, data: bytes) -> None:
        self._head_bytes += len(
            data
        )  # the parser keeps an unfinished header, or trailer, without a bound of its own
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refused = True  # answered as plain HTTP/1.1, and nothing after it is read (RFC 9110, 7.8)
        except httptools.HttpParserCallbackError as error:  # how the parser tells that it was us
            raise error.__context__ or error from None
        except httptools.HttpParserError:
            self._misread(400, "gateway.http", "This is not a valid HTTP/1.1 request.")
        else:
            if self._head_bytes > HEAD_BYTES:
                self._misread(431, "gateway.headers", f"The headers exceed {HEAD_BYTES // 1024} KiB.")

    def pause_writing(self) -> None:
        """The client does not read: nothing more of it is begun, or read."""
        self._stalled_since = self.server.now()
        if self._current is None and not self._refused:
            self._read_on(reading=False)

    def resume_writing(self) -> None:
        """It reads again."""
        self._stalled_since = 0.0
        if self._current is None:
            self._go_on()
        elif self._current.on_resume is not None:
            self._current.on_resume()

    # -- a head that is known ----------------------------------------------------------------------------------

    def _read_known(self, head: Head, length: bytes, data: bytes) -> bytes:
        """A request whose head came before; it goes past the parser, which stands between two requests. Gives what came behind it."""
        exchange = self._asking = Exchange(self)
        exchange.method, exchange.target, exchange.headers = head.method, head.target, head.headers
        exchange.lengths.append(length)
        self._missing = int(length)
        if self._missing > self.server.bounds.body_bytes:
            self._too_large()
            return b""
        self._admit_in_turn(exchange)
        return self._read_body(data[len(head.before) + len(length) + len(head.behind) :])

    def _read_body(self, data: bytes) -> bytes:
        missing = self._missing
        self._missing = max(missing - len(data), 0)
        if data:
            self.on_body(data if len(data) <= missing else data[:missing])
        if self._missing:
            return b""
        self.on_message_complete()
        return data[missing:]

    # -- the parser's calls ------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._asking = Exchange(self)
        self._fields = 0
        self._expect("header")

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        if self._asking is not None:
            self._asking.target += url
            if len(self._asking.target) > TARGET_BYTES:
                self._misread(414, "gateway.target", f"The URL exceeds {TARGET_BYTES // 1024} KiB.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers are read past (RFC 9112, 7.1.2)."""
        self._fields += 1
        if self._fields > HEAD_FIELDS:
            self._misread(431, "gateway.headers", f"There are more than {HEAD_FIELDS} headers.")
        elif self._asking is not None and self._waits_for == "header":
            name = name.lower()
            if name == b"content-length":
                self._asking.lengths.append(value.strip(b" \t"))
            else:
                self._asking.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """The headers are whole: the application may refuse before the body is read."""
        exchange = self._asking
        if exchange is None or self._refused:
            return None
        self._head_bytes = 0
        exchange.method = self._parser.get_method()
        exchange.keep_alive = self._parser.should_keep_alive()
        version = self._parser.get_http_version()
        if version == "1.0":
            exchange.without_chunks()
        if not self._as_before(exchange, version) and (problem := _unsound(exchange, version)) is not None:
            return self._misread(400, "gateway.http", problem)
        if exchange.lengths and int(exchange.lengths[0]) > self.server.bounds.body_bytes:
            return self._too_large()
        return self._admit_in_turn(exchange)

    def _admit_in_turn(self, exchange: Exchange) -> None:
        self._expect("body")
        if self._current is None and not self._asked and not self._stalled_since:
            self._admit(exchange)
        else:
            self._unadmitted = True

    def _admit(self, exchange: Exchange) -> None:
        self._unadmitted = False
        self.server.application.admit(exchange)
        if exchange.state != "answered" and (b"expect", b"100-continue") in exchange.headers:
            self.send(CONTINUE)

    def _as_before(self, exchange: Exchange, version: str) -> bool:
        """Whether the headers are those of the request before, but for the length: then what was found of them still holds."""
        former, now = self._former, (exchange.headers, bool(exchange.lengths))
        if former is None or former != now or version != "1.1" or len(exchange.lengths) > 1:
            self._former = now
            return False
        exchange.headers = former[0]  # one list: what was remembered of it is found again at once
        if self._begins is not None:
            self._head = Head.of(exchange, self._begins)
        return True

    def on_body(self, data: bytes) -> None:
        """Part of the body."""
        self._head_bytes = 0
        if self._asking is None or self._refused or self._asking.state == "answered":
            return
        if self._size + len(data) > self.server.bounds.body_bytes:
            self._too_large()
        elif not self.server.holds(len(data)):
            self._misread(503, "gateway.busy", "Too much is being sent at once: try again in a moment.")
        else:
            self._size += len(data)
            self._parts.append(data)
            if len(data) < CRUMB_BYTES:
                self._counted_crumb()

    def _counted_crumb(self) -> None:
        """A body in chunks of a byte each takes a hundred times its length to read, and all others wait."""
        self._crumbs += 1
        if self._crumbs > MOST_CRUMBS:
            self._misread(413, "gateway.crumbs", f"The body comes in more than {MOST_CRUMBS} tiny chunks.")

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._head_bytes = 0
        self._begins = None
        exchange, self._asking = self._asking, None
        if exchange is None or self._refused:
            return None
        if exchange.state == "answered":  # refused by its headers; its body was read past
            return self._expect("idle")
        exchange.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._crumbs = 0
        exchange.held, self._size = self._size, 0
        self._waits_for, self._deadline = "", 0.0
        self._unadmitted = False
        if self._current is None and not self._asked and not self._stalled_since:
            self._begin(exchange)
        elif len(self._asked) < AHEAD:
            self._asked.append(exchange)
            self._read_on(reading=False)
        else:
            exchange.release()
            self._refused = True
            self.abort()
        return None

    # -- answers -----------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Bytes to the client, while there is one."""
        if self._transport is not None:
            self._transport.write(data)

    def answered(self, exchange: Exchange, last: bytes) -> None:
        """The answer's last bytes; the next request's turn."""
        exchange.on_gone = exchange.on_resume = None  # who worked for it knows it too: a circle
        if exchange.held:
            exchange.release()
        if self._transport is None:
            return
        self._transport.write(last)
        if exchange is self._asking:
            self._drop_body()
            if not exchange.keep_alive or not 0 <= _length(exchange) <= READ_PAST_BYTES:
                self._linger()
            return
        if not exchange.keep_alive or self._refused:
            self._refused = True
            self._transport.close()
            return
        self._current = None
        self._go_on()

    @property
    def held_back(self) -> bool:
        """Whether the client does not read as fast as it is sent to."""
        return self._stalled_since > 0

    @property
    def peer(self) -> str:
        """The client's address; '' where it has left."""
        return self._transport.get_extra_info("peername")[0] if self._transport is not None else ""

    def abort(self) -> None:
        """Cut the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def drain(self) -> None:
        """The server stops: idle connections end now, others with their answer."""
        if self._current is None and not self._asked and self._asking is None:
            if self._transport is not None:
                self._transport.close()
        else:
            for exchange in (self._current, *self._asked):
                if exchange is not None:
                    exchange.keep_alive = False

    def overdue(self, now: float) -> None:
        """Cut off a client that is too slow at sending, or at reading."""
        if self._stalled_since and now - self._stalled_since > self.server.bounds.stalled_seconds:
            self.abort()
        elif self._stalled_since and not self._refused:
            return  # it cannot send: we do not read
        elif self._deadline and now > self._deadline and self._current is None:
            if self._asking is None or self._refused:
                self._close_quietly()
            else:
                self._misread(408, "gateway.slow", "The request did not arrive in time.")

    # -- within ------------------------------------------------------------------------------------------------

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        if exchange.state == "asked":
            self.server.application.handle(exchange)

    def _go_on(self) -> None:
        """The next request's turn, once the client reads what it was told before."""
        if self._stalled_since and not self._refused:
            self._read_on(reading=False)
        elif self._asked:
            self._begin(self._asked.popleft())
        else:
            self._read_on(reading=True)
            if self._refused:
                return
            self._expect(self._waits_for if self._asking is not None else "idle")
            if self._asking is not None and self._unadmitted:
                self._admit(self._asking)

    def _expect(self, what: str) -> None:
        self._waits_for, self._deadline = what, self.server.now() + self.server.patience[what]

    def _read_on(self, *, reading: bool) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing() and transport.is_reading() is not reading:
            (transport.resume_reading if reading else transport.pause_reading)()

    def _too_large(self) -> None:
        self._misread(
            413, "gateway.too-large", f"The body exceeds {self.server.bounds.body_bytes >> 20} MiB."
        )

    def _misread(self, status: int, code: str, message: str) -> None:
        """An error before there is a request that could be handled; the connection ends with it."""
        if self._refused or self._transport is None:
            return None
        self._refused = True
        if self._current is not None or self._asked:  # an answer is on its way: nothing can be said between
            return self._current_last()
        exchange = self._asking = self._asking or Exchange(self)
        exchange.keep_alive = False
        headers, body = self.server.application.misread(status, code, message, exchange.target)
        exchange.respond(status, headers, body)
        return None

    def _drop_body(self) -> None:
        """What has come of the body of a request that is refused by its head: its turn came late, and the next request begins with none of it."""
        self._parts.clear()
        self._crumbs = 0
        self.server.lets_go(self._size)
        self._size = 0

    def _linger(self) -> None:
        """End the connection so that the answer is read: what the client still sends is read past for a moment (RFC 9112, 9.6)."""
        self._refused = True
        self._waits_for, self._deadline = "end", self.server.now() + LINGER_SECONDS
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def _current_last(self) -> None:
        if self._current is not None:
            self._current.keep_alive = False
        else:
            self._close_quietly()
        self._let_waiting_go()
        self._asked.clear()

    def _let_waiting_go(self) -> None:
        for exchange in self._asked:
            exchange.release()

    def _close_quietly(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Server:
    """All clients of one listening address."""

    def __init__(self, application: Application, bounds: Bounds | None = None) -> None:
        self.application = application
        self.bounds = bounds or Bounds()
        self.patience = {
            "header": self.bounds.header_seconds, "body": self.bounds.body_seconds, "idle": self.bounds.idle_seconds,
        }  # fmt: skip
        self._connections: set[Connection] = set()
        self._held = 0
        self._listening: asyncio.Server | None = None
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    async def listen(self, host: str, port: int, *, reuse_port: bool = False) -> tuple[str, int]:
        """Begin to listen; gives the address really taken (port 0: any). Errors: `OSError`."""
        self._listening = await self._loop.create_server(
            lambda: Connection(self), host, port, reuse_port=reuse_port or None, backlog=2048
        )
        taken = self._listening.sockets[0].getsockname()
        return taken[0], taken[1]

    async def close(self, seconds: float) -> bool:
        """Take no more, let those who wait have their answers for so long; gives whether all had them."""
        if self._listening is not None:
            self._listening.close()
        until = self.now() + seconds
        while self._connections and self.now() < until:
            for connection in tuple(self._connections):
                connection.drain()
            await asyncio.sleep(0.02)
        self._sweeper.cancel()
        left = tuple(self._connections)
        for connection in left:
            connection.abort()
        await asyncio.sleep(0)
        return not left

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def joined(self, connection: Connection) -> bool:
        """Take a connection in; False: there are too many."""
        self._connections.add(connection)
        return len(self._connections) <= self.bounds.connections

    def left(self, connection: Connection, held: int) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self._held -= held

    def holds(self, size: int) -> bool:
        """Take `size` bytes of a body in; False: all bodies together are too much."""
        if self._held + size > self.bounds.held_bytes:
            return False
        self._held += size
        return True

    def lets_go(self, size: int) -> None:
        """A body is needed no more."""
        self._held -= size

    def _sweep(self) -> None:
        now = self.now()
        for connection in tuple(self._connections):
            connection.overdue(now)
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)


def _unsound(exchange: Exchange, version: str) -> str | None:
    """What could be read in two ways by two servers: request smuggling rests on it (RFC 9112, 6.3 and 11.2; RFC 9110, 8.3)."""
    headers = exchange.headers
    names = [name for name, _ in headers]
    if names.count(b"host") != 1 and version == "1.1":
        return "There must be exactly one Host header."
    if len(exchange.lengths) > 1 or names.count(b"transfer-encoding") > 1:
        return "The length of the body is given twice."
    if names.count(b"content-type") > 1:
        return "There must be no more than one Content-Type header."
    coding = next((value for name, value in headers if name == b"transfer-encoding"), None)
    if coding is None:
        return None
    if exchange.lengths or version != "1.1":
        return "Content-Length and Transfer-Encoding exclude each other."
    return None if coding.lower() == b"chunked" else "Only the transfer coding 'chunked' is known."


def _length(exchange: Exchange) -> int:
    """How long the body is by the headers; -1 where they do not say (RFC 9112, 6.3)."""
    if exchange.lengths:
        return int(exchange.lengths[0])
    return -1 if exchange.header(b"transfer-encoding") is not None else 0


def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, b"-"))


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])
