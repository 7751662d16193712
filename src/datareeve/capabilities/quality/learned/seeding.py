"""Anomalies that are put into a series whose history is known, so that it can be measured which of them are noticed.

Each is of a size that a person would call one, said by the series itself: a count falls by 40 % or more, or doubles, a share of nulls jumps by a
third of all rows; and where a figure moves much by itself, it moves farther than 99 of 100 of its points ever lay from its middle, and by eight
times what it usually moves by in a week.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from datareeve.capabilities.quality.learned.slots import DAY, HOUR
from datareeve.capabilities.quality.learned.smoothing import middle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from datareeve.capabilities.quality.learned.points import Nature, Point

KINDS: dict[str, tuple[str, ...]] = {
    "count": ("spike", "drop", "level shift", "slow drift", "missing day", "doubled batch", "frozen value", "season change"),
    "share": ("null burst", "level shift", "slow drift", "frozen value"),
    "amount": ("spike", "drop", "level shift", "slow drift", "missing day", "doubled batch", "frozen value", "season change"),
    "percent": ("null burst", "level shift", "slow drift", "frozen value"),
    "lag": ("spike", "level shift", "slow drift"),
    "value": ("spike", "drop", "level shift", "slow drift", "frozen value", "season change"),
}  # fmt: skip
CALM = (12, 28)  # days (of points that are farther apart: points) without an anomaly before the next


@dataclass(frozen=True, slots=True)
class Seed:
    """An anomaly: noticed is an alarm from `begins` to `until`; what still follows from it ends at `over` (both indexes included)."""

    kind: str
    begins: int
    until: int
    over: int


def sow(
    series: Sequence[Point], nature: Nature, step: float, begins: int, random: Random
) -> tuple[list[Point], list[Seed]]:
    """A copy of the series with anomalies of all kinds in a random order, from index `begins` on, and what they are."""
    values = [point.value for point in series]
    a_day = max(1, round(DAY / step)) if step <= DAY else 1
    seeds: list[Seed] = []
    at = begins + random.randint(CALM[0] * a_day, CALM[1] * a_day)
    usual = middle([abs(value) for value in values if value] or [0.0])
    room = _Room(
        nature, step, a_day, usual_move(values, a_day), usual, random, leap_of(values, a_day), _stays(values)
    )
    for kind in _order(nature, random, seasonal=_is_seasonal(values, a_day)):
        if not room.shows(kind):
            continue
        start = room.start(values, at)
        if start is None or start + room.length(kind) >= len(values) - 1:
            break
        seeds.append(room.put(kind, values, start))
        at = seeds[-1].over + random.randint(CALM[0] * a_day, CALM[1] * a_day)
    return [replace(point, value=value) for point, value in zip(series, values, strict=True)], seeds


def _order(nature: Nature, random: Random, *, seasonal: bool) -> list[str]:
    kinds = [kind for kind in KINDS[nature] if kind != "season change"]
    more = random.sample(kinds, len(kinds)) + random.sample(kinds, len(kinds))
    # A changed season has no end: what comes after it would be measured on another series.
    where, ends = random.randint(2, 6), random.choice((True, False))
    if not (seasonal and ends and "season change" in KINDS[nature]):
        return more
    return [*more[:where], "season change"]


def usual_move(values: Sequence[float | None], a_day: int) -> float:
    """By how much a figure moves from one week to the next, as a standard deviation, without its wild points."""
    lag = 7 * a_day
    moves = [
        abs(b - a) for a, b in zip(values, values[lag:], strict=False) if a is not None and b is not None
    ]
    return (1.4826 * middle(moves) / math.sqrt(2) if moves else 0.0) or 1e-6


def leap_of(values: Sequence[float | None], a_day: int) -> float:
    """By how much another figure than a count moves in an anomaly."""
    seen = [value for value in values if value is not None]
    far = sorted(abs(value - middle(seen)) for value in seen)
    return max(8 * usual_move(values, a_day), 1.2 * far[int(0.99 * (len(far) - 1))])


def _stays(values: Sequence[float | None]) -> float:
    return sum(a == b for a, b in pairwise(values)) / max(1, len(values) - 1)


def _is_seasonal(values: Sequence[float | None], a_day: int) -> bool:
    """Whether three days (or six hours) off is another place in its pattern."""
    off = 3 if a_day == 1 else 6 * a_day // 24
    shifted = [
        abs(b - a) for a, b in zip(values, values[off:], strict=False) if a is not None and b is not None
    ]
    return bool(shifted) and off > 0 and _mean(shifted) > 2.5 * usual_move(values, a_day)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@dataclass(frozen=True, slots=True)
class _Room:
    """How large and how long anomalies are in one series."""

    nature: Nature
    step: float
    a_day: int
    move: float
    usual: float
    random: Random

    leap: float
    stays: float

    @property
    def relative(self) -> float:
        """What it moves by, beside what there is."""
        return self.move / self.usual if self.usual else 1.0

    def start(self, values: Sequence[float | None], at: int) -> int | None:
        """The next place where something can be seen to go wrong: half the traffic of an hour without any is none."""
        if self.nature not in {"count", "amount"}:
            return at if at < len(values) else None
        return next((n for n in range(at, len(values)) if (values[n] or 0.0) >= 0.6 * self.usual), None)

    def length(self, kind: str) -> int:
        """How many points it takes, with what follows from it."""
        return {
            "level shift": 14 * self.a_day,
            "slow drift": 30 * self.a_day,
            "frozen value": 10 if self.step > HOUR * 20 else self.a_day,
            "season change": 14 * self.a_day if self.a_day == 1 else 2 * self.a_day,
            "missing day": self.a_day,
            "doubled batch": self.a_day,
        }.get(kind, 1)

    def put(self, kind: str, values: list[float | None], at: int) -> Seed:
        """Change the values from `at` on, and say what was done."""
        length = self.length(kind)
        if kind == "season change":
            off = 3 if self.a_day == 1 else 6 * self.a_day // 24
            values[at:] = values[at + off :] + values[len(values) - off :]
            return Seed(kind, at, at + length, len(values))
        up = self.random.choice((True, False))
        for n in range(at, min(len(values), at + length)):
            value, part = values[n], (n - at + 1) / length
            if value is not None:
                values[n] = values[at] if kind == "frozen value" else self._changed(kind, value, part, up=up)
        after = {"level shift": 10, "slow drift": 14, "frozen value": 2}.get(kind, 2) * self.a_day
        until = at + (3 * self.a_day if kind == "level shift" else length - 1)
        return Seed(kind, at, until, at + length + after)

    def _changed(self, kind: str, value: float, part: float, *, up: bool) -> float:
        part = part if kind == "slow drift" else 1.0
        if self.nature in {"count", "amount", "lag"}:
            changed = value * (1 + part * (self.factor(kind, up=up) - 1))
            return float(round(changed)) if self.nature == "count" else changed
        if self.nature in {"share", "percent"}:
            whole = 1.0 if self.nature == "share" else 100.0
            return min(whole, value + whole * part * {"null burst": 0.35}.get(kind, 0.2))
        sign = {"spike": 1.0, "drop": -1.0}.get(kind, 1.0 if up else -1.0)
        return value + sign * part * self.leap

    def factor(self, kind: str, *, up: bool) -> float:
        """Of a count or a lag: how much of it there is then. Twice as many, or more where it moves much by itself."""
        rise = {"level shift": 1.6, "slow drift": 1.6}.get(kind, 2.0)
        rise = max(
            rise, 1 + self.leap / self.usual if self.usual and self.a_day == 1 else 1 + 6 * self.relative
        )
        falls = {"drop": 0.4, "missing day": 0.0}
        down = not up and kind in {"level shift", "slow drift"} and self.falls_show(0.6)
        return 0.6 if down else falls.get(kind, rise)

    def falls_show(self, left: float) -> bool:
        """Whether a fall to this share could be told from what the count does by itself."""
        return self.nature in {"count", "amount"} and 1 - left >= 5 * self.relative

    def shows(self, kind: str) -> bool:
        """Whether a person who sees the series would see the anomaly: the drop of a count that is often nought is none."""
        falls = {"drop": 0.4, "missing day": 0.0}
        if kind == "frozen value" and self.stays > 0.3:  # noqa: PLR2004 - it often stands still by itself
            return False
        return (
            self.nature not in {"count", "amount"}
            or kind not in falls
            or self.a_day > 1
            or self.falls_show(falls[kind])
        )
