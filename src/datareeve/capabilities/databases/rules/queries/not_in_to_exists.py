"""`not-in-to-exists`: NOT IN with a subquery, as NOT EXISTS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import (
    Rewrite,
    all_of,
    conjuncts,
    made,
    parsed,
    plain,
    sql,
)

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "not-in-to-exists"
WHY = "The planner can turn NOT EXISTS into an anti-join; NOT IN it must look up row by row, for the sake of NULLs."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`a NOT IN (SELECT b FROM u)` as `NOT EXISTS (SELECT 1 FROM u WHERE u.b = t.a)`; the same where neither a nor b can be NULL."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    rests: list[str] = []
    differs = ""
    for negated in list(tree.find_all(exp.Not)):
        inside = negated.this.unnest()
        query = inside.args.get("query") if isinstance(inside, exp.In) else None
        select = query.unnest() if query is not None else None
        if not isinstance(select, exp.Select) or not plain(select) or len(select.expressions) != 1:
            continue
        inner, outer = select.expressions[0].unalias(), inside.this
        if (at := catalog.place(inner)) is None or (of := catalog.place(outer)) is None or at[0] == of[0]:
            continue
        for _, table, name in (at, of):
            if table.columns[name].not_null:
                rests.append(f"{table.name}.{name} is NOT NULL")
            else:
                differs = differs or f"{table.name}.{name} may be NULL: {NULLS}"
        match = parsed(f"{_named(at[0], inner)} = {_named(of[0], outer)}")
        made(select, all_of([*(one.copy() for one in conjuncts(select.args.get("where"))), match]))
        select.set("expressions", [exp.Literal.number(1)])
        negated.replace(exp.Not(this=exp.Exists(this=select.copy())))
    return Rewrite(tree, tuple(rests), differs) if rests or differs else None


NULLS = "with one NULL in the subquery NOT IN gives no row at all, and a row whose own value is NULL is left out, while NOT EXISTS keeps it."


def _named(alias: str, column: exp.Expr) -> str:
    from sqlglot import exp  # noqa: PLC0415

    return sql(
        exp.column(exp.to_identifier(column.name, quoted=column.this.quoted), table=exp.to_identifier(alias))
    )
