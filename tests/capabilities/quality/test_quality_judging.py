"""From figures to verdicts: what was not counted never passes, bounds are exact, a sample says between what it lies."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.quality.judging import Answer, judge, wilson
from datareeve.capabilities.quality.rule import COUNTING_KINDS, Bounds, Rule

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def rule(kind="range", **more):
    return Rule(id="r", kind=kind, table="t", columns=("n",), **more)


@pytest.mark.parametrize("kind", sorted(COUNTING_KINDS))
def test_what_was_not_counted_has_not_passed(kind):
    assert judge(rule(kind), Answer({}), at=NOW).says == "not run"
    assert judge(rule(kind), Answer({"checked": 10.0}), at=NOW).says == "not run"


@pytest.mark.parametrize("kind", ["row-count", "aggregate", "sql", "agreement"])
def test_a_metric_without_a_value_is_not_run(kind):
    assert judge(rule(kind, bounds=Bounds(at_most=1)), Answer({"figure": None}), at=NOW).says == "not run"


def test_not_null_is_all_rows_less_those_with_a_value():
    verdict = judge(rule("not-null"), Answer({"rows": 10.0, "there": 7.0}), at=NOW)
    assert (verdict.says, verdict.failing, verdict.checked) == ("fail", 3, 10)


@given(failing=st.integers(0, 1000), more=st.integers(0, 1000), most=st.floats(0, 100))
def test_a_tolerance_in_percent_is_of_the_rows_that_were_checked(failing, more, most):
    checked = failing + more
    verdict = judge(
        rule(bounds=Bounds(at_most=most), unit="percent"),
        Answer({"failing": failing, "checked": checked}),
        at=NOW,
    )
    share = 100 * failing / checked if checked else 0.0
    assert verdict.says == ("pass" if share <= most else "fail")


def test_an_empty_table_breaks_no_rule_about_rows_but_has_no_newest_moment():
    assert judge(rule(), Answer({"failing": 0, "checked": 0}), at=NOW).says == "pass"
    fresh = judge(rule("freshness", bounds=Bounds(at_most=60)), Answer({"newest": None}), at=NOW)
    assert (fresh.says, fresh.figure) == ("fail", None)


def test_nan_is_within_no_bounds():
    verdict = judge(rule("aggregate", bounds=Bounds(at_least=0)), Answer({"figure": math.nan}), at=NOW)
    assert verdict.says == "fail"


def test_a_warning_warns_and_an_error_is_not_run():
    assert judge(rule(severity="warning"), Answer({"failing": 1, "checked": 2}), at=NOW).says == "warn"
    assert judge(rule(severity="warning"), Answer({}, "postgres.lost: gone"), at=NOW).says == "not run"


@given(failing=st.integers(0, 500), more=st.integers(0, 500), share=st.floats(0.01, 1))
def test_a_sample_never_says_more_than_its_interval(failing, more, share):
    checked = failing + more
    verdict = judge(
        rule(bounds=Bounds(at_most=0)),
        Answer({"failing": failing, "checked": checked}, sampled=share),
        at=NOW,
    )
    if failing:
        assert verdict.says == "fail"  # what was seen is there
        assert verdict.between[0] >= failing
    else:
        assert verdict.says == "not run"  # none in a sample is not none in all
    if checked:
        low, high = wilson(failing, checked)
        assert 0 <= low <= failing / checked <= high <= 1


@pytest.mark.parametrize(
    "figures",
    [
        {"rows": 100.0, "there": 105.0},
        {"checked": 10.0, "failing": 12.0},
        {"checked": 10.0, "failing": -1.0},
    ],
)
def test_counts_that_do_not_agree_are_of_a_table_that_was_changed_and_pass_nothing(figures):
    verdict = judge(rule("unique"), Answer(figures), at=NOW)
    assert (verdict.says, "changed while" in verdict.reason) == ("not run", True)


@pytest.mark.parametrize(
    "kind", ["row-count", "aggregate", "freshness", "distribution", "learned", "volume", "sql"]
)
def test_what_a_sample_cannot_tell_is_not_told(kind):
    figures = {"figure": 100_000.0, "newest": NOW.timestamp(), "checked": 10.0}
    verdict = judge(rule(kind, bounds=Bounds(at_least=1_000_000)), Answer(figures, sampled=0.01), at=NOW)
    assert verdict.says == "not run"
    assert "sample" in verdict.reason


def test_a_row_of_the_future_is_not_fresh():
    fresh = rule("freshness", unit="seconds", bounds=Bounds(at_most=3600))
    assert judge(fresh, Answer({"newest": NOW.timestamp() - 60}), at=NOW).says == "pass"
    ahead = judge(fresh, Answer({"newest": NOW.timestamp() + 10 * 86400}), at=NOW)
    assert (ahead.says, "ahead" in ahead.reason) == ("fail", True)
