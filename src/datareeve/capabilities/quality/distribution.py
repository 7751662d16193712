"""How far two distributions lie apart, from counts in shared parts: no value of a row is needed, and none is kept.

A histogram is JSON: {edges: [e1 ... en], counts: [n + 1 numbers], nulls} for numbers and moments (the first part lies below e1, the last from en on),
or {categories: [...], counts: [...], nulls, other} for a set of words, where `other` counts those that are not among them.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
BEFORE = (
    0.5  # rows' worth of belief that any part may have some (Jeffreys): an empty part is not infinitely far
)
METHODS = ("psi", "ks", "quantiles")


class Histogram(Value):
    """Counts of parts, in order where there are edges."""

    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    counts: tuple[float, ...]
    nulls: float = 0.0
    other: float = 0.0

    @property
    def parts(self) -> tuple[float, ...]:
        """Every count: of the parts, of what is none of them, of NULL."""
        return (*self.counts, *((self.other,) if self.categories else ()), self.nulls)


class Distance(Value):
    """How far apart: each is 0 where the shares are equal."""

    psi: float  # population stability index: under 0.1 alike, over 0.25 another population, by custom
    psi_by_chance: float  # what two samples of these sizes from one population would have on average
    ks: (
        float | None
    )  # Kolmogorov and Smirnov: the greatest gap of the shares below an edge; None without an order
    quantiles: float | None  # the greatest shift of five quantiles, in quartile ranges of the reference


def histogram(given: Mapping[str, Any]) -> Histogram | str:
    """A histogram of its JSON, or what is wrong with it."""
    edges, categories = tuple(given.get("edges") or ()), tuple(map(str, given.get("categories") or ()))
    counts = tuple(given.get("counts") or ())
    numbers = (*edges, *counts, given.get("nulls") or 0, given.get("other") or 0)
    if not all(
        isinstance(one, (int, float)) and not isinstance(one, bool) and math.isfinite(one) for one in numbers
    ):
        return "a histogram of the reference holds something that is no number"
    if bool(edges) == bool(categories):
        return "a reference has either edges or categories"
    wanted = len(edges) + 1 if edges else len(categories)
    if len(counts) != wanted:
        return f"the reference has {len(counts)} counts for {wanted} parts"
    if any(b <= a for a, b in pairwise(edges)) or any(count < 0 for count in numbers[len(edges) :]):
        return "the edges of a reference rise, and its counts are not below nought"
    return Histogram(
        edges=edges,
        categories=categories,
        counts=counts,
        nulls=given.get("nulls") or 0,
        other=given.get("other") or 0,
    )


def figure_of(arguments: Mapping[str, Any], figures: Mapping[str, float | None]) -> float | str:
    """The figure of a distribution rule: `figures` are the counts now, b0 ... , checked (not NULL) and rows; or why there is none."""
    method = str(arguments.get("method") or "psi")
    if method not in METHODS:
        return f"there is no method {method}: it is one of {', '.join(METHODS)}"
    reference = histogram(arguments.get("reference") or {})
    if isinstance(reference, str):
        return reference
    now = _measured(reference, figures)
    if not sum(now.counts) + now.other or not sum(reference.counts) + reference.other:
        return "there is no value to compare"
    distance = compare(reference, now)
    found: float | None = getattr(distance, method)
    return "this method needs parts in an order: edges, not categories" if found is None else found


def _measured(reference: Histogram, figures: Mapping[str, float | None]) -> Histogram:
    counts = tuple(float(figures.get(f"b{n}") or 0) for n in range(len(reference.counts)))
    checked, rows = float(figures.get("checked") or 0), float(figures.get("rows") or 0)
    other = max(0.0, checked - sum(counts)) if reference.categories else 0.0
    return reference.model_copy(update={"counts": counts, "other": other, "nulls": max(0.0, rows - checked)})


def compare(reference: Histogram, now: Histogram) -> Distance:
    """How far two histograms of the same parts lie apart. The smaller sample's chance is in the index: `psi_by_chance` says how much."""
    sizes = sum(reference.parts), sum(now.parts)
    used = sum(1 for a, b in zip(reference.parts, now.parts, strict=True) if a or b)
    ordered = bool(reference.edges)
    return Distance(
        psi=psi(reference.parts, now.parts),
        psi_by_chance=max(0, used - 1) * sum(1 / size for size in sizes if size),
        ks=ks(reference.counts, now.counts) if ordered else None,
        quantiles=quantile_shift(reference, now) if ordered else None,
    )


def psi(reference: Sequence[float], now: Sequence[float]) -> float:
    """Population stability index of two lists of counts. Parts that are empty in both say nothing."""
    pairs = [(a + BEFORE, b + BEFORE) for a, b in zip(reference, now, strict=True) if a or b]
    totals = [sum(side) for side in zip(*pairs, strict=True)]
    if len(pairs) < 2:  # noqa: PLR2004 - one part cannot differ
        return 0.0
    shares = [(a / totals[0], b / totals[1]) for a, b in pairs]
    return math.fsum((q - p) * math.log(q / p) for p, q in shares)


def ks(reference: Sequence[float], now: Sequence[float]) -> float:
    """The greatest gap between the shares that lie below an edge: a lower bound of the gap between the distributions themselves."""
    totals = sum(reference), sum(now)
    if not all(totals):
        return 0.0 if not any(totals) else 1.0
    pairs = zip(accumulate(reference), accumulate(now), strict=True)
    return max(abs(a / totals[0] - b / totals[1]) for a, b in pairs)


def quantile_shift(reference: Histogram, now: Histogram) -> float:
    """The greatest shift of five quantiles, in quartile ranges of the reference. What lies beyond the outer edges is taken to lie at them."""
    before, after = ([quantile(one, q) for q in QUANTILES] for one in (reference, now))
    spread = before[3] - before[1] or reference.edges[-1] - reference.edges[0] or 1.0
    return max(abs(b - a) for a, b in zip(before, after, strict=True)) / spread


def quantile(of: Histogram, q: float) -> float:
    """A quantile, as if values lay evenly within each part."""
    target, below = q * sum(of.counts), 0.0
    lower, upper = (of.edges[0], *of.edges), (*of.edges, of.edges[-1])
    for count, low, high in zip(of.counts, lower, upper, strict=True):
        if count and below + count >= target:
            return low + (high - low) * (target - below) / count
        below += count
    return of.edges[-1]


def edges_between(low: float, high: float, parts: int = 20) -> tuple[float, ...]:
    """Edges of equal parts between two numbers, where no quantiles are known to choose them by."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return (low,)
    return tuple(low + (high - low) * n / parts for n in range(parts + 1))
