"""The schema as the catalog has it: tables with their columns, constraints, indexes, estimates and sizes.

One query reads it all, and reads no row of any table. What only the rows can tell is in `survey.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from datareeve.capabilities.databases import sql
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Systems


class Column(Value):
    """A column; `distinct` and `null_share` are the planner's statistics, None before ANALYZE."""

    name: str
    type: str  # as format_type gives it: 'character varying(20)'
    not_null: bool = False
    default: str | None = None
    identity: bool = False
    generated: bool = False
    comment: str | None = None
    distinct: float | None = None
    null_share: float | None = None
    sequence_value: int | None = None  # the last value of the sequence it owns
    canonical: str | None = None  # of another engine: the base type in PostgreSQL's word for it

    @property
    def base_type(self) -> str:
        """The type without its length or precision, in PostgreSQL's words: 'character varying'."""
        if self.canonical is not None:
            return self.canonical
        name, bracket, rest = self.type.partition("(")
        return name + rest.partition(")")[2] if bracket else name


class Constraint(Value):
    """A constraint: `kind` is p (primary key), u (unique), f (foreign key), c (check) or x (exclusion)."""

    name: str
    kind: str
    columns: tuple[str, ...] | None = None
    definition: str = ""
    validated: bool = True
    references_schema: str | None = None
    references_table: str | None = None
    references_columns: tuple[str, ...] | None = None


class Index(Value):
    """An index; `columns` are key columns or expressions, `whole` where it has no predicate."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    valid: bool = True
    whole: bool = True
    definition: str = ""
    of_constraint: bool = False  # made by a key; told by the other engines only
    kind: str = ""  # where an engine has several: btree, fulltext, spatial


class Table(Value):
    """A table (`kind` r, partitioned p) or view (v, materialized m)."""

    schema_name: str = Field(alias="schema")
    name: str
    kind: str = "r"
    estimated_rows: int | None = None
    bytes: int = 0
    comment: str | None = None
    readable: bool = True
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()

    @property
    def full_name(self) -> str:
        """'public.flights'."""
        return f"{self.schema_name}.{self.name}"

    @property
    def quoted(self) -> str:
        """The name as SQL has it."""
        return sql.identifier(self.schema_name, self.name)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key; empty where there is none."""
        return next((c.columns or () for c in self.constraints if c.kind == "p"), ())

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """The foreign keys that start here."""
        return tuple(c for c in self.constraints if c.kind == "f")

    @property
    def unique_keys(self) -> tuple[tuple[str, ...], ...]:
        """The column lists that the database itself keeps unique, the primary key first."""
        declared = [i.columns for i in self.indexes if i.unique and i.valid and i.whole]
        return tuple(sorted(declared, key=lambda columns: (columns != self.primary_key, len(columns))))

    def column(self, name: str) -> Column:
        """The column of that name; KeyError where there is none."""
        found = next((c for c in self.columns if c.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def references(self, columns: tuple[str, ...]) -> bool:
        """Whether a foreign key starts at exactly these columns."""
        return any(key.columns == columns for key in self.foreign_keys)


class Schema(Value):
    """The tables and views of the wanted schemas, by schema and name."""

    relations: tuple[Table, ...]
    sized: bool = True  # whether the engine told how large each is

    @property
    def tables(self) -> tuple[Table, ...]:
        """Tables only, the partitioned ones too."""
        return tuple(r for r in self.relations if r.kind in "rp")


def read_schema(systems: Systems, system: str, schema_name: str | None = None) -> Schema:
    """The catalog's facts about one schema; None: those the estate declares for this system, else all but the system's own."""
    declared = systems["estate"].read("get", where=["systems", system, "schemas"]) or []
    wanted = [schema_name] if schema_name else list(declared)
    rows = systems[system].read("query", sql=sql.load("schema_tables"), parameters={"schemas": wanted})
    return Schema(relations=tuple(Table.model_validate(row) for row in rows))


NAME_BYTES = 63


def made_name(stem: str, suffix: str) -> str:
    """'flights' and 'pkey' give 'flights_pkey', the stem cut so that the whole fits PostgreSQL's 63 bytes."""
    room = NAME_BYTES - len(suffix.encode()) - 1
    return f"{stem.encode()[:room].decode(errors='ignore')}_{suffix}"
