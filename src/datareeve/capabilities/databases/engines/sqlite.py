"""One look at an SQLite file: whether it is whole, whether its references hold, its free pages, its log, its statistics.

Sources: https://www.sqlite.org/pragma.html. SQLite has no server, so there are no sessions, no counters and no slow queries to see.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import dialects
from datareeve.capabilities.databases.engines import Look
from datareeve.capabilities.databases.engines.sqlite_schema import schema
from datareeve.capabilities.databases.health_trend import percent
from datareeve.capabilities.databases.rules.sqlite import findings
from datareeve.core.errors import Failed, Unreachable
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.capabilities.databases.health import Limits
    from datareeve.core.operation import Reader, Systems

__all__ = ("SqliteLook", "findings", "look", "schema")

CHECKED_WHOLE = 2**30  # bytes of a file up to which every index entry is compared with its row
FAULTS = 20
NOT_TOLD = (
    "sessions, locks and work done (SQLite has no server)",
    "use of indexes (SQLite does not count it)",
)
ABOUT = (
    "page_count",
    "page_size",
    "freelist_count",
    "user_version",
    "application_id",
    "auto_vacuum",
    "journal_mode",
    "encoding",
)
BROKEN_SQL = """
SELECT "table", parent, count(*) AS rows FROM pragma_foreign_key_check({of}) GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 50
"""
TABLES_SQL = """
SELECT l.name, l.strict, l.wr AS without_rowid, (SELECT count(*) FROM pragma_index_list(l.name)) AS indexes,
       (SELECT count(*) FROM pragma_table_info(l.name) WHERE pk) AS key_columns
  FROM pragma_table_list AS l WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY l.name
"""
COUNTED_SQL = "SELECT tbl AS name, max(CAST(stat AS INTEGER)) AS rows FROM sqlite_stat1 GROUP BY tbl"


class BrokenReference(Value):
    """Rows of a table whose declared foreign key has no target."""

    table: str
    parent: str
    rows: int


class TableState(Value):
    """A table: its rows by its largest rowid, and the rows that ANALYZE counted (None: never)."""

    name: str
    rows: int
    counted_rows: int | None
    indexes: int


class SqliteLook(Look):
    """What one look at an SQLite file saw."""

    check: str = "integrity_check"  # or quick_check, on a large file
    faults: tuple[str, ...] = ()
    broken: tuple[BrokenReference, ...] = ()
    mismatched: tuple[str, ...] = ()  # tables with a foreign key to columns that are not a key
    tables: tuple[TableState, ...] = ()


def look(systems: Systems, system: str, limits: Limits) -> SqliteLook:
    """Everything check-health knows of such a file. One that cannot be opened gives `down`."""
    del limits  # of sessions, which SQLite has not
    reader = systems[system]
    try:
        server = reader.read("server")
        about = _about(reader)
        check, faults, unchecked = _integrity(reader, server["bytes"])
        tables = reader.read("query", sql=TABLES_SQL) if not faults else []
        broken, mismatched = _references(reader, [row["name"] for row in tables])
        states = _states(reader, tables)
    except (Unreachable, Failed) as error:
        return SqliteLook(
            system=system, kind="sqlite", down=f"{error.code}: {error.what}", figures={"up": 0.0}
        )
    figures = _figures(server, about, tables) | _disk(systems, server["path"])
    return SqliteLook(
        system=system,
        kind="sqlite",
        figures=figures,
        said=f"{figures['file_bytes'] / 1e6:,.1f} MB, {len(tables)} tables, journal mode {about['journal_mode']}, read by SQLite {server['version']}",
        not_told=NOT_TOLD + unchecked,
        check=check,
        faults=faults,
        broken=broken,
        mismatched=mismatched,
        tables=states,
    )


def _about(reader: Reader) -> dict[str, Any]:
    answers = reader.read("ask", statements={name: f"PRAGMA {name}" for name in ABOUT})
    return {name: next(iter(rows[0].values())) for name, rows in answers.items() if rows}


def _integrity(reader: Reader, size: int) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The check that was done, the faults that it found, and what it could not look at."""
    check = "integrity_check" if size <= CHECKED_WHOLE else "quick_check"
    try:
        said = reader.read("query", sql=f"PRAGMA {check}({FAULTS})", shape="column")
    except Failed as error:
        if error.code == "sqlite.damaged":
            return check, ("the file cannot be read to its end",), ()
        if error.code == "sqlite.timeout":
            return check, (), ("whether the file is whole (the check took longer than read_timeout_seconds)",)
        raise
    return check, tuple(str(fault) for fault in said if fault != "ok"), ()


def _references(reader: Reader, tables: list[str]) -> tuple[tuple[BrokenReference, ...], tuple[str, ...]]:
    """The rows whose foreign key has no target; and the tables that SQLite will not check. One of those keeps it from checking all at once."""
    rows = reader.read("ask", statements={"all": BROKEN_SQL.format(of="")})["all"]
    mismatched: tuple[str, ...] = ()
    if rows is None:
        checks = {name: BROKEN_SQL.format(of="'" + name.replace("'", "''") + "'") for name in tables}
        told = reader.read("ask", statements=checks)
        rows = [row for found in told.values() for row in found or ()]
        mismatched = tuple(name for name, found in told.items() if found is None)
    return tuple(BrokenReference(**row) for row in rows), mismatched


def _states(reader: Reader, tables: list[dict[str, Any]]) -> tuple[TableState, ...]:
    real = [row for row in tables if not row["without_rowid"]]
    statements = {
        row["name"]: f"SELECT max(_rowid_) AS n FROM {dialects.SQLITE.name(row['name'])}"  # noqa: S608 - quoted
        for row in real
    }
    largest = reader.read("ask", statements=statements | {" counted": COUNTED_SQL})
    counted = {row["name"]: row["rows"] for row in largest[" counted"] or ()}
    return tuple(
        TableState(
            name=row["name"],
            rows=rows[0]["n"] or 0,
            counted_rows=counted.get(row["name"]),
            indexes=row["indexes"],
        )
        for row in real
        if (rows := largest[row["name"]])
    )


def _figures(server: dict[str, Any], about: dict[str, Any], tables: list[dict[str, Any]]) -> dict[str, float]:
    return {
        "up": 1.0,
        "file_bytes": float(server["bytes"]),
        "database_bytes": float(server["bytes"] + server["wal_bytes"]),
        "wal_bytes": float(server["wal_bytes"]),
        "page_bytes": float(about["page_size"]),
        "free_bytes": float(about["freelist_count"] * about["page_size"]),
        "free_percent": percent(about["freelist_count"], about["page_count"]),
        "auto_vacuum": float(about["auto_vacuum"]),
        "user_version": float(about["user_version"]),
        "application_id": float(about["application_id"]),
        "tables": float(len(tables)),
        "tables_strict": float(sum(1 for row in tables if row["strict"])),
        "tables_without_primary_key": float(sum(1 for row in tables if not row["key_columns"])),
    }


def _disk(systems: Systems, path: str) -> dict[str, float]:
    disk = systems["host"].read("disk", path=str(PurePath(path).parent))
    return {
        "disk_used_percent": percent(disk["used_bytes"], disk["total_bytes"]),
        "disk_free_bytes": float(disk["free_bytes"]),
    }
