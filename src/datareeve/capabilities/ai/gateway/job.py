"""One request, from its whole body to its row: read it, make room, look for an earlier answer, try targets, tell, count.

Whatever happens, three things happen once: the client is told (unless it left), the room is settled, a row is written.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from datareeve.capabilities.ai.gateway import heads, holding, large, redact
from datareeve.capabilities.ai.gateway.attempts import Answer, Walk
from datareeve.capabilities.ai.gateway.cache import CACHED, Flight
from datareeve.capabilities.ai.gateway.dialects import Asked, Problem, Refusal, meaning, references
from datareeve.capabilities.ai.gateway.dialects.base import id_of, parsed
from datareeve.capabilities.ai.gateway.dialects.batches import Results, summed
from datareeve.capabilities.ai.gateway.dialects.passing import KeptAnswer
from datareeve.capabilities.ai.gateway.large import LARGE
from datareeve.capabilities.ai.gateway.meters import Reservation
from datareeve.capabilities.ai.gateway.objects import KEPT
from datareeve.capabilities.ai.gateway.prompts import LARGEST, Exchanged
from datareeve.capabilities.ai.gateway.restoring import Restorer
from datareeve.capabilities.ai.gateway.room import UNSAID_FOR_LIMITS
from datareeve.capabilities.ai.gateway.usage import Tokens, UsageRow
from datareeve.systems.gateway_store import REPLAY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datareeve.capabilities.ai.gateway.cache import Cache, Place, Stored
    from datareeve.capabilities.ai.gateway.config import Config, Route, VirtualKey
    from datareeve.capabilities.ai.gateway.dialects import Dialect
    from datareeve.capabilities.ai.gateway.engine import Engine
    from datareeve.capabilities.ai.gateway.going import Going
    from datareeve.capabilities.ai.gateway.holding import Making
    from datareeve.systems.gateway_batches import KeptBatch
    from datareeve.systems.gateway_objects import KeptObject
    from datareeve.systems.http1 import Exchange, Headers

JSON = (b"content-type", b"application/json")
REQUEST_ID = {"openai": b"x-request-id", "anthropic": b"request-id"}  # where each SDK looks for it
CHARS_A_TOKEN = 4
MOST_OF_ESTIMATE = (
    5 / 3
)  # tokens of a prompt may be so many times their estimate (`dialects.estimate`): a budget holds the most
THEIRS = frozenset(
    ("upstream", "timeout", "overloaded")
)  # kinds of problems of providers, not of the request or the gateway's limits
MAKING = frozenset(("responses", "messages"))  # dialects whose answers have parts that may be named later
LEAST_PREFIX = 512  # tokens; shorter ones no provider keeps


DEADLINE_HEADERS = (
    b"x-stainless-timeout",
    b"x-stainless-read-timeout",
)  # seconds; the official SDKs send one


@dataclass(frozen=True, slots=True)
class Client:
    """What a request's headers say, as long as they are the same on its connection."""

    config: Config
    key: VirtualKey
    passed: bytes  # the lines that go on to a provider
    passed_with_json: bytes
    patience: float  # seconds that the client waits, as far as it says; else infinite

    @classmethod
    def of(cls, config: Config, key: VirtualKey, headers: Headers) -> Client:
        """Read a request's headers."""
        said = next(
            (float(value) for name, value in headers if name in DEADLINE_HEADERS and _is_number(value)), 0.0
        )
        passed = heads.passed_on(headers, is_json=False)
        return cls(config, key, passed, heads.passed_on(headers, is_json=True), said or math.inf)

    def still(self, config: Config, now: float) -> bool:
        """Whether it holds by this configuration, `now` in Unix seconds: no key was changed, and this one has not ended."""
        return self.config is config and (self.key.expires_at is None or now < self.key.expires_at)


def _is_number(value: bytes) -> bool:
    return value.replace(b".", b"", 1).isdigit()


