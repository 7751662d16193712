"""A level, a trend and a seasonal pattern, taken in point by point: exponential smoothing that a wild point cannot pull along.

Gelper, Fried and Croux (2010): the surprise is cut at a few spreads before anything is learned from it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.learned.slots import Part, Place

CUT = 2.5  # spreads
SPREAD_GAIN, LONG_GAIN = 0.04, 0.01
CALM, STORMY = (
    0.9,
    1.25,
)  # of the spread of long: some calm weeks are not the end of storms, and some stormy ones no climate
DAMPED = 0.98  # of the trend, from point to point
CAP, CAPPED_TO_SPREAD = 2.2, 1.275  # the same where each is cut at so many spreads
SOME = 2  # points of a slot
MEAN_TO_SPREAD = 1.2533  # of a normal: its standard deviation over its mean absolute one


class Pace(NamedTuple):
    """How fast level and trend follow."""

    level: float
    trend: float = 0.0
    handicap: float = 1.0


PACES = (Pace(0.04), Pace(0.15), Pace(0.4, 0.0, 1.05), Pace(0.15, 0.02, 1.05))


class Smoothing:
    """One pattern at one pace."""

    __slots__ = (
        "counts",
        "effects",
        "fitted",
        "lately",
        "level",
        "long",
        "lost",
        "pace",
        "parts",
        "spread",
        "trend",
    )

    def __init__(self, parts: tuple[Part, ...], pace: Pace) -> None:
        self.parts, self.pace = parts, pace
        self.level = self.trend = self.spread = self.lately = self.long = 0.0
        self.fitted = 1.0  # how much too near the first points lie to what was fitted to them
        self.effects: list[dict[int, float]] = [{} for _ in parts]
        self.counts: list[dict[int, int]] = [{} for _ in parts]
        self.lost = 0.0  # mean of its cut surprises, lately

    def begin(self, places: Sequence[Place], values: Sequence[float]) -> None:
        """From the first points: medians, part by part, so that outliers among them do not matter."""
        self.level = middle(values)
        left = [value - self.level for value in values]
        for part, effects, counts in zip(self.parts, self.effects, self.counts, strict=True):
            by_slot: dict[int, list[float]] = {}
            for place, value in zip(places, left, strict=True):
                by_slot.setdefault(part.slot(place), []).append(value)
            for slot, found in by_slot.items():
                # Drawn towards nought where a slot has few points; of one point it would be learned as it is.
                few = len(found) - 1 if len(found) < SOME else len(found) * len(found) / (len(found) + 0.5)
                effects[slot] = middle(found) * few / len(found)
                counts[slot] = len(found)
            left = [value - effects[part.slot(place)] for place, value in zip(places, left, strict=True)]
        lately = left[-max(7, len(left) // 3) :]
        self.level += middle(lately)
        known = 1 + sum(effect != 0.0 for effects in self.effects for effect in effects.values())
        free = math.sqrt(
            len(left) / max(len(left) - known, len(left) / 3)
        )  # what was fitted to them lies too near to them
        self.spread = free * MEAN_TO_SPREAD * sum(abs(value) for value in left) / len(left)
        self.lately = self.long = self.spread
        self.lost = self.spread / MEAN_TO_SPREAD

    def season(self, place: Place) -> float:
        """What the pattern adds at a place."""
        found = 0.0
        for part, effects in zip(self.parts, self.effects, strict=True):
            found += effects.get(part.slot(place), 0.0)
        return found

    def foretold(self, place: Place) -> float:
        """The point to come."""
        return self.level + self.trend + self.season(place)

    def learn(self, place: Place, value: float, wide: float, least: float, forgets: float) -> None:
        """Take a point in. `wide`: how wide its slot spreads beside others."""
        surprise = value - self.foretold(place)
        spread = (max(least, self.spread)) * wide
        bound = CUT * spread
        cut = max(-bound, min(bound, surprise))
        level, trend, _ = self.pace
        self.level += self.trend + level * cut
        if trend:
            self.trend = DAMPED * self.trend + trend * cut
        for part, effects, counts in zip(self.parts, self.effects, self.counts, strict=True):
            slot = part.slot(place)
            seen = counts.get(slot, 0)
            gain = 1.0 / (seen + 2)
            effects[slot] = effects.get(slot, 0.0) + max(gain, part.least_gain) * cut
            counts[slot] = seen + 1
        size = surprise if surprise >= 0 else -surprise
        capped = CAPPED_TO_SPREAD * min(size, CAP * spread) / wide
        self.lately += SPREAD_GAIN * (capped - self.lately)
        self.long += LONG_GAIN * (capped - self.long)
        self.spread = max(CALM * self.long, min(STORMY * self.long, self.lately))
        self.lose(size, 2 * bound, forgets)

    def lose(self, size: float, most: float, forgets: float) -> None:
        """Remember how badly a point was foretold."""
        self.lost += forgets * (min(size, most) - self.lost)


def middle(values: Sequence[float]) -> float:
    """The median."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
