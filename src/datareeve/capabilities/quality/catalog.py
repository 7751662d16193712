"""What an engine's catalog tells of the tables that a contract names: what is there, what it guarantees, what may be read.

What a catalog guarantees costs no scan: a valid NOT NULL, a primary or unique key, a validated foreign key, a CHECK.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from datareeve.core.value import Value

# The type of a column in words that all engines share. `text` that holds numbers is still text.
Family = Literal["integer", "decimal", "float", "text", "date", "timestamp", "timestamptz", "time", "boolean", "uuid", "json", "binary", "other"]  # fmt: skip


class CatalogColumn(Value):
    """A column as the engine has it."""

    name: str
    type: str  # the engine's own word: 'numeric(10,2)'
    values: tuple[str, ...] = ()  # of an enumeration type
    family: Family
    not_null: bool = False  # guaranteed: validated, and kept by the engine
    readable: bool = True  # may this role read it?
    comment: str = ""
    max_length: int | None = None  # characters, guaranteed
    distinct: int | None = None  # different values, where the statistics know few of them
    collation: str = (
        ""  # '' where it compares code points, else its name: equality of patterns then needs care
    )


class ForeignKey(Value):
    """A validated reference that the engine keeps."""

    columns: tuple[str, ...]
    table: str  # as `CatalogTable.name` of the other
    references: tuple[str, ...]


class CatalogTable(Value):
    """A table, view, partitioned table or set of files."""

    name: str  # qualified, for people: 'public.flights'
    place: tuple[str, ...]  # schema and name, unquoted, as the engine has them: ('public', 'flights')
    also: tuple[
        tuple[str, ...], ...
    ] = ()  # what it goes by beside: a folder's table by the pattern of its files
    kind: Literal["table", "view", "partitioned", "foreign", "files"]
    columns: tuple[CatalogColumn, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()  # unique and valid sets of columns, primary key first
    nulls_distinct: bool = True  # of unique keys whose columns may be NULL
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[str, ...] = ()  # the conditions of validated CHECK constraints, as SQL of the engine
    kept: bool = (
        True  # are references and conditions guaranteed? MariaDB and SQLite let any session switch them off
    )
    indexed: tuple[tuple[str, ...], ...] = ()  # the columns of usable whole-table indexes, in order
    estimated_rows: int | None = None
    bytes: int | None = None
    why_not: str = ""  # why it cannot be read at all: 'permission denied', 'a foreign server does not answer'

    def column(self, name: str) -> CatalogColumn | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


class Catalog(Value):
    """The tables of one system that were asked about. A table that is not there is not in it."""

    system: str
    kind: str  # of the system: postgresql, mysql, sqlite, duckdb, folder, spark
    tables: dict[str, CatalogTable] = Field(default_factory=dict)  # by the physical name that was asked for
    down: str = ""  # why the system does not answer; then nothing is in `tables`
    closed: str = (
        ""  # why it could not even be opened: its secret is not there; nothing is in `tables` either
    )
