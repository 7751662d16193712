"""Attempts: a request goes to one candidate after the other until one answers, within its deadline and the budget for retries.

A failure goes on at once to what has not been tried; when all have been tried there is a pause, and another round. An answer is either whole, or
a stream that has begun. Where a second request is sent because the first is slow (hedging), the first to begin wins and the other is cut.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.gateway import crossing, failing, heads, large
from datareeve.capabilities.ai.gateway.dialects import Problem, Refusal
from datareeve.capabilities.ai.gateway.dialects.base import parsed
from datareeve.capabilities.ai.gateway.holding import may_be_made
from datareeve.capabilities.ai.gateway.large import LARGE
from datareeve.capabilities.ai.gateway.relay import MASK, Relay
from datareeve.capabilities.ai.gateway.usage import Tokens
from datareeve.systems.upstream import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from datareeve.capabilities.ai.gateway.cache import Stored
    from datareeve.capabilities.ai.gateway.config import Route, Target
    from datareeve.capabilities.ai.gateway.dialects import Asked, Dialect
    from datareeve.capabilities.ai.gateway.engine import Engine
    from datareeve.capabilities.ai.gateway.job import Context
    from datareeve.capabilities.ai.gateway.meters import Reservation
    from datareeve.capabilities.ai.gateway.targets import Candidate
    from datareeve.systems.http1 import Exchange, Headers
    from datareeve.systems.upstream import Call, Origin, Timeouts

MADE = frozenset(("batches", "message-batches"))  # dialects whose requests make what costs much
OK = 200
BAD_GATEWAY = 502
NOT_OURS_TO_TELL = frozenset((401, 402, 403))  # they are about the provider's key, which is not the client's
LIMITED = "upstream.http-429"
OBJECTS = frozenset(
    ("chat", "completions", "responses", "messages", "embeddings")
)  # dialects whose answers are JSON objects
CUT_BY_US = frozenset(("upstream.first-byte-timeout", "upstream.idle-timeout", "upstream.deadline"))


@dataclass(slots=True, eq=False)
class Answer:
    """What one attempt gave: a whole answer (also an error's), or a stream that has begun."""

    status: int
    headers: Headers
    body: bytes = b""
    relay: Relay | None = None
    target: Target | None = None
    tokens: Tokens | None = None
    error: str = ""  # a stable code where it is an error
    first_at: float = 0.0  # loop time
    cached: bool = False
    saved_microusd: int = 0
    estimated: bool = False  # its tokens are our estimate

    @property
    def ok(self) -> bool:
        """Whether the provider did what was asked."""
        return self.status < 300  # noqa: PLR2004 - RFC 9110, 15.3

    @classmethod
    def stored(cls, stored: Stored) -> Answer:
        """An answer of the cache."""
        return cls(OK, [], tokens=stored.tokens, cached=True, saved_microusd=stored.microusd)


@dataclass(slots=True)
class Failure:
    """An attempt that gave nothing to tell, or an error that another candidate may not have."""

    fate: failing.Fate
    code: str
    answer: Answer | None = None  # the provider's own words, where it had any
    wait: float | None = None  # seconds that it asks to wait
    problem: Problem | None = None  # ours, where it could not even be asked


@dataclass(slots=True)
class Walk:
    """The way of one request over its candidates."""

    engine: Engine
    exchange: Exchange
    context: Context
    asked: Asked
    route: Route
    attempts: int = 0
    served: Candidate | None = None  # whose answer was taken; else the last that was asked
    lost_microusd: int = 0  # what attempts that we cut may have cost
    _heard: Tokens | None = None  # what a stream that was cut before its first token had said
    left_out: tuple[str, ...] = ()  # hints that the provider's protocol has no words for
    _held: list[Reservation] = field(
        default_factory=list
    )  # of providers' limits; the last is of who answered
    _calls: tuple[Call, ...] = ()
    _last: Failure | None = None
    _impatient: bool = False  # the client waits less than the route would
    _tried: tuple[Candidate, ...] = ()  # in this round
    _out: frozenset[Candidate] = frozenset()  # asking them again would change nothing

    async def answer(self) -> Answer:
        """The first good answer, else the last candidate's error. Errors: `Refusal` where nobody could be asked."""
        engine, settings = self.engine, self.route.settings
        engine.retries.asked()
        self._impatient = self.context.client.patience < settings.deadline_seconds
        deadline = self.context.began + min(settings.deadline_seconds, self.context.client.patience)
        for round_ in range(settings.retries + 1):
            candidates = engine.targets.candidates(self.route)  # anew each time: keys come and go
            found = await self._round(candidates, deadline)
            if found is not None:
                return found
            wait = self._pause(round_ + 1, candidates)
            now = engine.loop.time()
            if (
                round_ == settings.retries
                or wait is None
                or now + wait >= deadline
                or not engine.retries.take(now)
            ):
                break
            await asyncio.sleep(wait)
        return self._in_vain(candidates)

    def settle(self, tokens: int) -> None:
        """The request has ended and used so much."""
        for held in self._held[:-1]:
            held.settle(tokens=0, microusd=0)
        for held in self._held[-1:]:
            held.settle(tokens=tokens, microusd=0)

    async def _round(self, candidates: tuple[Candidate, ...], deadline: float) -> Answer | None:
        """Each candidate once. A candidate that only the key was wrong for does not rule out its target's other keys."""
        self._tried = ()
        for place, candidate in enumerate(candidates):
            now = self.engine.loop.time()
            if self.exchange.gone:
                return self._client_left()
            if candidate in self._tried or candidate in self._out or now >= deadline:
                continue
            if not candidate.standing.breaker.allows(now):
                continue
            held = self.engine.parts.room.provider(candidate, self.asked.input_estimate)
            if held is None:  # its limits would refuse it
                candidate.standing.breaker.spared()
                continue
            self._held.append(held)
            found = await self._asked(candidate, candidates[place + 1 :], deadline)
            if isinstance(found, Answer):
                if place and candidates[0].target != candidate.target:
                    candidates[0].standing.stood_in(candidate.target)
                return found
            if self.exchange.gone and self.asked.stream:
                return self._client_left()
            if found.fate == "final" and found.answer is not None:
                return found.answer
            self._out |= self._ruled_out(found, candidate, candidates)
        return None

    def _ruled_out(
        self, found: Failure, candidate: Candidate, candidates: tuple[Candidate, ...]
    ) -> set[Candidate]:
        """Who else need not be asked after that failure."""
        if self.asked.batch and self.context.dialect.name in MADE and may_be_made("error", found.code):
            return set(candidates)  # a second one would be paid for too
        if found.fate == "other-target":
            return {other for other in candidates if other.target is candidate.target}
        return set()

    def _client_left(self) -> Answer:
        """Nobody waits for it any more. What was sent is paid for: by what the provider said of it, else by the prompt."""
        tokens = self._heard
        cut = self._last is not None and self._last.code == "upstream.cancelled"
        if tokens is None and cut and not self.context.dialect.free:
            tokens = Tokens(input=self.asked.input_estimate)
        return Answer(499, [], error="gateway.client-left", tokens=tokens, estimated=True)

    def _left(self) -> None:
        """The client has left: providers need not go on."""
        for call in self._calls:
            call.cancel()

    # -- one attempt -------------------------------------------------------------------------------------------

    def _asked(
        self, candidate: Candidate, others: tuple[Candidate, ...], deadline: float
    ) -> Coroutine[Any, Any, Answer | Failure]:
        hedge = self.route.settings.hedge_after_ms
        if hedge is None or not others:
            return self._attempt(candidate, deadline)
        return self._hedged(candidate, others, hedge / 1000, deadline)

    async def _attempt(self, candidate: Candidate, deadline: float) -> Answer | Failure:
        before = self.served
        self.attempts += 1
        self.served = candidate
        self._tried += (candidate,)
        loop = self.engine.loop
        try:
            found = await self._exchanged(candidate, deadline)
        except UpstreamError as error:
            found = Failure("try-again", error.code)
        except Refusal as refusal:  # it cannot be said in that provider's protocol
            found = Failure("other-target", refusal.problem.code, problem=refusal.problem)
            self.attempts, self.served = self.attempts - 1, before
        except BaseException:
            candidate.standing.breaker.spared()
            raise
        self._judge(candidate, found, loop.time())
        if isinstance(found, Failure):
            self._failed(candidate, found)
        return found

    def _failed(self, candidate: Candidate, found: Failure) -> None:
        """What a failure means for the rest of this request: which error is told in the end, and who is not asked again."""
        if (
            found.problem is None or self._last is None
        ):  # that one could not be asked does not explain why another failed
            self._last = found
        if found.fate == "other-target" or (found.fate == "other-key" and found.code != LIMITED):
            self._out |= {candidate}

    async def _exchanged(self, candidate: Candidate, deadline: float) -> Answer | Failure:
        """Ask a candidate, once more where a kept connection turned out to be closed."""
        for _ in range(2):
            is_large, lines = len(self.asked.raw) > LARGE, self.context.of_lines
            said = (
                await large.apart(self._said, candidate, lines=lines) if is_large else self._said(candidate)
            )
            origin, request, timeouts = self._request(candidate, said)
            call = origin.ask_kept(request, timeouts, deadline) or await origin.ask(
                request, timeouts, deadline
            )
            if (
                self.asked.stream
            ):  # whole answers are paid for in any case: they are waited for, and counted exactly
                self._calls += (call,)
                self.exchange.on_gone = self._left
                if self.exchange.gone:  # while it was being connected
                    call.cancel()
            try:
                if self.asked.stream:
                    return await self._stream(call, candidate)
                return self._taken(call, candidate, await call.whole())
            except UpstreamError as error:
                if not error.stale:
                    raise
            except BaseException:
                call.cancel()
                raise
        raise UpstreamError("upstream.cut", sent=True)

    def _request(
        self, candidate: Candidate, said: tuple[str, bytes, tuple[str, ...]]
    ) -> tuple[Origin, bytes, Timeouts]:
        """Where to ask a candidate, and with what bytes."""
        engine, provider = self.engine, candidate.provider
        path, body, self.left_out = said
        if provider.protocol == "openai":  # its base URL ends with the version
            path = path.removeprefix("/v1")
        origin = engine.origin(provider)
        request = heads.request(
            origin,
            method=self.exchange.method,
            path=path.encode(),
            query=self.context.query,
            known=engine.known(candidate),
            passed=self.context.passed,
            body=body,
        )
        return origin, request, engine.timeouts(provider)

    def _said(self, candidate: Candidate) -> tuple[str, bytes, tuple[str, ...]]:
        """The path and the body for a candidate, and what is left out of it. Errors: `Refusal` where it cannot be said in its protocol."""
        dialect, asked, model = self.context.dialect, self.asked, candidate.target.model
        if candidate.provider.protocol == dialect.protocol:
            return self.context.path, dialect.outgoing(asked, model), ()
        return crossing.request(dialect, asked, model)

    async def _stream(self, call: Call, candidate: Candidate) -> Answer | Failure:
        if await call.head() != OK or not _is_stream(call):
            return self._taken(call, candidate, await call.whole())
        dialect = self._theirs(candidate)
        changers = (
            ()
            if dialect is self.context.dialect
            else (crossing.stream(dialect, self.context.dialect, self.asked),)
        )
        relay = Relay(call, dialect.scanner(self.asked), changers)
        relay.secret = _secret(candidate)
        try:
            await relay.ready
        except BaseException:
            call.cancel()
            raise
        if relay.fault is not None and not relay.first_at:
            raise relay.fault
        if relay.error is not None and not relay.first_at:
            self._heard = relay.scanner.tokens
            raise relay.error
        if relay.scanner.failed and not relay.first_at:
            call.cancel()
            return Failure("try-again", f"upstream.{relay.scanner.failed}")
        if relay.done.done() and not relay.whole and not relay.first_at:
            return Failure("try-again", "upstream.incomplete")
        return Answer(
            OK, self._back(call, candidate), relay=relay, target=candidate.target, first_at=relay.first_at
        )

    def _taken(self, call: Call, candidate: Candidate, body: bytes) -> Answer | Failure:
        """A whole answer: taken, or what follows from its error."""
        status, theirs, ours = call.status, self._theirs(candidate), self.context.dialect
        fate = failing.fate(status)
        headers = self._back(call, candidate)
        tokens = theirs.tokens(body) if fate == "ok" else None
        if fate == "ok" and tokens is None and theirs.name in OBJECTS:
            if not parsed(body):
                raise UpstreamError("upstream.garbage", sent=True)
            if theirs.failed(body):  # routers answer so when their own provider failed
                status, fate = BAD_GATEWAY, "try-again"
        if fate == "ok":
            try:
                told = body if theirs is ours else crossing.answer(theirs, ours, body, self.asked)
            except UpstreamError as error:  # it is paid for, and the same again would be
                self._count_lost(candidate, tokens)
                return Failure("other-target", error.code)
            return Answer(
                status, headers, told, target=candidate.target, tokens=tokens, first_at=call.first_at
            )
        secret = _secret(candidate)
        if secret:  # a provider may quote it
            body = body.replace(secret, MASK)
            headers = [(name, value.replace(secret, MASK)) for name, value in headers]
        told = body if theirs is ours else crossing.error(theirs, ours, status, body, self.context.id)
        answer = Answer(status, headers, told, target=candidate.target, error=f"upstream.http-{status}")
        wait = failing.retry_after(call.header(b"retry-after-ms"), call.header(b"retry-after"), time.time())
        return Failure(fate, answer.error, answer, wait)

    def _theirs(self, candidate: Candidate) -> Dialect:
        """The dialect that the candidate answers in."""
        ours = self.context.dialect
        return ours if candidate.provider.protocol == ours.protocol else crossing.counterpart(ours)

    def _back(self, call: Call, candidate: Candidate) -> Headers:
        self.engine.parts.room.provider_said(candidate, call.headers)
        return heads.passed_back(call.headers)

    # -- what follows ------------------------------------------------------------------------------------------

    def _judge(self, candidate: Candidate, found: Answer | Failure, now: float) -> None:
        """What an attempt says of the candidate: an error that is the request's own says nothing."""
        standing = candidate.standing
        if isinstance(found, Answer):
            standing.ok(now)
        elif found.code == LIMITED:
            found.wait = standing.limited(now, found.wait)
        elif found.fate in ("final", "other-target") or found.code == "upstream.cancelled":
            standing.breaker.spared()
        elif (
            found.code == "upstream.deadline" and self._impatient
        ):  # the client's haste says nothing of the provider
            standing.breaker.spared()
            self._count_lost(candidate)
        else:
            standing.breaker.failed(now, found.code, found.wait)
            if found.code in CUT_BY_US:  # the provider may have read the prompt, and bills it
                self._count_lost(candidate)

    def _pause(self, round_: int, candidates: tuple[Candidate, ...]) -> float | None:
        """Seconds until the next round: jittered, and not before those who asked for it or a limit allow it. None: nobody is left to ask."""
        now = self.engine.loop.time()
        waits = []
        for candidate in candidates:
            if candidate in self._out:
                continue
            opens = candidate.standing.breaker.opens_in(now)
            if not opens or candidate.standing.breaker.asked:
                waits.append(
                    max(opens, self.engine.parts.room.provider_free_in(candidate, self.asked.input_estimate))
                )
        return min(waits) + failing.pause(round_) if waits else None

    def _in_vain(self, candidates: tuple[Candidate, ...]) -> Answer:
        """Nobody answered: the last error, in its own words where those are the client's to read."""
        last = self._last
        if last is not None and last.answer is not None and _tellable(last.answer.status):
            return last.answer
        if last is not None and last.problem is not None:
            raise Refusal(last.problem)
        now = self.engine.loop.time()
        opens = min((c.standing.breaker.opens_in(now) for c in candidates), default=0.0)
        free = min(
            (self.engine.parts.room.provider_free_in(c, self.asked.input_estimate) for c in candidates),
            default=0.0,
        )
        if last is None and not opens and free:
            message = "The provider's own limits leave no room for this request now. Try again later."
            raise Refusal(Problem(429, "rate_limit", "gateway.provider-limit", message, retry_after=free))
        raise Refusal(_problem(last, max(opens, free), any_key=bool(candidates)))

    async def _hedged(
        self, first: Candidate, others: tuple[Candidate, ...], after: float, deadline: float
    ) -> Answer | Failure:
        """The first candidate, and the next one too where the first has not begun to answer in time; the slower is cut."""
        loop = self.engine.loop
        leading = loop.create_task(self._attempt(first, deadline))
        done, _ = await asyncio.wait({leading}, timeout=after)
        now = loop.time()
        second = next((c for c in others if self._may_hedge(c, now)), None) if not done else None
        if second is None:
            return await leading
        following = loop.create_task(self._attempt(second, deadline))
        racing = {leading: first, following: second}
        winner = await self._race(racing)
        for task, candidate in racing.items():
            if task is not winner:
                await self._drop(task, candidate)
        self.served = racing[winner]
        return winner.result()

    def _may_hedge(self, candidate: Candidate, now: float) -> bool:
        """Whether a second request may go there: it takes its room, as the first did."""
        if candidate in self._out or candidate in self._tried or not candidate.standing.breaker.allows(now):
            return False
        held = self.engine.parts.room.provider(candidate, self.asked.input_estimate)
        if held is None:
            candidate.standing.breaker.spared()
            return False
        self._held.append(held)
        return True

    @staticmethod
    async def _race(
        racing: dict[asyncio.Task[Answer | Failure], Candidate],
    ) -> asyncio.Task[Answer | Failure]:
        waiting = set(racing)
        try:
            while True:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                good = next((t for t in done if isinstance(t.result(), Answer)), None)
                if good is not None or not waiting:
                    return good or done.pop()
        except asyncio.CancelledError:
            for task in racing:
                task.cancel()
            raise

    async def _drop(self, task: asyncio.Task[Answer | Failure], candidate: Candidate) -> None:
        """A hedge that lost: it is cut, and counted as having read its prompt."""
        if task.done() and isinstance(task.result(), Failure):
            return
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and isinstance(found := task.result(), Answer) and found.relay is not None:
            found.relay.call.cancel()
        self._count_lost(candidate)

    def _count_lost(self, candidate: Candidate, tokens: Tokens | None = None) -> None:
        """What an attempt cost whose answer is not told: as the provider said, else its prompt."""
        price = self.engine.price(candidate.provider, candidate.target.model)
        if price is not None:
            self.lost_microusd += price.cost_microusd(tokens or Tokens(input=self.asked.input_estimate))


def _secret(candidate: Candidate) -> bytes:
    return candidate.key.secret.reveal().encode() if candidate.key is not None else b""


def _tellable(status: int) -> bool:
    """Whether a provider's error is the client's to read: not where it leads elsewhere, nor what is between the provider and us."""
    return status >= 400 and status not in NOT_OURS_TO_TELL  # noqa: PLR2004 - RFC 9110, 15


def _is_stream(call: Call) -> bool:
    return (call.header(b"content-type") or b"").startswith(b"text/event-stream")


def _problem(last: Failure | None, opens: float, *, any_key: bool) -> Problem:
    if not any_key:
        return Problem(
            503, "overloaded", "gateway.no-key", "No usable key is known for this model's provider."
        )
    if last is None:
        message = (
            "All targets of this model are left alone for the moment, after failures or for their limits."
        )
        return Problem(503, "overloaded", "gateway.unavailable", message, retry_after=max(opens, 1.0))
    if last.answer is not None and last.answer.status in NOT_OURS_TO_TELL:
        message = "The provider does not take the gateway's key: its owner must mend that."
        return Problem(502, "upstream", "gateway.provider-key", message)
    if last.code == "upstream.deadline" or last.code.endswith("timeout"):
        return Problem(504, "timeout", last.code, "The provider did not answer in time.")
    return Problem(502, "upstream", last.code, "The provider could not be reached, or did not answer usably.")
