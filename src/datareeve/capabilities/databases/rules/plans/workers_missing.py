"""`workers-missing`: fewer parallel workers came than were planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where a Gather had fewer workers than planned."""
    del plan
    planned, launched = node.facts.get("Workers Planned", 0), node.facts.get("Workers Launched")
    if launched is None or launched >= planned:
        return None
    return Mark(
        rule="workers-missing",
        badge=f"{launched} of {planned} workers",
        what=f"{planned} parallel workers were planned, {launched} came.",
        why="max_parallel_workers was used up: the plan is chosen for more hands than it gets.",
        instead="Raise max_parallel_workers (and max_worker_processes), or lower max_parallel_workers_per_gather.",
        severity=Severity.INFO,
        figures={"planned": planned, "launched": launched},
    )
