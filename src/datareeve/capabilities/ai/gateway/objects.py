"""Files, batches, conversations, stored answers: a provider keeps them for a client, and knows only us. Here it is known whose each is, and where.

A key reaches what its team made, or what it made itself where it has no team; of lists it is shown that part (so a page may be shorter than was asked
for, and its cursors are of what is shown); admin keys see all. What a batch used is counted once, when its results are first read, at the
price of batches; what an answer used that was made in the background, when it is first seen finished. Stored answers are many: each is known
here at once, and a moment later in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from datareeve.capabilities.ai.gateway.config import Route, Target
from datareeve.capabilities.ai.gateway.dialects import Problem, Refusal
from datareeve.capabilities.ai.gateway.holding import Batches
from datareeve.core.errors import DatareeveError
from datareeve.core.estate_gateway import ModelRoute
from datareeve.systems import gateway_objects
from datareeve.systems.gateway_objects import KeptObject

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from datareeve.capabilities.ai.gateway.config import VirtualKey
    from datareeve.capabilities.ai.gateway.dialects.references import Named
    from datareeve.capabilities.ai.gateway.targets import Candidate
    from datareeve.systems.gateway_store import GatewayStore
    from datareeve.systems.http1 import Headers

KEPT = frozenset(
    (
        "stored",
        "files",
        "batches",
        "message-batches",
        "message-batch-results",
        "file-content",
        "conversations",
    )
)
LISTS = frozenset(("/files", "/batches", "/messages/batches"))
NAMED = re.compile(r"/(?:files|batches|responses|chat/completions|conversations)/([^/]+)")
OF_OTHERS = (
    "this key has nothing of that name. It may name what it, or its team, made through the gateway, and what stands in "
    "gateway.common_objects of estate.yaml."
)
RESULTS_URL = re.compile(rb'("results_url"\s*:\s*")https?://[^/"\\]+[^"\\]*?(/v1/messages/batches/[^"\\]*)')
HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")
LEARNED = ("id", "output_file_id", "error_file_id")  # of an answer: what the provider keeps
MOST = 10_000  # in memory; all are in the store
MOST_UNWRITTEN = 100_000  # while the store is away; beyond it the oldest are forgotten
WRITE_SECONDS = 0.05  # answers that came within are written at once
AGAIN_SECONDS = 1.0  # after the store was away
LATE_SECONDS = 0.2  # another process may still be about to write what it learned
KEPT_SECONDS = 31 * 86400.0  # providers keep answers for thirty days
FORGET_SECONDS = 3600.0


class Objects:
    """Whose files, batches and stored answers are."""

    def __init__(self, store: GatewayStore) -> None:
        self._store = store
        self._known: dict[str, KeptObject] = {}
        self._unwritten: dict[str, KeptObject] = {}
        self._writer: asyncio.Task[None] | None = None
        self._forgot_at = 0.0
        self.batches = Batches(store)

    async def route(
        self, method: str, path: str, body: dict[str, Any], key: VirtualKey
    ) -> tuple[Route | None, KeptObject | None]:
        """Where a request for something kept goes, and what that is; None: like any other. Errors: `Refusal`."""
        bare = path.removeprefix("/v1")
        named = NAMED.search(bare)
        name = named[1] if named else body["input_file_id"] if (method, bare) == ("POST", "/batches") else ""
        if not name:
            return None, None
        found = await self._allowed(name, key)
        target = Target(found.provider, "-")
        settings = ModelRoute(targets=(f"{found.provider}/-",), retries=0)
        return Route("", (target,), settings), found

    async def reached(
        self, named: Sequence[Named], route: Route, key: VirtualKey, common: Collection[str] = ()
    ) -> Route:
        """The part of a route where lies what a request names; `common`: what every key may name. Errors: `Refusal` naming the field."""
        for field, name in named:
            if key.admin or name in common:
                continue
            found = await self._allowed(name, key, field)
            targets = tuple(target for target in route.targets if target.provider == found.provider)
            route = Route(route.name, targets or route.targets, route.settings)
        return route

    async def _allowed(self, name: str, key: VirtualKey, field: str = "") -> KeptObject:
        """What is kept by that name, if the key may have it. Errors: `Refusal`, naming the field where it stood in one."""
        found = await self._found(name)
        if found is None or not (key.admin or _theirs(found, key)):
            message = (
                f"{field}: {OF_OTHERS}"
                if field
                else "This key has no such file, batch, answer or conversation."
            )
            raise Refusal(Problem(404, "not_found", "gateway.object", message))
        return found

    def stored(self, name: str, key: VirtualKey, candidate: Candidate) -> None:
        """An answer, or a part of one, is kept from now on: known here at once, in the store soon."""
        made = _answer(name, key, candidate)
        if (known := self._known.get(name)) is not None and not _theirs(known, key):
            return  # a name is its first owner's
        self._remember([made])
        if len(self._unwritten) >= MOST_UNWRITTEN:
            del self._unwritten[next(iter(self._unwritten))]
        self._unwritten[name] = made
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def owed(self, name: str, key: VirtualKey, candidate: Candidate) -> None:
        """The same of an answer made in the background: it is in the store before the client is told, since it is still to be counted."""
        made = replace(_answer(name, key, candidate), owed=1)
        self._remember([made])
        await asyncio.to_thread(gateway_objects.add_objects, self._store, [made])

    async def close(self) -> None:
        """Write what is not in the store yet."""
        await self.batches.close()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
        if self._unwritten:
            with contextlib.suppress(DatareeveError):
                made = list(self._unwritten.values())
                await asyncio.to_thread(gateway_objects.add_objects, self._store, made)

    async def _write(self) -> None:
        """Write answers until all are in the store."""
        wait = WRITE_SECONDS
        try:
            while self._unwritten:
                await asyncio.sleep(wait)
                wait = WRITE_SECONDS if await self._write_once() else AGAIN_SECONDS
        finally:
            self._writer = None

    async def _write_once(self) -> bool:
        made = list(self._unwritten.values())
        try:
            await asyncio.to_thread(self._written, made)
        except DatareeveError:
            return False
        for found in made:
            self._unwritten.pop(found.id, None)
        return True

    def _written(self, made: list[KeptObject]) -> None:
        gateway_objects.add_objects(self._store, made)
        if time.monotonic() - self._forgot_at > FORGET_SECONDS:
            self._forgot_at = time.monotonic()
            gateway_objects.forget_objects(self._store)

    async def learn(
        self,
        answer: bytes,
        key: VirtualKey,
        candidate: Candidate,
        kept: KeptObject | None,
        microusd: int = 0,
    ) -> None:
        """What an answer says is kept from now on. It is in the store before the client is told: another process may be asked for it next."""
        try:
            body = orjson.loads(answer)
        except orjson.JSONDecodeError:
            return
        if not isinstance(body, dict):
            return
        owner = (kept.virtual_key, kept.team) if kept is not None else (key.id, key.team)
        where = (candidate.provider.name, candidate.key.id if candidate.key else "")
        made = [
            KeptObject(name, *owner, *where, microusd=microusd)
            for name in (body.get(field) for field in LEARNED)
            if isinstance(name, str) and name and name not in self._known
        ]
        if made:
            self._remember(made)
            await asyncio.to_thread(gateway_objects.add_objects, self._store, made)

    @staticmethod
    def is_list(method: str, path: str) -> bool:
        """Whether a request asks for a list of what is kept."""
        return method == "GET" and path.removeprefix("/v1") in LISTS

    async def shown(self, answer: bytes, key: VirtualKey) -> bytes:
        """The part of a list that a key may see."""
        try:
            body = orjson.loads(answer)
        except orjson.JSONDecodeError:
            body = None
        listed = body.get("data") if isinstance(body, dict) else None
        if not isinstance(listed, list):
            return b'{"object":"list","data":[],"has_more":false}'
        named = [each for each in listed if isinstance(each, dict) and isinstance(each.get("id"), str)]
        found = await asyncio.to_thread(
            gateway_objects.objects_of, self._store, [each["id"] for each in named]
        )
        theirs = [each for each in named if each["id"] in found and _theirs(found[each["id"]], key)]
        ends = {
            "first_id": theirs[0]["id"] if theirs else None,
            "last_id": theirs[-1]["id"] if theirs else None,
        }
        return orjson.dumps({**body, "data": theirs, **{name: ends[name] for name in ends if name in body}})

    @staticmethod
    def led_back(answer: bytes, headers: Headers) -> bytes:
        """An answer whose address of a batch's results is the gateway's: SDKs follow it, and would show their key to the provider."""
        if b'"results_url"' not in answer:
            return answer
        known = dict(headers)
        scheme = b"https" if known.get(b"x-forwarded-proto") == b"https" else b"http"
        host = known.get(b"x-forwarded-host") or known.get(b"host", b"")
        if not HOST.fullmatch(host):
            return answer
        return RESULTS_URL.sub(lambda found: b"%b%b://%b%b" % (found[1], scheme, host, found[2]), answer)

    async def first_count(self, name: str) -> bool:
        """Whether what it used is to be counted now."""
        return await asyncio.to_thread(gateway_objects.count_object, self._store, name)

    async def _found(self, name: str) -> KeptObject | None:
        known = self._known.get(name) or self._unwritten.get(name)
        if known is not None:
            return known
        found = await asyncio.to_thread(gateway_objects.object_of, self._store, name)
        if found is None:
            await asyncio.sleep(LATE_SECONDS)
            found = await asyncio.to_thread(gateway_objects.object_of, self._store, name)
        if found is not None:
            self._remember([found])
        return found

    def _remember(self, made: list[KeptObject]) -> None:
        if len(self._known) > MOST:
            self._known.clear()
        self._known.update((found.id, found) for found in made)


def _theirs(found: KeptObject, key: VirtualKey) -> bool:
    return found.virtual_key == key.id or bool(found.team and found.team == key.team)


def _answer(name: str, key: VirtualKey, candidate: Candidate) -> KeptObject:
    provider_key = candidate.key.id if candidate.key is not None else ""
    until = time.time() + KEPT_SECONDS
    return KeptObject(name, key.id, key.team, candidate.provider.name, provider_key, expires_at=until)
