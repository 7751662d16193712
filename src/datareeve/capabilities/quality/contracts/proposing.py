"""A contract drafted from profiles: every rule with the evidence that it rests on, and bounds with slack so that tomorrow's clean data passes.

What was seen once is no rule. Slack is said in the rule's text, and a rule that rests on a sample says so. A person reviews it: it is a draft.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.asking import NOW
from datareeve.capabilities.quality.contracts import proposing_related as related
from datareeve.capabilities.quality.contracts.drafts import column as quoted
from datareeve.capabilities.quality.contracts.drafts import draft, nice_above, spoken, with_ids
from datareeve.capabilities.quality.contracts.imports.imported import ImportedColumn, ImportedTable
from datareeve.capabilities.quality.contracts.write import new_contract
from datareeve.capabilities.quality.counting import counted
from datareeve.capabilities.quality.engines.dialect import MOMENTS
from datareeve.capabilities.quality.profile import SHAPES, Column, Profile, unique
from datareeve.capabilities.quality.relations_columns import GIVEN_OUT, stand_ins
from datareeve.capabilities.quality.rule import Bounds, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEAST_ROWS = 20  # of fewer, nothing is learned but their number
SELDOM = 5  # rows: a value that is rarer may have brothers that were not seen
NONE_ZERO = 50  # values above zero that a zero among them would be strange beside
OFTEN = 100  # rows that a shape, an order or a format rests on
SLACK = 0.1  # of the span of a column's numbers, on either side
RANGES = {"month": (1, 12), "day": (1, 31), "hour": (0, 24), "minute": (0, 59), "second": (0, 60), "weekday": (0, 7), "quarter": (1, 4), "lat": (-90, 90), "latitude": (-90, 90), "lon": (-180, 180), "lng": (-180, 180), "long": (-180, 180), "longitude": (-180, 180), "percent": (0, 100), "percentage": (0, 100), "humid": (0, 100), "humidity": (0, 100)}  # fmt: skip
LOGICAL = {"integer": "integer", "decimal": "number", "float": "number", "text": "string", "uuid": "string", "date": "date", "timestamp": "timestamp", "timestamptz": "timestamp", "time": "time", "boolean": "boolean"}  # fmt: skip
EARLIEST, LATEST = 1800, 2200  # numbers that are taken for years
FRESH_WITHIN = timedelta(days=2)


def propose(  # noqa: PLR0913 - each of them is asked for by name
    name: str,
    profiles: Sequence[Profile],
    *,
    system: str,
    server: dict[str, Any] | None = None,
    owner: str = "",
    now: datetime,
) -> str:
    """The text of a draft."""
    tables = [_table(one) for one in profiles]
    rules = with_ids(("", spoken(rule)) for one in profiles for rule in rules_of(one, now))
    purpose = f"Drafted by quality.propose-contract from what {system} held on {now.date().isoformat()}. To be reviewed."
    return new_contract(name, tables, rules, system=system, server=server, owner=owner, purpose=purpose)


def rules_of(profile: Profile, now: datetime) -> Iterator[Rule]:
    """The rules of a table, with their evidence."""
    if profile.rows < LEAST_ROWS:
        return
    yield _row_count(profile)
    yield from _keys(profile)
    for column in profile.columns:
        yield from _of_column(profile, column, now)
    yield from _references(profile)
    yield from related.rules_of(profile)
    for lesser, greater, rows in profile.ordered:
        if rows >= OFTEN:
            text = f"{profile.seen(rows)} that have both, none the other way round."
            yield draft(
                "condition",
                profile.name,
                (lesser, greater),
                {"sql": f"{quoted(lesser)} <= {quoted(greater)}"},
                text=text,
            )


def _table(profile: Profile) -> ImportedTable:
    key = profile.primary_key or (profile.keys[0] if profile.keys else ())
    columns = tuple(
        ImportedColumn(
            name=one.name,
            logical_type=LOGICAL.get(one.family, ""),
            physical_type=one.type,
            description=one.comment,
            key=key.index(one.name) + 1 if one.name in key else 0,
            tags=(f"pii:{one.category}",) if one.category else (),
        )
        for one in profile.columns
    )
    left = f" Not looked at: {'; '.join(profile.left_out)}." if profile.left_out else ""
    return ImportedTable(
        name=profile.name,
        physical_name=profile.table,
        columns=columns,
        description=f"{counted(profile.rows, 'row')} when it was profiled.{left}",
    )


def _row_count(profile: Profile) -> Rule:
    least = _nice_below(profile.rows * 0.8)
    text = f"{counted(profile.rows, 'row')}; a fifth fewer are allowed."
    return draft("row-count", profile.name, bounds=Bounds(at_least=least), text=text)


def _keys(profile: Profile) -> Iterator[Rule]:
    """Keys beyond the first, which the properties say (`primaryKey`)."""
    first = profile.primary_key or (profile.keys[0] if profile.keys else ())
    for key in profile.keys:
        if key == first:
            continue
        yield draft("unique", profile.name, key, text=f"{profile.seen()}, as many distinct values.")


def _of_column(profile: Profile, column: Column, now: datetime) -> Iterator[Rule]:
    yield from _nulls(profile, column)
    if not column.present:
        return
    if column.values:
        yield from _enumeration(profile, column)
    elif column.family in ("integer", "decimal", "float"):
        if column.name not in _refers(profile):  # the other table's keys say what may stand there
            yield from _range(profile, column)
    elif column.family in MOMENTS:
        yield from _moments(profile, column, now)
    elif column.family == "text":
        yield from _text(profile, column)


def _refers(profile: Profile) -> set[str]:
    return {*profile.refers, *(name for one in profile.references for name in one.columns)}


def _nulls(profile: Profile, column: Column) -> Iterator[Rule]:
    rows, absent = profile.looked_at, profile.looked_at - column.present
    told = column.name in profile.relations.present and rows >= OFTEN
    missing = {"missing": list(stand_ins(column))} if told else {}
    none = ", nor what stands for it" if told else ""
    key = profile.primary_key or (profile.keys[0] if profile.keys else ())
    if not absent:
        if column.name not in key:  # a primary key says so already
            why = ", guaranteed by the engine" if column.not_null else ""
            yield draft(
                "not-null",
                profile.name,
                (column.name,),
                missing,
                text=f"{profile.seen()}, 0 NULL{why}{none}.",
            )
        return
    percent = 100 * absent / rows
    if percent <= 50 and rows >= OFTEN:  # noqa: PLR2004 - a column that is mostly empty says nothing
        error = 100 * 4 * math.sqrt(percent / 100 * (1 - percent / 100) / rows)
        most = nice_above(percent * 1.5 + error + 0.1)
        text = f"{profile.seen()}, {absent:,} NULL ({percent:.2f} %){none}; up to {most:g} % are allowed."
        yield draft(
            "not-null",
            profile.name,
            (column.name,),
            missing,
            bounds=Bounds(at_most=most),
            unit="percent",
            text=text,
        )


def _enumeration(profile: Profile, column: Column) -> Iterator[Rule]:
    least = min(rows for _, rows in column.values)
    known = any(
        one.columns == (column.name,) and not one.orphans for one in profile.references
    )  # the other table lists them
    if least < SELDOM or len(column.values) != column.distinct or known:
        return
    text = (
        f"{counted(column.present, 'value')}, {len(column.values)} distinct, each at least {least:,} times."
    )
    yield draft(
        "set",
        profile.name,
        (column.name,),
        {"values": sorted(value for value, _ in column.values)},
        text=text,
    )


def _range(profile: Profile, column: Column) -> Iterator[Rule]:
    least, greatest = column.least, column.greatest
    if (
        not isinstance(least, float)
        or not isinstance(greatest, float)
        or not math.isfinite(least)
        or not math.isfinite(greatest)
    ):
        return
    word = re.sub(r"^.*_", "", column.name.lower())
    known = RANGES.get(word)
    if known and known[0] <= least and greatest <= known[1]:
        if word.startswith(
            ("lat", "lon", "lng")
        ):  # within what both may be, one could be taken for the other
            known = _around(least, greatest, known)
            text = f"{_values(column)}; half as far again on either side is allowed."
            yield _bounded(profile, column, *known, text)
            return
        yield _bounded(profile, column, *known, f"{_values(column)}, within what a {column.name} can be.")
        return
    distinct = unique(column, profile.looked_at)
    if column.family == "integer" and (
        distinct or GIVEN_OUT.search(column.name)
    ):  # numbers that are given out grow
        if least >= 0:
            text = f"{_values(column)}, {'all distinct, ' if distinct else ''}none below 0."
            yield draft("range", profile.name, (column.name,), {"at_least": 0}, text=text)
        return
    if re.search(r"(^|_)year$", column.name.lower()) and least >= EARLIEST and greatest <= LATEST:
        text = (
            f"{_values(column)}, years; the decade that begins before them, and ten more after, are allowed."
        )
        yield _bounded(profile, column, least // 10 * 10, greatest + 10, text)
        return
    yield _measured(profile, column, least, greatest)


def _measured(profile: Profile, column: Column, least: float, greatest: float) -> Rule:
    """The bounds of a measure, with slack; it ends at 0 where it would cross it, and leaves 0 out where none is."""
    slack = SLACK * (greatest - least) or abs(greatest) * SLACK or 1.0
    low = 0.0 if least >= 0 and least - slack < 0 else _outward(least - slack, slack, math.floor)
    high = 0.0 if greatest <= 0 < greatest + slack else _outward(greatest + slack, slack, math.ceil)
    if column.family == "integer":
        low, high = math.floor(low), math.ceil(high)
    if low == 0 < least and column.present >= NONE_ZERO:  # a zero may be what is written for no value
        text = f"{_values(column)}, all above 0; the upper bound is wider than what was seen by a tenth of the span."
        return draft("range", profile.name, (column.name,), {"above": 0, "at_most": _whole(high)}, text=text)
    text = f"{_values(column)}; bounds are wider than what was seen by a tenth of the span."
    return _bounded(profile, column, low, high, text)


def _around(least: float, greatest: float, known: tuple[int, int]) -> tuple[int, int]:
    half = max((greatest - least) / 2, 1.0)
    return max(known[0], math.floor(least - half)), min(known[1], math.ceil(greatest + half))


def _values(column: Column) -> str:
    return counted(column.present, "value")


def _bounded(profile: Profile, column: Column, low: float, high: float, text: str) -> Rule:
    return draft(
        "range", profile.name, (column.name,), {"at_least": _whole(low), "at_most": _whole(high)}, text=text
    )


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number


def _outward(value: float, slack: float, rounding: Any) -> float:
    """Rounded to the first figure of the slack, away from the values."""
    unit = 10.0 ** math.floor(math.log10(slack)) if slack > 0 else 1.0
    return float(round(rounding(value / unit) * unit, 10))


def _nice_below(value: float) -> int:
    """With two figures, downward."""
    unit = 10 ** max(int(math.log10(value)) - 1, 0) if value >= 1 else 1
    return int(value // unit * unit)


def _moments(profile: Profile, column: Column, now: datetime) -> Iterator[Rule]:
    least, newest = _moment(column.least), _moment(column.greatest)
    if least is None or newest is None:
        if column.category and column.name in profile.relations.past:  # when: nobody is told
            yield draft(
                "range",
                profile.name,
                (column.name,),
                {"at_most": NOW},
                text=f"{_values(column)}, none yet to come.",
            )
        return
    bounds, ahead = {"at_least": f"{least.year:04d}-01-01"}, ""
    if column.name in profile.relations.past:
        bounds, ahead = {**bounds, "at_most": NOW}, " and none yet to come"
    text = f"{_values(column)}, none before {least.year}{ahead}."
    yield draft("range", profile.name, (column.name,), bounds, text=text)
    age = now - newest
    if timedelta() <= age <= FRESH_WITHIN and not profile.sampled:
        most = max(2 * age, timedelta(days=1)).total_seconds()
        hours = math.ceil(most / 3600)
        text = f"The newest was {age.total_seconds() / 3600:.1f} hours old; up to {hours} hours are allowed."
        yield draft(
            "freshness",
            profile.name,
            (column.name,),
            bounds=Bounds(at_most=hours * 3600),
            severity="warning",
            text=text,
        )


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _text(profile: Profile, column: Column) -> Iterator[Rule]:
    if column.format and column.present >= LEAST_ROWS:
        yield draft(
            "format",
            profile.name,
            (column.name,),
            {"format": column.format},
            text=f"{_values(column)}, each a valid {column.format}.",
        )
        return
    if column.shortest is None or column.longest is None or column.present < OFTEN:
        return
    shape = next((name for name in SHAPES if column.shapes.get(name) == column.present), "")
    one_length = column.shortest == column.longest
    if shape and (one_length or (column.distinct or 0) > LEAST_ROWS):
        times = f"{{{column.shortest}}}" if one_length else "+"
        regex = SHAPES[shape].replace("+", times)
        length = f" of length {column.shortest}" if one_length else ""
        yield draft(
            "pattern",
            profile.name,
            (column.name,),
            {"regex": regex},
            text=f"{_values(column)}, all {shape}{length}.",
        )
    if not (shape and one_length):
        most = max(column.longest + 1, math.ceil(column.longest * 1.5))
        arguments = {"at_least": 1, "at_most": most} if column.shortest >= 1 else {"at_most": most}
        text = f"{_values(column)} of {column.shortest} to {column.longest} characters; half as many more are allowed."
        yield draft("length", profile.name, (column.name,), arguments, text=text)


def _references(profile: Profile) -> Iterator[Rule]:
    for one in profile.references:
        arguments = {"table": one.to_table, "columns": list(one.to_columns)}
        if not one.orphans:
            why = ", guaranteed by the engine" if one.guaranteed else ""
            text = f"{counted(one.rows, 'row')}, 0 of which have no row in {one.to_table}{why}."
            yield draft("foreign-key", profile.name, one.columns, arguments, text=text)
            continue
        percent = 100 * one.orphans / one.rows
        most = nice_above(percent * 1.25 + 0.1)
        text = f"{counted(one.rows, 'row')}, {one.orphans:,} of which ({percent:.2f} %) have no row in {one.to_table}; up to {most:g} % are allowed."
        yield draft(
            "foreign-key",
            profile.name,
            one.columns,
            arguments,
            bounds=Bounds(at_most=most),
            unit="percent",
            severity="warning",
            text=text,
        )
