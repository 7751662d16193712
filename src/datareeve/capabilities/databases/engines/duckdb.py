"""One look at a DuckDB file: whether its blocks are whole, its free blocks, its log, how its tables are laid out.

Sources: https://duckdb.org/docs/stable/sql/meta/duckdb_table_functions, https://duckdb.org/docs/stable/configuration/pragmas. The file is
opened twice and let go, so that it keeps no writer waiting.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import dialects
from datareeve.capabilities.databases.engines import Look
from datareeve.capabilities.databases.engines.duckdb_schema import schema
from datareeve.capabilities.databases.health_trend import percent
from datareeve.capabilities.databases.rules.duckdb import findings
from datareeve.core.errors import Failed, Unreachable
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.capabilities.databases.health import Limits
    from datareeve.core.operation import Systems

__all__ = ("DuckdbLook", "findings", "look", "schema")

READ_WHOLE = 2**30  # bytes of a file up to which every block is read, which checks its checksum
LOOKED_INTO = 300  # tables
NOT_TOLD = (
    "sessions, memory and work done (DuckDB runs within the application)",
    "use of indexes (DuckDB does not count it)",
)
STATEMENTS = {
    "size": "SELECT block_size, total_blocks, used_blocks, free_blocks FROM pragma_database_size() WHERE database_name = current_database()",
    "storage": "SELECT tags['storage_version'] AS version FROM duckdb_databases() WHERE database_name = current_database()",
    "tables": "SELECT schema_name AS schema, table_name AS name, estimated_size AS rows, has_primary_key, index_count, check_constraint_count FROM duckdb_tables()"
    " WHERE NOT internal AND NOT temporary AND database_name = current_database() ORDER BY 1, 2",
}


class TableState(Value):
    """A table and how it lies in the file."""

    name: str
    rows: int
    row_groups: int
    uncompressed_percent: float


class DuckdbLook(Look):
    """What one look at a DuckDB file saw."""

    damaged: tuple[str, ...] = ()
    tables: tuple[TableState, ...] = ()


def look(systems: Systems, system: str, limits: Limits) -> DuckdbLook:
    """Everything check-health knows of such a file. One that cannot be opened gives `down`."""
    del limits  # of sessions, which are the application's own
    reader = systems[system]
    try:
        server = reader.read("server")
        about = reader.read("ask", statements=STATEMENTS)
        tables = about["tables"]
        answers = reader.read("ask", statements=_per_table(tables, whole=server["bytes"] <= READ_WHOLE))
    except (Unreachable, Failed) as error:
        if error.code == "duckdb.damaged":  # already where its catalog lies
            return DuckdbLook(
                system=system, kind="duckdb", damaged=("the whole file",), said="it cannot be read"
            )
        return DuckdbLook(
            system=system, kind="duckdb", down=f"{error.code}: {error.what}", figures={"up": 0.0}
        )
    figures = _figures(server, about) | _disk(systems, server["path"])
    names = [f"{row['schema']}.{row['name']}" for row in tables]
    version = (about["storage"] or [{}])[0].get("version")
    large = (
        ()
        if server["bytes"] <= READ_WHOLE
        else ("whether every block is whole (the file is larger than 1 GB)",)
    )
    return DuckdbLook(
        system=system,
        kind="duckdb",
        figures=figures,
        said=f"{figures['file_bytes'] / 1e6:,.1f} MB, {len(tables)} tables, storage {version or 'not told'}, read by DuckDB {server['version']}",
        not_told=NOT_TOLD + large,
        damaged=tuple(
            name for n, name in enumerate(names) if f"whole {n}" in answers and answers[f"whole {n}"] is None
        ),
        tables=tuple(
            _state(name, tables[n], answers.get(f"layout {n}")) for n, name in enumerate(names[:LOOKED_INTO])
        ),
    )


def _per_table(tables: list[dict[str, Any]], *, whole: bool) -> dict[str, str]:
    """What is asked of each table: its layout, and, where the file is not large, a read of all its rows that shows none of them."""
    statements = {}
    for number, row in enumerate(tables[:LOOKED_INTO]):
        name = dialects.DUCKDB.name(row["schema"], row["name"])
        text = name.replace("'", "''")
        statements[f"layout {number}"] = (
            "SELECT count(DISTINCT row_group_id) AS row_groups, 100.0 * count(*) FILTER (WHERE compression = 'Uncompressed') / nullif(count(*), 0) AS uncompressed"  # noqa: S608 - quoted
            f" FROM pragma_storage_info('{text}') WHERE segment_type <> 'VALIDITY'"
        )
        if whole:
            statements[f"whole {number}"] = (
                f"SELECT count(*) AS n FROM (SELECT hash(t) AS h FROM {name} AS t) WHERE h IS NULL"  # noqa: S608 - quoted
            )
    return statements


def _state(name: str, row: dict[str, Any], layout: list[dict[str, Any]] | None) -> TableState:
    found = layout[0] if layout else {}
    return TableState(
        name=name,
        rows=row["rows"] or 0,
        row_groups=found.get("row_groups") or 0,
        uncompressed_percent=round(found.get("uncompressed") or 0.0, 1),
    )


def _figures(server: dict[str, Any], about: dict[str, Any]) -> dict[str, float]:
    size = (about["size"] or [{}])[0]
    block, tables = float(size.get("block_size") or 0), about["tables"]
    return {
        "up": 1.0,
        "file_bytes": float(server["bytes"]),
        "database_bytes": float(server["bytes"] + server["wal_bytes"]),
        "wal_bytes": float(server["wal_bytes"]),
        "block_bytes": block,
        "free_bytes": block * (size.get("free_blocks") or 0),
        "free_percent": percent(size.get("free_blocks") or 0, size.get("total_blocks") or 0),
        "tables": float(len(tables)),
        "tables_without_primary_key": float(sum(1 for row in tables if not row["has_primary_key"])),
        "indexes": float(sum(row["index_count"] for row in tables)),
        "check_constraints": float(sum(row["check_constraint_count"] for row in tables)),
    }


def _disk(systems: Systems, path: str) -> dict[str, float]:
    disk = systems["host"].read("disk", path=str(PurePath(path).parent))
    return {
        "disk_used_percent": percent(disk["used_bytes"], disk["total_bytes"]),
        "disk_free_bytes": float(disk["free_bytes"]),
    }
