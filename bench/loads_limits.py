"""What a load of `script/bench loads` is measured against, by hand and nothing more, in a process of its own: `loads_limits.py JOB` prints seconds and rows.

PostgreSQL's COPY goes by psql, in binary; CSV as CSV. DuckDB does what one statement of its own does. No key, no cursor, no state, no check.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.systems.mover import Mover

TABLE = "lineitem"
COLUMNS = {  # as PostgreSQL has them
    "id": "bigint", "l_orderkey": "bigint", "l_partkey": "bigint", "l_suppkey": "bigint", "l_linenumber": "bigint",
    "l_quantity": "numeric(15,2)", "l_extendedprice": "numeric(15,2)", "l_discount": "numeric(15,2)", "l_tax": "numeric(15,2)",
    "l_returnflag": "text", "l_linestatus": "text", "l_shipdate": "date", "l_commitdate": "date", "l_receiptdate": "date",
    "l_shipinstruct": "text", "l_shipmode": "text", "l_comment": "text", "updated_at": "timestamp",
}  # fmt: skip
LATER = "TIMESTAMP '2026-07-01'"  # all that changes is after this, all else before
READERS = {
    "csv": "read_csv('{}')",
    "jsonl": "read_json('{}', format = 'newline_delimited')",
    "parquet": "read_parquet('{}')",
}
DEFINITION = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
OTHERS = [name for name in COLUMNS if name != "id"]
NEWS = f"SELECT * FROM {TABLE} WHERE updated_at >= {LATER}"
MERGE = """MERGE INTO {table} AS t USING staging AS s ON t.id = s.id
WHEN MATCHED THEN UPDATE SET {sets}
WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})""".format(
    table=TABLE,
    sets=", ".join(f"{name} = s.{name}" for name in OTHERS),
    names=", ".join(COLUMNS),
    values=", ".join(f"s.{name}" for name in COLUMNS),
)


def copy_out(job: dict[str, Any]) -> None:
    """COPY TO STDOUT in binary, and what comes is thrown away."""
    psql = [job["psql"], "-qX", job["source"], "-c", f"COPY {TABLE} TO STDOUT (FORMAT binary)"]
    subprocess.run(psql, stdout=subprocess.DEVNULL, check=True)


def copy_pipe(job: dict[str, Any]) -> None:
    """COPY TO STDOUT of one database into COPY FROM STDIN of the other, in binary."""
    sql(job, f"CREATE TABLE {TABLE} ({DEFINITION})")
    piped(job, TABLE, TABLE)


def copy_in(job: dict[str, Any]) -> None:
    """COPY FROM STDIN of the same rows as CSV."""
    sql(job, f"CREATE TABLE {TABLE} ({DEFINITION})")
    with Path(job["csv"]).open("rb") as rows:
        psql = [job["psql"], "-qX", job["target"], "-c", f"COPY {TABLE} FROM STDIN (FORMAT csv, HEADER true)"]
        subprocess.run(psql, stdin=rows, check=True)


def merge_postgres(job: dict[str, Any]) -> None:
    """COPY of what is new into a staging table, and one MERGE, in one transaction each."""
    sql(job, f"CREATE TABLE staging ({DEFINITION})")
    piped(job, f"({NEWS})", "staging")
    sql(job, MERGE, "DROP TABLE staging")


def piped(job: dict[str, Any], what: str, into: str) -> None:
    """From the one psql into the other."""
    out = [job["psql"], "-qX", job["source"], "-c", f"COPY {what} TO STDOUT (FORMAT binary)"]
    taken = [job["psql"], "-qX", job["target"], "-c", f"COPY {into} FROM STDIN (FORMAT binary)"]
    with subprocess.Popen(out, stdout=subprocess.PIPE) as giving:
        subprocess.run(taken, stdin=giving.stdout, check=True)
    if giving.returncode:
        raise RuntimeError("COPY TO STDOUT failed")


def sql(job: dict[str, Any], *statements: str) -> None:
    """Statements by psql; it ends at the first that fails."""
    said = [part for one in statements for part in ("-c", one)]
    subprocess.run([job["psql"], "-qX", "-v", "ON_ERROR_STOP=1", job["target"], *said], check=True)


def scanner(job: dict[str, Any]) -> None:
    """CREATE TABLE AS of DuckDB over its own postgres extension."""
    with mover(job) as connection:
        attach(connection, job)
        connection.execute(f"CREATE TABLE {TABLE} AS FROM source.public.{TABLE}")


def scanner_parquet(job: dict[str, Any]) -> None:
    """COPY of DuckDB from its own postgres extension into Parquet."""
    with mover(job, path=None) as connection:
        attach(connection, job)
        connection.execute(f"COPY (FROM source.public.{TABLE}) TO '{job['target']}' (FORMAT parquet)")


def reader(job: dict[str, Any]) -> None:
    """CREATE TABLE AS of DuckDB over its own reader of the format."""
    with mover(job) as connection:
        connection.execute(f"CREATE TABLE {TABLE} AS FROM {READERS[job['ending']].format(job['source'])}")


def merge_duckdb(job: dict[str, Any]) -> None:
    """What is new into a staging table by the postgres extension, and one MERGE INTO."""
    with mover(job) as connection:
        attach(connection, job)
        news = NEWS.replace("'", "''")
        connection.execute(f"CREATE TEMP TABLE staging AS FROM postgres_query('source', '{news}')")
        connection.execute(MERGE)


def mover(job: dict[str, Any], path: str | None = "target") -> Mover:
    """DuckDB with the settings that ours has (`same`), or with its own defaults but for the extensions."""
    from datareeve.systems.mover import Mover  # noqa: PLC0415 - not where psql does it all

    connection = Mover(Path(job[path]) if path else None)
    if job["settings"] == "defaults":
        for setting in ("memory_limit", "preserve_insertion_order", "threads"):
            connection.execute(f"RESET GLOBAL {setting}")
    return connection


def attach(connection: Mover, job: dict[str, Any]) -> None:
    """The source, as `source`."""
    connection.load("postgres_scanner")
    connection.execute(f"ATTACH '{job['source']}' AS source (TYPE postgres, READ_ONLY)")


WAYS: dict[str, Callable[[dict[str, Any]], None]] = {
    way.__name__: way
    for way in (copy_out, copy_pipe, copy_in, merge_postgres, scanner, scanner_parquet, reader, merge_duckdb)
}


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    began = time.perf_counter()
    WAYS[asked["way"]](asked)
    print(json.dumps({"seconds": time.perf_counter() - began}))
