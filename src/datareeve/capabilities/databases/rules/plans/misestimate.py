"""`misestimate`: the planner expected ten times more or fewer rows than there were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node

TIMES = 10
LEAST = 100  # rows


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where the estimate is off by ten times or more, and one of both is at least a hundred rows."""
    del plan
    off = node.off
    if off is None or node.actual_rows is None or off < TIMES or max(node.rows, node.actual_rows) < LEAST:
        return None
    said = "fewer" if node.actual_rows < node.rows else "more"
    if node.cut_short and said == "fewer":
        return None  # whoever is above had enough
    if any((child.off or 0) >= off / 2 for child in node.children):
        return None  # it began below, and is told there
    return Mark(
        rule="misestimate",
        badge=f"{off:,.0f} times {said} rows",
        what=f"{node.rows:,.0f} rows were expected, {node.actual_rows:,.0f} came: {off:,.0f} times {said}.",
        why="Joins and memory above it are chosen for the wrong number of rows.",
        instead="ANALYZE; where columns depend on each other CREATE STATISTICS (dependencies, ndistinct, mcv) on them; for an expression an index or statistics on it.",
        severity=Severity.WARNING,
        figures={"expected": node.rows, "found": node.actual_rows, "times": round(off, 1)},
    )
