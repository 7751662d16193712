"""What a table's columns and rows say of one another: sums and products, what a value decides, series without gaps, text without damage.

Asked after the columns by themselves are known. What has many candidates or is slow to tell is tried at some rows first; what is left is
asked of every row that is looked at, and only what holds of all of them, or of next to all where that is said, is told. No value leaves the
engine.
"""

from __future__ import annotations

import math
import operator
import re
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.capabilities.quality import regexes
from datareeve.capabilities.quality.asking import FURTHEST_ZONE, READABLE, READABLE_BY_FORMAT
from datareeve.capabilities.quality.engines.dialect import MOMENTS, NUMERIC, SECONDS_OF
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from datareeve.capabilities.quality.profile import Column, Look, Profile

OFTEN = 100  # rows that a relation rests on
FEW = 10  # values: fewer are rather names of something than measures
AMOUNTS = 8  # columns of numbers whose sums and products are tried
SUMS_TRIED = 200
DECIDED_TRIED = 60
DECIDED_TOLD = 8
SERIES_TRIED = 4
ROWS_OF_A_GROUP = 5  # on average, of a value that decides another
CHANCE = 12.0  # exp(-12): how likely chance may do the same
PENNY = 0.005  # what rounding to cents takes or gives
ROWS_COMPARED = 1_000_000  # rows of a table that are compared with one another as a whole
ROWS_A_DAY, DAYS = 20, 28  # of events that come every day
STEPS = ("1 minute", "5 minutes", "10 minutes", "15 minutes", "20 minutes", "30 minutes", "1 hour", "2 hours", "3 hours", "4 hours", "6 hours", "12 hours", "1 day")  # fmt: skip
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


class Sum(NamedTuple):
    """A condition, and the columns that it is about."""

    sql: str
    columns: tuple[str, ...]


class Decision(NamedTuple):
    """That some columns decide another: to be tried."""

    by: tuple[str, ...]
    column: str

    def id(self, look: Look, what: str = "decides") -> str:
        """Of its statement."""
        return f"{look.name}:{what}:{','.join(self.by)}>{self.column}"


class Identity(Value):
    """A condition that is true of every row: '"total" = "price" + "tax"', in the SQL that contracts are drafted in."""

    columns: tuple[str, ...]
    sql: str
    rows: int  # that have all of the values


class Decided(Value):
    """`by` decides `column`: wherever the one is the same, the other is, but for rows that are `beside`."""

    by: tuple[str, ...]
    column: str
    groups: int
    rows: int
    beside: int = 0


class Regular(Value):
    """A series that has a row at every step, in each group."""

    column: str
    by: tuple[str, ...]
    every: str
    rows: int


class Agrees(Value):
    """The sum of a column is that of another table's, of the rows that refer to it: a total and its lines."""

    column: str
    table: str
    other: str
    rows: int


class Relations(Value):
    """What holds of every row that was looked at."""

    identities: tuple[Identity, ...] = ()
    decided: tuple[Decided, ...] = ()
    regular: Regular | None = None
    apart: tuple[str, ...] = ()  # columns beside the key, in which no two rows are alike
    undamaged: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - column -> the damages of `DAMAGE` that it has none of
    readable: dict[str, str] = {}  # noqa: RUF012 - column of text -> what all of it can be read as
    present: tuple[str, ...] = ()  # columns of text in which nothing stands for no value
    past: tuple[str, ...] = ()  # columns of moments that have come
    dated: tuple[str, ...] = ()  # columns of dates, none of which stands for no date
    agrees: tuple[Agrees, ...] = ()
    spread: dict[str, tuple[float, float]] = {}  # noqa: RUF012 - column -> mean and standard deviation


Answers = dict[str, Any]


def first(look: Look, found: Profile) -> Iterator[dict[str, Any]]:
    """What is asked of each table: of every row what costs one pass, of some rows what has many candidates."""
    yield from _of_columns(look, found)
    yield from _of_rows(look, found)
    sums = _sums(found)
    if sums:
        yield _counted(look, "sums", sums, look.some(sorted({name for one in sums for name in one.columns})))
    for one in _decisions(found):
        yield _decides(look, one, look.some([*one.by, one.column]))


