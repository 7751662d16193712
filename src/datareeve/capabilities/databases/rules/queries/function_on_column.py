"""`function-on-column`: a column is wrapped in a function or cast before it is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where a condition compares a function of a column, or a cast one, with a value."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    wrapped = [
        side
        for where in tree.find_all(exp.Where)
        for side in _compared(where)
        if isinstance(side, (exp.Func, exp.Cast))
    ]
    if not any(isinstance(argument, exp.Column) for side in wrapped for argument in side.iter_expressions()):
        return None
    return of_family(
        family,
        "function-on-column",
        what="A condition compares a function of a column",
        why="An index on the plain column cannot be used, and the planner guesses how many rows match.",
        instead="Compare the plain column (a range of dates instead of a date part), or index the expression.",
    )


def _compared(where: exp.Expr) -> Iterator[exp.Expr]:
    from sqlglot import exp  # noqa: PLC0415

    for condition in where.find_all(exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between):
        yield from (
            (condition.this, condition.expression) if isinstance(condition, exp.Binary) else (condition.this,)
        )
