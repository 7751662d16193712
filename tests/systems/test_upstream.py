"""Connections to providers that lie, cut, stall and send garbage."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from datareeve.systems import upstream
from datareeve.systems.upstream import Origin, Timeouts, UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PATIENT = Timeouts(connect=1, first_byte=5, idle=5)


class Provider:
    """Answers each request with the next of its scripts: bytes to send, or a number of seconds to be silent, or None to close."""

    def __init__(self, *scripts: list[bytes | float | None]) -> None:
        self.scripts = list(scripts)
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.scripts:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                for act in self.scripts.pop(0):
                    if act is None:
                        return
                    if isinstance(act, float):
                        await asyncio.wait_for(reader.read(), act)
                    else:
                        writer.write(act)
                        await asyncio.sleep(0)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def provider(*scripts: list[bytes | float | None]) -> AsyncIterator[tuple[Provider, Origin]]:
    there = Provider(*scripts)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    origin = Origin(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/base")
    try:
        yield there, origin
    finally:
        origin.close()
        server.close()
        await asyncio.sleep(0)


def request(origin: Origin) -> bytes:
    return b"GET %b/x HTTP/1.1\r\nhost: %b\r\n\r\n" % (origin.path, origin.host_header)


async def asked(origin: Origin, timeouts: Timeouts = PATIENT) -> tuple[int, bytes]:
    call = await origin.ask(request(origin), timeouts)
    body = await call.whole()
    return call.status, body


async def until(condition: Any) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for is not ours to tell an event
        await asyncio.sleep(0.001)


def on_loop(work: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(20):
            return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


def test_a_connection_is_kept_and_used_again():
    async def work() -> None:
        async with provider([OK], [OK], [OK]) as (there, origin):
            for _ in range(3):
                assert await asked(origin) == (200, b"ok")
            assert there.connections == 1
            assert there.requests[0].startswith(b"GET /base/x HTTP/1.1\r\n")

    on_loop(work())


def test_a_kept_connection_that_was_closed_meanwhile_is_told_as_stale():
    async def work() -> None:
        async with provider([OK], [None], [OK]) as (_, origin):
            await asked(origin)
            with pytest.raises(UpstreamError) as caught:
                await asked(origin)
            assert caught.value.stale
            assert await asked(origin) == (200, b"ok")

    on_loop(work())


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([None], "upstream.cut"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", None], "upstream.cut"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", None], "upstream.cut"),
        ([b"HTTP/1.1 200 OK\r\n", None], "upstream.cut"),
        ([b"\x16\x03\x01 this is not HTTP"], "upstream.garbage"),
        (
            [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok"],
            "upstream.garbage",
        ),
        ([b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 80_000], "upstream.garbage"),
        ([b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nplop"], "upstream.garbage"),
        ([5.0], "upstream.first-byte-timeout"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", 5.0], "upstream.idle-timeout"),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error_with_a_stable_code(script, code):
    async def work() -> None:
        async with provider(script) as (_, origin):
            with pytest.raises(UpstreamError) as caught:
                await asked(origin, Timeouts(connect=1, first_byte=0.15, idle=0.15))
            assert (caught.value.code, caught.value.stale) == (code, False)
            assert origin.open == 0

    on_loop(work())


def test_more_than_was_announced_ends_the_connection_but_not_the_answer():
    async def work() -> None:
        async with provider([OK + b"and more"], [OK]) as (there, origin):
            with suppress(UpstreamError):
                await asked(origin)
            await asyncio.sleep(0.02)
            assert origin.open == 0
            assert await asked(origin) == (200, b"ok")
            assert there.connections == 2

    on_loop(work())


def test_who_speaks_without_being_asked_is_not_asked_again():
    async def work() -> None:
        async with provider([OK, b""], [OK]) as (there, origin):
            await asked(origin)
            there.scripts.insert(0, [OK])
            connection = origin._idle[0]
            connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
            await asked(origin)
            assert there.connections == 2

    on_loop(work())


@pytest.mark.parametrize("more", [OK, OK[:20], OK[:-1], OK[:7]])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_second_answer_behind_the_first_is_nobodys(more, streamed):
    """It would be taken for the next request's, which may be another client's."""

    async def work() -> None:
        other = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother"
        async with provider([OK + more], [other]) as (there, origin):
            call = await origin.ask(request(origin), PATIENT)
            if streamed:
                got: list[bytes] = []
                ended: list[object] = []
                call.relay(got.append, ended.append)
                await until(lambda: ended)
                assert (b"".join(got), ended) == (b"ok", [None])
            else:
                assert await call.whole() == b"ok"
            assert await asked(origin) == (200, b"other")
            assert there.connections == 2

    on_loop(work())


def test_what_comes_together_is_handed_on_together():
    async def work() -> None:
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        async with provider([head, b"3\r\none\r\n" * 50 + b"0\r\n\r\n"]) as (_, origin):
            call = await origin.ask(request(origin), PATIENT)
            assert await call.head() == 200
            got: list[bytes] = []
            ended: list[object] = []
            call.relay(got.append, ended.append)
            await until(lambda: ended)
            assert (got, ended) == ([b"one" * 50], [None])

    on_loop(work())


def test_an_answer_without_a_length_ends_with_its_connection():
    async def work() -> None:
        async with provider([b"HTTP/1.1 200 OK\r\n\r\nall of it", None]) as (_, origin):
            assert await asked(origin) == (200, b"all of it")

    on_loop(work())


def test_interim_answers_are_read_past():
    async def work() -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        async with provider([b"HTTP/1.1 100 Continue\r\n\r\n", hints, OK]) as (_, origin):
            call = await origin.ask(request(origin), PATIENT)
            assert await call.whole() == b"ok"
            assert call.headers == [(b"content-length", b"2")]

    on_loop(work())


def test_a_packed_answer_is_unpacked():
    async def work() -> None:
        packed = gzip.compress(b"plain" * 1000)
        head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
        async with provider([head + packed]) as (_, origin):
            assert await asked(origin) == (200, b"plain" * 1000)

    on_loop(work())


def test_bytes_are_handed_on_as_they_come_and_the_end_is_told_once():
    async def work() -> None:
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        async with provider([head, b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n"]) as (_, origin):
            call = await origin.ask(request(origin), PATIENT)
            assert await call.head() == 200
            got: list[bytes] = []
            ended: list[object] = []
            call.relay(got.append, ended.append)
            await until(lambda: ended)
            assert (b"".join(got), ended) == (b"onetwo", [None])

    on_loop(work())


def test_a_call_that_nobody_waits_for_is_cut():
    async def work() -> None:
        async with provider([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n", 5.0]) as (
            _,
            origin,
        ):
            call = await origin.ask(request(origin), PATIENT)
            await call.head()
            ended: list[Any] = []
            call.relay(lambda _: None, ended.append)
            call.cancel()
            assert ended[0].code == "upstream.cancelled"
            await asyncio.sleep(0.02)
            assert origin.open == 0

    on_loop(work())


def test_a_reader_that_pauses_is_not_taken_for_a_silent_provider():
    async def work() -> None:
        body = b"a" * 400_000
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
        async with provider([head, body]) as (_, origin):
            call = await origin.ask(request(origin), Timeouts(connect=1, first_byte=1, idle=0.05))
            await call.head()
            call.pause()
            await asyncio.sleep(0.2)
            call.resume()
            assert len(await call.whole()) == 400_000

    on_loop(work())


def test_where_nobody_listens_nothing_was_sent():
    async def work() -> None:
        async with provider() as (_, origin):
            gone = Origin("http://127.0.0.1:1")
            with pytest.raises(UpstreamError) as caught:
                await gone.ask(request(gone), PATIENT)
            assert (caught.value.code, caught.value.sent) == ("upstream.unreachable", False)
            tls = Origin(f"https://127.0.0.1:{origin.port}")
            with pytest.raises(UpstreamError) as caught:
                await tls.ask(request(tls), Timeouts(connect=0.3))
            assert caught.value.code in ("upstream.tls", "upstream.connect-timeout", "upstream.unreachable")

    on_loop(work())


def test_connections_are_bounded(monkeypatch):
    monkeypatch.setattr(upstream, "TOO_MANY", 1)

    async def work() -> None:
        async with provider([5.0], [5.0]) as (_, origin):
            await origin.ask(request(origin), PATIENT)
            with pytest.raises(UpstreamError) as caught:
                await origin.ask(request(origin), PATIENT)
            assert caught.value.code == "upstream.too-many-connections"

    on_loop(work())


def test_an_origin_that_is_closed_tells_those_who_wait():
    async def work() -> None:
        async with provider([OK], [5.0], [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", 5.0]) as (
            there,
            origin,
        ):
            await asked(origin)
            waiting = [asyncio.ensure_future(asked(origin)) for _ in range(2)]
            await until(lambda: len(there.requests) == 3)
            origin.close()
            for one in waiting:
                with pytest.raises(UpstreamError) as caught:
                    await one
                assert caught.value.code == "upstream.closed"
            assert (origin.open, origin.calls) == (0, set())

    on_loop(work())


def test_an_origin_that_is_not_wanted_any_more_ends_with_its_last_call():
    async def work() -> None:
        async with provider([5.0], [OK]) as (there, origin):
            silent = await origin.ask(request(origin), Timeouts(connect=1, first_byte=0.3, idle=1))
            await until(lambda: there.requests)
            call = await origin.ask(request(origin), PATIENT)
            origin.retire()
            assert origin.open == 2
            assert await call.whole() == b"ok"
            assert origin.open == 1
            with pytest.raises(UpstreamError) as caught:
                await silent.whole()
            assert caught.value.code == "upstream.first-byte-timeout"
            assert origin.open == 0

    on_loop(work())


def test_an_origin_that_is_not_wanted_any_more_keeps_no_idle_connection():
    async def work() -> None:
        async with provider([OK], [OK]) as (there, origin):
            await asked(origin)
            assert origin.open == 1
            origin.retire()
            assert origin.open == 0
            assert await asked(origin) == (200, b"ok")  # who had begun may ask again
            assert (origin.open, there.connections) == (0, 2)

    on_loop(work())
