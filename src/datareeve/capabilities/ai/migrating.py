"""Which models have ended or will, where the estate and its applications name them, and what takes their place."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.ai import model_ends
from datareeve.capabilities.ai.declared import Declared  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.ai.model_ends import Catalogue, ModelEnd  # noqa: TC001 - pydantic reads them
from datareeve.capabilities.ai.pricing import usd
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from datareeve.capabilities.ai.pricing import Pricing


class Use(Value):
    """What asked for a name lately, and what that model used."""

    asked: str
    target: str  # provider/model as served
    requests: int = 0
    cost_microusd: int = 0
    tokens: dict[str, int] = Field(default_factory=dict)


class Moving(Value):
    """One model that ends, and what takes its place."""

    target: str  # provider/model
    end: ModelEnd
    replacement: str = ""  # provider/model; '' where none is known
    replacement_end: date | None = None  # where that one ends as well
    routes: tuple[str, ...] = ()  # that name the target
    asked: str = ""  # the name that applications ask for, where no route stands behind it
    requests: int = 0  # in the time that is looked at
    usd: float = 0.0
    usd_then: float | None = None  # the same tokens at the replacement's price; None where no price is known
    price: dict[str, float] = Field(default_factory=dict)  # US dollars per million tokens, by kind
    price_then: dict[str, float] = Field(default_factory=dict)
    note: str = ""  # what else changes
    note_source: str = ""
    replay: dict[str, Any] | None = None  # figures of a shadow comparison with the replacement

    @property
    def change_percent(self) -> float | None:
        """Of the cost, for the same tokens; None where a price is missing or nothing was used."""
        if self.usd_then is not None and self.usd:
            return round(100 * (self.usd_then / self.usd - 1), 1)
        before, then = self.price.get("input", 0.0), self.price_then.get("input", 0.0)
        return round(100 * (then / before - 1), 1) if before and then else None


class NotKnown(Value):
    """A model whose end cannot be looked up: who serves it is not its maker, and has dates of its own."""

    target: str  # provider/model
    host: str
    routes: tuple[str, ...] = ()  # that name it
    requests: int = 0  # in the time that is looked at
    maker: str = ""  # whose model it is, by its name or the protocol
    end: ModelEnd | None = None  # by its maker's own dates, which need not be those of who serves it

    @property
    def provider(self) -> str:
        """Who serves it, as the estate calls it."""
        return self.target.partition("/")[0]


class Known(Value):
    """What decides: the estate, the catalogue, what was asked lately, and what a person named."""

    declared: Declared
    catalogue: Catalogue
    uses: tuple[Use, ...] = ()
    today: date
    days: int
    model: str = ""
    to: str = ""


def movings(
    known: Known, pricing: Pricing, replay_of: Callable[[str, str], dict[str, Any] | None]
) -> tuple[Moving, ...]:
    """Every model that is to be moved, those of routes before those that are only asked for by name, the first to end first."""
    found = [*_of_routes(known), *_asked_for(known)]
    if known.model:
        found = [one for one in found if known.model in _names(one)] or list(_named(known))
    told = (_told(one, known, pricing, replay_of) for one in found)
    return tuple(
        sorted(told, key=lambda one: (not one.routes, one.end.ends or known.today, one.target, one.asked))
    )


def end_of(known: Known, target: str) -> ModelEnd | None:
    """The end of 'provider/model', where the catalogue's dates hold for that provider and an end is announced."""
    found = _looked_up(known, target)
    return found if found and found.ends else None


def not_known(known: Known) -> tuple[NotKnown, ...]:
    """The models of routes and requests of which the catalogue can say nothing, because their provider is not their maker."""
    routes: dict[str, list[str]] = {}
    for name, route in known.declared.settings.models.items():
        for target in route.targets:
            routes.setdefault(target, []).append(name)
    requests: dict[str, int] = {}
    for use in known.uses:
        requests[use.target] = requests.get(use.target, 0) + use.requests
    asked = {use.asked: use.target for use in known.uses}
    named = {known.model, asked.get(known.model, "")}
    found = []
    for target in dict.fromkeys((*routes, *requests, *([known.model] if known.model else []))):
        names = {target, target.partition("/")[2], *routes.get(target, ())}
        if _is_another_servers(known, target) and (not known.model or names & named):
            found.append(_not_known(known, target, routes.get(target, []), requests.get(target, 0)))
    return tuple(found)


def _is_another_servers(known: Known, target: str) -> bool:
    entry = known.declared.providers.get(target.partition("/")[0])
    return entry is not None and not model_ends.maker_of(entry) and _looked_up(known, target) is None


