"""Files and batches: a provider keeps them for a client, and knows only us. Here it is known whose each is, and where it lies.

A key reaches what its team made, or what it made itself where it has no team; of lists it is shown that part (so a page may be shorter than was asked
for, and its cursors still lead on); admin keys see all. What a batch
used is counted once, when its results are first read, at the price of batches.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import orjson

from datareeve.capabilities.ai.gateway.config import Route, Target
from datareeve.capabilities.ai.gateway.dialects import Problem, Refusal
from datareeve.core.estate_gateway import ModelRoute
from datareeve.systems import gateway_objects
from datareeve.systems.gateway_objects import KeptObject

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.config import VirtualKey
    from datareeve.capabilities.ai.gateway.targets import Candidate
    from datareeve.systems.gateway_store import GatewayStore
    from datareeve.systems.http1 import Headers

KEPT = frozenset(("files", "batches", "message-batches", "message-batch-results", "file-content"))
LISTS = frozenset(("/files", "/batches", "/messages/batches"))
NAMED = re.compile(r"/(?:files|batches)/([^/]+)")
RESULTS_URL = re.compile(rb'("results_url"\s*:\s*")https?://[^/"\\]+[^"\\]*?(/v1/messages/batches/[^"\\]*)')
HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")
LEARNED = ("id", "output_file_id", "error_file_id")  # of an answer: what the provider keeps
MOST = 10_000  # in memory; all are in the store


class Objects:
    """Whose files and batches are."""

    def __init__(self, store: GatewayStore) -> None:
        self._store = store
        self._known: dict[str, KeptObject] = {}

    async def route(
        self, method: str, path: str, body: bytes, key: VirtualKey
    ) -> tuple[Route | None, KeptObject | None]:
        """Where a request for something kept goes, and what that is; None: like any other. Errors: `Refusal`."""
        bare = path.removeprefix("/v1")
        named = NAMED.search(bare)
        name = named[1] if named else _input_file(body) if (method, bare) == ("POST", "/batches") else ""
        if not name:
            return None, None
        found = await self._found(name)
        if found is None or not (key.admin or _theirs(found, key)):
            raise Refusal(Problem(404, "not_found", "gateway.object", "This key has no such file or batch."))
        target = Target(found.provider, "-")
        settings = ModelRoute(targets=(f"{found.provider}/-",), retries=0)
        return Route("", (target,), settings), found

    async def learn(
        self, answer: bytes, key: VirtualKey, candidate: Candidate, kept: KeptObject | None
    ) -> None:
        """What an answer says is kept from now on. It is in the store before the client is told: another process may be asked for it next."""
        try:
            body = orjson.loads(answer)
        except orjson.JSONDecodeError:
            return
        if not isinstance(body, dict):
            return
        owner = (kept.virtual_key, kept.team) if kept is not None else (key.id, key.team)
        made = [
            KeptObject(name, *owner, candidate.provider.name, candidate.key.id if candidate.key else "")
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
        return orjson.dumps(
            {**body, "data": [e for e in named if e["id"] in found and _theirs(found[e["id"]], key)]}
        )

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

    async def first_count(self, kept: KeptObject) -> bool:
        """Whether what it used is to be counted now."""
        return await asyncio.to_thread(gateway_objects.count_object, self._store, kept.id)

    async def _found(self, name: str) -> KeptObject | None:
        if name in self._known:
            return self._known[name]
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


def _input_file(body: bytes) -> str:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(asked.get("input_file_id") or "") if isinstance(asked, dict) else ""
