"""The ledger: what was asked, planned, approved, done and seen. Append-only rows of JSON, hash-chained; SQLite by default, PostgreSQL by URL.

Every entry's hash covers the hash before it, so that a changed, removed or inserted row is found by `verify`. Writing on behalf of a run is
*fenced*: it succeeds only while the writer still holds the run's lease (Kleppmann, "How to do distributed locking", 2016: a fencing token
grows with each holder, and the store refuses an older one).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import sqlalchemy as sa
from pydantic import Field

from datareeve.core import clock
from datareeve.core.errors import BadInput, Failed, LeaseLost, LedgerDamaged, Unreachable
from datareeve.core.value import Value, canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.core.secrets import Secret

HEAD = "0002"  # the newest revision in migrations/versions
SCHEMA = "datareeve"  # where the tables live on PostgreSQL
GENESIS = "0" * 64
LEASE_SECONDS = 30.0
LOCK_NOT_AVAILABLE, DISK_FULL = "55P03", "53100"

metadata = sa.MetaData()  # the columns; tables and indexes are made by the migrations
BY_RUN_ONLY = (
    "step",
    "check",
    "part",
)  # kinds that are only ever asked for by their run: most rows, so the other index leaves them out
indexed_kind = sa.text(f"kind NOT IN {BY_RUN_ONLY!r}")
entries_table = sa.Table(
    "entries",
    metadata,
    # Kept in the order of (run, seq): reading a run's journal is one range, and appending touches few pages.
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
samples_table = sa.Table(
    "samples",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("value", sa.Float(53), nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index("samples_name_idx", "system", "name", "at"),
)
chain_table = sa.Table(
    "chain",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
leases_table = sa.Table(
    "leases",
    metadata,
    sa.Column("resource", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.Float(53), nullable=False),
)


class Entry(Value):
    """One row of the ledger."""

    seq: int
    at: str
    kind: str  # task, plan, approval, run, part, step, check, event
    subject: str
    run: str
    body: dict[str, Any]
    hash: str


class Sample(Value):
    """One measured figure at one moment."""

    at: str
    system: str
    name: str
    value: float
    labels: dict[str, Any] = Field(default_factory=dict)


class Ledger:
    """An open ledger. Use `open_ledger`."""

    def __init__(self, engine: sa.Engine, unwritable: str = "") -> None:
        self.engine = engine
        self._unwritable = unwritable  # why nothing can be written: it is open for reading only
        self._dialect: _Sqlite | _Postgres = _Postgres() if engine.dialect.name == "postgresql" else _Sqlite()
        self._writing: sa.Connection | None = None
        self._one_writer = threading.Lock()

    def must_be_writable(self) -> None:
        """What cannot be recorded is not done. Errors: `BadInput` `project.read-only`."""
        if self._unwritable:
            raise _read_only(self._unwritable)

    # -- entries -----------------------------------------------------------------------------------------------------------------

    def append(
        self, kind: str, body: dict[str, Any], *, subject: str = "", run: str = "", fence: Fence | None = None
    ) -> int:
        """Add an entry durably; gives its number. With `fence`, only while that lease is held.

        Errors: `LeaseLost` `lease.lost`; `Failed` `ledger.full`, `ledger.write`.
        """
        row = (clock.stamp(), kind, subject, run, canonical(body))
        with _translated(), self._writer() as driver:
            return self._dialect.append(driver, row, fence)

    def append_all(
        self, entries: Sequence[tuple[str, dict[str, Any], str]], *, run: str, fence: Fence
    ) -> None:
        """Add one entry or two (kind, body, subject) of a run in one commit, or none of them. Errors as `append`."""
        if len(entries) == 1:
            kind, body, subject = entries[0]
            self.append(kind, body, subject=subject, run=run, fence=fence)
            return
        rows = [(clock.stamp(), kind, subject, run, canonical(body)) for kind, body, subject in entries]
        with _translated(), self._writer() as driver:
            self._dialect.append_two(driver, rows, fence)

    @contextmanager
    def _writer(self) -> Iterator[Any]:
        """The driver's connection that entries are written on, kept open: a checkout for each would cost as much as the commit."""
        self.must_be_writable()
        with self._one_writer:
            if self._writing is None:
                self._writing = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                yield self._writing.connection.driver_connection
            except LeaseLost:
                raise
            except BaseException:
                self._writing.invalidate()
                self._writing.close()
                self._writing = None
                raise

    @contextmanager
    def fenced_transaction(self, fence: Fence) -> Iterator[Fenced]:
        """One transaction in which an effect on the ledger's own database and its outcome commit together, or not at all.

        The lease's row is locked first, so that nobody can take the run over before the commit. PostgreSQL only.
        """
        with _translated(), self.engine.begin() as connection:
            self._dialect.check_fence(connection, fence)
            yield Fenced(connection, self._dialect, fence)

    def entries(
        self,
        kind: str | None = None,
        *,
        subject: str | None = None,
        run: str | None = None,
        limit: int | None = None,
    ) -> list[Entry]:
        """Entries in order, oldest first; with `limit`, the newest so many."""
        wanted = [
            column == value
            for column, value in (
                (entries_table.c.kind, kind),
                (entries_table.c.subject, subject),
                (entries_table.c.run, run),
            )
            if value is not None
        ]
        query = sa.select(entries_table).where(*wanted)
        if kind is not None and kind not in BY_RUN_ONLY:
            query = query.where(indexed_kind)  # said aloud, so that the planner may use the partial index
        query = (
            query.order_by(entries_table.c.seq.desc()).limit(limit)
            if limit
            else query.order_by(entries_table.c.seq)
        )
        found = self._found(query)
        return found[::-1] if limit else found

    def plans_naming(self, fingerprints: Sequence[str], names: Sequence[str]) -> list[Entry]:
        """Of stored plans those that have any of the names in them; the others are left out before they are read."""
        if not fingerprints or not names:
            return []
        c = entries_table.c
        named = sa.or_(*(c.body.contains(canonical(name), autoescape=True) for name in names))
        query = sa.select(entries_table).where(
            c.kind == "plan", indexed_kind, c.subject.in_(fingerprints), named
        )
        return self._found(query.order_by(c.seq))

    def _found(self, query: sa.Select[Any]) -> list[Entry]:
        with _translated(), self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [Entry(**{**row, "body": json.loads(row["body"])}) for row in rows]

    # -- samples -----------------------------------------------------------------------------------------------------------------

    def add_samples(self, samples: Sequence[Sample]) -> None:
        """Add measured figures, chained among themselves."""
        self.must_be_writable()
        with _translated(), self._dialect.transaction(self.engine) as connection:
            seq, digest = self._dialect.lock_chain(connection, "samples")
            rows = []
            for sample in samples:
                seq += 1
                fields = (sample.at, sample.system, sample.name, repr(sample.value), canonical(sample.labels))
                digest = _link(digest, fields)
                rows.append(
                    {"seq": seq, "at": sample.at, "system": sample.system, "name": sample.name, "value": sample.value,
                     "labels": fields[4], "hash": digest}
                )  # fmt: skip
            if rows:
                connection.execute(sa.insert(samples_table), rows)
                connection.execute(
                    sa.update(chain_table).where(chain_table.c.name == "samples").values(seq=seq, hash=digest)
                )

    def samples(
        self,
        system: str | None = None,
        *,
        name: str | None = None,
        since: str | None = None,
        limit: int | None = None,
    ) -> list[Sample]:
        """Samples in order, oldest first; with `limit`, the newest so many."""
        c = samples_table.c
        wanted = [
            column == value for column, value in ((c.system, system), (c.name, name)) if value is not None
        ]
        wanted += [c.at >= since] if since is not None else []
        query = sa.select(c.at, c.system, c.name, c.value, c.labels).where(*wanted)
        query = query.order_by(c.seq.desc()).limit(limit) if limit else query.order_by(c.seq)
        with _translated(), self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        found = [Sample(**{**row, "labels": json.loads(row["labels"])}) for row in rows]
        return found[::-1] if limit else found

    # -- integrity ---------------------------------------------------------------------------------------------------------------

    def hourly(self, system: str, names: Sequence[str], since: str) -> list[Sample]:
        """The mean of each hour's samples of some names, oldest first, each at the hour's first sample: a trend needs no more."""
        c = samples_table.c
        hour = sa.func.substr(c.at, 1, 13)
        query = (
            sa.select(sa.func.min(c.at).label("at"), c.name, sa.func.avg(c.value).label("value"))
            .where(c.system == system, c.name.in_(list(names)), c.at >= since)
            .group_by(c.name, hour)
            .order_by(sa.func.min(c.at))
        )
        with _translated(), self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [Sample(system=system, **row) for row in rows]

    def verify(self) -> dict[str, int]:
        """Walk both chains; gives the number of rows in each. Errors: `LedgerDamaged` naming the first row that does not add up."""
        return {name: self._verify_chain(name) for name in ("entries", "samples")}

    def _verify_chain(self, name: str) -> int:
        table, texts = (
            (entries_table, ("at", "kind", "subject", "run", "body"))
            if name == "entries"
            else (samples_table, ("at", "system", "name", "value", "labels"))
        )
        digest, count = GENESIS, 0
        with _translated(), self.engine.connect() as connection:
            head = (
                connection.execute(sa.select(chain_table).where(chain_table.c.name == name)).mappings().one()
            )
            for row in connection.execute(sa.select(table).order_by(table.c.seq)).mappings():
                count += 1
                digest = _link(digest, tuple(repr(row[t]) if t == "value" else row[t] for t in texts))
                if row["seq"] != count or row["hash"] != digest:
                    raise _damaged(name, count)
        if (head["seq"], head["hash"]) != (count, digest):
            raise _damaged(name, count + 1)
        return count

    # -- leases ------------------------------------------------------------------------------------------------------------------

    @contextmanager
    def lease(
        self,
        run: str,
        resources: Sequence[str] = (),
        *,
        seconds: float = LEASE_SECONDS,
        holder: str | None = None,
    ) -> Iterator[Fence]:
        """Hold a run and the resources it touches, renewed by a heartbeat until the block ends.

        Errors: `LeaseLost` `lease.held`, naming the run that holds it.
        """
        fence = self.acquire(run, resources, seconds=seconds, holder=holder)
        stop = threading.Event()
        beat = threading.Thread(target=self._heartbeat, args=(fence, seconds, stop), daemon=True)
        beat.start()
        try:
            yield fence
        finally:
            stop.set()
            beat.join()
            with suppress(Failed):
                self.release(fence)

    def acquire(
        self,
        run: str,
        resources: Sequence[str] = (),
        *,
        seconds: float = LEASE_SECONDS,
        holder: str | None = None,
    ) -> Fence:
        """Take the leases of a run and its resources, all or none. A lease of a process on this machine that is gone is free at once."""
        self.must_be_writable()
        who = holder or process_identity()
        names = (f"run:{run}", *sorted(set(resources) - {f"run:{run}"}))
        with _translated(), self._dialect.transaction(self.engine) as connection:
            tokens = [self._take(connection, name, run, who, seconds) for name in names]
        return Fence(
            resource=names[0], token=tokens[0], run=run, others=tuple(zip(names[1:], tokens[1:], strict=True))
        )

    def release(self, fence: Fence) -> None:
        """Give the leases back; quiet where they were taken meanwhile. The tokens stay, so that they only ever grow."""
        with _translated(), self._dialect.transaction(self.engine) as connection:
            for resource, token in fence.all():
                connection.execute(
                    sa.update(leases_table)
                    .where(leases_table.c.resource == resource, leases_table.c.token == token)
                    .values(holder="", expires_at=0.0)
                )

    def _take(self, connection: sa.Connection, resource: str, run: str, holder: str, seconds: float) -> int:
        # No waiting: a locked row is a holder's own transaction at work (an effect that commits with its outcome, or its heartbeat).
        query = (
            sa.select(leases_table).where(leases_table.c.resource == resource).with_for_update(nowait=True)
        )
        now = self._dialect.now(connection)
        self._dialect.ensure_lease_row(connection, resource)
        try:
            row = connection.execute(query).mappings().one()
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
                raise LeaseLost(
                    "lease.held",
                    f"Another worker is at work on {resource.removeprefix('run:')}.",
                    "Wait until it ends.",
                ) from None
            raise
        if row["holder"] and row["expires_at"] > now and not _is_gone(row["holder"]):
            raise LeaseLost(
                "lease.held",
                f"Run {row['run']} is at work on {resource.removeprefix('run:')}.",
                f"Wait until it ends (`datareeve runs {row['run']}`), or stop it; if its machine is gone the lease ends by itself.",
            )
        token = int(row["token"]) + 1
        values = {"holder": holder, "run": run, "token": token, "expires_at": now + seconds}
        connection.execute(
            sa.update(leases_table).where(leases_table.c.resource == resource).values(**values)
        )
        return token

    def at_work(self) -> set[str]:
        """The runs that a worker holds now; one of a process on this machine that is gone is held by nobody."""
        c = leases_table.c
        query = sa.select(c.resource, c.holder, c.expires_at).where(c.resource.like("run:%"), c.holder != "")
        with _translated(), self.engine.connect() as connection:
            now, rows = self._dialect.now(connection), connection.execute(query).all()
        return {
            resource.removeprefix("run:")
            for resource, holder, expires_at in rows
            if expires_at > now and not _is_gone(holder)
        }

    def _heartbeat(self, fence: Fence, seconds: float, stop: threading.Event) -> None:
        while not stop.wait(seconds / 3):
            with suppress(Failed), _translated(), self._dialect.transaction(self.engine) as connection:
                now = self._dialect.now(connection)
                for resource, token in fence.all():
                    connection.execute(
                        sa.update(leases_table)
                        .where(leases_table.c.resource == resource, leases_table.c.token == token)
                        .values(expires_at=now + seconds)
                    )

    def holds(self, fence: Fence) -> bool:
        """Whether the run and every resource held with it are still ours: asked just before an effect outside the ledger's database."""
        with _translated(), self._writer() as driver:
            return self._dialect.holds(driver, fence.all())

    def name(self) -> str:
        """What tells this ledger from every other: the hash of its first entry; '' while it has none."""
        query = sa.select(entries_table.c.hash).where(entries_table.c.seq == 1)
        with _translated(), self.engine.connect() as connection:
            return str(connection.execute(query).scalar() or "")

    def identity(self) -> str | None:
        """On PostgreSQL, what `Postgres.identity` gives for the same database and user; else None."""
        if self.engine.dialect.name != "postgresql":
            return None
        text = "SELECT system_identifier::text, (SELECT oid::text FROM pg_database WHERE datname = current_database()), session_user FROM pg_control_system()"
        with _translated(), self.engine.connect() as connection:
            cluster, database, login = connection.exec_driver_sql(text).one()
        return f"pg:{cluster}:{database}:{login}"

    def close(self) -> None:
        """Close every connection; new ones are made when they are needed."""
        with self._one_writer:
            if self._writing is not None:
                self._writing.close()
                self._writing = None
        self.engine.dispose()


