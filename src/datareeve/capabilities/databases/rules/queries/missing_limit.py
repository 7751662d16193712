"""`missing-limit`: many rows at once, without a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


MANY_ROWS = 1000  # a call


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where a SELECT without LIMIT or aggregate gave more than 1,000 rows a call."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    per_call = (family.rows or 0) / family.calls if family.calls else 0
    if per_call <= MANY_ROWS or not isinstance(tree, exp.Select) or tree.args.get("limit") is not None:
        return None
    return of_family(
        family,
        "missing-limit",
        what=f"A query without LIMIT gives {per_call:,.0f} rows a call",
        why="Its time and the memory of the application grow with the table.",
        instead="Add ORDER BY and LIMIT and page by key, or read it with a server-side cursor or COPY where all rows are needed.",
    )
