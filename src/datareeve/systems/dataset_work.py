"""What stands in the project of a dataset that is written to: the work file, and beside it which files a build is."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import Refused
from datareeve.core.estate import STATE_FOLDER, DuckdbSystem
from datareeve.systems.mover import identifier

if TYPE_CHECKING:
    from pathlib import Path

    from datareeve.systems.duckdb import Duckdb

# What Parquet keeps less of than DuckDB has, or not at all: intervals of milliseconds, times without their zone.
NOT_KEPT = re.compile(r"\b(INTERVAL|TIME WITH TIME ZONE|TIMETZ|UNION|BIGNUM|VARINT|GEOMETRY|VARIANT)\b")
HUGE = re.compile(r"\bU?HUGEINT\b")


def work_file(project: Path, root: Path) -> Path:
    """The work file of a folder, in the project."""
    return (
        project / STATE_FOLDER / "datasets" / f"{hashlib.sha256(str(root).encode()).hexdigest()[:16]}.duckdb"
    )


def reader(name: str, work: Path) -> Duckdb:
    """The work file, to be read."""
    from datareeve.systems.duckdb import Duckdb  # noqa: PLC0415 - loaded when it is asked for

    return Duckdb(name, DuckdbSystem(kind="duckdb", path=str(work)), work.parent)


def sidecar(work: Path) -> Path:
    """Where it says which files a build is."""
    return work.with_suffix(".json")


def notes(work: Path) -> dict[str, Any]:
    """Tables of a build, {name: {columns, files, rows}}: what nobody but its audit reads."""
    try:
        found: dict[str, Any] = json.loads(sidecar(work).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def note_text(notes: dict[str, Any]) -> str:
    """The same as text."""
    return json.dumps(notes, sort_keys=True)


def as_stored(column: str, type_: str, table: str) -> str:
    """A column's value as Parquet keeps it whole. Errors: `Refused` `pipelines.parquet-type`."""
    if type_ in (
        "HUGEINT",
        "UHUGEINT",
    ):  # as a DOUBLE it would be rounded; what has more than 38 digits is an error
        return f"CAST({identifier(column)} AS DECIMAL(38,0))"
    if HUGE.search(type_) or NOT_KEPT.search(type_):
        raise Refused(
            "pipelines.parquet-type",
            f"{table}.{column} is of type {type_}, of which Parquet does not keep everything.",
            f"Give it another type: columns: {{{column}: {{type: VARCHAR}}}}; or, in a model, CAST it.",
        )
    return f"CAST({identifier(column)} AS {type_})"
