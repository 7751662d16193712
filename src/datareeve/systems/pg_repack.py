"""pg_repack: a table and its indexes written anew while it is read and written, by the extension and its command line client.

The client must be of the extension's version. What a killed client leaves behind (a trigger, a log table, a half-filled table) is taken
away by `repack.repack_drop` before another attempt: https://reorg.github.io/pg_repack/.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from datareeve.core.errors import Failed, Refused
from datareeve.systems import pg_server
from datareeve.systems.pg_maintenance import index_bytes

if TYPE_CHECKING:
    from datareeve.systems.postgres import Postgres

DEBIAN = Path("/usr/lib/postgresql")
TABLE_OBJECTS = 4  # what repack_drop takes away: the type, the log table, the trigger, the new table

VERSIONS_SQL = """
SELECT (SELECT extversion FROM pg_extension WHERE extname = 'pg_repack') AS extension_version,
       (SELECT default_version FROM pg_available_extensions WHERE name = 'pg_repack') AS available_version
"""


def parts(system: Postgres) -> dict[str, Any]:
    """What is there of pg_repack: client (path), client_version, extension_version (created here), available_version (may be created)."""
    versions: dict[str, Any] = system.query(VERSIONS_SQL, shape="row")
    client = _client(system)
    return {
        "client": str(client) if client else None,
        "client_version": _version(client) if client else None,
        **versions,
    }


def _client(system: Postgres) -> Path | None:
    major = str(int(system.read("server")["version_num"]) // 10000)
    places = [DEBIAN / major / "bin" / "pg_repack"]
    if system.local_server is not None:
        places.insert(0, system.local_server.bin / "pg_repack")
    if found := shutil.which("pg_repack"):
        places.append(Path(found))
    return next((place for place in places if place.exists()), None)


def _version(client: Path) -> str | None:
    said = pg_server.run_as(None, [str(client), "--version"], check=False).stdout
    found = re.search(r"\d+(?:\.\d+)+", said)
    return found[0] if found else None


def repack(system: Postgres, table: str, *, run: str, wait_seconds: int) -> dict[str, Any]:
    """Write a table anew. Gives {bytes_before, bytes_after}, of the table with its indexes.

    No session of the application is ever cancelled for it (`--no-kill-backend`): where the last swap's lock does not come within
    `wait_seconds`, it gives up and leaves the table as it was. Errors: `Refused` `repack.missing`; `Failed` `repack.failed`.
    """
    client = _client(system)
    if client is None:
        raise Refused(
            "repack.missing", "pg_repack's client is not installed here.", "Install postgresql-*-repack."
        )
    clean_up(system, table, run)
    before = _total(system, table)
    command = [str(client), "--no-kill-backend", f"--wait-timeout={int(wait_seconds)}", f"--table={table}"]
    given = conninfo_to_dict(system.entry.url)
    named = {
        "PGHOST": "host",
        "PGPORT": "port",
        "PGUSER": "user",
        "PGDATABASE": "dbname",
        "PGSSLMODE": "sslmode",
    }
    env = {variable: str(given[key]) for variable, key in named.items() if given.get(key)}
    password = system.password.reveal() if system.password else None
    with pg_server.password_file(system.entry.url, password) as secret:
        marked = {**env, **secret, "PGAPPNAME": f"datareeve/{run}"[:63]}
        done = pg_server.run_as(None, command, env=marked, check=False)
    if done.returncode != 0:
        clean_up(system, table, run)
        raise Failed(
            "repack.failed",
            f"pg_repack of {table} ended with status {done.returncode}; the table is as it was.",
            "Most often a lock did not come: try in a quieter window. The server's log has the detail.",
        )
    return {"bytes_before": before, "bytes_after": _total(system, table)}


def clean_up(system: Postgres, table: str, run: str) -> None:
    """Take away what a killed client left of that table; quiet where there is nothing."""
    oid = system.query(LEFT_SQL, {"table": table}, shape="scalar")
    if oid is not None:
        statement = f"SELECT repack.repack_drop({int(oid)}, {TABLE_OBJECTS})"
        system.perform("execute", run=run, sql=statement)


LEFT_SQL = """
SELECT c.oid FROM pg_class c
 WHERE c.oid = to_regclass(%(table)s)
   AND (EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'repack_trigger')
        OR to_regclass('repack.log_' || c.oid) IS NOT NULL OR to_regclass('repack.table_' || c.oid) IS NOT NULL
        OR to_regtype('repack.pk_' || c.oid) IS NOT NULL)
"""


def _total(system: Postgres, table: str) -> int | None:
    if index_bytes(system, table) is None:
        return None
    return int(
        system.query(
            "SELECT pg_total_relation_size(to_regclass(%(table)s))", {"table": table}, shape="scalar"
        )
    )
