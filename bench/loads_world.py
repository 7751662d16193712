"""Where the sides of `script/bench loads` read and write: one PostgreSQL, its databases, files, and a fresh target for each run of a side."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import loads_data as data
import psycopg
from loads_limits import COLUMNS, DEFINITION, TABLE

sys.path.insert(1, str(Path(__file__).parent.parent / "tests"))
import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB"}
BLOCK = 1 << 20


@dataclass(frozen=True)
class Route:
    """From where, to where; `upsert`: the changes into what is there already."""

    source: str
    target: str
    upsert: bool = False

    @property
    def name(self) -> str:
        """As the figures are called."""
        return f"upsert_{self.target}" if self.upsert else f"{self.source}_{self.target}"


@dataclass
class World:
    """A server and a folder with so many rows in every place."""

    rows: int
    server: Any
    folder: Path
    truths: dict[bool, tuple[int, ...]] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)  # 'source', 'changed'

    @property
    def postmaster(self) -> int:
        """The server's first process."""
        return int((self.server.local.data / "postmaster.pid").read_text().splitlines()[0])

    @property
    def psql(self) -> str:
        """The server's own client."""
        return str(self.server.local.bin / "psql")

    def truth(self, route: Route) -> tuple[int, ...]:
        """What a right target holds."""
        if route.upsert not in self.truths:
            self.truths[route.upsert] = data.truth(self.rows, upserted=route.upsert)
        return self.truths[route.upsert]

    def source(self, route: Route) -> str:
        """The URL or file that a route reads from."""
        if route.upsert:
            return self.changed()
        return self.table() if route.source == "postgres" else str(data.file(self.rows, route.source))

    # -- PostgreSQL --------------------------------------------------------------------------------------------------------------------

    def table(self) -> str:
        """The URL of a database with the table, its key and an index on its moment: as an application has it."""
        if "source" not in self.urls:
            with self._made("source") as connection:
                connection.execute(f"CREATE TABLE {TABLE} ({DEFINITION})".encode())
                copied(connection, data.file(self.rows, "csv"))
                connection.execute(
                    f"ALTER TABLE {TABLE} ADD PRIMARY KEY (id), ALTER updated_at SET NOT NULL".encode()
                )
                connection.execute(f"CREATE INDEX ON {TABLE} (updated_at)".encode())
                connection.execute(b"VACUUM ANALYZE")
        return self.urls["source"]

    def changed(self) -> str:
        """The same after a tenth of it has changed."""
        if "changed" not in self.urls:
            self.table()
            sets = ", ".join(f"{name} = s.{name}" for name in COLUMNS if name != "id")
            with self._made("changed", template=f"source_{self.rows}") as connection:
                connection.execute(f"CREATE TABLE news ({DEFINITION})".encode())
                copied(connection, data.file(self.rows, "changes.csv"), "news")
                connection.execute(
                    f"UPDATE {TABLE} AS t SET {sets} FROM news AS s WHERE t.id = s.id".encode()
                )
                connection.execute(
                    f"INSERT INTO {TABLE} SELECT * FROM news ON CONFLICT (id) DO NOTHING".encode()
                )
                connection.execute(b"DROP TABLE news")
                connection.execute(b"VACUUM ANALYZE")
        return self.urls["changed"]

    @contextlib.contextmanager
    def _made(self, name: str, template: str = "template1") -> Iterator[psycopg.Connection[Any]]:
        """A database that stays, being filled."""
        database = f"{name}_{self.rows}"
        url = self.database(template, database)
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection
        self.urls[name] = url

    def database(self, template: str = "template1", name: str = "") -> str:
        """A new database; gives its URL."""
        name = name or f"target_{uuid4().hex[:10]}"
        with self.server.connect() as admin:
            admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return str(self.server.url_of(name))

    def drop(self, url: str) -> None:
        """Drop a database, whoever is in it."""
        with self.server.connect() as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{url.rsplit("/", 1)[1]}" WITH (FORCE)')

    def drop_sources(self) -> None:
        """The next size needs the room."""
        for url in self.urls.values():
            self.drop(url)
        self.urls.clear()

    # -- targets -----------------------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def fresh(self, target: str, base: str = "") -> Iterator[str]:
        """A target that nothing was written to, or a copy of `base`; gone afterwards."""
        if target == "postgres":
            url = self.database(base.rsplit("/", 1)[1] if base else "template1")
            try:
                yield url
            finally:
                self.drop(url)
            return
        folder = self.folder / f"target-{uuid4().hex[:10]}"
        folder.mkdir()
        file = folder / f"there.{target}"
        try:
            if base:
                shutil.copy(base, file)
            yield str(file)
        finally:
            shutil.rmtree(folder)

    def settle(self) -> None:
        """What was written before is on the disk before the next side begins."""
        with self.server.connect() as admin:
            admin.execute("CHECKPOINT")
        os.sync()

    def warm(self, route: Route) -> None:
        """What is read is in the system's cache, for all sides alike."""
        source = self.source(route)
        if source.startswith("postgresql"):
            with psycopg.connect(source) as connection:
                connection.execute(f"SELECT count(*), sum(length({TABLE}::text)) FROM {TABLE}".encode())
            return
        with Path(source).open("rb") as file:
            while file.read(BLOCK):
                pass


@contextlib.contextmanager
def server() -> Iterator[tuple[Any, Path]]:
    """The one server of a measurement, and a folder."""
    with servers.server(**SETTINGS) as running:
        folder = Path(running.local.data).parent / "bench"
        folder.mkdir(exist_ok=True)
        try:
            yield running, folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def copied(connection: psycopg.Connection[Any], file: Path, table: str = TABLE) -> None:
    """A CSV file into a table."""
    statement = f"COPY {table} FROM STDIN (FORMAT csv, HEADER true)".encode()
    with connection.cursor().copy(statement) as copy, file.open("rb") as rows:
        while block := rows.read(BLOCK):
            copy.write(block)


def digest(target: str, kind: str, table: str = TABLE) -> Callable[[], tuple[int, ...]]:
    """What will be asked of a target once a side has run."""
    if kind == "postgres":
        return lambda: data.digest_of_postgres(target, table)
    if kind == "parquet":
        return lambda: data.digest_of_duckdb(f"read_parquet('{Path(target).parent}/**/*.parquet')")
    return lambda: data.digest_of_duckdb(table, target)
