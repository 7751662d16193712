"""`arithmetic-on-column`: a column is added to before it is compared; the value can be taken from the other side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import (
    MOMENTS,
    WHOLE,
    Rewrite,
    conditions,
    is_value,
    parsed,
    sql,
)

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "arithmetic-on-column"
WHY = "An index on the column cannot be used while it is part of a sum."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`n + $1 = $2` as `n = $2 - $1`, for whole numbers; moments and intervals too, whose months may have different lengths."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    changed, differs = False, ""
    for node in conditions(tree):
        side = node.this.unnest() if isinstance(node, exp.Binary) and not isinstance(node, exp.Like) else None
        if (
            not isinstance(side, (exp.Add, exp.Sub))
            or not is_value(node.expression)
            or not is_value(side.expression)
        ):
            continue
        kind = catalog.type_of(side.this)
        if kind in WHOLE or (kind in MOMENTS and _is_interval(side.expression)):
            sign = "-" if isinstance(side, exp.Add) else "+"
            node.set("expression", parsed(f"{_typed(node.expression, kind)} {sign} {sql(side.expression)}"))
            node.set("this", side.this.copy())
            changed, differs = True, differs or ("" if kind in WHOLE else MONTHS)
    return Rewrite(tree, differs=differs) if changed else None


MONTHS = "An interval of months added to a moment does not always lead back by subtracting it: compare with care where it has months."


def _is_interval(node: exp.Expr) -> bool:
    from sqlglot import exp  # noqa: PLC0415

    return isinstance(node, exp.Interval) or (isinstance(node, exp.Cast) and node.to.is_type("interval"))


def _typed(node: exp.Expr, kind: str) -> str:
    """A value with the column's type where it has none of its own: `$1 - $2` alone says nothing of types."""
    from sqlglot import exp  # noqa: PLC0415

    return f"CAST({sql(node)} AS {kind})" if isinstance(node, exp.Parameter) else sql(node)
