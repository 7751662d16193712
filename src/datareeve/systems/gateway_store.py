"""The gateway's store: keys, processes, what each request used and cost, in SQLite or PostgreSQL.

The one idea: whatever changes what a gateway works by bumps `revision` in the same transaction, and each gateway process asks for that one
number; so a key that is revoked is refused everywhere within the time between two such questions, and no request asks a database.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from datareeve.core.errors import BadInput
from datareeve.systems import store_database
from datareeve.systems.store_database import GATEWAY, Database, named_statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from datareeve.core.secrets import Secret
    from datareeve.systems.store_database import Dialect, Transaction

VERSION = 2  # of the tables
KEY_STATES = ("active", "draining", "retired", "revoked")
REPLAY = "replay"  # name and team of the virtual key that recorded prompts are sent again with
OPENING = 724621  # PostgreSQL's advisory lock while the tables are made
SQL = named_statements("gateway_store.sql")
LEASES = "datareeve.systems.lease_pool"

KeyState = Literal["active", "draining", "retired", "revoked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProviderKey:
    """A provider's key as it is kept: sealed. Times are Unix seconds."""

    id: str
    provider: str
    sealed: str
    name: str = ""
    state: KeyState = "active"
    added_at: float = 0.0  # 0: when it is added
    changed_at: float = 0.0  # of its state
    expires_at: float | None = None
    replaces: str = ""  # the key it was made for in a rotation
    probed_at: float | None = None
    probe_ok: bool | None = None
    probe_status: int | None = None  # HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVirtualKey:
    """A virtual key as it is kept: the SHA-256 of its text, never the text."""

    id: str
    digest: bytes
    name: str
    team: str = ""
    models: tuple[str, ...] = ("*",)
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_parallel: int | None = None
    expires_at: float | None = None
    revoked_at: float | None = None
    cache: bool = True
    admin: bool = False
    added_at: float = 0.0  # 0: when it is added


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One gateway process. `beat_at` and `stopped_at` are of the store's clock."""

    id: str
    host: str = ""
    pid: int = 0
    address: str = ""
    version: str = ""
    revision: int = 0  # of the keys it works by
    estate: str = ""  # the digest of the estate it works by
    behind: int = 0  # usage rows that are not in the store yet
    detail: str = "{}"  # JSON: what else it tells of itself; never a key or a prompt
    started_at: float = 0.0
    beat_at: float = 0.0
    stopped_at: float | None = None


