"""The database under a store of ours (the gateway's, quality's): SQLite (a file) or PostgreSQL (a URL), spoken to in one SQL with `:name` parameters.

The one idea: everything is done in `transaction()` or `reading()`, on a connection of a small pool. A connection that failed is thrown away;
one that has gone stale is replaced before anything was done on it. Safe to use from several threads.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from datareeve.core.errors import BadInput, Failed, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import psycopg

    from datareeve.core.secrets import Secret

POSTGRESQL = ("postgresql://", "postgres://")
DISK_FULL = ("53100", "53400", "58030")  # disk full, configuration limit exceeded, I/O error
MOMENTARY = ("40001", "40P01", "55P03")  # serialization failure, deadlock, lock not available
IDLE_MOST = 8  # connections kept open when nobody uses them
SQLITE_WAIT_SECONDS = 20.0

Dialect = Literal["sqlite", "postgresql"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Store:
    """Which store it is: how its errors are called, and where its tables live."""

    code: str  # of its errors: 'gateway-store'
    words: str  # 'gateway's store'
    setting: str  # in estate.yaml: 'gateway: store:'
    schema: str  # on PostgreSQL
    file: str  # where it lies without that setting

    @property
    def application(self) -> str:
        """What its sessions are called on PostgreSQL: 'datareeve/gateway'."""
        return f"datareeve/{self.code.removesuffix('-store')}"


GATEWAY = Store(
    "gateway-store", "gateway's store", "gateway: store:", "datareeve_gateway", ".datareeve/gateway.sqlite"
)
QUALITY = Store(
    "quality-store", "quality store", "quality: store:", "datareeve_quality", ".datareeve/quality.sqlite"
)


class Transaction:
    """Statements on one connection. Parameters are `:name`; rows come as dictionaries."""

    def __init__(self, connection: Any, dialect: Dialect) -> None:
        self.driver = connection  # for what the two do not share: COPY
        self.dialect: Dialect = dialect

    def run(self, sql: str, **values: object) -> int:
        """Run one statement; gives the number of rows it changed."""
        return int(self.driver.execute(self._spelled(sql), values).rowcount)

    def run_many(self, sql: str, rows: Sequence[Mapping[str, object]] | Sequence[Sequence[object]]) -> None:
        """Run one statement with each of some rows: mappings for `:name`, sequences where it is spelled with `?`."""
        if rows:
            self.driver.cursor().executemany(self._spelled(sql), rows)

    def rows(self, sql: str, **values: object) -> list[Row]:
        """The rows of a query."""
        cursor = self.driver.execute(self._spelled(sql), values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, sql: str, **values: object) -> Row | None:
        """The first row of a query."""
        found = self.rows(sql, **values)
        return found[0] if found else None

    def now(self) -> float:
        """The database's own clock, in Unix seconds: one clock for all machines that share it."""
        if self.dialect == "sqlite":
            return time.time()
        return float(self.driver.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()[0])

    @property
    def for_update(self) -> str:
        """What a SELECT ends with to lock its rows; SQLite has one writer at a time, which `transaction` already is."""
        return " FOR UPDATE" if self.dialect == "postgresql" else ""

    def _spelled(self, sql: str) -> str:
        return sql if self.dialect == "sqlite" else _for_psycopg(sql)


class Database:
    """A pool of connections to one database. `path`: the file, on SQLite."""

    def __init__(self, where: str, password: Secret | None = None, store: Store = GATEWAY) -> None:
        self.store = store
        self.dialect: Dialect = "postgresql" if where.startswith(POSTGRESQL) else "sqlite"
        self.path = None if self.dialect == "postgresql" else _sqlite_path(where, store)
        self._connect: Callable[[], Any] = (
            (lambda: _connect_sqlite(self.path, store))
            if self.path
            else (lambda: _connect_postgres(where, password, store))
        )
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._one_writer = threading.Lock()  # SQLite: threads of this process wait here, not in its busy loop
        self._closed = False

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All of it is done, or nothing. Errors: those of `translated`."""
        if self.dialect == "postgresql":
            with self._begun("BEGIN") as transaction:
                yield transaction
            return
        with self._one_writer, self._begun("BEGIN IMMEDIATE") as transaction:
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Queries that see one state. Errors: those of `translated`."""
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if self.dialect == "postgresql" else "BEGIN"
        with self._begun(begin) as transaction:
            yield transaction

    @contextmanager
    def _begun(self, begin: str) -> Iterator[Transaction]:
        with translated(self.store):
            connection = self._take(begin)
            try:
                yield Transaction(connection, self.dialect)
                connection.execute("COMMIT")
            except BaseException:
                self._end(connection)
                raise
            self._give(connection)

    def _take(self, begin: str) -> Any:
        """A connection on which a transaction has begun: one at hand if it still answers, else a new one."""
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            connection = idle or self._connect()
            try:
                connection.execute(begin)
            except driver_errors() as error:
                with suppress(*driver_errors()):
                    connection.close()
                if idle is None or isinstance(error, sqlite3.Error):
                    raise
            else:
                return connection

    def _give(self, connection: Any) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < IDLE_MOST:
                self._idle.append(connection)
                return
        connection.close()

    @staticmethod
    def _end(connection: Any) -> None:
        with suppress(*driver_errors()):
            connection.execute("ROLLBACK")
        with suppress(*driver_errors()):
            connection.close()

    def close(self) -> None:
        """Close what is idle; a transaction at work closes its own connection at its end."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(*driver_errors()):
                connection.close()


def _sqlite_path(where: str, store: Store) -> Path:
    path = where.removeprefix("sqlite:///")
    if "://" in path or not path:
        raise BadInput(
            f"{store.code}.url",
            f"The {store.words} is a file, sqlite:///path or postgresql://user@host/database.",
            f"Correct `{store.setting}` in estate.yaml, or leave it out: {store.file}.",
        )
    return Path(path)


def _connect_sqlite(path: Path | None, store: Store) -> sqlite3.Connection:
    """WAL, synchronous=FULL: a commit is on disk. The file holds sealed keys: only its owner may read it. Errors: `<store>.read-only`."""
    assert path is not None  # noqa: S101 - only called for a file
    folder = next(one for one in path.absolute().parents if one.exists())
    if not os.access(
        folder, os.W_OK
    ):  # a reader writes too: that it is there, and the tables where there are none
        raise BadInput(
            f"{store.code}.read-only",
            f"The {store.words} cannot be used where nothing can be written: {folder}.",
            f"Give the right to write there, or name another place under `{store.setting}` in estate.yaml.",
        )
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        path, timeout=SQLITE_WAIT_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def driver_errors() -> tuple[type[Exception], ...]:
    """What the drivers raise. PostgreSQL's is loaded with the first connection: a process on SQLite starts without it."""
    loaded = sys.modules.get("psycopg")
    return (sqlite3.Error,) if loaded is None else (sqlite3.Error, loaded.Error)


