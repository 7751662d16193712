"""`ai.check-gateway`: how the gateway is now, in figures."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import budget_alerts, keys
from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Declared, declared
from datareeve.capabilities.ai.gateway_findings import (
    LOG,
    behind,
    cost_grows,
    growth_percent,
    no_price,
    provider_seen,
)
from datareeve.capabilities.ai.operations.set_up_gateway import PROCESS
from datareeve.capabilities.ai.providers_seen import DOWN, Seen, availability, seen
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
    seen: tuple[Seen, ...] = ()  # how providers did in the last minutes, whoever answered in their place
    traffic: dict[str, Any] = Field(default_factory=dict)
    spending: dict[str, Any] = Field(default_factory=dict)
    budgets: dict[str, dict[str, Any]] = Field(default_factory=dict)
    ending: keys.Key | None = None  # the key in use that ends first
    key_days_left: float | None = None
    unwatched: tuple[str, ...] = ()  # budgets that no alert of their own watches
    not_kept: str = ""  # why prompts are not kept, where the estate asks for it
    growth_percent_most: float = 10.0  # the estate's target
    alerts: tuple[str, ...] = ()  # names of the estate's rules


class CheckGateway(Operation[CheckGatewayFacts]):
    """Check the AI gateway: is it up, do providers answer, what is spent.

    Looks at the running gateways and at what they counted: providers that are left alone or whose attempts failed, also where a fallback
    answered in their place; availability, errors and response times of the last minutes, requests that limits refused, cache hits, spending
    of the day and the month with its forecast, how much of each budget is used, and keys that end soon.
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
        stands = declared(systems)
        first = _first_to_end(control.read("provider_keys"))
        gateways = control.read("gateways")
        return CheckGatewayFacts(
            declared=stands,
            gateways=len(gateways),
            seen=tuple(seen(gateways, stands.providers).values()),
            answers=process.read("answers"),
            behind=tuple(control.read("behind", estate=True)),
            ending=first,
            key_days_left=_days_left(first),
            not_kept=_why_not_kept(stands, control),
            unwatched=budget_alerts.unwatched(
                figures["budgets"], systems["estate"].read("get", where=["alerts"]) or []
            ),
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
        growth = growth_percent(spending)
        found = {
            "up": int(self._is_up(facts)),
            "gateways": facts.gateways,
            "gateways_behind": len(facts.behind),
            "providers_down": sum(one.state == DOWN for one in facts.seen),
            "providers_not_well": sum(one.is_ill for one in facts.seen),
            "saved_by_fallback": sum(one.saved for one in facts.seen),
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
            "budget_unwatched_percent_most": max(
                (facts.budgets[name]["percent"] for name in facts.unwatched), default=None
            ),
            "other_budgets_percent_most": max(
                (
                    budget["percent"]
                    for name, budget in facts.budgets.items()
                    if not budget_alerts.has_own(name, facts.alerts)
                ),
                default=0.0 if facts.budgets else None,
            ),
            **{budget_alerts.sample(name): budget["percent"] for name, budget in facts.budgets.items()},
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
            return "There is no gateway: `datareeve run ai.set-up-gateway` sets one up."
        if not self._is_up(facts):
            return "down: no gateway runs"
        traffic = facts.traffic
        slow = (
            f", p95 {traffic['latency_ms_p95']:,.0f} ms" if traffic.get("latency_ms_p95") is not None else ""
        )
        ill = "".join(f"; {one.provider} {one.state} ({one.briefly})" for one in facts.seen if one.is_ill)
        return (
            f"{availability(one.state for one in facts.seen)}: {figures.number(traffic['requests_per_minute'])} requests a minute, {figures.percent(traffic['error_percent'])} % errors, "
            f"{traffic['throttled']:,} met a limit{slow}; {figures.money(facts.spending['usd_month'])} this month{ill}"
        )

    def _findings(self, facts: CheckGatewayFacts) -> list[Finding]:
        if facts.declared.gateway is None:
            return []
        found = [] if self._is_up(facts) else [_down()]
        found += [behind(sentence) for sentence in facts.behind]
        found += [provider_seen(one) for one in facts.seen if one.is_ill]
        if facts.traffic.get("error_percent", 0.0) > ERROR_PERCENT:
            found.append(_failing(facts.traffic))
        if facts.traffic.get("unpriced"):
            unpriced = facts.traffic["unpriced"]
            what = f"{unpriced:,} requests used models whose price is not known: they count for nothing in budgets."
            found.append(no_price("gateway", what, unpriced))
        found += [
            _spent(name, budget)
            for name, budget in facts.budgets.items()
            if budget["percent"] >= SPENT_PERCENT or budget["forecast_percent"] > WHOLE
        ]
        growth = growth_percent(facts.spending)
        if growth is not None and growth > facts.growth_percent_most:
            found.append(cost_grows(growth, facts.growth_percent_most, facts.spending))
        if facts.ending is not None and facts.key_days_left is not None and facts.key_days_left < EXPIRY_DAYS:
            found.append(_ends(facts.ending, facts.key_days_left))
        if facts.not_kept:
            found.append(_not_kept(facts.not_kept))
        return found


def _first_to_end(found: list[dict[str, Any]]) -> keys.Key | None:
    ending = [keys.Key(**key) for key in found if key["state"] == "active" and key.get("expires_at")]
    return min(ending, key=lambda key: key.expires_at or 0.0, default=None)


def _days_left(key: keys.Key | None) -> float | None:
    if key is None or key.expires_at is None:
        return None
    return round((key.expires_at - clock.now().timestamp()) / DAY, 2)


def _why_not_kept(stands: Declared, control: Any) -> str:
    """Why prompts are not kept though the estate asks for it: the key that seals them cannot be had. '' where all is well."""
    if not stands.settings.privacy.keep_prompts:
        return ""
    kek = keys.Kek(**control.read("kek"))
    return "" if kek.id else kek.problem or f"there is none at {kek.reference}"


def _down() -> Finding:
    return Finding(
        rule="gateway-down",
        subject="gateway",
        what="No gateway runs: applications get no answers.",
        instead=f"`{command('ai.set-up-gateway')}` starts it. What it said last stands in {LOG}.",
        severity=Severity.CRITICAL,
    )


def _failing(traffic: dict[str, Any]) -> Finding:
    return Finding(
        rule="requests-fail",
        subject="gateway",
        what=f"{figures.percent(traffic['error_percent'])} % of the requests that were sent failed.",
        instead=f"`{command('ai.check-keys')}` says whether keys are taken; `{command('ai.set-fallback')}` gives routes another target.",
        severity=Severity.CRITICAL,
        figures={"failed": traffic["failed"], "requests": traffic["requests"]},
    )


def _spent(name: str, budget: dict[str, Any]) -> Finding:
    percent = budget["percent"]
    return Finding(
        rule="budget-used",
        subject=name,
        what=f"{figures.percent(percent)} % of budget {name} is spent; it comes to {figures.percent(budget['forecast_percent'])} % if it goes on so.",
        instead=f"Look who spends it: `{command('ai.usage', by='key,model')}`; or raise it: `{command('ai.set-budget', budget=name, usd=round(budget['usd'] * 2, 2))}`",
        severity=Severity.CRITICAL if percent >= WHOLE else Severity.WARNING,
        figures={key: budget[key] for key in ("usd", "spent_usd", "percent", "forecast_percent")},
    )


def _ends(key: keys.Key, days: float) -> Finding:
    rotate = command("ai.rotate-key", provider=key.provider, old=key.id, new="env:NAME")
    return Finding(
        rule="key-ends",
        subject=key.id,
        what=f"{key.id} of {key.provider}, which is in use, ends in {max(days, 0):.0f} days.",
        instead=f"Make another one at the provider, put it into a variable, then: `{rotate}`",
        severity=Severity.CRITICAL if days < 3 else Severity.WARNING,  # noqa: PLR2004 - days
        figures={"days": days},
    )


def _not_kept(why: str) -> Finding:
    return Finding(
        rule="prompts-not-kept",
        subject="gateway.privacy.keep_prompts",
        what=f"The estate asks for prompts to be kept, and none is: the key that seals them cannot be had ({why}).",
        why="Prompts are kept sealed or not at all; replays and comparisons of models have nothing to go by.",
        instead=f"`{command('ai.set-up-keys')}` makes it, where it is to be a file. Or set keep_prompts: false.",
    )
