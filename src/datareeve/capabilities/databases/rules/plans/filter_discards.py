"""`filter-discards`: most rows that are fetched are thrown away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node

MANY = 10_000
TIMES = 10


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where an index or a join fetches ten times the rows that a filter keeps. Full scans have a mark of their own."""
    del plan
    kept = node.actual_rows
    if (
        kept is None
        or node.kind.endswith("Seq Scan")
        or node.removed * node.loops < MANY
        or node.removed < TIMES * max(kept, 1)
    ):
        return None
    share = node.removed / (node.removed + kept)
    return Mark(
        rule="filter-discards",
        badge=f"{share:.1%} discarded",
        what=f"{node.removed * node.loops:,.0f} rows are fetched and thrown away, {kept * node.loops:,.0f} are kept.",
        why="What the filter asks for is not in the index, so that each row is fetched to be looked at.",
        instead="An index that holds the filter's columns too: databases.advise-indexes.",
        severity=Severity.WARNING,
        figures={"removed": node.removed * node.loops, "kept": kept * node.loops},
    )
