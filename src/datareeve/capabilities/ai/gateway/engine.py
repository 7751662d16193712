"""The engine: takes requests from the wire, knows who asks, and gives each to a `Job`. It holds what requests share.

One engine a process, on one event loop. `adopt` puts a new configuration in place between two requests; requests on their way end by the old one.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.gateway import compile as compiling
from datareeve.capabilities.ai.gateway import heads
from datareeve.capabilities.ai.gateway.dialects import Problem, table
from datareeve.capabilities.ai.gateway.failing import RetryBudget
from datareeve.capabilities.ai.gateway.going import Going
from datareeve.capabilities.ai.gateway.job import JSON, REQUEST_ID, Client, Context, Job
from datareeve.capabilities.ai.gateway.targets import Targets
from datareeve.systems.upstream import Origin, Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.ai.gateway.cache import Cache
    from datareeve.capabilities.ai.gateway.config import Config, Provider, Route, VirtualKey
    from datareeve.capabilities.ai.gateway.dialects import Dialect
    from datareeve.capabilities.ai.gateway.metrics import Metrics
    from datareeve.capabilities.ai.gateway.objects import Objects
    from datareeve.capabilities.ai.gateway.own import Own
    from datareeve.capabilities.ai.gateway.prices import Price, PriceBook
    from datareeve.capabilities.ai.gateway.prompts import Prompts
    from datareeve.capabilities.ai.gateway.room import Room
    from datareeve.capabilities.ai.gateway.targets import Candidate, Standing
    from datareeve.capabilities.ai.gateway.usage import Tokens
    from datareeve.capabilities.ai.gateway.usage_log import UsageLog
    from datareeve.systems.http1 import Exchange, Headers

DRAIN_SECONDS = 30.0
LOOK_SECONDS = 0.02
ENCODED = Problem(
    415,
    "bad_request",
    "gateway.content-encoding",
    "The body must come as it is: send it without a Content-Encoding.",
)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who asked last on a connection, and for what: it need not be looked at again while the same is asked for in the same words."""

    headers: Headers
    method: bytes
    target: bytes
    client: Client
    dialect: Dialect
    path: str
    query: bytes

    def holds(self, exchange: Exchange, config: Config, now: float) -> bool:
        """Whether a request comes from the same client for the same, and may still come."""
        return (
            self.headers == exchange.headers
            and self.target == exchange.target
            and self.method == exchange.method
            and self.client.still(config, now)
        )


@dataclass(slots=True)
class Parts:
    """What an engine works with, made by `server`."""

    room: Room
    usage: UsageLog
    prices: PriceBook
    metrics: Metrics
    own: Own
    objects: Objects
    secret: bytes = b""  # for digests of requests
    cache: Cache | None = None
    prompts: Prompts | None = None


