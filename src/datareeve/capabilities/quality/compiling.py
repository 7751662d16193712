"""A contract's rules as the statements of one engine: proofs first, one pass for each table, and what needs a statement of its own.

Equal expressions are asked once. Nothing is run here: what comes out is data, which a plan shows and the quality desk runs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.quality.asking import Ask, Context, ask
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datareeve.capabilities.quality.catalog import Catalog, CatalogTable
    from datareeve.capabilities.quality.engines.dialect import Dialect
    from datareeve.capabilities.quality.rule import Contract, Rule, Table


class Statement(Value):
    """One statement, and the rules that it answers."""

    id: str
    sql: str
    check: dict[str, Any] | None = None  # the values it gives are tested by a format
    rules: tuple[str, ...] = ()
    expressions: dict[str, str] = Field(
        default_factory=dict
    )  # of a pass, by alias: where it fails, its halves are asked
    source: str = ""  # of a pass


class Asked(Value):
    """A rule with where its answers stand: by name, the statement and the column in it."""

    rule: str
    places: dict[str, tuple[str, str]] = Field(default_factory=dict)
    known: dict[str, float] = Field(default_factory=dict)
    proof: str = ""
    not_run: str = ""
    keys: str = ""
    keys_left_out: str = ""


class Compiled(Value):
    """What is run for a contract on one system."""

    statements: tuple[Statement, ...] = ()
    asked: tuple[Asked, ...] = ()


def compile_contract(
    contract: Contract,
    catalog: Catalog,
    dialect: Dialect,
    personal: Mapping[str, Iterable[str]],
    sample_rows: int | None = None,
) -> Compiled:
    """The statements of all rules on one system. `personal`: columns by physical table name, beside those that the contract classifies."""
    asks = [(rule, _asked_of(rule, contract, catalog, dialect, personal)) for rule in contract.rules]
    passes = _Passes(dialect)
    statements: list[Statement] = []
    asked = []
    for rule, one in asks:
        places = {
            name: passes.place(rule, table, expression)
            for name, expression in one.aggregates.items()
            if (table := _table(rule, contract, catalog))
        }
        for name, sql in one.queries.items():
            made = Statement(id=f"{rule.id}:{name}", sql=sql, rules=(rule.id,))
            statements.append(made)
            places |= {column: (made.id, column) for column in COLUMNS.get(name, (name,))}
        if one.check is not None:
            made = Statement(id=f"{rule.id}:values", sql=one.check.sql, check={"format": one.check.format, "arguments": one.check.arguments}, rules=(rule.id,))  # fmt: skip
            statements.append(made)
            places |= {column: (made.id, column) for column in ("failing", "checked", "distinct")}
        asked.append(
            Asked(
                rule=rule.id,
                places=places,
                known=one.known,
                proof=one.proof,
                not_run=one.not_run,
                keys=one.keys,
                keys_left_out=one.keys_left_out,
            )
        )
    return Compiled(statements=(*passes.statements(sample_rows), *statements), asked=tuple(asked))


# What a statement of its own gives, where that is not one column of its name.
COLUMNS = {"groups": ("failing", "checked"), "series": ("failing", "checked"), "orphans": ("failing",)}


def _asked_of(
    rule: Rule, contract: Contract, catalog: Catalog, dialect: Dialect, personal: Mapping[str, Iterable[str]]
) -> Ask:
    own = _own(rule, contract)
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
    known = {*personal.get(own.physical_name if own else rule.table, ()), *(own.personal if own else ())}
    return ask(Context(rule, table, catalog, contract, dialect, _key(own, table), frozenset(known)))


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


class _Passes:
    """One pass for each table: expressions, each once."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._numbers: dict[tuple[str, str], int] = {}  # (table, expression) -> its number within the table
        self._parts: dict[str, _Part] = {}  # by the statement's id
        self._counts: Counter[str] = Counter()

    def place(self, rule: Rule, table: CatalogTable, expression: str) -> tuple[str, str]:
        """Where the answer of an expression will stand."""
        number = self._numbers.get((table.name, expression))
        if number is None:
            number = self._numbers[table.name, expression] = self._counts[table.name]
            self._counts[table.name] += 1
        id_ = f"pass:{table.name}:{number // self._dialect.most_aggregates}"
        part = self._parts.setdefault(id_, _Part(table))
        part.expressions.setdefault(f"a{number}", expression)
        part.rules.setdefault(rule.id)
        return id_, f"a{number}"

    def statements(self, sample_rows: int | None) -> list[Statement]:
        """A statement for each table; several where an engine takes no more columns in one."""
        return [self._statement(id_, part, sample_rows) for id_, part in self._parts.items()]

    def _statement(self, id_: str, part: _Part, sample_rows: int | None) -> Statement:
        d = self._dialect
        source = d.table(part.table) if sample_rows is None else d.sampled(part.table, sample_rows)
        listed = ", ".join(f"{expression} AS {alias}" for alias, expression in part.expressions.items())
        return Statement(
            id=id_,
            sql=f"SELECT {listed} FROM {source}",
            rules=tuple(part.rules),
            expressions=part.expressions,
            source=source,
        )


@dataclass
class _Part:
    table: CatalogTable
    expressions: dict[str, str] = dataclass_field(default_factory=dict)
    rules: dict[str, None] = dataclass_field(default_factory=dict)
