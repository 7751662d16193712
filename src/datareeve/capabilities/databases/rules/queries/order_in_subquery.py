"""`order-in-subquery`: ORDER BY within a subquery that has no LIMIT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "order-in-subquery"
WHY = "Rows are sorted, and whoever reads them may give them in any order."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`SELECT … FROM (SELECT … ORDER BY x) s ORDER BY y` without the inner ORDER BY."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    del catalog  # it rests on the statement alone
    changed = False
    for select in list(tree.find_all(exp.Select)):
        outer = select.parent_select
        needless = select.args.get("order") and not any(
            select.args.get(name) for name in ("limit", "offset", "distinct")
        )
        if (
            outer is not None
            and needless
            and isinstance(select.parent, (exp.Subquery, exp.In, exp.Exists))
            and _in_any_order(outer)
        ):
            select.set("order", None)
            changed = True
    return Rewrite(tree) if changed else None


def _in_any_order(outer: exp.Expr) -> bool:
    """Whether nothing of the outer query can tell in what order its rows come: it sorts them, or boils them down to one."""
    from sqlglot import exp  # noqa: PLC0415

    if outer.find(exp.ArrayAgg, exp.GroupConcat, exp.JSONArrayAgg, exp.Window, exp.Anonymous):
        return False
    whole = bool(outer.expressions) and all(
        isinstance(one.unalias(), exp.AggFunc) for one in outer.expressions
    )
    return bool(outer.args.get("order")) or (whole and not outer.args.get("group"))
