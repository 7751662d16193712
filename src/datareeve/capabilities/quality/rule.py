"""A rule: one expectation of a table, as a value that every engine is asked about in its own words.

Every rule measures one figure and says which figures are good (`bounds`). A row rule counts the rows that break it; a metric rule gives the
metric itself. NULL breaks `not-null` and nothing else: a range, a set, a pattern speak of the values that are there (SQL's CHECK does the same).
"""

from __future__ import annotations

import operator
from typing import Any, Literal

from pydantic import Field, model_validator

from datareeve.core.value import Value, fingerprint

Kind = Literal[
    # rows: the figure is how many rows break it
    "not-null",  # {missing: [values that stand for nothing: '', 'n/a']}
    "set",  # {values: [...], negated: bool}
    "range",  # {at_least, at_most, above, below}: numbers, or ISO dates and moments; a moment may be held to `now`
    "pattern",  # {regex, negated}: the regex matches somewhere within, as `~` and re.search do
    "length",  # {at_least, at_most}: characters
    "type",  # {type}: text that is to be read as integer, number, date, timestamp, boolean, uuid, json
    "format",  # {format}: an e-mail address, an IBAN, a VAT number ...: core.personal_data.formats
    "condition",  # {sql}: true of every row; of one column or across several
    # rows together: the figure is how many rows break it
    "unique",  # columns together; {nulls: 'ignored' (as SQL does) | 'equal'}: rows beyond the first of each key
    "foreign-key",  # {table, columns}: rows whose values have no row there
    "near-duplicates",  # columns together, compared after folding case, accents, spaces and punctuation
    "dependency",  # {by: [columns]}: one value in each group; rows beside the most frequent value of theirs
    "gaps",  # {by: [columns], step: 1}: numbers that are missing between the least and the greatest
    "continuity",  # {every: '1 hour', by: [columns]}: moments that are missing
    # of the table: the figure is the metric
    "row-count",
    "aggregate",  # {function: min max mean sum stddev median quantile distinct null-percent ..., q}
    "freshness",  # seconds since the newest moment of a column
    "volume",  # rows beside those of earlier runs, in percent
    "distribution",  # {method: psi | ks | quantiles, reference}
    "learned",  # {metric, time, per, zone ...}: a metric of the last whole day or hour, beside what its own history lets one expect
    "agreement",  # {function, with: {table, column, function, where}}: this figure less that of another table
    "sql",  # {query}: one number, by the contract's own SQL
    # of the catalog: the figure is how many columns differ
    "schema",  # {columns: [{name, type}], more: bool}
]
ROW_KINDS = frozenset(("not-null", "set", "range", "pattern", "length", "type", "format", "condition"))
COUNTING_KINDS = ROW_KINDS | {"unique", "foreign-key", "near-duplicates", "dependency", "gaps", "continuity"}
Dimension = Literal[
    "accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness"
]
DIMENSIONS: dict[str, Dimension] = {
    "not-null": "completeness", "row-count": "completeness", "gaps": "completeness", "continuity": "completeness", "volume": "completeness",
    "unique": "uniqueness", "near-duplicates": "uniqueness", "foreign-key": "consistency", "agreement": "consistency", "condition": "consistency", "dependency": "consistency",
    "freshness": "timeliness", "set": "conformity", "pattern": "conformity", "length": "conformity", "type": "conformity", "format": "conformity",
    "schema": "conformity",
}  # fmt: skip


class Bounds(Value):
    """Which figures are good: every bound that is given must hold. None at all: every figure is."""

    equal_to: float | None = None
    not_equal_to: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    not_within: tuple[float, float] | None = None  # both ends included

    def hold(self, figure: float) -> bool:
        """Whether a figure is good. NaN never is, where there is a bound."""
        tests = (
            (self.equal_to, operator.eq), (self.not_equal_to, operator.ne), (self.at_least, operator.ge),
            (self.at_most, operator.le), (self.above, operator.gt), (self.below, operator.lt),
        )  # fmt: skip
        within = self.not_within is not None and not (
            figure < self.not_within[0] or figure > self.not_within[1]
        )
        return not within and all(bound is None or test(figure, bound) for bound, test in tests)

    @property
    def words(self) -> str:
        """'at least 1, below 100'; '' where there are none."""
        said = [
            f"{name.replace('_', ' ')} {value:.15g}"
            for name, value in self
            if value is not None and name != "not_within"
        ]
        if self.not_within is not None:
            said.append(f"not between {self.not_within[0]:.15g} and {self.not_within[1]:.15g}")
        return ", ".join(said)


NONE_BREAK = Bounds(at_most=0)


