"""Which source a load has, opened: by what it names, and by the kind of the system that this lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from datareeve.core.errors import BadInput
from datareeve.systems.table_source import DuckdbTable, MysqlTable
from datareeve.systems.table_source_postgres import PostgresTable
from datareeve.systems.table_source_sqlite import SqliteTable

if TYPE_CHECKING:
    from pathlib import Path

    from datareeve.systems.mysql import Mysql
    from datareeve.systems.one_file import OneFile
    from datareeve.systems.postgres import Postgres
    from datareeve.systems.registry import Registry
    from datareeve.systems.row_source import RowSource

SETTINGS = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=1"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def source_of(systems: Registry, project: Path, spool: Path, load: dict[str, Any]) -> RowSource:
    """The source of a load, given as the JSON of `spec.Load`. Errors: `BadInput` `pipelines.source-kind`."""
    source = load["source"]
    if source.get("table") or source.get("query"):
        return _of_database(systems, source, _asked(load))
    from datareeve.systems.other_sources import open_source  # noqa: PLC0415 - files, HTTP, generators

    return open_source(systems, project, spool, load)


def _asked(load: dict[str, Any]) -> dict[str, Any]:
    source, cursor = load["source"], load.get("cursor") or {}
    schema, _, table = str(source.get("table") or "").rpartition(".")
    renamed = {name: spec.get("source") or name for name, spec in (load.get("columns") or {}).items()}
    column = cursor.get("column")
    return {
        "schema": schema or None,
        "table": table or None,
        "query": source.get("query"),
        "keys": tuple(renamed.get(key, key) for key in load.get("keys") or ()),
        "cursor": renamed.get(column, column) if column else None,
        "start": cursor.get("start"),
        "lag": _interval(cursor.get("lag")),
        "window": load.get("window"),
    }


def _interval(lag: str | None) -> str | None:
    if not lag:
        return None
    bare = lag.replace(" ", "")
    return f"{int(bare[:-1])} {UNITS[bare[-1]]}"


def _of_database(systems: Registry, source: dict[str, Any], asked: dict[str, Any]) -> RowSource:
    name = str(source["system"])
    system = systems[name]
    if system.kind == "postgresql":
        database = cast("Postgres", system)
        return PostgresTable(
            name, database.conninfo(options=SETTINGS), lambda: database.connect(options=SETTINGS), **asked
        )
    if system.kind == "mysql":
        return MysqlTable(name, cast("Mysql", system).conninfo(), **asked)
    if system.kind in ("sqlite", "duckdb"):
        kind = SqliteTable if system.kind == "sqlite" else DuckdbTable
        return kind(name, str(cast("OneFile", system).file.resolve()), **asked)
    raise BadInput(
        "pipelines.source-kind",
        f"{name} is of kind {system.kind}, which has no tables to load.",
        "Name a database of the estate, or give files, http, python or dlt.",
    )
