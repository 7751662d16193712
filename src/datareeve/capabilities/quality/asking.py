"""What an engine is asked for each rule: aggregates that one pass answers together, statements of their own, or nothing where the catalog proves it.

Pure: a rule, the table as the catalog has it and the engine's dialect give an `Ask`. What cannot be asked says why (`not_run`). Rules that are
about each row by itself are here; what looks at rows together is in `asking_together`, figures of a whole table are in `asking_metrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality import asking_metrics, asking_together, proofs, regexes
from datareeve.capabilities.quality.asking_context import Ask, Check, Context, Count
from datareeve.capabilities.quality.engines.dialect import BOUNDS, MOMENTS, NUMERIC, TEXTUAL
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.quality.catalog import CatalogColumn

# Text that is to be read as a type: the same on every engine, whatever its casts would take.
READABLE = {
    "integer": r"^[+-]?[0-9]{1,18}$",
    "number": r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$",
    "boolean": r"^(?:true|false|TRUE|FALSE|True|False|t|f|T|F|0|1|yes|no|YES|NO|Yes|No|y|n|Y|N)$",
    "uuid": r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
}
NOW = "now"
FURTHEST_ZONE = 14 * 3600  # seconds that the clocks of Kiritimati are ahead of UTC
READABLE_BY_FORMAT = {"date": "date-iso", "timestamp": "datetime-iso", "json": "json"}


def ask(context: Context) -> Ask:
    """What is asked for a rule; where it cannot be, why."""
    proof = proofs.prove(context)
    if proof:
        return Ask(rule=context.rule.id, table=context.table.name, proof=proof)
    try:
        return KINDS[context.rule.kind](context)
    except BadInput as error:
        return Ask(rule=context.rule.id, table=context.table.name, not_run=error.what)


def _rows(context: Context, holds: str) -> Ask:
    """Rows of which `holds` is false; of NULL it is neither true nor false, and they are not counted."""
    column = context.named(context.columns[0]) if len(context.columns) == 1 and not context.where else ""
    return _broken(context, holds, {"checked": context.there_count(context.columns)}, column)


def _every_row(context: Context, holds: str) -> Ask:
    """The same of a rule that is about every row, with values or without."""
    return _broken(context, holds, {"checked": context.total})


def _broken(context: Context, holds: str, aggregates: dict[str, str], column: str = "") -> Ask:
    breaks = context.dialect.all_of([f"NOT ({holds})", context.where])
    return context.made(
        counts={"failing": Count(condition=breaks, column=column)},
        aggregates=aggregates,
        **context.keys(breaks),
    )


def _not_null(context: Context) -> Ask:
    column, d = context.only, context.dialect
    named = context.named(column)
    missing = [str(value) for value in context.rule.arguments.get("missing", ()) if value is not None]
    nan = d.is_nan(named, column.family) if context.rule.arguments.get("nan") else ""
    if not (
        missing or nan or context.where
    ):  # what is cheapest to count, and counted for other rules as well
        keys = context.keys(f"{named} IS NULL")
        return context.made(aggregates={"rows": "count(*)", "there": f"count({named})"}, **keys)
    among = f"NOT ({d.among(d.as_text(named, column.family), missing)})" if missing else ""
    return _every_row(context, d.all_of([f"{named} IS NOT NULL", among, f"NOT {nan}" if nan else ""]))


def _set(context: Context) -> Ask:
    column, d = context.only, context.dialect
    values = [value for value in context.rule.arguments.get("values", ()) if value is not None]
    if not values:
        raise BadInput("rule.arguments", "A set is given without values.")
    named = context.named(column)
    if column.family in ("text", "uuid", "other", "json"):
        among = d.among(d.as_text(named, column.family), [str(value) for value in values])
    else:
        among = f"{d.comparable(named, column.family)} IN ({', '.join(d.value(value, column.family) for value in values)})"
    return _rows(context, f"NOT ({among})" if context.rule.arguments.get("negated") else among)


def _range(context: Context) -> Ask:
    column, d = context.fits(context.only, (*NUMERIC, *MOMENTS), "A range"), context.dialect
    named = d.comparable(context.named(column), column.family)
    given = context.rule.limits
    if not given:
        raise BadInput("rule.arguments", "A range is given without bounds.")
    tests = [_within(context, column, named, key, value) for key, value in given.items()]
    kept_out = d.nan_is_greatest and bool({"at_most", "below"} & set(given))
    nan = "" if kept_out else d.is_nan(context.named(column), column.family)
    return _rows(context, d.all_of([*tests, f"NOT {nan}" if nan else ""]))


def _within(context: Context, column: CatalogColumn, named: str, key: str, value: Any) -> str:
    """One bound. A moment without a zone may be of any, and a date is the whole of its day: `now` is the latest that it is anywhere."""
    d = context.dialect
    if value == NOW and column.family in MOMENTS:
        spare = 0 if column.family == "timestamptz" else FURTHEST_ZONE
        return f"{d.epoch(context.named(column), column.family)} {BOUNDS[key]} {d.now} + {spare}"
    return f"{named} {BOUNDS[key]} {d.value(value, column.family)}"


def _pattern(context: Context) -> Ask:
    column, d = context.fits(context.only, ("text", "uuid"), "A pattern"), context.dialect
    if not context.rule.arguments.get("regex"):
        raise BadInput("rule.arguments", "A pattern is given without a regex.")
    matches = regexes.condition(
        d,
        d.as_text(context.named(column), column.family),
        str(context.rule.arguments.get("regex", "")),
        d.syntax,
    )
    return _rows(context, f"NOT ({matches})" if context.rule.arguments.get("negated") else matches)


def _length(context: Context) -> Ask:
    column, d = context.fits(context.only, ("text", "uuid"), "A length"), context.dialect
    given = context.rule.limits
    if not given:
        raise BadInput("rule.arguments", "A length is given without bounds.")
    return _rows(context, d.length_within(d.as_text(context.named(column), column.family), given))


def _type(context: Context) -> Ask:
    column, type_ = (
        context.fits(context.only, TEXTUAL, "A rule about what text can be read as"),
        str(context.rule.arguments.get("type")),
    )
    if type_ in READABLE_BY_FORMAT:
        return _values(context, column, READABLE_BY_FORMAT[type_], {})
    if type_ not in READABLE:
        raise BadInput(
            "rule.arguments",
            f"Text cannot be read as {type_}: it is one of {', '.join((*READABLE, *READABLE_BY_FORMAT))}.",
        )
    d = context.dialect
    return _rows(
        context,
        regexes.condition(d, d.as_text(context.named(column), column.family), READABLE[type_], d.syntax),
    )


def _format(context: Context) -> Ask:
    column = context.fits(context.only, (*TEXTUAL, "integer"), "A format")
    arguments = {key: value for key, value in context.rule.arguments.items() if key != "format"}
    return _values(context, column, str(context.rule.arguments.get("format", "")), arguments)


def _values(context: Context, column: CatalogColumn, format_: str, arguments: dict[str, Any]) -> Ask:
    """Distinct values, tested one by one beside the engine: they stay in the adapter, and only counts leave it."""
    d = context.dialect
    named = d.as_text(context.named(column), column.family)
    where = d.all_of([f"{context.named(column)} IS NOT NULL", context.where])
    # Grouped sign by sign: by its collation, one value would stand for others that differ from it.
    exact = d.exact(named, "text")
    sql = f"SELECT min({named}) AS value, count(*) AS times FROM {context.source} WHERE {where} GROUP BY {exact}"
    left_out = "the rows are tested outside the engine, by their distinct values"
    return context.made(check=Check(sql=sql, format=format_, arguments=arguments), keys_left_out=left_out)


def _condition(context: Context) -> Ask:
    holds = context.condition(str(context.rule.arguments.get("sql", "")))
    return _every_row(context, holds)


def _schema(context: Context) -> Ask:
    wrong = proofs.schema_differences(context)
    return context.made(
        known={
            "failing": float(len(wrong)),
            "checked": float(len(context.rule.arguments.get("columns", ()))),
        },
        keys_left_out="; ".join(wrong),
    )


KINDS: dict[str, Callable[[Context], Ask]] = {
    "not-null": _not_null, "set": _set, "range": _range, "pattern": _pattern, "length": _length, "type": _type, "format": _format,
    "condition": _condition, "unique": asking_together.unique, "foreign-key": asking_together.foreign_key, "near-duplicates": asking_together.near_duplicates, "dependency": asking_together.dependency, "gaps": asking_together.gaps,
    "continuity": asking_together.continuity, "row-count": asking_metrics.row_count, "aggregate": asking_metrics.aggregate, "freshness": asking_metrics.freshness, "volume": asking_metrics.row_count,
    "distribution": asking_metrics.distribution, "learned": asking_metrics.learned, "agreement": asking_metrics.agreement, "sql": asking_metrics.sql, "schema": _schema,
}  # fmt: skip
