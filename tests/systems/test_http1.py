"""The wire: slow, split, pipelined, oversized and malicious input on real sockets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datareeve.systems import http1
from datareeve.systems.http1 import Bounds, Exchange, Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"


LARGE = 4 << 20


def post(body: bytes, *more: bytes) -> bytes:
    lines = b"".join(line + b"\r\n" for line in (b"host: x", b"content-length: %d" % len(body), *more))
    return b"POST /a HTTP/1.1\r\n" + lines + b"\r\n" + body


class Echo:
    """Says back what it was sent; what is told to wait waits."""

    def __init__(self) -> None:
        self.seen: list[Exchange] = []
        self.left: list[Exchange] = []
        self.faults: list[Exception] = []

    def admit(self, exchange: Exchange) -> None:
        if exchange.target == b"/fault":
            raise ZeroDivisionError
        if exchange.target == b"/no":
            exchange.respond(401, [], b"no")

    def handle(self, exchange: Exchange) -> None:
        self.seen.append(exchange)
        exchange.on_gone = lambda: self.left.append(exchange)
        if exchange.target.startswith(b"/wait"):
            return
        if exchange.target == b"/large":
            exchange.respond(200, [], b"a" * LARGE)
        elif exchange.target == b"/stream":
            exchange.start(200, [], b"one")
            exchange.write(b"two")
            exchange.end()
        else:
            exchange.respond(200, [], exchange.method + b" " + exchange.target + b" " + exchange.body)

    def misread(self, status: int, code: str, message: str, target: bytes) -> tuple[http1.Headers, bytes]:
        return [], f"{code}: {message}".encode()

    def crashed(self, error: Exception) -> None:
        self.faults.append(error)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.strip().split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines)
        if b"content-length" in headers:
            body = await self.reader.readexactly(int(headers[b"content-length"]))
        elif b"transfer-encoding" in headers:
            body = b""
            while size := int((await self.reader.readline()).strip(), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
        else:
            body = await self.reader.read()
        return int(first.split()[1]), headers, body

    async def ended(self) -> bool:
        return await self.reader.read() == b""


class Served:
    def __init__(self, app: Echo, server: Server, port: int) -> None:
        self.app, self.server, self.port = app, server, port

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()

    async def asked(self, *pieces: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        async with self.client() as client:
            for piece in pieces:
                client.send(piece)
                await asyncio.sleep(0)
            return await client.answer()


@asynccontextmanager
async def served(bounds: Bounds | None = None) -> AsyncIterator[Served]:
    app = Echo()
    server = Server(app, bounds)
    _, port = await server.listen("127.0.0.1", 0)
    try:
        yield Served(app, server, port)
    finally:
        await server.close(0.2)


def on_loop(work: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(20):
            return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for is not ours to tell an event
            await asyncio.sleep(0.005)


def test_a_request_is_answered_and_the_connection_kept():
    async def work() -> None:
        async with served() as there, there.client() as client:
            for number in range(3):
                client.send(post(b"%d" % number))
                assert (await client.answer())[2] == b"POST /a %d" % number

    on_loop(work())


def test_a_streamed_answer_comes_in_chunks_and_to_http_1_0_until_the_end():
    async def work() -> None:
        async with served() as there:
            status, headers, body = await there.asked(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (status, headers[b"transfer-encoding"], body) == (200, b"chunked", b"onetwo")
            status, headers, body = await there.asked(b"GET /stream HTTP/1.0\r\n\r\n")
            assert (headers.get(b"transfer-encoding"), body) == (None, b"onetwo")

    on_loop(work())


def test_requests_sent_ahead_are_answered_in_their_order():
    async def work() -> None:
        async with served() as there, there.client() as client:
            client.send(b"".join(post(b"%d" % number) for number in range(20)))
            answers = [(await client.answer())[2] for _ in range(20)]
            assert answers == [b"POST /a %d" % number for number in range(20)]

    on_loop(work())


def test_too_many_requests_sent_ahead_end_the_connection():
    async def work() -> None:
        async with served() as there, there.client() as client:
            client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" * (http1.AHEAD + 2))
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.answer()

    on_loop(work())


@pytest.mark.parametrize(
    "head",
    [
        b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        b"GET /a HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: x\r\nx-a: b\r\n folded\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: x\r\nx-a: b\rx-admin: 1\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: x\r\nx a: b\r\n\r\n",
        b"GET /a HTTP/9.9\r\nhost: x\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-type: application/json\r\nContent-Type: multipart/form-data\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 1e1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_two_servers_could_read_in_two_ways_is_refused(head):
    async def work() -> None:
        async with served() as there, there.client() as client:
            client.send(head + b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n")
            status, _, body = await client.answer()
            assert (status, body[:12]) == (400, b"gateway.http")
            assert there.app.seen == []
            assert await client.ended()

    on_loop(work())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-a: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 70_000, 431),
        (b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-a: " + b"a" * 700_000, 431),
        (b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"x-a: b\r\n" * 200, 431),
        (b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"a" * 700_000, 431),
        (b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n", 413),
        (b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + b"40000\r\n" + b"a" * 0x40000 + b"\r\n" + b"f0000\r\n" + b"a" * 0xF0000, 413),
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused_and_the_reason_can_be_read(request_, status):
    async def work() -> None:
        async with served(Bounds(body_bytes=1 << 20)) as there:
            assert (await there.asked(request_))[0] == status
            assert there.app.seen == []

    on_loop(work())


def test_trailers_are_read_past():
    async def work() -> None:
        async with served() as there, there.client() as client:
            head = b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            client.send(head + b"2\r\nab\r\n0\r\nx-a: b\r\nhost: y\r\n\r\n" + GET)
            assert (await client.answer())[2] == b"POST /a ab"
            assert (await client.answer())[2] == b"GET /a "
            first = there.app.seen[0]
            assert (first.headers, first.lengths) == (
                [(b"host", b"x"), (b"transfer-encoding", b"chunked")],
                [],
            )

    on_loop(work())


def test_bodies_of_all_connections_together_are_bounded_and_what_was_held_is_let_go():
    async def work() -> None:
        async with served(Bounds(held_bytes=100_000)) as there:
            async with there.client() as first:
                first.send(post(b"a" * 90_000)[:-1])
                await until(lambda: there.server._held > 80_000)
                assert (await there.asked(post(b"b" * 90_000)))[0] == 503
                first.send(b"a")
                assert (await first.answer())[0] == 200
            await until(lambda: there.server._held == 0)
            assert (await there.asked(post(b"b" * 90_000)))[0] == 200

    on_loop(work())


def test_a_body_counts_until_its_request_is_answered():
    async def work() -> None:
        async with served(Bounds(held_bytes=100_000)) as there, there.client() as first:
            waits = post(b"a" * 40_000).replace(b"/a", b"/wait", 1)
            first.send(waits + waits)
            await until(lambda: there.server._held == 80_000)
            assert (await there.asked(post(b"b" * 40_000)))[0] == 503
            there.app.seen[0].respond(200, [], b"")
            await until(lambda: len(there.app.seen) == 2)
            assert there.server._held == 40_000
            there.app.seen[1].start(200, [])
            assert there.server._held == 40_000
            there.app.seen[1].end()
            assert there.server._held == 0

    on_loop(work())


def test_a_body_of_a_client_that_left_counts_until_whoever_works_at_it_lets_it_go():
    async def work() -> None:
        async with served() as there, there.client() as client:
            client.send(post(b"a" * 30_000).replace(b"/a", b"/wait", 1) * 2)
            await until(lambda: there.server._held == 60_000)
            there.app.seen[0].abort()
            await until(lambda: there.app.left)
            assert there.server._held == 30_000
            for _ in range(2):
                there.app.left[0].release()
                assert there.server._held == 0

    on_loop(work())


def test_too_many_connections_are_told_so():
    async def work() -> None:
        async with served(Bounds(connections=1)) as there, there.client() as first:
            first.send(GET)
            await first.answer()
            assert (await there.asked(GET))[0] == 503

    on_loop(work())


def test_a_refusal_by_the_headers_spares_the_body_and_keeps_the_connection_when_it_is_short():
    async def work() -> None:
        async with served() as there, there.client() as client:
            client.send(b"POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n")
            assert (await client.answer())[0] == 401
            client.send(b"body" + post(b"again"))
            assert (await client.answer())[2] == b"POST /a again"
            assert len(there.app.seen) == 1

    on_loop(work())


def test_an_answer_by_the_headers_of_a_request_without_a_body_keeps_the_connection():
    async def work() -> None:
        async with served() as there, there.client() as client:
            for _ in range(3):
                client.send(b"GET /no HTTP/1.1\r\nhost: x\r\n\r\n")
                assert (await client.answer())[0] == 401
            client.send(GET)
            assert (await client.answer())[0] == 200

    on_loop(work())


def test_a_refusal_by_the_headers_of_a_long_body_ends_the_connection_after_it_was_read():
    async def work() -> None:
        async with served() as there, there.client() as client:
            client.send(
                b"POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n" + b"a" * 1_000_000
            )
            assert (await client.answer())[0] == 401
            assert await client.ended()

    on_loop(work())


def test_a_client_that_waits_for_100_continue_is_told_to_go_on_unless_refused():
    async def work() -> None:
        async with served() as there, there.client() as client:
            client.send(b"POST /a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            assert await client.reader.readuntil(b"\r\n\r\n") == http1.CONTINUE
            client.send(b"ab")
            assert (await client.answer())[2] == b"POST /a ab"
            client.send(b"POST /no HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            assert (await client.answer())[0] == 401

    on_loop(work())


def test_an_upgrade_is_answered_as_plain_http():
    async def work() -> None:
        async with served() as there:
            head = b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
            assert (await there.asked(head))[2] == b"GET /a "

    on_loop(work())


@pytest.mark.parametrize("piece", [b"GET /a HT", GET[:-2], post(b"body")[:-1]])
def test_who_sends_too_slowly_is_cut_off(piece, monkeypatch):
    monkeypatch.setattr(http1, "SWEEP_SECONDS", 0.02)

    async def work() -> None:
        async with served(Bounds(header_seconds=0.1, body_seconds=0.1)) as there, there.client() as client:
            client.send(piece)
            assert (await client.answer())[0] == 408
            assert await client.ended()

    on_loop(work())


def test_a_header_that_trickles_in_gets_no_more_time_than_one_that_does_not_come(monkeypatch):
    monkeypatch.setattr(http1, "SWEEP_SECONDS", 0.02)

    async def work() -> None:
        async with served(Bounds(header_seconds=0.3)) as there, there.client() as client:
            began = asyncio.get_running_loop().time()
            client.send(b"GET /a HTTP/1.1\r\nhost: x\r\n")
            reading = asyncio.ensure_future(client.answer())
            while not reading.done():
                client.send(b"x-a: b\r\n")
                await asyncio.wait({reading}, timeout=0.02)
            assert reading.result()[0] == 408
            assert asyncio.get_running_loop().time() - began < 2

    on_loop(work())


def test_who_does_not_read_holds_the_sender_back_and_is_cut_off(monkeypatch):
    monkeypatch.setattr(http1, "SWEEP_SECONDS", 0.02)

    async def work() -> None:
        async with served(Bounds(stalled_seconds=0.2)) as there, there.client() as client:
            client.writer.transport.pause_reading()
            client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
            await until(lambda: there.app.seen)
            exchange = there.app.seen[0]
            exchange.start(200, [])
            while not exchange.held_back:
                exchange.write(b"a" * 65536)
            await until(lambda: there.app.left == [exchange])
            assert exchange.gone
            exchange.write(b"to nobody")

    on_loop(work())


def test_nothing_is_begun_for_who_does_not_read_and_all_is_once_it_reads():
    async def work() -> None:
        async with served() as there, there.client() as client:
            client.writer.transport.pause_reading()
            large = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n"
            client.send(large * 12 + post(b"split")[:-2])
            await until(lambda: there.app.seen)
            refused = b"GET /no HTTP/1.1\r\nhost: x\r\n\r\n"
            client.send(b"it" + refused + post(b"a" * 2_000_000) + GET)
            before = 0
            while before != len(there.app.seen):  # as long as the sockets between take something
                before = len(there.app.seen)
                for _ in range(50):
                    await asyncio.sleep(0.002)
            assert before <= 4
            client.writer.transport.resume_reading()
            for _ in range(12):
                assert len((await client.answer())[2]) == LARGE
            assert (await client.answer())[2] == b"POST /a split"
            assert (await client.answer())[0] == 401
            assert len((await client.answer())[2]) == 2_000_000 + 8
            assert (await client.answer())[2] == b"GET /a "
            assert there.server._held == 0

    on_loop(work())


def test_a_body_for_who_does_not_read_yet_is_refused_by_its_headers():
    """What is sent while nothing is begun has its turn when the client reads, before the rest of its body is."""

    async def work() -> None:
        async with served(Bounds(held_bytes=300_000)) as there, there.client() as client:
            client.writer.transport.pause_reading()
            client.send(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n" * 4)
            client.send(
                b"POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n" + b"a" * 1_000_000 + GET
            )
            await until(lambda: there.app.seen)
            client.writer.transport.resume_reading()
            for _ in range(4):
                await client.answer()
            assert (await client.answer())[0] == 401
            assert (await client.answer())[0] == 200

    on_loop(work())


def test_who_leaves_is_noticed():
    async def work() -> None:
        async with served() as there:
            async with there.client() as client:
                client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
                await until(lambda: there.app.seen)
            await until(lambda: there.app.left)
            there.app.seen[0].respond(200, [], b"to nobody")

    on_loop(work())


def test_a_server_that_stops_lets_those_who_wait_have_their_answers():
    async def work() -> None:
        async with served() as there, there.client() as idle, there.client() as waiting:
            idle.send(GET)
            await idle.answer()
            waiting.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
            await until(lambda: len(there.app.seen) == 2)
            stopping = asyncio.ensure_future(there.server.close(5))
            assert await idle.ended()
            there.app.seen[1].respond(200, [], b"done")
            assert (await waiting.answer())[2] == b"done"
            assert await stopping is True

    on_loop(work())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.binary(max_size=200), cuts=st.lists(st.integers(0, 600), max_size=12), chunked=st.booleans())
def test_wherever_a_request_is_split_it_is_the_same(body, cuts, chunked):
    framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    head = b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    sent = head + framed + b"0\r\n\r\n" if chunked else post(body)
    edges = sorted({0, len(sent), *(cut % len(sent) for cut in cuts)})

    async def work() -> None:
        async with served() as there:
            pieces = [sent[a:b] for a, b in pairwise(edges)]
            assert (await there.asked(*pieces))[2] == b"POST /a " + body

    on_loop(work())


@settings(max_examples=60, deadline=None)
@given(
    noise=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [
                    GET,
                    b"\r\n\r\n",
                    b"POST / HTTP/1.1\r\n",
                    b"transfer-encoding: chunked\r\n",
                    b"0\r\n\r\n",
                    b"content-length: 5\r\n",
                ]
            ),
        ),
        max_size=8,
    )
)
def test_whatever_is_sent_the_next_client_is_served(noise):
    async def work() -> None:
        async with served() as there:
            async with there.client() as client:
                for piece in noise:
                    client.send(piece)
                    await asyncio.sleep(0)
                client.writer.write_eof()
                await client.reader.read()
            assert (await there.asked(GET))[0] == 200

    on_loop(work())


@pytest.mark.parametrize("known", [False, True])
def test_a_fault_of_ours_ends_that_connection_and_is_written_down(known):
    async def work() -> None:
        fault = post(b"x").replace(b"/a", b"/fault", 1)
        async with served() as there:
            async with there.client() as client:
                if known:
                    other = http1.Exchange(None)
                    other.method, other.target, other.lengths = b"POST", b"/fault", [b"1"]
                    client.send(GET)
                    await client.answer()
                    next(iter(there.server._connections))._head = http1.Head.of(other, fault)
                client.send(fault)
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await client.answer()
            assert [type(error) for error in there.app.faults] == [ZeroDivisionError]
            assert (await there.asked(post(b"x")))[0] == 200

    on_loop(work())


class Recorded:
    """Answers at once or later, and writes down what it was asked."""

    def __init__(self, *, later: bool) -> None:
        self.asked: list[tuple[bytes, bytes, http1.Headers, bytes, bool]] = []
        self.waiting: list[Exchange] = []
        self.misreadings: list[str] = []
        self._later = later

    def admit(self, exchange: Exchange) -> None:
        if exchange.target == b"/no":
            self.asked.append((exchange.method, exchange.target, exchange.headers, b"", exchange.keep_alive))
            exchange.respond(401, [], b"no")

    def handle(self, exchange: Exchange) -> None:
        self.asked.append(
            (exchange.method, exchange.target, exchange.headers, exchange.body, exchange.keep_alive)
        )
        if self._later:
            self.waiting.append(exchange)
        else:
            exchange.respond(200, [], b"")

    def misread(self, status: int, code: str, message: str, target: bytes) -> tuple[http1.Headers, bytes]:
        self.misreadings.append(code)
        return [], code.encode()

    def crashed(self, error: Exception) -> None:
        raise error


class Wire(asyncio.Transport):
    """A client that takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.told = b""
        self.ended = False
        self.reading = True

    def write(self, data: Any) -> None:
        self.told += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.ended

    def is_reading(self) -> bool:
        return self.reading

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.ended = True

    abort = close


