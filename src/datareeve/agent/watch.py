"""Alerts: samples and rules in, events out. Pure; where the samples come from and who is told are others' business.

A rule fires when `for_samples` samples in a row are beyond its threshold, and ends when as many in a row have come back to `clear`. Between
the two levels nothing changes, and one good sample among bad ones ends nothing, so that a figure that swings around its threshold is told
once. A sample that is missing is neither good nor bad; that samples stopped coming is an alert of its own (`silent_seconds`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from datareeve.core.estate import AlertRule  # noqa: TC001 - pydantic reads it at run time
from datareeve.core.value import Value, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Reading = tuple[str, float]  # when (ISO 8601, UTC), and the figure


class State(Value):
    """Where a rule stands. `since` is the first sample of the present run beyond the threshold."""

    firing: bool = False
    since: str = ""
    beyond: int = 0  # samples in a row beyond the threshold
    back: int = 0  # while it fires: samples in a row that have come back
    seen: str = ""  # the newest sample already taken into account


class Event(Value):
    """A rule that fired, or that ended. `figures` are what the rule tells with it, as they were then."""

    kind: Literal["fired", "cleared"]
    rule: AlertRule
    value: float
    at: str
    since: str
    figures: dict[str, float] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same rule, kind and moment, so that telling twice can be noticed."""
        return fingerprint([self.rule.name, self.kind, self.since, self.at])[:16]


def evaluate(
    rules: Iterable[AlertRule],
    history: Mapping[tuple[str, str], Sequence[Reading]],
    states: Mapping[str, State],
    now: str = "",
) -> tuple[tuple[Event, ...], dict[str, State]]:
    """The events of new samples, and where each rule stands after them.

    `history`: readings by (system, sample), oldest first; those that a rule's state has seen already are passed over. A rule without
    readings stays where it is: no figure is not a good figure. `states` of rules that are gone are forgotten. `now` (ISO 8601, UTC) is
    what silence is measured to; without it nothing is silent.
    """
    events: list[Event] = []
    after: dict[str, State] = {}
    for rule in rules:
        state = states.get(rule.name, State())
        readings = history.get((rule.system, rule.sample), ())
        if rule.silent_seconds is not None:
            after[rule.name], event = listen(rule, state, readings, now)
            events += [event] if event else []
            continue
        for at, value in readings:
            if at > state.seen and math.isfinite(value):
                state, event = advance(rule, state, at, value)
                events += [event.model_copy(update={"figures": beside(event, history)})] if event else []
        after[rule.name] = state
    return tuple(events), after


def advance(rule: AlertRule, state: State, at: str, value: float) -> tuple[State, Event | None]:
    """One more sample."""
    if state.firing:
        return _while_firing(rule, state, at, value)
    if not beyond(rule, value):
        return State(seen=at), None
    since, count = state.since or at, state.beyond + 1
    firing = count >= rule.for_samples
    event = Event(kind="fired", rule=rule, value=value, at=at, since=since) if firing else None
    return State(firing=firing, since=since, beyond=count, seen=at), event


def _while_firing(rule: AlertRule, state: State, at: str, value: float) -> tuple[State, Event | None]:
    back = state.back + 1 if ended(rule, value) else 0
    if back < rule.for_samples:
        return state.model_copy(update={"seen": at, "back": back}), None
    return State(seen=at), Event(kind="cleared", rule=rule, value=value, at=at, since=state.since)


def listen(
    rule: AlertRule, state: State, readings: Sequence[Reading], now: str
) -> tuple[State, Event | None]:
    """Whether samples still come: fires when the newest is older than `silent_seconds`, ends with the next one. The value is seconds of silence.

    Where none was ever seen, silence is counted from the first time it was listened for.
    """
    newest = readings[-1][0] if readings else ""
    if state.firing:
        if newest <= state.since:
            return state, None
        event = Event(kind="cleared", rule=rule, value=0.0, at=newest, since=state.since)
        return State(seen=newest), event
    last = max(newest, state.seen) or now
    silence = _seconds(last, now)
    if silence <= (rule.silent_seconds or math.inf):
        return State(seen=last), None
    event = Event(kind="fired", rule=rule, value=round(silence), at=now, since=last)
    return State(firing=True, since=last, seen=last), event


def _seconds(since: str, until: str) -> float:
    if not since or not until:
        return 0.0
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()


def beside(event: Event, history: Mapping[tuple[str, str], Sequence[Reading]]) -> dict[str, float]:
    """The samples that the rule tells with it, of the same look as the event's own."""
    found = {}
    for name in event.rule.tells:
        readings = history.get((event.rule.system, name), ())
        index = bisect_right(readings, event.at, key=lambda reading: reading[0])
        if index and readings[index - 1][0] == event.at:
            found[name] = readings[index - 1][1]
    return found


def beyond(rule: AlertRule, value: float) -> bool:
    """Whether the figure is on the wrong side of the threshold."""
    return (rule.above is not None and value > rule.above) or (rule.below is not None and value < rule.below)


def ended(rule: AlertRule, value: float) -> bool:
    """Whether the figure has come back to the level at which the alert ends, the threshold itself where none is given."""
    if beyond(rule, value):
        return False
    if rule.clear is None:
        return True
    return (rule.above is None or value <= rule.clear) and (rule.below is None or value >= rule.clear)
