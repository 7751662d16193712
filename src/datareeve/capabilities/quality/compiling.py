"""A contract's rules as the statements of one engine: proofs first, one pass for each table, and what needs a statement of its own.

Equal expressions are asked once. Nothing is run here: what comes out is data, which a plan shows and the quality desk runs.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.quality.asking import ask
from datareeve.capabilities.quality.asking_context import Ask, Context
from datareeve.capabilities.quality.engines.dialect import Query
from datareeve.capabilities.quality.engines.places import goes_by
from datareeve.capabilities.quality.likely_personal import likely_personal
from datareeve.core.personal_data.declared import NOT_PERSONAL
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.capabilities.quality.asking_context import Count
    from datareeve.capabilities.quality.catalog import Catalog, CatalogTable
    from datareeve.capabilities.quality.engines.dialect import Dialect
    from datareeve.capabilities.quality.rule import Contract, Rule, Table


class Statement(Query):
    """One statement, and the rules that it answers."""

    id: str
    check: dict[str, Any] | None = None  # the values it gives are tested by a format
    rules: tuple[str, ...] = ()
    expressions: dict[str, str] = Field(
        default_factory=dict
    )  # of a pass, by alias: where it fails, its halves are asked
    source: str = ""  # of a pass
    share: float | None = None  # of a pass over a sample: which part of the table it is


class Asked(Value):
    """A rule with where its answers stand: by name, the statement and the column in it."""

    rule: str
    places: dict[str, tuple[str, str]] = Field(default_factory=dict)
    known: dict[str, float] = Field(default_factory=dict)
    proof: str = ""
    not_run: str = ""
    keys: str = ""
    breaks: str = ""
    listed: str = ""  # the statement that names what breaks it
    keys_left_out: str = ""


class Compiled(Value):
    """What is run for a contract on one system."""

    statements: tuple[Statement, ...] = ()
    asked: tuple[Asked, ...] = ()


def compile_contract(
    contract: Contract,
    catalog: Catalog,
    dialect: Dialect,
    personal: Mapping[str, Mapping[str, str]],
    sample_rows: int | None = None,
) -> Compiled:
    """The statements of all rules on one system. `personal`: column -> category by physical table name ('no': looked at, and not personal), beside what the contract classifies and what names tell."""
    making = _Making(contract, catalog, dialect, sample_rows)
    asked = tuple(
        making.asked(rule, _asked_of(rule, contract, catalog, dialect, personal)) for rule in contract.rules
    )
    return Compiled(statements=making.statements(), asked=asked)


# What a statement of its own gives, where that is not one column of its name.
COLUMNS = {"series": ("failing", "checked")}


class _Making:
    """Statements as rules come to need them; equal ones once."""

    def __init__(
        self, contract: Contract, catalog: Catalog, dialect: Dialect, sample_rows: int | None
    ) -> None:
        self._contract, self._catalog = contract, catalog
        self._passes = _Passes(dialect, sample_rows)
        self._own: dict[str, Statement] = {}  # by what is asked

    def statements(self) -> tuple[Statement, ...]:
        """All of them, the passes first."""
        return (*self._passes.statements(), *self._own.values())

    def asked(self, rule: Rule, ask: Ask) -> Asked:
        """Where the answers of a rule will stand."""
        places: dict[str, tuple[str, str]] = {}
        listed = ""
        table = _table(rule, self._contract, self._catalog)
        if table is not None and self._passes.share(table) is not None and (ask.queries or ask.check):
            return Asked(rule=rule.id, not_run="a sample does not tell: its answer is of the whole table")
        if table is not None:
            places = {
                name: self._passes.place(rule, table, expression)
                for name, expression in ask.aggregates.items()
            }
            places |= {name: self._passes.count(rule, table, count) for name, count in ask.counts.items()}
        for name, given in ask.queries.items():
            query = given if isinstance(given, Query) else Query(sql=given)
            statement = self._statement(f"{rule.id}:{name}", rule, query)
            places |= {column: (statement, column) for column in COLUMNS.get(name, (name,))}
            listed = statement if query.listing else listed
        if ask.check is not None:
            check = {"format": ask.check.format, "arguments": ask.check.arguments}
            statement = self._statement(f"{rule.id}:values", rule, Query(sql=ask.check.sql), check)
            places |= {column: (statement, column) for column in ("failing", "checked", "distinct")}
        told = {
            name: getattr(ask, name)
            for name in ("known", "proof", "not_run", "keys", "breaks", "keys_left_out")
        }
        return Asked(rule=rule.id, places=places, listed=listed, **told)

    def _statement(self, id_: str, rule: Rule, query: Query, check: dict[str, Any] | None = None) -> str:
        """The id of a statement, which is an earlier one's where that asks the same."""
        key = repr((query, check))
        before = self._own.get(key) or Statement(id=id_, check=check, **dict(query))
        self._own[key] = before.model_copy(update={"rules": (*before.rules, rule.id)})
        return before.id


