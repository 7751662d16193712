"""`offset-paging`: pages of a long list by OFFSET."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where a statement skips rows with OFFSET."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    if tree.find(exp.Offset) is None:
        return None
    return of_family(
        family,
        "offset-paging",
        what="Pages are found by skipping rows with OFFSET",
        why="The server reads and throws away every skipped row: page 1,000 costs a thousand times page 1.",
        instead=f"Page by key, with an index on the same columns: {_by_key(tree)}",
    )


def _by_key(tree: exp.Expr) -> str:
    """The statement that gives the page after a row; `:last_...` are that row's values."""
    from sqlglot import exp  # noqa: PLC0415

    order, limit = tree.args.get("order"), tree.args.get("limit")
    terms = order.expressions if order is not None else []
    down = {bool(term.args.get("desc")) for term in terms}
    if (
        not isinstance(tree, exp.Select)
        or limit is None
        or len(down) != 1
        or not all(isinstance(t.this, exp.Column) for t in terms)
    ):
        return GENERAL
    page = tree.copy()
    page.set("offset", None)
    columns = [term.this.sql(dialect="postgres") for term in terms]
    last = [f":last_{term.this.name}" for term in terms]
    sign = "<" if down == {True} else ">"
    left, right = (f"({', '.join(part)})" if len(part) > 1 else part[0] for part in (columns, last))
    where = page.args.get("where")
    known = f"({where.this.sql(dialect='postgres')}) AND " if where is not None else ""
    bare = page.copy()
    bare.set("where", exp.Where(this=exp.Var(this=f"{known}{left} {sign} {right}")))
    return f"{bare.sql(dialect='postgres', comments=False)} (where the order is unique; add the key to it if not)"


GENERAL = "WHERE (order columns) > (last row's values) ORDER BY the same columns LIMIT n."
