"""A model built by Spark: its SELECT over Parquet files that every worker sees, its result written beside them as Parquet.

It runs in a session of its own, whose settings make results those of the other engines; the process's Spark is shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import Refused
from datareeve.systems.spark import FORBIDDEN, SESSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.systems.spark import Spark

SAME = {
    **SESSION,
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",  # digits are never given up: too many are an error
    "spark.sql.caseSensitive": "false",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",  # days before 1582 are those of the calendar of the other engines
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.session.collation.enabled": "false",
}
DUCKDB = {"boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "int": "INTEGER", "bigint": "BIGINT", "float": "FLOAT", "double": "DOUBLE", "string": "VARCHAR", "date": "DATE", "timestamp": "TIMESTAMP WITH TIME ZONE", "timestamp_ntz": "TIMESTAMP", "binary": "BLOB"}  # fmt: skip


@dataclass(frozen=True)
class Built:
    """What was written: `files` for DuckDB's read_parquet, and the columns in DuckDB's types."""

    files: str
    columns: dict[str, str]


def build(
    spark: Spark, select: str, tables: Mapping[str, str], result: str, timeout_seconds: float | None = None
) -> Built:
    """Run a model's SELECT and write its rows into the folder `result`, which is replaced; `tables` are Parquet files by the name in the SELECT.

    Errors: those of `Spark`, `Refused` `spark.not-a-read`; without a value of a row.
    """
    with spark.running(select, timeout_seconds or spark.entry.read_timeout_seconds, {}):
        frame = _frame(spark, select, tables)
        columns = _columns(frame)
        frame.write.mode("overwrite").parquet(result)
    return Built(f"{result.rstrip('/')}/*.parquet", columns)


def columns(spark: Spark, select: str, tables: Mapping[str, str]) -> dict[str, str]:
    """The columns that a model would have, in DuckDB's types; nothing runs. Errors: those of `Spark`."""
    with spark.translated():
        return _columns(_frame(spark, select, tables))


def _frame(spark: Spark, select: str, tables: Mapping[str, str]) -> Any:
    if FORBIDDEN.search(select):
        raise Refused(
            "spark.not-a-read",
            "This calls functions by other ways than SQL's own; it was not run.",
            "Give one SELECT.",
        )
    session = _session(spark)
    for name, path in tables.items():
        session.read.parquet(path).createOrReplaceTempView("`" + name.replace("`", "``") + "`")
    return session.sql(f"SELECT * FROM (\n{select}\n) AS asked")  # noqa: S608 - a statement is what is asked for


def _session(spark: Spark) -> Any:
    """A session of its own: what it is told, and the names of tables, are not those of others."""
    shared = spark.session()
    if getattr(shared, "_sc", None) is None:  # Spark Connect has no second session over one channel
        session = type(shared).builder.remote(spark.entry.url).create()
    else:
        session = shared.newSession()
    for key, value in SAME.items():
        session.conf.set(key, value)
    return session


def _columns(frame: Any) -> dict[str, str]:
    made = {}
    for field in frame.schema.fields:
        told = field.dataType.simpleString()
        made[field.name] = told.upper() if told.startswith("decimal") else DUCKDB.get(told, told.upper())
    return made
