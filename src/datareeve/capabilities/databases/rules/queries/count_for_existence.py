"""`count-for-existence`: rows are counted to learn whether there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite, parsed, plain, sql

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "count-for-existence"
WHY = "count(*) reads every matching row; EXISTS stops at the first."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`(SELECT count(*) FROM u WHERE …) > 0` as `EXISTS (SELECT 1 FROM u WHERE …)`."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    changed = False
    for node in list(tree.find_all(exp.GT, exp.GTE, exp.EQ, exp.NEQ)):
        wanted = _asks(node, catalog)
        query = node.this.unnest() if isinstance(node.this, exp.Subquery) else None
        if wanted and isinstance(query, exp.Select) and _counts(query.expressions) and _simple(query):
            query = query.copy()
            query.set("expressions", [exp.Literal.number(1)])
            node.replace(parsed(f"{wanted} ({sql(query)})"))
            changed = True
        elif wanted and isinstance(node.this, exp.Count) and _is_whole_answer(node, tree):
            query = tree.copy()
            query.set("expressions", [exp.Literal.number(1)])
            name = tree.expressions[0].alias or "?column?"
            tree = parsed(f'SELECT {wanted} ({sql(query)}) AS "{name}"')
            changed = True
            break
    return Rewrite(tree) if changed else None


def _asks(node: exp.Expr, catalog: Catalog) -> str:
    """EXISTS or NOT EXISTS, where a comparison of a count with a constant asks for it; else nothing."""
    from sqlglot import exp  # noqa: PLC0415

    if not isinstance(node, exp.Binary):
        return ""
    known = catalog.constant(node.expression)
    number = (
        node.expression.name
        if isinstance(node.expression, exp.Literal)
        else "0"
        if known.zero
        else "1"
        if known.one
        else ""
    )
    asked = {("gt", "0"): "EXISTS", ("neq", "0"): "EXISTS", ("gte", "1"): "EXISTS", ("eq", "0"): "NOT EXISTS"}
    return asked.get((node.key, number), "")


def _counts(expressions: list[exp.Expr]) -> bool:
    from sqlglot import exp  # noqa: PLC0415

    return (
        len(expressions) == 1
        and isinstance(one := expressions[0].unalias(), exp.Count)
        and isinstance(one.this, exp.Star)
    )


def _simple(query: exp.Expr) -> bool:
    bare = query.copy()
    bare.set("expressions", [])
    return plain(bare)


def _is_whole_answer(node: exp.Expr, tree: exp.Expr) -> bool:
    from sqlglot import exp  # noqa: PLC0415

    outermost = (
        isinstance(tree, exp.Select) and len(tree.expressions) == 1 and tree.expressions[0].unalias() is node
    )
    return outermost and _counts([node.this]) and _simple(tree)
