"""What a column says by itself: text without damage and what it can be read as, moments that have come, numbers that measure something."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.capabilities.quality import regexes
from datareeve.capabilities.quality.asking import FURTHEST_ZONE, READABLE, READABLE_BY_FORMAT
from datareeve.capabilities.quality.engines.dialect import MOMENTS, NUMERIC
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from datareeve.capabilities.quality.profile import Column, Look, Profile

OFTEN = 100  # rows that a relation rests on
FEW = 10  # values: fewer are rather names of something than measures
# Names of numbers that are given out, one after another.
GIVEN_OUT = re.compile(r"(?i:(^|_)(id|key|fk|nr|no)$)|[a-z]I[dD]$")
# What damages text: signs of UTF-8 that was read as Latin-1, blanks at its ends, signs that nobody sees.
DAMAGE = {
    "encoding": r"[\u00c2-\u00c5\u00cf-\u00d1][\u0080-\u009f\u00a1-\u00bf\u0152\u201a-\u2122]|\u00e2\u20ac|\ufffd",
    "blanks": r"^[ \t]|[ \t]$",
    "unseen": r"[\x01-\x08\x0b\x0c\x0e-\x1f\u200b\u2060\ufeff]",
}
# What text may be read as: the types whose values are tested one by one are tried by their beginning first.
READ_AS = {
    "date": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "timestamp": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:", "json": r"^[ \t]*[\[{]",
    "uuid": READABLE["uuid"], "number": READABLE["number"],
}  # fmt: skip
# What stands for no value; words that are also names or codes (Null, None, NA) count where they can be neither.
STAND_INS = ("", "-", "--", "?", "N/A", "n/a", "#N/A", "null", "NULL", "nan", "NaN", "NA", "None", "none")
# What programs write where there is no date.
NO_DATES = ("0001-01-01", "1753-01-01", "1899-12-30", "1900-01-01", "9999-12-31")


Answers = dict[str, Any]


class Amount(NamedTuple):
    """A column of numbers that measure something."""

    name: str
    family: str
    least: float
    greatest: float
    distinct: int

    @property
    def quoted(self) -> str:
        """As SQL that contracts are drafted in names it."""
        return '"' + self.name.replace('"', '""') + '"'


def row_of(found: Answers, id_: str) -> dict[str, Any]:
    """The first row of an answer; {} where there is none."""
    rows = found.get(id_, {}).get("rows") or [{}]
    return dict(rows[0])


def asked(look: Look, found: Profile) -> Iterator[dict[str, Any]]:
    """One pass over each column that says something by itself."""
    d = look.dialect
    for column in found.columns:
        name = d.name(column.name)
        if column.family == "text" and column.present and not column.values and not column.format:
            listed = ", ".join(
                f"{d.count_where(one)} AS {part}" for part, one in _of_text(look, column).items()
            )
            sql = f"SELECT count({name}) AS there, {listed} FROM {look.some([column.name])}"
            yield {"id": f"{look.name}:text:{column.name}", "sql": sql}
        if column.name in moments(found):
            counted = [
                f"{d.count_where(f'{d.epoch(name, column.family)} > {d.now} + {FURTHEST_ZONE}')} AS ahead"
            ]
            if column.family == "date":
                none = (
                    f"{d.comparable(name, 'date')} IN ({', '.join(d.value(one, 'date') for one in NO_DATES)})"
                )
                counted.append(f"{d.count_where(none)} AS none")
            yield {
                "id": f"{look.name}:moments:{column.name}",
                "sql": f"SELECT {', '.join(counted)} FROM {look.source}",
            }
    for amount in amounts(found):
        name = d.name(amount.name)
        figures = f"{d.mean(name, amount.family)} AS mean, {d.stddev(name)} AS spread"
        yield {"id": f"{look.name}:spread:{amount.name}", "sql": f"SELECT {figures} FROM {look.source}"}


def _of_text(look: Look, column: Column) -> dict[str, str]:
    """Whether a text is damaged in each of the ways, looks like each of the types, and whether it stands for no value."""
    d, name = look.dialect, look.dialect.name(column.name)
    told = {part: _matches(look, column.name, regex) for part, regex in {**DAMAGE, **READ_AS}.items()}
    return {"stands": d.among(name, stand_ins(column)), **{part: one for part, one in told.items() if one}}


def _matches(look: Look, column: str, regex: str) -> str:
    """The condition that a text has a pattern; '' where this engine cannot tell."""
    try:
        return regexes.condition(look.dialect, look.dialect.name(column), regex, look.dialect.syntax)
    except BadInput:
        return ""


def undamaged(some: Mapping[str, Any]) -> tuple[str, ...]:
    """The damages that some rows of a text have none of."""
    return tuple(part for part in DAMAGE if some.get(part) == 0)


def read_as(some: Mapping[str, Any]) -> str:
    """The first type that some rows of a text all look like."""
    return next((one for one in READ_AS if some.get("there") and some.get(one) == some["there"]), "")


def asked_of_whole_text(look: Look, column: Column, some: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Whether what some rows are free of, no row has; and whether what they all look like, every value is."""
    d, name, type_ = look.dialect, look.dialect.name(column.name), read_as(some)
    damaged = _matches(look, column.name, "|".join(DAMAGE[part] for part in undamaged(some)))
    asked = {
        "damaged": damaged if undamaged(some) else "",
        "stands": d.among(name, stand_ins(column)) if some.get("stands") == 0 else "",
        "unread": f"NOT ({_matches(look, column.name, READ_AS[type_])})" if type_ in READABLE else "",
    }
    listed = [f"{d.count_where(one)} AS {what}" for what, one in asked.items() if one]
    if listed:
        sql = f"SELECT {', '.join(listed)} FROM {look.source}"
        yield {"id": f"{look.name}:whole text:{column.name}", "sql": sql}
    if type_ in READABLE_BY_FORMAT:
        sql = f"SELECT min({name}) AS value, count(*) AS times FROM {look.source} WHERE {name} IS NOT NULL GROUP BY {d.exact(name, 'text')}"
        check = {"format": READABLE_BY_FORMAT[type_], "arguments": {}}
        yield {"id": f"{look.name}:readable:{column.name}", "sql": sql, "check": check}


