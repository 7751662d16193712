"""How an engine says what rules need. What stands here is what standard SQL says; an engine's own file says what it says otherwise.

Every text that leaves here is SQL: names are quoted, values are literals of the engine, whoever wrote the contract.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from datareeve.capabilities.quality.regexes import Syntax
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from datareeve.capabilities.quality.catalog import CatalogColumn, CatalogTable

TEXTUAL = ("text", "uuid", "json", "other")
NUMERIC = ("integer", "decimal", "float")
MOMENTS = ("date", "timestamp", "timestamptz")
BOUNDS = {"at_least": ">=", "at_most": "<=", "above": ">", "below": "<"}
SECONDS_OF = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


class Close(Value):
    """How whole numbers that lie close together are asked about: `{low0}`, `{span0}` and so on stand for their ends, as `span` gives them."""

    span: str  # SQL: low0, high0, low1 ..., and n, how many there are
    sql: str  # as `Query.sql`, with the numbers of the `blocks` in which something breaks the rule
    keys: str = ""  # SQL: as `Query.listing`, of `{blocks}`


class Query(Value):
    """A statement of its own, of one row, and what may be asked in its place first."""

    sql: str
    listing: str = ""  # SQL: what breaks the rule, a row each, at most `LISTED` + 1; where it is grouped, the last column says how many there are
    grouped: bool = False
    close: Close | None = None


LISTED = 900  # keys or rows that are asked for one rule: an adapter gives no more than a thousand


class Dialect:
    """Standard SQL."""

    kind: ClassVar[str] = ""  # of the system
    sqlglot: ClassVar[str] = ""  # how sqlglot calls it
    quote: ClassVar[str] = '"'
    backtracks: ClassVar[bool] = False  # may a regex take exponential time?
    syntax: ClassVar[Syntax] = Syntax()  # of its regexes
    text_type: ClassVar[str] = "text"
    integer_type: ClassVar[str] = "integer"
    casts_round: ClassVar[bool] = False  # does a cast to an integer round, rather than cut?
    most_aggregates: ClassVar[int] = 400  # in one statement
    folds: ClassVar[bool] = (
        False  # does a comparison of texts fold case, accents or spaces unless it is told not to?
    )
    nan_is_greatest: ClassVar[bool] = False  # then an upper bound keeps it out
    now: ClassVar[str] = "extract(epoch FROM CURRENT_TIMESTAMP)"  # seconds since 1970 UTC
    groups_few: ClassVar[bool] = (
        False  # is it cheaper to group by columns of few values first, and to ask of each value once?
    )

    # -- names and values ----------------------------------------------------------------------------------------------------------

    def name(self, name: str) -> str:
        """A quoted identifier."""
        return f"{self.quote}{name.replace(self.quote, self.quote * 2)}{self.quote}"

    def table(self, table: CatalogTable) -> str:
        """A quoted, qualified table."""
        return ".".join(self.name(part) for part in table.place)

    def text(self, value: str) -> str:
        """A text literal. Errors: `BadInput` `rule.value` for a value that no engine can hold."""
        if "\0" in value:
            raise BadInput(
                "rule.value", "A value of a rule holds a NUL character.", "Take it out of the contract."
            )
        return "'" + value.replace("'", "''") + "'"

    def value(self, value: Any, family: str) -> str:
        """A literal for a column of that family. Errors: `BadInput` `rule.value` where it is none."""
        if isinstance(value, bool):
            return self.boolean(value=value)
        if family in NUMERIC:
            return _number(value)
        if family in MOMENTS:
            return self.moment(str(value), family)
        return self.text(str(value))

    def boolean(self, *, value: bool) -> str:
        """TRUE or FALSE."""
        return "TRUE" if value else "FALSE"

    def comparable(self, column: str, family: str) -> str:
        """A column as it is compared with `value`'s literals."""
        del family
        return column

    def moment(self, value: str, family: str) -> str:
        """A date or timestamp literal."""
        return f"{'DATE' if family == 'date' else 'TIMESTAMP'} {self.text(_moment(value, family))}"

    # -- counting ------------------------------------------------------------------------------------------------------------------

    def count_where(self, condition: str) -> str:
        """How many rows a condition is true of."""
        return f"count(*) FILTER (WHERE {condition})"

    def all_of(self, conditions: Iterable[str]) -> str:
        """Conditions, all of which must be true; '' where there are none."""
        given = [condition for condition in conditions if condition]
        return given[0] if len(given) == 1 else " AND ".join(f"({condition})" for condition in given)

    def is_nan(self, column: str, family: str) -> str:
        """Whether a number is none; '' where the engine or the type knows no such thing."""
        del column, family
        return ""

    # -- text ----------------------------------------------------------------------------------------------------------------------

    def as_text(self, column: str, family: str) -> str:
        """A column as text."""
        return column if family == "text" else f"CAST({column} AS {self.text_type})"

    def length(self, column: str) -> str:
        """Characters."""
        return f"char_length({column})"

    def matches(self, column: str, regex: str) -> str:
        """Whether a regex, written in `syntax`, is found within a text."""
        raise NotImplementedError

    def equal(self, column: str, text: str) -> str:
        """Whether a text is that one, sign by sign, whatever its collation."""
        return f"{self.exact(column, 'text')} = {self.text(text)}"

    def among(self, column: str, texts: Iterable[str]) -> str:
        """Whether a text is one of those, sign by sign."""
        return f"{self.exact(column, 'text')} IN ({', '.join(map(self.text, texts))})"

    def starts(self, column: str, prefix: str) -> str:
        """Whether a text begins so."""
        return self.equal(f"left({column}, {len(prefix)})", prefix)

    def ends(self, column: str, suffix: str) -> str:
        """Whether a text ends so."""
        return self.equal(f"right({column}, {len(suffix)})", suffix)

    def contains(self, column: str, part: str) -> str:
        """Whether a text has that in it."""
        return f"position({self.text(part)} IN {column}) > 0"

    def length_within(self, column: str, given: Mapping[str, Any]) -> str:
        """Whether a text has so many characters: at_least, at_most, above, below."""
        length = self.length(column)
        if given.get("at_least") is not None and given.get("at_least") == given.get("at_most"):
            return f"{length} = {_number(given['at_least'])}"
        return self.all_of(f"{length} {BOUNDS[key]} {_number(value)}" for key, value in given.items())

    def only_of(self, column: str, signs: str, least: int, most: int | None) -> str:
        """Whether a text is made of those (ASCII) signs alone, so many of them; '' where a regex is as good."""
        del column, signs, least, most
        return ""

    def trimmed(self, column: str, signs: str, least: int, most: int | None) -> str:
        """As `only_of`, by what is left without those signs."""
        length = self.length(column)
        bounds = [
            f"{length} >= {least}" if least else "",
            f"{length} <= {most}" if most is not None else "",
        ]
        return self.all_of([f"ltrim({column}, {self.text(signs)}) = ''", *bounds])

    def of_places(self, column: str, places: Sequence[frozenset[str]]) -> str:
        """Whether a text has, sign by sign, one of those (ASCII) signs at each place, and no more; '' where a regex is as good."""
        del column, places
        return ""

    def exact(self, column: str, family: str) -> str:
        """A column as it is told apart from another value: text sign by sign, whatever its collation."""
        del family
        return column

    def folded(self, column: str, family: str) -> str:
        """A text as near-duplicates are compared: lower case, without spaces and punctuation."""
        text = f"lower({self.as_text(column, family)})"
        for sign in " .,-_/'":
            text = f"replace({text}, {self.text(sign)}, '')"
        return text

    # -- metrics -------------------------------------------------------------------------------------------------------------------

    def quantile(self, column: str, q: float) -> str:
        """An exact quantile (continuous) as an aggregate; '' where there is none, and it takes `quantile_query`."""
        return f"percentile_cont({q:.15g}) WITHIN GROUP (ORDER BY {column})"

    def quantile_query(self, table: str, column: str, q: float, where: str) -> str:
        """The quantile by numbering the rows: Hyndman and Fan's definition 7, as `percentile_cont`."""
        at = f"(1 + {q:.15g} * (n - 1))"
        whole = (
            f"CAST({at} - 0.5 AS {self.integer_type})"
            if self.casts_round
            else f"CAST({at} AS {self.integer_type})"
        )
        return (
            f"SELECT min(x) + (max(x) - min(x)) * (max({at}) - max({whole})) AS figure FROM (SELECT {self.real(column)} AS x,"
            f" row_number() OVER (ORDER BY {column}) AS rn, count(*) OVER () AS n FROM {table} WHERE {self.all_of([f'{column} IS NOT NULL', where])}) AS numbered"
            f" WHERE rn IN ({whole}, {whole} + 1)"
        )

    def stddev(self, column: str) -> str:
        """The standard deviation of the sample."""
        return f"stddev_samp({column})"

    def orphans(self, child: str, parent: str, pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """What to select from, and the condition of rows of `child` (alias c) that have none in `parent`: an anti-join.

        `pairs`: the child's column, and the parent's that it names.
        """
        joined = " AND ".join(f"p.{theirs} = {ours}" for ours, theirs in pairs)
        return child, f"NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {joined})"

    def not_in(self, parent: str, pairs: Sequence[tuple[str, str]]) -> str:
        """The condition of `orphans` as NOT IN."""
        ours, theirs = ", ".join(column for column, _ in pairs), ", ".join(name for _, name in pairs)
        there = self.all_of(f"{name} IS NOT NULL" for _, name in pairs)
        left = ours if len(pairs) == 1 else f"({ours})"
        return f"{left} NOT IN (SELECT {theirs} FROM {parent} WHERE {there})"

    def floored(self, expression: str) -> str:
        """The greatest whole number that is not greater."""
        return f"floor({expression})"

    def distinct(self, source: str, columns: Sequence[CatalogColumn]) -> Query:
        """How many rows of `source` (a table with its condition, which leaves NULLs out) lie beyond the first of their key: `failing`."""
        if len(columns) > 1:
            return self.groups(source, columns)
        exact = self.exact(self.name(columns[0].name), columns[0].family)
        counted = f"SELECT count(*) - count(DISTINCT {exact}) AS failing FROM {source}"
        return Query(sql=counted, listing=self.repeated(source, columns), grouped=True)

    def groups(self, source: str, columns: Sequence[CatalogColumn]) -> Query:
        """As `distinct`, by grouping: of several columns, and where NULL is a value."""
        exact = [self.exact(self.name(column.name), column.family) for column in columns]
        return Query(
            sql=self.beyond_first(source, exact), listing=self.repeated(source, columns), grouped=True
        )

    def beyond_first(self, source: str, named: Sequence[str]) -> str:
        """SQL: `failing`, how many rows lie beyond the first of their group."""
        grouped = f"SELECT count(*) AS many FROM {source} GROUP BY {', '.join(named)}"
        return f"SELECT coalesce(sum(many), 0) - count(*) AS failing FROM ({grouped}) AS keys_of"

    def repeated(self, source: str, columns: Sequence[CatalogColumn]) -> str:
        """SQL: the keys that are there more than once, and how many times."""
        named = [self.name(column.name) for column in columns]
        exact = [self.exact(name, column.family) for name, column in zip(named, columns, strict=True)]
        shown = [
            f"min({name}) AS {name}" if self.folds else f"{one} AS {name}"
            for name, one in zip(named, exact, strict=True)
        ]
        return f"SELECT {', '.join(shown)}, {self.times(named)} FROM {source} GROUP BY {', '.join(exact)} HAVING count(*) > 1 LIMIT {LISTED + 1}"

    def times(self, named: Sequence[str]) -> str:
        """How many rows a group has, under a name that none of its columns has."""
        name = self.name("times")
        return f"count(*) AS {name if name not in named else self.name('times there')}"

    def listed(self, shown: str, source: str, condition: str) -> str:
        """SQL: rows that meet a condition that few are thought to meet."""
        return f"SELECT {shown} FROM {source} WHERE {condition} LIMIT {LISTED + 1}"

    def mean(self, column: str, family: str) -> str:
        """The mean, as a double."""
        del family
        return f"avg({self.real(column)})"

    def real(self, expression: str) -> str:
        """As a double."""
        return f"CAST({expression} AS double precision)"

    def epoch(self, expression: str, family: str) -> str:
        """Seconds since 1970 UTC; a date or a timestamp without zone is taken as UTC."""
        del family
        return f"extract(epoch FROM {expression})"

    def sampled(self, table: CatalogTable, rows: int) -> str:
        """The table, as a sample of about so many rows; the whole where it has no more."""
        share = rows / max(table.estimated_rows or 0, 1)
        return self.table(table) if share >= 1 else self._sample(self.table(table), share)

    def _sample(self, table: str, share: float) -> str:
        return f"{table} TABLESAMPLE BERNOULLI ({100 * share:.6f})"


def _number(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        raise BadInput("rule.value", "A rule about a number is given a value that is none.", "Correct the contract: a number without quotes or units.") from None  # fmt: skip
    if not math.isfinite(number):
        raise BadInput("rule.value", "A rule is given NaN or infinity as a bound.", "Leave the bound out.")
    return f"{number:f}"


def _moment(value: str, family: str) -> str:
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise BadInput("rule.value", "A rule about a date or moment is given a value that is none.", "Write it as 2026-11-23 or 2026-11-23T08:00:00+00:00.") from None  # fmt: skip
    if family == "date":
        return moment.date().isoformat()
    if family == "timestamp" and moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    if family == "timestamptz":
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    return moment.isoformat(sep=" ")


def glob(places: Sequence[frozenset[str]]) -> str:
    """Signs by place as a GLOB pattern; '' where one of them means something else in one."""
    parts = [_glob_place(taken) for taken in places]
    return "".join(parts) if all(parts) else ""


def _glob_place(taken: frozenset[str]) -> str:
    if len(taken) == 1:
        (sign,) = taken
        return "" if sign in "*?[]\\^!" else sign
    codes = sorted(map(ord, taken))
    if any(chr(code) in "*?[]\\^!-" for code in codes):
        return ""
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "[" + "".join(chr(low) if low == high else f"{chr(low)}-{chr(high)}" for low, high in runs) + "]"