def _asked_of(
    rule: Rule,
    contract: Contract,
    catalog: Catalog,
    dialect: Dialect,
    personal: Mapping[str, Mapping[str, str]],
) -> Ask:
    own = _own(rule, contract)
    if catalog.closed:
        return Ask(rule=rule.id, table=rule.table, not_run=catalog.closed)
    if catalog.down:
        return Ask(
            rule=rule.id, table=rule.table, not_run=f"{catalog.system} does not answer: {catalog.down}"
        )
    table = _table(rule, contract, catalog)
    if table is None:
        missing = Ask(
            rule=rule.id,
            table=rule.table,
            not_run=f"{catalog.system} has no table {own.physical_name if own else rule.table}",
        )
        return (
            missing
            if rule.kind != "schema"
            else missing.model_copy(
                update={
                    "not_run": "",
                    "known": {"failing": 1.0, "checked": 1.0},
                    "keys_left_out": "the table is missing",
                }
            )
        )
    if table.why_not:
        return Ask(rule=rule.id, table=rule.table, not_run=f"{table.name} cannot be read: {table.why_not}")
    return ask(
        Context(
            rule,
            table,
            catalog,
            contract,
            dialect,
            _key(own, table),
            _personal(rule, contract, catalog, personal),
        )
    )


def _personal(
    rule: Rule, contract: Contract, catalog: Catalog, declared: Mapping[str, Mapping[str, str]]
) -> frozenset[str]:
    """The columns of the rule's table that are personal, however they and the table are spelled where that is said.

    What refers to a personal column of another table is personal as well.
    """
    own, table = _own(rule, contract), _table(rule, contract, catalog)
    found = _personal_of(own, table, declared)
    if rule.kind == "foreign-key":
        parent = next((one for one in contract.tables if one.name == rule.arguments.get("table")), None)
        other = catalog.tables.get(parent.physical_name if parent else str(rule.arguments.get("table")))
        theirs = _personal_of(parent, other, declared)
        pairs = zip(
            rule.columns, rule.arguments.get("columns") or (other.primary_key if other else ()), strict=False
        )
        named = {
            ours.casefold()
            for ours, column in pairs
            if str(column).casefold() in {one.casefold() for one in theirs}
        }
        found |= {
            column.name for column in (table.columns if table else ()) if column.name.casefold() in named
        }
    return frozenset(found)


def _personal_of(
    own: Table | None, table: CatalogTable | None, declared: Mapping[str, Mapping[str, str]]
) -> set[str]:
    """The personal columns of a table, as its catalog spells them."""
    if table is None:
        return set()
    told = {
        column.casefold(): category
        for place, columns in declared.items()
        if goes_by(place, table)
        for column, category in columns.items()
    }
    told |= {name.casefold(): "personal" for name in (own.personal if own else ())}
    likely = {name.casefold() for name in likely_personal(table)} - told.keys()
    named = likely | {column for column, category in told.items() if category != NOT_PERSONAL}
    return {column.name for column in table.columns if column.name.casefold() in named}


def _own(rule: Rule, contract: Contract) -> Table | None:
    return next((table for table in contract.tables if table.name == rule.table), None)


def _table(rule: Rule, contract: Contract, catalog: Catalog) -> CatalogTable | None:
    own = _own(rule, contract)
    return catalog.tables.get(own.physical_name if own else rule.table)


def _key(own: Table | None, table: CatalogTable) -> tuple[str, ...]:
    """By what rows are named: the contract's key, else the table's."""
    there = {column.name for column in table.columns}
    candidates = [own.key if own else (), table.primary_key, *table.keys]
    return next((key for key in candidates if key and set(key) <= there), ())


