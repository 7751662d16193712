"""`repeated-cte`: a common table expression that is read more than once, or made to be materialised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "repeated-cte"
WHY = "It is computed whole and kept, so that conditions on it and indexes below it are not used."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`WITH c AS (…)` as `WITH c AS NOT MATERIALIZED (…)`."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    changed = False
    for cte in tree.find_all(exp.CTE):
        reads = sum(table.name == cte.alias and not table.db for table in tree.find_all(exp.Table))
        forced = cte.args.get("materialized")
        recursive = cte.parent is not None and cte.parent.args.get("recursive")
        volatile = cte.this.find(exp.Rand, exp.Anonymous, exp.Insert, exp.Update, exp.Delete, exp.Lock)
        if not recursive and not volatile and forced is not False and (reads > 1 or (forced and reads == 1)):
            cte.args["materialized"] = False
            changed = True
    del catalog
    return Rewrite(tree) if changed else None
