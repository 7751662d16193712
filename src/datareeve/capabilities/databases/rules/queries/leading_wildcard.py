"""`leading-wildcard`: LIKE with a pattern that starts with a wildcard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where a recorded pattern of LIKE began with % or _."""
    del tree
    if not family.leading_wildcard:
        return None
    return of_family(
        family,
        "leading-wildcard",
        what="The pattern of a LIKE begins with a wildcard",
        why="No B-tree can find the end of a text: every row is read.",
        instead="Search from the beginning of the text, or create a trigram index: CREATE EXTENSION pg_trgm; USING gin (column gin_trgm_ops).",
    )
