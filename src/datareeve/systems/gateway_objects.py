"""What providers keep for clients of the gateway (files, batches, answers): whose it is and where it lies, in the gateway's store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from datareeve.systems.gateway_batches import closed
from datareeve.systems.gateway_store import SQL

if TYPE_CHECKING:
    from datareeve.systems.gateway_store import GatewayStore


@dataclass(frozen=True, slots=True)
class KeptObject:
    """A file, a batch or an answer. `virtual_key` and `team`: whose; `provider_key`: under which it was made."""

    id: str
    virtual_key: str
    team: str
    provider: str
    provider_key: str
    microusd: int = 0  # what a batch of it may cost at most, of a file
    owed: int = 0  # 1: what it used is counted when it is first seen finished
    expires_at: float | None = None  # Unix seconds; None: not before it is deleted


def add_objects(store: GatewayStore, objects: list[KeptObject]) -> None:
    """Remember whose these are; those that are known stay as they are. Errors: those of the store."""
    with store.transaction() as t:
        now = t.now()
        for found in objects:
            t.run(SQL["add_object"], **asdict(found), at=now)


def forget_objects(store: GatewayStore) -> None:
    """Let go of what providers no longer keep. Errors: those of the store."""
    with store.transaction() as t:
        t.run(SQL["forget_objects"], now=t.now())


def object_of(store: GatewayStore, name: str) -> KeptObject | None:
    """The object of that id; None where the gateway does not know it."""
    with store.reading() as t:
        row = t.one(SQL["object"], id=name)
    return KeptObject(**row) if row is not None else None


def objects_of(store: GatewayStore, names: list[str]) -> dict[str, KeptObject]:
    """Those of these ids that the gateway knows."""
    with store.reading() as t:
        rows = [t.one(SQL["object"], id=name) for name in names]
    return {row["id"]: KeptObject(**row) for row in rows if row is not None}


def count_object(store: GatewayStore, name: str) -> bool:
    """Whether what it used is to be counted now: true for exactly one caller."""
    with store.transaction() as t:
        first = t.run(SQL["count_object"], id=name, at=t.now()) == 1
        if first:
            closed(t, name)  # what it may cost is known from now on
        return first
