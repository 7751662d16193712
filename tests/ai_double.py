"""A provider that does what a test tells it to: OpenAI's and Anthropic's APIs on one port, in a thread of this process.

    with FaultDouble() as double:
        double.next(fail(429, retry_after=1), cut(after=3))   # the next two requests, in order
        double.always(fail(500), model="flaky")               # every request for this model, from now on
        ...
        double.served(key="sk-1"), double.seen[-1].headers

Everything that came is kept in `seen`, with what was sent back of it: the truth that a ledger is compared with. Nothing here is shared with
the gateway: its HTTP is written by hand, so that what no server would send can be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import ai_answers
import ai_stored
from ai_answers import Reply, Used

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODELS = ("double-small", "double-large", "claude-double")
HEAD_BYTES = 1 << 20
POLL_SECONDS = 0.005


# -- what it is told to do ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How one request is answered. As it comes: well, at once, saying back what was said."""

    text: str | None = None  # said instead
    words: int | None = None  # so many words: so many events of a stream
    cached: int = 0  # of the prompt's tokens: from the provider's cache
    written: int = 0  # to it
    used: Used | None = None  # billed, whatever was said
    status: int = 200
    kind: str = ""  # of an error
    message: str = "the double was told to fail"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None  # instead of the answer, in a well-formed HTTP response
    raw: bytes | None = None  # instead of HTTP; then the connection is closed
    drop: bool = False  # the connection is closed without a word
    delay: float = 0.0  # seconds before the first byte
    token_delay: float = 0.0  # seconds before each event of a stream
    hold: bool = False  # before the first byte, until `let_go`
    hold_after: int | None = None  # events of a stream, until `let_go`
    silent_after: int | None = None  # events (0: nothing at all): then nothing, until the client leaves
    cut_after: int | None = None  # events of a stream, bytes of a whole answer
    how: str = "close"  # of a cut: 'close', 'reset', or 'end': as if it were complete, without the protocol's own end
    error_after: int | None = None  # events: then an error event in the stream
    lie: int = 0  # added to Content-Length
    split: int | None = None  # bytes in one piece on the wire, wherever an event ends
    usage: bool = True  # said at all
    usage_in_last: bool = False  # chat streams: in the chunk with the finish reason
    done: bool = True  # [DONE] at the end
    line_end: str = "\n"
    comments: bool = False  # between events
    chunked: bool = True  # False: a stream ends with its connection


def ok(**how: Any) -> Behaviour:
    """Answers well, in this way."""
    return Behaviour(**how)


def fail(status: int, *, retry_after: float | str | None = None, **how: Any) -> Behaviour:
    """An error in the provider's shape; `retry_after` as a header, in seconds or as a date."""
    headers = tuple(how.pop("headers", ()))
    if retry_after is not None:
        headers += (("retry-after", str(retry_after)),)
    return Behaviour(status=status, headers=headers, **how)


def cut(after: int, how: str = "close", **rest: Any) -> Behaviour:
    """Breaks off after so many events of a stream, or bytes of a whole answer."""
    return Behaviour(cut_after=after, how=how, **rest)


def silence(after: int = 0, **rest: Any) -> Behaviour:
    """Falls silent after so many events, and leaves the connection open."""
    return Behaviour(silent_after=after, **rest)


def garbage(raw: bytes = b"\x16\x03\x01 this is not HTTP\r\n\r\n") -> Behaviour:
    """Bytes that are no HTTP response."""
    return Behaviour(raw=raw)


def drop() -> Behaviour:
    """Closes the connection without a word."""
    return Behaviour(drop=True)


