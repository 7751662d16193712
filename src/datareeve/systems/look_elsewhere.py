"""Looking at a MariaDB/MySQL, SQLite or DuckDB database, or at a folder of files, that is to join the estate. Nothing is changed there."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.estate import DuckdbSystem, Estate, MysqlSystem, SqliteSystem
from datareeve.core.estate_data import FolderSystem
from datareeve.core.value import Value
from datareeve.systems import urls
from datareeve.systems.mysql import Mysql
from datareeve.systems.pg_look import Missing
from datareeve.systems.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datareeve.core.secrets import Secret


NAMELESS = "folder"  # one that has no name of its own


class Sighting(Value):
    """A database of another engine as `init` found it; it has what `Introduction` has for the page that shows both."""

    kind: str
    product: str  # MariaDB, MySQL, SQLite, DuckDB, or the folder of files that it reads
    version: str
    url: str = ""  # without the password; empty for a file
    path: str = ""  # of a file or a folder
    user: str = ""
    size_bytes: int
    schemas: dict[str, int]  # schema: number of tables
    notes: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    counts_statements: bool = False
    superuser: bool = False
    server: None = None
    least_privilege: tuple[str, ...] = ()

    @property
    def database(self) -> str:
        """A name to call it by."""
        return (PurePath(self.path).stem or NAMELESS) if self.path else unquote(urlsplit(self.url).path[1:])


# -- files ---------------------------------------------------------------------------------------------------------------------------

SIZES = {
    "sqlite": "SELECT count(*) AS tables FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    "duckdb": "SELECT schema_name AS schema, count(*) AS tables FROM duckdb_tables() WHERE NOT internal AND NOT temporary GROUP BY ALL ORDER BY ALL",
}
ONE_WRITER = "DuckDB lets one process write or several read: Datareeve opens the file only while it looks, and says so where it is taken."


def look_at_file(kind: str, path: str, project: Path) -> Sighting:
    """What a file holds. Errors: `Unreachable`, `Failed` of its adapter."""
    declared = (
        SqliteSystem(kind="sqlite", path=path) if kind == "sqlite" else DuckdbSystem(kind="duckdb", path=path)
    )
    registry = Registry(Estate(systems={path: declared}), project)
    try:
        server = registry[path].read("server")
        rows = registry[path].read("query", sql=SIZES[kind])
    finally:
        registry.close()
    schemas = {row.get("schema", "main"): row["tables"] for row in rows if row["tables"]}
    return Sighting(
        kind=kind,
        product=server["engine"],
        version=server["version"],
        path=path,
        size_bytes=server["bytes"] + server["wal_bytes"],
        schemas=schemas,
        notes=(ONE_WRITER,) if kind == "duckdb" else (),
    )


NAMES_SHOWN = 10  # of a folder's tables


def look_at_folder(path: str, project: Path) -> Sighting:
    """Which tables the files of a folder are. Errors: `BadInput` `url.folder` where it holds none; `Unreachable` of its adapter."""
    registry = Registry(Estate(systems={path: FolderSystem(kind="folder", path=path)}), project)
    try:
        server, patterns = registry[path].read("server"), registry[path].read("patterns")
    finally:
        registry.close()
    if not patterns:
        raise BadInput("url.folder", f"{path} holds no Parquet, CSV or JSON files.", "Give the folder that they lie in.")  # fmt: skip
    names = [_printable(f"{name} ({pattern})") for name, pattern in list(patterns.items())[:NAMES_SHOWN]]
    more = f" and {len(patterns) - NAMES_SHOWN} more" if len(patterns) > NAMES_SHOWN else ""
    return Sighting(
        kind="folder",
        product="Folder of files, read by DuckDB",
        version=server["version"],
        path=path,
        size_bytes=server["bytes"],
        schemas={"main": len(patterns)},
        notes=(f"Its tables: {', '.join(names)}{more}. To name them yourself:  tables: {{events: events/2025-*.parquet}}",),
        counts_statements=True,  # its statements are Datareeve's own
    )  # fmt: skip


def _printable(name: str) -> str:
    """A name for one line: a file may be called anything."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)


# -- MariaDB and MySQL -----------------------------------------------------------------------------------------------------------------

