"""A level, a trend and a seasonal pattern, taken in point by point: exponential smoothing that a wild point cannot pull along.

Gelper, Fried and Croux (2010): the surprise is cut at a few spreads before anything is learned from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.learned.slots import Part, Place

CUT = 2.5  # spreads
SPREAD_GAIN = 0.04
DAMPED = 0.98  # of the trend, from point to point
CAP, CAPPED_TO_SPREAD = 2.2, 1.275  # the same where each is cut at so many spreads
MEAN_TO_SPREAD = 1.2533  # of a normal: its standard deviation over its mean absolute one


class Pace(NamedTuple):
    """How fast level and trend follow."""

    level: float
    trend: float = 0.0
    handicap: float = 1.0


PACES = (Pace(0.04), Pace(0.15), Pace(0.4, 0.0, 1.05), Pace(0.15, 0.02, 1.05))


class Smoothing:
    """One pattern at one pace."""

    __slots__ = ("counts", "effects", "level", "lost", "pace", "parts", "spread", "trend")

    def __init__(self, parts: tuple[Part, ...], pace: Pace) -> None:
        self.parts, self.pace = parts, pace
        self.level = self.trend = self.spread = 0.0
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
                # Drawn towards nought where a slot has few points.
                effects[slot] = middle(found) * len(found) / (len(found) + 0.5)
                counts[slot] = len(found)
            left = [value - effects[part.slot(place)] for place, value in zip(places, left, strict=True)]
        lately = left[-max(7, len(left) // 3) :]
        self.level += middle(lately)
        self.spread = MEAN_TO_SPREAD * sum(abs(value) for value in left) / len(left)
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
        capped = min(size, CAP * spread)
        self.spread += SPREAD_GAIN * (CAPPED_TO_SPREAD * capped / wide - self.spread)
        self.lost += forgets * (min(size, 2 * bound) - self.lost)


def middle(values: Sequence[float]) -> float:
    """The median."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