class Rule(Value):
    """One expectation, of one table, with the name it keeps."""

    id: str = Field(
        min_length=1
    )  # unique within its contract, and stays from version to version: history hangs on it
    kind: Kind
    table: str = Field(min_length=1)  # the contract's own name of the table (ODCS: schema[].name)
    columns: tuple[str, ...] = ()  # physical names, as the engine has them
    arguments: dict[str, Any] = Field(default_factory=dict)  # JSON; what each kind takes stands at `Kind`
    where: str = ""  # a SQL condition: only these rows are asked
    bounds: Bounds = NONE_BREAK
    unit: Literal["rows", "percent", "value", "seconds"] = "rows"  # of the figure that `bounds` are about
    severity: Literal["error", "warning"] = "error"  # a broken warning is a `warn`, not a `fail`
    dimension: Dimension | None = None
    owner: str = ""
    text: str = ""  # what it is for, in a sentence of the contract
    at: str = ""  # where in the contract it stands: 'schema[0].properties[2].quality[0]'
    dialect: str = ""  # of the SQL in `where` and `arguments`, as sqlglot names it; '' where it is plain SQL

    @model_validator(mode="before")
    @classmethod
    def _with_dimension(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("dimension") is None:
            return {**given, "dimension": DIMENSIONS.get(str(given.get("kind")), "accuracy")}
        return given

    @property
    def limits(self) -> dict[str, Any]:
        """The bounds among its arguments that are given: at_least, at_most, above, below."""
        given = ((key, self.arguments.get(key)) for key in ("at_least", "at_most", "above", "below"))
        return {key: value for key, value in given if value is not None}

    @property
    def metric(self) -> str:
        """The metric that a rule of kind `aggregate`, `agreement` or `learned` is about."""
        given = self.arguments
        return str(given.get("metric") or given.get("function") or given.get("of") or "row-count")

    @property
    def words(self) -> str:
        """The rule in words, without a value of a row: 'flights.tailnum references planes (tailnum)'."""
        place = f"{self.table}.{self.columns[0]}" if len(self.columns) == 1 else f"{self.table} ({', '.join(self.columns)})" if self.columns else self.table  # fmt: skip
        return f"{place}: {self._own_words()}"

    def _own_words(self) -> str:
        """Of SQL what the contract says of it; else 'is NOT NULL', 'is at least 1 and at most 12', 'has the pattern ...', with the bounds where they are not "no row at all"."""
        given = {
            key: value for key, value in self.arguments.items() if value is not None and value is not False
        }
        if self.kind in ("sql", "condition") and self.text:
            return self.text
        words = WORDS.get(f"{self.kind} negated" if given.get("negated") else self.kind, self.kind)
        said = words.format_map(_Given(given, self))
        return said if self.bounds in (NONE_BREAK, Bounds()) else f"{said}: {self.unit} {self.bounds.words}"


WORDS: dict[str, str] = {
    "not-null": "has a value", "set": "is one of {values}", "set negated": "is none of {values}", "pattern negated": "has nothing of the pattern {regex}", "range": "is {bounds}", "pattern": "has the pattern {regex}", "length": "has a length {bounds}",
    "type": "can be read as {type}", "format": "is of the format {format}", "condition": "{sql}", "unique": "unique", "foreign-key": "is in {table}",
    "near-duplicates": "no near-duplicates", "dependency": "the same wherever {by} is", "gaps": "without gaps", "continuity": "a moment {every}", "row-count": "number of rows", "aggregate": "{function}",
    "freshness": "age of the newest", "volume": "rows beside earlier runs", "distribution": "distribution by {method}", "learned": "{metric} as its history lets expect",
    "agreement": "{function} agrees with {with}", "sql": "its own query ({id})", "schema": "columns are those of the contract",
}  # fmt: skip


class _Given(dict[str, Any]):
    """What a rule is given, by name, in words."""

    def __init__(self, given: dict[str, Any], rule: Rule) -> None:
        super().__init__({name: _short(value) for name, value in given.items()})
        bounds = [
            f"{key.replace('_', ' ')} {_short(given[key])}"
            for key in ("at_least", "above", "at_most", "below")
            if key in given
        ]
        self["bounds"] = " and ".join(bounds)
        self["with"] = str((rule.arguments.get("with") or {}).get("table", ""))
        self["every"] = f"every {given.get('every', '1 day')}"
        self["id"] = rule.id

    def __missing__(self, key: str) -> str:
        return key


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line's worth


def rule_id(
    kind: str, table: str, columns: tuple[str, ...], arguments: dict[str, Any], where: str = ""
) -> str:
    """The id of a rule that was given none: readable, and the same as long as the rule says the same."""
    told = "-".join((table, *columns, kind))
    own = {key: value for key, value in arguments.items() if value is not None and value is not False}
    return told if not own and not where else f"{told}-{fingerprint([own, where])[:6]}"


class Unsupported(Value):
    """Something that a contract or a suite asks for and that is not executed: told by name, never left out silently."""

    at: str  # 'schema[0].quality[3]', 'models.orders.tests[2]'
    name: str  # what it is called there: 'expect_column_kl_divergence_to_be_less_than'
    why: str


class Contract(Value):
    """What a contract asks, as rules. The file itself stays as it is written: `contracts.read`."""

    name: str  # of the file: contracts/NAME.yaml
    id: str  # ODCS id
    version: str
    status: str = ""
    owner: str = ""
    tables: tuple[Table, ...] = ()
    rules: tuple[Rule, ...] = ()
    unsupported: tuple[Unsupported, ...] = ()
    systems: tuple[str, ...] = ()  # names of systems of the estate (ODCS: servers[].server)

    def of_table(self, table: str) -> tuple[Rule, ...]:
        """The rules of one table."""
        return tuple(rule for rule in self.rules if rule.table == table)


class Table(Value):
    """A table of a contract: its own name, and what it is called in the database or folder."""

    name: str
    physical_name: str  # 'flights', 'public.flights', 'flights/*.parquet'
    columns: tuple[str, ...] = ()  # physical names, in order
    key: tuple[str, ...] = ()  # the primary key by the contract: failing rows are named by it
    personal: dict[str, str] = Field(
        default_factory=dict
    )  # column -> category, by the contract's classification
    owner: str = ""


Contract.model_rebuild()
