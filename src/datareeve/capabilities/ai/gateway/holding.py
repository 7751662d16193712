"""Batches on their way: what one may still cost counts against every budget, in all processes and over restarts, until it is known.

Before a batch is made, its most is taken of the budgets as a request's is, and written into the store. All processes look there five times a
second and keep the sum back from what they admit; when they all have looked, what was taken goes back. A batch that is at its end
holds what was answered of it; one whose results were read and counted, or of which nothing was answered, holds nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.gateway.config import Route, VirtualKey
from datareeve.capabilities.ai.gateway.dialects import Problem, Refusal
from datareeve.capabilities.ai.gateway.dialects.base import parsed, text_of
from datareeve.core.errors import DatareeveError
from datareeve.core.estate_gateway import ModelRoute
from datareeve.systems import gateway_batches
from datareeve.systems.gateway_batches import HANDOVER_SECONDS, KEPT_SECONDS, KeptBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from datareeve.capabilities.ai.gateway.engine import Engine
    from datareeve.capabilities.ai.gateway.room import BatchHold
    from datareeve.systems.gateway_store import GatewayStore

ENDED = frozenset(
    ("completed", "failed", "expired", "cancelled")
)  # OpenAI's states of a batch that goes on no more
NOT_SENT = ("connect-timeout", "tls", "too-many-connections", "unreachable")  # of `upstream.…`
ANSWERED = ("completed", "succeeded")  # how the two count what is paid for
AWAY = Problem(
    503,
    "overloaded",
    "gateway.batch-store",
    "What a batch may cost cannot be held now: the gateway's store does not answer. Try again later.",
)


@dataclass(slots=True)
class Making:
    """A batch that is being made: what was taken for it, and whether the provider has made it."""

    batch: KeptBatch
    taken: BatchHold
    name: str = ""


class Batches:
    """What the batches of all processes hold, and those that this process is making. `apply` is told whenever that has changed."""

    def __init__(self, store: GatewayStore) -> None:
        self._store = store
        self._open: dict[str, KeptBatch] = {}
        self._making: dict[str, Making] = {}  # by all their names; what was taken for them is still taken
        self._tasks: set[asyncio.Task[None]] = set()
        self.apply: Callable[[Iterable[KeptBatch]], None] = lambda _: None
        self.hand_over: Callable[[BatchHold], None] = lambda _: None

    def read(self) -> dict[str, KeptBatch]:
        """Those that are open, from the store; in a thread. Errors: those of the store."""
        return gateway_batches.open_batches(self._store)

    def adopt(self, found: dict[str, KeptBatch]) -> None:
        """Work by these from now on."""
        self._open = found
        self.applied()

    def applied(self) -> None:
        """Have what is held kept back by the budgets as they stand. What is still taken for one that is being made is not kept back too."""
        self.apply(batch for name, batch in self._open.items() if name not in self._making)

    async def of(self, name: str) -> KeptBatch | None:
        """The batch of that name, the one that has its results there, or the file for one."""
        return await asyncio.to_thread(gateway_batches.batch_of, self._store, name)

    async def uploaded(self, answer: bytes, batch: KeptBatch) -> None:
        """A file of requests for a batch: which model they ask for is known from now on."""
        name = text_of(parsed(answer), "id")
        if name:
            kept = KeptBatch(
                name, batch.virtual_key, batch.key_name, batch.team, batch.protocol, batch.model, 0
            )
            await asyncio.to_thread(gateway_batches.add_batch, self._store, kept, KEPT_SECONDS)

    # -- making one ------------------------------------------------------------------------------------------------------------

    async def begin(self, batch: KeptBatch, taken: BatchHold) -> Making:
        """Hold for a batch that is about to be made. Errors: `Refusal`."""
        making = self._making[batch.id] = Making(batch, taken)
        try:
            await asyncio.to_thread(gateway_batches.add_batch, self._store, batch)
        except DatareeveError:
            self._over(making)
            raise Refusal(AWAY) from None
        return making

    async def made(self, making: Making, answer: bytes) -> None:
        """The provider has made it."""
        name = text_of(parsed(answer), "id")
        if name:
            making.name = name
            self._making[name] = making
            await asyncio.to_thread(gateway_batches.name_batch, self._store, making.batch.id, name)

    def end(self, making: Making, *, unknown: bool) -> None:
        """The request that was to make it has ended. `unknown`: the provider may have made it all the same."""
        if making.name or unknown:
            asyncio.get_running_loop().call_later(HANDOVER_SECONDS, self._over, making)
            return
        self._over(making)
        task = asyncio.get_running_loop().create_task(self._drop(making.batch.id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _over(self, making: Making) -> None:
        """What was taken for it goes back: it is kept back everywhere, or was not made."""
        if self._making.pop(making.batch.id, None) is None:
            return
        self._making.pop(making.name, None)
        self.hand_over(making.taken)
        self.applied()

    async def _drop(self, name: str) -> None:
        try:
            await asyncio.to_thread(gateway_batches.drop_batch, self._store, name)
        except DatareeveError:
            return  # its time is over in a day

    async def close(self) -> None:
        """Give back what was taken: the store holds it."""
        for making in list(self._making.values()):
            self._over(making)
        if self._tasks:
            await asyncio.wait(self._tasks)

    # -- its end ---------------------------------------------------------------------------------------------------------------

    async def seen(self, answer: bytes) -> int:
        """What an answer says of a batch's state. Gives micro-dollars to be counted now: of results that were deleted unread."""
        body = parsed(answer)
        name = text_of(body, "id")
        deleted = body.get("deleted") is True or body.get("type") == "message_batch_deleted"
        if not name or not (deleted or _has_ended(body)):
            return 0
        batch = await self.of(name)
        if batch is None or not batch.held:
            return 0
        if deleted:
            return batch.held if await self.closed(name) else 0
        await self._ended(batch, body)
        return 0

    async def _ended(self, batch: KeptBatch, body: dict[str, Any]) -> None:
        """It holds no more than the answered part of what it held at first."""
        counts = body.get("request_counts")
        amounts = {k: v for k, v in counts.items() if type(v) is int} if type(counts) is dict else {}
        total = amounts.pop("total", None) or sum(amounts.values())
        answered = sum(amounts.get(name, 0) for name in ANSWERED)
        held = min(batch.held, -(-batch.most * answered // total)) if total else 0
        results = text_of(body, "output_file_id")
        if (held, results) != (batch.held, batch.results):
            await asyncio.to_thread(
                gateway_batches.end_batch, self._store, batch.id, held=held, results=results
            )

    async def closed(self, name: str) -> bool:
        """It holds nothing any more; whether it did."""
        return await asyncio.to_thread(gateway_batches.close_batch, self._store, name)


def _has_ended(body: dict[str, Any]) -> bool:
    if body.get("object") == "batch":
        return body.get("status") in ENDED
    return body.get("type") == "message_batch" and body.get("processing_status") == "ended"


def may_be_made(status: str, error: str) -> bool:
    """Whether the provider may have made a batch although nobody heard so: it was sent, and no answer came."""
    kind, _, what = error.partition(".")
    return status == "interrupted" or (
        kind == "upstream" and what not in NOT_SENT and not what.startswith("http-")
    )


def keep_back(engine: Engine, batches: Iterable[KeptBatch]) -> None:
    """Have what these batches may still cost kept back from the budgets that they count against."""
    engine.parts.room.keep_back(
        (VirtualKey(one.virtual_key, b"", one.key_name, one.team), _route(engine, one), one.held)
        for one in batches
    )


def _route(engine: Engine, batch: KeptBatch) -> Route:
    """The route that a batch was asked for; where it is gone, one of that name that leads nowhere."""
    found = engine.targets.route(batch.model, "anthropic" if batch.protocol == "anthropic" else "openai")
    return found or Route(batch.model, (), ModelRoute(targets=("-/-",)))


def held_for(name: str, key: VirtualKey, protocol: str, model: str, microusd: int) -> KeptBatch:
    """A batch of a key's, by the id of the request that makes it."""
    return KeptBatch(name, key.id, key.name, key.team, protocol, model, microusd, microusd)