def _connect_postgres(url: str, password: Secret | None, store: Store) -> psycopg.Connection[Any]:
    import psycopg  # noqa: PLC0415 - as `driver_errors` says

    return psycopg.connect(
        url,
        autocommit=True,
        password=password.reveal() if password else None,
        connect_timeout=10,
        application_name=store.application,
        options=f"-c search_path={store.schema} -c lock_timeout=15s -c idle_in_transaction_session_timeout=60s",
        # A machine that vanished is noticed in about a minute, not in two hours.
        keepalives_idle=20,
        keepalives_interval=10,
        keepalives_count=3,
        tcp_user_timeout=30_000,
    )


@lru_cache(maxsize=512)
def _for_psycopg(sql: str) -> str:
    """`:name` as psycopg writes it; a cast (`::text`) is none."""
    return re.sub(r"(?<![:\w]):([a-z_]\w*)", r"%(\1)s", sql.replace("%", "%%"))


def text_of(file: str) -> str:
    """A file of this package."""
    return resources.files(__package__).joinpath(file).read_text("utf-8")


def named_statements(file: str) -> dict[str, str]:
    """The statements of a file of this package, by the name in front of each (`-- name: what it is for`)."""
    text = text_of(file)
    parts = re.split(r"^-- (\w+): .*$", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@contextmanager
def translated(store: Store = GATEWAY) -> Iterator[None]:
    """Errors of the drivers as the project's: `<store>.full`, `.busy`, `.read-only`, `.damaged`, `.unreachable`, `.statement`."""
    try:
        yield
    except driver_errors() as error:
        raise _error_of(error, store) from None


def _error_of(error: Exception, store: Store) -> Failed:
    name = str(getattr(error, "sqlite_errorname", ""))
    state = str(getattr(error, "sqlstate", None) or "")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")) or state in DISK_FULL:
        return Failed(
            f"{store.code}.full",
            f"The disk of the {store.words} is full or failing: nothing can be written to it.",
            "Free space; what waits is written by itself then.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or state in MOMENTARY:
        return Failed(f"{store.code}.busy", f"The {store.words} was locked for too long.", "Try again.")
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")) or state in ("25006", "42501"):
        return Failed(
            f"{store.code}.read-only",
            f"The {store.words} cannot be written by this user.",
            "Mend the rights of .datareeve/, or those of the store's database role.",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or state.startswith("XX"):
        return Failed(
            f"{store.code}.damaged",
            f"The {store.words} is damaged.",
            "Restore it from a copy, or move it away to begin a new one.",
        )
    if _is_connection(name, state, error):
        return Unreachable(
            f"{store.code}.unreachable",
            f"The {store.words} cannot be used ({type(error).__name__}).",
            f"Check `{store.setting}` in estate.yaml, its password, and that its server runs.",
        )
    kind = name or state or type(error).__name__
    return Failed(
        f"{store.code}.statement",
        f"The {store.words} refused a statement ({kind}).",
        "Its tables are not those of this version of Datareeve: compare `datareeve --version` of all machines that use it.",
    )


def _is_connection(name: str, state: str, error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return name.startswith("SQLITE_CANTOPEN") or isinstance(error, sqlite3.ProgrammingError)
    operational = getattr(sys.modules.get("psycopg"), "OperationalError", ())
    return isinstance(error, operational) or state.startswith(("08", "28", "57", "3D"))