class Fence(Value):
    """Proof of holding a run: its lease's resource and token, and those of the other resources held with it."""

    resource: str
    token: int
    run: str
    others: tuple[tuple[str, int], ...] = ()

    def all(self) -> tuple[tuple[str, int], ...]:
        """Every (resource, token) held."""
        return ((self.resource, self.token), *self.others)


class Fenced:
    """An open transaction on the ledger's database, in which an effect and its outcome commit together."""

    def __init__(self, connection: sa.Connection, dialect: _Sqlite | _Postgres, fence: Fence) -> None:
        self._connection = connection
        self._dialect = dialect
        self._fence = fence

    @property
    def driver_connection(self) -> Any:
        """The driver's own connection, inside this transaction."""
        return self._connection.connection.driver_connection

    def append(self, kind: str, body: dict[str, Any], *, subject: str, run: str) -> int:
        """Add an entry to this transaction."""
        return self._dialect.append(
            self.driver_connection, (clock.stamp(), kind, subject, run, canonical(body)), self._fence
        )


Row = tuple[str, str, str, str, str]  # at, kind, subject, run, body


class _Sqlite:
    """WAL, synchronous=FULL: a commit is on disk. One writer at a time, taken at the start (BEGIN IMMEDIATE)."""

    @contextmanager
    def transaction(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    def append_two(self, driver: Any, rows: Sequence[Row], fence: Fence) -> None:
        driver.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                self.append(driver, row, fence)
        except LeaseLost:
            driver.execute("ROLLBACK")
            raise
        driver.execute("COMMIT")

    # One statement, its own transaction: fence, link and row. A trigger moves the chain's head.
    APPEND = """
INSERT INTO entries (seq, at, kind, subject, run, body, hash)
SELECT seq + 1, ?, ?, ?, ?, ?, link(hash, ?) FROM chain WHERE name = 'entries'
   AND (? = '' OR EXISTS (SELECT 1 FROM leases WHERE resource = ? AND token = ?)) RETURNING seq
"""

    def append(self, driver: Any, row: Row, fence: Fence | None) -> int:
        resource, token = (fence.resource, fence.token) if fence else ("", 0)
        found = driver.execute(self.APPEND, (*row, _payload(row), resource, resource, token)).fetchall()
        if not found:
            assert fence is not None  # noqa: S101 - without a fence the chain's row is always there
            raise _lost(fence)
        return int(found[0][0])

    def check_fence(self, connection: sa.Connection, fence: Fence) -> None:
        if not self.holds(connection.connection.driver_connection, fence.all()):
            raise _lost(fence)

    def holds(self, driver: Any, held: Sequence[tuple[str, int]]) -> bool:
        query = "SELECT 1 FROM leases WHERE resource = ? AND token = ?"
        return all(driver.execute(query, one).fetchone() is not None for one in held)

    def lock_chain(self, connection: sa.Connection, name: str) -> tuple[int, str]:
        row = connection.execute(
            sa.select(chain_table.c.seq, chain_table.c.hash).where(chain_table.c.name == name)
        ).one()
        return int(row[0]), str(row[1])

    def ensure_lease_row(self, connection: sa.Connection, resource: str) -> None:
        connection.exec_driver_sql("INSERT OR IGNORE INTO leases VALUES (?, '', '', 0, 0)", (resource,))

    def now(self, connection: sa.Connection) -> float:
        del connection
        return time.time()


class _Postgres:
    """One statement appends: fence, chain and row together, so that a journalled step costs two commits and no more round trips."""

    APPEND = """
WITH fence AS (SELECT 1 FROM leases WHERE resource = %(resource)s AND token = %(token)s FOR UPDATE),
     link AS (UPDATE chain SET seq = seq + 1, hash = encode(sha256(convert_to(hash || chr(31) || %(payload)s, 'UTF8')), 'hex')
               WHERE name = 'entries' AND (%(resource)s = '' OR EXISTS (SELECT 1 FROM fence)) RETURNING seq, hash)
INSERT INTO entries (seq, at, kind, subject, run, body, hash)
SELECT seq, %(at)s, %(kind)s, %(subject)s, %(run)s, %(body)s, hash FROM link RETURNING seq
"""

    @contextmanager
    def transaction(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        with engine.begin() as connection:
            yield connection

    # Two entries at once: an outcome and what follows it. The chain's row is locked, linked twice and moved once.
    APPEND_TWO = """
WITH fence AS (SELECT 1 FROM leases WHERE resource = %(resource)s AND token = %(token)s FOR UPDATE),
     head AS (SELECT seq, hash FROM chain WHERE name = 'entries' AND EXISTS (SELECT 1 FROM fence) FOR UPDATE),
     one AS MATERIALIZED (SELECT seq + 1 AS seq, encode(sha256(convert_to(hash || chr(31) || %(payload)s, 'UTF8')), 'hex') AS hash FROM head),
     two AS MATERIALIZED (SELECT seq + 1 AS seq, encode(sha256(convert_to(hash || chr(31) || %(payload_2)s, 'UTF8')), 'hex') AS hash FROM one),
     moved AS (UPDATE chain SET seq = two.seq, hash = two.hash FROM two WHERE name = 'entries')
INSERT INTO entries (seq, at, kind, subject, run, body, hash)
SELECT seq, %(at)s, %(kind)s, %(subject)s, %(run)s, %(body)s, hash FROM one
 UNION ALL
SELECT seq, %(at_2)s, %(kind_2)s, %(subject_2)s, %(run_2)s, %(body_2)s, hash FROM two RETURNING seq
"""

    def append_two(self, driver: Any, rows: Sequence[Row], fence: Fence) -> None:
        first, second = rows
        after = {f"{name}_2": value for name, value in self._values(second, fence).items()}
        found = driver.execute(
            self.APPEND_TWO, {**after, **self._values(first, fence)}, prepare=True
        ).fetchall()
        if len(found) != len(rows):
            raise _lost(fence)

    def append(self, driver: Any, row: Row, fence: Fence | None) -> int:
        found = driver.execute(self.APPEND, self._values(row, fence), prepare=True).fetchone()
        if found is None:
            assert fence is not None  # noqa: S101 - without a fence the chain's row is always updated
            raise _lost(fence)
        return int(found[0])

    @staticmethod
    def _values(row: Row, fence: Fence | None) -> dict[str, Any]:
        at, kind, subject, run, body = row
        return {"resource": fence.resource if fence else "", "token": fence.token if fence else 0, "payload": _payload(row),
                "at": at, "kind": kind, "subject": subject, "run": run, "body": body}  # fmt: skip

    def check_fence(self, connection: sa.Connection, fence: Fence) -> None:
        # The run's row first and the others in order, as the heartbeat takes them: neither waits for the other.
        query = """SELECT resource, token FROM leases WHERE resource = ANY(%s)
                    ORDER BY resource <> %s, resource COLLATE "C" FOR UPDATE"""
        driver: Any = connection.connection.driver_connection
        names = [resource for resource, _ in fence.all()]
        if set(driver.execute(query, (names, fence.resource), prepare=True)) != set(fence.all()):
            raise _lost(fence)

    def holds(self, driver: Any, held: Sequence[tuple[str, int]]) -> bool:
        query = "SELECT resource, token FROM leases WHERE resource = ANY (string_to_array(%s, chr(31)))"
        names = "\x1f".join(resource for resource, _ in held)
        return set(driver.execute(query, (names,), prepare=True)) == set(held)

    def lock_chain(self, connection: sa.Connection, name: str) -> tuple[int, str]:
        query = (
            sa.select(chain_table.c.seq, chain_table.c.hash)
            .where(chain_table.c.name == name)
            .with_for_update()
        )
        row = connection.execute(query).one()
        return int(row[0]), str(row[1])

    def ensure_lease_row(self, connection: sa.Connection, resource: str) -> None:
        connection.exec_driver_sql(
            "INSERT INTO leases VALUES (%s, '', '', 0, 0) ON CONFLICT DO NOTHING", (resource,)
        )

    def now(self, connection: sa.Connection) -> float:
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())


def _payload(row: Sequence[str]) -> str:
    return "\x1f".join(row)


def _link(digest: str, row: Sequence[str]) -> str:
    return _linked(digest, _payload(row))


def _linked(digest: str, payload: str) -> str:
    return hashlib.sha256(f"{digest}\x1f{payload}".encode()).hexdigest()


def _lost(fence: Fence) -> LeaseLost:
    return LeaseLost(
        "lease.lost",
        f"Another worker has taken run {fence.run} over.",
        "This worker stops; look at `datareeve runs`.",
    )


def _damaged(name: str, row: int) -> LedgerDamaged:
    return LedgerDamaged(
        "ledger.damaged",
        f"The ledger's {name} do not add up at row {row}: something was changed, removed or added by another hand.",
        "Compare with a backup of the ledger; entries before that row are sound.",
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _ledger_error(error.orig or error) from None
    except Exception as error:
        # On the hot path the driver is called directly; its errors are told by their module, for no driver is imported here.
        if type(error).__module__.split(".")[0] in {"sqlite3", "psycopg"}:
            raise _ledger_error(error) from None
        raise


translated = _translated  # for `core.snapshots`, which has a table of its own here


def _ledger_error(error: BaseException) -> Failed:
    text = str(error)
    disk = getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR"))
    if disk or getattr(error, "sqlstate", None) == DISK_FULL:
        return _full()
    if "readonly" in text or "read-only" in text:
        return Failed(
            "ledger.read-only",
            "The ledger cannot be written.",
            "Mend the rights of .datareeve/, or the ledger's database.",
        )
    if "malformed" in text or "not a database" in text:
        return LedgerDamaged(
            "ledger.damaged", "The ledger's file is damaged.", "Restore .datareeve/ledger.sqlite from a copy."
        )
    if "locked" in text or getattr(error, "sqlstate", None) in {"55P03", "40P01"}:
        return Failed("ledger.busy", "The ledger was locked by another process for too long.", "Try again.")
    return Unreachable(
        "ledger.unreachable",
        f"The ledger cannot be used ({type(error).__name__}).",
        "Check `ledger:` in estate.yaml and that its server runs.",
    )


def _full() -> Failed:
    return Failed(
        "ledger.full",
        "The ledger's disk is full or failing: nothing can be recorded, so nothing is done.",
        "Free space, then resume.",
    )


def process_identity() -> str:
    """Host, process and its start: enough to know later whether this very process is still alive."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}:{threading.get_ident()}"


def _is_gone(holder: str) -> bool:
    host, pid, started, _ = [*holder.rsplit(":", 3), "", "", "", ""][:4]
    return host == socket.gethostname() and pid.isdigit() and _started(int(pid)) != started


def _started(pid: int) -> str:
    """The start time of a process in clock ticks since boot (proc(5), field 22); empty where there is none, or no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


# -- opening -----------------------------------------------------------------------------------------------------------------------


def open_ledger(url: str, password: Secret | None = None) -> Ledger:
    """Open a ledger, making or migrating its tables: `sqlite:///path` or `postgresql://user@host/database`.

    A file that cannot be written is opened for reading. Errors: `BadInput` `ledger.url`, `ledger.newer`, `project.read-only`; `Unreachable`
    `ledger.unreachable`; `Failed` `ledger.full`.
    """
    if url.startswith("sqlite:") and (why := _unwritable(path := _path_of(url))):
        return _open_to_read(path, why)
    engine = _sqlite_engine(url) if url.startswith("sqlite:") else _postgres_engine(url, password)
    try:
        with _translated(), _migration_lock(engine):
            _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return Ledger(engine)


def _path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _unwritable(path: Path) -> str:
    """Which of a ledger's places cannot be written, in words; empty where all can: the folder holds SQLite's log and our lock too."""
    folder = next((one for one in path.parents if os.path.lexists(one)), path.parent)
    files = [one for one in (path, path.with_suffix(".lock")) if os.path.lexists(one)]
    shut = [str(one.absolute()) for one in (folder, *files) if not os.access(one, os.W_OK)]
    return f"{shut[0]} cannot be written" if shut else ""


def _open_to_read(path: Path, why: str) -> Ledger:
    """The ledger as it stands. Without a log beside it nobody is writing, and SQLite is told so: it would make one."""
    if not os.access(path, os.R_OK):
        raise _read_only(why)
    log = Path(f"{path}-wal")
    how = "mode=ro" if log.is_file() and log.stat().st_size else "mode=ro&immutable=1"
    engine = sa.create_engine(
        f"sqlite:///file:{quote(str(path.absolute()))}?{how}&uri=true",
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": 30, "check_same_thread": False},
    )
    ledger = Ledger(engine, why)
    try:
        with _translated():
            revision = _revision(engine)
    except BaseException:
        ledger.close()
        raise
    if revision == HEAD:
        return ledger
    ledger.close()  # it would have to be made, or brought up to date
    raise _newer(revision) if revision is not None and revision > HEAD else _read_only(why)


def _read_only(why: str) -> BadInput:
    return BadInput(
        "project.read-only",
        f"{why}: nothing can be recorded, so nothing is done.",
        "Give the right to write there, or name another place under `ledger:` in estate.yaml. `datareeve runs` and `status` only look.",
    )


@contextmanager
def _made(path: Path) -> Iterator[None]:
    """The errors of making a file or folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full() from None
        raise _read_only(f"{path.absolute()} cannot be written ({error.strerror})") from None


def _sqlite_engine(url: str) -> sa.Engine:
    path = _path_of(url)
    with _made(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        f"sqlite:///{path}",
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": 30, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.create_function("link", 2, _linked, deterministic=True)

    return engine


def _postgres_engine(url: str, password: Secret | None) -> sa.Engine:
    if not url.startswith(("postgresql://", "postgres://")):
        raise BadInput(
            "ledger.url",
            "A ledger is sqlite:///path or postgresql://user@host/database.",
            "Correct `ledger:` in estate.yaml.",
        )
    given = sa.make_url(url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")
    if password is not None:
        given = given.set(password=password.reveal())
    options = {
        # The few statements here are always the same: planning them at each execution would cost as much as carrying them out.
        "options": f"-c search_path={SCHEMA} -c plan_cache_mode=force_generic_plan",
        "application_name": "datareeve/ledger",
        "connect_timeout": 10,
    }
    return sa.create_engine(given, connect_args=options, pool_pre_ping=False, hide_parameters=True)


@contextmanager
def _migration_lock(engine: sa.Engine) -> Iterator[None]:
    """Two processes opening a new ledger at once: one makes the tables, the other waits."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_lock(724620)")
            try:
                yield
            finally:
                connection.exec_driver_sql("SELECT pg_advisory_unlock(724620)")
        return
    assert engine.url.database is not None  # noqa: S101 - a SQLite ledger is a file
    lock = Path(engine.url.database).with_suffix(".lock")
    with _made(lock):
        held = lock.open("w")
    with held as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _migrate(engine: sa.Engine) -> None:
    if (found := _revision(engine)) == HEAD:
        return
    if found is not None and found > HEAD:
        raise _newer(found)
    if found is None and engine.dialect.name == "sqlite" and _made_new(engine):
        return
    from alembic import command  # noqa: PLC0415 - slow to import and rarely needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _made_new(engine: sa.Engine) -> bool:
    """Make all tables of an empty file in one transaction, as the migrations would: they alone take a quarter of a second to be loaded."""
    with engine.connect() as connection:
        if sa.inspect(connection).get_table_names():
            return False
        script = (Path(__file__).parent / "migrations" / "new_sqlite.sql").read_text(encoding="utf-8")
        cast("Any", connection.connection.dbapi_connection).executescript(script)
    return True


def _newer(revision: str) -> BadInput:
    return BadInput(
        "ledger.newer",
        f"The ledger was written by a newer Datareeve (schema {revision}).",
        "Upgrade Datareeve.",
    )


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
