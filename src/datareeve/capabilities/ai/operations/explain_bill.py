"""`ai.explain-bill`: what the bill is made of, what changed, and whether the provider counted the same."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import bills, keys, periods
from datareeve.capabilities.ai.declared import declared
from datareeve.capabilities.ai.gateway_findings import no_price
from datareeve.capabilities.ai.operations.usage import interrupted
from datareeve.capabilities.ai.pricing import Pricing, money, usd
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.figures import dollars, percent, written
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

DIMENSIONS = ("model", "key", "team", "asked", "endpoint")
TOP = 5
TOTALS = (
    "requests", "cost_microusd", "saved_microusd", "unpriced", "input", "cache_read", "interrupted", "interrupted_microusd",
)  # fmt: skip
GROWTH_PERCENT = 10.0  # the estate's target where it says nothing else
APART_PERCENT = 1.0  # a difference to the provider's own count that is told
MUCH_ESTIMATED = 1.0  # percent of the bill
KIND_NAMES = {
    "input": "prompts", "output": "answers", "cache_read": "prompts read from the provider's cache", "cache_write": "prompts written to it",
    "cache_write_1h": "prompts written to it for an hour", "reasoning": "reasoning", "other": "long prompts, batches, and what had another price or none",
}  # fmt: skip


class ExplainBillFacts(Value):
    """Two times beside each other."""

    period: periods.Period
    before: periods.Period
    now_by: dict[str, tuple[dict[str, Any], ...]] = Field(default_factory=dict)
    before_by: dict[str, tuple[dict[str, Any], ...]] = Field(default_factory=dict)
    whole_before: bool = False  # usage is known from the beginning of the time before
    estimated: dict[str, int] = Field(default_factory=dict)
    composition: dict[str, float] = Field(default_factory=dict)
    reconciled: tuple[dict[str, Any], ...] = ()
    count: bills.Count | None = None
    growth_percent_most: float = GROWTH_PERCENT

    def total(self, *, before: bool = False) -> dict[str, int]:
        """Sums over everything."""
        rows = (self.before_by if before else self.now_by).get("model", ())
        return {name: sum(row[name] for row in rows) for name in TOTALS}


class ExplainBill(Operation[ExplainBillFacts]):
    """Explain the AI bill: what it is made of, and what made it grow.

    The month so far (or any month) by model, key, team, name asked for and kind of token, beside the same days of the month before: the top
    drivers of the change, each split into more requests and dearer requests. Says how much of it rests on estimates and how many requests
    have no price. With a provider's own usage or cost report it compares the two counts figure by figure. Changes nothing.
    """

    name: ClassVar[str] = "ai.explain-bill"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "explain the AI bill",
        "why did the OpenAI bill go up",
        "what makes AI costs grow",
        "break the invoice down by team",
        "compare our count with the provider's invoice",
        "what is the bill of last month made of",
    )

    month: str | None = Field(
        None, description="as 2026-11; default: the running one, beside the same days of the one before"
    )
    provider: str | None = Field(None, description="only this provider")
    count: str | None = Field(
        None, description="a file with the provider's own usage or cost report (JSON), to compare with"
    )

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> ExplainBillFacts:
        """Both times by every dimension; the provider's count where it is given."""
        period, before = periods.month(self.month, clock.now())
        reader, stands = systems[keys.SYSTEM], declared(systems)
        if self.provider is not None and self.provider not in stands.providers:
            known = ", ".join(stands.providers) or "none yet"
            raise BadInput(
                "provider.unknown", f"The estate has no AI provider {self.provider!r}.", f"It has: {known}."
            )
        where = {"provider": self.provider} if self.provider else {}
        by = {d: tuple(reader.read("usage", by=[d], where=where, **period.arguments)) for d in DIMENSIONS}
        first = reader.read("usage_span")["first"]
        target = systems["estate"].read("get", where=["targets", "ai_cost_growth_percent"])
        count = self._count(systems)
        return ExplainBillFacts(
            period=period,
            before=before,
            now_by=by,
            before_by={
                d: tuple(reader.read("usage", by=[d], where=where, **before.arguments)) for d in DIMENSIONS
            },
            whole_before=first is not None and first < before.since + 86_400,
            estimated=reader.read("estimated", provider=self.provider or "", **period.arguments),
            composition=bills.composition(by["model"], Pricing(stands)),
            count=count,
            reconciled=tuple(
                bills.reconciled(
                    count,
                    reader.read("usage", by=["model"], where=where, since=count.since, until=count.until),
                )
            )
            if count
            else (),
            **({"growth_percent_most": target} if target is not None else {}),
        )

    def _count(self, systems: Systems) -> bills.Count | None:
        if self.count is None:
            return None
        if self.provider is None:
            raise BadInput(
                "bill.provider", "Whose count it is was not said.", "Give the provider too: --provider openai"
            )
        text = systems["files"].read("text", path=self.count)
        if text is None:
            raise BadInput("bill.count", f"There is no file {self.count}.", "Give a path within the project.")
        return bills.parsed_count(text, self.count)

    # -- telling -------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: ExplainBillFacts) -> Plan:
        """Nothing is done; everything is told."""
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=_summary(facts),
            nothing_to_do="Looking changes nothing.",
            findings=tuple(_findings(facts)),
            figures=_figures(facts),
        )


