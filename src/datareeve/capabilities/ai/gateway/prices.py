"""What requests cost, in whole micro-dollars: genai-prices' list, and the estate's own prices before it.

The one idea: a dollar per million tokens is a micro-dollar per token. A model's prices are looked up once and kept as integers, so that a
request's cost is a sum of seven products, exact until the end, and rounded once, half to even. Long prompts are priced by tiers as providers do
it: above a tier's start, all tokens of the request have its price.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genai_prices.types import ModelInfo, ModelPrice, Provider

    from datareeve.capabilities.ai.gateway.usage import Tokens
    from datareeve.core.estate_gateway import PriceOverride

SCALE = 10**9  # of the integers: a price's digits behind the point
HALF = SCALE // 2
REMEMBERED = 10_000  # models; names come from clients
QUARTER_HOUR = 900  # prices that depend on the time of day change at most so often
PROTOCOLS = ("openai", "anthropic")
HALF_PRICE_BATCHES = (
    "openai",
    "anthropic",
    "azure",
)  # https://platform.openai.com/docs/guides/batch, https://docs.anthropic.com/en/docs/build-with-claude/batch-processing
LONG_CACHE = Decimal(
    "1.6"
)  # an hour's cache costs 2 x input to write, five minutes' 1.25 x: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching

# Micro-dollars x SCALE for one of: input, output, cache_read, cache_write, cache_write_1h, reasoning; and of a request.
Rates = tuple[int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Tiers:
    """Rates by length of the prompt: `base`, and above each start, the longest first."""

    base: Rates
    above: tuple[tuple[int, Rates], ...] = ()


class Price:
    """What one model costs at one provider. Prices that change with date or hour are looked up again when they do."""

    __slots__ = ("_above", "_base", "_batch", "_now", "_resolve", "_until", "version")

    def __init__(
        self, version: str, resolve: Callable[[float], tuple[_Tiers, _Tiers, float]], now: Callable[[], float]
    ) -> None:
        self.version = version  # of the list it is from: 'genai-prices-0.2.3', 'estate-1a2b3c4d'
        self._resolve = resolve
        self._now = now
        self._renew()

    def cost_microusd(self, tokens: Tokens, batch: bool = False) -> int:  # noqa: FBT001, FBT002 - the contract of the data plane
        """The cost of a request that used these tokens, in micro-dollars, rounded half to even."""
        if self._until is not None and self._now() >= self._until:
            self._renew()
        tiers, asked = (self._batch.above, self._batch.base) if batch else (self._above, self._base)
        length = tokens.input
        for start, rates in tiers:
            if length > start:
                asked = rates
                break
        read, write, hour, thought = (
            tokens.cache_read,
            tokens.cache_write,
            tokens.cache_write_1h,
            tokens.reasoning,
        )
        plain = length - read - write - hour
        total = (
            max(plain, 0) * asked[0]
            + (tokens.output - thought) * asked[1]
            + read * asked[2]
            + write * asked[3]
            + hour * asked[4]
            + thought * asked[5]
        )
        if asked[6] and (length or tokens.output):
            total += asked[6]
        whole, rest = divmod(total, SCALE)
        if rest > HALF or (rest == HALF and whole & 1):
            whole += 1
        return max(whole, 0)

    def usd_per_million(self) -> dict[str, float]:
        """Its prices without tiers, in US dollars per million tokens, by kind: for people."""
        names = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
        return {name: rate / SCALE for name, rate in zip(names, self._base[:6], strict=True)}

    def _renew(self) -> None:
        standard, self._batch, until = self._resolve(self._now())
        self._base, self._above = standard.base, standard.above
        self._until = None if until == math.inf else until


class PriceBook:
    """Prices of all models, by provider. `overrides`: by provider/model as the estate names them; `openai/*` matches the rest."""

    def __init__(
        self,
        overrides: Mapping[str, PriceOverride] | None = None,
        version: str | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._version = version
        self._known: dict[tuple[str, str, str, str], Price | None] = {}
        self.adopt(overrides or {})

    @staticmethod
    def load() -> None:
        """Load the list, which takes a moment, before the first price is asked for."""
        _price_list()
        _list_version()

    def adopt(self, overrides: Mapping[str, PriceOverride]) -> None:
        """Take other prices of the estate, from the next look-up on."""
        self._overrides = dict(overrides)
        told = sorted((name, repr(price)) for name, price in self._overrides.items())
        self._own_version = f"estate-{hashlib.sha256(repr(told).encode()).hexdigest()[:8]}"
        self._known.clear()

    @property
    def version(self) -> str:
        """Of all of it: the list's, and the estate's where it has prices of its own."""
        return f"{self._listed_as}+{self._own_version}" if self._overrides else self._listed_as

    @property
    def _listed_as(self) -> str:
        return self._version or _list_version()

    def of(self, provider_hint: str | None, base_url: str, model: str, *, target: str = "") -> Price | None:
        """The price of a model; None where none is known, and then it costs nothing that we could say.

        `target`: provider/model as the estate names them, for its own prices (a batch costs half of them). Without one: by `provider_hint` where it is a provider's name
        in genai-prices; by `base_url` where it is a protocol's name only, and by that protocol's own provider where the address says nothing.
        """
        key = (provider_hint or "", base_url, model, target)
        if key not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = self._found(*key)
        return self._known[key]

    def _found(self, hint: str, base_url: str, model: str, target: str) -> Price | None:
        own = self._own(target)
        if own is not None:
            standard, batch = _tiers_of_override(own, 1), _tiers_of_override(own, 2)
            return Price(self._own_version, lambda _: (standard, batch, math.inf), self._now)
        for provider in self._providers(hint.lower(), base_url):
            found = provider.find_model(model, all_providers=list(_price_list()))
            if found is not None:
                return _listed(provider, found, self._listed_as, self._now)
        return None

    def _own(self, target: str) -> PriceOverride | None:
        exact = self._overrides.get(target)
        if exact is not None:
            return exact
        wild = [name for name in self._overrides if name.endswith("*") and target.startswith(name[:-1])]
        return self._overrides[max(wild, key=len)] if wild else None

    def _providers(self, hint: str, base_url: str) -> list[Provider]:
        """Whose prices may hold, the likeliest first."""
        listed = _price_list()
        by_name = [p for p in listed if p.id == hint] or [
            p for p in listed if hint and p.provider_match is not None and p.provider_match.is_match(hint)
        ]
        if hint and hint not in PROTOCOLS:
            return by_name
        return [p for p in listed if re.match(p.api_pattern, base_url)] or by_name


def _listed(provider: Provider, model: ModelInfo, version: str, now: Callable[[], float]) -> Price | None:
    """A model's price from the list; None where it lists none for tokens."""

    def resolve(at: float) -> tuple[_Tiers, _Tiers, float]:
        moment = datetime.fromtimestamp(at, UTC)
        standard = model.get_prices(moment)
        batch = model.get_prices(moment, {"processing": "batch"})
        half = batch == standard and provider.id in HALF_PRICE_BATCHES
        return _tiers(standard, 1), _tiers(batch, 2 if half else 1), _next_change(model, at)

    if not any(name in _TOKEN_PRICES for name, price in vars(model.get_prices(datetime.fromtimestamp(now(), UTC))).items() if price is not None):  # fmt: skip
        return None
    return Price(version, resolve, now)


