"""Parameters for families whose source keeps none (pg_stat_statements): plausible values, taken from the planner's own statistics.

The one idea: the server's own parser says the type of every open parameter, the statement's tree says which column it is compared with, and
the planner's statistics of that column say which values there are and how often. What stands nowhere gets a value of its type all the same.
The values are personal data as much as recorded ones: they are bound as parameters in this process and go nowhere else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from datareeve.core.errors import DatareeveError
from datareeve.systems.workload_columns import Catalog, Column, columns_of
from datareeve.systems.workload_places import Place, places_of
from datareeve.systems.workload_source import LEXER

if TYPE_CHECKING:
    from datareeve.systems.postgres import Postgres
    from datareeve.systems.workload_source import Shape

PAGE = 20  # rows, where a LIMIT is open
LIST_LENGTH = 5  # of an array, and of a list that PostgreSQL 18 squashed to its first value
STEP = (
    0.6180339887  # each parameter begins elsewhere in its statistics, so that two columns do not walk in step
)
RANGE_SHARE = 0.1  # of a column's values lie in a range whose width is not known

TYPES = (
    r"date|timestamptz|timetz|timestamp(?:\s*\(\d\))?(?:\s+with(?:out)?\s+time\s+zone)?|time(?:\s*\(\d\))?(?:\s+with(?:out)?\s+time\s+zone)?"
    r"|numeric|decimal|bigint|integer|smallint|int[248]?|float[48]?|real|double\s+precision|money|bool(?:ean)?|text|varchar|uuid|jsonb?|inet|cidr|bytea|point"
)
UNITS = r"year|month|day|hour|minute|second"
REWRITTEN = (  # what the normalised text of pg_stat_statements says that no parser takes, and how it is said instead
    (re.compile(rf"\binterval\s+(\$\d+)\s+({UNITS})\b(?!\s+to)", re.IGNORECASE), r"\1::interval \2"),
    (re.compile(r"\binterval\s+(\$\d+)", re.IGNORECASE), r"\1::interval"),
    (re.compile(rf"(?<![\w.:])({TYPES})\s+(\$\d+)", re.IGNORECASE), r"\2::\1"),
    (re.compile(r"\bextract\s*\(\s*\$\d+\s+from\b", re.IGNORECASE), "extract(year FROM"),
    (re.compile(r"\b(date_trunc|date_part)\s*\(\s*\$\d+", re.IGNORECASE), r"\1('day'"),
    (re.compile(r"\bat\s+time\s+zone\s+\$\d+", re.IGNORECASE), "AT TIME ZONE 'UTC'"),
    (re.compile(r"(\bsubstring\s*\([^$()]*\bfrom\s+\$\d+)(\s+for\s+\$\d+)?", re.IGNORECASE), lambda m: _as_numbers(m[0])),
    (re.compile(r"(\$\d+)\s*/\*, \.\.\. \*/"), lambda m: ", ".join([m[1]] * LIST_LENGTH)),
)  # fmt: skip
OPEN = re.compile(r"\$(\d+)")
UNDECIDED = {"42725", "42883", "42804", "42P18", "42P08"}  # the parser wants to be told types


def _as_numbers(text: str) -> str:
    return OPEN.sub(r"$\1::int", text)


class Typed(NamedTuple):
    """The server's type of a parameter."""

    oid: int
    name: str
    category: str  # pg_type.typcategory
    element: int  # of an array
    labels: tuple[str, ...]  # of an enumeration


def invent(system: Postgres, shape: Shape, limit: int, text: str = "") -> list[tuple[str, Any]]:
    """Up to `limit` executions of a statement with open parameters, as often-seen values as they are seen; none where it cannot be parsed."""
    template = numbered(text or shape.text)
    if not OPEN.search(template):
        return [(template, None)] if shape.parsed and text else []
    try:
        return _invent(system, template, limit)
    except (DatareeveError, psycopg.Error):
        return []