def read_by(pieces: list[bytes], *, later: bool, bounds: Bounds) -> tuple[Recorded, Wire]:
    app, wire = Recorded(later=later), Wire()
    server = Server(app, bounds)
    connection = http1.Connection(server)
    connection.connection_made(wire)
    for piece in pieces:
        if not wire.ended:
            connection.data_received(piece)
        while app.waiting:
            app.waiting.pop(0).respond(200, [], b"")
    server._sweeper.cancel()
    return app, wire


HEADS = st.sampled_from(
    [
        b"POST /a HTTP/1.1\r\nhost: x\r\nContent-Length: %d\r\nx-a: 1\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\nContent-Length: %d\r\nx-a: 1\r\n\r\n",
        b"POST /b HTTP/1.1\r\nhost: x\r\nContent-Length: %d\r\nx-a: 1\r\n\r\n",
        b"POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n",
        b"PUT /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0%d\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\nexpect: 100-continue\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\nconnection: close\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: x\r\nx-odd: \tcontent-length: 7\r\ncontent-length: %d\r\n\r\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    asked=st.lists(st.tuples(HEADS, st.binary(max_size=40), st.integers(1, 4)), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 4000), max_size=8),
    apart=st.booleans(),
    later=st.booleans(),
    tail=st.binary(max_size=12),
)
def test_a_head_that_came_before_is_read_as_the_parser_reads_it(asked, cuts, apart, later, tail):
    whole = [head % len(body) + body for head, body, times in asked for _ in range(times)]
    sent = b"".join(whole) + tail
    edges = {0, len(sent), *(cut % len(sent) for cut in cuts)}
    if apart:  # as most clients send: one request, then the next
        edges |= {sum(map(len, whole[:n])) for n in range(len(whole))}
    pieces = [sent[a:b] for a, b in pairwise(sorted(edges))]

    async def work() -> None:
        bounds = Bounds(body_bytes=30)
        known, told = read_by(pieces, later=later, bounds=bounds)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(http1.Head, "of", lambda *_: None)
            parsed, plainly_told = read_by(pieces, later=later, bounds=bounds)
        assert known.asked == parsed.asked
        assert known.misreadings == parsed.misreadings
        assert (told.told, told.ended) == (plainly_told.told, plainly_told.ended)

    on_loop(work())


def test_requests_with_the_same_head_are_not_parsed_again(monkeypatch):
    async def work() -> None:
        headers: list[bytes] = []
        on_header = http1.Connection.on_header
        monkeypatch.setattr(
            http1.Connection, "on_header", lambda at, n, v: (headers.append(n), on_header(at, n, v))[1]
        )
        pieces = [post(b"%d" % n * (n + 1), b"x-a: 1") for n in range(6)]
        apart = [
            part
            for piece in pieces
            for part in (piece.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", piece.partition(b"\r\n\r\n")[2])
        ]
        for way in (pieces, apart):
            headers.clear()
            app, _ = read_by(way, later=False, bounds=Bounds())
            assert [body for *_, body, _ in app.asked] == [b"%d" % n * (n + 1) for n in range(6)]
            assert len(headers) == 2 * 3  # of the first two requests

    on_loop(work())


def test_a_body_in_crumbs_is_refused_before_it_takes_long_to_read():
    async def work() -> None:
        head = b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        async with served() as there:
            status, _, body = await there.asked(head + b"1\r\nx\r\n" * (http1.MOST_CRUMBS + 1))
            assert (status, body.startswith(b"gateway.crumbs")) == (413, True)
            status, _, body = await there.asked(head + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n")
            assert (status, body) == (200, b"POST /a " + b"x" * 1000)
            async with there.client() as client:
                for _ in range(2):  # each request has its own
                    client.send(head + b"1\r\nx\r\n" * (http1.MOST_CRUMBS - 10) + b"0\r\n\r\n")
                    assert (await client.answer())[0] == 200

    on_loop(work())


def test_however_many_requests_come_together_each_is_answered():
    """Read one within the other they would reach the bound of Python's stack, wherever that meets the gateway."""

    async def work() -> None:
        one = post(b"x", b"x-a: 1")
        app, _ = read_by([one, one, one * 2000], later=False, bounds=Bounds())
        assert len(app.asked) == 2002

    on_loop(work())


def test_a_request_refused_when_its_turn_comes_leaves_nothing_of_its_body():
    """Its half that had come before would stand in front of the next one's, which behind a proxy may be another client's."""

    async def work() -> None:
        app, wire = Recorded(later=True), Wire()
        server = Server(app)
        connection = http1.Connection(server)
        connection.connection_made(wire)
        connection.data_received(post(b"first"))
        connection.data_received(b"POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nother")
        app.waiting.pop().respond(200, [], b"")
        connection.data_received(b"other")
        connection.data_received(post(b"third"))
        app.waiting.pop().respond(200, [], b"")
        assert [body for *_, body, _ in app.asked] == [b"first", b"", b"third"]
        assert server._held == 0
        server._sweeper.cancel()

    on_loop(work())


def test_a_body_that_is_too_large_counts_as_what_of_it_was_kept():
    async def work() -> None:
        app, wire = Recorded(later=False), Wire()
        server = Server(app, Bounds(body_bytes=8))
        connection = http1.Connection(server)
        connection.connection_made(wire)
        head = b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.data_received(head + b"5\r\nfirst\r\n6\r\nsecond\r\n")
        connection.connection_lost(None)
        assert app.misreadings == ["gateway.too-large"]
        assert server._held == 0
        server._sweeper.cancel()

    on_loop(work())
