"""`union-to-union-all`: UNION sorts or hashes all rows to drop duplicates where there can be none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite, from_items, key_within

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "union-to-union-all"
WHY = "UNION compares every row with every other; UNION ALL gives them as they come."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`SELECT 1, id FROM t UNION SELECT 2, id FROM u` as UNION ALL, where each half gives a key and the halves differ in a constant."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    rests: list[str] = []
    for union in list(tree.find_all(exp.Union)):
        left, right = union.this.unnest(), union.expression.unnest()
        if not union.args.get("distinct") or not all(isinstance(half, exp.Select) for half in (left, right)):
            continue
        keys = [key_within(catalog, half) for half in (left, right)]
        if all(keys) and _differ(left, right, catalog):
            union.args["distinct"] = False
            for key, half in zip(keys, (left, right), strict=True):
                rests.append(f"{from_items(half)[0].name} ({', '.join(key or ())}) is a key")
    return Rewrite(tree, tuple(dict.fromkeys(rests))) if rests else None


def _differ(left: exp.Expr, right: exp.Expr, catalog: Catalog) -> bool:
    """Whether in some place both give a constant, and never the same one."""
    from sqlglot import exp  # noqa: PLC0415

    for one, other in zip(left.expressions, right.expressions, strict=False):
        pair = [part.unalias() for part in (one, other)]
        if all(isinstance(part, exp.Literal) for part in pair) and pair[0] != pair[1]:
            return True
        known = [catalog.constant(part) for part in pair]
        if all(constant.like for constant in known) and known[0].like != known[1].like:
            return True
    return False
