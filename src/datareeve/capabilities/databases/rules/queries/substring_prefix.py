"""`substring-prefix`: the beginning of a column is cut out and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite, conditions, is_text, parsed, sql

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "substring-prefix"
WHY = "An index on the column cannot be used. LIKE with a prefix can use one (text_pattern_ops, or a C collation)."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`left(name, 3) = $1` as itself AND `name LIKE $1 || '%'`, where no recorded value holds a wildcard."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    changed = False
    for node in conditions(tree):
        side = node.this if isinstance(node, exp.EQ) else None
        starts = isinstance(side, exp.Left) or (
            isinstance(side, exp.Substring)
            and side.args.get("start") is not None
            and catalog.constant(side.args["start"]).one
        )
        if side is None or not starts or not is_text(catalog.type_of(side.this)):
            continue
        known = catalog.constant(node.expression)
        if known.pattern == "plain" and known.literal:
            node.replace(parsed(f"({sql(node)} AND {sql(side.this)} LIKE {sql(node.expression)} || '%')"))
            changed = True
    return Rewrite(tree) if changed else None
