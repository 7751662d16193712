"""Erasing rows in a DuckDB file: the file is written anew without them, and takes the old one's place.

DuckDB leaves a deleted row's bytes in the file's blocks until they are used again, so deleting is not enough. The old file is held open for
writing, which is DuckDB's lock on it, until the new one stands in its place: nobody's work falls between the two.
"""

# ruff: noqa: S608 - identifiers are quoted as the engine does it, values are parameters
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core.errors import Failed
from datareeve.systems import subject_files, subject_tables
from datareeve.systems.subject_files import FORMER, PARTIAL, changed, take_place
from datareeve.systems.subject_sql import DUCKDB, Looking, Rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datareeve.systems.duckdb import Duckdb
    from datareeve.systems.subject_shapes import Store

NEW = "datareeve_new"
OPENED = {"threads": "2", "autoload_known_extensions": "false", "autoinstall_known_extensions": "false"}


def rewrite(system: Duckdb, stores: list[Store], looking_of: Callable[[Any], Looking], run: str) -> dict[str, Any]:  # fmt: skip
    """Write the file anew without the stores' rows. Gives {rows, by dataset, files}. Errors: `Unreachable` `duckdb.locked`; `Failed` `erasure.changed`."""
    from datareeve.systems.duckdb import _driver, translate  # noqa: PLC0415 - an extra

    file = system.file.resolve()
    partial = file.with_name(f".{file.name}{PARTIAL}")
    found = subject_tables.tables(system)
    remove_partial(file)
    try:
        connection = _driver().connect(str(file), config=OPENED)
    except _driver().Error as error:
        raise translate(error, system.name, system.entry.path, late=False) from None
    try:
        counted = _written(connection, found, stores, partial, looking_of)
        told = take_place(partial, file, run)
    except _driver().Error as error:
        raise translate(error, system.name, system.entry.path, late=False) from None
    finally:
        connection.close()
        remove_partial(file)
    return {"rows": sum(counted.values()), "datasets": counted, "files": [{"path": file.name, **told}]}


def remove_partial(file: Path) -> None:
    """What an interrupted rewriting left."""
    for path in file.parent.glob(f".{file.name}{PARTIAL}*"):
        path.unlink(missing_ok=True)


def put_back(file: Path, run: str) -> None:
    """The former file of a run in its place again; quiet where there is none."""
    remove_partial(file)
    subject_files.put_back(sorted(file.parent.glob(f".{file.name}.*{FORMER}")), run)


def _written(
    connection: Any, found: dict[str, dict[str, Any]], stores: list[Store], partial: Path, looking_of: Callable[[Any], Looking]
) -> dict[str, int]:  # fmt: skip
    connection.execute("CHECKPOINT")
    here = connection.execute("SELECT current_database()").fetchone()[0]
    connection.execute(f"ATTACH '{str(partial).replace(chr(39), chr(39) * 2)}' AS {NEW}")
    connection.execute(f"COPY FROM DATABASE {DUCKDB.name(here)} TO {NEW} (SCHEMA)")
    counted: dict[str, int] = {}
    by_table = {subject_tables.named(found, store.table, "duckdb"): store for store in stores}
    for name in in_order(found):
        counted |= _copied(connection, name, found[name], by_table.get(name), looking_of(rows_of(connection)))
    connection.execute(f"CHECKPOINT {NEW}")
    connection.execute(f"DETACH {NEW}")
    return counted


def _copied(connection: Any, name: str, table: dict[str, Any], store: Store | None, looking: Looking) -> dict[str, int]:  # fmt: skip
    source, target = table["source"], f"{NEW}.{table['source']}"
    columns = [column for column, about in table["columns"].items() if not about["generated"]]
    names = ", ".join(map(DUCKDB.name, columns))
    before = connection.execute(f"SELECT count(*) FROM {source}").fetchone()[0]
    if store is None:
        connection.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM {source}")
        meant, gone = 0, 0
    else:
        meant, gone = _without(connection, source, target, columns, store, looking)
    after = connection.execute(f"SELECT count(*) FROM {target}").fetchone()[0]
    if before - gone != after:
        raise Failed("erasure.count", f"{name} would have {after:,} rows where {before - gone:,} belong.", "Nothing was changed. Report this.")  # fmt: skip
    return {} if store is None else {store.dataset: meant}


def _without(  # noqa: PLR0913, PLR0917 - one copy
    connection: Any, source: str, target: str, columns: list[str], store: Store, looking: Looking
) -> tuple[int, int]:
    """Copy what stays; gives (rows that are meant, rows that are not copied)."""
    where = looking.where(store, source)
    meant = connection.execute(
        f"SELECT count(*) FROM {source} WHERE {where.sql}", where.parameters
    ).fetchone()[0]
    if store.expected is not None and meant > store.expected:
        raise changed(store.dataset, store.expected, meant)
    names = ", ".join(map(DUCKDB.name, columns))
    if store.mode == "delete":
        connection.execute(
            f"INSERT INTO {target} ({names}) SELECT {names} FROM {source} WHERE ({where.sql}) IS NOT TRUE",
            where.parameters,
        )
        return meant, meant
    said, parameters = [], []
    for column in columns:
        name = DUCKDB.name(column)
        if column in store.set:
            said.append(f"CASE WHEN {where.sql} THEN ? ELSE {name} END")
            parameters += [*where.parameters, looking.put(store, column, store.set[column])]
        else:
            said.append(name)
    connection.execute(f"INSERT INTO {target} ({names}) SELECT {', '.join(said)} FROM {source}", parameters)
    return meant, 0


def in_order(found: dict[str, dict[str, Any]]) -> list[str]:
    """The tables, each after those that it refers to."""
    done: list[str] = []
    left = {name: {key["table"] for key in table["keys"]} - {name} for name, table in found.items() if table["kind"] == "r"}  # fmt: skip
    while left:
        ready = [name for name, needs in left.items() if not needs & left.keys()] or [min(left)]
        done += ready
        left = {name: needs for name, needs in left.items() if name not in ready}
    return done


def rows_of(connection: Any) -> Rows:
    """How an open file is asked."""

    def rows(sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
        cursor = connection.execute(sql, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    return rows
