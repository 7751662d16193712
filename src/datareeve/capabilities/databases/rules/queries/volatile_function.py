"""`volatile-function`: a function that is declared VOLATILE is called for every row with the same arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite, conditions, is_value

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "volatile-function"
WHY = "It can give another answer each time, so that no index can be used and it is called once a row."
ONCE = (
    "The function is called once a statement, not once a row: the same only if it gives the same each time."
)


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`a = f($1)` as `a = (SELECT f($1))`, which is called once; if it only looks things up, declare it STABLE."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    changed = False
    for node in conditions(tree):
        for call in [
            c for c in node.find_all(exp.Anonymous) if c.name.lower() in catalog.volatile and is_value(c)
        ]:
            if not isinstance(call.parent, exp.Select):
                call.replace(exp.Subquery(this=exp.Select(expressions=[call.copy()])))
                changed = True
    return Rewrite(tree, differs=ONCE) if changed else None