def is_read(look: Look, column: str, type_: str, answers: Answers) -> bool:
    """Whether every value of a text could be read as the type."""
    if type_ in READABLE_BY_FORMAT:
        checked = row_of(answers, f"{look.name}:readable:{column}")
        return bool(checked.get("checked")) and not checked.get("failing")
    return row_of(answers, f"{look.name}:whole text:{column}").get("unread") == 0


def stand_ins(column: Column) -> tuple[str, ...]:
    """The words that stand for no value in a column: Null is a surname, and NA is Namibia."""
    code = (column.longest or 0) <= 3  # noqa: PLR2004 - letters of a country, an airport, a currency
    words = {"null", "NULL", "nan", "NaN", "NA", "None", "none"} if column.category or code else set()
    return tuple(word for word in STAND_INS if word not in words)


def moments(found: Profile) -> list[str]:
    """The columns of dates and times that have values."""
    return [one.name for one in found.columns if one.family in MOMENTS and one.present]


def amounts(found: Profile) -> list[Amount]:
    """Numbers that measure something: no keys, no references, nothing personal, more than a few values."""
    if found.looked_at < OFTEN:
        return []
    others = referring(found) | {name for key in found.keys for name in key}
    told = (
        Amount(one.name, one.family, one.least, one.greatest, one.distinct or 0)
        for one in found.columns
        if one.family in NUMERIC and isinstance(one.least, float) and isinstance(one.greatest, float)
        and not (one.category or one.name in others or GIVEN_OUT.search(one.name))
    )  # fmt: skip
    return [one for one in told if one.distinct >= FEW and math.isfinite(one.least + one.greatest)]


def referring(found: Profile) -> set[str]:
    """Columns that refer to another table."""
    return {*found.refers, *(name for one in found.references for name in one.columns)}


def mean(told: Mapping[str, Any]) -> tuple[float, float] | None:
    """Mean and standard deviation, where both are figures."""
    try:
        mean, spread = float(told["mean"]), float(told["spread"])
    except (KeyError, TypeError, ValueError):
        return None
    return (mean, spread) if math.isfinite(mean + spread) and spread > 0 else None


def groups_of(by: Iterable[Column]) -> int:
    """How many groups columns make together, at most."""
    return math.prod(one.distinct or 1 for one in by)
