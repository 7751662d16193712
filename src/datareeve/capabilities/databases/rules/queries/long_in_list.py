"""`long-in-list`: an IN list of hundreds of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite, conditions, parsed, sql

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "long-in-list"
WHY = "The whole list is looked through for rows, or probed one by one in an index; a set joins at once and is planned as rows."
MANY = 200  # values


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`a IN ($1, …)` as `a IN (SELECT unnest(ARRAY[…]))`."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    changed = False
    for node in conditions(tree):
        if not isinstance(node, exp.In) or len(node.expressions) != 1 or isinstance(node.parent, exp.Not):
            continue
        kind = catalog.type_of(node.this)
        if kind and catalog.constant(node.expressions[0]).items >= MANY:
            values = f"UNNEST(CAST(ARRAY[{sql(node.expressions[0])}] AS {kind}[]))"
            node.replace(parsed(f"{sql(node.this)} IN (SELECT {values})"))
            changed = True
    return Rewrite(tree) if changed else None
