"""Rules that are drafted from what a table's columns and rows say of one another, each with its evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts.drafts import draft, nice_above
from datareeve.capabilities.quality.counting import counted
from datareeve.capabilities.quality.relations_columns import DAMAGE, GIVEN_OUT, NO_DATES, OFTEN
from datareeve.capabilities.quality.rule import Bounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.quality.profile import Column, Profile
    from datareeve.capabilities.quality.rule import Rule

TEXTS = {  # rule -> the damages that it is about, and how they are called
    "encoding": (("encoding", "unseen"), "damage of an encoding or signs that nobody sees"),
    "blanks": (("blanks",), "blanks at an end"),
}
WANDERS = 0.25  # of a standard deviation: how far a mean may go
CENT = 0.01
PSI = 0.25  # a population stability index that is taken for another population
MANY = 1000  # rows that a mean, or that no two rows are alike, rests on


def rules_of(profile: Profile) -> Iterator[Rule]:
    """All that holds without exception, and for more rows than chance explains."""
    yield from _identities(profile)
    yield from _agrees(profile)
    yield from _decided(profile)
    yield from _series(profile)
    for column in profile.columns:
        yield from _undamaged(profile, column)
        yield from _readable(profile, column)
        yield from _dated(profile, column)
        yield from _shares(profile, column)
        yield from _mean(profile, column)
    names = [{"name": one.name} for one in profile.columns]
    if not profile.left_out:
        text = f"{len(names)} columns. One that is added breaks nothing, and somebody should know."
        yield draft(
            "schema", profile.name, (), {"columns": names, "more": False}, severity="warning", text=text
        )
    if profile.relations.apart and profile.rows >= MANY:
        text = f"{counted(profile.rows, 'row')}, no two alike but for their key."
        rule = draft("unique", profile.name, profile.relations.apart, {"nulls": "equal"}, text=text)
        yield rule.model_copy(update={"id": f"{profile.name}-rows-unique"})


def _identities(profile: Profile) -> Iterator[Rule]:
    for one in profile.relations.identities:
        text = f"{profile.seen(one.rows)}, {one.sql.replace(chr(34), '')} in each."
        yield draft("condition", profile.name, one.columns, {"sql": one.sql}, text=text)


def _agrees(profile: Profile) -> Iterator[Rule]:
    for one in profile.relations.agrees:
        text = f"The sum of {one.column} is that of {one.other} of {counted(one.rows, 'row')} of {one.table}."
        arguments = {"function": "sum", "with": {"table": one.table, "column": one.other}}
        bounds = Bounds(at_least=-CENT, at_most=CENT)  # doubles are summed in any order
        yield draft("agreement", profile.name, (one.column,), arguments, bounds=bounds, text=text)


def _decided(profile: Profile) -> Iterator[Rule]:
    for one in profile.relations.decided:
        text = f"{profile.seen(one.rows)}, {one.groups:,} different {' and '.join(one.by)} with one {one.column} each"
        allowed: dict[str, Any] = {}
        if one.beside:
            percent = 100 * one.beside / one.rows
            most = nice_above(percent * 1.25 + 0.1)
            text += f" but for {one.beside:,} ({percent:.2g} %); up to {most:g} % are allowed"
            allowed = {"bounds": Bounds(at_most=most), "unit": "percent"}
        arguments = {"by": list(one.by)}
        yield draft(
            "dependency",
            profile.name,
            (one.column,),
            arguments,
            severity="warning",
            text=f"{text}.",
            **allowed,
        )


def _series(profile: Profile) -> Iterator[Rule]:
    regular = profile.relations.regular
    if regular:
        each = f" of each {' and '.join(regular.by)}" if regular.by else ""
        arguments = {"every": regular.every, "by": list(regular.by) or None}
        text = f"{profile.seen(regular.rows)}, and none is missing every {regular.every}{each}."
        yield draft("continuity", profile.name, (regular.column,), arguments, text=text)
    for column in profile.columns:
        if _numbered(profile, column):
            text = f"{counted(profile.rows, 'row')}, numbered without a gap."
            yield draft("gaps", profile.name, (column.name,), severity="warning", text=text)


def _numbered(profile: Profile, column: Column) -> bool:
    """Whether rows were given their numbers one after another, and all are still there."""
    least, greatest = column.least, column.greatest
    if not isinstance(least, float) or not isinstance(greatest, float) or profile.sampled:
        return False
    key = column.family == "integer" and (column.name,) in profile.keys and GIVEN_OUT.search(column.name)
    return bool(key) and greatest - least + 1 == profile.rows >= OFTEN


def _undamaged(profile: Profile, column: Column) -> Iterator[Rule]:
    undamaged = profile.relations.undamaged.get(column.name, ())
    if column.present < OFTEN or column.shapes:  # a shape says more
        return
    for name, (damages, said) in TEXTS.items():
        regex = "|".join(DAMAGE[one] for one in damages if one in undamaged)
        if regex:
            text = f"{profile.seen(column.present, 'value')}, none with {said}."
            rule = draft(
                "pattern", profile.name, (column.name,), {"regex": regex, "negated": True}, text=text
            )
            yield rule.model_copy(update={"id": f"{profile.name}-{column.name}-{name}"})


def _readable(profile: Profile, column: Column) -> Iterator[Rule]:
    type_ = profile.relations.readable.get(column.name)
    if type_ and column.present >= OFTEN and not column.format:
        text = f"{profile.seen(column.present, 'value')}, each of which can be read as {type_}."
        yield draft("type", profile.name, (column.name,), {"type": type_}, text=text)


def _dated(profile: Profile, column: Column) -> Iterator[Rule]:
    if column.name in profile.relations.dated and column.present >= OFTEN:
        text = f"{profile.seen(column.present, 'value')}, none of the dates that programs write where there is none."
        arguments = {"values": list(NO_DATES), "negated": True}
        yield draft("set", profile.name, (column.name,), arguments, text=text)


def _shares(profile: Profile, column: Column) -> Iterator[Rule]:
    """How often each value of an enumeration is there."""
    if len(column.values) < 2 or column.present < MANY or len(column.values) != column.distinct:  # noqa: PLR2004 - of one there is no share
        return
    values, rows = zip(*sorted(column.values), strict=True)
    arguments = {"method": "psi", "reference": {"categories": list(values), "counts": list(rows)}}
    text = (
        f"{profile.seen(column.present, 'value')}; their shares may move as far as an index of {PSI} (PSI)."
    )
    yield draft(
        "distribution",
        profile.name,
        (column.name,),
        arguments,
        bounds=Bounds(below=PSI),
        severity="warning",
        text=text,
    )


def _mean(profile: Profile, column: Column) -> Iterator[Rule]:
    told = profile.relations.spread.get(column.name)
    if told is None or column.present < MANY:
        return
    mean, spread = told
    low, high = (float(f"{mean + sign * WANDERS * spread:.4g}") for sign in (-1, 1))
    text = f"{profile.seen(column.present, 'value')}, {mean:.4g} on average; a quarter of their standard deviation more or less is allowed."
    bounds = Bounds(at_least=low, at_most=high)
    yield draft(
        "aggregate",
        profile.name,
        (column.name,),
        {"function": "mean"},
        bounds=bounds,
        severity="warning",
        text=text,
    )