def _next_change(model: ModelInfo, at: float) -> float:
    """When the model's prices may be others, in Unix seconds."""
    conditions = [c.constraint for c in model.prices] if isinstance(model.prices, list) else []
    conditions += [variant.constraint for variant in model.price_variants or ()]
    changes = [math.inf]
    for condition in conditions:
        start = getattr(condition, "start_date", None)
        if start is not None:
            begins = datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()
            changes += [begins] if begins > at else []
        elif condition is not None:
            changes.append((at // QUARTER_HOUR + 1) * QUARTER_HOUR)
    return min(changes)


# -- prices as integers ------------------------------------------------------------------------------------------------------------

# A kind without a price of its own is priced as the kind it is part of.
_TOKEN_PRICES = {
    "input_mtok": None, "output_mtok": None, "cache_read_mtok": "input_mtok", "cache_write_mtok": "input_mtok",
    "cache_write_1h_mtok": "cache_write_mtok", "output_reasoning_mtok": "output_mtok",
}  # fmt: skip


def _tiers(prices: ModelPrice, parts: int) -> _Tiers:
    """The rates of a model's prices, each divided by `parts`."""
    told = {name: price for name, price in vars(prices).items() if price is not None}
    starts = {tier.start for price in told.values() for tier in getattr(price, "tiers", ())}
    above = tuple((start, _rates(told, start + 1, parts)) for start in sorted(starts, reverse=True))
    return _Tiers(_rates(told, 0, parts), above)


def _rates(told: Mapping[str, Any], length: int, parts: int) -> Rates:
    """The rates for a prompt of so many tokens."""
    kinds = {name: _at_length(told, name, length) for name in _TOKEN_PRICES}
    request = _scaled(told.get("requests_kcount", Decimal(0)) * 1000)  # dollars per thousand requests
    whole = [_scaled(price / parts) for price in kinds.values()]
    return (whole[0], whole[1], whole[2], whole[3], whole[4], whole[5], request)


def _at_length(told: Mapping[str, Any], name: str, length: int) -> Decimal:
    price = told.get(name)
    if price is None:
        instead = _TOKEN_PRICES[name]
        return _at_length(told, instead, length) if instead else Decimal(0)
    if isinstance(price, Decimal):
        return price
    for tier in reversed(price.tiers):
        if length > tier.start:
            return Decimal(tier.price)
    return Decimal(price.base)


def _tiers_of_override(price: PriceOverride, parts: int) -> _Tiers:
    told: dict[str, Any] = {"input_mtok": _decimal(price.input), "output_mtok": _decimal(price.output)}
    if price.cache_read is not None:
        told["cache_read_mtok"] = _decimal(price.cache_read)
    if price.cache_write is not None:
        told["cache_write_mtok"] = _decimal(price.cache_write)
        told["cache_write_1h_mtok"] = told["cache_write_mtok"] * LONG_CACHE
    return _Tiers(_rates(told, 0, parts))


def _decimal(price: float) -> Decimal:
    return Decimal(repr(price))  # as it was written: 0.1 is a tenth


def _scaled(price: Decimal) -> int:
    return int((price * SCALE).to_integral_value(ROUND_HALF_EVEN))


# -- the list ----------------------------------------------------------------------------------------------------------------------


@cache
def _price_list() -> tuple[Provider, ...]:
    """genai-prices' list: a third of a second and 11 MB, once a process."""
    from genai_prices import data_snapshot  # noqa: PLC0415 - an extra, and slow to import

    return tuple(data_snapshot.get_snapshot().providers)


@cache
def _list_version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - only for this

    return f"genai-prices-{version('genai-prices')}"
