"""Room: which limits and budgets a request counts against, and what it holds of them while it is on its way.

Before it is sent a request holds the most that it may use; when it has ended, what it really used. So a budget is not overshot however many
requests are on their way at once: what cannot be held waits for others to settle, or is refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.gateway.dialects import Problem, Refusal
from datareeve.capabilities.ai.gateway.meters import AT_ONCE, MICROUSD, REQUESTS, TOKENS, Reservation, Short
from datareeve.systems.gateway_batches import HANDOVER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datareeve.capabilities.ai.gateway.config import Config, Route, VirtualKey
    from datareeve.capabilities.ai.gateway.meters import Demands, Meter, Meters
    from datareeve.capabilities.ai.gateway.provider_limits import ProviderLimits
    from datareeve.capabilities.ai.gateway.queueing import Waiting
    from datareeve.capabilities.ai.gateway.targets import Candidate
    from datareeve.core.estate_gateway import SpendBudget
    from datareeve.systems.http1 import Exchange, Headers

UNSAID_OUTPUT = 16_384  # tokens held where neither the client says how many nor experience does
ENOUGH_ANSWERS = 20  # of a route, before experience counts
REMEMBERED = 100  # answers, in the mean of a route
LIKELY_OUTPUT = 500  # tokens of an answer of which nothing is known: half a page, as chats give
UNSAID_FOR_LIMITS = 1024  # of a limit of tokens a minute: settled from the usage
SETTLING_SECONDS = 30.0  # a request waits so long for others to settle what they hold of a budget
MOST_NAMES = 10_000
FORGET_SECONDS = 600.0  # longer than any window that slides
NEVER_AGAIN = (
    ("x-should-retry", "false"),
)  # both official SDKs heed it: a spent budget is not asked three times


@dataclass(slots=True)
class Experience:
    """The longest answer of a route so far, and the mean of the last hundred or so: both forgotten by and by."""

    answers: int = 0
    longest: float = 0.0
    mean: float = 0.0

    def learn(self, output: int) -> None:
        """An answer had so many tokens."""
        self.answers += 1
        self.longest = max(float(output), self.longest * 0.999)
        self.mean += (output - self.mean) / min(self.answers, REMEMBERED)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """What one key counts against on one route."""

    requests: tuple[Meter, ...]
    tokens: tuple[Meter, ...]
    money: tuple[Meter, ...]
    at_once: tuple[Meter, ...]

    def all(self) -> tuple[Meter, ...]:
        """Every meter."""
        return (*self.requests, *self.tokens, *self.money, *self.at_once)

    def demands(self, tokens: int, microusd: int) -> list[tuple[Meter, int]]:
        """What a request takes of each."""
        found = [(meter, 1) for meter in (*self.at_once, *self.requests)]
        if self.tokens:
            found += [(meter, tokens) for meter in self.tokens]
        if self.money:
            found += [(meter, microusd) for meter in self.money]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class BatchHold:
    """What was taken of budgets for a batch."""

    reservation: Reservation
    meters: tuple[Meter, ...]
    microusd: int


NOTHING = Places((), (), (), ())
UNLIMITED = Reservation.of_nothing()


@dataclass(slots=True)
class Room:
    """The limits of one process, over all configurations."""

    meters: Meters
    waiting: Waiting
    limits: ProviderLimits
    _config: Config | None = None
    _places: dict[tuple[str, str], Places] = field(default_factory=dict)
    _of_keys: dict[tuple[str, str], Places] = field(default_factory=dict)
    _experience: dict[str, Experience] = field(default_factory=dict)
    _in_use: set[Meter] = field(default_factory=set)
    _forgot_at: float = 0.0
    _taken: Counter[Meter] = field(default_factory=Counter)  # for batches that are being made
    _kept: Counter[Meter] = field(default_factory=Counter)  # for those that are open

    def adopt(self, config: Config) -> None:
        """Work by this configuration; what was taken stays taken."""
        self._config = config
        self._forget()
        self._places.clear()
        self._of_keys.clear()

    def _forget(self) -> None:
        """Let go of meters that nobody has asked for since long: of keys and budgets that are gone. Any that comes back begins where it stood."""
        self._in_use.update(self._kept)
        known = (*self._places.values(), *self._of_keys.values())
        self._in_use.update(meter for places in known for meter in places.all())
        now = self.meters.now()
        if now - self._forgot_at > FORGET_SECONDS:
            self.meters.keep(self._in_use)
            self._in_use.clear()
            self._forgot_at = now

    def places(self, key: VirtualKey, route: Route) -> Places:
        """What a key's requests on a route count against."""
        place = (key.id, route.name)
        found = self._places.get(place)
        if found is None:
            if len(self._places) > MOST_NAMES:
                self._places.clear()
            found = self._places[place] = self._made(key, route)
        return found

    def reserve(self, key: VirtualKey, route: Route, tokens: int, microusd: int) -> Reservation | Short:
        """Hold what a request may use, if it is to be had at once."""
        return self.meters.reserve(self.places(key, route).demands(tokens, microusd))

    async def admit(  # noqa: PLR0913 - who, where, how much, how long
        self,
        key: VirtualKey,
        route: Route,
        exchange: Exchange,
        *,
        tokens: int,
        microusd: int,
        deadline: float,
    ) -> Reservation:
        """Hold what a request may use: leased from other processes, or waited for where that is wanted. Errors: `Refusal`."""
        return await self._admitted(
            key, route, exchange, self.places(key, route).demands(tokens, microusd), deadline
        )

    async def hold(
        self, key: VirtualKey, route: Route, exchange: Exchange, *, microusd: int, deadline: float
    ) -> BatchHold:
        """Take what a batch may cost of every budget that it counts against. Errors: `Refusal`."""
        self.batch(key, route, microusd)
        meters = self.places(key, route).money
        demands = [(meter, microusd) for meter in meters]
        held = await self._admitted(key, route, exchange, demands, deadline)
        try:
            self.batch(
                key, route, microusd
            )  # others may have been faster; and the last of a budget is for requests
        except Refusal:
            held.release()
            raise
        self._taken.update(dict(demands))
        return BatchHold(held, meters, microusd)

    def handed_over(self, held: BatchHold) -> None:
        """What was taken for a batch goes back: all processes keep it back by now, or there is no batch."""
        self._taken.subtract(dict.fromkeys(held.meters, held.microusd))
        held.reservation.settle(tokens=0, microusd=0)

    def keep_back(self, batches: Iterable[tuple[VirtualKey, Route, int]]) -> None:
        """What open batches may still cost is none of what is left of the budgets that they count against."""
        kept: Counter[Meter] = Counter()
        for key, route, microusd in batches:
            kept.update(dict.fromkeys(self._budgets(key, route), microusd))
        now = self.meters.now()
        for meter in self._kept.keys() | kept.keys():
            meter.keep_back(kept[meter], now)
        self._kept = kept

    async def _admitted(
        self, key: VirtualKey, route: Route, exchange: Exchange, demands: Demands, deadline: float
    ) -> Reservation:
        now = self.meters.now()
        found = await self.meters.admit(demands, min(deadline, now + SETTLING_SECONDS))
        if isinstance(found, Reservation):
            return found
        patience = self._patience(found, route, now)
        if patience:
            until = min(deadline, now + patience)
            found = await self.waiting.wait(demands, key.id, until, gone=lambda: exchange.gone)
            if isinstance(found, Reservation):
                return found
        raise Refusal(self._problem(found))

    def batch(self, key: VirtualKey, route: Route, microusd: int) -> None:
        """That a batch which may cost so much fits into what is left of each hard budget. Errors: `Refusal`."""
        for meter in self.places(key, route).money:
            left = meter.left - self._taken[meter]
            if meter.hard and microusd > left:
                if left <= 0:
                    raise Refusal(self._problem(Short(meter, microusd)))
                message = f"The batch may cost more than is left of the budget {meter.name.split(':')[1]!r}. Bound its output, or make a smaller one."
                raise Refusal(Problem(429, "budget", "gateway.budget", message, headers=NEVER_AGAIN))

    def provider(self, candidate: Candidate, tokens: int) -> Reservation | None:
        """Hold what a request takes of a provider key's limits; None where the key has no room now."""
        now = self.meters.now()
        key = _limited(candidate)
        if not self.limits.room(key, candidate.target.model, tokens, now):
            return None
        places = self._of_key(candidate, key)
        if places is NOTHING:
            return UNLIMITED
        found = self.meters.reserve(places.demands(tokens, 0))
        return found if isinstance(found, Reservation) else None

    def provider_free_in(self, candidate: Candidate, tokens: int) -> float:
        """Seconds until a provider key may have room."""
        now = self.meters.now()
        key = _limited(candidate)
        free = self.limits.free_in(key, candidate.target.model, tokens, now)
        for meter, amount in self._of_key(candidate, key).demands(tokens, 0):
            free = max(free, meter.free_in(amount, now))
        return free

    def provider_said(self, candidate: Candidate, headers: Headers) -> None:
        """Headers of an answer: what the provider says is left of its limits."""
        key = _limited(candidate)
        self.limits.heard(key, candidate.target.model, headers, self.meters.now(), self.meters.wall())

    def usual_output(self, route: Route) -> int:
        """Output tokens to hold where nobody says how many: twice the longest answer seen on the route, once there were enough."""
        seen = self._experience.get(route.name)
        if seen is None or seen.answers < ENOUGH_ANSWERS:
            return UNSAID_OUTPUT
        return min(UNSAID_OUTPUT, max(256, int(seen.longest * 2)))

    def likely_output(self, route: Route, most: int | None) -> int:
        """Output tokens that a request probably used whose end nobody saw: the route's mean, else what the client allowed, else `LIKELY_OUTPUT`."""
        seen = self._experience.get(route.name)
        if seen is None or seen.answers < ENOUGH_ANSWERS:
            return LIKELY_OUTPUT if most is None else most
        return round(seen.mean) if most is None else min(round(seen.mean), most)

    def learn(self, route: Route, output: int) -> None:
        """An answer of the route had so many tokens."""
        seen = self._experience.get(route.name)
        if seen is None:
            if len(self._experience) > MOST_NAMES:
                self._experience.clear()
            seen = self._experience[route.name] = Experience()
        seen.learn(output)

    # -- within ------------------------------------------------------------------------------------------------

    def _made(self, key: VirtualKey, route: Route) -> Places:
        of = self.meters.of
        requests, tokens = [], []
        for name, per_minute in (
            (f"key:{key.id}", (key.requests_per_minute, key.tokens_per_minute)),
            *(
                (f"model:{one.name}", (one.settings.requests_per_minute, one.settings.tokens_per_minute))
                for one in self._counted_as(route)
            ),
        ):
            if per_minute[0] is not None:
                requests.append(of(f"{name}:requests", per_minute[0], "minute", REQUESTS))
            if per_minute[1] is not None:
                tokens.append(of(f"{name}:tokens", per_minute[1], "minute", TOKENS))
        at_once: tuple[Meter, ...] = ()
        if key.max_parallel is not None:
            at_once = (of(f"key:{key.id}:at-once", key.max_parallel, "parallel", AT_ONCE),)
        return Places(tuple(requests), tuple(tokens), tuple(self._budgets(key, route)), at_once)

    def _budgets(self, key: VirtualKey, route: Route) -> Iterator[Meter]:
        config = self._config
        for name, budget in (config.budgets if config is not None else {}).items():
            if any(counts(budget, key, one) for one in self._counted_as(route)):
                part = key.id if budget.key == "*" else key.team if budget.team == "*" else ""
                counter = f"budget:{name}:{part}"
                limit = round(budget.usd * 1_000_000)
                yield self.meters.of(counter, limit, budget.period, MICROUSD, hard=budget.hard)

    def _counted_as(self, route: Route) -> tuple[Route, ...]:
        """A declared route is itself. A target that is asked for by its own name counts on every route that leads to it."""
        config = self._config
        if config is None or route.name in config.routes:
            return (route,)
        targets = set(route.targets)
        return (route, *(one for one in config.routes.values() if targets & set(one.targets)))

    def _of_key(self, candidate: Candidate, key: str) -> Places:
        provider = candidate.provider
        place = (provider.name, key)
        found = self._of_keys.get(place)
        if found is None:
            of, name = self.meters.of, f"provider:{key}"
            requests = provider.requests_per_minute
            tokens = provider.tokens_per_minute
            found = self._of_keys[place] = (
                NOTHING
                if requests is None and tokens is None
                else Places(
                    () if requests is None else (of(f"{name}:requests", requests, "minute", REQUESTS),),
                    () if tokens is None else (of(f"{name}:tokens", tokens, "minute", TOKENS),),
                    (),
                    (),
                )
            )
        return found

    @staticmethod
    def _settles(short: Short) -> bool:
        """Whether waiting is worth it: a budget that is held by requests on their way, and not yet spent."""
        meter = short.meter
        return meter.reserved > 0 and meter.left > 0

    def _patience(self, short: Short, route: Route, now: float) -> float:
        """Seconds that waiting is worth. What a batch was given is, for a moment, both taken and kept back."""
        if short.meter.unit != MICROUSD:
            return route.settings.queue_seconds
        if self._settles(short):
            return SETTLING_SECONDS
        handing = now - short.meter.kept_at < HANDOVER_SECONDS and short.meter.left > 0
        return 2 * HANDOVER_SECONDS if handing else 0.0

    def _problem(self, short: Short) -> Problem:
        meter = short.meter
        wait = meter.free_in(short.amount, self.meters.now())
        if meter.unit == MICROUSD:
            name = meter.name.split(":")[1]
            raise_it = command("ai.set-budget", budget=name, usd=max(round(meter.limit * 2e-6, 2), 0.01))
            message = f"The budget {name!r} is spent until its {meter.window} ends. Its owner may raise it: `{raise_it}`"
            return Problem(429, "budget", "gateway.budget", message, headers=NEVER_AGAIN)
        what = {REQUESTS: "requests a minute", TOKENS: "tokens a minute", AT_ONCE: "requests at one time"}[
            meter.unit
        ]
        whose = "This key" if meter.name.startswith("key:") else "This model"
        message = f"{whose} has a limit of {meter.limit:,} {what}. Try again later."
        if wait == float("inf"):
            message = f"{whose} has a limit of {meter.limit:,} {what}; this request alone may need more. Ask for fewer tokens."
            return Problem(429, "rate_limit", "gateway.rate-limit", message, headers=NEVER_AGAIN)
        return Problem(429, "rate_limit", "gateway.rate-limit", message, retry_after=max(wait, 0.05))


def _limited(candidate: Candidate) -> str:
    """What a provider's limits are counted by: its key, or the provider where it takes none."""
    return f"{candidate.provider.name}:{candidate.key.id if candidate.key is not None else ''}"


def counts(budget: SpendBudget, key: VirtualKey, route: Route) -> bool:
    """Whether a key's requests on a route count against a budget."""
    if budget.key not in (None, "*", key.name, key.id):
        return False
    if budget.team not in (None, key.team) and not (budget.team == "*" and key.team):
        return False
    return budget.model in (None, route.name) or any(budget.model == str(target) for target in route.targets)
