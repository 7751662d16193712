"""How many calls were within a target, told from moments: where only count, mean, spread, least and most of the times are known.

Nothing is assumed of the distribution. The bounds are the sharp ones of Chebyshev, Markov and Stieltjes for a mean, a variance and a range
(in closed form: De Schepper and Heijnen, "How to estimate the Value at Risk under incomplete information", J. Comput. Appl. Math. 233,
2010, section 2; Cantelli's inequality is the case of an unbounded range), the range being narrowed to what so many calls can reach at all
(Samuelson, "How deviant can you be?", JASA 63, 1968). A test draws samples and looks that the truth is never outside.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUNDING = 1e-9  # relative: what the server's sums and our differences of them may be off by
SERVER_STEP_MS = 1e-6  # stored milliseconds are rounded to it


class Moments(Value):
    """What is known of the times of `calls` calls, in milliseconds. `least` and `most` bound them; None: not known."""

    calls: int
    total: float
    squares: float  # sum of squares
    least: float | None = None
    most: float | None = None
    magnitude: float = 0.0  # the sum of squares of which this is a difference: says how many digits are left

    @property
    def mean(self) -> float:
        """Mean time."""
        return self.total / self.calls

    @property
    def spread(self) -> float:
        """Population standard deviation."""
        return math.sqrt(max(0.0, self.squares / self.calls - self.mean**2))


class Within(Value):
    """How many of `calls` calls were within a target: at least `least`, at most `most`; equal where it is known exactly."""

    calls: int
    least: int
    most: int

    @property
    def shares(self) -> tuple[float, float]:
        """The same as shares of all calls; (1, 1) of none."""
        return (self.least / self.calls, self.most / self.calls) if self.calls else (1.0, 1.0)

    def __add__(self, other: Within) -> Within:
        return Within(
            calls=self.calls + other.calls, least=self.least + other.least, most=self.most + other.most
        )


NONE = Within(calls=0, least=0, most=0)


def together(parts: Iterable[Within]) -> Within:
    """The sum of several."""
    return sum(parts, NONE)


def within(moments: Moments, target: float) -> Within:
    """Bounds on how many calls took at most `target` ms, which hold for every distribution with these moments."""
    n = moments.calls
    if n <= 0:
        return NONE
    # A little more room than the figures say, on the side of caution: they went through floating point.
    slack = SERVER_STEP_MS + ROUNDING * (abs(moments.mean) + target)
    if moments.most is not None and moments.most <= target:
        return Within(calls=n, least=n, most=n)
    if moments.least is not None and moments.least > target:
        return Within(calls=n, least=0, most=0)
    variance = max(0.0, moments.squares / n - moments.mean**2)
    doubt = ROUNDING * max(moments.squares, moments.magnitude) / n
    variances = max(0.0, variance - doubt), variance + doubt
    low, high = _range(moments, variances[1], slack)
    over = _at_least(target - slack, moments.mean, variances, low, high)
    under = _at_least(-(target + slack), -moments.mean, variances, -high, -low)
    most_within = min(n, math.floor(n * under + 1e-6))
    least_within = max(0, n - math.floor(n * over + 1e-6))
    return Within(calls=n, least=min(least_within, n), most=max(most_within, min(least_within, n)))


def _range(moments: Moments, variance: float, slack: float) -> tuple[float, float]:
    """Where a call's time can lie: what was seen, and no further from the mean than Samuelson allows (sqrt(n - 1) spreads)."""
    reach = math.sqrt(variance * (moments.calls - 1)) + slack
    low, high = max(0.0, moments.mean - reach), moments.mean + reach
    if moments.least is not None:
        low = max(low, moments.least)
    if moments.most is not None:
        high = min(high, moments.most)
    return min(low, moments.mean) - slack, max(high, moments.mean) + slack


def _at_least(target: float, mean: float, variances: tuple[float, float], low: float, high: float) -> float:
    """The greatest possible share at or above `target`, over every variance between the two."""
    peak = abs(target - mean) * ((mean - low) if target > mean else (high - mean))
    candidates = (*variances, min(max(peak, variances[0]), variances[1]))
    return max(_share_at_least(target, mean, variance, low, high) for variance in candidates)


def _share_at_least(target: float, mean: float, variance: float, low: float, high: float) -> float:
    """The supremum of P(X >= target) for a mean, a variance and a range."""
    if target <= low:
        return 1.0
    if target > high:
        return 0.0
    if target <= mean:
        if variance <= (mean - target) * (high - mean):
            return 1.0
    elif variance <= (target - mean) * (mean - low):
        return variance / (variance + (target - mean) ** 2)
    if target >= high:  # the range ends at the target: Cantelli's share is the only limit that is left
        return variance / (variance + (target - mean) ** 2) if variance else 0.0
    below = (variance + (target - mean) * (high - mean)) / ((target - low) * (high - low))
    return min(1.0, max(0.0, 1.0 - below))


def quantile_at_most(moments: Moments, percent: float) -> float | None:
    """A level that the percentile is surely not above, in ms (Cantelli, and the greatest time seen); None of no calls."""
    if moments.calls <= 0:
        return None
    share = percent / 100
    reach = moments.mean + moments.spread * math.sqrt(share / (1 - share))
    return reach if moments.most is None else min(reach, moments.most)
