"""`random-order`: rows are put in random order to take some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where a statement sorts by random()."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    if not any(order.find(exp.Rand) for order in tree.find_all(exp.Order)):
        return None
    return of_family(
        family,
        "random-order",
        what="Rows are sorted by random() to take a few",
        why="Every row gets a number and all are sorted, however few are taken.",
        instead="FROM t TABLESAMPLE SYSTEM_ROWS(n) (extension tsm_system_rows), or a random key: WHERE id >= (SELECT floor(random() * max(id)) FROM t) ORDER BY id LIMIT n.",
    )
