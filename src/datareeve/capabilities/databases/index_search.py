"""Which of many indexes to keep, when what a workload takes under any choice of them can be asked.

Everything is there at first, and what would be missed least for what it costs is taken away, one after another, until all that is left
is worth its place: that way two indexes which only help together are seen together, and of two which do the same work the lesser one goes.
Then each that is gone is tried again, alone and in the place of another. The same search serves a twin (the planner's cost) and a clone (measured time).

Compared with the published searches (Schlosser, Kossmann, Boissier 2019, "Extend"; Valentin et al. 2000, "DB2 Advisor"), which add by estimated benefit per
byte: asking again after each removal is what a measured cost needs, because it is neither additive nor monotonous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Choice = frozenset[str]  # names of indexes that are there


class Taken(NamedTuple):
    """What one family takes under a choice, all its calls together, and the indexes that its plan uses."""

    ms: float
    uses: Choice


class Costs(Protocol):
    """What families take under a choice of indexes."""

    def __call__(self, choice: Choice, fingerprints: Iterable[str]) -> Mapping[str, Taken]:
        """By family."""


class Weight(NamedTuple):
    """What an index costs to have: bytes, and by what part all writing of the database becomes dearer (0.01: one percent)."""

    bytes: int
    table: str
    write_share: float = 0.0


class Limits(Value):
    """What the indexes must be worth, and what they may cost together. Percents are of the workload's time with every candidate there."""

    at_least_percent: float = 1.0  # that each index must save
    bytes_per_percent: float = float("inf")  # and one percent more for so many bytes of it
    write_percent_per_percent: float = (
        1.0  # and one percent more for so many percent that all writing becomes dearer
    )
    budget_bytes: int | None = None
    most_write_percent: float | None = None  # what all writing may become dearer
    noise_percent: float = 0.3  # a difference below it is none
    family_percent: float = (
        10.0  # by which the statements that use an index must be slower without it: less is noise as well
    )


class Verdict(NamedTuple):
    """What became of a candidate: what the workload would lose without it, and why it is not kept (empty: it is)."""

    lost_ms: float
    why_not: str


UNUSED = "No plan of the workload uses it beside the others."


