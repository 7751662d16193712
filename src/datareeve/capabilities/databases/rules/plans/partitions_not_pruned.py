"""`partitions-not-pruned`: every partition is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node

MANY = 20


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where an Append reads more than twenty partitions and none was removed."""
    del plan
    children = len(node.children) + node.folded
    if (
        node.kind not in {"Append", "Merge Append", "Parallel Append"}
        or children <= MANY
        or node.facts.get("Subplans Removed")
    ):
        return None
    if not all(child.relation for child in node.children):
        return None
    return Mark(
        rule="partitions-not-pruned",
        badge=f"{children:,} partitions",
        what=f"{children:,} partitions are read, none is left out.",
        why="Each costs planning time, a lock and an open file, though most hold nothing of the answer.",
        instead="Compare the partition key itself with values, without a function or cast around it; for joins see enable_partition_pruning and enable_partitionwise_join.",
        severity=Severity.WARNING,
        figures={"partitions": children},
    )
