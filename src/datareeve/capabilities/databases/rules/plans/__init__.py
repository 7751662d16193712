"""What stands out in a plan: one rule a file, each a function from a node to a mark or nothing.

A rule sees nodes without constants. Nothing here reads a system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans import (
    disabled_node,
    filter_discards,
    full_scan,
    heap_fetches,
    jit_cost,
    lossy_bitmap,
    many_loops,
    misestimate,
    partitions_not_pruned,
    spill_to_disk,
    workers_missing,
)
from datareeve.capabilities.databases.rules.plans.mark import Mark

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.databases.explain import Explained, Node
    from datareeve.core.operation import Finding

__all__ = ("RULES", "Mark", "findings", "marks")

RULES: tuple[Callable[[Node, Explained], Mark | None], ...] = (
    full_scan.mark,
    filter_discards.mark,
    spill_to_disk.mark,
    misestimate.mark,
    many_loops.mark,
    lossy_bitmap.mark,
    heap_fetches.mark,
    partitions_not_pruned.mark,
    jit_cost.mark,
    workers_missing.mark,
    disabled_node.mark,
)


def marks(plan: Explained) -> dict[int, tuple[Mark, ...]]:
    """What every rule says, by node number; nodes of which nothing is said are left out."""
    found = {node.number: tuple(m for rule in RULES if (m := rule(node, plan))) for node in plan.root.walk()}
    return {number: told for number, told in found.items() if told}


def findings(plan: Explained) -> tuple[Finding, ...]:
    """The marks as findings, in the order of the nodes."""
    said = marks(plan)
    return tuple(one.finding(node) for node in plan.root.walk() for one in said.get(node.number, ()))