def second(look: Look, found: Profile, answers: Answers) -> Iterator[dict[str, Any]]:
    """Of what held for some rows: whether it does for all that are looked at."""
    sums = list(_held(look, answers, "sums", _sums(found)))
    if sums:
        yield _counted(look, "sums all", sums, look.source)
    for one in _likely(look, found, answers):
        yield _decides(look, one, look.source, what="decides all")
    for column in found.columns:
        yield from _of_whole_text(look, column, _row(answers, f"{look.name}:text:{column.name}"))
    for regular in filter(None, [_stepped(look, found, answers)]):
        yield {"id": f"{look.name}:missing", "sql": _missing(look, regular)}


def relations(look: Look, found: Profile, some: Answers, all_: Answers) -> Relations:
    """What both rounds told."""
    sums = _held(look, all_, "sums all", list(_held(look, some, "sums", _sums(found))))
    stepped = _stepped(look, found, some)
    texts = {column.name: _row(some, f"{look.name}:text:{column.name}") for column in found.columns}
    whole = {name: _row(all_, f"{look.name}:whole text:{name}") for name in texts}
    moments = {name: _row(some, f"{look.name}:moments:{name}") for name in _moments(found)}
    spreads = {one.name: _mean(_row(some, f"{look.name}:spread:{one.name}")) for one in amounts(found)}
    return Relations(
        identities=tuple(Identity(columns=one.columns, sql=one.sql, rows=rows) for one, rows in sums.items()),
        decided=tuple(_decided(look, found, some, all_)),
        regular=stepped if stepped and _row(all_, f"{look.name}:missing").get("n") == 0 else _daily(look, found, some),
        apart=tuple(_beside_key(look, found)) if _row(some, f"{look.name}:apart").get("n") == found.rows else (),
        undamaged={name: _undamaged(told) for name, told in texts.items() if whole[name].get("damaged") == 0},
        readable={name: type_ for name, told in texts.items() if (type_ := _read_as(told)) and _is_read(look, name, type_, all_)},
        present=tuple(name for name, told in texts.items() if told.get("stands") == 0 == whole[name].get("stands")),
        past=tuple(name for name, told in moments.items() if told.get("ahead") == 0),
        dated=tuple(name for name, told in moments.items() if told.get("none") == 0),
        spread={name: told for name, told in spreads.items() if told},
    )  # fmt: skip


def _row(found: Answers, id_: str) -> dict[str, Any]:
    rows = found.get(id_, {}).get("rows") or [{}]
    return dict(rows[0])


# -- columns by themselves ---------------------------------------------------------------------------------------------------------


def _of_columns(look: Look, found: Profile) -> Iterator[dict[str, Any]]:
    d = look.dialect
    for column in found.columns:
        name = d.name(column.name)
        if column.family == "text" and column.present and not column.values and not column.format:
            listed = ", ".join(
                f"{d.count_where(one)} AS {part}" for part, one in _of_text(look, column).items()
            )
            sql = f"SELECT count({name}) AS there, {listed} FROM {look.some([column.name])}"
            yield {"id": f"{look.name}:text:{column.name}", "sql": sql}
        if column.name in _moments(found):
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


def _undamaged(some: Mapping[str, Any]) -> tuple[str, ...]:
    """The damages that some rows of a text have none of."""
    return tuple(part for part in DAMAGE if some.get(part) == 0)


def _read_as(some: Mapping[str, Any]) -> str:
    """The first type that some rows of a text all look like."""
    return next((one for one in READ_AS if some.get("there") and some.get(one) == some["there"]), "")


