"""A target whose disk is full: the run is told so, what is published stays, and the next one goes on when there is space."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from pipelines_flow_rig import Project, source

SCHEMA = "CREATE TABLE t (id int PRIMARY KEY, v text, seen timestamptz NOT NULL);INSERT INTO t SELECT g, 'v' || g, '2026-01-01' FROM generate_series(1, 50) g"


@contextmanager
def small_disk(folder, megabytes):
    """A file system of so many megabytes; skipped where none may be mounted."""
    folder.mkdir(mode=0o755)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield lambda more: subprocess.run(["mount", "-o", f"remount,size={more}m", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_a_disk_that_is_full_costs_a_run_and_no_row(kind, pg18, tmp_path):
    disk = Path(tempfile.mkdtemp(prefix="datareeve-disk-")) / "small"
    disk.parent.chmod(0o755)
    try:
        with (
            small_disk(disk, 24) as larger,
            pg18.database(*SCHEMA.split(";")) as url,
            place(pg18, kind, disk) as system,
            Project(tmp_path, {"app": {"kind": "postgresql", "url": url}, "there": system}) as world,
        ):
            world.source = url
            world.pipeline(
                loads={
                    "t": {
                        "source": {"system": "app", "table": "t"},
                        "mode": "upsert",
                        "keys": ["id"],
                        "cursor": "seen",
                    }
                }
            )
            world.done()
            before = world.bag("t", "id, v")
            source(
                url,
                "INSERT INTO t SELECT g, md5(g::text) || repeat(md5((g + 1)::text), 20), timestamptz '2026-03-01' + g * interval '1 s' FROM generate_series(10000, 70000) g",
            )
            told = world.refused()
            assert "pipelines.no-space" in told
            assert world.bag("t", "id, v") == before
            larger(400)
            world.done()
            assert world.bag("t", "id, v") == truth(url)
    finally:
        shutil.rmtree(disk.parent, ignore_errors=True)


@contextmanager
def place(server, kind, disk):
    """A target on that disk."""
    if kind == "duckdb":
        yield {"kind": "duckdb", "path": str(disk / "there.duckdb")}
        return
    owner = Path(server.local.data).stat()
    os.chown(disk, owner.st_uid, owner.st_gid)
    with server.connect() as admin:
        admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
    try:
        with server.database() as url:
            name = urlsplit(url).path[1:]
            with server.connect() as admin:
                admin.execute(f"ALTER DATABASE {name} SET default_tablespace = small")
            yield {"kind": "postgresql", "url": url}
    finally:
        with server.connect() as admin, suppress(psycopg.Error):
            admin.execute("DROP TABLESPACE small")


def truth(url):
    with psycopg.connect(url) as connection:
        return sorted(connection.execute("SELECT id, v FROM t").fetchall(), key=repr)
