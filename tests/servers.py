"""Real PostgreSQL servers for the tests: one embedded server a session, one database a test. Nothing is left running."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

from datareeve.core.estate import Estate, PostgresqlSystem, ServerControl
from datareeve.systems import pg_server
from datareeve.systems.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.systems.pg_server import LocalServer

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "60"}


@dataclass
class Server:
    """A running server: its admin URL and local control."""

    local: LocalServer
    url: str

    def connect(self, database: str = "postgres", **options):
        return psycopg.connect(self.url_of(database), autocommit=True, row_factory=dict_row, **options)

    def url_of(self, database: str) -> str:
        return self.url.rsplit("/", 1)[0] + "/" + database

    @contextlib.contextmanager
    def database(self, *statements: str, template: str = "template1") -> Iterator[str]:
        """A database of its own with some statements run in it; gives its URL."""
        name = f"t_{uuid4().hex[:10]}"
        with self.connect() as admin:
            admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            with self.connect(name) as connection:
                for statement in statements:
                    connection.execute(statement)
            yield self.url_of(name)
        finally:
            with self.connect() as admin:
                admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextlib.contextmanager
def server(binaries: Path | None = None, **settings: str) -> Iterator[Server]:
    """A new server, destroyed at the end. Default: the embedded PostgreSQL 18."""
    folder = Path(tempfile.mkdtemp(prefix="datareeve-test-"))
    folder.chmod(0o755)
    local, url = pg_server.initialise(folder / "data", binaries=binaries, settings={**FAST, **settings})
    try:
        yield Server(local, url)
    finally:
        pg_server.destroy(local)
        with contextlib.suppress(OSError):
            folder.rmdir()


def registry(project: Path, url: str, local: LocalServer | None = None, **entry) -> Registry:
    """The systems of an estate with one database, `app`."""
    control = (
        ServerControl(data=str(local.data), bin=str(local.bin), os_user=local.os_user, log=str(local.log))
        if local
        else None
    )
    app = PostgresqlSystem(kind="postgresql", url=url, server=control, **entry)
    return Registry(Estate(systems={"app": app}), project)


def dump_schema(binaries: Path, url: str) -> str:
    """The schema as pg_dump writes it, but for the random word it puts in since 2025 (`\\restrict`)."""
    dumped = subprocess.run(
        [str(binaries / "pg_dump"), "--schema-only", url], capture_output=True, text=True, check=True
    )
    return re.sub(r"^\\(un)?restrict .*$", "", dumped.stdout, flags=re.MULTILINE)


def remove(folder: Path) -> None:
    """A project's folder, and what a restore may have left running in it."""
    shutil.rmtree(folder, ignore_errors=True)
