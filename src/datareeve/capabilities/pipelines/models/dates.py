"""Days and moments: parts of them, what is added to them, what lies between, as text, in which zone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from datareeve.capabilities.pipelines.models import casts
from datareeve.capabilities.pipelines.models.kinds import (
    DATE,
    INT4,
    INT8,
    MOMENT,
    TEXT,
    TIMESTAMP,
    Kind,
    decimal,
)
from datareeve.capabilities.pipelines.models.scopes import LOST, Scope, Term

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.models.writer import Writer

UNITS = {"YEAR": (12, "MONTH"), "QUARTER": (3, "MONTH"), "MONTH": (1, "MONTH"), "WEEK": (7, "DAY"), "DAY": (1, "DAY"), "HOUR": (1, "HOUR"), "MINUTE": (1, "MINUTE"), "SECOND": (1, "SECOND")}  # fmt: skip
TRUNCATED = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")
PARTS = {  # by PostgreSQL's and DuckDB's word: Spark's
    "YEAR": "YEAR", "QUARTER": "QUARTER", "MONTH": "MONTH", "WEEK": "WEEK", "DAY": "DAY", "DOY": "DOY", "ISODOW": "DAYOFWEEK_ISO",
    "ISOYEAR": "YEAROFWEEK", "HOUR": "HOUR", "MINUTE": "MINUTE", "SECOND": "SECOND", "DOW": "DAYOFWEEK",
}  # fmt: skip
SAID = {"DAYOFWEEK": "DOW", "DAYOFYEAR": "DOY", "WEEKOFYEAR": "WEEK", "DAYOFMONTH": "DAY", "DAYOFWEEKISO": "ISODOW", "DAYOFWEEK_ISO": "ISODOW", "YEAROFWEEK": "ISOYEAR", "WEEKISO": "WEEK"}  # fmt: skip
BY_CLASS = {exp.Year: "YEAR", exp.Quarter: "QUARTER", exp.Month: "MONTH", exp.Day: "DAY", exp.DayOfMonth: "DAY", exp.DayOfYear: "DOY", exp.WeekOfYear: "WEEK", exp.Week: "WEEK", exp.DayOfWeekIso: "ISODOW", exp.DayOfWeek: "DOW", exp.Hour: "HOUR", exp.Minute: "MINUTE", exp.Second: "SECOND"}  # fmt: skip
FORMATS = {"%Y": ("YYYY", "yyyy"), "%m": ("MM", "MM"), "%d": ("DD", "dd"), "%H": ("HH24", "HH"), "%M": ("MI", "mm"), "%S": ("SS", "ss")}  # fmt: skip
NOW = "the moment as a literal or a column: what a run made must be the same when it is run again"
ZONE = re.compile(r"[A-Za-z]+(/[A-Za-z_+-]+[0-9]*){1,2}|UTC")


def _moment(writer: Writer, node: exp.Expression, term: Term) -> Term:
    """A day or a moment without a zone; anything else is refused."""
    if not term.known or term.kind in (DATE, TIMESTAMP):
        return term
    if term.kind == MOMENT:
        return writer.refuse(
            node, "time-zone", "what day and hour it is depends on the session's time zone", casts.ZONES
        )
    return writer.refuse(
        node,
        "type",
        f"{term.kind.name} is not a day or a moment",
        "a cast by name, or the type where the column is loaded",
    )


def _inner(node: Any) -> Any:
    """Sqlglot wraps what Spark takes for a day."""
    while isinstance(node, (exp.TsOrDsToDate, exp.TimeStrToTime, exp.TsOrDsToTimestamp)) and isinstance(
        node.this, exp.Expression
    ):
        node = node.this
    return node


def with_interval(writer: Writer, node: Any, scope: Scope) -> Term:
    """A day or moment and an interval: DuckDB and PostgreSQL make a moment of it, Spark keeps a day where it can."""
    first = isinstance(node.this, exp.Interval)
    interval, other = (node.this, node.expression) if first else (node.expression, node.this)
    found = _interval(interval)
    if found is None or isinstance(other, exp.Interval) or (first and isinstance(node, exp.Sub)):
        return writer.refuse(
            node,
            "interval",
            "only an interval of one unit and a whole amount is the same everywhere",
            "d + INTERVAL '3' MONTH; days of a column: CAST(d AS DATE) + n",
        )
    amount, unit = found
    term = writer.value(other, scope)
    if term.kind == MOMENT and unit in ("HOUR", "MINUTE", "SECOND"):
        return _shifted(writer, node, term, amount, unit, MOMENT)
    term = _moment(writer, node, term)
    if not term.known:
        return LOST
    keeps = writer.dialect == "spark" and term.kind == DATE and unit in ("MONTH", "DAY")
    moved = _shifted(writer, node, casts.widen(writer, term, TIMESTAMP), amount, unit, TIMESTAMP)
    return writer.term(writer.words.cast(moved.sql, DATE), DATE, moved) if keeps else moved


def _shifted(writer: Writer, node: Any, term: Term, amount: int, unit: str, kind: Kind) -> Term:  # noqa: PLR0913, PLR0917 - what one SELECT is made of
    sign = "-" if isinstance(node, exp.Sub) else "+"
    if amount < 0:
        sign, amount = ("+" if sign == "-" else "-"), -amount
    return writer.term(f"({term.sql} {sign} {writer.words.interval(amount, unit)})", kind, term)


def _interval(node: Any) -> tuple[int, str] | None:
    """(amount, unit) where it is one whole number of one unit."""
    unit = node.args.get("unit")
    amount = node.this.this if isinstance(node.this, exp.Neg) else node.this
    text = amount.name if isinstance(amount, exp.Literal) else ""
    if unit is None or not re.fullmatch(r"-?\d{1,6}", text) or not isinstance(unit, exp.Var):
        return None
    word = unit.name.upper()
    word = word if word in UNITS else word.removesuffix("S")
    if word not in UNITS:
        return None
    times, called = UNITS[word]
    return int(text) * times * (-1 if isinstance(node.this, exp.Neg) else 1), called


def with_days(writer: Writer, node: Any, left: Term, right: Term) -> Term:
    """A day and a number of days, or the days between two."""
    if left.kind == right.kind == DATE and isinstance(node, exp.Sub):
        if writer.dialect == "spark":
            return writer.refuse(
                node, "interval", "Spark's difference of two days is an interval", "datediff(a, b)"
            )
        return between(writer, right, left, INT8 if writer.dialect == "duckdb" else INT4)
    day, days = (left, right) if left.kind == DATE else (right, left)
    if days.kind.name != "int" or (isinstance(node, exp.Sub) and day is right) or isinstance(node, exp.Mul):
        return writer.refuse(
            node, "type", "this is not counted with a day everywhere", "CAST(d AS DATE) + n, or an interval"
        )
    return add_days(writer, day, days, "-" if isinstance(node, exp.Sub) else "+")


def add_days(writer: Writer, day: Term, days: Term, sign: str) -> Term:
    """A day so many days on."""
    count = writer.words.cast(days.sql, INT4)
    made = f"DATE_ADD({day.sql}, {sign}{count})" if writer.words.spark else f"({day.sql} {sign} {count})"
    return writer.term(
        made.replace("+", "", 1) if writer.words.spark and sign == "+" else made, DATE, day, days
    )


def between(writer: Writer, start: Term, end: Term, kind: Kind = INT8) -> Term:
    """How many days from one to the other."""
    made = f"DATEDIFF({end.sql}, {start.sql})" if writer.words.spark else f"({end.sql} - {start.sql})"
    return writer.term(writer.words.cast(made, kind), kind, start, end)


def part(writer: Writer, word: str, term: Term, kind: Kind = INT8) -> Term:
    """A part of a day or moment as a whole number."""
    if writer.words.spark:
        made = f"EXTRACT({PARTS[word]} FROM {term.sql})" + (" - 1" if word == "DOW" else "")
        made = f"FLOOR({made})" if word == "SECOND" else f"({made})"
    else:
        made = f"EXTRACT({word} FROM {term.sql})"
        made = f"FLOOR({made})" if word == "SECOND" and writer.words.postgres else made
    return writer.term(writer.words.cast(made, kind), kind, term)


def _extract(writer: Writer, node: Any, scope: Scope) -> Term:
    word = node.this.name.upper() if isinstance(node, exp.Extract) else BY_CLASS[type(node)]
    source = node.expression if isinstance(node, exp.Extract) else node.this
    return _part_of(
        writer, node, word, writer.value(_inner(source), scope), is_function=not isinstance(node, exp.Extract)
    )


def _part_of(writer: Writer, node: Any, word: str, term: Term, *, is_function: bool) -> Term:
    word = SAID.get(word, word)
    term = _moment(writer, node, term)
    if word not in PARTS or (word == "SECOND" and writer.dialect != "duckdb"):
        return writer.refuse(
            node,
            "date-part",
            f"{word.lower()} is counted differently by engines",
            "year, quarter, month, week, day, doy, dow, isodow, hour, minute, or second on DuckDB",
        )
    if not term.known:
        return LOST
    if word in ("HOUR", "MINUTE", "SECOND") and term.kind == DATE:
        term = casts.widen(writer, term, TIMESTAMP)
    kind = INT8 if writer.dialect == "duckdb" else INT4 if writer.dialect == "spark" else decimal(20, 0)
    if word == "DOW" and writer.dialect == "spark":
        made = part(writer, word, term, INT4)
        return writer.term(f"({made.sql} + 1)", INT4, made)
    if word == "DOW" and is_function and writer.dialect == "postgres":
        return writer.unknown(node)
    return part(writer, word, term, kind)


def _date_part(writer: Writer, node: Any, scope: Scope) -> Term:
    """date_part('year', d), which sqlglot leaves as it is for DuckDB."""
    word, source = node.expressions
    return _part_of(writer, node, word.name.upper(), writer.value(source, scope), is_function=False)


def _truncated(writer: Writer, node: Any, scope: Scope) -> Term:
    unit = node.args["unit"].name.upper() if node.args.get("unit") is not None else ""
    raw = writer.value(_inner(node.this), scope)
    term = _moment(writer, node, raw)
    if not term.known:
        return LOST
    unit = unit.removesuffix("(MONDAY)")
    if unit not in TRUNCATED or node.args.get("zone") is not None:
        return writer.refuse(
            node,
            "date-part",
            f"engines cut to {unit.lower() or 'this'} differently",
            "year, quarter, month, week, day, hour, minute, second",
        )
    if writer.dialect != "duckdb" and (writer.dialect == "spark" or term.kind == DATE):
        return writer.refuse(
            node,
            "time-zone",
            f"{'PostgreSQL' if writer.dialect == 'postgres' else 'Spark'} makes a moment with a time zone of it, the session's",
            "date_trunc in dialect duckdb"
            if writer.dialect == "spark"
            else "date_trunc(unit, CAST(d AS timestamp))",
        )
    stamp = casts.widen(writer, term, TIMESTAMP)
    made = f"DATE_TRUNC('{unit}', {stamp.sql})"
    return writer.term(writer.words.cast(made, TIMESTAMP) if writer.words.spark else made, TIMESTAMP, stamp)


def _difference(writer: Writer, node: Any, scope: Scope) -> Term:
    """Boundaries between two moments: date_diff('month', a, b); Spark's datediff(b, a)."""
    unit = node.args["unit"].name.upper() if node.args.get("unit") is not None else "DAY"
    start, end = (
        _moment(writer, node, writer.value(_inner(one), scope)) for one in (node.expression, node.this)
    )
    if not (start.known and end.known):
        return LOST
    if unit not in ("DAY", "MONTH", "YEAR", "QUARTER") or (writer.dialect != "duckdb" and unit != "DAY"):
        return writer.refuse(
            node,
            "date-part",
            f"engines count {unit.lower()}s between two moments differently",
            "date_diff('day' | 'month' | 'year', a, b) in dialect duckdb",
        )
    kind = INT8 if writer.dialect == "duckdb" else INT4
    if unit == "DAY":
        days = [writer.term(writer.words.cast(one.sql, DATE), DATE, one) for one in (start, end)]
        return between(writer, days[0], days[1], kind)
    per = {"MONTH": 12, "QUARTER": 4, "YEAR": 1}[unit]
    years = f"({part(writer, 'YEAR', end).sql} - {part(writer, 'YEAR', start).sql})"
    rest = "" if unit == "YEAR" else f" + {part(writer, unit, end).sql} - {part(writer, unit, start).sql}"
    return writer.term(writer.words.cast(f"({years} * {per}{rest})", kind), kind, start, end)


