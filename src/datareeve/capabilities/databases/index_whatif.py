"""Hundreds of candidates on a stats-only twin: which of them the planner would take up, and which it would choose together.

For each family the planner is offered its own candidates, three times, each time without those that it took before: so the second and third
best are known too, which matter where the best is too large. What was taken up is then asked alone. An estimate ranks badly
(the reason for the trial), so the shortlist is wide: for each family its best by saving and its best by saving for each byte.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.index_facts import Candidate  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.databases.index_search import Limits, Search, Taken, Weight
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datareeve.capabilities.databases.index_facts import Situation
    from datareeve.core.operation import Reader

ROUNDS = 3
UNTOLD = 4
MUCH_CHEAPER = 1.5  # percent of the workload, in price
DOUBT = 3.0  # times what the planner foretells, that a candidate may save
SHORTLIST = 24  # candidates that are built on a copy
BUILT_SHARE = 4.0  # of the tables' own bytes, that all of the shortlist may take
UNTIMED_CAP = (
    3.0  # times the median: the planner's cost of a statement that never ends must not drown all others
)


class Estimated(Value):
    """A candidate as the twin sees it."""

    candidate: Candidate
    bytes: int
    saved_ms: float = 0.0  # of the workload, by the planner's estimates, when it alone is there


class WhatIf(Value):
    """What the twin taught."""

    shortlist: tuple[Estimated, ...]
    chosen: tuple[Estimated, ...]  # what a search by the planner's estimates keeps
    untold: tuple[
        Candidate, ...
    ] = ()  # what the twin cannot build, for want of an extension: only a copy can tell
    asked: int  # candidates
    impossible: int = 0  # of them, that the server would not build
    seconds: float = 0.0
    saved_percent: float = 0.0  # of the workload, by the planner's estimates, with all the chosen ones


def ask(candidates: tuple[Candidate, ...], situation: Situation, reader: Reader, limits: Limits) -> WhatIf:
    """Ask a twin of the database about the candidates."""
    began = time.monotonic()
    asking = _Asking(candidates, situation, reader, limits)
    pool = asking.taken_up()
    shortlist = asking.shortlist(pool)
    chosen, percent = asking.search(shortlist)
    return WhatIf(
        shortlist=tuple(asking.estimated(name) for name in shortlist),
        chosen=tuple(asking.estimated(name) for name in chosen),
        untold=tuple(
            one for name, one in asking.named.items() if name not in asking.bytes and one.method != "btree"
        )[:UNTOLD],
        asked=len(candidates),
        impossible=len(candidates) - len(asking.bytes),
        seconds=round(time.monotonic() - began, 2),
        saved_percent=round(percent, 1),
    )


class _Asking:
    """One round of questions to one twin."""

    def __init__(
        self, candidates: tuple[Candidate, ...], situation: Situation, reader: Reader, limits: Limits
    ) -> None:
        self.situation, self.reader, self.limits = situation, reader, limits
        self.named = {f"datareeve_try_{number}": one for number, one in enumerate(candidates)}
        self.by_identity = {one.identity: name for name, one in self.named.items()}
        self.indexes = [
            {"name": name, "ddl": one.operation("", name).statement(concurrently=False)}
            for name, one in self.named.items()
        ]
        found = reader.read("what_if_indexes", indexes=self.indexes)
        self.bytes = {name: int(one["bytes"]) for name, one in found.items() if not one["why_not"]}
        self.base: dict[str, dict[str, Any]] = self._ask([], [need.fingerprint for need in situation.needs])
        self.tables = {f: tables for f, tables in situation.tables_of().items() if f in self.base}
        self.ms_per_cost = self._scale()
        self.whole = sum(scale * self.base[f]["cost"] for f, scale in self.ms_per_cost.items()) or 1.0
        self.saved: dict[str, dict[str, float]] = {}  # by candidate: by family, in ms

    def _ask(self, visible: Iterable[str], fingerprints: list[str] | None) -> dict[str, dict[str, Any]]:
        (answer,) = self.reader.read(
            "what_if", indexes=self.indexes, visible=[list(visible)], fingerprints=fingerprints
        )
        plans: dict[str, dict[str, Any]] = answer
        return plans

    def _scale(self) -> dict[str, float]:
        """Milliseconds of the whole workload that one unit of the planner's cost stands for, by family."""
        by_need = {need.fingerprint: need for need in self.situation.needs}
        timed = {f: self.situation.time_of(by_need[f]) for f in self.base if f in by_need}
        if all(self.situation.workload.family(f).total_ms is None for f in timed):
            middle = sorted(timed.values())[len(timed) // 2] if timed else 0.0
            timed = {f: min(ms, UNTIMED_CAP * middle) for f, ms in timed.items()}
        return {f: ms / max(self.base[f]["cost"], 1e-9) for f, ms in timed.items()}

    # -- what the planner takes up ----------------------------------------------------------------------------------------------------

    def taken_up(self) -> list[str]:
        """The candidates that some family's plan uses when it is offered its own, without those it took before."""
        taken: dict[str, None] = {}
        for fingerprint in self.ms_per_cost:
            offered = {n for n, one in self.named.items() if fingerprint in one.families and n in self.bytes}
            for _ in range(ROUNDS):
                plan = self._ask(sorted(offered), [fingerprint]).get(fingerprint)
                used = offered & set(plan["indexes"]) if plan else set()
                if not used:
                    break
                taken |= dict.fromkeys(sorted(used))
                offered -= used
        return list(taken | dict.fromkeys(n for name in taken for n in self._slimmer(name)))

    def _slimmer(self, name: str) -> list[str]:
        """The candidates that are this one without what it carries, and without its last key: often as good, and smaller."""
        one = self.named[name]
        bare = one.model_copy(update={"include": ()})
        short = bare.model_copy(update={"keys": one.keys[:-1], "key_options": one.key_options[:-1]})
        return [n for n in (self.by_identity.get(c.identity, "") for c in (bare, short)) if n in self.bytes]

    def shortlist(self, pool: list[str]) -> list[str]:
        """Of these, the best for each family by saving and by saving for each byte, then the best of all, while there is room."""
        for name in pool:
            fingerprints = [f for f in self.named[name].families if f in self.ms_per_cost]
            plans = self._ask([name], fingerprints)
            self.saved[name] = {f: self._saved(f, plan["cost"]) for f, plan in plans.items()}
        worth = [n for n in pool if self._is_worth_trying(n)]
        allowed = [n for n in worth if not any(self._outdoes(other, n) for other in worth)]
        wanted = [*self._best_of_each_family(allowed), *sorted(allowed, key=lambda n: (-self._value(n), n))]
        room = BUILT_SHARE * max(self.situation.table_bytes, 1)
        kept: list[str] = []
        for name in dict.fromkeys(wanted):
            if len(kept) < SHORTLIST and self.bytes[name] <= room:
                kept.append(name)
                room -= self.bytes[name]
        return kept

    def _is_worth_trying(self, name: str) -> bool:
        fits = self.limits.budget_bytes is None or self.bytes[name] <= self.limits.budget_bytes
        return fits and DOUBT * 100 * sum(self.saved[name].values()) / self.whole >= self._price(name)

    def _outdoes(self, other: str, name: str) -> bool:
        """Whether another one of its table is much cheaper, by more than this one could save beyond it, even if the planner were far off.

        Indexes of two tables do not stand for each other: both sides of a join may need one.
        """
        if self._table(other) != self._table(name):
            return False
        cheaper = self._price(name) - self._price(other)
        saved, theirs = self.saved[name], self.saved[other]
        more = sum(max(0.0, ms - theirs.get(f, 0.0)) for f, ms in saved.items())
        return cheaper >= MUCH_CHEAPER and DOUBT * 100 * more / self.whole < cheaper

    def _best_of_each_family(self, allowed: list[str]) -> list[str]:
        heaviest = sorted(self.ms_per_cost, key=lambda f: (-self.ms_per_cost[f] * self.base[f]["cost"], f))
        best: list[str] = []
        for fingerprint in heaviest:
            own = [n for n in allowed if self.saved[n].get(fingerprint, 0.0) > 0]
            if own:
                best.append(max(own, key=lambda n: (self.saved[n][fingerprint] / self._price(n), n)))
                best.append(max(own, key=lambda n: (self.saved[n][fingerprint], -self.bytes[n], n)))
        return best

    def _saved(self, fingerprint: str, cost: float) -> float:
        gained: float = self.base[fingerprint]["cost"] - cost
        return max(0.0, gained) * self.ms_per_cost[fingerprint]

    def _price(self, name: str) -> float:
        return self.limits.at_least_percent + self.bytes[name] / self.limits.bytes_per_percent

    def _value(self, name: str) -> float:
        return sum(self.saved[name].values()) / self._price(name)

    def _table(self, name: str) -> str:
        one = self.named[name]
        return sql.identifier(one.schema_name, one.table)

    # -- choosing by the estimates ----------------------------------------------------------------------------------------------------

    def search(self, shortlist: list[str]) -> tuple[list[str], float]:
        """What a search by the planner's cost keeps, and the share of the workload that it seems to save."""
        weights = {name: Weight(self.bytes[name], self._table(name)) for name in shortlist}
        families = {f: self.tables[f] for f in self.ms_per_cost}
        search = Search(weights, families, self._costs, self.limits)
        kept = search.run(exchange=False)
        return sorted(kept, key=lambda n: (-search.verdicts[n].lost_ms, n)), 100 * (
            1 - search.total / self.whole
        )

    def _costs(self, choice: frozenset[str], fingerprints: Iterable[str]) -> Mapping[str, Taken]:
        asked = list(fingerprints)
        plans = self._ask(sorted(choice), asked) if asked else {}
        return {
            f: Taken(plan["cost"] * self.ms_per_cost[f], frozenset(plan["indexes"]) & choice)
            for f, plan in plans.items()
        }

    def estimated(self, name: str) -> Estimated:
        """The candidate with what is known of it."""
        saved = sum(self.saved.get(name, {}).values())
        return Estimated(candidate=self.named[name], bytes=self.bytes[name], saved_ms=round(saved, 1))