SIZE_SQL = """
SELECT table_schema AS `schema`, SUM(table_type = 'BASE TABLE') AS tables, COALESCE(SUM(data_length + index_length), 0) AS bytes
  FROM information_schema.tables WHERE table_schema = DATABASE() GROUP BY table_schema
"""
RIGHTS_SQL = """
SELECT r.privilege
  FROM (SELECT grantee, privilege_type AS privilege FROM information_schema.user_privileges
         UNION SELECT grantee, privilege_type FROM information_schema.schema_privileges WHERE DATABASE() LIKE table_schema) AS r
 WHERE r.grantee = CONCAT("'", SUBSTRING_INDEX(CURRENT_USER(), '@', 1), "'@'", SUBSTRING_INDEX(CURRENT_USER(), '@', -1), "'")
"""
WRITING = {"INSERT", "UPDATE", "DELETE", "DROP", "CREATE", "ALTER", "SUPER", "FILE"}
DIGESTS_SQL = "SELECT COUNT(*) AS n FROM performance_schema.events_statements_summary_by_digest LIMIT 1"


def look_at_mysql(url: str, project: Path, password: Secret | None, reference: str | None) -> Sighting:
    """What a server holds, and what the account may not see or should not be able to. Errors: `Unreachable`, `BadInput`."""
    label = urls.place(url)
    declared = MysqlSystem(kind="mysql", url=url, password=reference, read_timeout_seconds=30.0)
    registry = Registry(Estate(systems={label: declared}), project)
    if password is not None:
        registry.add(Mysql(label, declared, password, project))
    try:
        reader = registry[label]
        server = reader.read("server")
        sizes = reader.read("query", sql=SIZE_SQL)
        rights = set(reader.read("query", sql=RIGHTS_SQL, shape="column"))
    finally:
        registry.close()
    return Sighting(
        kind="mysql",
        product=server["engine"],
        version=server["version"],
        url=url,
        user=server["user"],
        size_bytes=sum(row["bytes"] for row in sizes),
        schemas={row["schema"]: row["tables"] for row in sizes},
        counts_statements=server["statistics"],
        missing=tuple(_missing(server, rights)),
    )


def _missing(server: dict[str, Any], rights: set[str]) -> Iterator[Missing]:
    mine = "'datareeve'@'%'"
    grants = tuple(_grants(server, mine))
    if rights & WRITING:
        yield Missing(
            without="This account may write. Datareeve only reads here: let it log in as one that can do nothing else.",
            statements=(f"CREATE USER {mine} IDENTIFIED BY '...';", *grants),
        )
    elif "PROCESS" not in rights:
        yield Missing(without="Other sessions, transactions and locks are not seen.", statements=grants)
    if not server["statistics"]:
        yield Missing(
            without="Statements are not counted: slow queries need performance_schema, the slow query log, a trace or a file of statements.",
            statements=("-- in my.cnf, with a restart:", "[mysqld]", "performance_schema = ON"),
        )


def _grants(server: dict[str, Any], account: str) -> Iterator[str]:
    database = "`" + str(server["database"]).replace("`", "``") + "`"
    replication = "SLAVE MONITOR, BINLOG MONITOR" if server["engine"] == "MariaDB" else "REPLICATION CLIENT"
    yield f"GRANT SELECT, SHOW VIEW ON {database}.* TO {account};"
    yield f"GRANT PROCESS, {replication} ON *.* TO {account};"
    yield f"GRANT SELECT ON performance_schema.* TO {account};"


# -- the estate's entry ----------------------------------------------------------------------------------------------------------------


def entry(found: Sighting, password: str | None) -> dict[str, Any]:
    """The system as estate.yaml has it."""
    if found.path:
        return {"kind": found.kind, "path": found.path}
    made = {"kind": found.kind, "url": found.url, "password": password}
    return {key: value for key, value in made.items() if value is not None}


def comments(found: Sighting) -> Iterator[str]:
    """What stands above it there."""
    tables = sum(found.schemas.values())
    yield f"{found.product} {found.version}, {found.size_bytes / 1e6:,.0f} MB, {tables} tables; looked at on {clock.now():%Y-%m-%d}."
    yield from found.notes
    if not found.counts_statements:
        yield "Slow queries are found in real statements. Say where they are:  workload: {kind: trace, path: data/trace.jsonl}"
