"""Where a pipeline writes: a database that holds the tables, and beside them how far the pipeline came.

Rows and what is known of them commit in one transaction. Every commit is fenced: it checks that the pipeline's *epoch* is still the one that this
worker was given when it claimed the pipeline, so that a worker that slept while another took over can commit nothing.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from datareeve.core import clock
from datareeve.systems.mover import identifier, literal, qualified
from datareeve.systems.mover_errors import fenced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.systems.mover import Mover

STATE = "datareeve"  # the schema of what is known
TABLES = (
    """CREATE TABLE IF NOT EXISTS datareeve.pipelines (pipeline TEXT PRIMARY KEY, epoch BIGINT NOT NULL, ledger TEXT NOT NULL, fence BIGINT NOT NULL,
 run TEXT NOT NULL, build TEXT, published TEXT, moment TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS datareeve.batches (pipeline TEXT NOT NULL, build TEXT NOT NULL, load TEXT NOT NULL, part TEXT NOT NULL,
 row_count BIGINT NOT NULL, rejected BIGINT NOT NULL, moment TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS datareeve.rejected (pipeline TEXT NOT NULL, load TEXT NOT NULL, build TEXT NOT NULL, part TEXT NOT NULL,
 place TEXT, reason TEXT NOT NULL, source_row TEXT, moment TEXT NOT NULL)""",
)


@dataclass(frozen=True)
class Held:
    """The right to write for a pipeline, until somebody else claims it."""

    pipeline: str
    epoch: int
    build: dict[str, Any] = field(default_factory=dict)  # what is being built, as it stands
    published: dict[str, Any] = field(default_factory=dict)  # what is published


@dataclass(frozen=True)
class Batch:
    """What is recorded of a part that commits."""

    build: str
    load: str
    part: str


class Rows(Protocol):
    """The rows of a batch. Asked for within the transaction that writes them."""

    columns: tuple[str, ...]

    def taken(self) -> str:
        """A SELECT of the mover: the rows that are inserted."""

    def rejected(self) -> str:
        """A SELECT of place, reason and row, of what goes to quarantine; '' where nothing does."""

    def still(self) -> None:
        """Asked before the commit. Errors: where what was read is no longer what it was."""


class Destination(ABC):
    """A database that is written to. Statements are in its own SQL, but for what rows are inserted from: that is read by the mover."""

    dialect = ""
    row_place = ""  # what the engine calls the place of a row
    published_as = "tables"  # or "files"
    schemas = "SELECT 1 FROM duckdb_schemas() WHERE database_name = current_database() AND schema_name"

    def __init__(self, name: str, mover: Mover, must_hold: Callable[[], None]) -> None:
        self.name = name
        self.mover = mover
        self._must_hold = must_hold

    # -- what engines differ in ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement in the open transaction, or in its own; gives its rows, if it has any."""

    @abstractmethod
    def changed(self, sql: str) -> int:
        """Run one INSERT, UPDATE or DELETE; gives how many rows it was about."""

    @abstractmethod
    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction: all of it, or nothing."""

    @abstractmethod
    def columns(self, schema: str | None, table: str) -> dict[str, str]:
        """A table's columns and their types as the engine writes them; none where there is no such table."""

    @abstractmethod
    def insert(self, held: Held, batch: Batch, into: str, rows: Rows) -> tuple[int, int]:
        """Insert what the mover selects, and record the batch, in one fenced transaction; gives how many were taken and rejected."""

    @abstractmethod
    def dependents(self, schema: str | None, table: str) -> list[str]:
        """What would not follow the table's name to another table: views, references, triggers."""

    @abstractmethod
    def adopt(self, schema: str | None, old: str, new: str) -> list[str]:
        """Give a table what stands around the one whose place it takes: indexes, keys, rights. In the open transaction.

        Gives what is to be run when it has taken the place.
        """

    @abstractmethod
    def ready(self) -> None:
        """Tables were made: the mover is to see them."""

    def make_schema(self, schema: str) -> None:
        """Make a schema, where there is none, in the open transaction. What is asked for first needs no right to make one."""
        if not self.run(f"{self.schemas} = {literal(schema)}"):
            self.run(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")

    def begin_load(self, schema: str | None, table: str, columns: str, target: str) -> None:
        """Make the table that a load's rows go into; `target`: what they will be published as, as they are, or ''."""
        del target
        self.run(f"DROP TABLE IF EXISTS {self.table(schema, table)}")
        self.run(f"CREATE TABLE {self.table(schema, table)} ({columns})")

    def settle(self, held: Held, table: str, beside: str, came: str, *, only_comes: bool) -> None:
        """What `table` will be stands ready as `beside`; rows that come to it, in `came`. Asked in the transaction that made them."""
        del held, table, beside, came, only_comes

    def looked_at(self, schema: str | None, table: str) -> None:
        """Have the engine look at the values of a table that was just filled: by them it chooses how to join it."""
        del schema, table

    def anew(self, schema: str | None, table: str) -> bool:
        """Whether changed rows are better removed and added than updated: where updating is slow and nothing points to a row."""
        del schema, table
        return False

    @abstractmethod
    def is_json(self, expression: str) -> str:
        """The condition that a text is JSON."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""

    def remove(self, schema: str | None, name: str) -> None:
        """Drop a table or a view, whichever it is, with the views upon it; quiet where there is none."""
        if kind := self.kind_of(schema, name):
            self.run(f"DROP {kind} {self.table(schema, name)} CASCADE")

    @abstractmethod
    def kind_of(self, schema: str | None, name: str) -> str:
        """'TABLE', 'VIEW', or '' where there is nothing of that name."""

    @abstractmethod
    def view_text(self, schema: str | None, name: str) -> str:
        """The SELECT of a view; '' where there is none of that name."""

    # -- names -----------------------------------------------------------------------------------------------------------------------

    def table(self, schema: str | None, name: str) -> str:
        """A table as the destination's own SQL names it."""
        return qualified(schema, name)

    def moved(self, schema: str | None, name: str) -> str:
        """The same table as the mover names it."""
        return qualified(schema, name)

    # -- state -----------------------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the tables of what is known, where there are none."""
        self.run(f"CREATE SCHEMA IF NOT EXISTS {STATE}")
        for statement in TABLES:
            self.run(statement)

    def claim(self, pipeline: str, *, ledger: str, fence: int, run: str) -> Held:
        """Take the right to write; whoever had it can commit no more. Errors: `LeaseLost` where a newer lease of the same ledger has it."""
        self.prepare()
        name, ours = literal(pipeline), literal(ledger)
        with self.transaction():
            self.run(
                f"INSERT INTO datareeve.pipelines VALUES ({name}, 0, {ours}, 0, '', NULL, NULL, '') ON CONFLICT DO NOTHING"
            )
            found = self.run(
                f"UPDATE datareeve.pipelines SET epoch = epoch + 1, ledger = {ours}, fence = {fence:d}, run = {literal(run)}, moment = {literal(clock.stamp())} "
                f"WHERE pipeline = {name} AND NOT (ledger = {ours} AND fence > {fence:d}) RETURNING epoch, build, published"
            )
        if not found:
            raise fenced(pipeline)
        epoch, build, published = found[0]
        return Held(pipeline, int(epoch), json.loads(build or "{}"), json.loads(published or "{}"))

    @contextmanager
    def commit(self, held: Held) -> Iterator[None]:
        """A transaction that commits only while the right to write is held. Errors: `LeaseLost` `pipelines.fenced`."""
        with self.transaction():
            self.check(held)
            yield
            self._must_hold()

    def check(self, held: Held) -> None:
        """Lock the pipeline's row, and see that nobody claimed it since."""
        lock = " FOR UPDATE" if self.dialect == "postgres" else ""
        found = self.run(
            f"SELECT 1 FROM datareeve.pipelines WHERE pipeline = {literal(held.pipeline)} AND epoch = {held.epoch:d}{lock}"
        )
        if not found:
            raise fenced(held.pipeline)

    def record(
        self, held: Held, *, build: dict[str, Any] | None = None, published: dict[str, Any] | None = None
    ) -> None:
        """Write what is known, in the open transaction."""
        news = {"build": build, "published": published}
        sets = [f"{name} = {literal(json.dumps(value))}" for name, value in news.items() if value is not None]
        self.run(
            f"UPDATE datareeve.pipelines SET {', '.join((*sets, f'moment = {literal(clock.stamp())}'))} WHERE pipeline = {literal(held.pipeline)}"
        )

    def batches(self, held: Held, build: str, load: str) -> dict[str, tuple[int, int]]:
        """The parts that are committed, with their rows and rejected rows."""
        found = self.run(
            "SELECT part, row_count, rejected FROM datareeve.batches "
            f"WHERE pipeline = {literal(held.pipeline)} AND build = {literal(build)} AND load = {literal(load)}"
        )
        return {part: (int(rows), int(rejected)) for part, rows, rejected in found}

    def forget_batch(self, held: Held, batch: Batch) -> None:
        """Remove what is recorded of a batch that is done again, in the open transaction."""
        self.run(
            f"DELETE FROM datareeve.batches WHERE pipeline = {literal(held.pipeline)} AND load = {literal(batch.load)} AND part = {literal(batch.part)}"
        )

    def forget_batches(self, held: Held) -> None:
        """Remove what is recorded of batches, once their build is published or dropped."""
        self.run(f"DELETE FROM datareeve.batches WHERE pipeline = {literal(held.pipeline)}")

    def quarantine(self, held: Held, batch: Batch, rows: str) -> str:
        """The mover's statement that puts rejected rows in quarantine."""
        texts = ", ".join(literal(text) for text in (held.pipeline, batch.load, batch.build, batch.part))
        into = self.moved(STATE, "rejected")
        return f"INSERT INTO {into} SELECT {texts}, place, reason, source_row, {literal(clock.stamp())} FROM ({rows})"

    def batch_row(self, held: Held, batch: Batch, rows: str, rejected: int = 0) -> str:
        """The statement that records a batch; `rows` an SQL expression."""
        texts = ", ".join(literal(text) for text in (held.pipeline, batch.build, batch.load, batch.part))
        return (
            f"INSERT INTO datareeve.batches VALUES ({texts}, {rows}, {rejected:d}, {literal(clock.stamp())})"
        )