class GatewayStore:
    """An open store. Every method is one transaction and may be called from any thread; all raise the errors of `store_database.translated`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, where: str | Path, password: Secret | None = None) -> GatewayStore:
        """Open a store, making its tables where they are not there: a path, sqlite:///path or postgresql://user@host/database.

        Errors: `BadInput` `gateway-store.url`, `gateway-store.newer`; `Unreachable` `gateway-store.unreachable`.
        """
        store = cls(Database(str(where), password))
        try:
            store._prepare()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def dialect(self) -> Dialect:
        """What it is kept in."""
        return self.database.dialect

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All of it is done, or nothing."""
        with self.database.transaction() as transaction:
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Queries that see one state."""
        with self.database.reading() as transaction:
            yield transaction

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def revision(self) -> int:
        """Grows with each change of a provider key or a virtual key. One small read."""
        with self.reading() as t:
            return int(t.rows(SQL["revision"])[0]["value"])

    def now(self) -> float:
        """The store's clock, in Unix seconds."""
        with self.reading() as t:
            return t.now()

    # -- keys of providers -------------------------------------------------------------------------------------------------------

    def add_provider_key(self, key: StoredProviderKey) -> bool:
        """Add a sealed key; quiet where its id is there already. Gives whether it was added."""
        values = _fields(key, without=("changed_at", "probed_at", "probe_ok", "probe_status"))
        with self._changing() as change:
            values["added_at"] = key.added_at or change.t.now()
            return change(SQL["add_provider_key"], **values)

    def provider_keys(self, provider: str = "") -> list[StoredProviderKey]:
        """Keys of one provider, or all, in every state; the oldest first."""
        with self.reading() as t:
            return [_provider_key(row) for row in t.rows(SQL["provider_keys"], provider=provider)]

    def set_key_state(self, key: str, state: KeyState, *, expected: KeyState | Literal[""] = "") -> bool:
        """Give a key another state, with `expected` only from that one. Gives whether it changed: False where it had it already."""
        if state not in KEY_STATES:
            raise BadInput("gateway-store.state", f"A key's state is one of {', '.join(KEY_STATES)}.")
        with self._changing() as change:
            return change(SQL["set_key_state"], id=key, state=state, expected=expected, at=change.t.now())

    def set_key_expiry(self, key: str, expires_at: float | None) -> bool:
        """Say when a key ends, in Unix seconds; None: never."""
        with self._changing() as change:
            return change(SQL["set_key_expiry"], id=key, expires_at=expires_at)

    def rewrap_provider_keys(self, sealed: Mapping[str, tuple[str, str]]) -> int:
        """Replace the sealed form of some keys, by id: (before, after), all in one transaction. Gives how many were still as before."""
        with self._changing() as change:
            return sum(
                change(SQL["rewrap_provider_key"], id=key, before=before, sealed=after)
                for key, (before, after) in sorted(sealed.items())
            )

    def remove_provider_key(self, key: str) -> bool:
        """Take a key out, as if it had never been added: the undo of adding it."""
        with self._changing() as change:
            return change(SQL["remove_provider_key"], id=key)

    def note_probe(self, key: str, *, ok: bool, status: int) -> None:
        """Keep what a probe of a key said. It is no change of the key: the revision stays."""
        with self.transaction() as t:
            t.run(SQL["note_probe"], id=key, ok=ok, status=status, at=t.now())

    # -- virtual keys ------------------------------------------------------------------------------------------------------------

    def add_virtual_key(self, key: StoredVirtualKey) -> bool:
        """Add a virtual key; quiet where its id is there already. Gives whether it was added."""
        values = {**_fields(key, without=("revoked_at",)), "models": json.dumps(key.models)}
        with self._changing() as change:
            values["added_at"] = key.added_at or change.t.now()
            return change(SQL["add_virtual_key"], **values)

    def virtual_keys(self) -> list[StoredVirtualKey]:
        """All virtual keys, revoked and expired ones too; the oldest first."""
        with self.reading() as t:
            return [_virtual_key(row) for row in t.rows(SQL["virtual_keys"])]

    def change_virtual_key(self, key: StoredVirtualKey) -> bool:
        """Give a virtual key other limits, scopes, names or end; its text stays as it is."""
        values = {
            **_fields(key, without=("revoked_at", "added_at", "digest")),
            "models": json.dumps(key.models),
        }
        with self._changing() as change:
            return change(SQL["change_virtual_key"], **values)

    def revoke_virtual_key(self, key: str) -> bool:
        """From now on it opens nothing. Gives whether it did before."""
        with self._changing() as change:
            return change(SQL["revoke_virtual_key"], id=key, at=change.t.now())

    def restore_virtual_key(self, key: str) -> bool:
        """Take a revocation back."""
        with self._changing() as change:
            return change(SQL["restore_virtual_key"], id=key)

    def remove_virtual_key(self, key: str) -> bool:
        """Take a virtual key out, as if it had never been issued: the undo of issuing it."""
        with self._changing() as change:
            return change(SQL["remove_virtual_key"], id=key)

    # -- gateway processes -------------------------------------------------------------------------------------------------------

    def heartbeat(self, instance: Instance) -> None:
        """A gateway process is alive and works by that revision. One commit: beat on a change, and every few seconds."""
        with self.transaction() as t:
            now = t.now()
            values = _fields(instance, without=("beat_at", "stopped_at"))
            t.run(SQL["heartbeat"], **{**values, "started_at": instance.started_at or now, "at": now})

    def instance_stopped(self, instance: str, *, behind: int = 0) -> None:
        """A gateway process ended in order, with so many usage rows left in its spool."""
        with self.transaction() as t:
            t.run(SQL["instance_stopped"], id=instance, behind=behind, at=t.now())

    def instances(self, *, seconds: float = 15.0, stopped: bool = False) -> list[Instance]:
        """Processes that were heard of in the last so many seconds; with `stopped`, those too that ended in order."""
        with self.reading() as t:
            rows = t.rows(SQL["instances"], since=t.now() - seconds, stopped=stopped)
        return [Instance(**row) for row in rows]

    def forget_instances(self, *, seconds: float = 7 * 86400.0) -> int:
        """Take out processes that were not heard of for so long."""
        with self.transaction() as t:
            return t.run(SQL["forget_instances"], before=t.now() - seconds)

    # -- opening -----------------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        with self.transaction() as t:
            if t.dialect == "postgresql":
                t.run(f"SELECT pg_advisory_xact_lock({OPENING})")
                if not t.rows("SELECT 1 FROM pg_namespace WHERE nspname = :schema", schema=GATEWAY.schema):
                    t.run(f"CREATE SCHEMA {GATEWAY.schema}")
            found = _schema_version(t)
            if found > VERSION:
                raise BadInput(
                    "gateway-store.newer",
                    f"The gateway's store was written by a newer Datareeve (tables of version {found}).",
                    "Upgrade Datareeve.",
                )
            if found < VERSION:
                _make_tables(t)
            _make_lease_tables(t)

    @contextmanager
    def _changing(self) -> Iterator[_Change]:
        """A transaction that bumps the revision where one of its statements changed a row."""
        with self.transaction() as t:
            change = _Change(t)
            yield change
            if change.changed:
                t.run(SQL["bump"])


