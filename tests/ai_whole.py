"""For tests of the gateway as a whole: keys and rows straight in its store, many clients at once, and bytes on the wire as no library sends them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import ai_rig
from datareeve.systems.gateway_store import GatewayStore, StoredVirtualKey
from datareeve.systems.usage_table import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from ai_rig import Gateway

POLL_SECONDS = 0.01
HELLO = [{"role": "user", "content": "hello there"}]
BODIES: dict[str, dict[str, Any]] = {  # a request to each endpoint that generates, with a bound on what it may use
    "/v1/chat/completions": {"messages": HELLO, "max_completion_tokens": 10},
    "/v1/completions": {"prompt": "hello there", "max_tokens": 10},
    "/v1/responses": {"input": "hello there", "max_output_tokens": 10},
    "/v1/messages": {"messages": HELLO, "max_tokens": 10},
    "/v1/embeddings": {"input": "hello there"},
}  # fmt: skip
END = {"/v1/chat/completions": b"data: [DONE]", "/v1/completions": b"data: [DONE]", "/v1/responses": b"response.completed", "/v1/messages": b"message_stop"}  # fmt: skip


def until(condition: Callable[[], Any], seconds: float = 10.0, why: Callable[[], object] = str) -> Any:
    """What the condition gives once it holds; a failed assertion, with `why`, where it does not within that time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, why()
        time.sleep(POLL_SECONDS)
    return found


class Inside:
    """The store of a running gateway, beside it."""

    def __init__(self, running: Gateway, store: str | None = None) -> None:
        self.running = running
        self._where = store or running.project / ".datareeve" / "gateway.sqlite"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    @cached_property
    def store(self) -> GatewayStore:
        return GatewayStore.open(self._where)

    def issue(self, name: str, **limits: Any) -> str:
        """The text of a new virtual key, which all processes take."""
        text, stored = virtual_key(name, **limits)
        self.store.add_virtual_key(stored)
        self.heard()
        return text

    def heard(self, seconds: float = 5.0) -> float:
        """Wait until all processes work by the store's revision; gives the seconds that it took."""
        began, revision = time.monotonic(), self.store.revision()
        until(
            lambda: {one.revision for one in self.store.instances()} == {revision},
            seconds,
            self.store.instances,
        )
        return time.monotonic() - began

    def reload(self, text: dict[str, Any]) -> None:
        """Replace the estate, and wait until all processes work by it."""
        before = {one.id: one.estate for one in self.store.instances()}
        self.running.rewrite(text)
        until(lambda: all(one.estate != before.get(one.id) for one in self.store.instances()), 5)

    def rows(self, count: int | None = None, seconds: float = 10.0, **where: Any) -> list[dict[str, Any]]:
        """The usage rows with these values, oldest first, once there are `count`."""
        clause = " AND ".join(f"{name} = :{name}" for name in where) or "1 = 1"
        assert where.keys() <= set(COLUMNS)
        sql = f"SELECT * FROM usage WHERE {clause} ORDER BY at, id"

        def found() -> list[dict[str, Any]]:
            with self.store.reading() as t:
                return t.rows(sql, **where)

        if count is not None:
            until(lambda: len(found()) >= count, seconds, lambda: (where, self.log, found()))
            assert len(found()) == count
        return found()

    def row(self, **where: Any) -> dict[str, Any]:
        """The one row with these values."""
        return self.rows(1, **where)[0]

    @property
    def log(self) -> str:
        return self.running.log.read_text(errors="replace")[-3000:]


@contextlib.contextmanager
def whole(folder: Path, *, environment: dict[str, str] | None = None, **changed: Any) -> Iterator[Any]:
    """A double, a gateway in front of it with the estate changed so, and its store."""
    with ai_rig.FaultDouble() as double:
        wanted = ai_rig.estate(double, **changed)
        with ai_rig.gateway(folder, wanted, environment=environment) as running, Inside(running) as inside:
            inside.port, inside.double = running.port, double
            yield inside


