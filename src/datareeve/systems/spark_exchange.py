"""How tables come to Spark and back: Parquet files in a folder that this machine and every worker see.

Each attempt has a folder of its own below the pipeline's, called by its epoch: what a worker that was taken over still writes is never read.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from datareeve.core.errors import BadInput, Failed
from datareeve.core.estate import STATE_FOLDER
from datareeve.systems.answers import missing_driver
from datareeve.systems.mover import identifier, literal, qualified
from datareeve.systems.mover_errors import translated
from datareeve.systems.spark import is_here, must_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from datareeve.systems.destination import Destination, Held
    from datareeve.systems.mover import Mover
    from datareeve.systems.pipeline_desk import Shop
    from datareeve.systems.postgres import Postgres
    from datareeve.systems.spark import Spark

PATTERN = frozenset("*?[]{}\\,\"'")  # both sides would read a path with these as a pattern
ALIAS = "handed"


@dataclass(frozen=True)
class Table:
    """A table that goes to Spark: what it is called there, and its columns as DuckDB types."""

    view: str
    schema: str | None
    table: str
    columns: Mapping[str, str]


def ready(spark: Spark) -> Path:
    """See that Spark answers; gives the folder of its files. Errors: `Unreachable`, `BadInput` `spark.driver`, `pipelines.engine-folder`."""
    if importlib.util.find_spec("pyspark") is None:
        raise missing_driver("spark", "Spark", "pyspark")
    found = place(spark)
    must_answer(spark.name, spark.entry.url)
    return found


def place(spark: Spark) -> Path:
    """The folder of its files. Errors: `BadInput` `pipelines.engine-folder`."""
    given, setting = spark.entry.folder, f"systems.{spark.name}.folder"
    if not given and not is_here(spark.entry.url):
        raise BadInput(
            "pipelines.engine-folder",
            f"{spark.name}: its workers are on other machines, and no folder is named that they and this machine see.",
            f"{setting}: /mnt/shared/datareeve",
        )
    found = spark.project / (given or f"{STATE_FOLDER}/spark")
    if given and not found.is_dir():
        raise BadInput(
            "pipelines.engine-folder",
            f"{spark.name}: there is no folder {given}.",
            f"Make it or mount it, here and on every worker; or correct {setting}.",
        )
    if PATTERN & set(str(found)):
        raise BadInput(
            "pipelines.engine-folder",
            f"{spark.name}: the path of its folder, {found}, would be read as a pattern.",
            f"Give a path without {' '.join(sorted(PATTERN))} under {setting}.",
        )
    return found


@contextmanager
def folder(shop: Shop, spark: Spark, there: str, held: Held) -> Iterator[Path]:
    """A new folder for one attempt; it is gone at the end, and so are those of earlier attempts at the beginning."""
    forget(shop, spark, there, held)
    made = _own(shop, spark, there, held) / str(held.epoch)
    try:
        made.mkdir(parents=True, mode=0o700 if spark.entry.folder is None else 0o777)
    except OSError as error:
        raise Failed("pipelines.engine-folder", f"{spark.name}: no folder can be made below {place(spark)} ({error.strerror}).", "Correct the folder's rights or space.") from None  # fmt: skip
    try:
        yield made
    finally:
        _remove(made)


def forget(shop: Shop, spark: Spark, there: str, held: Held) -> None:
    """Remove what earlier attempts left of a pipeline. Quiet where there is nothing; a later attempt's files stay."""
    own = _own(shop, spark, there, held)
    for one in own.iterdir() if own.is_dir() else ():
        if one.name.isdecimal() and int(one.name) < held.epoch:
            _remove(one)


def _remove(made: Path) -> None:
    shutil.rmtree(made, ignore_errors=True)
    with suppress(OSError):  # another attempt has files there
        made.parent.rmdir()


def export(shop: Shop, there: Destination, tables: list[Table], made: Path) -> dict[str, str]:
    """Write tables of a destination as files, all as they are at one moment; gives the files by view."""
    files = {}
    with _reading(shop, there) as (mover, alias), translated(there.name):
        mover.execute("BEGIN TRANSACTION")
        for one in tables:
            files[one.view] = str(made / f"{one.view}.parquet")
            listed = ", ".join(
                f"CAST({identifier(name)} AS {type_}) AS {identifier(name)}"
                for name, type_ in one.columns.items()
            )
            relation = qualified(alias, one.schema or ("public" if alias else None), one.table)
            mover.execute(
                f"COPY (SELECT {listed or 'TRUE AS one'} FROM {relation}) TO {literal(files[one.view])} (FORMAT parquet)"  # noqa: S608 - names are quoted, types are ours
            )
        mover.execute("COMMIT")
    return files


@contextmanager
def _reading(shop: Shop, there: Destination) -> Iterator[tuple[Mover, str | None]]:
    """A mover that reads the destination, and what it calls it there.

    PostgreSQL is attached anew: sessions that write are ended where they stand still in a transaction, which those that read for long do.
    """
    if there.dialect != "postgres":
        yield there.mover, None
        return
    from datareeve.systems.postgres import application_name  # noqa: PLC0415 - loaded when it is read

    database = cast("Postgres", shop.systems[there.name])
    with shop.mover() as mover, translated(there.name):
        mover.load("postgres_scanner")
        told = literal(database.conninfo(application_name=application_name(shop.run)))
        mover.execute(f"ATTACH {told} AS {ALIAS} (TYPE postgres, READ_ONLY)")
        yield mover, ALIAS


def _own(shop: Shop, spark: Spark, there: str, held: Held) -> Path:
    """Of one pipeline of one project and target: projects may share a folder."""
    whose = f"{shop.ledger().name()} {there} {held.pipeline}"
    return place(spark) / f"pipeline-{hashlib.sha256(whose.encode()).hexdigest()[:16]}"
