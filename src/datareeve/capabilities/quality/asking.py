"""What an engine is asked for each rule: aggregates that one pass answers together, statements of their own, or nothing where the catalog proves it.

Pure: a rule, the table as the catalog has it and the engine's dialect give an `Ask`. What cannot be asked says why (`not_run`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.quality import proofs, regexes
from datareeve.capabilities.quality.engines.dialect import (
    BOUNDS,
    MOMENTS,
    NUMERIC,
    SECONDS_OF,
    TEXTUAL,
    Query,
)
from datareeve.capabilities.quality.verdicts import KEYS_SHOWN
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datareeve.capabilities.quality.catalog import Catalog, CatalogColumn, CatalogTable
    from datareeve.capabilities.quality.engines.dialect import Dialect
    from datareeve.capabilities.quality.rule import Contract, Rule

# Text that is to be read as a type: the same on every engine, whatever its casts would take.
READABLE = {
    "integer": r"^[+-]?[0-9]{1,18}$",
    "number": r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$",
    "boolean": r"^(?:true|false|TRUE|FALSE|True|False|t|f|T|F|0|1|yes|no|YES|NO|Yes|No|y|n|Y|N)$",
    "uuid": r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
}
READABLE_BY_FORMAT = {"date": "date-iso", "timestamp": "datetime-iso", "json": "json"}


class Check(Value):
    """Values that the adapter tests itself: `sql` gives (value, times)."""

    sql: str
    format: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Count(Value):
    """How many rows a condition is true of. `column`: the one (quoted) column that it is about, where it is one."""

    condition: str
    column: str = ""


class Ask(Value):
    """What is asked for one rule. Names are those that `judging` knows: failing, checked, figure, newest, b0 ..."""

    rule: str
    table: str  # physical name
    aggregates: dict[str, str] = Field(default_factory=dict)  # name -> expression over the table's rows
    counts: dict[str, Count] = Field(default_factory=dict)  # as `aggregates`
    queries: dict[str, str | Query] = Field(
        default_factory=dict
    )  # name of the statement: its columns are names
    check: Check | None = None
    known: dict[str, float] = Field(default_factory=dict)  # what the catalog says already
    proof: str = ""
    not_run: str = ""
    keys: str = ""  # SQL: the keys of some rows that break the rule
    breaks: str = ""  # the condition of such rows: several rules' are asked for together
    keys_left_out: str = ""


@dataclass(frozen=True)
class Context:
    """What a rule is asked in: its table, the others, the engine, and which columns are personal."""

    rule: Rule
    table: CatalogTable
    catalog: Catalog
    contract: Contract
    dialect: Dialect
    key: tuple[str, ...]
    personal: frozenset[str]

    @property
    def columns(self) -> tuple[CatalogColumn, ...]:
        """The rule's columns. Errors: `BadInput` `rule.column`, `rule.rights`."""
        return tuple(self.column(name) for name in self.rule.columns)

    def column(self, name: str) -> CatalogColumn:
        """A column that is there and may be read."""
        found = self.table.column(name) or next(
            (c for c in self.table.columns if c.name.lower() == name.lower()), None
        )
        if found is None:
            raise BadInput("rule.column", f"{self.table.name} has no column {name}.")
        if not found.readable:
            raise BadInput("rule.rights", f"This role may not read {self.table.name}.{name}.")
        return found

    @property
    def only(self) -> CatalogColumn:
        """The rule's one column. Errors: as `columns`, and `BadInput` `rule.columns`."""
        if len(self.rule.columns) != 1:
            raise BadInput("rule.columns", f"A rule of kind {self.rule.kind} is about one column.")
        return self.columns[0]

    def named(self, column: CatalogColumn) -> str:
        """A column, quoted."""
        return self.dialect.name(column.name)

    @property
    def source(self) -> str:
        """The table, quoted."""
        return self.dialect.table(self.table)

    @property
    def where(self) -> str:
        """The rule's own condition in the engine's SQL; '' where it has none."""
        return self.condition(self.rule.where) if self.rule.where else ""

    def condition(self, text: str) -> str:
        """A condition of the contract in the engine's SQL. Errors: `BadInput` `rule.sql`."""
        from datareeve.capabilities.quality.statement_sql import condition_sql  # noqa: PLC0415 - a parser of SQL is slow to load

        return condition_sql(text, self.rule.dialect, self.dialect)

    def fits(self, column: CatalogColumn, families: Sequence[str], what: str) -> CatalogColumn:
        """The column, if it is of one of those families. Errors: `BadInput` `rule.does-not-fit`."""
        if column.family not in families:
            raise BadInput("rule.does-not-fit", f"{what} does not fit {self.table.name}.{column.name}, which is {column.type or 'of no declared type'}.")  # fmt: skip
        return column