def _drivers(facts: ExplainBillFacts, dimension: str) -> list[bills.Driver]:
    return bills.drivers(dimension, facts.before_by.get(dimension, ()), facts.now_by.get(dimension, ()))


def _change(facts: ExplainBillFacts) -> float | None:
    """In percent of the time before; None where that was not served as a whole, or cost nothing."""
    before = facts.total(before=True)["cost_microusd"]
    return (
        round(100 * (facts.total()["cost_microusd"] / before - 1), 1)
        if before and facts.whole_before
        else None
    )


def _summary(facts: ExplainBillFacts) -> str:
    total, change = facts.total(), _change(facts)
    if not total["requests"]:
        return f"Nothing passed through the gateway in {facts.period.words}."
    said = f"{money(usd(total['cost_microusd']))} in {facts.period.words} for {total['requests']:,} requests"
    if change is not None:
        said += f", {percent(change, sign=True)} % beside {facts.before.words}"
    if change is not None and (drivers := _drivers(facts, "model")):
        said += f"; most of it {drivers[0].name or 'what was not sent'} ({money(drivers[0].usd, sign=True)})"
    return f"{said}."


def _figures(facts: ExplainBillFacts) -> dict[str, Any]:
    total, change = facts.total(), _change(facts)
    billed = total["cost_microusd"] or 1
    return {
        "usd": usd(total["cost_microusd"]),
        "usd_before": usd(facts.total(before=True)["cost_microusd"]),
        **({"usd_growth_percent_so_far": change} if change is not None else {}),
        "usd_saved": usd(total["saved_microusd"]),
        "requests": total["requests"],
        "unpriced": total["unpriced"],
        "interrupted": total["interrupted"],
        "estimated_percent": round(100 * facts.estimated.get("cost_microusd", 0) / billed, 3),
        "usd_made_of": {KIND_NAMES[kind]: amount for kind, amount in facts.composition.items() if amount},
        **{f"by_{d}": [_shown(d, row, billed) for row in facts.now_by.get(d, ())[:TOP]] for d in DIMENSIONS},
        **(
            {
                f"drivers_by_{d}": [one.model_dump() for one in _drivers(facts, d)[:TOP]]
                for d in ("model", "key", "team")
            }
            if facts.whole_before
            else {}
        ),
        **({"reconciled": list(facts.reconciled)} if facts.reconciled else {}),
    }


def _shown(dimension: str, row: dict[str, Any], billed: int) -> dict[str, Any]:
    share = round(100 * row["cost_microusd"] / billed, 1)
    return {
        dimension: row[dimension],
        "usd": usd(row["cost_microusd"]),
        "percent": share,
        "requests": row["requests"],
    }


