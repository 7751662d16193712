"""What is asked for rules about a figure of the whole table: an amount, an aggregate, a moment, a distribution. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.asking_context import Context, Count
from datareeve.capabilities.quality.engines.dialect import MOMENTS, NUMERIC
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from datareeve.capabilities.quality.asking_context import Ask
    from datareeve.capabilities.quality.catalog import CatalogColumn


def row_count(context: Context) -> Ask:
    """How many rows there are."""
    return context.made(aggregates={"figure": context.total})


def metric(
    context: Context, function: str, column: CatalogColumn | None, *, q: float = 0.5
) -> dict[str, Any]:
    """A metric as an aggregate or a query of its own. Errors: `BadInput` `rule.arguments`, `rule.does-not-fit`, `rule.columns`."""
    d = context.dialect
    if function == "row-count" or (column is None and function == "count"):
        return {"aggregates": {"figure": context.total}}
    if column is None:  # rows are no answer to another question
        raise BadInput("rule.columns", f"A {function} is about one column, and the rule names none.")
    value = context.value(column)
    if function in ("median", "quantile"):
        context.fits(column, NUMERIC, f"A {function}")
        q = 0.5 if function == "median" else q
        if whole := d.quantile(value, q):
            return {"aggregates": {"figure": whole}}
        return {
            "queries": {"figure": d.quantile_query(context.source, context.named(column), q, context.where)}
        }
    return {"aggregates": {"figure": _expression(context, function, column, value)}}


def _expression(context: Context, function: str, column: CatalogColumn, value: str) -> str:
    d, total = context.dialect, context.total
    everywhere = {
        "count": f"count({value})",
        "distinct": f"count(DISTINCT {value})",
        "null-count": f"{total} - count({value})",
        "null-percent": f"1e2 * ({total} - count({value})) / nullif({total}, 0)",
        "distinct-percent": f"1e2 * count(DISTINCT {value}) / nullif(count({value}), 0)",
    }
    if function in everywhere:
        return everywhere[function]
    text = {"min-length": "min", "max-length": "max", "mean-length": ""}
    if function in text:
        context.fits(column, ("text", "uuid"), f"A {function}")
        length = d.length(d.as_text(value, column.family))
        return f"{text[function]}({length})" if text[function] else d.mean(length, "integer")
    if function in ("min", "max") and column.family in MOMENTS:
        return d.epoch(f"{function}({value})", column.family)
    numbers = {
        "min": f"min({value})",
        "max": f"max({value})",
        "sum": f"sum({value})",
        "mean": d.mean(value, column.family),
        "stddev": d.stddev(value),
    }
    if function not in numbers:
        raise BadInput("rule.arguments", f"There is no metric {function}: it is one of {', '.join((*everywhere, *numbers, *text, 'median', 'quantile', 'row-count'))}.")  # fmt: skip
    context.fits(column, NUMERIC, f"A {function}")
    return numbers[function]


def aggregate(context: Context) -> Ask:
    """A metric, held to bounds."""
    column = context.only if context.rule.columns else None
    q = float(context.rule.arguments.get("q", 0.5))
    return context.made(**metric(context, context.rule.metric, column, q=q))


def freshness(context: Context) -> Ask:
    """The newest moment."""
    column, d = context.fits(context.only, MOMENTS, "Freshness"), context.dialect
    newest = d.epoch(f"max({context.value(column)})", column.family)
    if not context.where and any(index[:1] == (column.name,) for index in context.table.indexed):
        return context.made(
            queries={"newest": f"SELECT {newest} AS newest FROM {context.source}"}
        )  # read from the index's end
    return context.made(aggregates={"newest": newest})


def learned(context: Context) -> Ask:
    """A metric, held to its history: of the last whole day or hour of a time column, where the rule names one."""
    if not context.rule.arguments.get("time"):
        return aggregate(context)
    from datareeve.capabilities.quality.learned import last_bucket  # noqa: PLC0415 - what learns is slow to load

    context = replace(context, only_rows=last_bucket.rows(context))
    if context.rule.metric == "sum":  # a day without rows has sold nothing, as its history has it
        asked = metric(context, "sum", context.only)["aggregates"]["figure"]
        return context.made(aggregates={"figure": f"coalesce({asked}, 0)"})
    return aggregate(context)


def distribution(context: Context) -> Ask:
    """How many rows lie in each part of the reference: `b0` ... for numbers, and `nulls`."""
    column, d = context.only, context.dialect
    reference = context.rule.arguments.get("reference") or {}
    named = context.named(column)
    if edges := reference.get("edges"):
        context.fits(column, (*NUMERIC, *MOMENTS), "A distribution over ranges")
        number = d.epoch(named, column.family) if column.family in MOMENTS else named
        lower = [None, *edges]
        parts = [d.all_of([f"{number} >= {d.value(low, 'float')}" if low is not None else "", f"{number} < {d.value(high, 'float')}" if high is not None else ""])
                 for low, high in zip(lower, [*edges, None], strict=True)]  # fmt: skip
    elif categories := reference.get("categories"):
        parts = [d.equal(d.as_text(named, column.family), str(one)) for one in categories]
    else:
        raise BadInput(
            "rule.arguments",
            "A distribution is given without a reference: {edges, counts} or {categories, counts}.",
        )
    alone = "" if context.where else named
    counted = {
        f"b{n}": Count(condition=d.all_of([part, context.where]), column=alone)
        for n, part in enumerate(parts)
    }
    there = f"count({context.value(column)})"
    return context.made(counts=counted, aggregates={"checked": there, "rows": context.total})


def agreement(context: Context) -> Ask:
    """The same metric of two tables."""
    arguments = context.rule.arguments
    with_ = arguments.get("with") or {}
    other_table = context.other(str(with_.get("table", "")))
    column = context.only if context.rule.columns else None
    ours = metric(context, str(arguments.get("function", "row-count")), column)
    rule = context.rule.model_copy(
        update={"where": str(with_.get("where", "")), "columns": tuple(filter(None, [with_.get("column")]))}
    )
    there = Context(
        rule, other_table, context.catalog, context.contract, context.dialect, (), context.personal
    )
    theirs = metric(
        there,
        str(with_.get("function") or arguments.get("function", "row-count")),
        there.only if rule.columns else None,
    )
    asked = {"ours": (context, ours), "theirs": (there, theirs)}
    queries = {}
    for name, (where, made) in asked.items():
        (expression,) = made.get("aggregates", {}).values() or (None,)
        whole = next(iter(made.get("queries", {}).values()), "")
        queries[name] = (
            f"SELECT {expression} AS {name} FROM {where.source}"
            if expression
            else f"SELECT figure AS {name} FROM ({whole}) AS q"
        )
    return context.made(queries=queries)


def sql(context: Context) -> Ask:
    """What a query of the contract gives."""
    from datareeve.capabilities.quality.statement_sql import query_sql  # noqa: PLC0415 - as above

    asked = query_sql(str(context.rule.arguments.get("query", "")), context.rule.dialect, context.dialect)
    return context.made(queries={"figure": asked})
