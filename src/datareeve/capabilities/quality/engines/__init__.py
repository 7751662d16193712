"""Engines: how each is asked about its catalog, and how each says what rules need."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from datareeve.capabilities.quality.catalog import Catalog
from datareeve.core.errors import BadInput, DatareeveError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.engines.dialect import Dialect
    from datareeve.core.operation import Reader, Systems

KINDS = {  # by kind of system: the module, and the dialect in it
    "postgresql": ("postgresql", "PostgresqlDialect"),
    "mysql": ("mysql", "MysqlDialect"),
    "sqlite": ("sqlite", "SqliteDialect"),
    "duckdb": ("duckdb", "DuckdbDialect"),
    "ducklake": ("duckdb", "DuckdbDialect"),
    "folder": ("duckdb", "FolderDialect"),
    "spark": ("spark", "SparkDialect"),
}


def dialect_of(kind: str) -> Dialect:
    """The dialect of a kind of system. Errors: `BadInput` `engine.no-tables`."""
    module, name = _of(kind)
    made: Dialect = getattr(import_module(f"{__name__}.{module}"), name)()
    return made


def catalog_of(reader: Reader, names: Sequence[str]) -> Catalog:
    """What the catalog of a system tells of some tables; where it does not answer, why. Errors: `BadInput` `engine.no-tables`."""
    module, _ = _of(reader.kind)
    try:
        found: Catalog = import_module(f"{__name__}.{module}").catalog(reader, names)
    except Unreachable as error:
        return Catalog(system=reader.name, kind=reader.kind, down=f"{error.code}: {error.what}")
    return found


def catalog_of_named(systems: Systems, name: str, names: Sequence[str]) -> Catalog:
    """The same of a system by its name; where it could not even be opened, why: its secret is not there, and that is no reason for others to wait.

    Errors: `BadInput` `system.unknown`, `engine.no-tables`.
    """
    try:
        reader = systems[name]
    except DatareeveError as error:
        kind = next((kind for kind in KINDS if name in systems.names(kind)), None)
        if kind is None:
            raise
        secret = "its secret is not there" if error.code.startswith("secret.") else error.code
        why = f"{name} could not be opened, {secret}: {error.what.rstrip('.')}"
        return Catalog(system=name, kind=kind, closed=why)
    return catalog_of(reader, names)


def tables_of(reader: Reader) -> list[tuple[str, ...]]:
    """Every table and view of a system, as schema and name. Errors: those of its reads."""
    module, _ = _of(reader.kind)
    found: list[tuple[str, ...]] = import_module(f"{__name__}.{module}").tables(reader)
    return found


def _of(kind: str) -> tuple[str, str]:
    if kind not in KINDS:
        raise BadInput("engine.no-tables", f"A system of kind {kind} has no tables that rules can be asked of.", f"Name one of kind {', '.join(KINDS)}.")  # fmt: skip
    return KINDS[kind]
