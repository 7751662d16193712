"""A model built by Spark: its SELECT over Parquet files that every worker sees, its result written beside them as Parquet.

It runs in a session of its own, whose settings make results those of the other engines; the process's Spark is shared.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import Failed, Refused
from datareeve.systems.spark import FORBIDDEN, SESSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    with _timed(spark, select, timeout_seconds):
        frame = _frame(spark, select, tables)
        columns = _columns(frame)
        frame.write.mode("overwrite").parquet(result)
    return Built(f"{result.rstrip('/')}/*.parquet", columns)


def answered(spark: Spark, select: str, timeout_seconds: float | None = None) -> tuple[Any, ...]:
    """The first row of a SELECT that reads no tables, by the rules that models are built by. Errors: as `build`; `Failed` where there is no row."""
    with _timed(spark, select, timeout_seconds):
        found = _frame(spark, select, {}).first()
    if found is None:
        raise Failed("spark.no-answer", f"{spark.name}: a statement that answers one row answered none.", "Please report this.")  # fmt: skip
    return tuple(found)


@contextmanager
def _timed(spark: Spark, select: str, seconds: float | None) -> Iterator[None]:
    try:
        with spark.running(select, seconds or spark.entry.build_timeout_seconds, {}):
            yield
    except Failed as error:
        if error.code != "spark.timeout":
            raise
        raise Failed("spark.timeout", f"{spark.name}: a model was built for longer than allowed.", f"Give systems.{spark.name}.build_timeout_seconds more.") from None  # fmt: skip


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
