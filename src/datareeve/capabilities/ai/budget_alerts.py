"""Alerts of budgets: for each share of a budget at which somebody is told (`alert_percent`) one rule, judged on that budget alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.declared import Change
from datareeve.core.estate import AlertRule
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from datareeve.core.estate_gateway import SpendBudget

SUBJECT = "gateway"
FORECAST = "gateway-budget-forecast"
ALL_OF_IT = 100  # percent
JUST_BELOW = 0.005  # percent: the sample is rounded to two decimals, and a share that is reached is told


def sample(budget: str) -> str:
    """The name of the sample that says how much of a budget is spent, in percent."""
    return f"budget_{budget}_percent"


def unwatched(budgets: Iterable[str], standing: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The budgets that no rule of their own watches: they were written by hand, or with a key. The rules for all of them together do."""
    samples = {rule.get("sample") for rule in standing}
    return tuple(name for name in budgets if sample(name) not in samples)


def prefix(budget: str) -> str:
    """What the keys of a budget's rules begin with."""
    return f"budget-{budget}-at-"


def proposals(budgets: Mapping[str, SpendBudget]) -> dict[str, dict[str, Any]]:
    """The rules by key, without name and system."""
    return {
        f"{prefix(name)}{percent}": _rule(name, budget, percent)
        for name, budget in budgets.items()
        for percent in budget.alert_percent
    }


def changes(name: str, budget: SpendBudget, standing: Mapping[str, dict[str, Any]]) -> Iterator[Change]:
    """The rules of a budget: its owner's as they stand; those of other shares go. Who is told of the forecast is told of them."""
    rules = {f"{SUBJECT}-{key}": fields for key, fields in proposals({name: budget}).items()}
    told = standing.get(FORECAST, {}).get("notify", ())
    for rule in dict.fromkeys(
        (*rules, *(one for one in standing if one.startswith(f"{SUBJECT}-{prefix(name)}")))
    ):
        made, why = None, "Nobody is told of this share any more."
        if fields := rules.get(rule):
            new = AlertRule(name=rule, system=SUBJECT, notify=told, **fields)
            made, why = (
                standing.get(rule) or new.model_dump(mode="json", exclude_defaults=True),
                fields["advice"],
            )
        yield Change(
            id=f"alert {rule}", where=("alerts", rule), before=standing.get(rule), after=made, why=why
        )


def is_of_a_budget(rule: str) -> bool:
    """Whether it is a rule of one budget's share."""
    return rule.startswith(f"{SUBJECT}-budget-") and "-at-" in rule


def has_own(budget: str, rules: Iterable[str]) -> bool:
    """Whether a budget has a rule for a share of its own, among the names of all rules."""
    return any(rule.startswith(f"{SUBJECT}-{prefix(budget)}") for rule in rules)


def _rule(name: str, budget: SpendBudget, percent: int) -> dict[str, Any]:
    stops = budget.hard and percent >= ALL_OF_IT
    return {
        "sample": sample(name),
        "above": percent - JUST_BELOW,
        "for_samples": 1,
        "severity": Severity.CRITICAL if stops else Severity.WARNING,
        "tells": ("usd_month",),
        "advice": f"{percent} % of budget {name} is spent"
        + (
            "; requests under it are refused now: a higher one lets them on, "
            if stops
            else ". Who spends it: `datareeve run ai.usage --by key`. A higher one: "
        )
        + f"`datareeve run ai.set-budget --budget {name} --usd {2 * budget.usd:g}`",
    }