def _invent(system: Postgres, template: str, limit: int) -> list[tuple[str, Any]]:
    found = places_of(template)
    catalog = columns_of(system, found.tables)
    places = [place.at(catalog) for place in found.places]
    types = _types(system, template, [_hint(place) for place in places])
    if types is None:
        return []
    statement = _castable(template, types)
    made = [_execution(places, types, catalog, n, limit) for n in range(limit)]
    if not _binds(system, statement, made[0]):
        made = [{f"p{n}": _default(typed, places[n - 1]) for n, typed in enumerate(types, 1)}]
        if not _binds(system, statement, made[0]):
            return []
    return [(statement, values) for values in {repr(values): values for values in made}.values()]


def numbered(text: str) -> str:
    """A normalised text as the server's parser takes it again, its parameters numbered in their order."""
    bare = LEXER.sub(_kept, text.strip().rstrip(";"))
    for pattern, instead in REWRITTEN:
        bare = pattern.sub(instead, bare)
    count = iter(range(1, bare.count("$") + 1))
    known: dict[str, int] = {}
    squashed = text.count("/*, ... */") > 0

    def renumber(token: re.Match[str]) -> str:
        # The same number twice is one parameter of the application; in a list that was squashed it stands for several.
        if token.lastgroup != "given" or not token[0].startswith("$"):
            return token[0]
        if squashed or token[0] not in known:
            known[token[0]] = next(count)
        return f"${known[token[0]]} "

    return LEXER.sub(renumber, bare).strip()


def _kept(token: re.Match[str]) -> str:
    """Comments go, but for the one that stands for the rest of a list; `%s` placeholders become numbered ones elsewhere."""
    return token[0] if token.lastgroup != "comment" or token[0] == "/*, ... */" else " "


# -- types ------------------------------------------------------------------------------------------------------------------------

TYPES_SQL = """
SELECT t.oid::int, format_type(t.oid, NULL) AS name, coalesce(b.typcategory, t.typcategory) AS category, t.typelem::int AS element,
       array(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) AS labels
  FROM pg_type t LEFT JOIN pg_type b ON b.oid = t.typbasetype
 WHERE t.oid = ANY(%(oids)s)
"""
NUMERIC, TEXT = 1700, 25


def _hint(place: Place) -> int:
    """The type to tell the parser where it cannot decide by itself: the column's, a number in arithmetic, else text."""
    if place.is_cast:
        return 0
    if place.role in {"limit", "offset"}:
        return 20
    if place.column is not None and place.role != "delta":
        return place.column.type_oid
    if place.column is not None and place.column.category == "N":
        return place.column.type_oid
    return NUMERIC if place.numeric else TEXT


def _types(system: Postgres, template: str, hints: list[int]) -> list[Typed] | None:
    """The type of each parameter as the server's parser takes it; None where it takes the statement in no way."""
    loose = [oid if place_is_loose else 0 for oid, place_is_loose in ((h, h == NUMERIC) for h in hints)]
    for told in ([0] * len(hints), loose, hints, [NUMERIC if h == TEXT else h for h in hints]):
        oids, state = _described(system, template, told)
        if oids is not None:
            found = {row["oid"]: Typed(**{**row, "labels": tuple(row["labels"])}) for row in
                     system.query(TYPES_SQL, {"oids": sorted(set(oids))})}  # fmt: skip
            return [found[oid] for oid in oids]
        if state not in UNDECIDED:
            return None
    return None


def _described(system: Postgres, template: str, told: list[int]) -> tuple[list[int] | None, str]:
    oids: list[int] | None = None
    state = ""
    with system.reading() as cursor, cursor.connection.transaction(force_rollback=True):
        pgconn = cursor.connection.pgconn
        parsed = pgconn.prepare(b"", template.encode(cursor.connection.info.encoding), told)
        if parsed.status == psycopg.pq.ExecStatus.COMMAND_OK:
            described = pgconn.describe_prepared(b"")
            oids = [described.param_type(n) for n in range(described.nparams)]
        else:
            state = (parsed.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"").decode()
    return oids, state


def _castable(template: str, types: list[Typed]) -> str:
    """The statement as psycopg takes it, every parameter in parentheses with its type, so that it is planned as what it is."""

    def named(token: re.Match[str]) -> str:
        if token.lastgroup != "given" or not token[0].startswith("$"):
            return token[0]
        n = int(token[0][1:])
        return f"(%(p{n})s::{types[n - 1].name})"

    return LEXER.sub(named, template.replace("%", "%%"))