def give_keys(inside: Any) -> None:
    """Keys of one team, of another, of the first again, and of an admin."""
    for name, key, team in (("mine", "a", "red"), ("theirs", "b", "blue"), ("ours", "c", "red")):
        setattr(inside, name, inside.issue(key, team=team))
    inside.admin = inside.issue("admin", admin=True)


def statuses_in(said: bytes) -> list[int]:
    """Of the answers that came one behind the other."""
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


def virtual_key(name: str, **limits: Any) -> tuple[str, StoredVirtualKey]:
    """The text of a virtual key, and what is stored of it."""
    place = secrets.token_hex(6)
    text = f"dr-{place}-{secrets.token_urlsafe(32)}"
    return text, StoredVirtualKey(
        id=place, digest=hashlib.sha256(text.encode()).digest(), name=name, **limits
    )


# -- clients -----------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Told:
    """What a client was told. `status` 0: nothing; `whole`: the answer came to its end."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The gateway's code of an error; '' where there is none."""
        if self.status < 400:
            return ""
        error = self.json["error"]
        return str(error.get("code") or error.get("type") or "")


class Client:
    """One kept connection to a gateway, without waiting."""

    def __init__(self, port: int, key: str = "") -> None:
        self._port = port
        self._key = key
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter

    async def post(self, path: str, body: dict[str, Any] | bytes, **headers: str) -> Told:
        """POST it and read the answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.send(request("POST", path, raw, key=self._key, **headers))

    async def send(self, raw: bytes) -> Told:
        """Send these bytes and read one answer; the connection is opened where it is not."""
        began = time.monotonic()
        told = Told()
        try:
            if self._reader is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(raw)
            await self._read(told)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
        told.seconds = time.monotonic() - began
        if told.headers.get("connection") == "close":
            self.close()
        return told

    def close(self) -> None:
        """Leave."""
        if self._reader is not None:
            self._writer.close()
            self._reader = None

    async def _read(self, told: Told) -> None:
        reader = self._reader
        assert reader is not None
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        told.status = int(first.split(" ")[1])
        told.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        if told.headers.get("transfer-encoding") != "chunked":
            told.body = await reader.readexactly(int(told.headers["content-length"]))
        else:
            while size := int((await reader.readuntil(b"\r\n")), 16):
                told.body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        told.whole = True


def request(method: str, path: str, body: bytes = b"", *, key: str = "", **headers: str) -> bytes:
    """The bytes of a request; `_` in a header's name is `-`."""
    lines = [f"{method} {path} HTTP/1.1", "host: gateway"]
    lines += [f"authorization: Bearer {key}"] if key else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "content-type: application/json"] if body else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def at_once(port: int, asked: Iterable[tuple[str, str, dict[str, Any]]]) -> list[Told]:
    """The answers to requests (key, path, body), all sent at the same time, each on its own connection."""

    async def one(key: str, path: str, body: dict[str, Any]) -> Told:
        client = Client(port, key)
        told = await client.post(path, body)
        client.close()
        return told

    async def every() -> list[Told]:
        return await asyncio.gather(*(one(*what) for what in asked))

    return asyncio.run(every())


def ask(port: int, key: str, path: str, body: dict[str, Any] | bytes, **headers: str) -> Told:
    """One answer."""

    async def one() -> Told:
        client = Client(port, key)
        told = await client.post(path, body, **headers)
        client.close()
        return told

    return asyncio.run(one())


def chat(port: int, key: str, model: str, **rest: Any) -> Told:
    """One chat completion."""
    return ask(port, key, "/v1/chat/completions", {"model": model, "messages": HELLO, **rest})


def on_the_wire(port: int, raw: bytes, seconds: float = 5.0, quiet: float = 0.3) -> bytes:
    """All that a gateway says to these bytes, until it ends the connection, or says nothing for a while."""
    said = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection,
        contextlib.suppress(OSError),
    ):
        connection.sendall(raw)
        while part := connection.recv(1 << 16):
            said += part
            connection.settimeout(quiet)
    return said


def statuses(answers: Iterable[Told]) -> Counter[int]:
    return Counter(one.status for one in answers)
