"""From what was measured to a verdict. Pure: the rule, its answers and its history give the same verdict always."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.capabilities.quality.rule import COUNTING_KINDS
from datareeve.capabilities.quality.verdicts import Says, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from datareeve.capabilities.quality.rule import Rule

AHEAD_SECONDS = 86400.0  # that the newest moment may lie ahead: time zones of those who write
Z95 = 1.959964  # the normal distribution's 97.5 % point


class Answer(NamedTuple):
    """What was measured for a rule: figures by name, or why not."""

    figures: Mapping[str, float | None]
    error: str = ""
    seconds: float | None = None
    sampled: float | None = None  # the share of rows that were read; None: all


def judge(rule: Rule, answer: Answer, *, at: datetime, history: list[Any] | None = None) -> Verdict:
    """The verdict on one rule. `history`: earlier figures of it, for `volume` and `learned`; `at`: now."""
    if answer.error:
        return Verdict(rule=rule.id, says=Says.NOT_RUN, reason=answer.error, seconds=answer.seconds)
    counts = _counts(answer.figures)
    if rule.kind in COUNTING_KINDS and "failing" not in counts:  # what was not counted has not passed
        return Verdict(rule=rule.id, says=Says.NOT_RUN, reason="it was not counted", seconds=answer.seconds)
    # More may be missing than is there; else no more rows break a rule than there are.
    most = math.inf if rule.kind in ("gaps", "continuity") else counts.get("checked", math.inf)
    if rule.kind in COUNTING_KINDS and not 0 <= counts["failing"] <= most:
        moved = "the table was changed while it was measured: what was counted does not agree"
        return Verdict(rule=rule.id, says=Says.NOT_RUN, reason=moved, seconds=answer.seconds)
    measured = _measured(rule, answer, counts, at, history or [])
    if isinstance(measured, str):
        return Verdict(rule=rule.id, says=Says.NOT_RUN, reason=measured, seconds=answer.seconds, **counts)
    return measured.model_copy(update={"seconds": answer.seconds, **counts})


def _counts(figures: Mapping[str, float | None]) -> dict[str, int]:
    """How many rows break a rule, of how many: counted as such, or as all rows less those with a value."""
    rows, there = figures.get("rows"), figures.get("there")
    if rows is not None and there is not None:
        return {"failing": int(rows - there), "checked": int(rows)}
    return {key: int(value) for key in ("failing", "checked") if (value := figures.get(key)) is not None}


def _measured(
    rule: Rule, answer: Answer, counts: dict[str, int], at: datetime, history: list[Any]
) -> Verdict | str:
    """The verdict without its counts, or why there is none."""
    if answer.sampled is not None and rule.kind not in COUNTING_KINDS | {"schema"}:
        return "a sample does not tell: its figure is of the whole table"
    if rule.kind in ("volume", "learned"):
        return _expected(rule, answer, at, history)
    figure = _figure(rule, answer, counts, at)
    if isinstance(figure, str):
        return figure
    if rule.kind == "freshness" and not -AHEAD_SECONDS <= figure < math.inf:
        why = (
            "its newest moment lies ahead of the clock"
            if figure < 0
            else "there is no moment at all: nothing has arrived"
        )
        told = None if math.isinf(figure) else figure
        return Verdict(rule=rule.id, says=_broken(rule), figure=told, reason=why)
    if answer.sampled is not None and rule.kind in COUNTING_KINDS:
        return _of_sample(rule, counts, answer.sampled)
    return Verdict(rule=rule.id, says=Says.PASS if rule.bounds.hold(figure) else _broken(rule), figure=figure)


def _broken(rule: Rule) -> Says:
    return Says.FAIL if rule.severity == "error" else Says.WARN


def _figure(rule: Rule, answer: Answer, counts: dict[str, int], at: datetime) -> float | str:
    """The figure that the bounds are about."""
    figures = answer.figures
    if rule.kind in COUNTING_KINDS or rule.kind == "schema":
        failing, checked = counts.get("failing", 0), counts.get("checked", 0)
        return (100.0 * failing / checked if checked else 0.0) if rule.unit == "percent" else float(failing)
    if rule.kind == "freshness":
        newest = figures.get("newest")
        return math.inf if newest is None else at.timestamp() - newest
    if rule.kind == "distribution":
        from datareeve.capabilities.quality import distribution  # noqa: PLC0415 - only where one is compared

        return distribution.figure_of(rule.arguments, figures)
    if rule.kind == "agreement":
        return _difference(rule, figures.get("ours"), figures.get("theirs"))
    figure = figures.get("figure")
    return "there is no value to measure" if figure is None else float(figure)


def _difference(rule: Rule, ours: float | None, theirs: float | None) -> float | str:
    if ours is None or theirs is None:
        return "there is no value to measure"
    if rule.unit != "percent":
        return ours - theirs
    return 0.0 if ours == theirs else 100.0 * (ours - theirs) / abs(theirs) if theirs else math.inf


def _expected(rule: Rule, answer: Answer, at: datetime, history: list[Any]) -> Verdict | str:
    """Beside what the history of the figure lets one expect."""
    from datareeve.capabilities.quality import learned  # noqa: PLC0415 - as above

    figure = answer.figures.get("figure")
    says, words, low, high = learned.judge(rule, history, figure, at)
    if says is Says.NOT_RUN:
        return words
    expected = {} if low is None or high is None else {"low": low, "high": high}
    return Verdict(rule=rule.id, says=says, figure=figure, reason=words, figures=expected)


def _of_sample(rule: Rule, counts: dict[str, int], share: float) -> Verdict | str:
    """A sample bounds the figure (Wilson, 95 %): it passes or fails where the whole interval does, else only the whole table tells."""
    failing, checked = counts.get("failing", 0), counts.get("checked", 0)
    if not checked:
        return "no row of the sample is one that the rule is about"
    low, high = wilson(failing, checked)
    scale = 100.0 if rule.unit == "percent" else checked / share
    # What was seen is there: the least number of rows is never below it.
    between = (max(low * scale, failing if rule.unit == "rows" else 0.0), high * scale)
    holds = [rule.bounds.hold(end) for end in between]
    how = f"from a sample of {checked:,} rows"
    figure = failing / checked * scale
    if not any(holds):
        return Verdict(
            rule=rule.id, says=_broken(rule), figure=figure, exact=False, between=between, reason=how
        )
    if all(holds):
        return Verdict(rule=rule.id, says=Says.PASS, figure=figure, exact=False, between=between, reason=how)
    return f"{how} the figure lies between {between[0]:.4g} and {between[1]:.4g}: only the whole table tells"


def wilson(failing: int, checked: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    share, z2 = failing / checked, Z95**2
    middle = share + z2 / (2 * checked)
    half = Z95 * math.sqrt(share * (1 - share) / checked + z2 / (4 * checked**2))
    low, high = (middle - half) / (1 + z2 / checked), (middle + half) / (1 + z2 / checked)
    return (0.0 if failing == 0 else low), (1.0 if failing == checked else high)