def _binds(system: Postgres, statement: str, values: dict[str, Any]) -> bool:
    """Whether the server plans the statement with these values."""
    try:
        with system.reading() as cursor:
            cursor.execute(f"EXPLAIN {statement}", values, prepare=False)
    except DatareeveError:
        return False
    return True


# -- values -----------------------------------------------------------------------------------------------------------------------


def _execution(places: list[Place], types: list[Typed], catalog: Catalog, n: int, of: int) -> dict[str, Any]:
    """The values of the n-th of so many executions."""
    lows: dict[Any, float] = {}
    values = {}
    for number, (place, typed) in enumerate(zip(places, types, strict=True), 1):
        share = ((n + 0.5) / of + (number - 1) * STEP) % 1.0 if place.role != "low" else (n + 0.5) / of
        values[f"p{number}"] = _value(place, typed, catalog, share, lows, n)
    return values


def _value(  # noqa: PLR0911, PLR0913, PLR0917 - one line a role, and what each looks at
    place: Place, typed: Typed, catalog: Catalog, share: float, lows: dict[Any, float], n: int
) -> str:
    column = place.column or (None if place.neutral else catalog.any_of(typed.oid))
    if column is None or place.neutral:
        return _default(typed, place)
    if place.role in {"low", "high"}:
        share = _of_range(place, share, lows)
    if typed.category == "A" and column.category != "A":
        chosen = [column.at((share + k * STEP) % 1.0) for k in range(LIST_LENGTH)]
        return "{" + ",".join(_quoted(one) for one in dict.fromkeys(chosen) if one is not None) + "}"
    if place.role == "insert" and column.is_unique:
        return column.unused(n) or _default(typed, place)
    if place.role == "delta":
        return column.width(RANGE_SHARE / 2) or _default(typed, place)
    if place.role == "key":
        return column.json_key() or _default(typed, place)
    found = column.at(share)
    if found is None:
        return _default(typed, place)
    return _fitted(place.shaped(found), typed, column) or _default(typed, place)


def _of_range(place: Place, share: float, lows: dict[Any, float]) -> float:
    """Both ends of a range lie as far apart as a tenth of the column's values; an end that a width is added to is where the range begins."""
    key = place.column.key if place.column else None
    if place.role == "low":
        lows[key] = share * (1 - RANGE_SHARE)
        return lows[key]
    low = lows.get(key)
    if low is None:
        return share
    return low if place.shifted else min(1.0, low + RANGE_SHARE)


WHOLE = {"smallint", "integer", "bigint", "oid"}


def _fitted(value: str, typed: Typed, column: Column) -> str:
    """A column's value as one of the parameter's type; empty where there is no way."""
    if typed.category == "S" or typed.oid == column.type_oid:
        return value
    if typed.category != column.category:
        return ""
    if typed.name in WHOLE:
        try:
            return str(int(float(value)))
        except (ValueError, OverflowError):
            return ""
    return value


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


DEFAULTS = {"N": "1", "S": "a", "B": "true", "D": "2020-01-01", "T": "1 day", "A": "{}", "I": "127.0.0.1", "G": "(0,0)", "V": "0"}  # fmt: skip
BY_NAME = {
    "uuid": "00000000-0000-0000-0000-000000000000",
    "json": "{}",
    "jsonb": "{}",
    "bytea": "",
    "xml": "<a/>",
    "tsquery": "a",
    "tsvector": "a",
    "jsonpath": "$",
    "macaddr": "00:00:00:00:00:00",
    "pg_lsn": "0/0",
    "time without time zone": "12:00",
    "time with time zone": "12:00+00",
}
SPANS = {"year": "1 year", "month": "3 months", "day": "30 days", "hour": "6 hours"}


def _default(typed: Typed, place: Place) -> str:
    """A value of a type, where nothing is known of what it should be."""
    if place.role in {"limit", "offset"}:
        return str(PAGE if place.role == "limit" else 0)
    if place.role == "length":
        return "2"
    if typed.category == "T":
        return SPANS.get(place.unit, f"1 {place.unit or 'day'}")
    if typed.labels:
        return typed.labels[0]
    if typed.category == "R":
        return "empty"
    return BY_NAME.get(typed.name) or DEFAULTS.get(typed.category, "")
