"""Batches on their way, in the gateway's store: what each may still cost is held there for all processes, over restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datareeve.systems.store_database import named_statements

if TYPE_CHECKING:
    from datareeve.systems.gateway_store import GatewayStore
    from datareeve.systems.store_database import Transaction

SQL = named_statements("gateway_batches.sql")
UNNAMED_SECONDS = (
    86_400.0  # a batch whose name we never heard is at its end within a day, as providers promise
)
KEPT_SECONDS = 31 * 86_400.0  # results can be read for thirty days
HANDOVER_SECONDS = 1.0  # in which every process looks what is held


@dataclass(frozen=True, slots=True)
class KeptBatch:
    """A batch, or a file for one. `model`: the name that its requests ask for; `held`: micro-dollars that it may still cost, `most` at first."""

    id: str
    virtual_key: str
    key_name: str
    team: str
    protocol: str
    model: str
    held: int
    most: int = 0
    results: str = ""  # the file with its results, where that is another object


def add_batch(store: GatewayStore, batch: KeptBatch, seconds: float = UNNAMED_SECONDS) -> None:
    """Hold for it, so long at most. Errors: those of the store, here and below."""
    with store.transaction() as t:
        values = {
            name: getattr(batch, name) for name in KeptBatch.__slots__ if name not in ("most", "results")
        }
        t.run(SQL["add_batch"], **values, until=t.now() + seconds)
        t.run(SQL["forget_batches"], now=t.now())


def name_batch(store: GatewayStore, unnamed: str, name: str) -> None:
    """It was made, and is known by that name from now on."""
    with store.transaction() as t:
        t.run(SQL["name_batch"], id=unnamed, name=name, until=t.now() + KEPT_SECONDS)


def drop_batch(store: GatewayStore, name: str) -> None:
    """It was not made."""
    with store.transaction() as t:
        t.run(SQL["drop_batch"], id=name)


def batch_of(store: GatewayStore, name: str) -> KeptBatch | None:
    """The batch of that name, or whose results are in the file of that name."""
    with store.reading() as t:
        row = t.one(SQL["batch"], name=name)
    return _batch(row) if row is not None else None


def end_batch(store: GatewayStore, name: str, *, held: int, results: str) -> None:
    """It is at its end, and no more than `held` is still to be paid for it."""
    with store.transaction() as t:
        t.run(SQL["end_batch"], id=name, held=held, results=results)


def close_batch(store: GatewayStore, name: str) -> bool:
    """It holds nothing any more; whether it did."""
    with store.transaction() as t:
        return closed(t, name)


def closed(t: Transaction, name: str) -> bool:
    """The same within a transaction. Not at once: what it cost must have reached every process before."""
    return t.run(SQL["close_batch"], name=name, until=t.now() + HANDOVER_SECONDS) > 0


def open_batches(store: GatewayStore) -> dict[str, KeptBatch]:
    """Those that may still cost something, by id."""
    with store.reading() as t:
        rows = t.rows(SQL["open_batches"], now=t.now())
    return {row["id"]: _batch(row) for row in rows}


def _batch(row: dict[str, Any]) -> KeptBatch:
    return KeptBatch(**row)
