"""What a history lets one expect: nothing of the tested point is known, and what cannot be is never expected."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.capabilities.quality.learned import (
    Expectation,
    NotEnough,
    Point,
    Settings,
    expect,
    points,
    watched,
)
from datareeve.capabilities.quality.learned.series import buckets
from datareeve.capabilities.quality.learned.watcher import Watcher
from datareeve.core.errors import BadInput

BEGINS = datetime(2024, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WEEK = (1.0, 1.05, 1.1, 1.08, 1.0, 0.5, 0.4)
COUNT = Settings(nature="count")


def series(count, figure, step=DAY, begins=BEGINS):
    return [Point(begins + n * step, figure(n)) for n in range(count)]


def weekly(count, level=2000.0, noise=0.05, seed=1):
    random = Random(seed)  # noqa: S311 - no secret
    return series(count, lambda n: float(round(level * WEEK[n % 7] * random.lognormvariate(0, noise))))


def judged(history, value, at=None, how=COUNT):
    at = at or history[-1].at + (history[-1].at - history[-2].at)
    return watched(history, at, how).judge(at, value)


def test_the_weekend_of_a_weekly_series_is_expected_low_and_a_low_weekday_is_not():
    history = weekly(180)  # the next is a Saturday: 180 = 25 * 7 + 5
    assert not judged(history, 1000.0).alarm
    assert judged(history, 2000.0).cause == "above"
    assert (
        judged([*history, Point(BEGINS + 180 * DAY, 1000.0), Point(BEGINS + 181 * DAY, 800.0)], 1000.0).cause
        == "below"
    )
    assert "day of week" in judged(history, 1000.0).expectation.basis


def test_nothing_at_or_after_the_tested_point_is_learned():
    history, at = weekly(120), BEGINS + 100 * DAY
    wild = [point if point.at < at else Point(point.at, 1e9) for point in history]
    expected = expect(history, at, COUNT)
    assert expected == expect(wild, at, COUNT) == expect(history[:100], at, COUNT)
    assert expected.trained_on == 100
    assert datetime.fromisoformat(expected.ends) < at


def test_a_short_history_says_how_many_points_are_wanting():
    for there in (0, 1, 27):
        found = expect(weekly(28)[:there], BEGINS + 400 * DAY, COUNT)
        assert isinstance(found, NotEnough)
        assert found.reason == f"not enough history ({there} of 28 points)"
    hourly = series(1, lambda _: 5.0, HOUR)  # of hours two weeks are needed
    assert expect(hourly, hourly[0].at + HOUR, COUNT).reason == "not enough history (1 of 336 points)"
    assert isinstance(expect(weekly(29), BEGINS + 29 * DAY, COUNT), Expectation)


def test_outliers_in_the_training_window_widen_the_band_little():
    clean, dirty = weekly(200), weekly(200)
    for n in (40, 80, 120, 160):
        dirty[n] = Point(dirty[n].at, dirty[n].value * 8)
    bands = [expect(one, BEGINS + 200 * DAY, COUNT) for one in (clean, dirty)]
    widths = [band.high - band.low for band in bands]
    assert widths[1] < 1.6 * widths[0]
    assert abs(bands[0].centre - bands[1].centre) < 0.1 * bands[0].centre


def test_a_level_that_lasted_is_the_level():
    history = weekly(120)
    for n in range(120, 135):
        history.append(Point(BEGINS + n * DAY, float(round(6000 * WEEK[n % 7]))))
    assert judged(history[:121], 6000 * WEEK[121 % 7]).cause == "above"
    assert not judged(history, 6000 * WEEK[135 % 7]).alarm
    assert judged(history, 2000 * WEEK[135 % 7]).cause == "below"


def test_a_new_normal_is_the_level_at_once_and_a_one_off_never_is():
    history = weekly(120)
    for mark, alarms_at_new, alarms_at_old in (("new-normal", False, True), ("one-off", True, False)):
        told = [
            *history,
            Point(BEGINS + 120 * DAY, 6000 * WEEK[120 % 7], mark),
            Point(BEGINS + 121 * DAY, None),
        ]
        at = BEGINS + 122 * DAY
        assert judged(told, 6000 * WEEK[122 % 7] * 1.1, at).alarm == alarms_at_new, mark
        assert judged(told, 2000 * WEEK[122 % 7], at).alarm == alarms_at_old, mark


def test_a_one_off_that_still_stands_is_not_alarmed_again():
    history = [*weekly(120), Point(BEGINS + 120 * DAY, 6000.0, "one-off")]
    assert not judged(history, 6000.0, BEGINS + 120 * DAY + HOUR).alarm
    assert judged(history, 6500.0, BEGINS + 120 * DAY + HOUR).cause == "above"
    usual = [*history, Point(BEGINS + 121 * DAY, 2000 * WEEK[121 % 7])]
    assert judged(usual, 6000.0, BEGINS + 122 * DAY).cause == "above"


def test_of_a_constant_series_any_change_is_notable_but_the_jitter_of_floats_is_not():
    history = series(60, lambda n: 0.1 + 0.2 if n % 2 else 0.3)
    how = Settings(nature="value")
    assert not judged(history, 0.30000000000000004, how=how).alarm
    assert judged(history, 0.301, how=how).cause == "above"
    airlines = series(60, lambda _: 16.0)
    assert not judged(airlines, 16.0).alarm
    assert judged(airlines, 15.0).cause == "below"
    assert judged(airlines, 17.0).cause == "above"


def test_a_year_of_noughts_raises_no_alarm_and_the_first_null_does():
    history = series(365, lambda _: 0.0)
    watcher = Watcher(Settings(nature="percent"), 86_400)
    assert not [point for point in history if (watcher.judge(point.at, 0.0).alarm, watcher.learn(point))[0]]
    assert judged(history, 0.4, how=Settings(nature="percent")).cause == "above"


def test_a_figure_that_stops_moving_is_noticed_and_one_that_often_stays_is_not():
    frozen = weekly(100)
    frozen += [Point(BEGINS + n * DAY, 2000.0) for n in (100, 101)]
    found = judged(frozen, 2000.0)
    assert found.cause == "frozen"
    random = Random(3)  # noqa: S311 - no secret
    few = series(200, lambda _: float(random.random() < 0.1))
    assert judged([*few, *(Point(BEGINS + n * DAY, 0.0) for n in range(200, 212))], 0.0).cause == ""


def test_a_slow_drift_is_noticed_though_no_single_point_is_wild():
    history = weekly(150)
    causes = set()
    for n in range(150, 190):
        value = float(round(2000 * WEEK[n % 7] * (1 + 0.6 * (n - 150) / 40)))
        causes.add(judged(history, value, BEGINS + n * DAY).cause)
        history.append(Point(BEGINS + n * DAY, value))
    assert "drift" in causes


def test_an_hour_without_flights_is_expected_at_night_only():
    random = Random(5)  # noqa: S311 - no secret
    hourly = series(
        24 * 40, lambda n: float(round(60 * (6 <= n % 24 <= 22) * random.lognormvariate(0, 0.05))), HOUR
    )
    night, day = BEGINS + 40 * DAY + 3 * HOUR, BEGINS + 40 * DAY + 12 * HOUR
    assert not judged(hourly, 0.0, night).alarm
    assert judged(hourly, 0.0, day).cause == "below"
    assert judged(hourly, 30.0, night).cause == "above"


def test_hours_are_local_ones_across_a_change_of_the_clock():
    zone = ZoneInfo("America/New_York")
    begins = datetime(2024, 2, 1, tzinfo=zone).astimezone(UTC)

    def opening(n):
        local = (begins + n * HOUR).astimezone(zone)
        return 100.0 + n % 3 if 9 <= local.hour < 17 else 0.0

    hourly = series(24 * 60, opening, HOUR, begins)  # to the end of March: the clock changed on the 10th
    at = datetime(2024, 4, 1, 9, tzinfo=zone)
    local, utc = (Settings(nature="count", zone=name) for name in ("America/New_York", "UTC"))
    assert not judged(hourly, 101.0, at, local).alarm
    alarms = {}
    for name, how in (("local", local), ("utc", utc)):
        watcher = watched(hourly[: 24 * 37], hourly[24 * 37].at, how)
        alarms[name] = 0
        for point in hourly[24 * 37 :]:
            alarms[name] += watcher.judge(point.at, point.value).alarm
            watcher.learn(point)
    assert alarms["local"] == 0
    assert alarms["utc"] > 5


def test_the_hour_that_the_clock_repeats_may_hold_two_hours_of_rows_where_moments_were_kept_as_local_time():
    zone, begins = ZoneInfo("America/New_York"), datetime(2024, 10, 1, 4, tzinfo=UTC)
    hourly = series(24 * 33, lambda n: 100.0 + n % 3, HOUR, begins)
    twice = datetime(2024, 11, 3, 1, tzinfo=zone)  # and again an hour later
    for naive, alarms in ((True, False), (False, True)):
        how = Settings(nature="count", zone="America/New_York", naive=naive)
        assert judged(hourly, 202.0, twice, how).alarm == alarms
        assert judged(hourly, 202.0, twice + DAY, how).alarm


def test_a_day_has_its_local_beginning_when_the_clock_changes():
    zone = ZoneInfo("America/New_York")
    found = buckets(datetime(2024, 3, 9, 5, tzinfo=UTC), datetime(2024, 3, 12, 4, tzinfo=UTC), "day", zone)
    assert [at.astimezone(zone).hour for at in found] == [0, 0, 0, 0]
    assert [at.hour for at in found] == [5, 5, 4, 4]
    months = buckets(datetime(2024, 1, 1, 5, tzinfo=UTC), datetime(2024, 12, 1, 5, tzinfo=UTC), "month", zone)
    assert [at.astimezone(zone).month for at in months] == list(range(1, 13))


def test_a_holiday_of_last_year_is_within_the_band_this_year():
    history = weekly(420)
    history[360 + 0] = Point(history[360].at, 300.0)  # 26 December 2024, a Thursday
    later = weekly(800, seed=1)[420:]
    at = BEGINS + (360 + 365) * DAY
    known = [*history, *later]
    assert judged(history, 300.0, BEGINS + 420 * DAY + 5 * DAY).cause == "below"
    assert not judged(known, 320.0, at).alarm
    assert judged(known, 320.0, at + 4 * DAY).cause == "below"


def test_the_more_false_alarms_are_accepted_the_narrower_is_the_band():
    history, at, widths = weekly(365), BEGINS + 365 * DAY, []
    for accepted in (0.5, 2.0, 12.0, 52.0):
        band = expect(history, at, Settings(nature="value", false_alarms_per_year=accepted))
        widths.append(band.high - band.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 1.2 * widths[-1]


@pytest.mark.parametrize("accepted", [2.0, 12.0])
def test_as_many_false_alarms_come_as_were_accepted(accepted):
    alarms = tested = 0
    for seed in range(12):
        random = Random(seed)  # noqa: S311 - no secret
        history = series(730, lambda n, noise=random.gauss: 100 + 10 * (n % 7 == 5) + noise(0, 5))
        watcher = Watcher(Settings(false_alarms_per_year=accepted), 86_400)
        for n, point in enumerate(history):
            alarms += n > 60 and watcher.judge(point.at, point.value).alarm
            tested += n > 60
            watcher.learn(point)
    a_year = alarms / tested * 365.25
    assert accepted / 4 < a_year < accepted * 2.5


def test_irregular_and_missing_points_are_no_error():
    random = Random(2)  # noqa: S311 - no secret
    at, history = BEGINS, []
    for n in range(200):
        at += timedelta(hours=random.choice((1, 3, 30, 70)))
        history.append(Point(at, None if n % 9 == 0 else random.gauss(50, 3)))
    assert not judged(history, 50.0, at + DAY, Settings()).alarm
    assert judged(history, 150.0, at + DAY, Settings()).cause == "above"


def test_one_sided_watching_is_silent_on_the_other_side():
    random = Random(4)  # noqa: S311 - no secret
    lag = series(120, lambda _: 300 + random.expovariate(1 / 60))
    how = Settings(nature="lag", sides="high")
    assert not judged(lag, 0.0, how=how).alarm
    assert judged(lag, 9000.0, how=how).cause == "above"
    assert judged(lag, 300.0, how=how).expectation.low is None


def test_not_a_number_is_noticed_and_never_learned():
    history = weekly(100)
    assert judged(history, math.nan).cause == "above"
    with_nan = [*history, Point(BEGINS + 100 * DAY, math.nan)]
    assert (
        expect(with_nan, BEGINS + 101 * DAY, COUNT).centre
        == expect(history, BEGINS + 101 * DAY, COUNT).centre
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.floats(-1e12, 1e12), st.integers(0, 3).map(float), st.just(0.0)),
        min_size=30,
        max_size=80,
    ),
    st.sampled_from(["count", "amount", "share", "percent", "lag", "value"]),
)
def test_whatever_the_figures_a_bound_is_where_such_a_figure_can_be(values, nature):
    whole = {"share": 1.0, "percent": 100.0}.get(nature)
    told = [abs(v) % (whole or 1e13) if nature != "value" else v for v in values]
    found = expect(series(len(told), lambda n: told[n]), BEGINS + 100 * DAY, Settings(nature=nature))
    assert isinstance(found, Expectation)
    assert found.low <= found.centre <= found.high
    assert math.isfinite(found.centre)
    if nature != "value":
        assert found.low >= 0
    if whole:
        assert found.high <= whole


def test_ten_thousand_points_are_learned_within_a_second_or_two():
    random = Random(1)  # noqa: S311 - no secret
    hourly = [
        {"at": (BEGINS + n * HOUR).isoformat(), "figure": 100 + 50 * (n % 24 > 8) + random.gauss(0, 5)}
        for n in range(10_000)
    ]
    history = points(hourly)
    begun = time.process_time()
    expect(history, BEGINS + 10_000 * HOUR, Settings())
    assert time.process_time() - begun < 5


def test_a_history_that_is_none_is_refused():
    with pytest.raises(BadInput, match="no moment or no figure"):
        points([{"at": "yesterday", "figure": 1}])
    with pytest.raises(BadInput, match="no time zone"):
        Settings(zone="Mars/Olympus")
