"""What models cost, as the control plane asks it: the gateway's own price book, with the estate's providers and prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.gateway.prices import PriceBook
from datareeve.capabilities.ai.gateway.usage import Tokens
from datareeve.core.figures import money

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.capabilities.ai.declared import Declared
    from datareeve.capabilities.ai.gateway.prices import Price

__all__ = ("KINDS", "USD", "Pricing", "money", "usd")

USD = 1e-6  # a micro-dollar
DEFAULT_ADDRESSES = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
KINDS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")


class Pricing:
    """The prices of one estate, as its gateway has them."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self._book = PriceBook(declared.settings.prices)

    @property
    def version(self) -> str:
        """Of the price list and the estate's own prices."""
        return self._book.version

    def of(self, target: str) -> Price | None:
        """The price of 'provider/model'; None where none is known, or the provider is not the estate's."""
        provider, _, model = target.partition("/")
        entry = self._declared.providers.get(provider)
        if entry is None:
            return None
        address = str(entry.get("base_url") or DEFAULT_ADDRESSES.get(str(entry["kind"]), ""))
        return self._book.of(str(entry.get("prices_as") or entry["kind"]), address, model, target=target)

    def usd_per_million(self, target: str) -> dict[str, float]:
        """By kind of token, {} where no price is known."""
        found = self.of(target)
        return found.usd_per_million() if found else {}

    def microusd(self, target: str, used: Mapping[str, Any], *, batch: bool = False) -> int | None:
        """What sums of tokens would cost; None where no price is known.

        Priced as so many average requests: where only some prompts are so long that all their tokens have a dearer tier, that is not in it.
        """
        found = self.of(target)
        if found is None:
            return None
        requests = max(int(used.get("requests") or 1), 1)
        each = {kind: int(used.get(kind) or 0) / requests for kind in KINDS}
        longest = max(each["input"], each["output"])
        # Short requests are priced in lots of many tokens, so that the rounding to whole micro-dollars is not felt.
        scale = LOT / longest if 0 < longest < LOT else 1.0
        lot = Tokens(**{kind: round(tokens * scale) for kind, tokens in each.items()})
        return round(found.cost_microusd(lot, batch) / scale * requests)


LOT = 90_000  # tokens: below every tier of the price list


def usd(microusd: float) -> float:
    """US dollars, to the micro-dollar."""
    return round(microusd * USD, 6)
