"""Where a request may go, in order: targets of its route, each with the provider's keys; and how each has been doing.

The order of trying is one rule: a failure goes on **at once** to whatever has not been tried yet (another key, the next target); only when all have
been tried is there a pause, and then another round.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.gateway.config import Route, Target
from datareeve.capabilities.ai.gateway.failing import Breaker, Escalating
from datareeve.core.estate_gateway import ModelRoute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from datareeve.capabilities.ai.gateway.config import Config, Provider, ProviderKey

RATE_LIMIT = "upstream.rate-limit"  # a breaker's reason that is no failure
KEYLESS = "none"  # stands for the key of a provider that takes none


@dataclass(slots=True, eq=False)
class Standing:
    """How one provider's model has been doing under one key."""

    breaker: Breaker
    escalating: Escalating = field(default_factory=Escalating)
    saved: int = 0  # requests that another target answered in its place, since its trouble began
    instead: Target | None = None  # the one that answered last
    _counted_since: float = 0.0

    def ok(self, now: float) -> None:
        """It answered."""
        self.breaker.ok(now)
        self.escalating.ok()

    def limited(self, now: float, asked: float | None) -> float:
        """It refused for its limits: left alone as long as it asks, longer each time in a row; gives the seconds."""
        seconds = self.escalating.refused(now, asked)
        self.breaker.rests(now, RATE_LIMIT, seconds)
        return seconds

    def stood_in(self, other: Target) -> None:
        """Another target answered a request that was to go here, while this one is in trouble."""
        if not self.breaker.is_open:
            return
        if self._counted_since != self.breaker.since:
            self._counted_since, self.saved = self.breaker.since, 0
        self.saved += 1
        self.instead = other


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One thing to try: a model of a provider under one of its keys."""

    target: Target
    provider: Provider
    key: ProviderKey | None
    standing: Standing
    told: bytes  # the target, for the header that says who answered


class Targets:
    """The candidates of every route of one configuration. Standings outlive a change of configuration."""

    def __init__(self, config: Config, standings: dict[tuple[str, str, str], Standing]) -> None:
        self._config = config
        self._standings = standings
        self._of: dict[tuple[str, str], tuple[Candidate, ...]] = {}
        self._routes: dict[tuple[str, str], Route | None] = {}
        self._turn = 0

    def route(self, model: str, protocol: str) -> Route | None:
        """What answers to a model's name; None where nothing does.

        'provider/model' is always understood; a name without a route goes to the first provider that speaks the protocol.
        """
        known = (model, protocol)
        if known not in self._routes:
            if len(self._routes) > MOST_NAMES:  # names come from clients
                self._routes.clear()
            self._routes[known] = self._find(model, protocol)
        return self._routes[known]

    def candidates(self, route: Route) -> tuple[Candidate, ...]:
        """All that may be tried, best first; keys of one provider take turns."""
        known = (route.name, str(route.targets[0]))
        if known not in self._of:
            if len(self._of) > MOST_NAMES:
                self._of.clear()
            self._of[known] = tuple(self._made(route))
        found = self._of[known]
        if len(found) == 1:
            return found
        self._turn += 1
        return self._turned(found)

    def standings(self) -> Mapping[tuple[str, str, str], Standing]:
        """Every standing by provider, model and key id."""
        return self._standings

    def _find(self, model: str, protocol: str) -> Route | None:
        if (route := self._config.routes.get(model)) is not None:
            return route
        if not self._config.settings.other_models:
            return None
        provider, _, name = model.partition("/")
        if name and provider in self._config.providers:
            return Route(model, (Target(provider, name),), _settings(f"{provider}/{name}"))
        first = next((p.name for p in self._config.providers.values() if p.protocol == protocol), None)
        return Route(model, (Target(first, model),), _settings(f"{first}/{model or '-'}")) if first else None

    def _made(self, route: Route) -> Iterator[Candidate]:
        for target in route.targets:
            provider = self._config.providers.get(target.provider)
            if provider is None:
                continue
            keys = [key for key in provider.keys if key.state == "active"]
            keys = keys or [key for key in provider.keys if key.state == "draining"]
            usable: list[ProviderKey | None] = [*keys]
            for key in usable or ([None] if provider.auth == "none" else []):
                yield Candidate(target, provider, key, self._standing(target, key), str(target).encode())

    def _standing(self, target: Target, key: ProviderKey | None) -> Standing:
        place = (target.provider, target.model, key.id if key else KEYLESS)
        if place not in self._standings:
            if len(self._standings) > MOST_NAMES:
                self._forget()
            self._standings[place] = Standing(Breaker(self._config.settings.breaker))
        return self._standings[place]

    def _forget(self) -> None:
        """Names come from clients: of those that stand well nothing need be remembered."""
        for place in [place for place, standing in self._standings.items() if not standing.breaker.is_open]:
            del self._standings[place]
        self._of.clear()

    def _turned(self, found: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """The same targets in order, each one's keys begun at another place each time."""
        turned: list[Candidate] = []
        start = 0
        while start < len(found):
            stop = start
            while stop < len(found) and found[stop].target == found[start].target:
                stop += 1
            shift = self._turn % (stop - start)
            turned += found[start + shift : stop] + found[start : start + shift]
            start = stop
        return tuple(turned)


MOST_NAMES = 10_000


def _settings(target: str) -> ModelRoute:
    return ModelRoute(targets=(target.replace(" ", "_"),))