def _add(writer: Writer, node: Any, scope: Scope) -> Term:
    """Spark's date_add(d, n)."""
    day, days = writer.value(_inner(node.this), scope), writer.value(node.expression, scope)
    unit = node.args["unit"].name.upper() if node.args.get("unit") is not None else "DAY"
    if not (day.known and days.known):
        return LOST
    if writer.dialect != "spark" or unit != "DAY" or day.kind != DATE or days.kind.name != "int":
        return writer.unknown(node)
    return add_days(writer, day, days, "+")


def _as_text(writer: Writer, node: Any, scope: Scope) -> Term:
    """strftime, to_char, date_format with parts that all engines write alike. sqlglot brings all formats to strftime's."""
    term = _moment(writer, node, writer.value(_inner(node.this), scope))
    if not term.known:
        return LOST
    pattern = node.args.get("format")
    text = pattern.name if isinstance(pattern, exp.Literal) else ""
    pieces = re.findall(r"%-?[A-Za-z%]|[^%]", text)
    plain = re.compile(r"[-/:. _]")
    if (
        not text
        or "".join(pieces) != text
        or not all(one in FORMATS or plain.fullmatch(one) for one in pieces)
    ):
        return writer.refuse(
            node,
            "date-format",
            "engines have other words for these parts",
            "%Y, %m, %d, %H, %M, %S with - / : . _ or spaces between",
        )
    stamp = casts.widen(writer, term, TIMESTAMP)
    if writer.words.duckdb:
        return writer.term(f"strftime({stamp.sql}, {writer.words.text(text)})", TEXT, stamp)
    made = "".join(FORMATS[one][writer.words.spark] if one in FORMATS else one for one in pieces)
    return writer.term(
        f"{'date_format' if writer.words.spark else 'to_char'}({stamp.sql}, {writer.words.text(made)})",
        TEXT,
        stamp,
    )


