"""What watching a series would have been like: it is replayed point by point, and what is judged is never in what was learned.

On the series as it is every alarm counts as a false one. On copies with seeded anomalies (`seeding`) it is counted which were noticed (recall),
how soon (delay), and how many of the alarms were about one (precision). Alarms of neighbouring points are one alarm: a person is called once.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from random import Random
from typing import TYPE_CHECKING, Protocol

from pydantic import Field

from datareeve.capabilities.quality.learned import slots
from datareeve.capabilities.quality.learned.seeding import Seed, sow
from datareeve.capabilities.quality.learned.smoothing import middle
from datareeve.capabilities.quality.learned.watcher import YEAR, Watcher, least_points
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from datareeve.capabilities.quality.learned.points import Point, Settings

Z95 = 1.96
MANY_A_YEAR = 12.0  # alarms: once a month, and a rule would only be switched off again


class Watches(Protocol):
    """Whatever watches a series: told each point, it says of the next whether to call a person."""

    def alarms(self, point: Point) -> bool:
        """Whether the point is to be noticed; it is learned afterwards."""


class Ours:
    """The watcher of the product."""

    def __init__(self, settings: Settings, step: float) -> None:
        self.watcher = Watcher(settings, step)

    def alarms(self, point: Point) -> bool:
        """Judge, then learn."""
        judged = (
            point.value is not None and not point.mark and self.watcher.judge(point.at, point.value).alarm
        )
        self.watcher.learn(point)
        return judged


class Share(Value):
    """Of so many, with the 95 % interval of Wilson (1927). None: of none."""

    hits: int
    of: int
    share: float | None = None
    low: float | None = None
    high: float | None = None


class Backtest(Value):
    """The figures."""

    points: int
    tested: int  # after the warm-up
    years: float  # tested
    alarms: int  # on the series as it is; neighbouring points are one
    alarm_points: int
    alarms_a_year: float
    alarms_a_year_between: tuple[float, float]
    precision: (
        Share  # every alarm about no seeded anomaly counts against it, those of the series as it is too
    )
    precision_added: Share  # without those that the series as it is has at the same points
    recall: Share
    by_kind: dict[str, Share] = Field(default_factory=dict)
    delay_points: dict[str, float] = Field(default_factory=dict)  # median, of those noticed


def backtest(
    series: Sequence[Point],
    settings: Settings,
    *,
    trials: int = 20,
    seed: int = 1,
    make: Callable[[Settings, float], Watches] = Ours,
) -> Backtest:
    """Replay a series as it is, and in `trials` copies with seeded anomalies; the same seed gives the same figures."""
    step = slots.usual_step([point.at for point in series])
    begins = warm_up(step, settings)
    a_day = max(1, round(slots.DAY / step))
    clean = replay(series, make(settings, step), begins)
    tally = _Tally(a_day, frozenset(clean))
    for number in range(trials):
        sown, seeds = sow(series, settings.nature, step, begins + 2 * a_day, Random(seed * 1_000 + number))  # noqa: S311 - no secret
        tally.count(replay(sown, make(settings, step), begins), seeds)
    tested = max(0, len(series) - begins)
    years, found = tested * step / YEAR, len(grouped(clean, a_day))
    between = _poisson(found)
    return Backtest(
        points=len(series),
        tested=tested,
        years=round(years, 3),
        alarms=found,
        alarm_points=len(clean),
        alarms_a_year=found / years if years else 0.0,
        alarms_a_year_between=(between[0] / years, between[1] / years) if years else (0.0, 0.0),
        **tally.figures(),
    )


def is_noisy(result: Backtest, accepted: float) -> bool:
    """Whether it alarms more often than once a month, and that is no chance of a short past: one alarm in ten days says little of a year."""
    return result.alarms_a_year > max(MANY_A_YEAR, accepted) and result.alarms_a_year_between[0] > accepted


def warm_up(step: float, settings: Settings) -> int:
    """The points that are learned before the first is judged."""
    return settings.least_points or least_points(step)


def replay(series: Sequence[Point], watches: Watches, begins: int) -> list[int]:
    """The indexes of the points that would have been alarmed."""
    told = [n for n, point in enumerate(series) if watches.alarms(point)]
    return [n for n in told if n >= begins]


def grouped(alarms: Iterable[int], within: int) -> list[list[int]]:
    """Alarms of neighbouring points, or of one day, as one."""
    groups: list[list[int]] = []
    for n in alarms:
        if groups and n - groups[-1][-1] <= within:
            groups[-1].append(n)
        else:
            groups.append([n])
    return groups


class _Tally:
    def __init__(self, a_day: int, clean: frozenset[int]) -> None:
        self.a_day, self.clean = a_day, clean
        self.false = self.false_added = 0
        self.sown: Counter[str] = Counter()
        self.noticed: Counter[str] = Counter()
        self.delays: dict[str, list[int]] = defaultdict(list)

    def count(self, alarms: list[int], seeds: list[Seed]) -> None:
        """One copy's."""
        for seed in seeds:
            self.sown[seed.kind] += 1
            hit = next((n for n in alarms if seed.begins <= n <= seed.until), None)
            if hit is not None:
                self.noticed[seed.kind] += 1
                self.delays[seed.kind].append(hit - seed.begins)
        outside = [n for n in alarms if not any(seed.begins <= n <= seed.over for seed in seeds)]
        groups = grouped(outside, self.a_day)
        self.false += len(groups)
        self.false_added += sum(not self.clean.intersection(group) for group in groups)

    def figures(self) -> dict[str, object]:
        """Of all copies."""
        hits = self.noticed.total()
        return {
            "precision": share(hits, hits + self.false),
            "precision_added": share(hits, hits + self.false_added),
            "recall": share(hits, self.sown.total()),
            "by_kind": {kind: share(self.noticed[kind], self.sown[kind]) for kind in sorted(self.sown)},
            "delay_points": {kind: middle(found) for kind, found in sorted(self.delays.items())},
        }


def share(hits: int, of: int) -> Share:
    """A share with its interval."""
    if not of:
        return Share(hits=hits, of=of)
    p, z2 = hits / of, Z95**2
    centre, half = p + z2 / (2 * of), Z95 * math.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    scale = 1 + z2 / of
    return Share(
        hits=hits,
        of=of,
        share=p,
        low=max(0.0, (centre - half) / scale),
        high=min(1.0, (centre + half) / scale),
    )


def _poisson(found: int) -> tuple[float, float]:
    """Between what the true number lies, 95 % of the time (Byar's approximation)."""
    low = 0.0 if not found else found * (1 - 1 / (9 * found) - Z95 / (3 * math.sqrt(found))) ** 3
    above = found + 1
    return max(0.0, low), above * (1 - 1 / (9 * above) + Z95 / (3 * math.sqrt(above))) ** 3
