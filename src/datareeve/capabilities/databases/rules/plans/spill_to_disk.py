"""`spill-to-disk`: a sort or a hash does not fit into work_mem and goes through temporary files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node

MEGABYTE = 1024  # kB


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where a sort was external, or a hash or a hash aggregate had several batches."""
    del plan
    batches = (
        node.facts.get("Hash Batches", 1) if node.kind == "Hash" else node.facts.get("HashAgg Batches", 1)
    )
    on_disk = node.facts.get("Sort Space Type") == "Disk"
    if not on_disk and batches <= 1 and not node.facts.get("Disk Usage"):
        return None
    kilobytes = (
        node.facts.get("Sort Space Used", 0)
        if on_disk
        else node.facts.get("Disk Usage", 0) or node.buffers.temp * 8
    )
    return Mark(
        rule="spill-to-disk",
        badge=f"{kilobytes / 1024:,.0f} MB on disk" if kilobytes >= MEGABYTE else "on disk",
        what=f"{node.kind} did not fit into work_mem: {kilobytes:,} kB went through temporary files{f' in {batches} batches' if batches > 1 else ''}.",
        why="Writing and reading temporary files takes longer than sorting or hashing in memory.",
        instead="More work_mem for this statement or role (SET LOCAL work_mem; databases.tune-settings measures it), fewer or narrower rows, or an index in that order.",
        severity=Severity.WARNING,
        figures={"kilobytes": kilobytes, "batches": batches},
    )
