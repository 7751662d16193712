"""TPC-H on a PostgreSQL 15: tables, data, primary and foreign keys, statistics, and no other index.

    PYTHONPATH=bench uv run --no-sync python -m tpch.make --port 55432 --data /tmp/tpch --keep

The server is Debian's (`/usr/lib/postgresql/15/bin`), else the newest found, with the settings in `SETTINGS`: one process a query and no
JIT, so that a backend's CPU time is the query's; no autovacuum, so that nothing runs beside it; 256 MB of shared buffers and 32 MB of
working memory. The rows come from DuckDB's dbgen, once for each scale, and stay in `.bench/tpch-SCALE/`.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import peers
import psycopg

from datareeve.systems import pg_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.systems.pg_server import LocalServer

HERE = Path(__file__).parent
TABLES = ("region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem")
SETTINGS = {
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "jit": "off",
    "autovacuum": "off",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "fsync": "off",
    "synchronous_commit": "off",
    "max_connections": "60",
    "shared_preload_libraries": "pg_stat_statements",
}
DATABASE = "tpch"


def texts() -> dict[str, str]:
    """The 22 queries by name, Q1 to Q22, with the validation parameters of the specification."""
    parts = (HERE / "queries.sql").read_text().split("-- Q")[1:]
    return {f"Q{part.split(maxsplit=1)[0]}": part.split("\n", 1)[1].strip().rstrip(";") for part in parts}


def data(scale: float) -> Path:
    """The folder of the CSV files, made when they are not there. Errors: `peers.NotInstalled`."""
    folder = peers.FOLDER / f"tpch-{scale:g}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        peers.run("tpch", HERE / "generate.peer", str(scale), str(folder))
        (folder / "done").touch()
    return folder


def binaries() -> Path | None:
    """Debian's PostgreSQL 15, else whatever is installed."""
    return pg_server.find_binaries(15)


@contextmanager
def server(folder: Path, port: int | None = None, *, keep: bool = False) -> Iterator[tuple[LocalServer, str]]:
    """A new server in `folder`, and the URL of its empty database `tpch`. Destroyed at the end unless `keep`."""
    local, url = pg_server.initialise(folder / "data", binaries=binaries(), port=port, settings=SETTINGS)
    try:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {DATABASE}")
        yield local, url.rsplit("/", 1)[0] + f"/{DATABASE}"
    finally:
        if not keep:
            pg_server.destroy(local)


def load(url: str, scale: float) -> None:
    """Tables, rows, keys and statistics; then a checkpoint, so that writing them out is behind us."""
    folder = data(scale)
    with psycopg.connect(url, autocommit=True) as connection:
        statements(connection, "schema.sql")
        for table in TABLES:
            with (
                (folder / f"{table}.csv").open("rb") as file,
                connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv)") as copy,
            ):
                while block := file.read(1 << 20):
                    copy.write(block)
        statements(connection, "keys.sql")
        connection.execute("VACUUM (FREEZE, ANALYZE)")
        connection.execute("CHECKPOINT")


def statements(connection: psycopg.Connection, name: str) -> None:
    """Run each statement of a file of this folder."""
    for statement in (HERE / name).read_text().split(";\n"):
        if statement.strip():
            connection.execute(statement)


def main() -> None:
    """Make it and hold it until a signal, or leave it running."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--scale", type=float, default=0.2)
    parser.add_argument("--port", type=int)
    parser.add_argument("--data", type=Path, help="where the server's files go (default: a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="leave the server running")
    asked = parser.parse_args()
    folder = asked.data or Path(tempfile.mkdtemp(prefix="datareeve-tpch-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    with server(folder, asked.port, keep=asked.keep) as (local, url):
        load(url, asked.scale)
        print(url, flush=True)
        if asked.keep:
            print(f"stop it: runuser -u {local.os_user} -- {local.bin}/pg_ctl stop -D {local.data}")
        else:
            signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
