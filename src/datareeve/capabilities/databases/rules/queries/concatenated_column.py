"""`concatenated-column`: an empty text is appended to a column, which was once a way to keep the planner from an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite, conditions, is_text, is_value

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "concatenated-column"
WHY = "An index on the column cannot be used."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`name || '' = $1` as `name = $1`."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    changed = False
    for node in conditions(tree):
        side = node.this.unnest() if isinstance(node, exp.Binary) else None
        if not isinstance(side, exp.DPipe) or not is_value(node.expression):
            continue
        if catalog.constant(side.expression).empty and is_text(catalog.type_of(side.this)):
            node.set("this", side.this.copy())
            changed = True
    return Rewrite(tree) if changed else None
