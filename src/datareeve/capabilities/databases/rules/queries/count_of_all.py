"""`count-of-all`: the rows of a whole table are counted, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding
OFTEN = 10  # calls
SLOW_MS = 5.0


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where all rows of a table are counted without a condition, at least ten times and at 5 ms or more."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    if not isinstance(tree, exp.Select) or family.calls < OFTEN or (family.mean_ms or 0.0) < SLOW_MS:
        return None
    only = len(tree.expressions) == 1 and isinstance(tree.expressions[0].unalias(), exp.Count)
    clauses = ("where", "joins", "group", "having", "limit", "with_")
    start = tree.args.get("from_")
    if (
        not only
        or any(tree.args.get(name) for name in clauses)
        or start is None
        or not isinstance(start.this, exp.Table)
    ):
        return None
    return of_family(
        family,
        "count-of-all",
        what="All rows of a table are counted",
        why="PostgreSQL reads every row or the whole of an index for each count; a page's number of pages seldom needs to be exact.",
        instead="Show an estimate (SELECT reltuples FROM pg_class WHERE oid = 't'::regclass), ask for one row more than the page, or keep a counter.",
        severity=Severity.INFO,
    )
