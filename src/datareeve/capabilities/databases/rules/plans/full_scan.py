"""`full-scan`: all of a large table is read, of which a condition keeps a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node

LARGE_SCAN_COST = 1000.0  # about 800 pages


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where a sequential scan with a filter costs more than about 800 pages."""
    del plan
    condition = dict(node.conditions).get("Filter")
    if not node.kind.endswith("Seq Scan") or condition is None or node.cost <= LARGE_SCAN_COST:
        return None
    rows = node.rows if node.actual_rows is None else node.actual_rows * max(node.loops, 1)
    return Mark(
        rule="full-scan",
        badge="full scan",
        what=f"All of the table is read to find about {rows:,.0f} rows where {condition}.",
        why="The time grows with the table, not with the answer.",
        instead="databases.advise-indexes tries indexes for it on a copy.",
        severity=Severity.WARNING,
        figures={"cost": node.cost, "rows": rows},
    )
