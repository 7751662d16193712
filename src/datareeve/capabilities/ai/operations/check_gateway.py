"""`ai.check-gateway`: how the gateway is now, in figures."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai.declared import Declared, declared
from datareeve.capabilities.ai.operations.set_up_gateway import PROCESS
from datareeve.core import clock, figures
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

DAY = 86_400
ERROR_PERCENT, EXPIRY_DAYS = 5.0, 14.0
SPENT_PERCENT, WHOLE = 80.0, 100.0


class CheckGatewayFacts(Value):
    """What check-gateway looks at."""

    declared: Declared
    gateways: int = 0  # processes that were heard of lately, on any machine
    answers: bool = False  # the one of this machine, over HTTP
    behind: tuple[str, ...] = ()  # gateways that do not work by the estate as it stands
    traffic: dict[str, Any] = Field(default_factory=dict)
    spending: dict[str, Any] = Field(default_factory=dict)
    budgets: dict[str, dict[str, Any]] = Field(default_factory=dict)
    key_days_left: float | None = None  # of the key in use that ends first
    growth_percent_most: float = 10.0  # the estate's target


class CheckGateway(Operation[CheckGatewayFacts]):
    """Check the AI gateway: is it up, do providers answer, what is spent.

    Looks at the running gateways and at what they counted: availability, errors and response times of the last minutes, requests that limits
    refused, cache hits, spending of the day and the month with its forecast, how much of each budget is used, and keys that end soon.
    Nothing is changed and no provider is asked.
    """

    name: ClassVar[str] = "ai.check-gateway"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "is the AI gateway healthy",
        "check the AI gateway",
        "how do our AI APIs respond",
        "error rate of OpenAI requests",
        "report integration status and usage metrics",
    )
    sampled_as: ClassVar[str] = "gateway"

    minutes: float = Field(5.0, gt=0, le=1440, description="how far back traffic is looked at")

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> CheckGatewayFacts:
        """Of the gateways, what they say; of the store, what they counted."""
        process, control = systems[PROCESS], systems["gateway"]
        figures = process.read("figures", seconds=self.minutes * 60)
        target = systems["estate"].read("get", where=["targets", "ai_cost_growth_percent"])
        return CheckGatewayFacts(
            declared=declared(systems),
            gateways=len(control.read("gateways")),
            answers=process.read("answers"),
            behind=tuple(control.read("behind", estate=True)),
            key_days_left=_days_left(control.read("provider_keys")),
            **({"growth_percent_most": target} if target is not None else {}),
            **figures,
        )

    # -- telling -------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: CheckGatewayFacts) -> Plan:
        """Findings and figures; never a step."""
        told = self._summary(facts)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=told,
            nothing_to_do="It only looks.",
            findings=tuple(self._findings(facts)),
            figures={**self.figures(facts), "api_status": told},
        )

    def figures(self, facts: CheckGatewayFacts) -> dict[str, Any]:
        """What alerts are judged by; what is not known is left out, and is no sample."""
        traffic, spending = facts.traffic, facts.spending
        budgets = facts.budgets.values()
        growth = _growth(spending)
        found = {
            "up": int(self._is_up(facts)),
            "gateways": facts.gateways,
            "gateways_behind": len(facts.behind),
            **{
                name: traffic.get(name)
                for name in (
                    "requests_per_minute",
                    "error_percent",
                    "cache_hit_percent",
                    "latency_ms_p50",
                    "latency_ms_p95",
                    "throttled",
                    "unpriced",
                )
            },
            **spending,
            "usd_growth_percent": growth,
            "budget_percent_most": max((b["percent"] for b in budgets), default=None),
            "budget_forecast_percent_most": max((b["forecast_percent"] for b in budgets), default=None),
            "key_days_left": facts.key_days_left,
        }
        return {
            f"ai_{name}" if name in ("latency_ms_p50", "latency_ms_p95", "cache_hit_percent") else name: value
            for name, value in found.items()
            if value is not None
        }

    @staticmethod
    def _is_up(facts: CheckGatewayFacts) -> bool:
        return facts.answers or facts.gateways > 0

    def _summary(self, facts: CheckGatewayFacts) -> str:
        if facts.declared.gateway is None:
            return "There is no gateway: ai.set-up-gateway sets one up."
        if not self._is_up(facts):
            return "down: no gateway runs"
        traffic = facts.traffic
        slow = (
            f", p95 {traffic['latency_ms_p95']:,.0f} ms" if traffic.get("latency_ms_p95") is not None else ""
        )
        return (
            f"up: {figures.number(traffic['requests_per_minute'])} requests a minute, {figures.percent(traffic['error_percent'])} % errors, "
            f"{traffic['throttled']:,} met a limit{slow}; {figures.money(facts.spending['usd_month'])} this month"
        )

    def _findings(self, facts: CheckGatewayFacts) -> list[Finding]:
        if facts.declared.gateway is None:
            return []
        found = [] if self._is_up(facts) else [_down()]
        found += [_behind(sentence) for sentence in facts.behind]
        if facts.traffic.get("error_percent", 0.0) > ERROR_PERCENT:
            found.append(_failing(facts.traffic))
        if facts.traffic.get("unpriced"):
            found.append(_unpriced(facts.traffic["unpriced"]))
        found += [
            _spent(name, budget)
            for name, budget in facts.budgets.items()
            if budget["percent"] >= SPENT_PERCENT or budget["forecast_percent"] > WHOLE
        ]
        growth = _growth(facts.spending)
        if growth is not None and growth > facts.growth_percent_most:
            found.append(_grows(growth, facts))
        if facts.key_days_left is not None and facts.key_days_left < EXPIRY_DAYS:
            found.append(_ends(facts.key_days_left))
        return found


def _days_left(keys: list[dict[str, Any]]) -> float | None:
    now = clock.now().timestamp()
    ends = [key["expires_at"] for key in keys if key["state"] == "active" and key.get("expires_at")]
    return round((min(ends) - now) / DAY, 2) if ends else None


def _growth(spending: dict[str, Any]) -> float | None:
    """How much more the month will cost than the last one, in percent; None where the last is not known."""
    last = spending.get("usd_last_month")
    return round(100 * (spending["usd_month_forecast"] / last - 1), 1) if last else None


def _down() -> Finding:
    return Finding(
        rule="gateway-down",
        subject="gateway",
        what="No gateway runs: applications get no answers.",
        instead="datareeve run ai.set-up-gateway starts it. What it said last stands in .datareeve/gateway/log.",
        severity=Severity.CRITICAL,
    )


def _behind(sentence: str) -> Finding:
    return Finding(
        rule="gateway-behind",
        subject="gateway",
        what=f"A gateway does not follow: {sentence}.",
        instead="Look at its log.",
    )


def _failing(traffic: dict[str, Any]) -> Finding:
    return Finding(
        rule="requests-fail",
        subject="gateway",
        what=f"{figures.percent(traffic['error_percent'])} % of the requests that were sent failed.",
        instead="ai.check-keys says whether keys are taken; ai.set-fallback gives routes another target.",
        severity=Severity.CRITICAL,
        figures={"failed": traffic["failed"], "requests": traffic["requests"]},
    )


def _unpriced(requests: int) -> Finding:
    return Finding(
        rule="no-price",
        subject="gateway",
        what=f"{requests} requests used models whose price is not known: they count for nothing in budgets.",
        instead="Give it: gateway.prices in estate.yaml: {provider/model: {input: 2.0, output: 8.0}}, in USD per million tokens.",
        figures={"requests": requests},
    )


def _spent(name: str, budget: dict[str, Any]) -> Finding:
    percent = budget["percent"]
    return Finding(
        rule="budget-used",
        subject=name,
        what=f"{figures.percent(percent)} % of budget {name} is spent; it comes to {figures.percent(budget['forecast_percent'])} % if it goes on so.",
        instead="Look who spends it, or raise it: ai.set-budget.",
        severity=Severity.CRITICAL if percent >= WHOLE else Severity.WARNING,
        figures={key: budget[key] for key in ("usd", "spent_usd", "percent", "forecast_percent")},
    )


def _grows(growth: float, facts: CheckGatewayFacts) -> Finding:
    return Finding(
        rule="cost-grows",
        subject="gateway",
        what=f"This month will cost {figures.percent(growth)} % more than the last; the target is at most {figures.percent(facts.growth_percent_most)} %.",
        instead="Look at what repeats, at models that are larger than their work, and at prompts that could be cached.",
        figures={
            "usd_month_forecast": facts.spending["usd_month_forecast"],
            "usd_last_month": facts.spending["usd_last_month"],
        },
    )


def _ends(days: float) -> Finding:
    return Finding(
        rule="key-ends",
        subject="gateway",
        what=f"A provider's key that is in use ends in {max(days, 0):.0f} days.",
        instead="Make another one at the provider, then: datareeve run ai.rotate-key --new env:NAME.",
        severity=Severity.CRITICAL if days < 3 else Severity.WARNING,  # noqa: PLR2004 - days
        figures={"days": days},
    )
