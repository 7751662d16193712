"""The scale that a figure's surprises are measured on, so that a surprise upwards weighs as much as one downwards, at any level.

Counts near nought go by their root (Anscombe 1948: its spread is the same at every level), larger ones by their logarithm (their patterns
multiply); shares by the angle whose squared sine they are (the same for shares: a logit tears the small ones apart, where a column with a null in a
thousand rows is no other than one with two); lags by their logarithm; other figures by the inverse hyperbolic sine of what is usual, where they
never were below nought and reach over magnitudes, else as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.learned.points import Nature

Curve = Literal["root", "log", "angle", "sinh", "as it is"]
FEW = 10.0  # a count whose low days are below this goes by its root
MAGNITUDES = 10.0  # between the tenth of a series that is largest and the one that is smallest
JITTER = 1e-9  # of a figure: floating point, and no change


@dataclass(frozen=True, slots=True)
class Scale:
    """There and back."""

    curve: Curve
    unit: float = 1.0
    least: float = 0.0  # the smallest spread there can be, by the nature of the figure
    ceiling: float = math.inf
    floor: float = -math.inf

    def there(self, value: float) -> float:
        """A figure on the scale."""
        if self.curve == "root":
            return math.sqrt(max(value, 0.0) + 0.375)
        if self.curve == "log":
            return math.log(max(value, 0.0) + self.unit)
        if self.curve == "angle":
            return math.asin(math.sqrt(min(max(value / self.unit, 0.0), 1.0)))
        return math.asinh(value / self.unit) if self.curve == "sinh" else value

    def back(self, found: float) -> float:
        """The figure that lies there; never beyond what such a figure can be."""
        return min(self.ceiling, max(self.floor, self._back(found)))

    def _back(self, found: float) -> float:
        if self.curve == "root":
            return max(found, 0.0) ** 2 - 0.375
        if self.curve == "log":
            return math.exp(min(found, 700.0)) - self.unit
        if self.curve == "angle":
            return self.unit * math.sin(max(0.0, min(found, math.pi / 2))) ** 2
        return math.sinh(max(-700.0, min(found, 700.0))) * self.unit if self.curve == "sinh" else found

    def spread_at(self, found: float) -> float:
        """The smallest spread at a place of the scale: below it there is only floating point, or the chance of counting."""
        return max(self.least, JITTER * max(1e-3, abs(found)))


def scale_of(nature: Nature, values: Sequence[float]) -> Scale:
    """The scale of a series, by the points that it is begun with."""
    ordered = sorted(values)
    low, middle, high = (ordered[int(part * (len(ordered) - 1))] for part in (0.1, 0.5, 0.9))
    if nature in ("share", "percent"):
        whole = 1.0 if nature == "share" else 100.0
        return Scale("angle", unit=whole, floor=0.0, ceiling=whole)
    if nature in ("lag", "amount"):
        return Scale("log", unit=max(1.0, middle * 0.05), floor=0.0)
    if nature == "count":
        if low < FEW:
            return Scale("root", floor=0.0, least=0.0 if low == high else 0.35)
        return Scale("log", unit=1.0, floor=0.0, least=0.0)
    if ordered[0] > 0 and high > MAGNITUDES * low:
        return Scale("sinh", unit=middle)
    return Scale("as it is")
