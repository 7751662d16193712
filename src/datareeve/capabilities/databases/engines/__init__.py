"""The engines that the same operations work on: PostgreSQL, MariaDB/MySQL, SQLite, DuckDB. One module each, of one shape.

What an engine cannot do is not a branch anywhere: an operation names the kinds it works on (`goes_to`), and whoever asks it of another
is told so before anything is looked at (`core.operation.refuse_other_kinds`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import Field

from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.capabilities.databases.health import Limits
    from datareeve.capabilities.databases.schema import Schema
    from datareeve.core.operation import Finding, Systems


class Look(Value):
    """What one look at a database of another engine than PostgreSQL saw. `down`: why nothing could be seen, empty where it answered."""

    system: str
    kind: str
    down: str = ""
    figures: dict[str, float] = Field(default_factory=dict)
    said: str = ""  # of its work, for the summary: '12 queries/s over the last 60 s'
    not_told: tuple[str, ...] = ()  # what the engine, or this account, does not tell


class Engine(Protocol):
    """What a module of this package offers."""

    def look(self, systems: Systems, system: str, limits: Limits) -> Any:
        """One look at its health: `Health` of PostgreSQL, a `Look` of the others. A database that does not answer gives `down`, no error."""

    def findings(self, seen: Any) -> tuple[Finding, ...]:
        """What of it needs a person, the gravest first. Pure."""

    def schema(self, systems: Systems, system: str, schema_name: str | None = None) -> Schema:
        """The catalog: tables with columns, constraints, indexes. Reads no row of any table."""


def of(kind: str) -> Engine:
    """The engine of a kind of system."""
    from datareeve.capabilities.databases.engines import duckdb, mysql, postgresql, sqlite  # noqa: PLC0415 - they import what imports this

    engines = {"postgresql": postgresql, "mysql": mysql, "sqlite": sqlite, "duckdb": duckdb}
    return cast("Engine", engines[kind])
