"""A pool of shared limits in Redis or Valkey: one script, which the server runs alone, is one exchange (lease_pool.lua)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from datareeve.core.errors import Unreachable
from datareeve.systems.lease_rules import (
    BOOKS_CLOSE_SECONDS,
    REAP_SECONDS,
    TTL_SECONDS,
    UNBOUNDED,
    Ask,
    Grant,
    Reply,
)
from datareeve.systems.store_database import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datareeve.core.secrets import Secret

PREFIX = "{datareeve}:limits:"  # the braces keep all keys on one node of a cluster
ANSWER_SECONDS = 1.0
KEEP_SECONDS = 400 * 86_400  # that a period's sum is kept after its end
BETWEEN = "\n"  # counter and period


class RedisPool:
    """Shares in Redis. `clock` stands in for the server's own, in tests."""

    def __init__(
        self,
        url: str,
        instance: str,
        *,
        password: Secret | None = None,
        prefix: str = PREFIX,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url,
            password=password.reveal() if password else None,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),  # it is sent anew with its own turn, or not at all
            decode_responses=True,
        )
        self._script = self._client.register_script(text_of("lease_pool.lua"))
        self._instance = instance
        self._prefix = prefix
        self._clock = clock

    async def exchange(self, turn: int, asks: Sequence[Ask]) -> Reply:
        """See `Pool.exchange`."""
        said, grants, wanted, living = await self._run("exchange", turn, asks)
        if said in ("lost", "forgotten"):
            return Reply(lost=said == "lost", forgotten=said == "forgotten")
        return Reply(
            tuple(_grant(row) for row in grants), frozenset(_key(counter) for counter in wanted), int(living)
        )

    async def leave(self, turn: int, asks: Sequence[Ask]) -> None:
        """See `Pool.leave`."""
        await self._run("leave", turn, asks)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _run(self, mode: str, turn: int, asks: Sequence[Ask]) -> Any:
        times = [TTL_SECONDS, REAP_SECONDS, BOOKS_CLOSE_SECONDS, KEEP_SECONDS, UNBOUNDED]
        head: list[str | int | float] = [
            mode,
            self._instance,
            turn,
            *times,
            repr(self._clock()) if self._clock else "",
        ]
        try:
            reply = await self._script(keys=[self._prefix], args=[*head, *_flat(asks)])
        except (RedisError, OSError) as error:
            raise _down(type(error).__name__) from None
        if reply[0] == "late":
            raise _down("a later message was first")
        return reply


def _flat(asks: Sequence[Ask]) -> list[str | int | float]:
    flat: list[str | int | float] = []
    for ask in asks:
        flat += [ask.counter + BETWEEN + ask.period, -1 if ask.limit is None else ask.limit]
        flat += [ask.used, ask.keep, ask.settled, ask.least, ask.need, ask.want]
        flat += [int(ask.alone), ask.ends_at or 0, ask.opening]
    return flat


def _grant(row: Sequence[str]) -> Grant:
    held, fair, others, free, spent = (int(text) for text in row)
    return Grant(held, None if fair < 0 else fair, others, free, spent)


def _key(text: str) -> tuple[str, str]:
    counter, _, period = text.rpartition(BETWEEN)
    return counter, period


def _down(why: str) -> Unreachable:
    return Unreachable(
        "gateway.limits-down",
        f"The Redis that limits are shared by cannot be used ({why}).",
        "Check `gateway: shared:` in estate.yaml, its password, and that its server runs.",
    )
