"""`correlated-subquery`: an aggregate that is asked again for every row, as one grouped subquery that is joined (TPC-H queries 2, 17 and 20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import (
    Rewrite,
    all_of,
    conjuncts,
    from_items,
    made,
    parsed,
    sql,
)

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "correlated-subquery"
WHY = "The subquery runs once for every row of the outer query."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`x < (SELECT avg(y) FROM u WHERE u.k = t.k)` as a LEFT JOIN of `(SELECT k, avg(y) FROM u GROUP BY k)`."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    joined = 0
    for subquery in list(tree.find_all(exp.Subquery)):
        inner, outer = subquery.this, subquery.parent_select
        if not isinstance(outer, exp.Select) or any(one.is_star for one in outer.expressions):
            continue
        if _is_scalar(subquery, inner) and (links := _links(inner, outer, catalog)):
            joined += 1
            _join(outer, inner, links, f"grouped_{joined}")
            subquery.replace(_value(subquery, inner, f"grouped_{joined}"))
    return Rewrite(tree) if joined else None


def _value(subquery: exp.Expr, inner: exp.Expr, alias: str) -> exp.Expr:
    """What stands in the subquery's place: the joined aggregate, under the name that its column had."""
    from sqlglot import exp  # noqa: PLC0415

    first = inner.expressions[0]
    value = f"COALESCE({alias}.value, 0)" if isinstance(first.unalias(), exp.Count) else f"{alias}.value"
    name = first.alias or first.unalias().key if isinstance(subquery.parent, exp.Select) else ""
    picked: exp.Expr = parsed(f'SELECT {value} AS "{name}"' if name else f"SELECT {value}").expressions[0]
    return picked


Link = tuple[str, str, "exp.Expr"]  # the inner column, the outer one, and the condition that links them


def _is_scalar(subquery: exp.Expr, inner: exp.Expr) -> bool:
    """Whether it is one aggregate without grouping, as a value in a condition or among the columns."""
    from sqlglot import exp  # noqa: PLC0415

    clauses = ("group", "having", "distinct", "order", "limit", "offset", "windows", "with_")
    bare = (
        isinstance(inner, exp.Select)
        and not any(inner.args.get(name) for name in clauses)
        and len(inner.expressions) == 1
    )
    value = (
        isinstance(subquery.parent, (exp.Binary, exp.Alias, exp.Select, exp.Mul, exp.Paren, exp.Coalesce))
        and subquery.arg_key != "from_"
    )
    counted = (
        bare
        and (aggregate := inner.expressions[0].find(exp.AggFunc)) is not None
        and (not isinstance(aggregate, exp.Count) or inner.expressions[0].unalias() is aggregate)
    )
    return bool(bare and value and counted and not inner.find(exp.Window))


def _links(inner: exp.Expr, outer: exp.Expr, catalog: Catalog) -> list[Link] | None:
    """The equalities that link the subquery to the outer query; None where it depends on it in any other way, or is not understood."""
    from sqlglot import exp  # noqa: PLC0415

    own = {item.alias_or_name for item in from_items(inner)}
    around = {item.alias_or_name for item in from_items(outer)}
    found: list[Link] = []
    linking: set[int] = set()
    for condition in conjuncts(inner.args.get("where")):
        sides = [condition.this, condition.expression] if isinstance(condition, exp.EQ) else []
        at = [catalog.place(side) for side in sides]
        if len(at) == 2 and all(at) and {at[0][0] in own, at[1][0] in own} == {True, False}:  # type: ignore[index]  # noqa: PLR2004
            mine, theirs = (0, 1) if at[0][0] in own else (1, 0)  # type: ignore[index]
            if at[theirs][0] not in around:  # type: ignore[index]
                return None
            found.append((_column(at[mine]), _column(at[theirs]), condition))
            linking.add(id(condition))
    for column in inner.find_all(exp.Column):
        place = catalog.place(column)
        within = any(id(node) in linking for node in _ancestors(column))
        if place is None or (place[0] not in own and not within):
            return None
    return found or None


def _ancestors(node: exp.Expr) -> list[exp.Expr]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def _column(place: tuple[str, object, str] | None) -> str:
    from sqlglot import exp  # noqa: PLC0415

    alias, _, name = place  # type: ignore[misc]
    return sql(exp.column(name, table=alias))


def _join(outer: exp.Select, inner: exp.Expr, links: list[Link], alias: str) -> None:
    from sqlglot import exp  # noqa: PLC0415

    for join in outer.args.get("joins") or ():
        if not any(join.args.get(name) for name in ("kind", "side", "on", "using", "method")):
            join.set(
                "kind", "CROSS"
            )  # a comma binds less than JOIN: tables before it could not be named in ON
    grouped = inner.copy()
    linking = [sql(link[2]) for link in links]
    made(
        grouped, all_of([one.copy() for one in conjuncts(inner.args.get("where")) if sql(one) not in linking])
    )
    keys = list(dict.fromkeys(link[0] for link in links))
    named = {key: f"key_{n}" for n, key in enumerate(keys, 1)}
    aggregate = inner.expressions[0].unalias().copy()
    grouped.set(
        "expressions",
        [*(exp.alias_(parsed(key), named[key]) for key in keys), exp.alias_(aggregate, "value")],
    )
    grouped.set("group", exp.Group(expressions=[parsed(key) for key in keys]))
    on = parsed(" AND ".join(f"{alias}.{named[mine]} = {theirs}" for mine, theirs, _ in links))
    outer.join(
        exp.Subquery(this=grouped, alias=exp.TableAlias(this=exp.to_identifier(alias))),
        on=on,
        join_type="left",
        copy=False,
    )
