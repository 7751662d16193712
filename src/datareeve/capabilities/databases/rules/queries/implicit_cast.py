"""`implicit-cast`: a column of whole numbers is compared as another type, by a fraction or as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import (
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

RULE = "implicit-cast"
WHY = "The column is cast for every row, so that an index on it cannot be used."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`id = 5.0` as `id = 5`, and `id::text = $1` as `id = $1`."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    changed, differs = False, ""
    for node in conditions(tree):
        if not isinstance(node, exp.EQ) or not is_value(node.expression):
            continue
        known = catalog.constant(node.expression)
        as_text = (
            isinstance(node.this, exp.Cast)
            and node.this.to.is_type("text", "varchar")
            and known.kind == "text"
        )
        column = node.this.this if as_text else node.this
        kind = catalog.type_of(column)
        if kind in WHOLE and known.whole and (as_text or known.kind == "fraction"):
            node.replace(parsed(f"{sql(column)} = CAST({sql(node.expression)} AS {kind})"))
            changed, differs = True, differs if known.literal else PARAMETER
    return Rewrite(tree, differs=differs) if changed else None


PARAMETER = "Every recorded value is a whole number; another one would be rounded or refused, where it now finds no row."
