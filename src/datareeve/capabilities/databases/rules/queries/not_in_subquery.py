"""`not-in-subquery`: NOT IN with a subquery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where a condition is NOT IN (SELECT ...)."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    if not any(
        isinstance(negated.this, exp.In) and negated.this.args.get("query")
        for negated in tree.find_all(exp.Not)
    ):
        return None
    return of_family(
        family,
        "not-in-subquery",
        what="NOT IN asks a subquery",
        why="One NULL in the subquery makes the answer empty, and the planner cannot turn it into a join: it may run for every row.",
        instead="NOT EXISTS (SELECT 1 FROM ... WHERE its column = the outer one).",
    )
