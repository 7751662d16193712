"""What counters did since the newest earlier look, or since the server started where there was none. Shared by the engines beside PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from datareeve.core import clock

if TYPE_CHECKING:
    from datareeve.core.operation import Systems

WINDOW = timedelta(minutes=15)  # an older sample says little about now
SHORTEST_SECONDS = 5.0  # below this a rate is noise
Figures = dict[str, float]


def since_last(
    systems: Systems, system: str, totals: Figures, uptime_seconds: float
) -> tuple[Figures, float, bool]:
    """How much each counter grew, over how many seconds, and whether an earlier look was there to compare with.

    A counter that is smaller than before was reset: then all are taken since the start.
    """
    now = clock.now()
    samples = systems["ledger"].read("samples", system=system, since=clock.stamp(now - WINDOW))
    by_look: dict[str, Figures] = {}
    for sample in samples:
        by_look.setdefault(sample["at"], {})[sample["name"]] = sample["value"]
    for at in sorted(by_look, reverse=True):
        seconds = (now - datetime.fromisoformat(at)).total_seconds()
        before = by_look[at]
        if seconds >= SHORTEST_SECONDS and "queries_total" in before and seconds <= uptime_seconds:
            grown = {name: totals[name] - before[name] for name in totals if name in before}
            if all(value >= 0 for value in grown.values()):
                return grown, seconds, True
    return totals, max(uptime_seconds, 1.0), False