class _Change:
    """Runs statements and remembers whether one of them changed anything."""

    def __init__(self, t: Transaction) -> None:
        self.t = t
        self.changed = False

    def __call__(self, sql: str, **values: object) -> bool:
        changed = self.t.run(sql, **values) > 0
        self.changed |= changed
        return changed


def _schema_version(t: Transaction) -> int:
    """The version of the tables that are there; 0: none."""
    there = (
        "SELECT 1 FROM sqlite_master WHERE name = 'meta'"
        if t.dialect == "sqlite"
        else f"SELECT 1 WHERE to_regclass('{GATEWAY.schema}.meta') IS NOT NULL"
    )
    if not t.rows(there):
        return 0
    row = t.one(SQL["schema_version"])
    return int(row["value"]) if row else 0


def _make_tables(t: Transaction) -> None:
    text = store_database.text_of("gateway_schema.sql")
    options = " WITHOUT ROWID" if t.dialect == "sqlite" else ""
    for statement in text.replace("{table_options}", options).split(";\n"):
        if statement.strip():
            t.run(statement)
    t.run(SQL["set_schema_version"], version=VERSION)


def _make_lease_tables(t: Transaction) -> None:
    """The tables of shared limits, which `lease_pool` knows."""
    if find_spec(LEASES) is not None:
        import_module(LEASES).create_tables(t)


def _fields(value: Any, *, without: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__ if name not in without}


def _provider_key(row: dict[str, Any]) -> StoredProviderKey:
    ok = row["probe_ok"]
    return StoredProviderKey(**{**row, "probe_ok": None if ok is None else bool(ok)})


def _virtual_key(row: dict[str, Any]) -> StoredVirtualKey:
    told = {
        "models": tuple(json.loads(row["models"])),
        "cache": bool(row["cache"]),
        "admin": bool(row["admin"]),
    }
    return StoredVirtualKey(**{**row, **told, "digest": bytes(row["digest"])})
