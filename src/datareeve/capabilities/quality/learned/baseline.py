"""The history that a rule is given with the contract: figures of a table's own past, one a day or hour, so that it can judge on its first day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.learned.points import Point
from datareeve.capabilities.quality.learned.series import next_bucket
from datareeve.capabilities.quality.learned.slots import zone_of
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 5_000


def told(series: Sequence[Point], every: str, zone: str) -> dict[str, Any]:
    """A series as an argument of a rule: {begins, every, zone, figures: "842 943 - 915"}, in six digits, - where there is none."""
    series = series[-MOST:]
    return {
        "begins": series[0].at.isoformat(),
        "every": every,
        "zone": zone,
        "figures": " ".join("-" if point.value is None else f"{point.value:.6g}" for point in series),
    }


def points_of(given: Any) -> tuple[Point, ...]:
    """The points of such an argument; none where it is not given. Errors: `BadInput` `rule.arguments`."""
    if given is None:
        return ()
    try:
        at = datetime.fromisoformat(str(given["begins"]))
        every, zone = str(given["every"]), zone_of(str(given.get("zone", "UTC")))
        figures = [None if one == "-" else float(one) for one in str(given["figures"]).split()[:MOST]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadInput("rule.arguments", "A baseline is {begins, every, zone, figures}.", "Let quality.learn-expectations write it.") from None  # fmt: skip
    at, found = at if at.tzinfo else at.replace(tzinfo=UTC), []
    for figure in figures:
        found.append(Point(at, figure))
        at = next_bucket(at, every, zone)
    return tuple(found)
