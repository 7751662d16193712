"""One request, from its whole body to its row: read it, make room, look for an earlier answer, try targets, tell, count.

Whatever happens, three things happen once: the client is told (unless it left), the room is settled, a row is written.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from datareeve.capabilities.ai.gateway import heads
from datareeve.capabilities.ai.gateway.attempts import Answer, Walk
from datareeve.capabilities.ai.gateway.dialects import Asked, Problem, Refusal, table
from datareeve.capabilities.ai.gateway.usage import Tokens, UsageRow

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.cache import Flight, Stored
    from datareeve.capabilities.ai.gateway.config import Route, VirtualKey
    from datareeve.capabilities.ai.gateway.dialects import Dialect
    from datareeve.capabilities.ai.gateway.engine import Engine
    from datareeve.capabilities.ai.gateway.meters import Reservation
    from datareeve.systems.http1 import Exchange, Headers

EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
NO_BUFFER = (b"x-accel-buffering", b"no")  # a proxy in front shall not gather a stream
UNSAID_OUTPUT = 16_384  # tokens that are reserved where neither client nor route says how many; settled from the usage
CHARS_A_TOKEN = 4


@dataclass(slots=True)
class Context:
    """Who asks, and where."""

    key: VirtualKey
    dialect: Dialect
    path: str
    query: bytes
    id: str
    began: float  # loop time
    at: float  # Unix seconds


class Job:
    """A request on its way."""

    __slots__ = (
        "_answer", "_asked", "_begun", "_context", "_cost", "_engine", "_error", "_exchange", "_first", "_flight",
        "_http", "_reservation", "_route", "_status", "_walk", "config",
    )  # fmt: skip

    def __init__(self, engine: Engine, exchange: Exchange, context: Context) -> None:
        self._engine = engine
        self._exchange = exchange
        self._context = context
        self.config = engine.config
        self._asked: Asked | None = None
        self._route: Route | None = None
        self._reservation: Reservation | None = None
        self._walk: Walk | None = None
        self._answer: Answer | None = None
        self._flight: Flight | None = None
        self._begun = False  # a row's beginning is in the usage log
        self._status = "refused"
        self._http = 0
        self._error = ""
        self._first: float | None = None
        self._cost = 0

    async def run(self) -> None:
        """Do all of it; nothing is raised."""
        try:
            await self._served()
        except Refusal as refusal:
            self._refuse(refusal.problem)
        except asyncio.CancelledError:
            self._status, self._error = "broken", "gateway.stopped"
            self._exchange.abort()
        except Exception as error:  # noqa: BLE001 - the task's boundary: one request must not end others
            self._engine.parts.admin.crashed(error)
            self._status = "error"
            self._refuse(Problem(500, "internal", "gateway.internal", "The gateway failed; it has been written down."))
        finally:
            self._settle()

    # -- the way -----------------------------------------------------------------------------------------------

    async def _served(self) -> None:
        asked = self._asked = self._read()
        if self._context.dialect.local:
            return self._tell_local()
        route = self._route = self._routed(asked)
        cache = self._engine.parts.cache
        if cache is not None and (found := await self._earlier(cache, asked, route)) is not None:
            return self._tell_stored(found)
        await self._reserve(asked, route)
        self._walk = Walk(self._engine, self._exchange, self._context, asked, route)
        self._begin(asked, route)
        answer = self._answer = await self._walk.answer()
        self._first = answer.first_at or None
        if answer.relay is None:
            return self._tell_whole(answer)
        return await self._tell_stream(answer)

    def _read(self) -> Asked:
        exchange, dialect = self._exchange, self._context.dialect
        if not dialect.reads_json:
            return dialect.asked(exchange.body, {})
        try:
            body = orjson.loads(exchange.body)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            raise Refusal(Problem(400, "bad_request", "gateway.json", "The body is not a JSON object."))
        return dialect.asked(exchange.body, body)

    def _routed(self, asked: Asked) -> Route:
        """Where the model's name leads, if this key may use it. A model that may not be used is told as one that is not there."""
        dialect, key = self._context.dialect, self._context.key
        route = self._engine.targets.route(asked.model, dialect.protocol)
        if asked.model and not _may(key.models, asked.model):
            route = None
        if route is None:
            what = "This key has no such model." if asked.model else "No provider speaks this protocol."
            remedy = "GET /v1/models lists those it has." if asked.model else "Declare one in estate.yaml."
            raise Refusal(Problem(404, "not_found", "gateway.model", f"{what} {remedy}"))
        return route

    async def _earlier(self, cache: Any, asked: Asked, route: Route) -> Stored | None:
        """An earlier answer to the same question; where another request is just asking it, its answer."""
        place = cache.place(asked, self._context.dialect, route, self._context.key, self._exchange.headers)
        if place is None:
            return None
        found: Stored | Flight = await cache.look(place)
        if cache.is_flight(found):
            self._flight = found  # ours to fill
            return None
        return found

    async def _reserve(self, asked: Asked, route: Route) -> None:
        tokens, cost = self._expected(asked, route)
        self._cost = cost
        found = await self._engine.parts.room.reserve(
            self.config, self._context.key, route, tokens=tokens, microusd=cost, exchange=self._exchange
        )
        if isinstance(found, Problem):
            raise Refusal(found)
        self._reservation = found

    def _expected(self, asked: Asked, route: Route) -> tuple[int, int]:
        """Tokens and micro-dollars that it may take at most, over its targets."""
        if not asked.model:
            return 0, 0
        output = 0 if self._context.dialect.no_output else asked.max_output or self._engine.parts.room.usual_output(route)
        most = Tokens(input=asked.input_estimate, output=output)
        prices = [
            self._engine.price(c.provider, c.target.model) for c in self._engine.targets.candidates(route)
        ]
        cost = max((price.cost_microusd(most, batch=asked.batch) for price in prices if price), default=0)
        return asked.input_estimate + (asked.max_output or min(output, 1024)), cost

    # -- telling -----------------------------------------------------------------------------------------------

    def _refuse(self, problem: Problem) -> None:
        self._http, self._error = problem.status, problem.code
        headers, body = self._engine.told(problem, self._context.dialect, self._context.id)
        self._exchange.respond(problem.status, headers, body)

    def _tell_local(self) -> None:
        dialect, context = self._context.dialect, self._context
        visible = [name for name in self.config.routes if _may(context.key.models, name)]
        status, body = dialect.local(context.path, visible, context.id)
        self._status, self._http = "ok", status
        self._exchange.respond(status, self._headers([(b"content-type", b"application/json")]), body)

    def _tell_whole(self, answer: Answer) -> None:
        self._http = answer.status
        self._status = "ok" if answer.ok else "error"
        self._error = answer.error
        if self._exchange.gone:
            self._status = "disconnected"
        self._exchange.respond(answer.status, self._headers(answer.headers), answer.body)
        if self._flight is not None and answer.ok:
            self._keep(answer, answer.body)

    async def _tell_stream(self, answer: Answer) -> None:
        relay, exchange = answer.relay, self._exchange
        assert relay is not None  # noqa: S101 - asked for by the caller; for the type checker
        self._http, self._status = 200, "ok"
        if self._flight is not None:
            relay.record = []
        relay.commit(exchange, 200, self._headers(answer.headers))
        if self._begun:
            await relay.done
        self._first = relay.first_at or None
        if exchange.gone:
            self._status, self._error = "disconnected", "gateway.client-left"
        elif relay.whole:
            exchange.end()
            if self._flight is not None and relay.record is not None:
                self._keep(answer, b"".join(relay.record))
        else:
            self._break(relay.error.code if relay.error else relay.scanner.failed or "upstream.incomplete", relay)

    def _break(self, code: str, relay: Any) -> None:
        """The stream broke after its first token: the client is told in its own protocol, and the answer ends."""
        self._status, self._error = "broken", code
        if not relay.scanner.failed:  # else the provider's own error event has passed through
            problem = Problem(502, "upstream", code, "The provider's stream broke off; what came before it is incomplete.")
            self._exchange.write(self._context.dialect.stream_error(problem, self._context.id))
        self._exchange.end()

    def _tell_stored(self, stored: Stored) -> None:
        """An earlier answer, as it was told: whole, or as the stream that it was."""
        self._status, self._http = "ok", 200
        headers = self._headers([*stored.headers, (b"x-datareeve-cache", b"hit")])
        self._answer = Answer.stored(stored)
        if stored.stream:
            self._exchange.start(200, headers, stored.body)
            self._exchange.end()
        else:
            self._exchange.respond(200, headers, stored.body)

    def _headers(self, headers: Headers) -> Headers:
        walk = self._walk
        ours = [*headers, (self._engine.id_header(self._context.dialect), self._context.id.encode())]
        if walk is not None and walk.served is not None:
            ours.append((b"x-datareeve-served-by", str(walk.served.target).encode()))
        return ours

    def _keep(self, answer: Answer, body: bytes) -> None:
        assert self._flight is not None  # noqa: S101 - asked for by the caller; for the type checker
        tokens, _ = self._used()
        self._flight.fill(answer.headers, body, tokens=tokens, microusd=self._priced(tokens), target=str(answer.target))
        self._flight = None

    # -- counting ----------------------------------------------------------------------------------------------

    def _begin(self, asked: Asked, route: Route) -> None:
        self._begun = True
        self._engine.parts.usage.begin(self._row(asked, str(route.name), Tokens(), estimated=True))

    def _used(self) -> tuple[Tokens, bool]:
        """What it used, and whether that is our estimate."""
        answer, asked = self._answer, self._asked
        if answer is None or asked is None or answer.cached:
            return (answer.tokens or Tokens(), False) if answer is not None else (Tokens(), False)
        said = answer.relay.scanner.tokens if answer.relay is not None else answer.tokens
        complete = answer.relay is None or answer.relay.whole
        if said is not None and (complete or said.output):
            return said, not complete
        if not answer.ok or self._context.dialect.free:
            return Tokens(), False
        chars = answer.relay.scanner.output_chars if answer.relay is not None else len(answer.body)
        return Tokens(input=said.input if said else asked.input_estimate, output=-(-chars // CHARS_A_TOKEN)), True

    def _priced(self, tokens: Tokens) -> int:
        walk, asked = self._walk, self._asked
        if walk is None or walk.served is None or asked is None:
            return 0
        price = self._engine.price(walk.served.provider, walk.served.target.model)
        return price.cost_microusd(tokens, batch=asked.batch) if price is not None else 0

    def _settle(self) -> None:
        tokens, estimated = self._used()
        cost = self._priced(tokens)
        if self._walk is not None:
            cost += self._walk.lost_microusd
        if self._reservation is not None:
            self._reservation.settle(tokens=tokens.input + tokens.output, microusd=cost)
        if self._flight is not None:
            self._flight.give_up()
        row = self._row(self._asked, "", tokens, estimated=estimated, cost=cost)
        self._engine.parts.usage.end(row)
        self._engine.parts.metrics.observe(row)

    def _row(
        self, asked: Asked | None, route: str, tokens: Tokens, *, estimated: bool, cost: int | None = None
    ) -> UsageRow:
        del route
        context, walk, engine, answer = self._context, self._walk, self._engine, self._answer
        served = walk.served if walk is not None else None
        price = engine.price(served.provider, served.target.model) if served is not None else None
        cached = answer is not None and answer.cached
        return UsageRow(
            id=context.id,
            at=context.at,
            virtual_key=context.key.id,
            key_name=context.key.name,
            team=context.key.team,
            endpoint=context.path,
            asked_model=asked.model if asked is not None else "",
            provider=served.provider.name if served is not None else "",
            provider_key=served.key.id if served is not None and served.key is not None else "",
            model=served.target.model if served is not None else "",
            status=self._status if cost is not None else "interrupted",  # type: ignore[arg-type]
            http_status=self._http,
            attempts=walk.attempts if walk is not None else 0,
            stream=asked.stream if asked is not None else False,
            cached=cached,
            tokens=tokens if cost is not None else Tokens(input=asked.input_estimate if asked else 0),
            estimated=estimated,
            first_ms=(self._first - context.began) * 1000 if self._first else None,
            total_ms=(engine.loop.time() - context.began) * 1000,
            cost_microusd=self._cost if cost is None else cost,
            saved_microusd=answer.saved_microusd if cached and answer is not None else 0,
            price_version=price.version if price is not None else "",
            error=self._error,
            digest=engine.digest(asked, context.dialect),
            prefix=engine.prefix(asked, context.dialect),
            prefix_tokens=asked.prefix_estimate if asked is not None else 0,
        )


def _may(patterns: tuple[str, ...], model: str) -> bool:
    return any(
        pattern == "*" or pattern == model or (pattern.endswith("*") and model.startswith(pattern[:-1]))
        for pattern in patterns
    )


__all__ = ["EVENTS", "NO_BUFFER", "Context", "Job", "heads", "table"]