def _findings(facts: ExplainBillFacts) -> list[Finding]:
    total, change = facts.total(), _change(facts)
    found = []
    if change is not None and change > facts.growth_percent_most:
        found.append(_grew(facts, change))
    if total["unpriced"]:
        found.append(_unpriced(facts, total["unpriced"]))
    share = 100 * facts.estimated.get("cost_microusd", 0) / (total["cost_microusd"] or 1)
    if share > MUCH_ESTIMATED:
        found.append(_estimated(facts, share))
    found += interrupted(total)
    if total["requests"] and not facts.whole_before:
        found.append(_nothing_before(facts))
    return [
        *found,
        *(_apart(row) for row in facts.reconciled if row["model"] == "all" and not _agrees(row)),
    ]


def _agrees(row: dict[str, Any]) -> bool:
    return row["difference_percent"] is not None and abs(row["difference_percent"]) <= APART_PERCENT


def _grew(facts: ExplainBillFacts, change: float) -> Finding:
    top = [one for dimension in ("model", "key") for one in _drivers(facts, dimension)[:2] if one.usd > 0]
    said = "; ".join(
        f"{one.dimension} {one.name or '(none)'} {money(one.usd, sign=True)} ({dollars(one.by_requests, sign=True)} by requests, {dollars(one.by_each, sign=True)} by what one costs)"
        for one in top
    )
    return Finding(
        rule="bill-grew",
        subject="gateway",
        what=f"{facts.period.words} costs {percent(change)} % more than {facts.before.words}; the target is at most {percent(facts.growth_percent_most)} %.",
        why=f"{said}.",
        instead="`datareeve run ai.advise-cost` says what can be saved; a budget keeps it from going on: `datareeve run ai.set-budget --usd 500 --hard`",
        figures={
            "percent": change,
            "usd": usd(facts.total()["cost_microusd"]),
            "usd_before": usd(facts.total(before=True)["cost_microusd"]),
        },
    )


def _unpriced(facts: ExplainBillFacts, requests: int) -> Finding:
    models = [row["model"] for row in facts.now_by.get("model", ()) if row["unpriced"]][:TOP]
    what = f"{requests:,} requests have no price ({', '.join(models)}): they are missing from this bill and from budgets."
    return no_price(", ".join(models) or "gateway", what, requests)


def _estimated(facts: ExplainBillFacts, share: float) -> Finding:
    return Finding(
        rule="bill-estimated",
        subject="gateway",
        what=f"{percent(share)} % of the bill is estimated: the provider did not say what {facts.estimated['requests']:,} requests used.",
        why="Streams that broke, clients that left, or a gateway that was killed: they count with what was seen, or with what is usual.",
        severity=Severity.INFO,
        figures={"percent": round(share, 2), "requests": facts.estimated["requests"]},
    )


def _nothing_before(facts: ExplainBillFacts) -> Finding:
    return Finding(
        rule="nothing-before",
        subject="gateway",
        what=f"The gateway did not serve through all of {facts.before.words}: nothing is said about growth.",
        severity=Severity.INFO,
    )


def _apart(row: dict[str, Any]) -> Finding:
    apart = row["difference_percent"]
    more = apart is None or apart > 0
    why = (
        "Ours is more: requests that broke count with an estimate, or the estate's own prices are higher than the provider's."
        if more
        else "Theirs is more: somebody uses a key of this provider beside the gateway, or prices of a model are missing here."
    )
    return Finding(
        rule="count-apart",
        subject=f"{row['of']}",
        what=f"Of {row['of']} the provider counted {written(row['of'], row['provider'])}, the gateway {written(row['of'], row['gateway'])} ({'no' if apart is None else percent(apart, sign=True)} %).",
        why=why,
        instead="`datareeve run ai.check-keys` lists the provider's keys; its console says which key used what.",
        figures=dict(row),
    )