def ask(context: Context) -> Ask:
    """What is asked for a rule; where it cannot be, why."""
    proof = proofs.prove(context)
    if proof:
        return Ask(rule=context.rule.id, table=context.table.name, proof=proof)
    try:
        return KINDS[context.rule.kind](context)
    except BadInput as error:
        return Ask(rule=context.rule.id, table=context.table.name, not_run=error.what)


def _ask(context: Context, **asked: Any) -> Ask:
    return Ask(rule=context.rule.id, table=context.table.name, **asked)


# -- rows ------------------------------------------------------------------------------------------------------------------------------


def _rows(context: Context, holds: str) -> Ask:
    """Rows of which `holds` is false; of NULL it is neither true nor false, and they are not counted."""
    column = context.named(context.columns[0]) if len(context.columns) == 1 and not context.where else ""
    return _broken(context, holds, {"checked": _there_count(context, context.columns)}, column)


def _every_row(context: Context, holds: str) -> Ask:
    """The same of a rule that is about every row, with values or without."""
    where = context.where
    return _broken(context, holds, {"checked": context.dialect.count_where(where) if where else "count(*)"})


def _broken(context: Context, holds: str, aggregates: dict[str, str], column: str = "") -> Ask:
    breaks = context.dialect.all_of([f"NOT ({holds})", context.where])
    return _ask(
        context,
        counts={"failing": Count(condition=breaks, column=column)},
        aggregates=aggregates,
        **_keys(context, breaks),
    )


def _there_count(context: Context, columns: Sequence[CatalogColumn]) -> str:
    """How many rows have values in all of some columns, as the rule's condition has it; what cannot be NULL is not asked."""
    nullable = [column for column in columns if not column.not_null]
    if context.where or len(nullable) > 1:
        return context.dialect.count_where(_there(context, nullable))
    return f"count({context.named(nullable[0])})" if nullable else "count(*)"


def _keys(context: Context, breaks: str) -> dict[str, str]:
    """The statement that names rows by their key, or why there is none."""
    if not context.key:
        return {"keys_left_out": "the table has no key"}
    if context.personal & set(context.key):
        return {"keys_left_out": "its key is personal data"}
    named = ", ".join(context.dialect.name(name) for name in context.key)
    return {
        "keys": f"SELECT {named} FROM {context.source} WHERE {breaks} LIMIT {KEYS_SHOWN}",
        "breaks": breaks,
    }


def _not_null(context: Context) -> Ask:
    column, d = context.only, context.dialect
    named = context.named(column)
    missing = [str(value) for value in context.rule.arguments.get("missing", ()) if value is not None]
    nan = d.is_nan(named, column.family) if context.rule.arguments.get("nan") else ""
    if not (
        missing or nan or context.where
    ):  # what is cheapest to count, and counted for other rules as well
        keys = _keys(context, f"{named} IS NULL")
        return _ask(context, aggregates={"rows": "count(*)", "there": f"count({named})"}, **keys)
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
    given = {
        key: context.rule.arguments[key] for key in BOUNDS if context.rule.arguments.get(key) is not None
    }
    if not given:
        raise BadInput("rule.arguments", "A range is given without bounds.")
    tests = [f"{named} {BOUNDS[key]} {d.value(value, column.family)}" for key, value in given.items()]
    kept_out = d.nan_is_greatest and bool({"at_most", "below"} & set(given))
    nan = "" if kept_out else d.is_nan(context.named(column), column.family)
    return _rows(context, d.all_of([*tests, f"NOT {nan}" if nan else ""]))


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
    given = {
        key: context.rule.arguments[key] for key in BOUNDS if context.rule.arguments.get(key) is not None
    }
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
    return _ask(context, check=Check(sql=sql, format=format_, arguments=arguments), keys_left_out=left_out)


def _condition(context: Context) -> Ask:
    holds = context.condition(str(context.rule.arguments.get("sql", "")))
    return _every_row(context, holds)


# -- rows together ---------------------------------------------------------------------------------------------------------------------


