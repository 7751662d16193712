"""`lossy-bitmap`: a bitmap did not fit into work_mem, and whole pages are looked through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node

LEAST = 100  # pages


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where a bitmap heap scan had more lossy pages than exact ones."""
    del plan
    lossy, exact = node.facts.get("Lossy Heap Blocks", 0), node.facts.get("Exact Heap Blocks", 0)
    if lossy <= exact or lossy < LEAST:
        return None
    return Mark(
        rule="lossy-bitmap",
        badge="lossy bitmap",
        what=f"{lossy:,} of {lossy + exact:,} pages were remembered whole, not by row.",
        why="Every row of such a page is checked again.",
        instead="More work_mem for this statement, or an index that finds fewer rows.",
        severity=Severity.WARNING,
        figures={"lossy": lossy, "exact": exact},
    )
