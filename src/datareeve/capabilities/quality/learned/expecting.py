"""What a history lets one expect of a point, and what a rule of kind `learned` or `volume` says of a figure. Pure: the clock is given."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from datareeve.capabilities.quality.learned import last_bucket, slots
from datareeve.capabilities.quality.learned.baseline import points_of
from datareeve.capabilities.quality.learned.points import NotEnough, Point, Settings, points
from datareeve.capabilities.quality.learned.series import SECONDS, bucket_of
from datareeve.capabilities.quality.learned.smoothing import middle
from datareeve.capabilities.quality.learned.watcher import Watcher
from datareeve.capabilities.quality.rule import NONE_BREAK, Bounds
from datareeve.capabilities.quality.verdicts import Says
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from datareeve.capabilities.quality.learned.points import Expectation, Nature
    from datareeve.capabilities.quality.rule import Rule

NATURES: dict[str, Nature] = {
    "row-count": "count", "count": "count", "distinct": "count", "null-count": "count", "null-percent": "percent",
    "distinct-percent": "percent", "freshness": "lag",
}  # fmt: skip
BESIDE = 7  # earlier runs that a volume is compared with, where it is not said
KEPT = 3_000  # points that are learned from: what lies farther back says nothing of today


class Said(NamedTuple):
    """What a rule says of a figure: `words` are the reason, where there is one; `low` and `high` what was expected."""

    says: Says
    words: str
    low: float | None = None
    high: float | None = None


def expect(history: Sequence[Point], at: datetime, settings: Settings) -> Expectation | NotEnough:
    """What the points strictly before `at` let one expect of a point then."""
    return watched(history, at, settings).expect(at)


def watched(history: Sequence[Point], at: datetime, settings: Settings, step: float | None = None) -> Watcher:
    """A watcher that has learned the points strictly before `at`, and nothing else. `step`: seconds between points, where that is known."""
    before = sorted((point for point in history if point.at < at), key=lambda point: point.at)[-KEPT:]
    there = [point.at for point in before if point.value is not None]
    # Of one point it is not known how far apart they lie: no farther than to now, and a day where that is longer.
    usual = slots.usual_step(there) if len(there) > 1 else min(slots.DAY, slots.usual_step([*there, at]))
    watcher = Watcher(settings, step or usual)
    for point in before:
        watcher.learn(point)
    return watcher


def judge(rule: Rule, history: Iterable[Mapping[str, Any]], now_figure: float | None, at: datetime) -> Said:
    """What a rule says of a figure that was measured `at`, by its earlier ones: [{at, figure, mark}], in any order. None: there is no figure.

    Errors: `BadInput` `rule.arguments` for settings that are none, `quality.series` for a history that is none.
    """
    if rule.kind == "volume" and rule.bounds not in (NONE_BREAK, Bounds()) and now_figure is not None:
        return _volume(rule, points(history), now_figure, at)
    settings = settings_of(rule)
    then = _then(rule, at, settings)
    known = {point.at: point for point in points_of(rule.arguments.get("baseline"))}
    for point in points(history):
        moment = _then(rule, point.at, settings)
        marked = known[moment].mark if moment in known and not point.mark else point.mark
        known[moment] = Point(moment, point.value, marked)
    if then in known and known[then].mark:
        return Said(Says.PASS, "a person said that it is expected")
    every = last_bucket.every_of(rule)
    if now_figure is None:
        usual = any(point.value is None for point in known.values() if point.at < then)
        of = f" in the last whole {every}" if every else ""
        return Said(Says.NOT_YET if usual else Says.NOT_RUN, f"there is no value to measure{of}")
    judged = watched(tuple(known.values()), then, settings, SECONDS.get(every)).judge(then, now_figure)
    if judged.wanting is not None:
        return Said(Says.NOT_YET, judged.wanting.said(f"{every}s" if every else "checks"))
    band = judged.expectation
    low, high = (band.low, band.high) if band else (None, None)
    broken = Says.FAIL if rule.severity == "error" else Says.WARN
    return Said(broken if judged.alarm else Says.PASS, judged.words, low, high)


def settings_of(rule: Rule) -> Settings:
    """How closely a rule watches, by its arguments. Errors: `BadInput` `rule.arguments`."""
    known = {key: rule.arguments[key] for key in Settings.model_fields if rule.arguments.get(key) is not None}
    if rule.kind == "volume":
        known.setdefault("nature", "count")
    known.setdefault("nature", NATURES.get(rule.metric, "value"))
    try:
        return Settings(**known)
    except ValidationError as error:
        named = ".".join(map(str, error.errors()[0]["loc"]))
        raise BadInput("rule.arguments", f"The rule {rule.id} has an argument {named} that is none: {error.errors()[0]['msg']}.", "Correct it in the contract.") from None  # fmt: skip


def _then(rule: Rule, at: datetime, settings: Settings) -> datetime:
    """The moment that a figure is of: where a rule counts by the day, the last day that was whole and settled when it was measured."""
    every = last_bucket.every_of(rule)
    if not every:
        return at
    zone = slots.zone_of(settings.zone)
    moment = bucket_of(at, every, zone)
    for _ in range(last_bucket.settles_of(rule) + 1):
        moment = bucket_of(moment - timedelta(seconds=1), every, zone)
    return moment


def _volume(rule: Rule, history: tuple[Point, ...], figure: float, at: datetime) -> Said:
    """Rows beside those of earlier runs, in percent, within the bounds that the contract gives."""
    before = [
        point.value
        for point in history
        if point.at < at and point.value is not None and point.mark != "one-off"
    ]
    over = before[-int(rule.arguments.get("runs", BESIDE)) :]
    if not over:
        return Said(Says.NOT_YET, "not enough history (0 of 1 earlier checks)")
    usual = over[-1] if rule.arguments.get("over") == "last" else middle(over)
    change = 100.0 * (figure - usual) / usual if usual else math.inf if figure else 0.0
    words = f"{figure:,.0f} rows, {change:+.4g} % beside {usual:,.6g} of {len(over)} earlier checks; {rule.bounds.words} percent is asked"
    good = rule.bounds.hold(change)
    broken = Says.FAIL if rule.severity == "error" else Says.WARN
    low, high = (
        None if end is None else usual * (1 + end / 100)
        for end in (rule.bounds.at_least, rule.bounds.at_most)
    )
    return Said(Says.PASS if good else broken, words, low, high)
