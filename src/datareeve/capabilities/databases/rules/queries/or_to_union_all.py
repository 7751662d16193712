"""`or-to-union-all`: OR between conditions on different columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import (
    Rewrite,
    conjuncts,
    is_value,
    made,
    parsed,
    plain,
    sql,
)

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "or-to-union-all"
WHY = "One index serves one side of the OR only; asked for apart, each side has its own."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`a = $1 OR b = $2` as both halves by UNION ALL, the second without what the first gave."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    del catalog  # it rests on the statement alone
    if not isinstance(tree, exp.Select) or not plain(tree) or len(found := _ors(tree)) != 1:
        return None
    either = found[0].unnest()
    sides = list(either.flatten())
    if len(sides) != SIDES or len({_column(side) for side in sides} - {""}) != SIDES:
        return None
    halves = []
    for mine, before in ((sides[0], None), (sides[1], sides[0])):
        half = tree.copy()
        others = [sql(one) for one in conjuncts(tree.args["where"]) if one is not either]
        without = [f"({sql(before)}) IS NOT TRUE"] if before is not None else []
        made(half, parsed(" AND ".join([*others, sql(mine), *without])))
        halves.append(sql(half))
    return Rewrite(parsed(" UNION ALL ".join(halves)))


SIDES = 2


def _ors(select: exp.Expr) -> list[exp.Expr]:
    from sqlglot import exp  # noqa: PLC0415

    return [one for one in conjuncts(select.args.get("where")) if isinstance(one.unnest(), exp.Or)]


def _column(side: exp.Expr) -> str:
    """The column that a side of the OR compares with a value."""
    from sqlglot import exp  # noqa: PLC0415

    side = side.unnest()
    kinds = (exp.EQ, exp.In, exp.GT, exp.GTE, exp.LT, exp.LTE)
    fits = (
        isinstance(side, kinds)
        and isinstance(side.this, exp.Column)
        and all(is_value(v) for v in side.iter_expressions() if v.arg_key != "this")
    )
    return sql(side.this) if fits else ""