class Engine:
    """What answers clients (`systems.http1.Application`)."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self.loop = asyncio.get_running_loop()
        self.parts = parts
        self.retries = RetryBudget()
        self.standings: dict[tuple[str, str, str], Standing] = {}
        self.under_way: set[Job] = set()
        self._origins: dict[tuple[object, ...], Origin] = {}
        self._ids = _Ids()
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """Work by this configuration from the next request on."""
        self.config = config
        self.targets = Targets(config, self.standings)
        self._known: dict[tuple[str, str], heads.Known] = {}
        self._prices: dict[tuple[str, str], Price | None] = {}
        self._timeouts = {
            p.name: Timeouts(p.connect_seconds, p.first_byte_seconds, p.idle_seconds)
            for p in config.providers.values()
        }
        self.parts.room.adopt(config)
        self.parts.prices.adopt(config.settings.prices)
        if self.parts.cache is not None:
            self.parts.cache.adopt(config)
        self._retire_origins(config)

    # -- the wire's calls --------------------------------------------------------------------------------------

    def admit(self, exchange: Exchange) -> None:
        """Who asks, and for what: a request that may not be is answered before its body is read."""
        known, now = exchange.connection.memo, time.time()
        if not (isinstance(known, Admitted) and known.holds(exchange, self.config, now)):
            found = self._looked_at(exchange, now)
            if found is None:
                return
            exchange.connection.memo = known = found
        exchange.context = Context(
            known.client, known.dialect, known.path, known.query, self._ids.next(now), time.monotonic(), now
        )

    def _looked_at(self, exchange: Exchange, now: float) -> Admitted | None:
        """Who asks, and for what; None where that has been answered."""
        path, _, query = exchange.target.partition(b"?")
        method = exchange.method.decode("ascii")
        text = path.decode("latin-1")
        if self.parts.own.knows(
            method, text
        ):  # answered without its body: nobody need show a key to send one
            self._administer(exchange, text)
            return None
        dialect = table.of(method, text)
        if dialect is None:
            self._refuse(exchange, text, _no_such(method, text, exists=_exists(text)))
            return None
        found = self._authenticated(exchange, now)
        if isinstance(found, Problem):
            self.parts.metrics.count_refused(found.code)
            self._refuse(exchange, text, found, dialect)
            return None
        if any(n == b"content-encoding" and v.lower() != b"identity" for n, v in exchange.headers):
            self._refuse(exchange, text, ENCODED, dialect)
            return None
        if not text.startswith("/v1/"):
            text = f"/v1{text}"  # the form that providers are asked in
        client = Client.of(self.config, found, exchange.headers)
        return Admitted(exchange.headers, exchange.method, exchange.target, client, dialect, text, query)

    def handle(self, exchange: Exchange) -> None:
        """A whole request."""
        context = exchange.context
        if isinstance(context, Context) and not context.client.still(self.config, time.time()):
            exchange.context = None  # keys may have been revoked while the body came
        if exchange.context is None:
            self.admit(exchange)
            if exchange.context is None:
                return
        job = Job(self, exchange, exchange.context)  # type: ignore[arg-type]
        self.under_way.add(job)
        job.going = Going(job.run())
        return

    def misread(self, status: int, code: str, message: str, target: bytes) -> tuple[Headers, bytes]:
        """An error on the wire, in the shape of the endpoint asked for."""
        kind = {413: "too_large", 408: "timeout", 503: "overloaded"}.get(status, "bad_request")
        problem = Problem(status, kind, code, message)  # type: ignore[arg-type]
        self.parts.metrics.count_refused(code)
        return self.told(problem, table.shape_of(target.decode("latin-1")), self._ids.next(time.time()))

    def crashed(self, error: Exception) -> None:
        """A fault of ours on the wire."""
        self.parts.own.crashed(error)

    # -- for jobs ----------------------------------------------------------------------------------------------

    def told(self, problem: Problem, dialect: Dialect, request_id: str) -> tuple[Headers, bytes]:
        """The headers and body of an error."""
        headers: Headers = [JSON, (REQUEST_ID[dialect.protocol], request_id.encode())]
        if problem.retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, round(problem.retry_after + 0.5))))
            headers.append((b"retry-after-ms", b"%d" % max(1, round(problem.retry_after * 1000))))
        headers += [(name.encode(), value.encode()) for name, value in problem.headers]
        return headers, dialect.error(problem, request_id)

    def origin(self, provider: Provider) -> Origin:
        """A provider's address with its kept connections."""
        place = (provider.base_url, *sorted(provider.query.items()))
        if place not in self._origins:
            self._origins[place] = Origin(provider.base_url, provider.query)
        return self._origins[place]

    def known(self, candidate: Candidate) -> heads.Known:
        """What identifies us to a candidate's provider."""
        place = (candidate.provider.name, candidate.key.id if candidate.key else "")
        if place not in self._known:
            self._known[place] = heads.credentials(candidate.provider, candidate.key)
        return self._known[place]

    def timeouts(self, provider: Provider) -> Timeouts:
        """A provider's timeouts."""
        return self._timeouts.get(provider.name) or Timeouts()

    def price(self, provider: Provider, model: str) -> Price | None:
        """What a model costs; None where no price is known."""
        place = (provider.name, model)
        if place not in self._prices:
            if len(self._prices) > 10_000:  # noqa: PLR2004 - names come from clients
                self._prices.clear()
            self._prices[place] = self.parts.prices.of(
                provider.prices_as or provider.protocol,
                provider.base_url,
                model,
                target=f"{provider.name}/{model}",
            )
        return self._prices[place]

    def most_microusd(self, route: Route, tokens: Tokens, *, batch: bool) -> int:
        """What so many tokens cost on the dearest of a route's targets."""
        most = 0
        for target in route.targets:
            provider = self.config.providers.get(target.provider)
            price = self.price(provider, target.model) if provider is not None else None
            if price is not None:
                most = max(most, price.cost_microusd(tokens, batch=batch))
        return most

    def digest(self, meaning: bytes) -> str:
        """A keyed digest: without the key nobody finds out by trying what was asked."""
        return hashlib.blake2b(meaning, key=self.parts.secret, digest_size=12).hexdigest()

    def left_alone(self, now: float) -> int:
        """How many models of providers, by key, are not asked at the moment."""
        return sum(standing.breaker.opens_in(now) > 0 for standing in self.standings.values())

    @property
    def busy(self) -> int:
        """How many requests are on their way."""
        return len(self.under_way)

    async def close(self) -> None:
        """Wait for the requests on their way, then end all connections."""
        await self._emptied(DRAIN_SECONDS)
        for job in tuple(self.under_way):
            if job.going is not None:
                job.going.cancel()
        await self._emptied(1.0)
        await self.parts.objects.close()
        for origin in self._origins.values():
            origin.close()

    async def _emptied(self, seconds: float) -> None:
        until = self.loop.time() + seconds
        while self.under_way and self.loop.time() < until:  # noqa: ASYNC110 - an event would be set with every request
            await asyncio.sleep(LOOK_SECONDS)

    def in_flight(self) -> dict[str, int]:
        """Requests under way by the provider's key that they were sent with: a key is drained when there are none."""
        return dict(Counter(key for job in self.under_way if (key := job.provider_key)))

    # -- within ------------------------------------------------------------------------------------------------

    def _authenticated(self, exchange: Exchange, now: float) -> VirtualKey | Problem:
        found: VirtualKey | Problem = compiling.authenticate(self.config, b"", now)
        for text in _shown(exchange):
            found = compiling.authenticate(self.config, text, now)
            if not isinstance(found, Problem):
                return found
        return found

    def _refuse(
        self, exchange: Exchange, path: str, problem: Problem, dialect: Dialect | None = None
    ) -> None:
        headers, body = self.told(problem, dialect or table.shape_of(path), self._ids.next(time.time()))
        exchange.respond(problem.status, headers, body)

    def _administer(self, exchange: Exchange, path: str) -> None:
        found = self._authenticated(exchange, time.time())
        key = None if isinstance(found, Problem) else found
        self.parts.own.answer(exchange, path, self.config, key)

    def _retire_origins(self, config: Config) -> None:
        wanted = {(p.base_url, *sorted(p.query.items())) for p in config.providers.values()}
        for place in set(self._origins) - wanted:
            self._origins.pop(place).retire()


class _Ids:
    """Request ids: unique over processes and restarts, and in the order of time: the store appends them."""

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._process = random(4).hex()
        self._next = 0

    def next(self, now: float) -> str:
        self._next += 1
        return f"req_{int(now * 1000):012x}{self._process}{self._next & 0xFFFF:04x}"


def _shown(exchange: Exchange) -> list[bytes]:
    """The keys that a request shows: as OpenAI's clients do, as Anthropic's do, as Azure's do."""
    shown = []
    for name, value in exchange.headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            shown.append(value[7:].strip())
        elif name in (b"x-api-key", b"api-key"):
            shown.append(value)
    return shown[:3]


def _exists(path: str) -> bool:
    return any(table.of(method, path) is not None for method in ("GET", "POST", "DELETE"))


def _no_such(method: str, path: str, *, exists: bool) -> Problem:
    del path
    if exists:
        return Problem(405, "bad_request", "gateway.method", f"This path does not take {method}.")
    return Problem(
        404,
        "not_found",
        "gateway.path",
        "The gateway has no such path. It serves OpenAI's and Anthropic's under /v1.",
    )