def _there(context: Context, columns: Sequence[CatalogColumn]) -> str:
    return context.dialect.all_of([*(f"{context.named(c)} IS NOT NULL" for c in columns), context.where])


def _beyond_first(context: Context, columns: Sequence[CatalogColumn], checked: str, asked: Query) -> Ask:
    """Rows beyond the first of each key."""
    aggregates, left_out = {"checked": checked}, ""
    if context.personal & {column.name for column in columns}:
        asked, left_out = _unlisted(asked), "its columns are personal data"
    return _ask(context, aggregates=aggregates, queries={"failing": asked}, keys_left_out=left_out)


def _unlisted(asked: Query) -> Query:
    """The same, without what would name keys."""
    close = asked.close.model_copy(update={"keys": ""}) if asked.close else None
    return Query(sql=asked.sql, close=close)


def _unique(context: Context) -> Ask:
    columns, d = context.columns or tuple(context.column(name) for name in context.key), context.dialect
    if not columns:
        raise BadInput(
            "rule.columns", "It is not said which columns together are unique, and the table has no key."
        )
    if context.rule.arguments.get("nulls") == "equal":
        checked = d.count_where(context.where) if context.where else "count(*)"
        return _beyond_first(context, columns, checked, d.groups(_from(context, context.where), columns))
    nullable = [column for column in columns if not column.not_null]
    source = _from(context, _there(context, nullable))
    return _beyond_first(context, columns, _there_count(context, columns), d.distinct(source, columns))


def _from(context: Context, condition: str) -> str:
    return f"{context.source} WHERE {condition}" if condition else context.source


def _near_duplicates(context: Context) -> Ask:
    columns, d = context.columns, context.dialect
    if not columns:
        raise BadInput("rule.columns", "It is not said which columns are compared.")
    folded = [d.folded(context.named(c), c.family) for c in columns]
    failing = d.beyond_first(_from(context, _there(context, columns)), folded)
    left_out = "near-duplicates are told by their number"
    aggregates = {"checked": _there_count(context, columns)}
    return _ask(context, aggregates=aggregates, queries={"failing": failing}, keys_left_out=left_out)


def _foreign_key(context: Context) -> Ask:
    other = _other(context, str(context.rule.arguments.get("table", "")))
    names = [str(name) for name in context.rule.arguments.get("columns", ())] or list(other.primary_key)
    theirs = [found for name in names if (found := other.column(name))]
    ours, d = context.columns, context.dialect
    if not ours or len(ours) != len(theirs) or len(theirs) != len(names):
        raise BadInput(
            "rule.columns",
            f"A foreign key pairs columns of {context.table.name} with as many of {other.name}, and not all are there.",
        )
    if unreadable := [column.name for column in theirs if not column.readable]:
        raise BadInput("rule.rights", f"This role may not read {other.name}.{unreadable[0]}.")
    child = (
        f"(SELECT * FROM {context.source} WHERE {context.where}) AS c"
        if context.where
        else f"{context.source} AS c"
    )
    for o, t in zip(ours, theirs, strict=True):
        if _comparable(o) != _comparable(t):
            raise BadInput("rule.does-not-fit", f"{context.table.name}.{o.name} is {o.type}, and {other.name}.{t.name} is {t.type}: engines compare them each in its own way.")  # fmt: skip
    pairs = [
        (_folding(d, f"c.{context.named(o)}", o), _folding(d, d.name(t.name), t))
        for o, t in zip(ours, theirs, strict=True)
    ]
    source, orphan = d.orphans(child, d.table(other), pairs)
    orphan = d.all_of([*(f"c.{context.named(column)} IS NOT NULL" for column in ours), orphan])
    failing = f"SELECT count(*) AS failing FROM {source} WHERE {orphan}"
    shown, left_out = _orphans_shown(context)
    listing = d.listed(shown, source, orphan) if shown else ""
    return _ask(
        context,
        aggregates={"checked": _there_count(context, ours)},
        queries={"failing": Query(sql=failing, listing=listing)},
        keys_left_out=left_out,
    )


def _comparable(column: CatalogColumn) -> str:
    """What a column is compared as: numbers with numbers, text with text."""
    return (
        "number"
        if column.family in NUMERIC
        else "text"
        if column.family in ("text", "uuid")
        else column.family
    )