# -- what it saw -------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Seen:
    """One request as it came, and what was sent back."""

    number: int
    connection: int
    at: float  # time.monotonic()
    method: str
    path: str  # without the query
    query: str
    headers: dict[str, str]  # names in lower case
    raw: bytes
    body: dict[str, Any] = field(default_factory=dict)  # {} where it is not a JSON object
    status: int = 0  # 0: nothing was sent
    ended: str = ""  # '' while it runs; 'whole', 'cut', 'error', 'client left', 'stopped'
    events: int = 0  # of a stream, sent
    used: Used = field(default_factory=Used)  # what this provider would bill

    @property
    def key(self) -> str:
        """The key that was shown, however."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        return self.headers.get("x-api-key") or self.headers.get("api-key") or bearer

    @property
    def model(self) -> str:
        return str(self.body.get("model") or "")

    @property
    def stream(self) -> bool:
        return self.body.get("stream") is True

    @property
    def protocol(self) -> str:
        """Anthropic's where the path or its version header says so."""
        own = self.path.startswith("/v1/messages") or "anthropic-version" in self.headers
        return "anthropic" if own else "openai"


@dataclass(frozen=True, slots=True)
class _Rule:
    behaviour: Behaviour
    matches: tuple[tuple[str, str], ...]

    def fits(self, seen: Seen) -> bool:
        return all(getattr(seen, name) == value for name, value in self.matches)


class _ClientLeft(Exception):
    pass


# -- the server --------------------------------------------------------------------------------------------------------------------