def _zone(writer: Writer, node: Any, scope: Scope) -> Term:
    """AT TIME ZONE: from a moment to the clock of a place; the other way only for UTC, whose clock never skips or repeats an hour."""
    term, zone = writer.value(node.this, scope), node.args.get("zone")
    if not term.known:
        return LOST
    name = zone.name if isinstance(zone, exp.Literal) else ""
    if not ZONE.fullmatch(name):
        return writer.refuse(
            node,
            "time-zone",
            "engines know other short names, and read signs of offsets the other way",
            "a place in quotes: 'Europe/Berlin', 'UTC'",
        )
    if term.kind not in (MOMENT, TIMESTAMP):
        return writer.refuse(
            node, "time-zone", "a day has no time zone", "CAST(d AS TIMESTAMP) AT TIME ZONE 'UTC'"
        )
    if term.kind == TIMESTAMP and name != "UTC":
        return writer.refuse(
            node,
            "time-zone",
            "engines place the hour differently that a change of clocks skips or repeats",
            "the column's `timezone` where it is loaded, or AT TIME ZONE 'UTC'",
        )
    to = TIMESTAMP if term.kind == MOMENT else MOMENT
    if not writer.words.spark:
        return writer.term(f"({term.sql} AT TIME ZONE {writer.words.text(name)})", to, term)
    made = (
        f"from_utc_timestamp({term.sql}, {writer.words.text(name)})"
        if to == TIMESTAMP and name != "UTC"
        else term.sql
    )
    return writer.term(writer.words.cast(made, to), to, term)


def _now(writer: Writer, node: Any, scope: Scope) -> Term:
    del scope
    return writer.refuse(node, "now", "each engine, and each run, has its own", NOW)


HANDLERS: dict[type, Any] = {
    exp.Extract: _extract,
    **dict.fromkeys(BY_CLASS, _extract),
    exp.TimestampTrunc: _truncated,
    exp.DateTrunc: _truncated,
    exp.DateDiff: _difference,
    exp.TsOrDsAdd: _add,
    exp.DateAdd: _add,
    exp.TimeToStr: _as_text,
    exp.AtTimeZone: _zone,
    **dict.fromkeys(
        (exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime, exp.CurrentDatetime, exp.Localtimestamp),
        _now,
    ),
}
CALLED = {"date_part": _date_part, "datepart": _date_part, "now": _now, "get_current_timestamp": _now, "today": _now, "clock_timestamp": _now, "statement_timestamp": _now, "transaction_timestamp": _now}  # fmt: skip
