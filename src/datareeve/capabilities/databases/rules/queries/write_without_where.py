"""`write-without-where`: UPDATE or DELETE of a whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.of_family import of_family

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding


def finding(family: Family, tree: exp.Expr) -> Finding | None:
    """Where an UPDATE or DELETE has no condition."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    if not isinstance(tree, (exp.Update, exp.Delete)) or tree.args.get("where") is not None:
        return None
    return of_family(
        family,
        "write-without-where",
        what="Every row of the table is written",
        why="All rows stay locked until it commits, and each leaves a dead version behind.",
        instead="Give a condition; for a whole table write in batches by key, or TRUNCATE where all rows go.",
    )
