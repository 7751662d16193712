"""How far out the surprises of a series reach: the quantile that is passed once in so many points, measured where there are enough of them.

Where the wanted quantile is passed by several of the surprises seen, it is theirs (conformal: no shape is assumed). Farther out it is drawn on
along a Weibull tail, whose shape is taken from logarithms (Girard 2004; Beirlant et al. 1996), so that one wild point in the training window
does not move it far: light tails (normal: 1/2), exponential (1) and heavy ones (above) are all had.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MEASURED_FROM = 5  # surprises beyond the quantile
OUT = 0.5  # spreads: nearer to what was expected there is no tail
NORMAL = NormalDist()  # nothing reaches less far
BODY = 0.2  # of the surprises are the tail
SHAPE_LEAST, SHAPE_MOST, SHAPE_BEFORE, WEIGHT_BEFORE = 0.4, 1.4, 0.65, 15.0


def reach(ordered: Sequence[float], chance: float) -> float:
    """The surprise that is passed with `chance` a point; `ordered` holds those seen, on one side, ascending."""
    n, least = len(ordered), NORMAL.inv_cdf(1 - chance)
    if n * chance >= MEASURED_FROM:
        return max(least, ordered[min(n - 1, math.ceil((n + 1) * (1 - chance)) - 1)])
    k = max(4, int(BODY * n))
    tail = [value for value in ordered[-k:] if value > OUT]
    k = len(tail)
    if k == 0:
        return least
    base, depth = tail[0], math.log((n + 1) / k)
    fallen = sum(math.log(value / base) for value in tail)
    expected = sum(math.log(math.log((n + 1) / (k - i)) / depth) for i in range(k))
    shape = (fallen + WEIGHT_BEFORE * SHAPE_BEFORE * 0.5) / (expected + WEIGHT_BEFORE * 0.5)
    shape = min(SHAPE_MOST, max(SHAPE_LEAST, shape))
    return max(least, base * float((math.log(1 / chance) / depth) ** shape))
