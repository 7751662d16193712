"""What index advice rests on: tables with their statistics, the indexes that are there, and what the workload's plans ask of each table."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.index_redundancy import Use  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.databases.operations.create_index import CreateIndex
from datareeve.capabilities.databases.partitioned_index import Partition
from datareeve.capabilities.databases.workload import Workload  # noqa: TC001 - pydantic reads it
from datareeve.core.value import Value

PAGE_COST, RANDOM_COST, ROW_COST = (
    1.0,
    1.5,
    0.0125,
)  # the planner's units; random reads of a mostly cached table
PER_COST_MS = (
    0.01  # a statement's time where the source tells none: the planner's cost, in milliseconds of this order
)


class Column(Value):
    """A column as the planner knows it. `distinct_values` as pg_stats has it: negative is a share of the rows, 0 unknown."""

    name: str
    type: str
    category: str = "U"  # pg_type.typcategory: S string, A array, B boolean, D date/time, N numeric, U user-defined (jsonb)
    collation_is_c: bool = False
    distinct_values: float = 0.0
    null_share: float = 0.0
    correlation: float | None = None
    width: int = 8  # bytes


class Table(Value):
    """A table as the planner knows it. Rows written are counted since the server's statistics began."""

    schema_name: str
    name: str
    is_partitioned: bool = False
    root_schema: str | None = None  # the partitioned table that it belongs to
    root_name: str | None = None
    rows: int
    pages: int
    bytes: int
    inserted: int = 0
    updated: int = 0
    hot_updated: int = 0
    deleted: int = 0
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)

    def distinct(self, name: str) -> float:
        """How many values a column has; 1 where it is not known."""
        column = self.column(name)
        known = column.distinct_values if column else 0.0
        return max(-known * self.rows if known < 0 else known, 1.0)

    @property
    def scan_cost(self) -> float:
        """Reading it all."""
        return self.pages * PAGE_COST + self.rows * ROW_COST


class ExistingIndex(Value):
    """An index that is there. `keys` as pg_get_indexdef writes them."""

    schema_name: str
    table_name: str
    name: str
    method: str
    keys: tuple[str, ...]
    has_included: bool
    is_partial: bool
    has_direction: bool
    has_operator_class: bool = False  # that is not its type's own: it may know no order
    is_unique: bool
    is_valid: bool
    has_constraint: bool
    bytes: int
    scans: int

    def serves(self, columns: tuple[str, ...], *, any_order: int = 0) -> bool:
        """Whether its first keys are these columns, for every row of the table; the first `any_order` of them in any order."""
        plain = self.is_valid and self.method == "btree" and not (self.is_partial or self.has_operator_class)
        wanted = [as_written(column) for column in columns]
        keys = list(self.keys[: len(columns)])
        return (
            plain
            and sorted(keys[:any_order]) == sorted(wanted[:any_order])
            and keys[any_order:] == wanted[any_order:]
        )


def as_written(key: str) -> str:
    """A key of ours as pg_get_indexdef writes it: an expression in parentheses, unless it is one function's call."""
    if not key.startswith("("):
        return sql.identifier(key)
    inner = key[1:-1]
    name, opening, rest = inner.partition("(")
    depth = 1
    for place, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return inner if opening and name.isidentifier() and place == len(rest) - 1 else key
    return key


class ForeignKey(Value):
    """A foreign key's referring side."""

    schema_name: str
    table_name: str
    name: str
    referred: str
    columns: tuple[str, ...]


class Condition(Value):
    """One comparison of a table's column or expression. `kind`: equal, any, range, like, ilike, contains, overlap, null, true, ..."""

    key: str
    columns: tuple[str, ...]
    kind: str
    cast: str = ""
    joined: tuple[str, ...] = ()  # the aliases whose columns it is compared with
    pattern: str = ""  # of LIKE: prefix, infix, exact, or unknown
    fixed: str = ""  # the constant as SQL writes it, where every recorded execution has the same one there


class OrderKey(Value):
    """One term of ORDER BY or GROUP BY."""

    key: str
    direction: str = ""


class ScanNeed(Value):
    """One scan of a table in the plan of a family, and what it is asked."""

    schema_name: str
    table: str
    node: str
    cost: float
    rows: float
    conditions: tuple[Condition, ...] = ()
    arms: tuple[tuple[tuple[Condition, ...], ...], ...] = ()
    orders: tuple[tuple[OrderKey, ...], ...] = ()
    groups: tuple[tuple[OrderKey, ...], ...] = ()
    limited: bool = False
    needed: tuple[str, ...] = ()


class FamilyNeeds(Value):
    """How the planner answers a family now."""

    fingerprint: str
    cost: float
    indexes: tuple[str, ...] = ()  # that its plan uses
    scans: tuple[ScanNeed, ...]