def _folding(dialect: Dialect, named: str, column: CatalogColumn) -> str:
    return dialect.exact(named, column.family) if dialect.folds else named


def _orphans_shown(context: Context) -> tuple[str, str]:
    """The rows' key, with the values that lead nowhere where they are not personal; or why they are not named."""
    if context.personal & set(context.key):
        return "", "its key is personal data"
    values = (column.name for column in context.columns if column.name not in context.personal)
    shown = dict.fromkeys((*context.key, *values))
    return ", ".join(
        f"c.{context.dialect.name(name)}" for name in shown
    ), "" if shown else "the table has no key"


def _other(context: Context, name: str) -> CatalogTable:
    physical = next((t.physical_name for t in context.contract.tables if t.name == name), name)
    found = context.catalog.tables.get(physical)
    if found is None or found.why_not:
        raise BadInput(
            "rule.table",
            f"There is no table {name} that this role may read."
            if found is None
            else f"{name} cannot be read: {found.why_not}.",
        )
    return found


def _gaps(context: Context) -> Ask:
    column, d = context.fits(context.only, ("integer", "decimal"), "A sequence"), context.dialect
    step = context.rule.arguments.get("step", 1)
    if not isinstance(step, (int, float)) or step <= 0:
        raise BadInput("rule.arguments", "The step of a sequence is greater than 0.")
    whole = column.family == "integer" and step == 1
    return _series(context, context.named(column), d.value(step, "integer"), column, whole=whole)


def _continuity(context: Context) -> Ask:
    column, d = context.fits(context.only, MOMENTS, "A time series"), context.dialect
    seconds = seconds_of(str(context.rule.arguments.get("every", "1 day")))
    return _series(
        context, d.floored(f"{d.epoch(context.named(column), column.family)} / {seconds}"), "1", column
    )


def _series(context: Context, number: str, step: str, column: CatalogColumn, *, whole: bool = True) -> Ask:
    """Numbers that are missing between the least and the greatest, in each group. `whole`: all are whole, and the step is 1.

    Of others only those count that lie a number of steps from the least: one between two steps fills no gap.
    """
    d = context.dialect
    by = [d.name(context.column(name).name) for name in context.rule.arguments.get("by", ())]
    group = f" GROUP BY {', '.join(by)}" if by else ""
    source, there = f"{context.source} WHERE {_there(context, [column])}", number
    if not whole:
        parts = f"PARTITION BY {', '.join(by)}" if by else ""
        listed = ", ".join([f"{number} AS x", f"min({number}) OVER ({parts}) AS low", *by])
        source, number = f"(SELECT {listed} FROM {source}) AS placed", "x"
        steps = d.floored(f"(x - low) / {step}")
        there = f"CASE WHEN {steps} * {step} = x - low THEN x END"
    span = d.floored(f"(max({number}) - min({number})) / {step}")
    sql = (
        f"SELECT coalesce(sum(missing), 0) AS failing, coalesce(sum(there), 0) AS checked FROM (SELECT {span} + 1 - count(DISTINCT {there}) AS missing,"
        f" count(DISTINCT {number}) AS there FROM {source}{group}) AS runs"
    )
    return _ask(context, queries={"series": sql}, keys_left_out="what is missing has no key")


# -- metrics ---------------------------------------------------------------------------------------------------------------------------


def _row_count(context: Context) -> Ask:
    where = context.where
    return _ask(context, aggregates={"figure": context.dialect.count_where(where) if where else "count(*)"})


def metric(
    context: Context, function: str, column: CatalogColumn | None, *, q: float = 0.5
) -> dict[str, Any]:
    """A metric as an aggregate or a query of its own. Errors: `BadInput` `rule.arguments`, `rule.does-not-fit`."""
    d, where = context.dialect, context.where
    if function == "row-count" or column is None:
        return {"aggregates": {"figure": d.count_where(where) if where else "count(*)"}}
    named = context.named(column)
    value = f"CASE WHEN {where} THEN {named} END" if where else named
    if function in ("median", "quantile"):
        context.fits(column, NUMERIC, f"A {function}")
        q = 0.5 if function == "median" else q
        if whole := d.quantile(value, q):
            return {"aggregates": {"figure": whole}}
        return {"queries": {"figure": d.quantile_query(context.source, named, q, where)}}
    made = _expression(context, function, column, value)
    return {"aggregates": {"figure": made}}


