"""What a rule of kind `learned` or `volume` says of a figure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from datareeve.capabilities.quality import learned
from datareeve.capabilities.quality.learned import baseline
from datareeve.capabilities.quality.learned.settling import Seen, settles_after
from datareeve.capabilities.quality.rule import Bounds, Rule
from datareeve.core.errors import BadInput

BEGINS = datetime(2024, 1, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)


def rows(count, figure=lambda n: 1000.0 + 7 * (n % 5)):
    """Stored history, newest first as the store gives it."""
    return [{"at": (BEGINS + n * DAY).isoformat(), "figure": figure(n), "mark": None} for n in range(count)][
        ::-1
    ]


def rule(kind="learned", severity="error", bounds=None, **arguments):
    more = {} if bounds is None else {"bounds": bounds}
    return Rule(
        id="r", kind=kind, table="t", arguments={"of": "row-count", **arguments}, severity=severity, **more
    )


def test_it_passes_fails_warns_or_says_how_much_history_is_wanting():
    at = BEGINS + 60 * DAY
    good = learned.judge(rule(), rows(60), 1005.0, at)
    assert good.says == "pass"
    assert good.low < 1005 < good.high
    assert learned.judge(rule(), rows(60), 100.0, at).says == "fail"
    assert learned.judge(rule(severity="warning"), rows(60), 100.0, at).says == "warn"
    wanting = learned.judge(rule(), rows(20), 100.0, at)
    assert wanting.says == "not yet"
    assert wanting.words == "not enough history (20 of 28 checks)"
    assert learned.judge(rule(), [], 100.0, at).words == "not enough history (0 of 28 checks)"
    by_day = rule(time="sold", per="day")
    assert learned.judge(by_day, rows(1), 100.0, at).words == "not enough history (1 of 28 days)"


def test_what_was_measured_at_or_after_the_moment_is_not_its_history():
    at = BEGINS + 60 * DAY
    later = [{"at": (at + n * DAY).isoformat(), "figure": 9.0} for n in range(30)]
    assert learned.judge(rule(), [*rows(60), *later], 1005.0, at) == learned.judge(
        rule(), rows(60), 1005.0, at
    )


def test_a_point_that_a_person_marked_is_not_alarmed_again():
    at = BEGINS + 60 * DAY
    history = [{"at": at.isoformat(), "figure": 100.0, "mark": "one-off"}, *rows(60)]
    assert learned.judge(rule(), history, 100.0, at).says == "pass"
    assert learned.judge(rule(), history, 1000.0, at + DAY).says == "pass"
    assert learned.judge(rule(), history, 50.0, at + DAY).says == "fail"
    history[0]["mark"] = "new-normal"
    assert learned.judge(rule(), history, 101.0, at + DAY).says == "pass"
    assert learned.judge(rule(), history, 1000.0, at + DAY).says == "fail"


def test_a_baseline_judges_on_the_first_day():
    figures = tuple(learned.Point(BEGINS.replace(hour=0) + n * DAY, 1000.0 + 7 * (n % 5)) for n in range(60))
    told = baseline.told(figures, "day", "UTC")
    assert baseline.points_of(told) == figures
    learning = rule(per="day", baseline=told)
    today = BEGINS + 61 * DAY  # it is asked of yesterday, the first day that the baseline does not have
    assert learned.judge(learning, [], 1005.0, today).says == "pass"
    assert learned.judge(learning, [], 100.0, today).says == "fail"
    assert learned.judge(rule(per="day"), [], 100.0, today).says == "not yet"


def test_checks_of_one_day_are_one_point():
    learning = rule(per="day")
    several = [
        {"at": (BEGINS + n * timedelta(hours=6)).isoformat(), "figure": 1000.0 + n % 5} for n in range(4 * 20)
    ]
    assert (
        learned.judge(learning, several, 1000.0, BEGINS + 20 * DAY).says == "not yet"
    )  # 20 days, not 80 points
    assert (
        learned.judge(rule(), several, 1002.0, BEGINS + 20 * DAY).says == "pass"
    )  # four a day: two weeks of them are enough


def test_volume_is_beside_earlier_runs_in_percent_where_the_contract_gives_bounds():
    at = BEGINS + 10 * DAY
    volume = rule("volume", bounds=Bounds(at_least=-30, at_most=50))
    history = rows(10, lambda n: 1000.0 if n % 2 else 1010.0)
    assert learned.judge(volume, history, 1400.0, at).says == "pass"
    judged = learned.judge(volume, history, 600.0, at)
    assert judged.says == "fail"
    assert "-40 %" in judged.words
    assert judged.low == pytest.approx(700)
    assert (
        judged.words
        == "600 rows, -40 % beside 1,000 of 7 earlier checks; at least -30, at most 50 percent is asked"
    )
    assert learned.judge(volume, [], 600.0, at).says == "not yet"
    assert learned.judge(volume, rows(3, lambda _: 0.0), 5.0, at).says == "fail"
    assert learned.judge(rule("volume"), rows(60), 100.0, BEGINS + 60 * DAY).says == "fail"


def test_arguments_that_are_none_are_refused_by_name():
    with pytest.raises(BadInput, match="false_alarms_per_year"):
        learned.judge(rule(false_alarms_per_year="many"), rows(60), 1.0, BEGINS + 60 * DAY)
    with pytest.raises(BadInput, match="baseline"):
        learned.judge(rule(baseline=[1, 2]), rows(60), 1.0, BEGINS + 60 * DAY)
    with pytest.raises(BadInput, match="buckets"):
        learned.judge(rule(per="fortnight"), rows(60), 1.0, BEGINS + 60 * DAY)


def test_when_a_bucket_is_whole_is_learned_from_how_the_buckets_before_it_filled():
    seen = []
    for n in range(20):
        ends = BEGINS + n * DAY
        for hours, share in ((0, 0.7), (2, 0.9), (5, 0.999 if n % 2 else 0.99), (9, 1.0)):
            seen.append(Seen(ends, ends + timedelta(hours=hours), 1000 * share))
    assert settles_after(seen) == 9 * 3600
    assert settles_after(seen[: 4 * 5]) is None
