"""When a bucket is whole: how long after its end its rows still came in, by how the buckets before it settled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

NEARLY_ALL = 0.995  # of a bucket's rows
MOST_BUCKETS = 0.95  # of the buckets were settled by then
LEAST = 8  # buckets


@dataclass(frozen=True, slots=True)
class Seen:
    """How many rows a bucket had at some moment."""

    ends: datetime  # of the bucket
    at: datetime
    rows: float


def settles_after(seen: Iterable[Seen]) -> float | None:
    """Seconds after its end by which a bucket has nearly all its rows, 19 times of 20; None where too few buckets were followed."""
    by_bucket: dict[datetime, list[Seen]] = {}
    for one in seen:
        by_bucket.setdefault(one.ends, []).append(one)
    waits = sorted(_wait(found) for found in by_bucket.values())
    if len(waits) < LEAST:
        return None
    return waits[min(len(waits) - 1, math.ceil((len(waits) + 1) * MOST_BUCKETS) - 1)]


def _wait(found: list[Seen]) -> float:
    ordered = sorted(found, key=lambda one: one.at)
    last = ordered[-1].rows
    settled = next(one for one in ordered if one.rows >= NEARLY_ALL * last)
    return max(0.0, (settled.at - settled.ends).total_seconds())