def _expression(context: Context, function: str, column: CatalogColumn, value: str) -> str:
    d = context.dialect
    total = d.count_where(context.where) if context.where else "count(*)"
    everywhere = {
        "count": f"count({value})",
        "distinct": f"count(DISTINCT {value})",
        "null-count": f"{total} - count({value})",
        "null-percent": f"1e2 * ({total} - count({value})) / nullif({total}, 0)",
        "distinct-percent": f"1e2 * count(DISTINCT {value}) / nullif(count({value}), 0)",
    }
    if function in everywhere:
        return everywhere[function]
    text = {"min-length": "min", "max-length": "max", "mean-length": "avg"}
    if function in text:
        context.fits(column, ("text", "uuid"), f"A {function}")
        return f"{text[function]}({d.length(d.as_text(value, column.family))})"
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


def _aggregate(context: Context) -> Ask:
    arguments = context.rule.arguments
    column = context.only if context.rule.columns else None
    return _ask(
        context,
        **metric(context, str(arguments.get("function", "")), column, q=float(arguments.get("q", 0.5))),
    )


def _freshness(context: Context) -> Ask:
    column, d = context.fits(context.only, MOMENTS, "Freshness"), context.dialect
    value = (
        f"CASE WHEN {context.where} THEN {context.named(column)} END"
        if context.where
        else context.named(column)
    )
    newest = d.epoch(f"max({value})", column.family)
    if not context.where and any(index[:1] == (column.name,) for index in context.table.indexed):
        return _ask(
            context, queries={"newest": f"SELECT {newest} AS newest FROM {context.source}"}
        )  # read from the index's end
    return _ask(context, aggregates={"newest": newest})


def _learned(context: Context) -> Ask:
    arguments = context.rule.arguments
    column = context.only if context.rule.columns else None
    return _ask(
        context,
        **metric(
            context,
            str(arguments.get("metric") or arguments.get("function") or "row-count"),
            column,
            q=float(arguments.get("q", 0.5)),
        ),
    )


def _distribution(context: Context) -> Ask:
    """How many rows lie in each part of the reference: `b0` ... for numbers, and `nulls`."""
    column, d = context.only, context.dialect
    reference = context.rule.arguments.get("reference") or {}
    named = context.named(column)
    total = d.count_where(context.where) if context.where else "count(*)"
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
    there = f"count(CASE WHEN {context.where} THEN {named} END)" if context.where else f"count({named})"
    return _ask(context, counts=counted, aggregates={"checked": there, "rows": total})


def _agreement(context: Context) -> Ask:
    arguments = context.rule.arguments
    with_ = arguments.get("with") or {}
    other_table = _other(context, str(with_.get("table", "")))
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
    return _ask(context, queries=queries)


def _sql(context: Context) -> Ask:
    from datareeve.capabilities.quality.statement_sql import query_sql  # noqa: PLC0415 - as above

    asked = query_sql(str(context.rule.arguments.get("query", "")), context.rule.dialect, context.dialect)
    return _ask(context, queries={"figure": asked})


def _schema(context: Context) -> Ask:
    wrong = proofs.schema_differences(context)
    return _ask(
        context,
        known={
            "failing": float(len(wrong)),
            "checked": float(len(context.rule.arguments.get("columns", ()))),
        },
        keys_left_out="; ".join(wrong),
    )


def seconds_of(every: str) -> int:
    """'15 minutes' as seconds. Errors: `BadInput` `rule.arguments`."""
    number, _, unit = every.strip().partition(" ")
    if not number.isdigit() or int(number) < 1 or unit.rstrip("s") not in SECONDS_OF:
        raise BadInput("rule.arguments", f"{every!r} is no interval: write '1 hour', '15 minutes', '1 day'.")
    return int(number) * SECONDS_OF[unit.rstrip("s")]


KINDS: dict[str, Callable[[Context], Ask]] = {
    "not-null": _not_null, "set": _set, "range": _range, "pattern": _pattern, "length": _length, "type": _type, "format": _format,
    "condition": _condition, "unique": _unique, "foreign-key": _foreign_key, "near-duplicates": _near_duplicates, "gaps": _gaps,
    "continuity": _continuity, "row-count": _row_count, "aggregate": _aggregate, "freshness": _freshness, "volume": _row_count,
    "distribution": _distribution, "learned": _learned, "agreement": _agreement, "sql": _sql, "schema": _schema,
}  # fmt: skip