def _of_whole_text(look: Look, column: Column, some: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Whether what some rows are free of, no row has; and whether what they all look like, every value is."""
    d, name, type_ = look.dialect, look.dialect.name(column.name), _read_as(some)
    damaged = _matches(look, column.name, "|".join(DAMAGE[part] for part in _undamaged(some)))
    asked = {
        "damaged": damaged if _undamaged(some) else "",
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


def _is_read(look: Look, column: str, type_: str, answers: Answers) -> bool:
    if type_ in READABLE_BY_FORMAT:
        checked = _row(answers, f"{look.name}:readable:{column}")
        return bool(checked.get("checked")) and not checked.get("failing")
    return _row(answers, f"{look.name}:whole text:{column}").get("unread") == 0


def stand_ins(column: Column) -> tuple[str, ...]:
    """The words that stand for no value in a column: Null is a surname, and NA is Namibia."""
    code = (column.longest or 0) <= 3  # noqa: PLR2004 - letters of a country, an airport, a currency
    words = {"null", "NULL", "nan", "NaN", "NA", "None", "none"} if column.category or code else set()
    return tuple(word for word in STAND_INS if word not in words)


def _moments(found: Profile) -> list[str]:
    return [one.name for one in found.columns if one.family in MOMENTS and one.present]


def amounts(found: Profile) -> list[Amount]:
    """Numbers that measure something: no keys, no references, nothing personal, more than a few values."""
    if found.looked_at < OFTEN:
        return []
    others = _referring(found) | {name for key in found.keys for name in key}
    told = (
        Amount(one.name, one.family, one.least, one.greatest, one.distinct or 0)
        for one in found.columns
        if one.family in NUMERIC and isinstance(one.least, float) and isinstance(one.greatest, float)
        and not (one.category or one.name in others or GIVEN_OUT.search(one.name))
    )  # fmt: skip
    return [one for one in told if one.distinct >= FEW and math.isfinite(one.least + one.greatest)]


def _referring(found: Profile) -> set[str]:
    return {*found.refers, *(name for one in found.references for name in one.columns)}


def _mean(told: Mapping[str, Any]) -> tuple[float, float] | None:
    try:
        mean, spread = float(told["mean"]), float(told["spread"])
    except (KeyError, TypeError, ValueError):
        return None
    return (mean, spread) if math.isfinite(mean + spread) and spread > 0 else None


# -- rows as they follow one another ---------------------------------------------------------------------------------------------------


def _of_rows(look: Look, found: Profile) -> Iterator[dict[str, Any]]:
    d = look.dialect
    beside = _beside_key(look, found)
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


def _beside_key(look: Look, found: Profile) -> list[str]:
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
        if (moment.distinct or 0) > 1 and (thing.distinct or 0) > 1 and _groups((moment, thing)) == thing.present == found.rows
        and thing.family in ("text", "uuid", "integer") and not thing.category
    ]  # fmt: skip
    return panels[:SERIES_TRIED]


def _stepped(look: Look, found: Profile, answers: Answers) -> Regular | None:
    for column, by in _series(found):
        told = _row(answers, f"{look.name}:steps:{column.name}:{','.join(by)}")
        steps, span = float(told.get("steps") or 0), float(told.get("span") or 0)
        every = next((one for one in STEPS if steps >= OFTEN and span == steps * _seconds(one)), "")
        if every:
            return Regular(column=column.name, by=by, every=every, rows=found.rows)
    return None


def _seconds(every: str) -> int:
    number, _, unit = every.partition(" ")
    return int(number) * SECONDS_OF[unit.rstrip("s")]


def _missing(look: Look, regular: Regular) -> str:
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


def _daily(look: Look, found: Profile, answers: Answers) -> Regular | None:
    for column in _events(found):
        told = _row(answers, f"{look.name}:days:{column.name}")
        days, span = int(told.get("days") or 0), int(told.get("span") or 0)
        if DAYS <= days == span and found.rows >= ROWS_A_DAY * days:
            return Regular(column=column.name, by=(), every="1 day", rows=found.rows)
    return None


# -- sums and products -----------------------------------------------------------------------------------------------------------------


def _sums(found: Profile) -> list[Sum]:
    """Those that the bounds of the columns do not rule out."""
    told = []
    for a, b, c in permutations(sorted(amounts(found), key=lambda one: -one.distinct)[:AMOUNTS], 3):
        rounding = 0.0 if all(one.family == "integer" for one in (a, b, c)) else PENNY
        if b.name > c.name or min(one.greatest - one.least for one in (a, b, c)) < OFTEN * rounding:
            continue
        told += [
            _sum(f"{b.quoted} {sign} {c.quoted}", (a, b, c), rounding)
            for sign, of in (("+", operator.add), ("*", operator.mul))
            if of(b.least, c.least) - PENNY <= a.least and a.greatest <= of(b.greatest, c.greatest) + PENNY
            and (sign == "+" or min(b.least, c.least) >= 0)
        ]  # fmt: skip
    return told[:SUMS_TRIED]


def _sum(made: str, columns: tuple[Amount, ...], rounding: float) -> Sum:
    whole = columns[0].quoted
    sql = f"abs({whole} - ({made})) <= {rounding}" if rounding else f"{whole} = {made}"
    return Sum(sql, tuple(one.name for one in columns))


def _counted(look: Look, what: str, sums: Sequence[Sum], source: str) -> dict[str, Any]:
    """How many rows have the values, and of how many it is not true."""
    from datareeve.capabilities.quality.contracts.drafts import GENERATED  # noqa: PLC0415 - a contract's ways are slow to load
    from datareeve.capabilities.quality.statement_sql import condition_sql  # noqa: PLC0415 - as above

    d, listed = look.dialect, []
    for n, (condition, columns) in enumerate(sums):
        there = " AND ".join(f"{d.name(name)} IS NOT NULL" for name in columns)
        wrong = d.count_where(f"NOT {condition_sql(condition, GENERATED, d)}")
        listed.append(f"{d.count_where(there)} AS n{n}, {wrong} AS w{n}")
    return {"id": f"{look.name}:{what}", "sql": f"SELECT {', '.join(listed)} FROM {source}"}


def _held(look: Look, answers: Answers, what: str, sums: Sequence[Sum]) -> dict[Sum, int]:
    """Those that were false of no row, and how many rows they were true of."""
    told = _row(answers, f"{look.name}:{what}")
    rows = {one: int(told.get(f"n{n}") or 0) for n, one in enumerate(sums) if told.get(f"w{n}") == 0}
    return {one: many for one, many in rows.items() if many >= OFTEN}


# -- what decides what -------------------------------------------------------------------------------------------------------------------


def _decisions(found: Profile) -> list[Decision]:
    """Values that come often, by one or by two, and columns that have no more values than they."""
    things = _things(found)
    sets: list[tuple[Column, ...]] = [(one,) for one in things[:10]]
    sets += [two for two in combinations(things[:5], 2) if _often(two, found)]
    told = [
        Decision(names, one.name)
        for by in sets
        if (names := tuple(one.name for one in by))
        for one in found.columns
        if one.name not in names and not one.category and one.family not in MOMENTS
        and 1 < (one.distinct or 0) <= _groups(by) and (one.longest or 0) <= OFTEN
    ]  # fmt: skip
    return told[:DECIDED_TRIED]


def _things(found: Profile) -> list[Column]:
    """Columns whose values name something that many rows are about: what refers to another table first."""
    refers = _referring(found)
    told = [
        one
        for one in found.columns
        if (one.family in ("text", "uuid") or (one.family == "integer" and (one.name in refers or GIVEN_OUT.search(one.name))))
        and not one.category and (one.distinct or 0) > 2 and _often([one], found)  # noqa: PLR2004 - yes and no decide nothing
    ]  # fmt: skip
    return sorted(told, key=lambda one: (one.name not in refers, one.distinct or 0))


def _groups(by: Iterable[Column]) -> int:
    return math.prod(one.distinct or 1 for one in by)


def _often(by: Sequence[Column], found: Profile) -> bool:
    return all(one.present for one in by) and _groups(by) * ROWS_OF_A_GROUP <= found.looked_at


def _decides(look: Look, one: Decision, source: str, *, what: str = "decides") -> dict[str, Any]:
    """Groups, rows, rows beside their group's most frequent value, and how often the most frequent value of all is there."""
    d, families = look.dialect, {column.name: column.family for column in look.columns}
    exact = [d.exact(d.name(name), families[name]) for name in (*one.by, one.column)]
    listed = ", ".join(f"{name} AS g{n}" for n, name in enumerate(exact))
    there = " AND ".join(f"{d.name(name)} IS NOT NULL" for name in (*one.by, one.column))
    counted = f"(SELECT {listed}, count(*) AS many FROM {source} WHERE {there} GROUP BY {', '.join(exact)}) AS by_value"
    groups = ", ".join(f"g{n}" for n in range(len(one.by)))
    each = f"SELECT sum(many) AS n, max(many) AS most FROM {counted} GROUP BY {groups}"
    whole = (
        f"SELECT max(many) FROM (SELECT sum(many) AS many FROM {counted} GROUP BY g{len(one.by)}) AS alone"
    )
    sql = f"SELECT count(*) AS groups_of, coalesce(sum(n), 0) AS n, coalesce(sum(n - most), 0) AS beside, ({whole}) AS top FROM ({each}) AS by_group"
    return {"id": one.id(look, what), "sql": sql}


def _holds(told: Mapping[str, Any]) -> bool:
    """Whether next to no row is beside, by more than chance: each row but a group's first might have had another value.

    Where some are beside, the groups must explain what the most frequent value of all does not.
    """
    groups, rows, top, beside = (int(told.get(name) or 0) for name in ("groups_of", "n", "top", "beside"))
    if rows < ROWS_OF_A_GROUP * groups or not 0 < top < rows:
        return False
    explained = beside * 100 <= rows and beside * 10 <= rows - top
    return explained and (rows - groups) * -math.log(top / rows) >= CHANCE


def _likely(look: Look, found: Profile, answers: Answers) -> list[Decision]:
    """What held at some rows, the fewest that say it all."""
    held = [one for one in _decisions(found) if _holds(_row(answers, one.id(look)))]
    return _needed(held)[:DECIDED_TOLD]


def _needed(held: Sequence[Decision]) -> list[Decision]:
    """Without what follows from others: two columns where one is enough, what another in between decides, and the way back."""
    told: list[Decision] = []
    for one in held:
        alone = any(other.column == one.column and set(other.by) < set(one.by) for other in held)
        steps = [Decision((other.column,), one.column) for other in held if other.by == one.by]
        between = any(step in held and (step in told or not _mutual(one.by, step.by, held)) for step in steps)
        back = len(one.by) == 1 and Decision((one.column,), one.by[0]) in told
        if not (alone or between or back):
            told.append(one)
    return told


def _mutual(by: tuple[str, ...], other: tuple[str, ...], held: Sequence[Decision]) -> bool:
    """Whether the one decides the other and is decided by it: a code and its name."""
    return len(by) == 1 and Decision(other, by[0]) in held


def _decided(look: Look, found: Profile, some: Answers, all_: Answers) -> Iterator[Decided]:
    for one in _likely(look, found, some):
        told = _row(all_, one.id(look, "decides all"))
        if _holds(told):
            counts = {"groups": int(told["groups_of"]), "rows": int(told["n"]), "beside": int(told["beside"])}
            yield Decided(by=one.by, column=one.column, **counts)


# -- sums of what refers to a table ------------------------------------------------------------------------------------------------------


def agreements(parent: Profile, profiles: Iterable[Profile]) -> tuple[Agrees, ...]:
    """Totals that are the sums of their lines, as far as both sums are told."""
    children = [one for one in profiles if any(parent.name == ref.to_table for ref in one.references)]
    told = [
        Agrees(column=column, table=child.name, other=other, rows=child.rows)
        for child in children
        for column, ours in _totals(parent).items()
        for other, theirs in _totals(child).items()
        if child.name != parent.name and math.isclose(ours, theirs, rel_tol=1e-11, abs_tol=PENNY) and abs(ours) > OFTEN * PENNY
    ]  # fmt: skip
    return tuple(told)


def _totals(found: Profile) -> dict[str, float]:
    present = {one.name: one.present for one in found.columns}
    return (
        {}
        if found.sampled
        else {name: mean * present[name] for name, (mean, _) in found.relations.spread.items()}
    )
