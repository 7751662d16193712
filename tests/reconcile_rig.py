"""Tables on real engines, and their reconciliation."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg

import servers
from datareeve.capabilities.quality.reconcile import planning, tables
from datareeve.capabilities.quality.reconcile.planning import Wanted
from datareeve.capabilities.quality.reconcile.reconciling import reconcile

if TYPE_CHECKING:
    from pathlib import Path

    from datareeve.systems.registry import Registry

KINDS = ("pg", "maria", "lite", "duck")
MARK = {"pg": "%s", "maria": "%s", "lite": "?", "duck": "?", "duck2": "?"}


@dataclass
class World:
    """One empty database of each engine."""

    folder: Path
    pg: str
    maria: str
    server: servers.Mariadb
    systems: Registry

    def execute(self, kind: str, *statements: str, rows: list[tuple[Any, ...]] | None = None) -> None:
        """Statements as an owner; the last one once for each of `rows`, where there are any."""
        with self._opened(kind) as cursor:
            for statement in statements[: None if rows is None else -1]:
                cursor.execute(statement)
            if rows and kind.startswith("duck"):  # one row a statement is slow there
                head, _, marks = statements[-1].partition(" VALUES ")
                for at in range(0, len(rows), 200):
                    some = rows[at : at + 200]
                    cursor.execute(
                        f"{head} VALUES {', '.join([marks] * len(some))}",
                        [value for row in some for value in row],
                    )
            elif rows:
                cursor.executemany(statements[-1], [tuple(self._given(kind, v) for v in row) for row in rows])

    @contextlib.contextmanager
    def _opened(self, kind: str):
        if kind == "pg":
            with psycopg.connect(self.pg, autocommit=False) as connection:
                yield connection.cursor()
        elif kind == "maria":
            with (
                contextlib.closing(self.server.connect(self.maria.rsplit("/", 1)[1])) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute("SET time_zone = '+00:00'")
                yield cursor
        elif kind == "lite":
            with contextlib.closing(sqlite3.connect(self.folder / "lite.db")) as connection, connection:
                yield connection
        else:
            with duckdb.connect(str(self.folder / f"{kind}.duckdb")) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                yield connection

    @staticmethod
    def _given(kind: str, value: Any) -> Any:
        if kind == "maria" and isinstance(value, dt.datetime) and value.tzinfo:
            return value.astimezone(dt.UTC).replace(tzinfo=None)
        if kind in ("maria", "lite") and isinstance(value, uuid.UUID):
            return str(value)
        if kind == "lite" and isinstance(value, Decimal):
            return float(value)
        if kind == "lite" and isinstance(value, dt.datetime):
            return value.isoformat(sep=" ")
        return value.isoformat() if kind == "lite" and isinstance(value, (dt.date, dt.time)) else value

    def load(self, kind: str, table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
        """A new table with its rows."""
        marks = ", ".join([MARK[kind]] * (len(rows[0]) if rows else 1))
        quoted = f"`{table}`" if kind == "maria" else f'"{table}"'
        self.execute(
            kind,
            f"DROP TABLE IF EXISTS {quoted}",
            f"CREATE TABLE {quoted} ({columns})",
            f"INSERT INTO {quoted} VALUES ({marks})",
            rows=rows,
        )

    def compare(
        self, left: str, right: str, table: str, right_table: str | None = None, **asked: Any
    ) -> dict[str, Any]:
        """The reconciliation's answer. `options`: of `Compared`; the rest of `Wanted`."""
        options, given = asked.pop("options", {}), asked.pop("given", {})
        ours, theirs = self.systems[left], self.systems[right]
        first, second = tables.read(ours, table), tables.read(theirs, right_table or table)
        prepared = planning.prepare(first, second, Wanted(**asked))
        assert prepared.problems == ()
        return reconcile(
            asked.get("left_reader", ours),
            theirs,
            planning.compared(first, second, prepared, **options).model_dump(mode="json"),
            **given,
        )


@contextlib.contextmanager
def world(pg18: servers.Server, mariadb: servers.Mariadb, folder: Path):
    """An empty database of each engine, and an estate that has them."""
    for name in ("lite.db", "duck.duckdb", "duck2.duckdb"):
        (sqlite3 if name == "lite.db" else duckdb).connect(str(folder / name)).close()
    with pg18.database() as pg, mariadb.database() as maria:
        postgresql = {"kind": "postgresql", "url": pg}
        systems = servers.elsewhere(
            folder,
            pg=postgresql,
            pg2=postgresql,
            maria={"kind": "mysql", "url": maria},
            lite={"kind": "sqlite", "path": "lite.db"},
            duck={"kind": "duckdb", "path": "duck.duckdb"},
            duck2={"kind": "duckdb", "path": "duck2.duckdb"},
            same={"kind": "duckdb", "path": "duck.duckdb"},
        )
        try:
            yield World(folder, pg, maria, mariadb, systems)
        finally:
            systems.close()
