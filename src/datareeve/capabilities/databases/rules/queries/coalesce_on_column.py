"""`coalesce-on-column`: COALESCE around a column that is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import (
    Rewrite,
    conditions,
    is_value,
    parsed,
    sql,
)

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "coalesce-on-column"
WHY = "An index on the column cannot be used, and where the column is NOT NULL the COALESCE does nothing."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`coalesce(a, $1) = $2` as `a = $2`, or `(a = $2 OR (a IS NULL AND $1 = $2))` where a may be NULL."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    rests: list[str] = []
    changed = False
    for node in conditions(tree):
        call = node.this if isinstance(node, exp.EQ) else None
        if not isinstance(call, exp.Coalesce) or len(call.expressions) != 1 or not is_value(node.expression):
            continue
        place, default = catalog.place(call.this), call.expressions[0]
        if place is None or not is_value(default):
            continue
        known = place[1].columns[place[2]]
        column, value = sql(call.this), sql(node.expression)
        if known.not_null:
            rests.append(f"{place[1].name}.{place[2]} is NOT NULL")
            text = f"{column} = {value}"
        else:
            same = f"CAST({sql(default)} AS {known.type}) = CAST({value} AS {known.type})"
            text = f"({column} = {value} OR ({column} IS NULL AND {same}))"
        node.replace(parsed(text))
        changed = True
    return Rewrite(tree, tuple(rests)) if changed else None
