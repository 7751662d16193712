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
SCHEDULE = "watch-gateway"  # it takes the samples: without it rules would be judged on nothing
FORECAST = "gateway-budget-forecast"
SPENT_PERCENT, ALL_SPENT_PERCENT = 80.0, 99.9  # of a budget that no rule of its own watches
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


def changes(budgets: Mapping[str, SpendBudget], standing: Mapping[str, dict[str, Any]]) -> Iterator[Change]:
    """The rules of all budgets: an owner's as they stand, those of other shares go. Who is told of the forecast is told."""
    rules = {f"{SUBJECT}-{key}": fields for key, fields in proposals(budgets).items()}
    ours = tuple(f"{SUBJECT}-{prefix(name)}" for name in budgets)
    gone = [one for one in standing if one not in rules and one.startswith(ours)]
    told = standing.get(FORECAST, {}).get("notify", ())
    for name, fields in rules.items():
        new = AlertRule(name=name, system=SUBJECT, notify=told, **fields).model_dump(
            mode="json", exclude_defaults=True
        )
        yield _change(name, standing, standing.get(name) or new, fields["advice"])
    for name in gone:
        yield _change(name, standing, None, "Each budget is watched by its own shares.")


def _change(
    name: str, standing: Mapping[str, dict[str, Any]], after: dict[str, Any] | None, why: str
) -> Change:
    return Change(id=f"alert {name}", where=("alerts", name), before=standing.get(name), after=after, why=why)


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