@dataclass(slots=True)
class Context:
    """Who asks, and where."""

    client: Client
    dialect: Dialect
    path: str
    query: bytes
    id: str
    began: float  # time.monotonic(), which is also the loop's clock, but finer
    at: float  # Unix seconds

    @property
    def key(self) -> VirtualKey:
        """Whose request it is."""
        return self.client.key

    @property
    def of_lines(self) -> bool:
        """Whether its body is a file of many requests, a line each."""
        return self.dialect.name == "files"

    @property
    def passed(self) -> bytes:
        """The lines of its headers that go on to a provider."""
        return self.client.passed_with_json if self.dialect.reads_json else self.client.passed


class Job:
    """A request on its way."""

    __slots__ = (
        "_answer", "_asked", "_batch_microusd", "_context", "_digest", "_engine", "_error", "_exchange", "_first", "_flight",
        "_http", "_making", "_meaning", "_object", "_owed", "_prefix", "_reservation", "_restorer", "_said", "_status", "_walk", "config", "going",
    )  # fmt: skip

    def __init__(self, engine: Engine, exchange: Exchange, context: Context) -> None:
        self._engine = engine
        self._exchange = exchange
        self._context = context
        self.config = engine.config
        self._asked: Asked | None = None
        self._reservation: Reservation | None = None
        self._restorer: Restorer | None = None  # where personal data was taken out of the prompt
        self._said = b""  # the whole answer as it came: nothing is put back in it
        self._walk: Walk | None = None
        self.going: Going | None = None
        self._answer: Answer | None = None
        self._flight: Flight | None = None
        self._meaning = b""
        self._digest = ""
        self._prefix = ""
        self._object: KeptObject | None = None  # the file, batch or stored answer that it is about
        self._owed = False  # what it uses is counted later: it is made in the background
        self._batch_microusd = 0  # what the batch cost whose results it reads
        self._making: Making | None = None  # the batch that it makes, and what is held for it
        self._status = "refused"
        self._http = 0
        self._error = ""
        self._first: float | None = None

    async def run(self) -> None:
        """Do all of it; nothing is raised."""
        try:
            await self._served()
        except Refusal as refusal:
            if self._walk is not None and refusal.problem.kind in THEIRS:
                self._status = "error"
            self._refuse(refusal.problem)
        except asyncio.CancelledError:
            self._status, self._error = "interrupted", "gateway.stopped"
            self._exchange.abort()
        except Exception as error:  # noqa: BLE001 - the task's boundary: one request must not end others
            self._engine.parts.own.crashed(error)
            self._status, self._error = "interrupted", "gateway.internal"
            if self._exchange.state == "streaming":
                self._exchange.abort()  # it cannot be finished, and shall not look whole
            self._refuse(
                Problem(500, "internal", "gateway.internal", "The gateway failed; it has been written down.")
            )
        finally:
            self._engine.under_way.discard(self)
            self._exchange.release()
            self._settle()

    @property
    def provider_key(self) -> str:
        """The id of the provider's key that it was sent with last; '' before that."""
        served = self._walk.served if self._walk is not None else None
        return served.key.id if served is not None and served.key is not None else ""

    # -- the way -----------------------------------------------------------------------------------------------

    async def _served(self) -> None:
        is_large = len(self._exchange.body) > LARGE
        lines = self._context.of_lines
        asked = self._asked = await large.apart(self._read, lines=lines) if is_large else self._read()
        if self._context.dialect.local is not None:
            return self._tell_local(self._context.dialect.local)
        if self.config.settings.privacy.redact:
            asked = self._asked = await self._redacted(asked)
        kept = await self._kept_route() if self._context.dialect.name in KEPT else None
        route = kept or self._routed(asked)
        named = await large.apart(self._named, asked, lines=lines) if is_large else self._named(asked)
        if named:
            common = self.config.settings.common_objects
            route = await self._engine.parts.objects.reached(named, route, self._context.key, common)
        cache = self._engine.parts.cache
        place = self._place(cache, asked, route) if cache is not None else None
        if place is not None and (found := await self._earlier(place, route)) is not None:
            return self._tell_stored(found)
        await self._reserve(asked, route)
        self._walk = Walk(self._engine, self._exchange, self._context, asked, route)
        self._engine.parts.usage.begin(self)
        answer = self._answer = await self._walk.answer()
        self._first = answer.first_at or None
        if answer.ok:
            if stored := self._context.dialect.kept(asked):
                await self._learn_stored(answer, asked)
            if self._context.dialect.name in MAKING and (stored or b'"container' in answer.body):
                self._learn_parts(parsed(answer.body), asked)
        if answer.relay is not None:
            return await self._tell_stream(answer)
        if answer.ok and self._context.dialect.name in KEPT:
            await self._keep_in_mind(answer)
        return self._tell_whole(answer)

    def _read(self) -> Asked:
        exchange, dialect = self._exchange, self._context.dialect
        if not dialect.reads_json:
            kind = exchange.header(b"content-type") or b""
            return dialect.asked(exchange.body, {"content-type": kind.decode("latin-1")})
        large.bounded(exchange.body)
        try:
            body = orjson.loads(exchange.body)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            raise Refusal(Problem(400, "bad_request", "gateway.json", "The body is not a JSON object."))
        return dialect.asked(exchange.body, body)

    async def _redacted(self, asked: Asked) -> Asked:
        """The request without its personal data. What stands for what is known to this request alone."""
        columns = self.config.settings.privacy.columns
        found = await redact.looked_through(asked, self._context.dialect, columns)
        if found is None:
            return asked
        self._restorer = Restorer(found[1])
        return found[0]

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

    async def _kept_route(self) -> Route | None:
        """Where the file or batch lies that the request is about; None where it is about none."""
        context, objects = self._context, self._engine.parts.objects
        method = self._exchange.method.decode("ascii")
        body = self._asked.body if self._asked is not None else {}
        route, self._object = await objects.route(method, context.path, body, context.key)
        return route

    async def _keep_in_mind(self, answer: Answer) -> None:
        """Whose what was made is; and what a batch used, the first time that its results are read."""
        engine, context, dialect = self._engine, self._context, self._context.dialect
        method = self._exchange.method.decode("ascii")
        answer.body = engine.parts.objects.led_back(answer.body, self._exchange.headers)
        if isinstance(dialect, Results):
            await self._count_batch(answer, dialect)
        elif isinstance(dialect, KeptAnswer):
            self._learn_items(parsed(answer.body), items=True)  # of one made in the background
            await self._count_owed(answer, dialect)
        elif engine.parts.objects.is_list(method, context.path):
            if not context.key.admin:
                answer.body = await engine.parts.objects.shown(answer.body, context.key)
        elif (walk := self._walk) is not None and walk.served is not None:
            cost = self._batch_expected(walk.asked, walk.route)
            await engine.parts.objects.learn(answer.body, context.key, walk.served, self._object, cost)
            await self._learn_batch(answer, walk.asked)

    async def _learn_batch(self, answer: Answer, asked: Asked) -> None:
        """What is known of a batch from now on: that it is made, which model its file asks for, that it is at its end."""
        batches = self._engine.parts.objects.batches
        if self._making is not None:
            await batches.made(self._making, answer.body)
        elif asked.batch:
            await batches.uploaded(answer.body, self._held_for(asked, 0))
        if unread := await batches.seen(answer.body):
            self._batch_microusd, answer.estimated = unread, True

    def _held_for(self, asked: Asked, microusd: int) -> KeptBatch:
        context = self._context
        return holding.held_for(context.id, context.key, context.dialect.protocol, asked.model, microusd)

    async def _learn_stored(self, answer: Answer, asked: Asked) -> None:
        """Whose an answer is that the provider keeps; one that is made in the background is counted when it is seen finished."""
        served = self._walk.served if self._walk is not None else None
        if served is None or served.provider.protocol != self._context.dialect.protocol:
            return  # crossed: who answered keeps nothing
        objects, key, relay = self._engine.parts.objects, self._context.key, answer.relay
        name = relay.scanner.answer_id if relay is not None else id_of(answer.body)
        if not name:
            return
        if asked.body.get("background") is True and (relay is not None or answer.tokens is None):
            self._owed = True
            await objects.owed(name, key, served)
        else:
            objects.stored(name, key, served)

    def _learn_parts(self, answer: dict[str, Any], asked: Asked) -> None:
        """Whose the items and containers are that an answer brings."""
        self._learn_items(answer, items=self._context.dialect.kept(asked))

    def _learn_items(self, answer: dict[str, Any], *, items: bool) -> None:
        served = self._walk.served if self._walk is not None else None
        if served is None or served.provider.protocol != self._context.dialect.protocol:
            return
        for name in references.made(answer, items=items):
            self._engine.parts.objects.stored(name, self._context.key, served)

    async def _count_owed(self, answer: Answer, dialect: KeptAnswer) -> None:
        kept, served = self._object, self._walk.served if self._walk is not None else None
        if kept is None or served is None or not kept.owed:
            return
        finished = dialect.finished(answer.body)
        if finished is None or not await self._engine.parts.objects.first_count(kept.id):
            return
        model, answer.tokens = finished
        price = self._engine.price(served.provider, model)
        self._batch_microusd = price.cost_microusd(answer.tokens) if price is not None else 0

    async def _count_batch(self, answer: Answer, dialect: Results) -> None:
        used = await large.apart(dialect.by_model, answer.body, lines=True)
        served = self._walk.served if self._walk is not None else None
        if (
            not used
            or answer.status != 200  # noqa: PLR2004 - a part would be counted for the whole
            or served is None
            or self._object is None
            or not await self._engine.parts.objects.first_count(self._object.id)
        ):
            answer.tokens = Tokens()
            if not used and answer.status == 200 and self._object is not None:  # noqa: PLR2004
                await self._engine.parts.objects.batches.closed(self._object.id)
            return
        for model, tokens in used.items():
            price = self._engine.price(served.provider, model)
            self._batch_microusd += price.cost_microusd(tokens, batch=True) if price is not None else 0
        answer.tokens = summed(used.values())

    def _named(self, asked: Asked) -> Sequence[references.Named]:
        """What it names of what a provider keeps; and by what it is known itself."""
        named = references.of(asked, self._context.dialect)
        self._identify(asked)
        return named

    def _identify(self, asked: Asked) -> None:
        """Keyed digests, by which equal requests and equal prefixes are found without keeping a word of them."""
        if self._context.dialect.free:
            return
        self._meaning = meaning.meaning(asked)
        self._digest = self._engine.digest(self._context.dialect.name.encode() + b"\0" + self._meaning)
        if asked.prefix_estimate >= LEAST_PREFIX:
            self._prefix = self._engine.digest(meaning.prefix(asked))

    def _place(self, cache: Cache, asked: Asked, route: Route) -> Place | None:
        """Where an earlier answer would be; None where none is wanted."""
        context = self._context
        return cache.place(
            asked,
            self._meaning,
            dialect=context.dialect,
            route=route,
            key=context.key,
            headers=self._exchange.headers,
            query=context.query,
        )

    async def _earlier(self, place: Place, route: Route) -> Stored | None:
        """An earlier answer to the same question; where another request is just asking it, its answer."""
        context, cache = self._context, self._engine.parts.cache
        assert cache is not None  # noqa: S101 - it gave the place; for the type checker
        patience = min(route.settings.deadline_seconds, context.client.patience)
        found = await cache.look(place, deadline=context.began + patience, gone=lambda: self._exchange.gone)
        if isinstance(found, Flight):
            self._flight = found  # ours to fill
            return None
        return found

    async def _reserve(self, asked: Asked, route: Route) -> None:
        room, key = self._engine.parts.room, self._context.key
        if asked.batch and self._object is not None:
            route = await self._counted_on(asked, route)
        tokens, cost = self._expected(asked, route)
        if asked.batch and cost:
            await self._hold(asked, route, cost)
            cost = 0
        held = room.reserve(key, route, tokens, cost)
        if isinstance(held, Reservation):
            self._reservation = held
        else:
            deadline = self._context.began + route.settings.deadline_seconds
            self._reservation = await room.admit(
                key, route, self._exchange, tokens=tokens, microusd=cost, deadline=deadline
            )

    async def _counted_on(self, asked: Asked, route: Route) -> Route:
        """Where a file's batch, or a batch's results, count: on the route of the model that its requests ask for. Errors: `Refusal`."""
        kept = self._object
        batch = await self._engine.parts.objects.batches.of(kept.id) if kept is not None else None
        if batch is None or not batch.model:
            return route
        asked.model = batch.model
        if self._context.dialect.free:  # it is being made: by a key that may use the model
            return self._routed(asked)
        return self._engine.targets.route(batch.model, self._context.dialect.protocol) or route

    async def _hold(self, asked: Asked, route: Route, cost: int) -> None:
        """A batch must fit into what is left of each budget, a file for one too; what one costs that is made is held until it is known."""
        room, context = self._engine.parts.room, self._context
        if context.dialect.name == "files":
            return room.batch(context.key, route, cost)
        deadline = context.began + route.settings.deadline_seconds
        taken = await room.hold(context.key, route, self._exchange, microusd=cost, deadline=deadline)
        self._making = await self._engine.parts.objects.batches.begin(self._held_for(asked, cost), taken)
        return None

    def _expected(self, asked: Asked, route: Route) -> tuple[int, int]:
        """Tokens, and micro-dollars, that it may use at most on any of its targets."""
        dialect, engine = self._context.dialect, self._engine
        if dialect.free:
            return 0, self._batch_expected(asked, route)
        if asked.batch:  # results: what was used is known when they are read
            return 0, 0
        output = 0 if dialect.no_output else asked.max_output or engine.parts.room.usual_output(route)
        most = Tokens(input=math.ceil(asked.input_estimate * MOST_OF_ESTIMATE), output=output)
        cost = engine.most_microusd(route, most, batch=asked.batch)
        return asked.input_estimate + (asked.max_output or min(output, UNSAID_FOR_LIMITS)), cost

    def _batch_expected(self, asked: Asked, route: Route) -> int:
        """Micro-dollars that a batch which is being made may cost: they must be there, though they are taken when its results are read."""
        if not asked.batch:
            return 0
        if self._object is not None:
            return max(1, self._object.microusd)
        output = asked.max_output
        if output is None:
            output = asked.answers * self._engine.parts.room.usual_output(route)
        most = Tokens(input=math.ceil(asked.input_estimate * MOST_OF_ESTIMATE), output=output)
        return max(1, self._engine.most_microusd(route, most, batch=True))

    # -- telling -----------------------------------------------------------------------------------------------

    def _refuse(self, problem: Problem) -> None:
        self._http, self._error = problem.status, problem.code
        headers, body = self._engine.told(problem, self._context.dialect, self._context.id)
        self._exchange.respond(problem.status, headers, body)

    def _tell_local(self, local: Callable[[str, list[str], str], tuple[int, bytes]]) -> None:
        context = self._context
        visible = [name for name in self.config.routes if _may(context.key.models, name)]
        status, body = local(context.path, visible, context.id)
        self._status, self._http = "ok", status
        self._exchange.respond(status, self._headers([JSON]), body)

    def _tell_whole(self, answer: Answer) -> None:
        self._http = answer.status
        self._status = "ok" if answer.ok else "error"
        self._error = answer.error
        if self._exchange.gone:
            self._status = "disconnected"
        self._exchange.respond(answer.status, self._headers(answer.headers), self._restored(answer.body))
        self._said = answer.body
        if self._flight is not None and answer.ok:
            self._keep(answer, answer.body)

    async def _tell_stream(self, answer: Answer) -> None:
        relay, exchange = answer.relay, self._exchange
        assert relay is not None  # noqa: S101 - asked for by the caller; for the type checker
        self._http, self._status = 200, "ok"
        if most := self._most_kept():
            relay.keep(most)
        relay.restorer = self._restorer
        relay.commit(exchange, 200, self._headers(answer.headers))
        await relay.done
        if self._asked is not None and (made := getattr(relay.scanner, "made", None)):
            self._learn_parts(made, self._asked)
        if self._owed and relay.whole and relay.scanner.tokens is not None:
            self._owed = not await self._engine.parts.objects.first_count(relay.scanner.answer_id)
        if self._restorer is not None:
            exchange.write(self._restorer.flush())
        self._first = relay.first_at or None
        if exchange.gone:
            self._status, self._error = "disconnected", "gateway.client-left"
        elif relay.whole:
            exchange.end()
            if relay.record is not None:
                self._said = b"".join(relay.record)
                if self._flight is not None:
                    self._keep(answer, self._said)
        else:
            self._break(relay.problem, relay)

    def _break(self, code: str, relay: Any) -> None:
        """The stream broke after its first token: the client is told in its own protocol, and the answer ends."""
        self._status, self._error = "broken", code
        if relay.fault is not None:
            self._engine.parts.own.crashed(relay.fault)
        if not relay.told:  # else an error event has passed through
            whose = "The provider's stream" if relay.fault is None else "By a fault of the gateway the stream"
            message = f"{whose} broke off; what came before it is incomplete."
            problem = Problem(502, "upstream" if relay.fault is None else "internal", code, message)
            self._exchange.write(self._context.dialect.stream_error(problem, self._context.id))
        self._exchange.end()

    def _tell_stored(self, stored: Stored) -> None:
        """An earlier answer, as it was told: whole, or as the stream that it was."""
        self._status, self._http = "ok", 200
        headers = self._headers([*stored.headers, (b"x-datareeve-cache", b"hit")])
        self._answer = Answer.stored(stored)
        self._said = stored.body
        if stored.stream:
            self._exchange.start(200, headers, self._restored(stored.body, stream=True))
            self._exchange.end()
        else:
            self._exchange.respond(200, headers, self._restored(stored.body))

    @property
    def _keeps_prompt(self) -> bool:
        """Whether prompt and answer are to be kept; not those of a replay, which are there already."""
        context = self._context
        wanted = self.config.settings.privacy.keep_prompts and self._engine.parts.prompts is not None
        return wanted and context.dialect.name in CACHED and context.key.team != REPLAY

    def _most_kept(self) -> int:
        """How long a stream's record may be; 0 where none is wanted."""
        most = self._flight.most_bytes if self._flight is not None else 0
        return max(most, LARGEST) if self._keeps_prompt else most

    def _restored(self, body: bytes, *, stream: bool = False) -> bytes:
        """An answer with what was taken out of the prompt. It is kept without."""
        if self._restorer is None:
            return body
        return self._restorer.feed(body) + self._restorer.flush() if stream else self._restorer.whole(body)

    def _headers(self, headers: Headers) -> Headers:
        walk = self._walk
        ours = [*headers, (REQUEST_ID[self._context.dialect.protocol], self._context.id.encode())]
        if walk is not None and walk.served is not None:
            ours.append((b"x-datareeve-served-by", walk.served.told))
            if walk.left_out:
                ours.append(
                    (b"x-datareeve-left-out", ", ".join(walk.left_out)[:1000].encode("ascii", "replace"))
                )
        return ours

    def _keep(self, answer: Answer, body: bytes) -> None:
        assert self._flight is not None  # noqa: S101 - asked for by the caller; for the type checker
        tokens, _ = self._used()
        self._flight.fill(
            answer.headers, body, tokens=tokens, microusd=self._priced(tokens), target=str(answer.target)
        )
        self._flight = None

    # -- counting ----------------------------------------------------------------------------------------------

    def begun(self) -> UsageRow:
        """The row of a request that is still under way: what stands if we are killed before its end."""
        likely = self._likely()
        row = self._row(self._asked, likely, estimated=True, cost=self._likely_microusd(likely))
        row.status = "interrupted"
        return row

    @property
    def id(self) -> str:
        """The request's id."""
        return self._context.id

    def _likely(self) -> Tokens:
        """What it will have used by what is known before its end: its prompt, and an answer as its route usually gives."""
        asked, walk, dialect = self._asked, self._walk, self._context.dialect
        if asked is None or walk is None or dialect.free:
            return Tokens()
        room = self._engine.parts.room
        output = 0 if dialect.no_output else room.likely_output(walk.route, asked.max_output)
        return Tokens(input=asked.input_estimate, output=output)

    def _likely_microusd(self, likely: Tokens) -> int:
        walk, asked = self._walk, self._asked
        if walk is None or asked is None:
            return 0
        if walk.served is None:  # it is not sent yet, and may be a moment later
            return self._engine.most_microusd(walk.route, likely, batch=asked.batch)
        return self._priced(likely) + walk.lost_microusd

    def _used(self) -> tuple[Tokens, bool]:
        """What it used, and whether that is our estimate."""
        answer, asked = self._answer, self._asked
        if self._owed:
            return Tokens(), False
        if answer is None and self._status == "interrupted" and self._walk is not None and self._walk.served:
            return self._likely(), True  # the gateway ended while a provider was at it
        if answer is None or asked is None or answer.cached:
            return (answer.tokens or Tokens(), False) if answer is not None else (Tokens(), False)
        said = answer.relay.scanner.tokens if answer.relay is not None else answer.tokens
        complete = answer.relay is None or answer.relay.whole
        if said is not None and (complete or said.output):
            return said, answer.estimated or not complete
        if not answer.ok or self._context.dialect.free:
            return answer.tokens or Tokens(), answer.estimated
        chars = answer.relay.scanner.output_chars if answer.relay is not None else len(answer.body)
        return Tokens(
            input=said.input if said else asked.input_estimate, output=-(-chars // CHARS_A_TOKEN)
        ), True

    def _priced(self, tokens: Tokens) -> int:
        walk, asked = self._walk, self._asked
        if walk is None or walk.served is None or asked is None:
            return 0
        price = self._engine.price(walk.served.provider, walk.served.target.model)
        return price.cost_microusd(tokens, batch=asked.batch) if price is not None else 0

    def _settle(self) -> None:
        tokens, estimated = self._used()
        cost = self._priced(tokens) + self._batch_microusd
        if self._walk is not None:
            cost += self._walk.lost_microusd
        if self._reservation is not None:
            self._reservation.settle(tokens=tokens.input + tokens.output, microusd=cost)
        if self._making is not None:
            unknown = holding.may_be_made(self._status, self._error)
            self._engine.parts.objects.batches.end(self._making, unknown=unknown)
        if self._walk is not None:
            self._walk.settle(tokens.input + tokens.output)
            if self._status == "ok" and tokens.output and not estimated:
                self._engine.parts.room.learn(self._walk.route, tokens.output)
        if self._flight is not None:
            self._flight.give_up()
        row = self._row(self._asked, tokens, estimated=estimated, cost=cost)
        self._engine.parts.usage.end(row)
        self._engine.parts.metrics.observe(row)
        if self._said and self._status == "ok" and self._keeps_prompt:
            self._keep_prompt(row)

    def _keep_prompt(self, row: UsageRow) -> None:
        prompts, asked, days = self._engine.parts.prompts, self._asked, self.config.settings.privacy.keep_days
        if prompts is not None and asked is not None:
            prompts.keep(Exchanged(row, asked.raw, self._said, days))

    def _row(self, asked: Asked | None, tokens: Tokens, *, estimated: bool, cost: int) -> UsageRow:
        """The request's row."""
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
            status=self._status,  # type: ignore[arg-type]
            http_status=self._http,
            attempts=walk.attempts if walk is not None else 0,
            stream=asked.stream if asked is not None else False,
            cached=cached,
            tokens=tokens,
            estimated=estimated,
            first_ms=(self._first - context.began) * 1000 if self._first else None,
            total_ms=(time.monotonic() - context.began) * 1000,
            cost_microusd=cost,
            saved_microusd=answer.saved_microusd if cached and answer is not None else 0,
            price_version=price.version if price is not None else "",
            error=self._error,
            digest=self._digest,
            prefix=self._prefix,
            prefix_tokens=asked.prefix_estimate if asked is not None else 0,
        )


def _may(patterns: tuple[str, ...], model: str) -> bool:
    return any(
        pattern in ("*", model) or (pattern.endswith("*") and model.startswith(pattern[:-1]))
        for pattern in patterns
    )
