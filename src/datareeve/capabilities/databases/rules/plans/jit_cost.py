"""`jit-cost`: compiling the statement took a good part of its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node

LEAST_MS = 20.0
SHARE = 0.2


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where JIT took more than a fifth of the execution and more than 20 ms; told at the root."""
    if node.number != 1 or plan.jit_ms is None or plan.execution_ms is None:
        return None
    if plan.jit_ms < LEAST_MS or plan.jit_ms < SHARE * plan.execution_ms:
        return None
    return Mark(
        rule="jit-cost",
        badge=f"JIT {plan.jit_ms / plan.execution_ms:.0%}",
        what=f"Compiling took {plan.jit_ms:,.0f} of {plan.execution_ms:,.0f} ms.",
        why="Compiled code pays for statements of many seconds; for shorter ones it costs more than it saves.",
        instead="SET jit = off for this statement or role, or raise jit_above_cost.",
        severity=Severity.WARNING,
        figures={"jit_ms": plan.jit_ms},
    )
