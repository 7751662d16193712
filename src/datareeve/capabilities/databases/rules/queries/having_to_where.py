"""`having-to-where`: HAVING with a condition that needs no aggregate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite, all_of, conjuncts, made, sql

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "having-to-where"
WHY = "Groups are made of all rows and then thrown away."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`GROUP BY a HAVING a = $1` as `WHERE a = $1 GROUP BY a`."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    del catalog  # it rests on the statement alone
    changed = False
    for select in list(tree.find_all(exp.Select)):
        having, group = select.args.get("having"), select.args.get("group")
        if (
            having is None
            or group is None
            or any(group.args.get(name) for name in ("grouping_sets", "cube", "rollup"))
        ):
            continue
        keys = {sql(key) for key in group.expressions}
        moved = [
            one
            for one in conjuncts(having)
            if not one.find(exp.AggFunc, exp.Select) and {sql(c) for c in one.find_all(exp.Column)} <= keys
        ]
        if moved:
            stay = all_of([one.copy() for one in conjuncts(having) if one not in moved])
            select.set("having", exp.Having(this=stay) if stay is not None else None)
            made(select, all_of([one.copy() for one in (*conjuncts(select.args.get("where")), *moved)]))
            changed = True
    return Rewrite(tree) if changed else None
