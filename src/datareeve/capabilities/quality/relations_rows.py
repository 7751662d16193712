"""What rows say as they follow one another: series that have a row at every step, and rows that no other is like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.engines.dialect import MOMENTS, SECONDS_OF
from datareeve.capabilities.quality.relations_columns import GIVEN_OUT, OFTEN, groups_of, row_of
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.quality.profile import Column, Look, Profile
    from datareeve.capabilities.quality.relations_columns import Answers

SERIES_TRIED = 4
ROWS_COMPARED = 1_000_000  # rows of a table that are compared with one another as a whole
ROWS_A_DAY, DAYS = 20, 28  # of events that come every day
STEPS = ("1 minute", "5 minutes", "10 minutes", "15 minutes", "20 minutes", "30 minutes", "1 hour", "2 hours", "3 hours", "4 hours", "6 hours", "12 hours", "1 day")  # fmt: skip


class Regular(Value):
    """A series that has a row at every step, in each group."""

    column: str
    by: tuple[str, ...]
    every: str
    rows: int


def asked(look: Look, found: Profile) -> Iterator[dict[str, Any]]:
    """What a table is asked: rows that come twice under another number, and series, of which a sample says nothing."""
    d = look.dialect
    beside = beside_key(look, found)
    if beside:
        named = ", ".join(map(d.name, beside))
        sql = f"SELECT count(*) AS n FROM (SELECT DISTINCT {named} FROM {d.table(look.table)}) AS kept"
        yield {"id": f"{look.name}:apart", "sql": sql}
    if found.sampled:  # of a sample, no row is missed
        return
    for column, by in _series(found):
        epoch = d.epoch(d.name(column.name), column.family)
        group = f" GROUP BY {', '.join(map(d.name, by))}" if by else ""
        runs = f"SELECT count(DISTINCT {epoch}) AS n, max({epoch}) - min({epoch}) AS span FROM {d.table(look.table)}{group}"
        sql = f"SELECT sum(n - 1) AS steps, sum(span) AS span FROM ({runs}) AS runs"
        yield {"id": f"{look.name}:steps:{column.name}:{','.join(by)}", "sql": sql}
    for column in _events(found):
        day = d.floored(f"{d.epoch(d.name(column.name), column.family)} / 86400")
        sql = f"SELECT count(DISTINCT {day}) AS days, max({day}) - min({day}) + 1 AS span FROM {d.table(look.table)}"
        yield {"id": f"{look.name}:days:{column.name}", "sql": sql}


def beside_key(look: Look, found: Profile) -> list[str]:
    """The columns beside a key that was given out: what tells a row that came twice under another number."""
    key = found.primary_key or (found.keys[0] if found.keys else ())
    own = next((one for one in found.columns if (one.name,) == key), None)
    others = [one.name for one in found.columns if one.name not in key]
    whole = len(look.columns) == len(look.table.columns) == len(found.columns)
    given_out = own is not None and own.family in ("integer", "uuid") and GIVEN_OUT.search(own.name)
    few = found.sampled or not OFTEN <= found.rows <= ROWS_COMPARED
    return others if given_out and whole and len(others) > 2 and not few else []  # noqa: PLR2004 - a code and its name are alike in nothing else


def _series(found: Profile) -> list[tuple[Column, tuple[str, ...]]]:
    """A moment and what has its own row at each: by the key, or as many rows as things and moments make together."""
    moments = {
        one.name: one
        for one in found.columns
        if one.family in MOMENTS and not one.category and one.present == found.rows
    }
    for key in found.keys[:1]:
        of_key = [name for name in key if name in moments]
        if len(of_key) == 1:
            return [(moments[of_key[0]], tuple(name for name in key if name != of_key[0]))]
    panels: list[tuple[Column, tuple[str, ...]]] = [
        (moment, (thing.name,))
        for moment in moments.values()
        for thing in found.columns
        if (moment.distinct or 0) > 1 and (thing.distinct or 0) > 1 and groups_of((moment, thing)) == thing.present == found.rows
        and thing.family in ("text", "uuid", "integer") and not thing.category
    ]  # fmt: skip
    return panels[:SERIES_TRIED]


def stepped(look: Look, found: Profile, answers: Answers) -> Regular | None:
    """The series that may have a row at each of its steps."""
    for column, by in _series(found):
        told = row_of(answers, f"{look.name}:steps:{column.name}:{','.join(by)}")
        steps, span = float(told.get("steps") or 0), float(told.get("span") or 0)
        every = next((one for one in STEPS if steps >= OFTEN and span == steps * _seconds(one)), "")
        if every:
            return Regular(column=column.name, by=by, every=every, rows=found.rows)
    return None


def _seconds(every: str) -> int:
    number, _, unit = every.partition(" ")
    return int(number) * SECONDS_OF[unit.rstrip("s")]


def missing(look: Look, regular: Regular) -> str:
    """How many steps of a series have no row."""
    d = look.dialect
    family = next(one.family for one in look.columns if one.name == regular.column)
    step = d.floored(f"{d.epoch(d.name(regular.column), family)} / {_seconds(regular.every)}")
    group = f" GROUP BY {', '.join(map(d.name, regular.by))}" if regular.by else ""
    runs = f"SELECT max({step}) - min({step}) + 1 - count(DISTINCT {step}) AS missing FROM {d.table(look.table)}{group}"
    return f"SELECT coalesce(sum(missing), 0) AS n FROM ({runs}) AS runs"


def _events(found: Profile) -> list[Column]:
    """Moments at which rows came, many each day."""
    told = (
        one
        for one in found.columns
        if one.family in MOMENTS and not one.category and one.present == found.rows
    )
    return [one for one in told if found.rows >= ROWS_A_DAY * DAYS]


def daily(look: Look, found: Profile, answers: Answers) -> Regular | None:
    """Events that came on every day."""
    for column in _events(found):
        told = row_of(answers, f"{look.name}:days:{column.name}")
        days, span = int(told.get("days") or 0), int(told.get("span") or 0)
        if DAYS <= days == span and found.rows >= ROWS_A_DAY * days:
            return Regular(column=column.name, by=(), every="1 day", rows=found.rows)
    return None
