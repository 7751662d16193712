"""Verdicts: what became of each rule of a contract on one system, with the figure, its bounds, and the rows by their keys.

A verdict is never silently left out: what was not run says why. A figure is exact, or says between what and what it lies.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from datareeve.core.value import Value

KEYS_SHOWN = 20  # of the rows that break a rule


class Says(StrEnum):
    """What a rule's figure says."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"
    NOT_RUN = "not run"
    NOT_YET = "not yet"  # measured and kept, and not judged: its history is too short, or has days like this one, of which there is no figure


class Verdict(Value):
    """What became of one rule. It holds counts, bounds and keys: no value of any other column."""

    rule: str  # Rule.id
    says: Says
    figure: float | None = None  # in the rule's unit
    failing: int | None = None  # rows, where the rule counts rows
    checked: int | None = None  # rows that it was asked of
    exact: bool = True
    between: tuple[float, float] | None = (
        None  # where it is not exact: 95 % of the time the figure lies there
    )
    reason: str = ""  # of 'not run'; of a figure that is not exact: how it came
    proof: str = ""  # where the catalog guarantees it, by what: no row was read
    keys: tuple[dict[str, Any], ...] = Field(
        (), max_length=KEYS_SHOWN
    )  # of rows that break it; never of a personal column
    keys_left_out: str = ""  # why there are none, or fewer: 'there is no key', 'the key is personal data'
    seconds: float | None = (
        None  # of what was asked for it alone; its share, where several were asked at once
    )
    figures: dict[str, float] = Field(
        default_factory=dict
    )  # others measured with it: distinct, newest, quantiles