class FaultDouble:
    """A scripted provider. `keys`: those it takes (None: any, '' too); they may be changed while it runs."""

    def __init__(self, keys: set[str] | None = None, models: tuple[str, ...] = MODELS) -> None:
        self.keys, self.models = keys, models
        self.per_minute: int | None = None  # requests of each key: beyond, 429 with the provider's headers
        self.seen: list[Seen] = []
        self.running = self.most_at_once = self.connections = 0
        self.port = 0
        self._next: list[_Rule] = []
        self._always: list[_Rule] = []
        self.stored: dict[str, Any] = {}  # files and batches
        self._prefixes: set[tuple[str, str]] = set()  # what is in the prompt cache, by key
        self._ready = threading.Event()
        self._lock = threading.Lock()

    # Being told.

    def next(self, *behaviours: Behaviour, **matches: str) -> None:
        """The next requests that match (`model`, `key`, `path`, `protocol`) are answered so, one each, in order."""
        with self._lock:
            self._next += [_Rule(behaviour, tuple(matches.items())) for behaviour in behaviours]

    def always(self, behaviour: Behaviour, **matches: str) -> None:
        """Every request that matches is answered so, until it is told otherwise; what was said last counts first."""
        with self._lock:
            self._always.insert(0, _Rule(behaviour, tuple(matches.items())))

    def well(self) -> None:
        """Forget all that was told."""
        with self._lock:
            self._next, self._always = [], []

    def let_go(self) -> None:
        """Whatever is held goes on; what comes later is held again."""
        self._loop.call_soon_threadsafe(self._release)

    # Being asked.

    @property
    def openai_url(self) -> str:
        """The base URL as OpenAI's SDK takes it."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def anthropic_url(self) -> str:
        """The base URL as Anthropic's SDK takes it."""
        return f"http://127.0.0.1:{self.port}"

    def matching(self, **matches: str) -> list[Seen]:
        """The requests that match (`model`, `key`, `path`, `ended`, `status`), oldest first."""
        return [one for one in list(self.seen) if all(getattr(one, n) == v for n, v in matches.items())]

    def served(self, **matches: str) -> int:
        """How many requests that match were answered in full."""
        return len(self.matching(ended="whole", status=200, **matches))

    def wait_until(self, condition: Callable[[], object], seconds: float = 5.0) -> None:
        """Returns when the condition holds; a failed assertion where it does not within that time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s; seen: {self.seen[-3:]}"
            time.sleep(POLL_SECONDS)

    # Living.

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen: at a port of the kernel's choice, or at the same again after `stop`."""
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="fault-double", daemon=True)
        self._thread.start()
        assert self._ready.wait(5), "the double did not start"

    def stop(self) -> None:
        """Die: every connection is reset, and the port refuses."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._finished.set)
            self._thread.join(5)
            assert not self._thread.is_alive(), "the double did not stop"

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        self._loop, self._finished, self._gate = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, limit=HEAD_BYTES, backlog=1024
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._finished.wait()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _release(self) -> None:
        self._gate.set()
        self._gate = asyncio.Event()

    # One connection.

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        exchange = None
        try:
            while request := await read_request(reader, self.connections, len(self.seen)):
                self.seen.append(request)
                exchange = _Exchange(self, request, reader, writer)
                if not await self._counted(exchange):
                    break
                exchange = None
        except (OSError, _ClientLeft, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            _end(exchange, "client left")
        except asyncio.CancelledError:
            _end(exchange, "stopped")
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _counted(self, exchange: _Exchange) -> bool:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            return await exchange.answer(self._behaviour(exchange.seen))
        finally:
            self.running -= 1

    def _behaviour(self, seen: Seen) -> Behaviour:
        with self._lock:
            for rule in self._next:
                if rule.fits(seen):
                    self._next.remove(rule)
                    return rule.behaviour
            told = next((rule.behaviour for rule in self._always if rule.fits(seen)), Behaviour())
        if self.keys is not None and seen.key not in self.keys:
            return Behaviour(status=401, message="Incorrect API key provided.")
        return self._within_limits(seen, told)

    def _within_limits(self, seen: Seen, told: Behaviour) -> Behaviour:
        if self.per_minute is None:
            return told
        minute = [one for one in self.matching(key=seen.key, status=200) if one.at > seen.at - 60]
        left = self.per_minute - len(minute) - 1
        reset = 60 - (seen.at - minute[0].at) if minute else 60.0
        headers = limit_headers(seen.protocol, self.per_minute, max(0, left), reset)
        if left < 0:
            return Behaviour(status=429, headers=(*headers, ("retry-after", f"{reset:.0f}")))
        return replace(told, headers=(*told.headers, *headers))

    def cached_tokens(self, seen: Seen) -> tuple[int, int]:
        """Read from and written to the prompt cache by this request: what stands before the last `cache_control`."""
        text = json.dumps([seen.body.get("tools"), seen.body.get("system"), ai_answers.spoken(seen.body)])
        if (at := text.rfind('"cache_control"')) < 0:
            return 0, 0
        mark = (seen.key, hashlib.sha256(text[:at].encode()).hexdigest())
        known = mark in self._prefixes
        self._prefixes.add(mark)
        return (at // 4, 0) if known else (0, at // 4)


def _end(exchange: _Exchange | None, how: str) -> None:
    if exchange is not None:
        exchange.seen.ended = how


def limit_headers(protocol: str, limit: int, left: int, reset: float) -> tuple[tuple[str, str], ...]:
    """How each provider says what is left of the requests of this minute."""
    if protocol == "anthropic":
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + reset))
        name = "anthropic-ratelimit-requests"
        return ((f"{name}-limit", str(limit)), (f"{name}-remaining", str(left)), (f"{name}-reset", at))
    name = "x-ratelimit"
    return (
        (f"{name}-limit-requests", str(limit)),
        (f"{name}-remaining-requests", str(left)),
        (f"{name}-reset-requests", f"{reset:.0f}s"),
    )


async def read_request(reader: asyncio.StreamReader, connection: int, number: int) -> Seen | None:
    """The next request of a connection; None at its end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    raw = await read_body(reader, headers)
    path, _, query = target.partition("?")
    seen = Seen(number, connection, time.monotonic(), method, path, query, headers, raw)
    with contextlib.suppress(ValueError):
        found = json.loads(raw)
        seen.body = found if isinstance(found, dict) else {}
    return seen


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.readexactly(int(headers.get("content-length", 0)))
    chunks = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(chunks)


# -- one request and its answer ----------------------------------------------------------------------------------------------------