class Candidate(Value):
    """An index that the workload could use. `families`: those that gave rise to it."""

    schema_name: str
    table: str
    keys: tuple[str, ...]
    key_options: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    method: str = "btree"
    where: str | None = None
    families: tuple[str, ...] = ()

    def operation(self, system: str, index: str | None = None) -> CreateIndex:
        """The operation that creates it."""
        return CreateIndex(
            system=system,
            schema_name=self.schema_name,
            table=self.table,
            columns=self.keys,
            key_options=self.key_options,
            include=self.include,
            method=self.method,
            where=self.where,
            index=index,
        )

    @property
    def identity(self) -> tuple[Any, ...]:
        """What makes it this index and no other."""
        return (
            self.schema_name,
            self.table,
            self.method,
            self.keys,
            self.key_options,
            self.include,
            self.where,
        )

    @property
    def subject(self) -> str:
        """'public.flights (tailnum, time_hour) include (delay) where active'."""
        keys = ", ".join(" ".join(filter(None, pair)) for pair in self.operation("").optioned())
        using = "" if self.method == "btree" else f" using {self.method}"
        include = f" include ({', '.join(self.include)})" if self.include else ""
        only = f" where {self.where}" if self.where else ""
        return f"{self.schema_name}.{self.table}{using} ({keys}){include}{only}"


class Situation(Value):
    """What advice rests on."""

    workload: Workload
    tables: tuple[Table, ...]
    indexes: tuple[ExistingIndex, ...]
    uses: tuple[Use, ...] = ()  # the same, in parts that can be compared
    foreign_keys: tuple[ForeignKey, ...]
    needs: tuple[FamilyNeeds, ...]
    extensions: tuple[str, ...] = ()

    def table(self, schema: str, name: str) -> Table | None:
        """The table of that name."""
        return next((t for t in self.tables if (t.schema_name, t.name) == (schema, name)), None)

    def root(self, table: Table) -> Table:
        """The partitioned table that it belongs to, else itself."""
        parent = (
            self.table(table.root_schema, table.root_name) if table.root_schema and table.root_name else None
        )
        return parent or table

    def rows_of(self, table: Table) -> int:
        """Rows, those of its partitions included."""
        if not table.is_partitioned:
            return table.rows
        return sum(
            t.rows
            for t in self.tables
            if (t.root_schema, t.root_name) == (table.schema_name, table.name) and not t.is_partitioned
        )

    def partitions(self, table: Table) -> tuple[Partition, ...]:
        """The partitions of a table."""
        own = (
            t
            for t in self.tables
            if (t.root_schema, t.root_name) == (table.schema_name, table.name) and t is not table
        )
        return tuple(
            Partition(schema_name=t.schema_name, name=t.name, is_partitioned=t.is_partitioned) for t in own
        )

    def time_of(self, need: FamilyNeeds) -> float:
        """The family's part of the workload in milliseconds; by its calls and planned cost where the source has no times."""
        family = self.workload.family(need.fingerprint)
        return family.total_ms if family.total_ms is not None else family.calls * need.cost * PER_COST_MS

    def tables_of(self) -> dict[str, frozenset[str]]:
        """The tables that each family reads or writes, as SQL names them; a partition counts as what it belongs to."""
        found = {family.fingerprint: set[str]() for family in self.workload.families}
        for need in self.needs:
            scanned = (self.table(scan.schema_name, scan.table) for scan in need.scans)
            homes = (self.root(table) for table in scanned if table is not None)
            found.setdefault(need.fingerprint, set()).update(
                sql.identifier(h.schema_name, h.name) for h in homes
            )
        for family in self.workload.families:
            named = (table for table in self.tables if table.name in family.tables)
            found[family.fingerprint].update(sql.identifier(t.schema_name, t.name) for t in named)
        return {fingerprint: frozenset(tables) for fingerprint, tables in found.items()}

    def written_like(self, other: Situation) -> Situation:
        """The same with the rows written that another counted: a copy's own are those of its making."""
        known = {(t.schema_name, t.name): t for t in other.tables}
        counters = ("inserted", "updated", "hot_updated", "deleted")
        tables = (
            t.model_copy(update={name: getattr(known[t.schema_name, t.name], name) for name in counters})
            if (t.schema_name, t.name) in known
            else t
            for t in self.tables
        )
        return self.model_copy(update={"tables": tuple(tables)})

    def written(self) -> dict[str, float]:
        """Each table's part of all rows written, as the server counted them; where it counted none, of all rows."""
        counted: dict[str, int] = {}
        for table in self.tables:
            home = self.root(table)
            name = sql.identifier(home.schema_name, home.name)
            counted[name] = counted.get(name, 0) + table.inserted + table.updated + table.deleted
        if not any(counted.values()):
            counted = {sql.identifier(t.schema_name, t.name): self.rows_of(t) for t in self.tables}
        whole = sum(counted.values()) or 1
        return {name: rows / whole for name, rows in counted.items()}

    @property
    def table_bytes(self) -> int:
        """What the tables themselves take."""
        return sum(table.bytes for table in self.tables)


def digest(situation: Situation, made: tuple[str, ...] = ()) -> str:
    """What a trial's answer depends on: the statements, the order of magnitude of the tables, and the indexes that are there or are then made."""
    families = sorted(family.fingerprint for family in situation.workload.families)
    tables = sorted(f"{t.schema_name}.{t.name} {math.log2(max(t.rows, 1)):.0f}" for t in situation.tables)
    indexes = sorted({index.name for index in situation.indexes} | set(made))
    return hashlib.sha256("\n".join((*families, *tables, *indexes)).encode(errors="replace")).hexdigest()[:16]
