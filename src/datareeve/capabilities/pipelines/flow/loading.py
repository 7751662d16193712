"""A load: the rows of a source into a table beside the published one, a batch at a time, each committed with what is known of it."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from datareeve.capabilities.pipelines.flow.following import Following
from datareeve.capabilities.pipelines.flow.names import incoming, keys, next_
from datareeve.capabilities.pipelines.flow.shaping import Shape
from datareeve.capabilities.pipelines.flow.taking import CarefulRows, KeyRows, PartRows
from datareeve.core.errors import Refused
from datareeve.systems.destination import Batch
from datareeve.systems.mover import identifier, literal
from datareeve.systems.mover_errors import Unreadable
from datareeve.systems.row_source import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.pipelines.spec import Load
    from datareeve.core.amounts import Amount
    from datareeve.systems.destination import Destination, Held
    from datareeve.systems.destination_postgres import PostgresDestination
    from datareeve.systems.row_source import RowSource
    from datareeve.systems.table_source_postgres import PostgresTable


class Loading:
    """One load of one build."""

    def __init__(  # noqa: PLR0913 - what it rests on
        self,
        destination: Destination,
        source: RowSource,
        held: Held,
        *,
        name: str,
        load: Load,
        schema: str | None,
        window: dict[str, str] | None = None,
        replayed: str = "",
        tell: Callable[[Amount], None] | None = None,
    ) -> None:
        self._tell = tell
        self._there, self._source, self._held = destination, source, held
        self._name, self._load, self._schema = name, load, schema
        self._window = window  # what is loaded once more: a backfill, which does not move the cursor
        self._replayed = replayed  # rows that were rejected until then are loaded once more
        self._build: dict[str, Any] = held.build
        self._rows = self._rejected = 0

    def run(self, shaper: Callable[[], Shape], *, first: bool) -> dict[str, Any]:
        """Load what is new; gives figures. What an earlier worker committed is not read again.

        `shaper` is asked once the source was read: what is fetched first is known whole only then.
        """
        known = self._build["loads"].get(self._name)
        if known is None:
            known = self._begin(shaper, first=first)
        if not known.get("done"):
            self._take(known, Shape.model_validate(known["shape"]))
            self._take_keys(Shape.model_validate(known["shape"]))
            known = self._end(known)
        return {
            name: known[name]
            for name in ("rows", "rejected", "seconds", "parts_read", "mode", "stated", "warnings")
            if name in known
        }

    # -- beginning and ending ----------------------------------------------------------------------------------------------------------

    def _begin(self, shaper: Callable[[], Shape], *, first: bool) -> dict[str, Any]:
        position = (self._held.published.get("loads", {}).get(self._name) or {}).get("position")
        reading = self._source.reading(self._there.mover, position, self._load.batch_rows)
        shape = shaper()
        as_it_is = straight(self._load, first=first)
        table = next_(self._target) if as_it_is else incoming(self._target)
        known = {"table": table, "first": first, "mode": self._load.mode, "shape": shape.model_dump(mode="json"), "position": None if self._window or self._replayed else reading.position, "replayed": self._replayed, "window": self._window,
                 "parts": [asdict(part) for part in reading.parts], "target": self._target, "stated": reading.stated, "warnings": [*reading.warnings, *shape.notes],
                 "began": time.time()}  # fmt: skip
        types = {one.name: one.type for one in shape.columns}
        if (
            self._load.mode == "full" and shape.missing
        ):  # the table takes the published one's place: they stay, without values
            there = self._there.columns(self._schema, self._target)
            types.update({name: there[name] for name in shape.missing})
        columns = ", ".join(f"{identifier(name)} {type_}" for name, type_ in types.items())
        with self._there.commit(self._held):
            self._there.begin_load(self._schema, table, columns, self._target if as_it_is else "")
            self._keep(known)
        return known

    def _end(self, known: dict[str, Any]) -> dict[str, Any]:
        percent = 100 * self._rejected / max(1, self._rows + self._rejected)
        self._within(self._rejected, percent)
        done = {**known, "done": True, "rows": self._rows, "rejected": self._rejected, "parts_read": len(known["parts"]),
                "seconds": round(time.time() - known["began"], 3), "parts": []}  # fmt: skip
        with self._there.commit(self._held):
            self._keep(done)
        return done

    def _keep(self, known: dict[str, Any]) -> None:
        self._build["loads"][self._name] = known
        self._there.record(self._held, build=self._build)

    @property
    def _target(self) -> str:
        return (self._load.to or self._name).rpartition(".")[2]

    # -- taking ------------------------------------------------------------------------------------------------------------------------

    def _take(self, known: dict[str, Any], shape: Shape) -> None:
        committed = self._there.batches(self._held, self._build["id"], self._name)
        self._rows = sum(rows for rows, _ in committed.values())
        self._rejected = sum(rejected for _, rejected in committed.values())
        parts = [Part(**part) for part in known["parts"] if part["id"] not in committed]
        into = self._there.moved(self._schema, known["table"])
        self._there.ready()
        if self._load.parallel:
            self._there.mover.execute(f"SET threads = {self._load.parallel:d}")
        self._source.columns(self._there.mover)
        following = Following(
            [Part(**part) for part in known["parts"]], parts, self._rows + self._rejected, self._tell
        )
        for part in parts:
            began = time.monotonic()
            with following.of(part, self._there.mover):
                rows, rejected = self._batch(part, into, shape)
            following.done(part, rows + rejected)
            self._rows, self._rejected = self._rows + rows, self._rejected + rejected
            self._throttle(rows + rejected, time.monotonic() - began)

    def _take_keys(self, shape: Shape) -> None:
        """All keys that the source has now, where rows that it no longer has are to be known."""
        batch = Batch(self._build["id"], self._name, "all keys")
        if (
            self._replayed
            or self._load.deletes == "keep"
            or batch.part in self._there.batches(self._held, batch.build, batch.load)
        ):
            return
        kept = [one for one in shape.columns if one.name in self._load.keys]
        table, mover = keys(self._target), self._there.mover
        relation = self._source.keys_relation(mover, tuple(one.source for one in kept))
        if not relation:
            raise Refused(
                "pipelines.no-deletes",
                f"{self._name}: this source cannot tell which rows it no longer has.",
                "Give deletes: keep.",
            )
        columns = ", ".join(f"{identifier(one.name)} {one.type}" for one in kept)
        with self._there.commit(self._held):
            self._there.run(f"DROP TABLE IF EXISTS {self._there.table(self._schema, table)}")
            self._there.run(f"CREATE TABLE {self._there.table(self._schema, table)} ({columns})")
        self._there.ready()
        self._there.insert(self._held, batch, self._there.moved(self._schema, table), KeyRows(relation, kept))

    def _batch(self, part: Part, into: str, shape: Shape) -> tuple[int, int]:
        batch = Batch(self._build["id"], self._name, part.id)
        keys = self._load.keys
        if shape.native:
            return self._natively(part, batch, shape), 0
        try:
            return self._there.insert(
                self._held, batch, into, PartRows(self._there.mover, self._source, part, shape, keys)
            )
        except Unreadable:
            return self._carefully(part, batch, into, shape)

    def _natively(self, part: Part, batch: Batch, shape: Shape) -> int:
        """From PostgreSQL to PostgreSQL: what the one sends is what the other takes."""
        source, there = cast("PostgresTable", self._source), cast("PostgresDestination", self._there)
        table = there.table(self._schema, self._build["loads"][self._name]["table"])
        columns = ", ".join(map(identifier, shape.names))
        select = source.native(part, [one.source for one in shape.columns])
        return there.copy(self._held, batch, f"{table} ({columns})", source.connection, select)

    def _carefully(self, part: Part, batch: Batch, into: str, shape: Shape) -> tuple[int, int]:
        rows = CarefulRows(
            self._there.mover, self._source, part, shape, keys=self._load.keys, dialect=self._there.dialect
        )
        try:
            limited = _Limited(rows, self._rejected, self._load.rejects.at_most_rows, self._refused)
            return self._there.insert(
                self._held, batch, into, limited if not self._load.rejects.at_most_percent else rows
            )
        finally:
            rows.drop()

    def _within(self, rejected: int, percent: float) -> None:
        allowed = self._load.rejects
        if rejected > allowed.at_most_rows and percent > allowed.at_most_percent:
            raise self._refused(self._reasons(), rejected)

    def _reasons(self) -> dict[str, int]:
        own = f"pipeline = {literal(self._held.pipeline)} AND build = {literal(self._build['id'])} AND load = {literal(self._name)}"
        found = self._there.run(
            f"SELECT reason, count(*) FROM datareeve.rejected WHERE {own} GROUP BY reason ORDER BY 2 DESC, 1 LIMIT 20"
        )
        return {str(reason): int(count) for reason, count in found}

    def _refused(self, reasons: dict[str, int], rejected: int) -> Refused:
        why = "; ".join(f"{count} rows: {reason}" for reason, count in reasons.items())
        return Refused(
            "pipelines.too-many-rejects",
            f"{self._name}: {rejected} rows cannot be taken, which is more than the pipeline allows{f' ({why})' if why else ''}.",
            f"Correct them at the source, give the columns another type, or allow rejects: loads.{self._name}.rejects.",
        )

    def _throttle(self, rows: int, seconds: float) -> None:
        if self._load.rows_per_second:
            time.sleep(max(0.0, rows / self._load.rows_per_second - seconds))


def straight(load: Load, *, first: bool) -> bool:
    """Whether the rows that come are what will be published, as they are."""
    return load.mode == "full" or (first and load.mode in ("append", "upsert") and load.deletes != "mark")


class _Limited:
    """Careful rows, of which no more may be rejected than is allowed: before anything of the batch is committed."""

    def __init__(self, rows: CarefulRows, before: int, most: int, refused: Any) -> None:
        self._rows, self._before, self._most, self._refused = rows, before, most, refused
        self.columns = rows.columns

    def taken(self) -> str:
        """See `Rows`."""
        selected = self._rows.taken()
        reasons = self._rows.reasons()
        if self._before + sum(reasons.values()) > self._most:
            raise self._refused(reasons, self._before + sum(reasons.values()))
        return selected

    def rejected(self) -> str:
        """See `Rows`."""
        return self._rows.rejected()

    def still(self) -> None:
        """See `Rows`."""
        self._rows.still()
