"""Advice on statements: one rule a file, each a function from a family of the workload to a finding or nothing.

A rule sees the statement's syntax tree, which holds no value. Nothing here reads a system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries import (
    function_on_column,
    leading_wildcard,
    missing_limit,
    not_in_subquery,
    offset_paging,
    select_star,
    write_without_where,
)
from datareeve.capabilities.databases.rules.queries.of_family import subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding

__all__ = ("RULES", "review", "subject")

RULES: tuple[Callable[[Family, exp.Expr], Finding | None], ...] = (
    not_in_subquery.finding,
    leading_wildcard.finding,
    function_on_column.finding,
    offset_paging.finding,
    missing_limit.finding,
    write_without_where.finding,
    select_star.finding,
)


def review(family: Family) -> tuple[Finding, ...]:
    """What every rule says of a family; nothing where it cannot be parsed."""
    import sqlglot  # noqa: PLC0415 - heavy, and needed only where a workload is looked at

    if not family.parsed:
        return ()
    try:
        tree = sqlglot.parse_one(family.sql, read="postgres")
    except sqlglot.errors.SqlglotError:
        return ()
    return tuple(found for rule in RULES if (found := rule(family, tree)) is not None)
