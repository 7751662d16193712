"""`heap-fetches`: an index-only scan goes to the table after all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.plans.mark import Mark
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained, Node

LEAST = 1000  # rows
SHARE = 0.1


def mark(node: Node, plan: Explained) -> Mark | None:
    """Where more than a tenth of an index-only scan's rows, and a thousand, were fetched from the table."""
    del plan
    fetched = node.facts.get("Heap Fetches", 0)
    if fetched < LEAST or fetched < SHARE * (node.actual_rows or 0) * node.loops:
        return None
    return Mark(
        rule="heap-fetches",
        badge=f"{fetched:,} heap fetches",
        what=f"The index has all columns, and yet {fetched:,} rows were looked up in the table.",
        why="Pages that changed since the last VACUUM are not known to be visible to all.",
        instead="VACUUM the table (databases.vacuum-table), and let autovacuum come more often.",
        severity=Severity.WARNING,
        figures={"fetched": fetched},
    )
