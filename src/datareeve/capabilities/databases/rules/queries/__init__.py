"""Advice on statements: one rule a file, each a function from a family of the workload to a finding or nothing.

A rule sees the statement's syntax tree, which holds no value. Nothing here reads a system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries import (
    arithmetic_on_column,
    coalesce_on_column,
    concatenated_column,
    correlated_subquery,
    count_for_existence,
    count_of_all,
    distinct_over_key,
    function_on_column,
    having_to_where,
    implicit_cast,
    join_on_expression,
    leading_wildcard,
    like_without_wildcard,
    long_in_list,
    missing_limit,
    moment_to_range,
    not_in_subquery,
    not_in_to_exists,
    offset_paging,
    or_to_union_all,
    order_in_subquery,
    random_order,
    repeated_cte,
    select_star,
    self_join_for_extreme,
    substring_prefix,
    union_to_union_all,
    volatile_function,
    write_without_where,
)
from datareeve.capabilities.databases.rules.queries.of_family import subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlglot import exp

    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Finding

__all__ = ("REWRITES", "RULES", "review", "subject")

RULES: tuple[Callable[[Family, exp.Expr], Finding | None], ...] = (
    not_in_subquery.finding,
    leading_wildcard.finding,
    function_on_column.finding,
    offset_paging.finding,
    missing_limit.finding,
    write_without_where.finding,
    select_star.finding,
    random_order.finding,
    count_of_all.finding,
    join_on_expression.finding,
    self_join_for_extreme.finding,
)

# Rules that write a statement anew: modules with RULE, WHY and `rewrite(tree, catalog)`. What they say is proved on a copy first.
REWRITES = (
    moment_to_range,
    arithmetic_on_column,
    coalesce_on_column,
    concatenated_column,
    implicit_cast,
    like_without_wildcard,
    substring_prefix,
    long_in_list,
    correlated_subquery,
    not_in_to_exists,
    count_for_existence,
    or_to_union_all,
    union_to_union_all,
    distinct_over_key,
    having_to_where,
    order_in_subquery,
    repeated_cte,
    volatile_function,
)


def review(family: Family, dialect: str = "postgres") -> tuple[Finding, ...]:
    """What every rule says of a family; nothing where it cannot be parsed."""
    import sqlglot  # noqa: PLC0415 - heavy, and needed only where a workload is looked at

    if not family.parsed:
        return ()
    try:
        tree = sqlglot.parse_one(family.sql, read=dialect)
    except sqlglot.errors.SqlglotError:
        return ()
    return tuple(found for rule in RULES if (found := rule(family, tree)) is not None)
