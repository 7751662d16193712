"""Candidates on a copy: built there, the recorded statements run with one choice of them after another, and judged by what the workload would miss.

The planner's estimate decides what is built; it does not rank the advice. An index costs bytes, and time on every written row: both are measured
on the copy as well.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.index_facts import Candidate  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.databases.index_search import Limits, Search, Taken, Weight
from datareeve.core.errors import DatareeveError
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from datareeve.capabilities.databases.index_facts import Situation
    from datareeve.core.operation import Copy

ROUNDS = 3  # interleaved, with and without
ROWS_WRITTEN = 5000
BUILD_SECONDS = 90.0  # candidates that are not begun by then are not tried
FIRST_SECONDS = 60.0  # families that are not begun by then are left out
SEARCH_SECONDS = 150.0  # plans that were not executed by then are estimated
FLOOR_FACTOR, LEAST_LONGEST_MS = (
    20.0,
    2000.0,
)  # a statement that takes so many times what it takes with all candidates is given up

FIGURES = ("cpu_ms", "ms", "buffers", "wal_bytes")


class Tried(Value):
    """One candidate after the trial. `saved_ms`: what the workload loses without it; `why_not` says why it is not advised."""

    candidate: Candidate
    bytes: int = 0
    build_seconds: float = 0.0
    write_percent: float | None = None  # what inserting a row of its table takes more
    families: tuple[str, ...] = ()  # those whose plans used it
    saved_ms: float = 0.0
    why_not: str = ""


class FamilyEffect(Value):
    """One family on the copy, without and with the advised indexes: medians for one call. None where it could not be run."""

    fingerprint: str
    calls: int
    is_floor_before: bool = False  # it was given up: without the indexes it takes longer than that
    cpu_ms_before: float | None
    cpu_ms_after: float | None
    ms_before: float | None
    ms_after: float | None
    buffers_before: float | None
    buffers_after: float | None
    wal_bytes_before: float | None
    wal_bytes_after: float | None


class TableWrites(Value):
    """What writing a row of a table takes on the copy, without and with the advised indexes: microseconds of CPU and bytes of WAL."""

    table: str
    cpu_us_before: float | None
    cpu_us_after: float | None
    wal_bytes_before: float | None
    wal_bytes_after: float | None


class Trial(Value):
    """What the copy taught."""

    tried: tuple[Tried, ...]
    families: tuple[FamilyEffect, ...]
    writes: tuple[TableWrites, ...] = ()
    differs: str = ""
    families_left_out: int = 0  # for want of time, or because they cannot be run: those that weigh least

    @property
    def advised(self) -> tuple[Tried, ...]:
        """The candidates that earned their place."""
        return tuple(one for one in self.tried if not one.why_not)

    def workload_ms(self, which: str) -> float:
        """The whole workload's time on the copy, 'before' or 'after': each family's time times its calls."""
        total = sum((getattr(family, f"cpu_ms_{which}") or 0.0) * family.calls for family in self.families)
        return round(total, 1)


class Built(Value):
    """A candidate as it stands on the copy."""

    name: str  # quoted, with its schema
    plain: str  # as plans write it
    candidate: Candidate
    bytes: int
    seconds: float


def run(candidates: tuple[Candidate, ...], situation: Situation, copy: Copy, limits: Limits) -> Trial:
    """Try candidates on the copy; nothing of it is left there."""
    with _built(candidates, copy) as (built, failed):
        return _Judge(built, situation, copy, limits).trial(failed)


@contextmanager
def _built(candidates: tuple[Candidate, ...], copy: Copy) -> Iterator[tuple[list[Built], list[Tried]]]:
    built: list[Built] = []
    failed: list[Tried] = []
    deadline = time.monotonic() + BUILD_SECONDS
    try:
        for number, candidate in enumerate(candidates):
            if time.monotonic() > deadline:
                failed.append(
                    Tried(candidate=candidate, why_not="There was no time to build it on the copy.")
                )
                continue
            try:
                built.append(_build(number, candidate, copy))
            except DatareeveError as error:
                failed.append(Tried(candidate=candidate, why_not=f"It cannot be built: {error.what}"))
        yield built, failed
    finally:
        for one in built:
            copy.perform("execute", sql=f"DROP INDEX IF EXISTS {one.name}")


def _build(number: int, candidate: Candidate, copy: Copy) -> Built:
    plain = f"datareeve_trial_{number}"
    began = time.monotonic()
    copy.perform("execute", sql=candidate.operation(copy.name, plain).statement(concurrently=False))
    seconds = time.monotonic() - began
    name = sql.identifier(candidate.schema_name, plain)
    if "(" in "".join(candidate.keys):  # an expression has statistics only once they are gathered
        table = sql.identifier(candidate.schema_name, candidate.table)
        copy.perform("execute", sql=f"ANALYZE {table}")
    size = copy.read("query", sql=sql.load("index_tree_size"), parameters={"name": name}, shape="scalar")
    return Built(name=name, plain=plain, candidate=candidate, bytes=int(size or 0), seconds=round(seconds, 3))


class _Judge:
    """Decides which of the built indexes are worth having."""

    def __init__(self, built: list[Built], situation: Situation, copy: Copy, limits: Limits) -> None:
        self.situation = situation
        self.built = {one.plain: one for one in built}
        self.names = {one.plain: one.name for one in built}
        self.calls = {f.fingerprint: max(f.calls, 1) for f in situation.workload.families}
        self.copy = copy
        self.limits = limits
        self.began = time.monotonic()
        self.longest: dict[str, float] = {}
        self.writes: dict[str, dict[str, dict[str, Any]]] = {}  # by table: '' without, else with that index

    def trial(self, failed: list[Tried]) -> Trial:
        """Search, then run the workload once more with and without what is left."""
        fingerprints = self._runnable()
        weights = self._weights()
        search = Search(weights, self._tables_of(fingerprints), self._costs, self.limits)
        kept = search.run()
        before, after = self._compared(fingerprints, kept)
        tried = [self._tried(plain, search, weights) for plain in self.built]
        ordered = sorted(tried, key=lambda t: (bool(t.why_not), -t.saved_ms, t.candidate.subject))
        return Trial(
            tried=(*ordered, *failed),
            families=tuple(self._effect(f, before[f], after[f]) for f in fingerprints),
            writes=self._written(kept),
            differs=str(getattr(self.copy, "differs", "")),
            families_left_out=len(self.situation.needs) - len(fingerprints),
        )

    def _runnable(self) -> list[str]:
        """Everything is visible at first: what a family takes then bounds how long it is waited for without."""
        for need in sorted(self.situation.needs, key=lambda n: -self.situation.time_of(n)):
            if time.monotonic() - self.began > FIRST_SECONDS:
                break
            run = self.copy.read("evaluate", hidden=[], fingerprints=[need.fingerprint])[need.fingerprint]
            if run["cpu_ms"] is not None:
                self.longest[need.fingerprint] = max(LEAST_LONGEST_MS, FLOOR_FACTOR * run["ms"])
        return list(self.longest)

    def _tables_of(self, fingerprints: list[str]) -> dict[str, frozenset[str]]:
        return {f: tables for f, tables in self.situation.tables_of().items() if f in fingerprints}

    def _costs(self, choice: frozenset[str], fingerprints: Iterable[str]) -> Mapping[str, Taken]:
        asked = list(fingerprints)
        if not asked:
            return {}
        hidden = [name for plain, name in self.names.items() if plain not in choice]
        in_time = time.monotonic() - self.began < SEARCH_SECONDS
        runs = self.copy.read(
            "evaluate", hidden=hidden, fingerprints=asked, longest_ms=self.longest, execute=in_time
        )
        return {
            f: Taken(
                (run["cpu_ms"] or 0.0) * self.calls[f], frozenset(run["indexes"]) & frozenset(self.names)
            )
            for f, run in runs.items()
        }

    # -- writes ---------------------------------------------------------------------------------------------------------------------

    def _weights(self) -> dict[str, Weight]:
        by_table: dict[str, list[str]] = {}
        for plain, one in self.built.items():
            by_table.setdefault(sql.identifier(one.candidate.schema_name, one.candidate.table), []).append(
                plain
            )
        weights, written = {}, self.situation.written()
        for table, plains in by_table.items():
            every = [self.names[plain] for plain in plains]
            answers = self.copy.read(
                "write_cost",
                table=table,
                shown=[[], *([name] for name in every)],
                every=every,
                rows=ROWS_WRITTEN,
            )
            self.writes[table] = dict(zip(["", *plains], answers, strict=True))
            for plain in plains:
                share = (self._write_share(table, plain) or 0.0) * written.get(table, 0.0)
                weights[plain] = Weight(self.built[plain].bytes, table, share)
        return weights

    def _write_share(self, table: str, plain: str) -> float | None:
        without, with_it = (self.writes[table][which]["cpu_ms"] for which in ("", plain))
        return max(0.0, with_it / without - 1) if without and with_it else None

    def _written(self, kept: frozenset[str]) -> tuple[TableWrites, ...]:
        """What a row of each table with an advised index takes, all of them together."""
        found = []
        for table in self.writes:
            own = [
                p
                for p in self.built
                if sql.identifier(self.built[p].candidate.schema_name, self.built[p].candidate.table) == table
            ]
            mine = [self.names[p] for p in own if p in kept]
            if mine:
                pair = self.copy.read(
                    "write_cost",
                    table=table,
                    shown=[[], mine],
                    every=[self.names[p] for p in own],
                    rows=ROWS_WRITTEN,
                )
                cpu = [one["cpu_ms"] and round(one["cpu_ms"] * 1000 / ROWS_WRITTEN, 2) for one in pair]
                wal = [one["wal_bytes"] and round(one["wal_bytes"] / ROWS_WRITTEN, 1) for one in pair]
                found.append(
                    TableWrites(
                        table=table,
                        cpu_us_before=cpu[0],
                        cpu_us_after=cpu[1],
                        wal_bytes_before=wal[0],
                        wal_bytes_after=wal[1],
                    )
                )
        return tuple(found)

    # -- the result -----------------------------------------------------------------------------------------------------------------

    def _compared(
        self, fingerprints: list[str], kept: frozenset[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """With and without, in turn; families whose plans use none of them are the same on both sides."""
        hidden = [[*self.names.values()], [name for plain, name in self.names.items() if plain not in kept]]
        sides = [
            self.copy.read("evaluate", hidden=names, fingerprints=fingerprints, longest_ms=self.longest)
            for names in hidden
        ]
        moved = [f for f in fingerprints if set(sides[1][f]["indexes"]) & kept or self._writes_to(f, kept)]
        again = (
            self.copy.read("interleaved", hidden=hidden, fingerprints=moved, rounds=ROUNDS)
            if moved
            else [{}, {}]
        )
        return {**sides[0], **again[0]}, {**sides[1], **again[1]}

    def _writes_to(self, fingerprint: str, kept: frozenset[str]) -> bool:
        family = self.situation.workload.family(fingerprint)
        return family.is_write and any(self.built[p].candidate.table in family.tables for p in kept)

    def _effect(self, fingerprint: str, before: dict[str, Any], after: dict[str, Any]) -> FamilyEffect:
        sides = (("before", before), ("after", after))
        figures = {f"{figure}_{when}": run[figure] for figure in FIGURES for when, run in sides}
        return FamilyEffect(
            fingerprint=fingerprint,
            calls=self.calls[fingerprint],
            is_floor_before=before["is_floor"],
            **figures,
        )

    def _tried(self, plain: str, search: Search, weights: dict[str, Weight]) -> Tried:
        one, verdict = self.built[plain], search.verdicts[plain]
        share = self._write_share(weights[plain].table, plain)
        return Tried(
            candidate=one.candidate,
            bytes=one.bytes,
            build_seconds=one.seconds,
            write_percent=None if share is None else round(100 * share, 1),
            families=tuple(f for f, taken in search.now.items() if plain in taken.uses),
            saved_ms=round(verdict.lost_ms, 1),
            why_not=verdict.why_not,
        )
