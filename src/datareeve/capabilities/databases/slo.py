"""The service level "95 % of queries under 100 ms", from what the workload's source counted, and its error budget.

Where every execution is recorded (a trace, a log of all statements) the share is exact. Where only moments are known (pg_stat_statements)
it lies between two bounds that hold for every distribution (`latency.within`), and the verdict may be that it cannot be told. Burn rates and
their pairs of windows are those of Google's "The Site Reliability Workbook", chapter 5, table 5-8. Everything here is pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from datareeve.capabilities.databases.latency import NONE, Within, together, within
from datareeve.core.operation import Severity
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datareeve.capabilities.databases.latency import Moments
    from datareeve.capabilities.databases.workload_history import History, Stretch

PERIOD = timedelta(days=30)  # of the error budget
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
WINDOWS = {"5m": 5 * MINUTE, "30m": 30 * MINUTE, "1h": HOUR, "6h": 6 * HOUR, "3d": 3 * DAY}
COVERED = 0.8  # of a window must be covered by snapshots for its burn rate to be told
SLACK_SECONDS = 45.0  # a schedule of five minutes does not run to the second
STALE = timedelta(minutes=20)  # older counts say nothing about now

Verdict = Literal["met", "missed", "cannot be told", "not known"]


class Alert(NamedTuple):
    """The budget burns too fast where both windows burn at least so fast. The short one ends the alert soon after the trouble."""

    long: str
    short: str
    rate: float
    severity: Severity


ALERTS = (
    Alert("1h", "5m", 14.4, Severity.CRITICAL),
    Alert("6h", "30m", 6.0, Severity.CRITICAL),
    Alert("3d", "6h", 1.0, Severity.WARNING),
)


class Span(Value):
    """The calls of some stretch of time: how many of each family were within the target."""

    families: dict[str, Within] = Field(default_factory=dict)
    seconds: float | None = None

    @property
    def whole(self) -> Within:
        """All families together."""
        return together(self.families.values())


class Level(Value):
    """A service level and what is known of it."""

    target_ms: float
    goal: float  # the share that shall be within the target
    of: str  # what was counted, for a sentence: 'the last 30 days (snapshots)'
    basis: Literal["every call", "moments", "slow calls", "nothing"]
    main: Span = Span()
    windows: dict[str, Span] = Field(default_factory=dict)
    current: bool = True  # the windows end now
    names: dict[str, str] = Field(default_factory=dict)  # statements by fingerprint
    notes: tuple[str, ...] = ()
    why_unknown: str = ""

    @property
    def verdict(self) -> Verdict:
        """Of all queries together."""
        return verdict(self.main.whole, self.goal) if self.main.families else "not known"

    def burn(self, window: str) -> tuple[float, float] | None:
        """The least and greatest rate at which a window used up the budget (1: just used up at the period's end); None: not known."""
        span = self.windows.get(window)
        if span is None or not span.whole.calls:
            return None
        low, high = span.whole.shares
        return (1 - high) / (1 - self.goal), (1 - low) / (1 - self.goal)

    def burning(self) -> tuple[Alert, ...]:
        """The alerts that surely fire."""
        if not self.current:
            return ()
        return tuple(
            alert
            for alert in ALERTS
            if all((rate := self.burn(name)) is not None and rate[0] >= alert.rate for name in alert[:2])
        )

    def budget(self) -> dict[str, Any]:
        """Calls that may be over the target in all, that were, and what is left as calls and as a share; bounds where it is bounded."""
        whole = self.main.whole
        allowed = (1 - self.goal) * whole.calls
        over = (whole.calls - whole.most, whole.calls - whole.least)
        left = (allowed - over[1], allowed - over[0])
        return {
            "calls": whole.calls,
            "allowed_over": round(allowed, 1),
            "over_at_least": over[0],
            "over_at_most": over[1],
            "left_calls_at_least": round(left[0], 1),
            "left_calls_at_most": round(left[1], 1),
            "left_share_at_least": round(left[0] / allowed, 4) if allowed else None,
            "left_share_at_most": round(left[1] / allowed, 4) if allowed else None,
        }

    def offenders(self) -> list[tuple[str, Within]]:
        """Families with calls that may be over the target, those with most of them first."""
        found = [(key, one) for key, one in self.main.families.items() if one.least < one.calls]
        return sorted(
            found, key=lambda item: (item[1].most - item[1].calls, item[1].least - item[1].calls, item[0])
        )


def verdict(counted: Within, goal: float) -> Verdict:
    """Whether a share is surely at least the goal, surely below it, or neither."""
    if not counted.calls:
        return "not known"
    low, high = counted.shares
    return "met" if low >= goal else "missed" if high < goal else "cannot be told"


# -- from what there is -----------------------------------------------------------------------------------------------------------


def of_moments(families: Mapping[str, Moments], target: float, seconds: float | None = None) -> Span:
    """Bounds for each family from its moments."""
    counted = {key: within(moments, target) for key, moments in families.items()}
    return Span(families={key: one for key, one in counted.items() if one.calls}, seconds=seconds)


def of_counts(counts: Mapping[str, list[int]], seconds: float | None = None) -> Span:
    """Exact numbers: calls, and how many were within."""
    return Span(
        families={key: Within(calls=n, least=k, most=k) for key, (n, k) in counts.items()}, seconds=seconds
    )


def of_stretches(stretches: Iterable[Stretch], target: float, nested: frozenset[str]) -> Span:
    """Bounds over several stretches: each stretch has bounds of its own, which are sharper than those of their sum."""
    counted: dict[str, Within] = {}
    seconds = 0.0
    for stretch in stretches:
        seconds += stretch.seconds
        for key, delta in stretch.families.items():
            if key not in nested:
                counted[key] = counted.get(key, NONE) + within(delta.moments(), target)
    return Span(families=counted, seconds=seconds)


def windows_of(history: History, target: float) -> dict[str, Span]:
    """The windows that end with the newest snapshot, where snapshots cover them."""
    end = history.shots[-1].at
    nested = frozenset(key for key, name in history.names.items() if name.nested)
    spans = {
        name: of_stretches(history.stretches(_back(end, seconds)), target, nested)
        for name, seconds in WINDOWS.items()
    }
    return {name: span for name, span in spans.items() if (span.seconds or 0) >= COVERED * WINDOWS[name]}


def _back(end: datetime, seconds: float) -> datetime:
    return end - timedelta(seconds=seconds - min(SLACK_SECONDS, seconds / 5))
