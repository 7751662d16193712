"""What the ledger's samples add to one look: rates, growth, and the day on which the disk is full. Pure.

The trend is the Theil-Sen line (Sen 1968): the median of all slopes between two samples, which a clean-up or a load in between does not
bend, with the interval of those slopes that Kendall's statistic gives. Samples of one hour are one point, so that a busy hour does not
outvote a quiet day; the scatter around the line widens the interval.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

Figures = dict[str, float]
Point = tuple[datetime, float]

RATES = {  # counter -> its rate; the last is whether the statistics' own age is a fair window for it
    "transactions_total": ("transactions_per_second", True),
    "temp_bytes_total": ("temp_bytes_per_second", True),
    "queries_total": ("queries_per_second", False),
    "wal_bytes_total": ("wal_bytes_per_second", False),
    "wal_buffers_full_total": ("wal_buffers_full_per_second", False),
    "backend_fsyncs_total": ("backend_fsyncs_per_second", False),
}
NEW = {"deadlocks_total": "deadlocks_new", "conflicts_total": "conflicts_new"}  # counted between two looks
WINDOW = timedelta(minutes=15)  # an older sample says little about now
SHORTEST_SECONDS = 5.0  # below this a rate is noise
FEW_BLOCKS = 1000  # below this many reads a hit ratio is noise
GROWTH_WINDOW = timedelta(days=14)
GROWTH_SHORTEST = timedelta(hours=1)
FORECAST_SHORTEST = timedelta(days=1)
CONFIDENT_AFTER = timedelta(days=5)  # a working week's shape is in the samples then
FARTHEST_DAYS = 3650.0
NINETY_PERCENT = 1.645  # of a normal distribution, to both sides
FEWEST_POINTS = 12
MOST_POINTS = 150  # the slopes between all of them are taken


class Forecast(Value):
    """When the disk is full, if it goes on like this; dates as ISO 8601 days, in UTC. `latest` is None where it may never be."""

    bytes_per_day: float
    date: str
    earliest: str
    latest: str | None
    days: float
    days_earliest: float
    confidence: Literal["low", "good"]
    observed_days: float


def previous(samples: Sequence[dict[str, Any]], now: datetime) -> tuple[Figures, float]:
    """The figures of the newest earlier look, and its age in seconds; nothing where there was none."""
    looks = [s for s in samples if s["name"] == "transactions_total" and age(s, now) >= SHORTEST_SECONDS]
    if not looks:
        return {}, 0.0
    newest = looks[-1]
    same = {s["name"]: s["value"] for s in samples if s["at"] == newest["at"]}
    return same, age(newest, now)


def age(sample: dict[str, Any], now: datetime) -> float:
    """Seconds since a sample was taken."""
    return (now - datetime.fromisoformat(sample["at"])).total_seconds()


def rates(now: Figures, before: Figures, seconds: float) -> tuple[Figures, str]:
    """Per second and per call, since the earlier look; since the statistics began where there was none, or was a reset after it."""
    totals = {name: value for name, value in now.items() if name.endswith("_total")}
    fresh = bool(before) and all(totals[name] >= before[name] for name in totals.keys() & before.keys())
    used = {name: totals[name] - before[name] for name in totals.keys() & before.keys()} if fresh else totals
    window = max(seconds if fresh else now.get("statistics_seconds", 0.0), 1.0)
    found = {
        rate: round(used[name] / window, 3)
        for name, (rate, always) in RATES.items()
        if name in used and (fresh or always)
    }
    found |= {name: used[total] for total, name in NEW.items() if fresh and total in used}
    if fresh and before.get("uptime_seconds", 0.0) > now.get("uptime_seconds", math.inf):
        found["restarts_new"] = 1.0
    return found | _ratios(
        used, now
    ), f"over the last {spell(window)}" if fresh else f"since statistics began {ago(window)}"


def _ratios(used: Figures, now: Figures) -> Figures:
    """Hit ratio, mean times and who writes, of the work in `used`; the hit ratio of all work where that was next to none."""
    ratios = {}
    blocks = used if used.get("blocks_hit_total", 0) + used.get("blocks_read_total", 0) >= FEW_BLOCKS else now
    read = blocks.get("blocks_hit_total", 0.0) + blocks.get("blocks_read_total", 0.0)
    if read >= FEW_BLOCKS:
        ratios["cache_hit_percent"] = percent(blocks["blocks_hit_total"], read)
    written = sum(used.get(f"{who}_blocks_total", 0.0) for who in ("checkpoint", "bgwriter", "backend"))
    if written >= FEW_BLOCKS:
        ratios["backend_writes_percent"] = percent(used.get("backend_blocks_total", 0.0), written)
    for name, spent, count in (
        ("query_ms_mean", "query_ms_total", "queries_total"),
        ("transaction_ms_mean", "active_ms_total", "transactions_total"),
    ):
        if used.get(count) and spent in used:
            ratios[name] = round(used[spent] / used[count], 3)
    return ratios


def growth(size: float, history: Sequence[Point], now: datetime) -> Figures:
    """Bytes a day since the oldest sample of the window, when that is at least an hour ago; along the trend from a day on."""
    points = [*history, (now, size)]
    if len(points) < 2 or points[-1][0] - points[0][0] < GROWTH_SHORTEST:  # noqa: PLR2004 - a line has two ends
        return {}
    fit = trend(points)
    days = (points[-1][0] - points[0][0]) / timedelta(days=1)
    enough = fit is not None and points[-1][0] - points[0][0] >= FORECAST_SHORTEST
    return {"growth_bytes_per_day": round(fit[0] if enough and fit else (size - points[0][1]) / days)}


def forecast(free: float, history: Sequence[Point], now: datetime) -> Forecast | None:
    """The day when `free` bytes are used up. None before a day of samples, and where there is no end in sight within ten years."""
    points = [*history, (now, free)]
    seen = points[-1][0] - points[0][0]
    fit = trend(points) if seen >= FORECAST_SHORTEST and len(points) >= FEWEST_POINTS else None
    if fit is None or fit[0] >= 0 or free / -fit[0] > FARTHEST_DAYS:
        return None
    slope, steepest, flattest, scatter = fit
    days = free / -slope
    earliest = max(free - NINETY_PERCENT * scatter, 0.0) / -min(steepest, slope)
    latest = (free + NINETY_PERCENT * scatter) / -flattest if flattest < 0 else math.inf
    sure = seen >= CONFIDENT_AFTER and latest <= 3 * days
    return Forecast(
        bytes_per_day=round(-slope),
        date=_day(now, days),
        earliest=_day(now, earliest),
        latest=_day(now, latest) if latest <= FARTHEST_DAYS else None,
        days=round(days, 1),
        days_earliest=round(earliest, 1),
        confidence="good" if sure else "low",
        observed_days=round(seen / timedelta(days=1), 1),
    )


def _day(now: datetime, days: float) -> str:
    return (now + timedelta(days=days)).date().isoformat()


def trend(points: Sequence[Point]) -> tuple[float, float, float, float] | None:
    """The Theil-Sen slope a day, the ends of its 90 % interval, and the scatter around the line; None for fewer than two moments."""
    start, step = points[0][0], math.ceil(len(points) / MOST_POINTS)
    points = points[::-step][::-1]  # the newest is always among them
    xy = [((at - start) / timedelta(days=1), value) for at, value in points]
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(xy, 2) if b[0] > a[0])
    if not slopes:
        return None
    slope, n = median(slopes), len(xy)
    spread = NINETY_PERCENT * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)  # Kendall's statistic, Sen 1968
    last = len(slopes) - 1
    low, high = ((last + sign * spread) / 2 for sign in (-1, 1))
    ends = slopes[max(round(low), 0)], slopes[min(round(high), last)]
    base = median(y - slope * x for x, y in xy)
    scatter = 1.4826 * median(abs(y - slope * x - base) for x, y in xy)  # as a standard deviation
    return slope, *ends, scatter


def spell(seconds: float) -> str:
    """A time in the unit it is said in: '60 s', '5 min', '3.5 h', '12 days'."""
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    if seconds < 7200:  # noqa: PLR2004 - two hours
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"  # noqa: PLR2004 - two days


def ago(seconds: float | None) -> str:
    """How long since something happened: 'never', '2.5 h ago'."""
    return "never" if seconds is None else f"{spell(seconds)} ago"


def percent(part: float, whole: float) -> float:
    """`part` of `whole` in percent with two decimals; 0 of nothing."""
    return round(100.0 * part / whole, 2) if whole else 0.0