class Search:
    """One search. `costs` is asked as seldom as can be: a family is planned again only when an index of one of its tables comes or goes."""

    def __init__(
        self,
        weights: Mapping[str, Weight],
        families: Mapping[str, frozenset[str]],
        costs: Costs,
        limits: Limits,
    ) -> None:
        self._weights = dict(weights)
        self._families = dict(families)  # the tables of each
        self._costs = costs
        self._limits = limits
        self.verdicts: dict[str, Verdict] = {}
        self.choice: Choice = frozenset(self._weights)
        self.now: dict[str, Taken] = {}
        self._whole = 1.0

    def run(self, *, exchange: bool = True) -> Choice:
        """The indexes to keep. `exchange`: whether what is gone is tried again in the place of what is kept."""
        for name in sorted(self.choice):
            if not self._is_allowed(frozenset({name})):
                self.verdicts[name] = Verdict(0.0, "It alone is more than the indexes may cost together.")
        self.choice -= self.verdicts.keys()
        self.now = dict(self._costs(self.choice, list(self._families)))
        self._whole = max(self.total, 1e-9)
        self._remove(beyond=False)
        if (
            exchange
        ):  # first a cheaper one for a dearer one, so that the limits take away what is really least worth
            self._exchange()
        self._remove()
        if exchange and self._exchange():
            self._remove()
        for name in sorted(self.choice):
            self.verdicts[name] = Verdict(self._without(name)[0], "")
        return self.choice

    @property
    def total(self) -> float:
        """What the workload takes under the choice as it is."""
        return sum(taken.ms for taken in self.now.values())

    def price(self, name: str) -> float:
        """What an index must save, in percent of the workload."""
        weight, limits = self._weights[name], self._limits
        writes = 100 * weight.write_share / limits.write_percent_per_percent
        return limits.at_least_percent + weight.bytes / limits.bytes_per_percent + writes

    # -- taking away ----------------------------------------------------------------------------------------------------------------

    def _remove(self, *, beyond: bool = True) -> None:
        """Take away what is not worth its price, the least worth first; then what is beyond the limits."""
        self._drop_unused()
        while self.choice:
            found = {name: self._without(name) for name in sorted(self.choice)}
            worth = {name: 100 * lost / self._whole for name, (lost, _) in found.items()}
            name = min(worth, key=lambda n: (not self._too_close(found[n][1]), worth[n] - self.price(n), n))
            why = self._too_little(name, worth[name]) or self._too_close(found[name][1])
            if not why:
                name, why = self._beyond(worth) if beyond else ("", "")
            if not name:
                return
            lost, after = found[name]
            self.choice -= {name}
            self.now |= after
            self.verdicts[name] = Verdict(lost, why)
            self._drop_unused()

    def _drop_unused(self) -> None:
        used = frozenset[str]().union(*(taken.uses for taken in self.now.values()))
        for name in sorted(self.choice - used):
            self.verdicts[name] = Verdict(0.0, UNUSED)
        self.choice &= used

    def _without(self, name: str) -> tuple[float, dict[str, Taken]]:
        users = [f for f, taken in self.now.items() if name in taken.uses]
        after = dict(self._costs(self.choice - {name}, users))
        return sum(after[f].ms - self.now[f].ms for f in users), after

    def _too_little(self, name: str, percent: float) -> str:
        if percent > self.price(name):
            return ""
        lost = percent * self._whole / 100
        if percent < self._limits.noise_percent:
            return f"The workload would take {max(lost, 0):,.1f} ms longer without it: nothing that can be told from noise."
        return f"The workload would take {lost:,.1f} ms longer without it ({percent:.1f} %); for its size and its writes it must save {self.price(name):.1f} %."

    def _too_close(self, after: Mapping[str, Taken]) -> str:
        before, without = sum(self.now[f].ms for f in after), sum(taken.ms for taken in after.values())
        if without - before >= self._limits.family_percent / 100 * before:
            return ""
        return f"The statements that use it would take {max(0.0, 100 * (without / max(before, 1e-9) - 1)):.0f} % longer without it: nothing that can be told from noise."

    def _beyond(self, worth: Mapping[str, float]) -> tuple[str, str]:
        """The index to take away because together they cost too much, and why; none where they do not."""
        budget, most = self._limits.budget_bytes, self._limits.most_write_percent
        if budget is not None and self._bytes(self.choice) > budget:
            why = f"The indexes together may have {budget / 1e6:.0f} MB, and others save more for each byte."
            return min(self.choice, key=lambda n: (worth[n] / max(self._weights[n].bytes, 1), n)), why
        if most is not None and self._write_percent(self.choice) > most:
            why = f"Writing may become {most:.0f} % dearer, and others save more for that."
            return min(
                self.choice, key=lambda n: (worth[n] / max(self._weights[n].write_share, 1e-4), n)
            ), why
        return "", ""

    def _bytes(self, choice: Iterable[str]) -> int:
        return sum(self._weights[name].bytes for name in choice)

    def _write_percent(self, names: Iterable[str]) -> float:
        return 100 * sum(self._weights[name].write_share for name in names)

    def _is_allowed(self, choice: Choice) -> bool:
        budget, most = self._limits.budget_bytes, self._limits.most_write_percent
        return (budget is None or self._bytes(choice) <= budget) and (
            most is None or self._write_percent(choice) <= most
        )

    # -- second thoughts ------------------------------------------------------------------------------------------------------------

    def _exchange(self) -> bool:
        """Try each that is gone once more, alone and in the place of another of its table. Whether anything changed."""
        changed = False
        alone = {n for n in self._weights if self._is_allowed(frozenset({n}))}
        gone = sorted(alone - self.choice, key=lambda n: (self.price(n), n))
        for name in gone:
            rivals = [n for n in sorted(self.choice) if self._weights[n].table == self._weights[name].table]
            for rival in ("", *rivals):
                choice = (self.choice | {name}) - {rival}
                if (self._is_allowed(choice) or self._costs_less(name, rival)) and self._take_if_better(
                    choice, name, rival
                ):
                    changed = True
                    break
        return changed

    def _costs_less(self, name: str, rival: str) -> bool:
        """Whether one in the place of another brings the choice nearer to its limits."""
        if not rival:
            return False
        new, old = self._weights[name], self._weights[rival]
        return new.bytes <= old.bytes and new.write_share <= old.write_share

    def _take_if_better(self, choice: Choice, name: str, rival: str) -> bool:
        table = self._weights[name].table
        asked = [f for f, tables in self._families.items() if table in tables]
        after = dict(self._costs(choice, asked))
        gained = 100 * sum(self.now[f].ms - after[f].ms for f in asked) / self._whole
        price = self.price(name) - (self.price(rival) if rival else 0.0)
        if gained <= price + self._limits.noise_percent:
            return False
        self.choice = choice
        self.now |= after
        self.verdicts.pop(name, None)
        if rival:
            self.verdicts[rival] = Verdict(0.0, "Another index does its work for less.")
        return True
