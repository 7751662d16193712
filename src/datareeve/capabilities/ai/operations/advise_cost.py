"""`ai.advise-cost`: what could cost less, each with the figure and what proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys, model_ends, periods
from datareeve.capabilities.ai.costs import Seen
from datareeve.capabilities.ai.declared import Declared, declared
from datareeve.capabilities.ai.pricing import KINDS, Pricing, money, usd
from datareeve.capabilities.ai.rules.cost import batchable, cacheable_prefix, noticed
from datareeve.core import clock
from datareeve.core.operation import Effect, Operation, Plan, Systems

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOP = 20  # times within ten minutes
FAILING = 10
CHEAPER = {  # able small models of each maker, that may be tried instead of a larger one
    "openai": ("gpt-6-luna", "gpt-5.6-luna", "gpt-5.6-terra"),
    "anthropic": ("claude-haiku-5-5", "claude-haiku-4-5", "claude-sonnet-5-5"),
}
CHEAP_SHARE = 0.6  # of the cost now: less is not worth the trouble


class AdviseCost(Operation[Seen]):
    """Advise how AI could cost less, with figures that can be proved.

    Looks at the requests of the last days for questions that were asked twice (the response cache is replayed over them), beginnings of prompts
    that the provider's cache would hold (replayed too), crowds that a batch would answer at half price, loops that do not end and keys that
    run wild, requests that fail and are sent again, bounds of answers that are far too high, keys that nobody uses, and models that
    are larger than their work (proved by ai.replay on recorded prompts). Each finding has the saving a month, how it was computed and the
    command that gives it again. Savings may be of the same requests, so they are not added up. Changes nothing.
    """

    name: ClassVar[str] = "ai.advise-cost"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "how can we spend less on AI",
        "cost optimization of AI APIs",
        "find wasted tokens and duplicate calls",
        "find excessive API calls",
        "which prompts could be cached or batched",
        "optimize AI spending",
        "find runaway agents and loops",
    )

    days: float = Field(7.0, gt=0, le=92, description="how far back requests are looked at")
    model: str | None = Field(None, description="only what asked for this name")
    least_usd_month: float = Field(1.0, ge=0, description="a smaller saving is not told")
    idle_days: int = Field(30, ge=1, description="a virtual key that was not used for so long is idle")

    def observe(self, systems: Systems) -> Seen:
        """What repeats, what crowds, what fails; prices; replays."""
        stands, reader = declared(systems), systems[keys.SYSTEM]
        period = periods.last_days(self.days, clock.now())
        at, pricing = period.arguments, Pricing(stands)
        where = {"asked": self.model} if self.model else {}
        by_model = reader.read("usage", by=["model"], where=where, **at)
        again = reader.read(
            "repetition",
            crowd=batchable.CROWD,
            loop=LOOP,
            fail=FAILING,
            kept=cacheable_prefix.KEPT_SECONDS,
            **at,
        )
        bulk = again["bulk"]
        return Seen(
            declared=stands,
            period=period,
            least_usd_month=self.least_usd_month,
            cost_microusd=sum(row["cost_microusd"] for row in by_model),
            repeats=self._only(again["repeats"]),
            prefixes=self._only(again["prefixes"]),
            bulk=tuple(bulk) if not self.model else (),
            batch_share=_batch_shares(bulk, pricing),
            loops=self._only(again["loops"]),
            failing=self._only(again["failing"]),
            by_model=tuple(by_model),
            by_asked=tuple(reader.read("usage", by=["asked", "model"], where=where, **at)),
            by_hour=tuple(reader.read("usage", by=["hour", "key"], **at)) if not self.model else (),
            keys=tuple(reader.read("virtual_keys")) if not self.model else (),
            used_keys=tuple(reader.read("key_use", of="virtual", days=self.idle_days)),
            idle_days=self.idle_days,
            sizes=self._only(reader.read("recorded_sizes", since=period.since)),
            replays=tuple(reader.read("replays")),
            prices={row["model"]: pricing.usd_per_million(row["model"]) for row in by_model if row["model"]},
            makers={name: model_ends.maker_of(entry) for name, entry in stands.providers.items()},
            cheaper=_cheaper(by_model, stands, pricing),
        )

    def _only(self, rows: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
        return tuple(row for row in rows if self.model in (None, row["asked_model"]))

    def plan(self, facts: Seen) -> Plan:
        """Nothing is done; everything is told."""
        findings = noticed(facts)
        savings = [one.figures["usd_month"] for one in findings if one.figures.get("usd_month")]
        spent = f"{money(usd(facts.cost_microusd))} in {facts.period.words}"
        most = f"; the largest saving is {money(max(savings))} a month" if savings else ""
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"{spent}: {len(findings)} findings{most}.",
            nothing_to_do="Advice changes nothing.",
            findings=findings,
            figures={
                "usd": usd(facts.cost_microusd),
                "findings": len(findings),
                "savings": [
                    {"rule": one.rule, "subject": one.subject, "usd_month": one.figures["usd_month"]}
                    for one in findings
                    if one.figures.get("usd_month")
                ],
            },
        )


def _batch_shares(bulk: Iterable[dict[str, Any]], pricing: Pricing) -> dict[str, float]:
    """What a batch costs beside the standard price, by model."""
    found = {}
    for row in bulk:
        target = f"{row['provider']}/{row['model']}"
        standard, batch = pricing.microusd(target, row), pricing.microusd(target, row, batch=True)
        if standard and batch is not None and batch < standard:
            found[target] = batch / standard
    return found


def _cheaper(
    by_model: Iterable[dict[str, Any]], stands: Declared, pricing: Pricing
) -> dict[str, dict[str, Any]]:
    """For each model the first small one of its maker that costs much less for the same tokens."""
    found = {}
    for row in by_model:
        provider, _, model = row["model"].partition("/")
        entry = stands.providers.get(provider)
        now = pricing.microusd(row["model"], row) if entry and row["model"] else None
        for name in CHEAPER.get(model_ends.maker_of(entry), ()) if entry and now else ():
            target = f"{provider}/{name}"
            then = pricing.microusd(target, {kind: row[kind] for kind in (*KINDS, "requests")})
            if name != model and then is not None and now and then <= CHEAP_SHARE * now:
                found[row["model"]] = {"target": target, "share": then / now}
                break
    return found
