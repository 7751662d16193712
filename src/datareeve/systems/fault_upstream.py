"""A provider that fails on purpose, on this machine alone: what a drill puts behind a scratch gateway.

It speaks both protocols' chat endpoint, whole and streamed. How it behaves is said by the model's name that it is asked for (`FAULTS`), so
that one server serves every case; it keeps when it was asked for which. Nothing that it is sent is kept.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

RETRY_AFTER_SECONDS = 1
LONG_RETRY_AFTER_SECONDS = 3600
WORDS = ("One", " two", " three", " four", " five")
FAULTS = {
    "well": "answers",
    "throttle-once": f"first 429 with Retry-After: {RETRY_AFTER_SECONDS}, then answers",
    "throttle-long": f"429 with Retry-After: {LONG_RETRY_AFTER_SECONDS}",
    "error-once": "first 500, then answers",
    "error": "always 500",
    "refuse": "400: the request is wrong",
    "slow": "sends nothing for a minute",
    "cut-before": "a stream that ends before its first token",
    "cut-after": "a stream that ends after two tokens",
    "garbage": "sends what is no HTTP",
}
REFUSALS = {  # by model: status, the error's type, further header lines
    "throttle-once": (429, "rate_limit_error", f"retry-after: {RETRY_AFTER_SECONDS}\r\n"),
    "throttle-long": (429, "rate_limit_error", f"retry-after: {LONG_RETRY_AFTER_SECONDS}\r\n"),
    "error-once": (500, "server_error", ""),
    "error": (500, "server_error", ""),
    "refuse": (400, "invalid_request_error", ""),
}
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


class FaultUpstream:
    """The server, in a thread of its own, as long as the block lasts."""

    def __init__(self) -> None:
        self.port = 0
        self._asked: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def asked(self, protocol: str, model: str) -> tuple[float, ...]:
        """When it was asked for a model in a protocol, in monotonic seconds."""
        return tuple(self._asked[protocol, model])

    # -- the server ----------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._open: set[asyncio.Task[Any]] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        with suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError, ValueError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False where the connection ends with it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next(
            (
                int(line.partition(":")[2])
                for line in head.split("\r\n")
                if line.startswith("content-length:")
            ),
            0,
        )
        path = head.split(" ", 2)[1].partition("?")[0]
        body = await reader.readexactly(length)
        if not path.endswith(("/chat/completions", "/messages")):
            return await _send(writer, 404, _error(path, 404, "not_found_error"))
        asked = json.loads(body)
        model = str(asked.get("model", ""))
        self._asked[_protocol(path), model].append(time.monotonic())
        return await self._behave(writer, path, model, stream=bool(asked.get("stream")))

    async def _behave(self, writer: asyncio.StreamWriter, path: str, model: str, *, stream: bool) -> bool:
        first = len(self._asked[_protocol(path), model]) == 1
        if model in ("garbage", "slow"):
            await _say_nothing(writer, model)
            return False
        if model in REFUSALS and (first or not model.endswith("-once")):
            status, kind, more = REFUSALS[model]
            return await _send(writer, status, _error(path, status, kind), more)
        return await (_stream(writer, path, model) if stream else _send(writer, 200, _whole(path, model)))


async def _say_nothing(writer: asyncio.StreamWriter, model: str) -> None:
    """Nothing that HTTP knows: other bytes, or none for a minute."""
    if model == "slow":
        await asyncio.sleep(60)
    writer.write(b"\x00\x01 this is no HTTP \r\n\r\n")
    await writer.drain()


def _protocol(path: str) -> str:
    return "anthropic" if path.endswith("/messages") else "openai"


async def _send(writer: asyncio.StreamWriter, status: int, body: dict[str, Any], more: str = "") -> bool:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n{more}\r\n"
    writer.write(head.encode() + data)
    await writer.drain()
    return True


async def _stream(writer: asyncio.StreamWriter, path: str, model: str) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    await writer.drain()
    begin, words, end = _events(path, model)
    wanted = {"cut-before": [], "cut-after": [*begin, *words[:2]]}.get(model, [*begin, *words, *end])
    for event in wanted:
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await writer.drain()
    if model.startswith("cut"):
        return False  # no last chunk: the stream breaks
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _error(path: str, status: int, kind: str) -> dict[str, Any]:
    error = {"type": kind, "message": f"A drill: {status}."}
    return (
        {"type": "error", "error": error}
        if path.endswith("/messages")
        else {"error": {**error, "param": None, "code": None}}
    )


def _whole(path: str, model: str) -> dict[str, Any]:
    text = "".join(WORDS)
    if path.endswith("/messages"):
        return {"id": "msg_drill", "type": "message", "role": "assistant", "model": model, "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 5}}  # fmt: skip
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return {
        "id": "chatcmpl-drill",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [choice],
        "usage": usage,
    }


def _events(path: str, model: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """A stream's events before its text, its text word by word, and those at its end."""
    return _anthropic_events(model) if path.endswith("/messages") else _openai_events(model)


def _openai_events(model: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _data({**common, "choices": [choice]})

    common = {"id": "chatcmpl-drill", "object": "chat.completion.chunk", "created": 0, "model": model}
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    end = [chunk({}, "stop"), _data({**common, "choices": [], "usage": usage}), b"data: [DONE]\n\n"]
    return [chunk({"role": "assistant", "content": ""})], [chunk({"content": word}) for word in WORDS], end


def _anthropic_events(model: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\n".encode() + _data({"type": kind, **fields})

    message: dict[str, Any] = {"id": "msg_drill", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None,
               "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 1}}  # fmt: skip
    begin = [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ]
    words = [
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in WORDS
    ]
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    end = [
        event("content_block_stop", index=0),
        event("message_delta", delta=stop, usage={"output_tokens": 5}),
        event("message_stop"),
    ]
    return begin, words, end


def _data(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"
