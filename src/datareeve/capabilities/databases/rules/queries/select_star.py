"""`select-star`: every column is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where the outermost SELECT asks for all columns."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    if not isinstance(tree, exp.Select) or not any(
        column.is_star and not column.find(exp.Count) for column in tree.expressions
    ):
        return None
    return of_family(
        family,
        "select-star",
        what="All columns are asked for with *",
        why="Columns nobody reads are sent and decoded, an index alone can never answer, and a new column changes the application.",
        instead="Name the columns that are used.",
        severity=Severity.INFO,
    )
