"""What several operations say about the gateway and its providers, said in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.providers_seen import DOWN, SUMS
from datareeve.core import figures
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.capabilities.ai.providers_seen import Seen

GATEWAY = "gateway"
LOG = ".datareeve/gateway/log"


def behind(sentence: str, severity: Severity = Severity.WARNING) -> Finding:
    """A gateway that does not work by the estate as it stands."""
    return Finding(
        rule="gateway-behind",
        subject=GATEWAY,
        what=f"A gateway does not follow: {sentence}.",
        instead=f"Its log says why: {LOG} on its machine.",
        severity=severity,
    )


def provider_seen(seen: Seen) -> Finding:
    """A provider that gateways leave alone, or whose attempts fail, whoever answers in its place."""
    figures = {name: getattr(seen, name) for name in SUMS}
    return provider_not_well(seen.provider, seen.state, seen.words, figures)


def provider_not_well(provider: str, state: str, words: str, figures: Mapping[str, Any]) -> Finding:
    """A provider that is down or degraded, as `words` say."""
    return Finding(
        rule=f"provider-{state}",
        subject=provider,
        what=f"{provider} is {state}: {words}.",
        instead=_provider_advice(provider),
        severity=Severity.CRITICAL if state == DOWN else Severity.WARNING,
        figures=dict(figures),
    )


def _provider_advice(provider: str) -> str:
    return f"Look at its status page; `{command('ai.set-fallback')}` gives routes a second provider, `{command('ai.check-keys', provider=provider)}` tries its keys."


def cost_grows(percent: float, most: float, spending: Mapping[str, Any]) -> Finding:
    """The month costs more beside the last than the target allows."""
    return Finding(
        rule="cost-grows",
        subject=GATEWAY,
        what=f"This month will cost {figures.percent(percent)} % more than the last; the target is at most {figures.percent(most)} %.",
        instead=f"`{command('ai.explain-bill')}` says what makes it grow, `{command('ai.advise-cost')}` what can be saved.",
        figures={name: spending[name] for name in ("usd_month_forecast", "usd_last_month")},
    )


def growth_percent(spending: Mapping[str, Any]) -> float | None:
    """How much more the month will cost than the last one, in percent; None where the last is not known."""
    last, forecast = spending.get("usd_last_month"), spending.get("usd_month_forecast")
    return round(100 * (forecast / last - 1), 1) if last and forecast is not None else None


def no_price(subject: str, what: str, requests: int) -> Finding:
    """Requests whose cost is not known."""
    return Finding(
        rule="no-price",
        subject=subject,
        what=what,
        instead="Give it: gateway.prices in estate.yaml: {provider/model: {input: 2.0, output: 8.0}}, in USD per million tokens.",
        figures={"requests": requests},
    )


def not_tried(provider: str, what: str, instead: str, severity: Severity = Severity.WARNING) -> Finding:
    """A provider that did not say whether it would answer."""
    return Finding(rule="provider-not-tried", subject=provider, what=what, instead=instead, severity=severity)
