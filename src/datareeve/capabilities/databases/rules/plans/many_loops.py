"""`many-loops`: the inner side of a nested loop runs thousands of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node

MANY = 1000
SHARE = 0.1


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where a child of a nested loop ran more than a thousand times and its loops took a tenth of the whole."""
    if not node.kind.startswith("Nested Loop") or not plan.executed or plan.execution_ms is None:
        return None
    inner = max(node.children, key=lambda child: child.loops, default=None)
    if inner is None or inner.loops < MANY or (inner.ms or 0.0) < SHARE * plan.execution_ms:
        return None
    return Mark(
        rule="many-loops",
        badge=f"{inner.loops:,.0f} loops",
        what=f"{inner.title} ran {inner.loops:,.0f} times, {inner.ms or 0:,.0f} ms in all.",
        why="A nested loop pays once for every outer row; for many rows a hash or merge join pays once.",
        instead="See why few outer rows were expected (misestimate), give the inner side an index that holds all it needs, or join before aggregating.",
        severity=Severity.WARNING,
        figures={"loops": inner.loops, "ms": inner.ms},
    )
