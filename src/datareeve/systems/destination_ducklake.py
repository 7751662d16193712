"""A DuckLake as a destination: rows, cursor and epoch are tables of one catalog, and commit in one of its transactions.

Its snapshots are isolated, so looking at the epoch is not enough: what was read may be old when the commit comes. Every commit therefore *writes* the
pipeline's state, and of two that write it at once the catalog lets only one through.
"""

from __future__ import annotations

import json
import random
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from datareeve.core import clock
from datareeve.core.errors import DatareeveError, Unreachable
from datareeve.systems.destination import STATE, TABLES, Held
from datareeve.systems.destination_duckdb import LOOK_SECONDS, WAIT_SECONDS, DuckdbDestination
from datareeve.systems.ducklake import state_table
from datareeve.systems.mover import literal, qualified
from datareeve.systems.mover_errors import fenced, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.systems.ducklake import Ducklake
    from datareeve.systems.mover import Mover

STATE_COLUMNS = "epoch BIGINT NOT NULL, ledger VARCHAR NOT NULL, fence BIGINT NOT NULL, run VARCHAR NOT NULL, build VARCHAR, published VARCHAR, moment VARCHAR NOT NULL, touched BIGINT NOT NULL"
CONFLICT = "pipelines.conflict"


class DucklakeDestination(DuckdbDestination):
    """One DuckLake."""

    @classmethod
    def attached(cls, lake: Ducklake, mover: Mover, must_hold: Callable[[], None]) -> DucklakeDestination:
        """The lake, attached to a mover. Errors: `Unreachable` `pipelines.locked`, `pipelines.no-folder`."""
        until = time.monotonic() + WAIT_SECONDS
        try:
            while not _tried(lake, mover, until):
                time.sleep(LOOK_SECONDS)
        except BaseException:
            mover.close()
            raise
        return cls(lake.name, mover, must_hold)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Destination`."""
        with translated(self.name):
            self.mover.execute("BEGIN TRANSACTION")
            try:
                yield
                self.mover.execute("COMMIT")
            except BaseException as error:
                with suppress(Exception):  # what ended the transaction already says more
                    self.mover.execute("ROLLBACK")
                if type(error).__name__ == "TransactionException" and "conflict" in str(error).lower():
                    raise _conflict(self.name) from None
                raise

    def prepare(self) -> None:
        """See `Destination`: DuckLake has no keys, so the state has no table of all pipelines."""
        if self.columns(STATE, "rejected"):
            return
        with self.transaction():
            self.run(f"CREATE SCHEMA IF NOT EXISTS {STATE}")
            for statement in TABLES[1:]:
                self.run(statement)

    # -- state -----------------------------------------------------------------------------------------------------------------------

    def claim(self, pipeline: str, *, ledger: str, fence: int, run: str) -> Held:
        """See `Destination`. Two that claim at once: one is first, and the other sees it and claims after it."""
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self._claimed(pipeline, ledger, fence, run)
            except DatareeveError as error:
                if error.code not in (CONFLICT, "pipelines.statement") or time.monotonic() > until:
                    raise
                time.sleep(LOOK_SECONDS * random.random())  # noqa: S311 - that they do not meet again

    def _claimed(self, pipeline: str, ledger: str, fence: int, run: str) -> Held:
        self.prepare()
        table, ours = _state(pipeline), literal(ledger)
        if not self.columns(STATE, state_table(pipeline)):
            with self.transaction():  # of two that make it, the catalog takes one
                self.run(f"CREATE TABLE {table} ({STATE_COLUMNS})")
                self.run(f"INSERT INTO {table} VALUES (0, {ours}, 0, '', NULL, NULL, '', 0)")
        with self.transaction():
            taken = self.changed(
                f"UPDATE {table} SET epoch = epoch + 1, ledger = {ours}, fence = {fence:d}, run = {literal(run)}, moment = {literal(clock.stamp())} "
                f"WHERE NOT (ledger = {ours} AND fence > {fence:d})"
            )
            found = self.run(f"SELECT epoch, build, published FROM {table}")
        if not taken:
            raise fenced(pipeline)
        epoch, build, published = found[0]
        return Held(pipeline, int(epoch), json.loads(build or "{}"), json.loads(published or "{}"))

    @contextmanager
    def commit(self, held: Held) -> Iterator[None]:
        """See `Destination`: a conflict about the state is another worker's claim."""
        try:
            with super().commit(held):
                yield
        except DatareeveError as error:
            if error.code == CONFLICT and self._epoch(held.pipeline) != held.epoch:
                raise fenced(held.pipeline) from None
            raise

    def check(self, held: Held) -> None:
        """See `Destination`: the state is written, so that a claim meanwhile keeps this transaction from committing."""
        touched = f"UPDATE {_state(held.pipeline)} SET touched = touched + 1 WHERE epoch = {held.epoch:d}"
        if not self.changed(touched):
            raise fenced(held.pipeline)

    def record(
        self, held: Held, *, build: dict[str, Any] | None = None, published: dict[str, Any] | None = None
    ) -> None:
        """See `Destination`."""
        news = {"build": build, "published": published}
        sets = [f"{name} = {literal(json.dumps(value))}" for name, value in news.items() if value is not None]
        self.run(
            f"UPDATE {_state(held.pipeline)} SET {', '.join((*sets, f'moment = {literal(clock.stamp())}'))}"
        )

    def _epoch(self, pipeline: str) -> int:
        return int(self.run(f"SELECT epoch FROM {_state(pipeline)}")[0][0])

    # -- tables ----------------------------------------------------------------------------------------------------------------------

    def remove(self, schema: str | None, name: str) -> None:
        """See `Destination`: DuckLake drops nothing with what rests on it, and nothing needs it to: views go by names."""
        if kind := self.kind_of(schema, name):
            self.run(f"DROP {kind} {self.table(schema, name)}")

    def dependents(self, schema: str | None, table: str) -> list[str]:
        """See `Destination`: there are no keys and references, and views go by names."""
        del schema, table
        return []

    def anew(self, schema: str | None, table: str) -> bool:
        """See `Destination`: an update tells the lake's feed of changes which row became which."""
        del schema, table
        return False

    def adopt(self, schema: str | None, old: str, new: str) -> list[str]:
        """See `Destination`: there are no indexes."""
        del schema, old, new
        return []


def _state(pipeline: str) -> str:
    return qualified(STATE, state_table(pipeline))


def _conflict(name: str) -> Unreachable:
    return Unreachable(
        CONFLICT,
        f"{name}: another writer changed the same tables at the same time.",
        "Nothing of this was committed; the next run goes on at the last committed batch.",
    )


def _tried(lake: Ducklake, mover: Mover, until: float) -> bool:
    try:
        with translated(lake.name):
            if lake.lake.engine != "postgres":
                lake.catalog_file.parent.mkdir(parents=True, exist_ok=True)
            lake.attach(mover.connection)
    except OSError as error:
        raise Unreachable("pipelines.no-folder", f"{lake.name}: its folder cannot be made ({error.strerror}).", "Correct the path.") from None  # fmt: skip
    except DatareeveError as error:
        if error.code != "pipelines.locked" or time.monotonic() > until:
            raise
        return False
    return True