def _not_known(known: Known, target: str, routes: list[str], requests: int) -> NotKnown:
    provider, _, model = target.partition("/")
    entry = known.declared.providers[provider]
    maker = model_ends.maker_by_name(model) or str(entry.get("kind", ""))
    end = known.catalogue.end_of(maker, model)
    return NotKnown(
        target=target,
        host=model_ends.host_of(entry),
        routes=tuple(routes),
        requests=requests,
        maker=maker,
        end=end if end and end.ends else None,
    )


def _looked_up(known: Known, target: str) -> ModelEnd | None:
    provider, _, model = target.partition("/")
    entry = known.declared.providers.get(provider)
    return known.catalogue.end_of(model_ends.dates_of(provider, entry), model) if entry else None


def _soon(known: Known, end: ModelEnd | None, *, named: bool = False) -> bool:
    left = end.days_left(known.today) if end else None
    return left is not None and (named or left <= known.days)


def _of_routes(known: Known) -> Iterator[Moving]:
    by_target: dict[str, list[str]] = {}
    for name, route in known.declared.settings.models.items():
        for target in route.targets:
            by_target.setdefault(target, []).append(name)
    for target, routes in by_target.items():
        end = end_of(known, target)
        named = known.model in (target, target.partition("/")[2], *routes)
        if end and _soon(known, end, named=bool(known.model) and named):
            yield Moving(target=target, end=end, routes=tuple(routes))


def _asked_for(known: Known) -> Iterator[Moving]:
    """Names that applications ask for themselves."""
    routes = known.declared.settings.models
    for asked in dict.fromkeys(use.asked for use in known.uses):
        if asked and asked not in routes and (target := target_of(known, asked)):
            end = end_of(known, target)
            if end and _soon(known, end, named=known.model in (asked, target)):
                yield Moving(target=target, end=end, asked=asked)


def _named(known: Known) -> Iterator[Moving]:
    """The model that a person named, though nothing here names it: applications may."""
    asked = known.model
    if asked in known.declared.settings.models:
        return
    end, target = end_of(known, target_of(known, asked)), target_of(known, asked)
    if not_known(known):
        return  # who serves it has dates of its own
    maker = model_ends.maker_by_name(asked.rpartition("/")[2])
    end = end or known.catalogue.end_of(maker, asked.rpartition("/")[2])
    if end and end.ends:
        yield Moving(target=target or f"{maker}/{end.model}", end=end, asked=asked)


def target_of(known: Known, asked: str) -> str:
    """The 'provider/model' that a name without a route goes to; '' where no provider of the estate is its maker's."""
    provider, _, rest = asked.partition("/")
    if rest and provider in known.declared.providers:
        return asked
    maker = model_ends.maker_by_name(asked)
    makers = (
        name
        for name, entry in known.declared.providers.items()
        if maker and model_ends.maker_of(entry) == maker
    )
    return next((f"{name}/{asked}" for name in makers), "")


def _names(one: Moving) -> set[str]:
    return {
        one.target,
        one.target.partition("/")[2],
        one.end.model,
        *one.end.aliases,
        *one.routes,
        *([one.asked] if one.asked else []),
    }


def _told(
    one: Moving, known: Known, pricing: Pricing, replay_of: Callable[[str, str], dict[str, Any] | None]
) -> Moving:
    replacement = _replacement(one, known)
    used = [use for use in known.uses if use.target == one.target or (one.asked and use.asked == one.asked)]
    tokens = _summed(use.tokens for use in used)
    cost = sum(use.cost_microusd for use in used)
    then = (
        pricing.microusd(replacement, {**tokens, "requests": sum(use.requests for use in used)})
        if replacement and tokens
        else None
    )
    note = known.catalogue.note_of(replacement.partition("/")[2])
    after = end_of(known, replacement) if replacement else None
    return one.model_copy(update={
        "replacement": replacement,
        "replacement_end": after.ends if after else None,
        "requests": sum(use.requests for use in used),
        "usd": usd(cost),
        "usd_then": usd(then) if then is not None else None,
        "price": pricing.usd_per_million(one.target),
        "price_then": pricing.usd_per_million(replacement) if replacement else {},
        "note": note.what if note else "",
        "note_source": note.source if note else "",
        "replay": replay_of(one.target, replacement) if replacement else None,
    })  # fmt: skip


def _replacement(one: Moving, known: Known) -> str:
    """As given; else the maker's, at the same provider."""
    provider, _, model = one.target.partition("/")
    if known.to:
        first, _, rest = known.to.partition("/")
        return known.to if rest and first in known.declared.providers else f"{provider}/{known.to}"
    entry = known.declared.providers.get(provider)
    if entry is None:
        return ""
    found = known.catalogue.replacement_of(model_ends.dates_of(provider, entry), model, known.today)
    return f"{provider}/{found}" if found else ""


def _summed(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for kind, tokens in part.items():
            total[kind] = total.get(kind, 0) + tokens
    return total
