"""`like-without-wildcard`: LIKE with a pattern that holds no wildcard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite, conditions, is_text

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "like-without-wildcard"
WHY = "An ordinary index cannot answer LIKE in most collations; it can answer `=`."
PARAMETER = "No recorded pattern holds % or _; one that does would no longer be a pattern."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`name LIKE 'abc'` as `name = 'abc'`."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    changed, differs = False, ""
    for node in conditions(tree):
        if not isinstance(node, exp.Like) or not is_text(catalog.type_of(node.this)):
            continue
        known = catalog.constant(node.expression)
        if known.pattern == "plain":
            node.replace(exp.EQ(this=node.this.copy(), expression=node.expression.copy()))
            changed, differs = True, differs if known.literal else PARAMETER
    return Rewrite(tree, differs=differs) if changed else None
