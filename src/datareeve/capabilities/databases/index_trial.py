"""Candidate indexes, tried on a copy: all are built, the recorded statements run with and without them, and the worthless are taken away.

The one idea: an index is worth what the workload loses when it alone is hidden, writes included. One after another, the index whose loss
is smallest goes, until every one that is left would be missed.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.index_advice import Candidate, Situation  # noqa: TC001 - pydantic reads them
from datareeve.core.errors import DatareeveError
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Copy

MOST_TRIED = 24
ROUNDS = 3  # interleaved, with and without
# Twice the asked-for share where an index is used already: a second, slightly better one must be clearly better, or advice would never end.
REFINEMENT = 2.0
NOISE_MS = 0.02  # a call; less cannot be told from noise, whatever share it is

FIGURES = ("ms", "buffers", "wal_bytes")

Runs = dict[str, dict[str, Any]]  # by family: ms, buffers, wal_bytes, indexes


class Tried(Value):
    """One candidate after the trial. `saved_ms`: what the workload loses without it; `why_not` says why it is not advised."""

    candidate: Candidate
    bytes: int = 0
    build_seconds: float = 0.0
    families: tuple[str, ...] = ()  # those whose plans used it
    saved_ms: float = 0.0
    why_not: str = ""


class FamilyEffect(Value):
    """One family on the copy, without and with the advised indexes: medians for one call. None where it could not be run."""

    fingerprint: str
    calls: int
    ms_before: float | None
    ms_after: float | None
    buffers_before: float | None
    buffers_after: float | None
    wal_bytes_before: float | None
    wal_bytes_after: float | None


class Trial(Value):
    """What the copy taught."""

    tried: tuple[Tried, ...]
    families: tuple[FamilyEffect, ...]
    differs: str = ""

    @property
    def advised(self) -> tuple[Tried, ...]:
        """The candidates that earned their place."""
        return tuple(one for one in self.tried if not one.why_not)

    def workload_ms(self, which: str) -> float:
        """The whole workload's time on the copy, 'before' or 'after': each family's median times its calls."""
        return round(
            sum((getattr(family, f"ms_{which}") or 0.0) * family.calls for family in self.families), 1
        )


class _Built(Value):
    name: str  # quoted, with its schema
    plain: str  # as plans write it
    candidate: Candidate
    bytes: int
    seconds: float


def run(
    candidates: tuple[Candidate, ...],
    situation: Situation,
    copy: Copy,
    *,
    at_least_percent: float,
    budget_mb: float | None,
) -> Trial:
    """Try candidates on the copy; nothing of it is left there."""
    with _built(candidates[:MOST_TRIED], copy) as (built, failed):
        judge = _Judge(built, situation, copy, at_least_percent)
        before, after = judge.judge(budget_mb)
    return Trial(
        tried=(*judge.tried(), *failed),
        families=_effects(judge.calls, before, after),
        differs=str(getattr(copy, "differs", "")),
    )


@contextmanager
def _built(candidates: tuple[Candidate, ...], copy: Copy) -> Iterator[tuple[list[_Built], list[Tried]]]:
    built: list[_Built] = []
    failed: list[Tried] = []
    try:
        for number, candidate in enumerate(candidates):
            try:
                built.append(_build(number, candidate, copy))
            except DatareeveError as error:
                failed.append(Tried(candidate=candidate, why_not=f"It cannot be built: {error.what}"))
        yield built, failed
    finally:
        for one in built:
            copy.perform("execute", sql=f"DROP INDEX IF EXISTS {one.name}")


def _build(number: int, candidate: Candidate, copy: Copy) -> _Built:
    plain = f"datareeve_trial_{number}"
    operation = candidate.operation(copy.name).model_copy(update={"index": plain})
    began = time.monotonic()
    copy.perform("execute", sql=operation.statement().replace(" CONCURRENTLY", "", 1))
    seconds = time.monotonic() - began
    name = sql.identifier(candidate.schema_name, plain)
    size = copy.read(
        "query", sql="SELECT pg_relation_size(%(name)s::regclass)", parameters={"name": name}, shape="scalar"
    )
    return _Built(name=name, plain=plain, candidate=candidate, bytes=size, seconds=round(seconds, 3))


class _Judge:
    """Decides which of the built indexes are worth having."""

    def __init__(
        self, built: list[_Built], situation: Situation, copy: Copy, at_least_percent: float
    ) -> None:
        workload = situation.workload
        self.situation = situation
        self.built = {one.plain: one for one in built}
        self.calls = {family.fingerprint: family.calls for family in workload.families}
        self.writes = {family.fingerprint: family.tables for family in workload.families if family.is_write}
        self.copy = copy
        self.at_least_percent = at_least_percent
        self.why_not: dict[str, str] = {}
        self.saved: dict[str, float] = {}
        self.users: dict[str, tuple[str, ...]] = {}
        self.now: Runs = {}

    def judge(self, budget_mb: float | None) -> tuple[Runs, Runs]:
        """All together first; then away with the unused, the worthless and what the budget does not hold. Gives before and after."""
        before, self.now = self._trial([*self.built], [])
        for plain in self.built:
            if not self._users_of(plain):
                self.why_not[plain] = "No plan of the workload uses it."
        # Least first, so that of two which do the same work the better one is still there to be missed.
        for plain in sorted(
            self._kept(), key=lambda p: (self._promise(p), -len(self.built[p].candidate.columns), p)
        ):
            self._weigh(plain)
        if budget_mb is not None:
            self._hold_budget(budget_mb * 1e6)
        return self._trial([*self.built], [*self.why_not]) if self.why_not else (before, self.now)

    def _weigh(self, plain: str) -> None:
        """Hide one index more, and reject it when the workload would hardly miss it."""
        hidden = [*self.why_not]
        users = self._users_of(plain)
        writes = [f for f, tables in self.writes.items() if self.built[plain].candidate.table in tables]
        with_it, without = self._trial(hidden, [*hidden, plain], sorted({*users, *writes}))
        self.now |= with_it
        loss = self._total(without) - self._total(with_it)
        percent = max(0.0, 100 * loss / max(self._total(self.now) + loss, 1e-9))
        self.saved[plain], self.users[plain] = round(loss, 1), users
        if percent < self._wanted(plain, users) or loss < NOISE_MS * sum(self.calls[f] for f in users):
            self.why_not[plain] = (
                f"The workload would take {max(loss, 0):,.0f} ms longer without it ({percent:.1f} %): too little."
            )
            self.now |= without

    def _wanted(self, plain: str, users: tuple[str, ...]) -> float:
        table = self.built[plain].candidate.table
        refines = all(self.situation.is_indexed(fingerprint, table) for fingerprint in users)
        return self.at_least_percent * (REFINEMENT if refines else 1.0)

    def _hold_budget(self, budget: float) -> None:
        for plain in sorted(self._kept(), key=lambda p: (self.saved[p] / max(self.built[p].bytes, 1), p)):
            if sum(self.built[p].bytes for p in self._kept()) > budget:
                self.why_not[plain] = (
                    f"The indexes together may have {budget / 1e6:.0f} MB, and others save more for each byte."
                )

    def _kept(self) -> list[str]:
        return [plain for plain in self.built if plain not in self.why_not]

    def _promise(self, plain: str) -> float:
        candidate = self.built[plain].candidate
        return sum(share * self.calls[f] for f, share in candidate.shares.items())

    def _users_of(self, plain: str) -> tuple[str, ...]:
        return tuple(fingerprint for fingerprint, run in self.now.items() if plain in run["indexes"])

    def _total(self, runs: Runs) -> float:
        return sum((run["ms"] or 0.0) * self.calls[fingerprint] for fingerprint, run in runs.items())

    def _trial(
        self, first: list[str], second: list[str], fingerprints: list[str] | None = None
    ) -> tuple[Runs, Runs]:
        hidden = [[self.built[plain].name for plain in names] for names in (first, second)]
        one, other = self.copy.read("trial", hidden=hidden, fingerprints=fingerprints, rounds=ROUNDS)
        return one, other

    def tried(self) -> list[Tried]:
        """The verdict on each, those that save most first."""
        ordered = sorted(self.built, key=lambda p: (p in self.why_not, -self.saved.get(p, 0.0), p))
        return [
            Tried(
                candidate=self.built[p].candidate,
                bytes=self.built[p].bytes,
                build_seconds=self.built[p].seconds,
                families=self.users.get(p, ()),
                saved_ms=self.saved.get(p, 0.0),
                why_not=self.why_not.get(p, ""),
            )
            for p in ordered
        ]


def _effects(calls: dict[str, int], before: Runs, after: Runs) -> tuple[FamilyEffect, ...]:
    return tuple(
        FamilyEffect(
            fingerprint=fingerprint,
            calls=calls[fingerprint],
            **{
                f"{figure}_{when}": run[fingerprint][figure]
                for figure in FIGURES
                for when, run in (("before", before), ("after", after))
            },
        )
        for fingerprint in before
    )
