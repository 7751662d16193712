"""`offset-paging`: pages of a long list by OFFSET."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where a statement skips rows with OFFSET."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    if tree.find(exp.Offset) is None:
        return None
    return of_family(
        family,
        "offset-paging",
        what="Pages are found by skipping rows with OFFSET",
        why="The server reads and throws away every skipped row: page 1,000 costs a thousand times page 1.",
        instead="Page by key: WHERE (order columns) > (last row's values) ORDER BY the same columns LIMIT n, with an index on them.",
    )
