"""Real servers for the tests: an embedded PostgreSQL a session with one database a test, MariaDB, Redis. Nothing is left running."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
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

FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "autovacuum_naptime": "86400",
}


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


MARIADB = Path("/usr/sbin/mariadbd")
MARIADB_OPTIONS = (
    "--performance-schema=ON",
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=1",
    "--skip-log-bin",
)


@dataclass
class Mariadb:
    """A running MariaDB of this session: root without a password on the loopback interface."""

    port: int
    folder: Path
    process: subprocess.Popen

    def connect(self, database: str | None = None, user: str = "root", password: str = "", **options):
        import pymysql  # noqa: PLC0415

        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            password=password,
            database=database,
            autocommit=True,
            **options,
        )

    @contextlib.contextmanager
    def database(self, *statements: str) -> Iterator[str]:
        """A database of its own with some statements run in it; gives its URL, for an account that may only read."""
        name = f"t_{uuid4().hex[:10]}"
        with contextlib.closing(self.connect()) as admin, admin.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}`")
            cursor.execute(f"USE `{name}`")
            for statement in statements:
                cursor.execute(statement)
            yield f"mysql://looker@127.0.0.1:{self.port}/{name}"
            cursor.execute(f"DROP DATABASE `{name}`")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def mariadb(*options: str) -> Iterator[Mariadb]:
    """A new MariaDB server, destroyed at the end. As root it runs as the user `mysql`."""
    folder = Path(tempfile.mkdtemp(prefix="datareeve-maria-"))
    folder.chmod(0o755)
    user = ["--user=mysql"] if os.getuid() == 0 else []
    if user:
        shutil.chown(folder, "mysql", "mysql")
    data = [f"--datadir={folder / 'data'}", "--innodb-use-native-aio=0", *user]
    install = [
        "mariadb-install-db",
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        *data,
    ]
    made = subprocess.run(install, check=False, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    port = _free_port()
    net = [
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--socket={folder / 'socket'}",
        f"--pid-file={folder / 'pid'}",
    ]
    log = (folder / "error.log").open("wb")
    process = subprocess.Popen(
        [MARIADB, "--no-defaults", *data, *net, *MARIADB_OPTIONS, *options],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    server = Mariadb(port, folder, process)
    try:
        _make_accounts(server)
        yield server
    finally:
        process.kill()
        process.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Redis:
    """A running Redis that keeps nothing."""

    url: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[Redis]:
    """Debian's Redis on a socket of its own in that folder; killed at the end."""
    place = folder / "redis.socket"
    options = ["--port", "0", "--unixsocket", str(place), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(["/usr/bin/redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not place.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield Redis(f"unix://{place}", process)
    finally:
        process.kill()
        process.wait()


def _make_accounts(server: Mariadb) -> None:
    """Wait until it takes connections; then the accounts of the tests: one that reads, one with a password."""
    import pymysql  # noqa: PLC0415

    deadline = time.monotonic() + 30
    while True:
        try:
            admin = server.connect()
            break
        except pymysql.OperationalError:
            assert time.monotonic() < deadline, (server.folder / "error.log").read_text()[-2000:]
            time.sleep(0.05)
    with contextlib.closing(admin), admin.cursor() as cursor:
        cursor.execute("CREATE USER looker@'%'")
        cursor.execute("GRANT SELECT, SHOW VIEW ON *.* TO looker@'%'")
        cursor.execute("GRANT PROCESS, SLAVE MONITOR, BINLOG MONITOR ON *.* TO looker@'%'")
        cursor.execute("CREATE USER locked@'%' IDENTIFIED BY 's3cret'")


def elsewhere(project: Path, **systems) -> Registry:
    """The systems of an estate with databases of other engines, by name: `elsewhere(tmp_path, shop={"kind": "sqlite", "path": "shop.db"})`."""
    return Registry(Estate.model_validate({"systems": systems}), project)


def remove(folder: Path) -> None:
    """A project's folder, and what a restore may have left running in it."""
    shutil.rmtree(folder, ignore_errors=True)
