"""`self-join-for-extreme`: a table is joined with its own maximum or minimum of each group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where a table is joined with a grouped max() or min() of itself."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    tables = {table.name for table in tree.find_all(exp.Table)}
    for subquery in tree.find_all(exp.Subquery):
        inner = subquery.this
        if (
            not isinstance(inner, exp.Select)
            or inner.args.get("group") is None
            or not isinstance(subquery.parent, (exp.Join, exp.From))
        ):
            continue
        outer = subquery.parent_select
        own = {table.name for table in inner.find_all(exp.Table)}
        around = (
            {table.name for table in outer.find_all(exp.Table) if table.parent_select is outer}
            if outer
            else set()
        )
        if len(own) == 1 and own <= around <= tables and inner.find(exp.Max, exp.Min):
            break
    else:
        return None
    return of_family(
        family,
        "self-join-for-extreme",
        what="A table is joined with its own greatest or least value of each group",
        why="It is read twice, and the join is planned without knowing that one row of each group matches.",
        instead="DISTINCT ON (group) … ORDER BY group, value DESC for one row of each group, or rank() OVER (PARTITION BY group ORDER BY value DESC) = 1 with all that tie.",
        severity=Severity.INFO,
    )
