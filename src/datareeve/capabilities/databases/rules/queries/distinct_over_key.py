"""`distinct-over-key`: DISTINCT where a unique key is among the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite, from_items, key_within

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "distinct-over-key"
WHY = "No two rows can be equal, and yet all of them are sorted or hashed."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`SELECT DISTINCT id, name FROM t` without DISTINCT, where id is a key."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    rests: list[str] = []
    for select in tree.find_all(exp.Select):
        distinct = select.args.get("distinct")
        if distinct is None or distinct.args.get("on") or select.args.get("group"):
            continue
        if (key := key_within(catalog, select)) is not None:
            select.set("distinct", None)
            rests.append(f"{from_items(select)[0].name} ({', '.join(key)}) is a key")
    return Rewrite(tree, tuple(rests)) if rests else None
