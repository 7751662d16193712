"""Holidays, and what else is no fault: a month's last working day, a trend, what a hang or a quiet Saturday leaves behind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from datareeve.capabilities.quality.learned import Point, Settings, expect, settings_of, watched
from datareeve.capabilities.quality.learned.watcher import Watcher
from datareeve.capabilities.quality.rule import Bounds, Rule
from datareeve.core.errors import BadInput
from datareeve.core.holidays import BY_ZONE, FULL, NEAR, RULES, easter, is_holiday, quiet

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = (1.0, 1.05, 1.1, 1.08, 1.0, 0.6, 0.4)
COUNT = Settings(nature="count", zone="Europe/Berlin")
DAY = timedelta(days=1)


def shop(until, factor=lambda day: 1.0, *, days=150, seed=1):
    """Rows a day before a date, in Berlin."""
    random = Random(seed)  # noqa: S311 - no secret
    found = []
    for n in range(days, 0, -1):
        day = until - n * DAY
        figure = round(2000 * WEEK[day.weekday()] * factor(day) * random.lognormvariate(0, 0.04))
        found.append(Point(datetime(day.year, day.month, day.day, tzinfo=BERLIN), float(figure)))
    return found


def judged(history, day, figure, how=COUNT):
    at = datetime(day.year, day.month, day.day, tzinfo=BERLIN)
    return watched(history, at, how).judge(at, figure)


@pytest.mark.parametrize(
    ("year", "day"),
    [
        (1961, "1961-04-02"),
        (2000, "2000-04-23"),
        (2024, "2024-03-31"),
        (2025, "2025-04-20"),
        (2038, "2038-04-25"),
    ],
)
def test_easter_is_when_it_is(year, day):
    assert easter(year) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("country", "days"),
    [
        ("DE", "2024-03-29 2024-04-01 2024-05-09 2024-05-20 2024-10-03"),
        ("US", "2013-05-27 2013-09-02 2013-11-28 2021-06-18 2022-12-26 2021-12-31 2023-11-10"),
        ("GB", "2023-05-01 2023-05-29 2023-08-28 2021-12-27 2021-12-28"),
        ("SE", "2024-06-21 2024-06-06"),
        ("FI", "2024-11-02"),
        ("CA", "2024-05-20 2024-10-14"),
        ("FR", "2024-07-14 2024-11-11"),
    ],
)
def test_public_holidays_are_computed(country, days):
    for day in map(date.fromisoformat, days.split()):
        assert is_holiday(day, (country,)), day
        assert not is_holiday(day, ())


def test_a_holiday_of_this_century_was_none_in_the_last_decade():
    assert not is_holiday(date(2013, 6, 19), ("US",))
    assert is_holiday(date(2024, 6, 19), ("US",))


def test_every_country_has_its_holidays_in_every_year_and_every_zone_is_one():
    for country in RULES:
        for year in range(1990, 2060):
            days = [date(year, 1, 1) + n * DAY for n in range(365)]
            assert 7 <= sum(is_holiday(day, (country,)) for day in days) <= 30
    assert {ZoneInfo(name).key for name in BY_ZONE} == set(BY_ZONE)


def test_a_long_weekend_is_quiet_and_the_days_beside_it_half():
    thanksgiving = date(2024, 11, 28)
    week = [quiet(thanksgiving + n * DAY, ("US",)) for n in range(-3, 6)]
    assert week == [0.0, 0.0, NEAR, FULL, FULL, FULL, FULL, NEAR, 0.0]


def test_a_holiday_as_quiet_as_a_sunday_is_no_alarm_and_another_weekday_is_one():
    unity, plain = date(2024, 10, 3), date(2024, 10, 10)  # Thursdays
    assert not judged(shop(unity), unity, 800.0).alarm
    assert "public holiday" in judged(shop(unity), unity, 0.0).words
    assert judged(shop(unity), unity, 0.0).cause == "below"
    assert judged(shop(plain), plain, 800.0).cause == "below"
    assert judged(shop(unity), unity, 800.0, COUNT.model_copy(update={"holidays": ()})).cause == "below"
    assert judged(shop(unity), unity, 800.0, COUNT.model_copy(update={"zone": "UTC"})).cause == "below"


def test_a_day_of_ones_own_may_be_a_holiday():
    day = date(2024, 6, 19)
    own = COUNT.model_copy(update={"holidays": ("DE", "06-19")})
    assert not judged(shop(day), day, 800.0, own).alarm
    assert judged(shop(day), day, 800.0).cause == "below"


def test_a_quiet_holiday_teaches_nothing_of_other_days():
    day = date(2024, 6, 11)
    quiet_ones = shop(day, lambda one: 0.4 if is_holiday(one, ("DE",)) else 1.0, days=130)
    bands = [expect(history, history[-1].at + DAY, COUNT) for history in (shop(day, days=130), quiet_ones)]
    assert bands[1].centre == pytest.approx(bands[0].centre, rel=0.02)
    assert bands[1].low == pytest.approx(bands[0].low, rel=0.05)


@pytest.mark.parametrize("given", [["XX"], ["13-01"], ["2024-1-1"]])
def test_a_calendar_that_is_none_is_refused(given):
    rule = Rule(
        id="r",
        kind="learned",
        table="t",
        arguments={"metric": "row-count", "holidays": given},
        bounds=Bounds(),
    )
    with pytest.raises(BadInput, match="no holidays of"):
        settings_of(rule)


def test_the_last_working_day_of_a_month_is_learned():
    def factor(day):
        after = day + (3 if day.weekday() == 4 else 1) * DAY
        return 1.6 if day.weekday() < 5 and after.month != day.month else 1.0

    day = date(2024, 8, 30)  # a Friday; the seventh that is known
    history = shop(day, factor, days=220)
    assert not judged(history, day, 3200.0).alarm
    assert judged(history, day - 3 * DAY, 3200.0).cause == "above"


def test_saturdays_that_turn_quiet_move_no_other_day():
    begins = date(2024, 6, 25)
    history = shop(
        date(2024, 7, 24), lambda day: 0.5 if day >= begins and day.weekday() == 5 else 1.0, days=160
    )
    watcher = watched(history, history[-1].at + DAY, COUNT)
    weekdays = [point for point in history[-20:] if point.at.weekday() != 5]
    assert not any(watched(history, one.at, COUNT).judge(one.at, one.value).alarm for one in weekdays)
    assert watcher.expect(history[-1].at + 4 * DAY).centre == pytest.approx(600, rel=0.15)  # a Saturday


def test_what_hangs_for_two_weeks_leaves_what_was_learned_as_it_was():
    day = date(2024, 7, 23)
    history = shop(day)
    hung = [*history, *(Point(history[-1].at + n * DAY, history[-1].value) for n in range(1, 15))]
    assert watched(hung[:-1], hung[-1].at, COUNT).judge(hung[-1].at, hung[-1].value).alarm
    at = history[-1].at + 21 * DAY
    before, after = expect(history, at, COUNT), expect(hung, at, COUNT)
    assert after.centre == pytest.approx(before.centre, rel=0.05)
    assert after.high - after.low < 1.3 * (before.high - before.low)


def test_a_series_that_grows_all_the_time_does_not_drift_again_and_again():
    told = 0
    for seed in range(4):
        random, watcher = Random(seed), Watcher(Settings(nature="value"), 86_400.0)  # noqa: S311 - no secret
        for n in range(730):
            point = Point(
                datetime(2023, 1, 1, tzinfo=UTC) + n * DAY, 100 * 1.0018**n * (1 + random.gauss(0, 0.02))
            )
            told += watcher.judge(point.at, point.value).cause == "drift"
            watcher.learn(point)
    assert told <= 8  # one a year


def test_hours_that_drift_by_the_week_are_told_by_their_days():
    random, watcher, told = Random(3), Watcher(Settings(nature="count"), 3600.0), []  # noqa: S311 - no secret
    for n in range(24 * 100):
        ramp = 1 + 0.8 * max(0, n - 24 * 70) / (24 * 25)
        figure = float(round((200 + 150 * (8 < n % 24 < 20)) * ramp * random.lognormvariate(0, 0.05)))
        at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=n)
        judged_so = watcher.judge(at, figure)
        told += [(n, judged_so.words)] if judged_so.cause == "drift" else []
        watcher.learn(Point(at, figure))
    assert told
    assert told[0][0] > 24 * 70
    assert any("the day as a whole" in words for _, words in told)


@pytest.mark.parametrize("accepted", [2.0, 12.0])
def test_no_more_false_alarms_come_than_were_accepted_where_tails_are_heavy(accepted):
    alarms = tested = 0
    for seed in range(8):
        random = Random(seed)  # noqa: S311 - no secret
        watcher = Watcher(Settings(false_alarms_per_year=accepted), 86_400)
        for n in range(730):
            wild = random.gauss(0, 5) / random.gammavariate(2.5, 0.4) ** 0.5  # Student's t of 5 degrees
            point = Point(datetime(2024, 1, 1, tzinfo=UTC) + n * DAY, 100 + 10 * (n % 7 == 5) + wild)
            if n > 60:
                alarms += watcher.judge(point.at, point.value).alarm
                tested += 1
            watcher.learn(point)
    assert accepted / 6 < alarms / tested * 365.25 < accepted * 1.5