WHOLE: dict[str, Callable[[Reply, dict[str, Any]], dict[str, Any]]] = {
    "/v1/chat/completions": ai_answers.chat,
    "/v1/completions": ai_answers.completion,
    "/v1/responses": ai_answers.responses,
    "/v1/messages": ai_answers.messages,
}
EVENTS: dict[str, Callable[..., Iterator[tuple[str, dict[str, Any]]]]] = {
    "/v1/chat/completions": ai_answers.chat_events,
    "/v1/completions": ai_answers.completion_events,
    "/v1/responses": ai_answers.responses_events,
    "/v1/messages": ai_answers.messages_events,
}
NO_TOKEN = ('"role"', '"stop_reason"', '"signature"', '"name"')  # in a delta that begins or ends something


class _Exchange:
    """Answers one request as it is told to."""

    def __init__(
        self, double: FaultDouble, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.double, self.seen, self.reader, self.writer = double, seen, reader, writer

    async def answer(self, told: Behaviour) -> bool:
        """Gives whether the connection can take another request. Errors: `_ClientLeft`, `OSError`."""
        self.told = told
        if told.hold:
            await self._until(self.double._gate)
        await self._pass(told.delay)
        if told.silent_after == 0:
            await self._until(asyncio.Event())
        if told.drop or told.raw is not None:
            return await self._broken(told.raw or b"")
        if told.status >= 400:
            return await self._send_json(
                ai_answers.error(self.seen.protocol, told.status, told.message, told.kind)
            )
        if told.body is not None:
            return await self._send(told.body, "application/json")
        return await self._answer_well()

    async def _broken(self, raw: bytes) -> bool:
        self.writer.write(raw)
        await self.writer.drain()
        self.seen.ended = "cut"
        return False

    async def _answer_well(self) -> bool:
        path = self.seen.path if self.seen.path.startswith("/v1") else f"/v1{self.seen.path}"
        if path not in WHOLE or self.seen.method != "POST":
            return await self._answer_the_rest(path)
        if not self.seen.body:
            self.told = replace(self.told, status=400)
            return await self._send_json(
                ai_answers.error(self.seen.protocol, 400, "We could not parse the JSON body.")
            )
        reply = self._reply()
        if self.seen.stream:
            return await self._stream(reply, EVENTS[path])
        self.seen.used = reply.used
        answer = WHOLE[path](reply, self.seen.body)
        return await self._send_json(answer if self.told.usage else {**answer, "usage": None})

    def _reply(self) -> Reply:
        told, (read, written) = self.told, self.double.cached_tokens(self.seen)
        cached, written = told.cached or read, told.written or written
        reply = ai_answers.reply_to(
            self.seen.protocol, self.seen.body, told.text, words=told.words, cached=cached, written=written
        )
        return replace(reply, used=told.used) if told.used else reply

    async def _answer_the_rest(self, path: str) -> bool:
        found = ai_stored.answered(self.double, self.seen, path)
        if found is None:
            self.told = replace(self.told, status=404)
            return await self._send_json(ai_answers.error(self.seen.protocol, 404, f"Invalid URL ({path})"))
        if isinstance(found, bytes):
            return await self._send(found, "application/x-jsonl")
        if usage := found.get("usage"):
            self.seen.used = Used(usage.get("prompt_tokens", usage.get("input_tokens", 0)))
        return await self._send_json(found)

    # Writing.

    async def _send_json(self, answer: dict[str, Any]) -> bool:
        return await self._send(json.dumps(answer).encode(), "application/json")

    async def _send(self, body: bytes, kind: str) -> bool:
        told, cut_at = self.told, self.told.cut_after
        headers = [("content-type", kind), ("content-length", str(len(body) + told.lie)), *self._common()]
        self.seen.status = told.status
        if cut_at is None and not told.lie:
            self.seen.ended = (
                "whole" if told.status < 400 else "error"
            )  # said before it can be read, for a test to rely on
        await self._write(head(told.status, headers) + (body if cut_at is None else body[:cut_at]))
        return self._cut() if cut_at is not None or told.lie else True

    def _common(self) -> list[tuple[str, str]]:
        name = "request-id" if self.seen.protocol == "anthropic" else "x-request-id"
        return [(name, f"req_{self.seen.number:08d}"), *self.told.headers]

    async def _stream(self, reply: Reply, shape: Callable[..., Iterator[tuple[str, dict[str, Any]]]]) -> bool:
        told = self.told
        framing = [("transfer-encoding", "chunked")] if told.chunked else [("connection", "close")]
        headers = [("content-type", "text/event-stream; charset=utf-8"), *framing, *self._common()]
        self.seen.status = 200
        self.seen.used = replace(reply.used, output=0)
        await self._write(head(200, headers))
        events = list(shape(reply, self.seen.body, usage=told.usage, usage_in_last=told.usage_in_last))
        for number, (name, data) in enumerate(events, 1):
            if (ended := await self._before_event()) is not None:
                return ended
            self.seen.events += 1
            self._count(data)
            if number == len(events):  # said before it can be read, for a test to rely on
                self.seen.used, self.seen.ended = reply.used, "whole"
            await self._write(self._framed(sse(name, json.dumps(data), told)))
        return await self._end_stream()

    async def _before_event(self) -> bool | None:
        """What it was told to do at this point of the stream; not None where that was the end of it."""
        told, sent = self.told, self.seen.events
        if told.hold_after == sent:
            await self._until(self.double._gate)
        if told.silent_after == sent:
            await self._until(asyncio.Event())
        await self._pass(told.token_delay)
        if told.cut_after == sent:
            return await self._end_stream(done=False) if told.how == "end" else self._cut()
        if told.error_after == sent:
            kind = told.kind or ("overloaded_error" if self.seen.protocol == "anthropic" else "server_error")
            error = ai_answers.error(self.seen.protocol, 529, told.message, kind)
            name = "error" if self.seen.protocol == "anthropic" else ""
            await self._write(self._framed(sse(name, json.dumps(error), told)))
            return await self._end_stream(done=False, ended="error")
        return None

    def _count(self, data: dict[str, Any]) -> None:
        """A delta with text is a token."""
        text = json.dumps(
            data.get("delta") or [one.get("delta") or one.get("text") for one in data.get("choices") or ()]
        )
        if text not in ("[]", "[null]") and not any(word in text for word in NO_TOKEN):
            self.seen.used = replace(self.seen.used, output=self.seen.used.output + 1)

    async def _end_stream(self, *, done: bool = True, ended: str = "whole") -> bool:
        told = self.told
        self.seen.ended = ended if done or ended != "whole" else "cut"
        if done and told.done and self.seen.path.endswith("completions"):
            await self._write(self._framed(sse("", "[DONE]", told)))
        if told.chunked:
            await self._write(b"0\r\n\r\n")
        return told.chunked

    def _framed(self, data: bytes) -> bytes:
        if not self.told.chunked:
            return data
        size = self.told.split or len(data)
        pieces = (data[at : at + size] for at in range(0, len(data), size))
        return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)

    async def _write(self, data: bytes) -> None:
        size = self.told.split or len(data)
        for at in range(0, len(data), size):
            if self.reader.at_eof():
                raise _ClientLeft
            self.writer.write(data[at : at + size])
            await self.writer.drain()
            if self.told.split:
                await asyncio.sleep(0)

    def _cut(self) -> bool:
        self.seen.ended = "cut"
        if self.told.how == "reset":
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        return False

    # Waiting, as long as the client does.

    async def _pass(self, seconds: float) -> None:
        if seconds:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._until(asyncio.Event())

    async def _until(self, gate: asyncio.Event) -> None:
        while not gate.is_set():
            if self.reader.at_eof() or self.writer.is_closing():
                raise _ClientLeft
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gate.wait(), POLL_SECONDS)


REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


def head(status: int, headers: list[tuple[str, str]]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}\r\n{lines}\r\n".encode("latin-1")


def sse(name: str, data: str, told: Behaviour) -> bytes:
    """One event of a stream, and a comment before it where that is told."""
    lines = [
        *([": keep-alive", ""] if told.comments else []),
        *([f"event: {name}"] if name else []),
        f"data: {data}",
        "",
        "",
    ]
    return told.line_end.join(lines).encode()