FEW = 1000  # different values, or combinations of them, that rows are grouped by first
WORTH_ROWS = 100_000  # from which on that pays


class _Passes:
    """One pass for each table: expressions, each once. Where the engine likes it, a second one over columns of few values, grouped."""

    def __init__(self, dialect: Dialect, sample_rows: int | None) -> None:
        self._dialect, self._sample_rows = dialect, sample_rows
        self._numbers: dict[tuple[str, str], int] = {}  # (table, expression) -> its number within the table
        self._parts: dict[str, _Part] = {}  # by the statement's id
        self._counts: Counter[str] = Counter()
        self._few: dict[
            str, dict[str, int]
        ] = {}  # by table: columns that rows are grouped by, with how many values each has

    def place(self, rule: Rule, table: CatalogTable, expression: str) -> tuple[str, str]:
        """Where the answer of an aggregate will stand."""
        return self._placed(rule, table, expression, "pass")

    def count(self, rule: Rule, table: CatalogTable, count: Count) -> tuple[str, str]:
        """Where the answer of a count will stand."""
        if self._is_few(table, count.column):
            grouped = f"coalesce(sum(few.rows_of) FILTER (WHERE {count.condition}), 0)"
            return self._placed(rule, table, grouped, "few")
        return self._placed(rule, table, self._dialect.count_where(count.condition), "pass")

    def _is_few(self, table: CatalogTable, column: str) -> bool:
        """Whether a column has so few values that rows are grouped by it, together with those that are so already."""
        if not (
            self._dialect.groups_few
            and column
            and self._sample_rows is None
            and (table.estimated_rows or 0) >= WORTH_ROWS
        ):
            return False
        taken = self._few.setdefault(table.name, {})
        found = next((one for one in table.columns if self._dialect.name(one.name) == column), None)
        if (
            column not in taken
            and found
            and found.distinct
            and found.family == "text"
            and not found.collation
            and math.prod(taken.values()) * (found.distinct + 1) <= FEW
        ):
            taken[column] = found.distinct + 1
        return column in taken

    def _placed(self, rule: Rule, table: CatalogTable, expression: str, which: str) -> tuple[str, str]:
        place = f"{which}:{table.name}"
        number = self._numbers.get((place, expression))
        if number is None:
            number = self._numbers[place, expression] = self._counts[place]
            self._counts[place] += 1
        id_ = f"{place}:{number // self._dialect.most_aggregates}"
        part = self._parts.setdefault(id_, _Part(table))
        part.expressions.setdefault(f"a{number}", expression)
        part.rules.setdefault(rule.id)
        return id_, f"a{number}"

    def share(self, table: CatalogTable) -> float | None:
        """Which part of a table is read; None: all of it."""
        whole = (
            self._sample_rows is None or not table.estimated_rows or table.estimated_rows <= self._sample_rows
        )
        return None if whole else (self._sample_rows or 0) / (table.estimated_rows or 1)

    def statements(self) -> list[Statement]:
        """A statement for each table; several where an engine takes no more columns in one."""
        return [self._statement(id_, part) for id_, part in self._parts.items()]

    def _statement(self, id_: str, part: _Part) -> Statement:
        source = self._grouped(part.table) if id_.startswith("few:") else self._source(part.table)
        listed = ", ".join(f"{expression} AS {alias}" for alias, expression in part.expressions.items())
        return Statement(
            id=id_,
            sql=f"SELECT {listed} FROM {source}",
            rules=tuple(part.rules),
            expressions=part.expressions,
            source=source,
            share=self.share(part.table),
        )

    def _source(self, table: CatalogTable) -> str:
        return (
            self._dialect.table(table)
            if self._sample_rows is None
            else self._dialect.sampled(table, self._sample_rows)
        )

    def _grouped(self, table: CatalogTable) -> str:
        columns = ", ".join(self._few[table.name])
        return f"(SELECT {columns}, count(*) AS rows_of FROM {self._dialect.table(table)} GROUP BY {columns}) AS few"


@dataclass
class _Part:
    table: CatalogTable
    expressions: dict[str, str] = dataclass_field(default_factory=dict)
    rules: dict[str, None] = dataclass_field(default_factory=dict)
