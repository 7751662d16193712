"""What is asked for rules that look at rows together: keys that are there twice, rows of other tables, what is missing in a series. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.quality.engines.dialect import MOMENTS, NUMERIC, SECONDS_OF, Query
from datareeve.capabilities.quality.verdicts import KEYS_SHOWN
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.asking_context import Ask, Context
    from datareeve.capabilities.quality.catalog import CatalogColumn
    from datareeve.capabilities.quality.engines.dialect import Dialect


def _beyond_first(context: Context, columns: Sequence[CatalogColumn], checked: str, asked: Query) -> Ask:
    """Rows beyond the first of each key."""
    aggregates, left_out = {"checked": checked}, ""
    if context.personal & {column.name for column in columns}:
        asked, left_out = _unlisted(asked), "its columns are personal data"
    return context.made(aggregates=aggregates, queries={"failing": asked}, keys_left_out=left_out)


def _unlisted(asked: Query) -> Query:
    """The same, without what would name keys."""
    close = asked.close.model_copy(update={"keys": ""}) if asked.close else None
    return Query(sql=asked.sql, close=close)


def unique(context: Context) -> Ask:
    """Rows beyond the first of each key."""
    columns, d = context.columns or tuple(context.column(name) for name in context.key), context.dialect
    if not columns:
        raise BadInput(
            "rule.columns", "It is not said which columns together are unique, and the table has no key."
        )
    if context.rule.arguments.get("nulls") == "equal":
        return _beyond_first(
            context, columns, context.total, d.groups(context.rows_of(context.where), columns)
        )
    nullable = [column for column in columns if not column.not_null]
    source = context.rows_of(context.there(nullable))
    return _beyond_first(context, columns, context.there_count(columns), d.distinct(source, columns))


def near_duplicates(context: Context) -> Ask:
    """Rows beyond the first of what is alike but for case, spaces and punctuation."""
    columns, d = context.columns, context.dialect
    if not columns:
        raise BadInput("rule.columns", "It is not said which columns are compared.")
    folded = [d.folded(context.named(c), c.family) for c in columns]
    failing = d.beyond_first(context.rows_of(context.there(columns)), folded)
    left_out = "near-duplicates are told by their number"
    aggregates = {"checked": context.there_count(columns)}
    return context.made(aggregates=aggregates, queries={"failing": failing}, keys_left_out=left_out)


def dependency(context: Context) -> Ask:
    """Rows whose value is not the one that most rows of their group have."""
    by = [context.column(str(name)) for name in context.rule.arguments.get("by", ())]
    column, d = context.only, context.dialect
    if not by or column in by:
        raise BadInput("rule.columns", "It is not said which other columns decide the value.")
    groups = [d.exact(context.named(one), one.family) for one in by]
    value = d.exact(context.named(column), column.family)
    # By its collation a group may be written in several ways: one of them is told.
    told = [f"min({context.named(one)})" for one in by] if d.folds else groups
    listed = [
        f"{group} AS g{n}, {one} AS t{n}" for n, (group, one) in enumerate(zip(groups, told, strict=True))
    ]
    source = context.rows_of(context.there([*by, column]))
    counted = (
        f"SELECT {', '.join(listed)}, count(*) AS many FROM {source} GROUP BY {', '.join([*groups, value])}"
    )
    by_group = f"FROM ({counted}) AS by_value GROUP BY {', '.join(f'g{n}' for n in range(len(by)))}"
    shown = ", ".join(
        f"{f'min(t{n})' if d.folds else f'g{n}'} AS {context.named(one)}" for n, one in enumerate(by)
    )
    keys = f"SELECT {shown} {by_group} HAVING count(*) > 1 LIMIT {KEYS_SHOWN}"
    beside = f"SELECT sum(many) - max(many) AS beside {by_group}"
    personal = bool(context.personal & {one.name for one in by})
    return context.made(
        aggregates={"checked": context.there_count([*by, column])},
        queries={"failing": f"SELECT coalesce(sum(beside), 0) AS failing FROM ({beside}) AS groups_of"},
        keys="" if personal else keys,
        keys_left_out="its columns are personal data" if personal else "",
    )


def foreign_key(context: Context) -> Ask:
    """Rows that name one of another table that is not there."""
    other = context.other(str(context.rule.arguments.get("table", "")))
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
    return context.made(
        aggregates={"checked": context.there_count(ours)},
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


def gaps(context: Context) -> Ask:
    """Numbers that are missing in a sequence."""
    column, d = context.fits(context.only, ("integer", "decimal"), "A sequence"), context.dialect
    step = context.rule.arguments.get("step", 1)
    if not isinstance(step, (int, float)) or step <= 0:
        raise BadInput("rule.arguments", "The step of a sequence is greater than 0.")
    whole = column.family == "integer" and step == 1
    return _series(context, context.named(column), d.value(step, "integer"), column, whole=whole)


def continuity(context: Context) -> Ask:
    """Stretches of time without a row."""
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
    source, there = f"{context.source} WHERE {context.there([column])}", number
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
    return context.made(queries={"series": sql}, keys_left_out="what is missing has no key")


def seconds_of(every: str) -> int:
    """'15 minutes' as seconds. Errors: `BadInput` `rule.arguments`."""
    number, _, unit = every.strip().partition(" ")
    if not number.isdigit() or int(number) < 1 or unit.rstrip("s") not in SECONDS_OF:
        raise BadInput("rule.arguments", f"{every!r} is no interval: write '1 hour', '15 minutes', '1 day'.")
    return int(number) * SECONDS_OF[unit.rstrip("s")]
