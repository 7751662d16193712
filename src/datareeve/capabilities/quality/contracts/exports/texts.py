"""What the formats share: what a file holds and what it does not, tolerances, references as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from datareeve.capabilities.quality.contracts.drafts import column
from datareeve.capabilities.quality.rule import NONE_BREAK, Bounds, Rule

if TYPE_CHECKING:
    from collections.abc import Callable


class Held(NamedTuple):
    """A file, and the rules that it cannot hold, each with why."""

    text: str
    left: tuple[tuple[Rule, str], ...]


MOVES = "A bound that moves with the clock would be written down as a constant."


def mostly(rule: Rule) -> float | None:
    """The share of rows that must be good; None where the tolerance is something else."""
    if rule.bounds == NONE_BREAK:
        return 1.0
    if rule.unit == "percent" and rule.bounds == Bounds(at_most=rule.bounds.at_most):
        return round(1 - (rule.bounds.at_most or 0.0) / 100, 9)
    return None


def orphans(rule: Rule, quoted: Callable[[str], str]) -> str:
    """The condition of rows (alias c) that have no row in the other table."""
    there = [f"c.{column(one)} IS NOT NULL" for one in rule.columns]
    joined = " AND ".join(
        f"p.{column(theirs)} = c.{column(ours)}"
        for ours, theirs in zip(rule.columns, rule.arguments["columns"], strict=True)
    )
    own = [f"({rule.where})"] if rule.where else []
    return " AND ".join(
        [*there, *own, f"NOT EXISTS (SELECT 1 FROM {quoted(rule.arguments['table'])} AS p WHERE {joined})"]
    )


def threshold(bounds: Bounds, *, percent: bool = False) -> str | None:
    """'between 1 and 5', '< 3 %'; None where it takes more than one."""
    sign = "%" if percent else ""
    signs = {
        "equal_to": "=",
        "not_equal_to": "!=",
        "at_least": ">=",
        "at_most": "<=",
        "above": ">",
        "below": "<",
    }
    given = {name: value for name, value in bounds if value is not None}
    if given.keys() == {"at_least", "at_most"}:
        return f"between {given['at_least']:.15g}{sign} and {given['at_most']:.15g}{sign}"
    if given.keys() == {"not_within"}:
        low, high = given["not_within"]
        return f"not between {low:.15g}{sign} and {high:.15g}{sign}"
    if len(given) != 1:
        return None
    ((name, value),) = given.items()
    return f"{signs[name]} {value:.15g}{sign}"
