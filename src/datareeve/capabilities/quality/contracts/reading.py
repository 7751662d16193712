"""What is known of a contract while it is read: its names, its mistakes, what of it is not executed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.capabilities.quality.contracts import entries
from datareeve.capabilities.quality.contracts.standard import Problem, nearest
from datareeve.capabilities.quality.rule import Rule, Unsupported
from datareeve.core.yaml_text import Document, Path, said

if TYPE_CHECKING:
    from collections.abc import Callable

SQLGLOT = {
    "postgres": "postgres", "postgresql": "postgres", "cloudsql": "postgres", "mysql": "mysql", "duckdb": "duckdb", "local": "duckdb",
    "bigquery": "bigquery", "databricks": "databricks", "snowflake": "snowflake", "redshift": "redshift", "trino": "trino", "presto": "presto",
    "athena": "athena", "hive": "hive", "impala": "hive", "oracle": "oracle", "sqlserver": "tsql", "synapse": "tsql", "clickhouse": "clickhouse",
    "dremio": "dremio", "exasol": "exasol", "teradata": "teradata", "sqlite": "sqlite", "spark": "spark",
}  # fmt: skip


class Place(NamedTuple):
    """Where an entry stands, and what it is about."""

    path: Path
    table: str
    columns: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """'schema[0].quality[1]'."""
        return said(self.path)


@dataclass
class Named:
    """A table of the contract by all the names that it and its columns go by."""

    name: str
    physical: str
    id: str = ""
    columns: dict[str, str] = field(default_factory=dict)  # name, id or physical name -> physical name
    types: dict[str, str] = field(default_factory=dict)  # physical name -> ODCS type

    def column(self, name: str) -> str | None:
        """The physical name of a column."""
        return self.columns.get(name)


@dataclass
class Reading:
    """Collects mistakes and what is not executed; knows the contract's names."""

    tables: dict[str, Named] = field(default_factory=dict)
    owner: str = ""
    dialect: str = ""
    problems: list[Problem] = field(default_factory=list)
    unsupported: list[Unsupported] = field(default_factory=list)
    document: Document | None = None
    translate: Callable[[str, Any, Place, Reading], tuple[tuple[Rule, ...], str]] | None = None

    def wrong(self, path: Path, what: str) -> None:
        """A mistake."""
        self.problems.append(Problem(path, what))

    def leave(self, place: Place, name: str, why: str) -> None:
        """Something that is not executed, by name."""
        self.unsupported.append(Unsupported(at=place.words, name=name, why=why))

    def columns(self, table: str, names: Any, path: Path) -> tuple[str, ...]:
        """Physical names of columns that the contract names. An unknown one is a mistake, where the contract lists any."""
        listed = names if isinstance(names, list) else [names]
        known, found = self.tables[table], []
        for number, name in enumerate(listed):
            physical = known.column(str(name))
            if physical is None and known.columns:
                self.wrong(
                    (*path, number),
                    f'names "{name}", which {table} does not have{nearest(name, known.columns)}',
                )
            else:
                found.append(physical or str(name))
        return tuple(found)

    def values(self, listed: list[Any], path: Path, place: Place) -> list[Any]:
        """Values that a column may have, NULL left out. Of a column of text they are what is written: the code 010 is not the number 10."""
        return [self.value(one, (*path, n), place) for n, one in enumerate(listed) if one is not None]

    def value(self, one: Any, path: Path, place: Place) -> Any:
        """As `values`, of a single one."""
        types = self.tables[place.table].types
        of_text = {types.get(column) for column in place.columns} == {"string"}
        if self.document is None or not of_text or not isinstance(one, (bool, int, float)):
            return one
        return self.document.written(path) or one

    def filled(self, query: str, place: Place, dialect: str) -> str:
        """A query with its placeholders replaced."""
        column = place.columns[0] if place.columns else ""
        return entries.filled(query, self.tables[place.table].physical, column, dialect)

    def foreign(self, engine: str, implementation: Any, place: Place) -> tuple[tuple[Rule, ...], str]:
        """Another engine's check as rules, or why it is none."""
        return self.translate(engine, implementation, place, self) if self.translate else ((), "")
