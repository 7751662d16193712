"""The data of `script/bench loads`: TPC-H's lineitem as DuckDB's own dbgen makes it, with a key and a moment: 18 columns, as Parquet, CSV and JSON lines.

`id` is the number of the row, `updated_at` its moment: both grow together. The changes of the upsert are every tenth row: nine of ten of these
are rows that are there, changed; one is new.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import duckdb
import peers
import psycopg
from loads_limits import COLUMNS, LATER, TABLE

from datareeve.systems.mover import Mover, literal

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = peers.FOLDER / "loads"
VERSION = "1"  # of what is made here: raise it with every change
A_FACTOR = 5_900_000  # rows of lineitem at scale factor 1, and a little less: there is always enough
MEMORY_MB = 2000  # while making
FORMATS = {"parquet": "FORMAT parquet", "csv": "FORMAT csv, HEADER true", "jsonl": "FORMAT json"}
EVERY, NEW = 10, 10  # so many rows for one that changes; so many of these for one that is new

# Of a table that has what all others have; both engines understand the text. All sums are of whole numbers, which are exact whatever a column's type
# is, and of products, which notice a value that went to another row.
DIGEST = """SELECT count(*), sum(id), count(DISTINCT id), sum(CAST(l_quantity AS bigint) * l_linenumber), sum(CAST(l_extendedprice * 100 AS bigint)),
 sum(CAST(l_discount * 100 AS bigint) * 100 + CAST(l_tax * 100 AS bigint)), sum(id % 1009 * l_suppkey), sum(l_orderkey % 1013 * (l_partkey % 1019)),
 sum(length(l_comment) * (id % 97)), sum((CAST(l_shipdate AS date) - DATE '1992-01-01') * l_linenumber),
 sum(CAST(l_receiptdate AS date) - CAST(l_commitdate AS date)), sum(ascii(l_returnflag) + 7 * ascii(l_linestatus)),
 sum((ascii(l_comment) + 256 * ascii(l_shipinstruct) + 3 * ascii(l_shipmode)) * (id % 89)),
 sum(CAST(extract(epoch FROM CAST(updated_at AS timestamp)) * 1000 AS bigint) % 1000003 * (id % 83)) FROM {table}"""


def rows_of(source: str) -> str:
    """The rows of dbgen's table with key and moment."""
    numbered = f"SELECT row_number() OVER (ORDER BY l_orderkey, l_linenumber) AS id, * FROM {source}"
    return f"SELECT *, TIMESTAMP '2026-01-01' + to_milliseconds(id * 500) AS updated_at FROM ({numbered})"


def changes_of(base: str, rows: int) -> str:
    """The rows that the upsert brings."""
    changed = {
        "id": f"CASE WHEN id % {EVERY * NEW} = 0 THEN id + {rows} ELSE id END AS id",
        "l_quantity": "l_quantity + 1 AS l_quantity",
        "l_comment": "'again ' || l_comment AS l_comment",
        "updated_at": f"{LATER} + to_milliseconds(id) AS updated_at",
    }
    columns = ", ".join(changed.get(name, name) for name in COLUMNS)
    return f"SELECT {columns} FROM {base} WHERE id % {EVERY} = 0"


def file(rows: int, ending: str = "parquet") -> Path:
    """The table in a format, or its changes (`changes.csv`); made when it is not there."""
    path = FOLDER / f"{rows}-{VERSION}" / f"{TABLE}.{ending}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    making, base_file = (path.with_name(f"making-{os.getpid()}-{ending}{more}") for more in ("", ".duckdb"))
    with Mover(base_file, memory_mb=MEMORY_MB, spill=path.parent) as mover:
        try:
            base = dbgen(mover, rows) if ending == "parquet" else f"read_parquet({literal(str(file(rows)))})"
            wanted = changes_of(base, rows) if ending.startswith("changes") else f"FROM {base}"
            options = FORMATS[ending.rpartition(".")[2]]
            mover.execute(f"COPY (FROM ({wanted}) ORDER BY updated_at) TO {literal(str(making))} ({options})")
        finally:
            base_file.unlink(missing_ok=True)
    making.rename(path)
    return path


def dbgen(mover: Mover, rows: int) -> str:
    """Make the table with so many rows; gives its name."""
    mover.load("tpch")
    mover.execute(f"CALL dbgen(sf = {math.ceil(rows / A_FACTOR * 1000) / 1000})")
    mover.execute(f"CREATE TABLE base AS FROM ({rows_of('lineitem')}) WHERE id <= {rows}")
    if (made := mover.row("SELECT count(*) FROM base")[0]) != rows:
        raise RuntimeError(f"dbgen made {made} rows, not {rows}")
    return "base"


def truth(rows: int, *, upserted: bool = False) -> tuple[int, ...]:
    """The digest that a right table has."""
    base = f"read_parquet({literal(str(file(rows)))})"
    if not upserted:
        return digest_of_duckdb(base)
    changes = changes_of(base, rows)
    kept = f"SELECT * FROM {base} WHERE id NOT IN (SELECT id FROM ({changes}))"
    return digest_of_duckdb(f"({kept} UNION ALL {changes})")


def digest_of_duckdb(table: str, path: str | None = None) -> tuple[int, ...]:
    """Of a table of a DuckDB file, or of files."""
    with duckdb.connect(path or ":memory:", read_only=path is not None) as connection:
        return numbers(connection.execute(DIGEST.format(table=table)).fetchone())


def digest_of_postgres(url: str, table: str) -> tuple[int, ...]:
    """Of a table of a PostgreSQL database."""
    with psycopg.connect(url) as connection:
        return numbers(connection.execute(DIGEST.format(table=table).encode()).fetchone())


def numbers(row: tuple[Any, ...] | None) -> tuple[int, ...]:
    """As whole numbers, which they are."""
    return tuple(int(value or 0) for value in row or ())
