"""`moment-to-range`: a moment is cut down to its day, month or year before it is compared; a range of moments asks the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.queries.rewriting import (
    MOMENTS,
    Rewrite,
    conditions,
    is_value,
    parsed,
    sql,
)

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog

RULE = "moment-to-range"
WHY = "An index on the moment itself cannot be used, and the planner guesses how many rows match."


def rewrite(tree: exp.Expr, catalog: Catalog) -> Rewrite | None:
    """`ts::date = $1` as `ts >= $1::date AND ts < $1::date + 1`; date_trunc and extract(year) likewise."""
    from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

    changed = False
    for node in conditions(tree):
        if isinstance(node, (exp.Binary, exp.Between)) and (text := _range(node, catalog)):
            node.replace(parsed(text))
            changed = True
    return Rewrite(tree) if changed else None


def _range(node: exp.Expr, catalog: Catalog) -> str:
    """The range that a condition on a part of a moment asks for; empty where it is no such condition."""
    from sqlglot import exp  # noqa: PLC0415

    if isinstance(node, exp.Between):
        column = _of_date(node.this, catalog)
        low, high = node.args["low"], node.args["high"]
        fits = column and is_value(low) and is_value(high)
        return (
            f"({column} >= CAST({sql(low)} AS DATE) AND {column} < CAST({sql(high)} AS DATE) + 1)"
            if fits
            else ""
        )
    if not isinstance(node, exp.Binary) or not is_value(node.expression):
        return ""
    value = sql(node.expression)
    if column := _of_date(node.this, catalog):
        return _days(column, value, node.key)
    if isinstance(node, exp.EQ):
        return _truncated(node.this, value, catalog) or _year(node.this, value, catalog)
    return ""


def _of_date(node: exp.Expr, catalog: Catalog) -> str:
    """The column of moments that is cast to a date."""
    from sqlglot import exp  # noqa: PLC0415

    is_date = isinstance(node, exp.Date) or (isinstance(node, exp.Cast) and node.to.is_type("date"))
    return sql(node.this) if is_date and catalog.type_of(node.this) in MOMENTS else ""


def _days(column: str, value: str, comparison: str) -> str:
    day = f"CAST({value} AS DATE)"
    ranges = {
        "eq": f"({column} >= {day} AND {column} < {day} + 1)",
        "gte": f"{column} >= {day}",
        "gt": f"{column} >= {day} + 1",
        "lt": f"{column} < {day}",
        "lte": f"{column} < {day} + 1",
    }
    return ranges.get(comparison, "")


def _truncated(node: exp.Expr, value: str, catalog: Catalog) -> str:
    """`date_trunc(unit, ts) = v`: from v to one unit later, where v itself is cut so."""
    from sqlglot import exp  # noqa: PLC0415

    if (
        not isinstance(node, (exp.TimestampTrunc, exp.DateTrunc))
        or (kind := catalog.type_of(node.this)) not in MOMENTS
    ):
        return ""
    unit = node.args["unit"]
    word = catalog.constant(unit).unit or (
        unit.name.lower() if isinstance(unit, (exp.Var, exp.Literal)) else ""
    )
    if word not in {"second", "minute", "hour", "day", "week", "month", "year"}:
        return ""
    column, moment = sql(node.this), f"CAST({value} AS {kind})"
    return f"({column} >= {moment} AND {column} < {moment} + CAST('1 {word}' AS INTERVAL) AND DATE_TRUNC('{word}', {moment}) = {moment})"


def _year(node: exp.Expr, value: str, catalog: Catalog) -> str:
    from sqlglot import exp  # noqa: PLC0415

    if not isinstance(node, exp.Extract) or node.name.lower() != "year":
        return ""
    if catalog.type_of(node.expression) not in (*MOMENTS, "date"):
        return ""
    column, year = sql(node.expression), f"CAST({value} AS INT)"
    return f"({column} >= MAKE_DATE({year}, 1, 1) AND {column} < MAKE_DATE({year} + 1, 1, 1))"
