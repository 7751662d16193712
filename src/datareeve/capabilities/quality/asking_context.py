"""What a rule is asked in, and what is asked for it: the shapes that all kinds of rules share. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.quality.engines.dialect import Query  # noqa: TC001 - the type of a field, which pydantic reads
from datareeve.capabilities.quality.verdicts import KEYS_SHOWN
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.catalog import Catalog, CatalogColumn, CatalogTable
    from datareeve.capabilities.quality.engines.dialect import Dialect
    from datareeve.capabilities.quality.rule import Contract, Rule


class Check(Value):
    """Values that the adapter tests itself: `sql` gives (value, times)."""

    sql: str
    format: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Count(Value):
    """How many rows a condition is true of. `column`: the one (quoted) column that it is about, where it is one."""

    condition: str
    column: str = ""


class Ask(Value):
    """What is asked for one rule. Names are those that `judging` knows: failing, checked, figure, newest, b0 ..."""

    rule: str
    table: str  # physical name
    aggregates: dict[str, str] = Field(default_factory=dict)  # name -> expression over the table's rows
    counts: dict[str, Count] = Field(default_factory=dict)  # as `aggregates`
    queries: dict[str, str | Query] = Field(
        default_factory=dict
    )  # name of the statement: its columns are names
    check: Check | None = None
    known: dict[str, float] = Field(default_factory=dict)  # what the catalog says already
    proof: str = ""
    not_run: str = ""
    keys: str = ""  # SQL: the keys of some rows that break the rule
    breaks: str = ""  # the condition of such rows: several rules' are asked for together
    keys_left_out: str = ""


@dataclass(frozen=True)
class Context:
    """What a rule is asked in: its table, the others, the engine, and which columns are personal."""

    rule: Rule
    table: CatalogTable
    catalog: Catalog
    contract: Contract
    dialect: Dialect
    key: tuple[str, ...]
    personal: frozenset[str]
    only_rows: str = ""  # the engine's own SQL: the rule's rows, beside its condition

    @property
    def columns(self) -> tuple[CatalogColumn, ...]:
        """The rule's columns. Errors: `BadInput` `rule.column`, `rule.rights`."""
        return tuple(self.column(name) for name in self.rule.columns)

    def column(self, name: str) -> CatalogColumn:
        """A column that is there and may be read."""
        found = self.table.column(name) or next(
            (c for c in self.table.columns if c.name.lower() == name.lower()), None
        )
        if found is None:
            raise BadInput("rule.column", f"{self.table.name} has no column {name}.")
        if not found.readable:
            raise BadInput("rule.rights", f"This role may not read {self.table.name}.{name}.")
        return found

    @property
    def only(self) -> CatalogColumn:
        """The rule's one column. Errors: as `columns`, and `BadInput` `rule.columns`."""
        if len(self.rule.columns) != 1:
            raise BadInput("rule.columns", f"A rule of kind {self.rule.kind} is about one column.")
        return self.columns[0]

    def named(self, column: CatalogColumn) -> str:
        """A column, quoted."""
        return self.dialect.name(column.name)

    @property
    def source(self) -> str:
        """The table, quoted."""
        return self.dialect.table(self.table)

    @property
    def where(self) -> str:
        """The rule's own condition in the engine's SQL; '' where it has none."""
        own = self.condition(self.rule.where) if self.rule.where else ""
        return self.dialect.all_of([own, self.only_rows])

    def condition(self, text: str) -> str:
        """A condition of the contract in the engine's SQL. Errors: `BadInput` `rule.sql`."""
        from datareeve.capabilities.quality.statement_sql import condition_sql  # noqa: PLC0415 - a parser of SQL is slow to load

        return condition_sql(text, self.rule.dialect, self.dialect)

    def fits(self, column: CatalogColumn, families: Sequence[str], what: str) -> CatalogColumn:
        """The column, if it is of one of those families. Errors: `BadInput` `rule.does-not-fit`."""
        if column.family not in families:
            raise BadInput("rule.does-not-fit", f"{what} does not fit {self.table.name}.{column.name}, which is {column.type or 'of no declared type'}.")  # fmt: skip
        return column

    # -- what kinds of rules share --------------------------------------------------------------------------------------------------

    def made(self, **asked: Any) -> Ask:
        """What is asked for the rule."""
        return Ask(rule=self.rule.id, table=self.table.name, **asked)

    @property
    def total(self) -> str:
        """How many rows the rule is about."""
        return self.dialect.count_where(self.where) if self.where else "count(*)"

    def value(self, column: CatalogColumn) -> str:
        """A column's value, of the rows that the rule is about."""
        named = self.named(column)
        return f"CASE WHEN {self.where} THEN {named} END" if self.where else named

    def rows_of(self, condition: str) -> str:
        """The table with a condition; '' is none."""
        return f"{self.source} WHERE {condition}" if condition else self.source

    def there(self, columns: Sequence[CatalogColumn]) -> str:
        """The rule's condition, and that there is a value in each of some columns."""
        return self.dialect.all_of([*(f"{self.named(c)} IS NOT NULL" for c in columns), self.where])

    def there_count(self, columns: Sequence[CatalogColumn]) -> str:
        """How many rows have values in all of some columns, as the rule's condition has it; what cannot be NULL is not asked."""
        nullable = [column for column in columns if not column.not_null]
        if self.where or len(nullable) > 1:
            return self.dialect.count_where(self.there(nullable))
        return f"count({self.named(nullable[0])})" if nullable else "count(*)"

    def keys(self, breaks: str) -> dict[str, str]:
        """The statement that names rows by their key, or why there is none."""
        if not self.key:
            return {"keys_left_out": "the table has no key"}
        if self.personal & set(self.key):
            return {"keys_left_out": "its key is personal data"}
        named = ", ".join(self.dialect.name(name) for name in self.key)
        return {
            "keys": f"SELECT {named} FROM {self.source} WHERE {breaks} LIMIT {KEYS_SHOWN}",
            "breaks": breaks,
        }

    def other(self, name: str) -> CatalogTable:
        """Another table that the rule names. Errors: `BadInput` `rule.table`."""
        physical = next((t.physical_name for t in self.contract.tables if t.name == name), name)
        found = self.catalog.tables.get(physical)
        if found is None or found.why_not:
            raise BadInput(
                "rule.table",
                f"There is no table {name} that this role may read."
                if found is None
                else f"{name} cannot be read: {found.why_not}.",
            )
        return found
