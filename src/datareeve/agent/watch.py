"""Alerts: samples and rules in, events out. Pure; where the samples come from and who is told are others' business.

A rule fires when `for_samples` samples in a row are beyond its threshold, and ends at the first sample that has come back to `clear`.
Between the two levels nothing changes, so that a figure that swings around its threshold is told once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

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
    seen: str = ""  # the newest sample already taken into account


class Event(Value):
    """A rule that fired, or that ended."""

    kind: Literal["fired", "cleared"]
    rule: AlertRule
    value: float
    at: str
    since: str

    @property
    def id(self) -> str:
        """The same for the same rule, kind and moment, so that telling twice can be noticed."""
        return fingerprint([self.rule.name, self.kind, self.since, self.at])[:16]


def evaluate(
    rules: Iterable[AlertRule],
    history: Mapping[tuple[str, str], Sequence[Reading]],
    states: Mapping[str, State],
) -> tuple[tuple[Event, ...], dict[str, State]]:
    """The events of new samples, and where each rule stands after them.

    `history`: readings by (system, sample), oldest first; those that a rule's state has seen already are passed over. A rule without
    readings stays where it is: no figure is not a good figure. `states` of rules that are gone are forgotten.
    """
    events: list[Event] = []
    after: dict[str, State] = {}
    for rule in rules:
        state = states.get(rule.name, State())
        for at, value in history.get((rule.system, rule.sample), ()):
            if at > state.seen and math.isfinite(value):
                state, event = advance(rule, state, at, value)
                events += [event] if event else []
        after[rule.name] = state
    return tuple(events), after


def advance(rule: AlertRule, state: State, at: str, value: float) -> tuple[State, Event | None]:
    """One more sample."""
    if state.firing:
        if not ended(rule, value):
            return state.model_copy(update={"seen": at}), None
        return State(seen=at), Event(kind="cleared", rule=rule, value=value, at=at, since=state.since)
    if not beyond(rule, value):
        return State(seen=at), None
    since, count = state.since or at, state.beyond + 1
    firing = count >= rule.for_samples
    event = Event(kind="fired", rule=rule, value=value, at=at, since=since) if firing else None
    return State(firing=firing, since=since, beyond=count, seen=at), event


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
