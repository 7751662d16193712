"""`disabled-node`: the planner takes a node that a setting forbids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node

DISABLED_COST = 1e10


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where a node is marked as disabled (PostgreSQL 18), or has the cost that stands for it (before)."""
    del plan
    if not node.facts.get("Disabled") and node.own_cost < DISABLED_COST:
        return None
    return Mark(
        rule="disabled-node",
        badge="disabled by a setting",
        what=f"{node.kind} is switched off by an enable_… setting, and nothing else is possible.",
        why="The settings leave the planner no good plan.",
        instead="Look for enable_… = off: SELECT name, setting, source FROM pg_settings WHERE name LIKE 'enable%'.",
        severity=Severity.WARNING,
    )
