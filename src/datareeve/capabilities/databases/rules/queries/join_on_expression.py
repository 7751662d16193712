"""`join-on-expression`: tables are joined on an expression of a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where an ON or a WHERE equates expressions of columns of two tables."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    for equal in tree.find_all(exp.EQ):
        sides = (equal.this, equal.expression)
        names = [{column.table for column in side.find_all(exp.Column)} for side in sides]
        apart = all(len(name) == 1 and "" not in name for name in names) and names[0] != names[1]
        if (
            apart
            and any(isinstance(side, (exp.Func, exp.Cast)) for side in sides)
            and not equal.find(exp.Select)
        ):
            break
    else:
        return None
    return of_family(
        family,
        "join-on-expression",
        what="Tables are joined on a function or cast of a column",
        why="No index on the column serves the join, and the planner guesses how many rows match.",
        instead="Give both columns one type and spelling; else index the expression, which gives it statistics too.",
        severity=Severity.INFO,
    )
