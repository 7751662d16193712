"""When a cron expression is due on the days on which clocks are changed, in zones that change them by an hour and by half of one."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.core.cron import moments, zone_of
from datareeve.core.errors import BadInput

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kolkata", "UTC")
DAY = timedelta(days=1)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def of(cron, zone, start, hours=24, **also):
    """The moments of so many hours from a start, as UTC's month-day hour:minute."""
    begin = utc(start)
    found = moments(cron, zone, begin - timedelta(seconds=1), begin + timedelta(hours=hours), **also)
    return [f"{moment:%m-%d %H:%M}" for moment in found]


@pytest.mark.parametrize(
    ("cron", "zone", "start", "expected"),
    [
        # 02:00-03:00 does not exist: the first moment after it is 03:00, which is 01:00 in UTC
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 01:00"]),
        ("0,15,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 01:00"]),
        ("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 01:00"]),
        # it exists twice: at 00:30 and 01:30 in UTC
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["10-25 00:30"]),
        ("30 2 * * *", "America/New_York", "2026-03-07T18:00", ["03-08 07:00"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T18:00", ["11-01 05:30"]),
        # Lord Howe: by half an hour; 02:00-02:30 does not exist in October, 01:30-02:00 exists twice in April
        ("10 2 * * *", "Australia/Lord_Howe", "2026-10-03T06:00", ["10-03 15:30"]),
        ("40 2 * * *", "Australia/Lord_Howe", "2026-10-03T06:00", ["10-03 15:40"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T06:00", ["04-04 14:45"]),
        # Havana changes its clocks at midnight
        ("0 0 * * *", "America/Havana", "2026-03-07T18:00", ["03-08 05:00"]),
        ("30 0 * * *", "America/Havana", "2026-10-31T18:00", ["11-01 04:30"]),
    ],
)
def test_a_moment_that_is_left_out_comes_after_the_jump_and_one_that_is_repeated_comes_once(
    cron, zone, start, expected
):
    assert of(cron, zone, start) == expected


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("start", ["2026-03-07T12:00", "2026-03-28T12:00", "2026-04-04T06:00", "2026-10-03T06:00", "2026-10-24T12:00", "2026-10-31T12:00"])  # fmt: skip
def test_every_quarter_of_an_hour_is_every_quarter_of_a_real_hour(zone, start):
    begin = utc(start)
    found = list(moments("*/15 * * * *", zone, begin - timedelta(seconds=1), begin + DAY))
    assert found == [begin + n * timedelta(minutes=15) for n in range(97)]
    assert found == list(moments("0,15,30,45 * * * *", zone, begin - timedelta(seconds=1), begin + DAY))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "America/Havana", "UTC"])
@pytest.mark.parametrize("start", ["2026-03-07T12:00", "2026-03-28T12:00", "2026-10-24T12:00", "2026-10-31T12:00"])  # fmt: skip
def test_every_hour_is_every_real_hour(zone, start):
    begin = utc(start)
    found = list(moments("30 * * * *", zone, begin, begin + DAY))
    assert found == [begin + timedelta(minutes=30) + n * timedelta(hours=1) for n in range(24)]


def test_where_clocks_change_by_half_an_hour_no_hour_is_left_without_a_run():
    spring = of("0 * * * *", "Australia/Lord_Howe", "2026-10-03T13:00", hours=4)
    assert spring == ["10-03 13:30", "10-03 14:30", "10-03 15:30", "10-03 16:00", "10-03 17:00"]
    autumn = of("45 * * * *", "Australia/Lord_Howe", "2026-04-04T13:00", hours=4)
    assert autumn == ["04-04 13:45", "04-04 14:45", "04-04 15:15", "04-04 16:15"]


def test_a_day_that_is_skipped_has_no_moment_as_the_calendar_on_the_wall_has_it():
    weekend = of(
        "0 23 * * *", "America/New_York", "2026-11-20T00:00", 120, skips=lambda day: day.weekday() > 4
    )
    assert weekend == ["11-20 04:00", "11-21 04:00", "11-24 04:00"]  # Thursday, Friday and Monday evening


def test_a_schedule_all_of_whose_days_are_skipped_ends_without_a_moment():
    assert of("* * * * *", "UTC", "2026-01-01T00:00", 48, skips=lambda _: True) == []


@pytest.mark.parametrize(
    ("cron", "zone", "code"),
    [
        ("61 * * * *", "UTC", "schedule.cron"),
        ("* * * * * *", "UTC", "schedule.cron"),
        ("", "UTC", "schedule.cron"),
        ("0 0 30 2 *", "UTC", "schedule.cron"),
        ("* * * * *", "Mars/Olympus", "schedule.timezone"),
        ("* * * * *", "../../etc/passwd", "schedule.timezone"),
    ],
)
def test_what_is_no_schedule_is_bad_input(cron, zone, code):
    with pytest.raises(BadInput) as caught:
        list(moments(cron, zone, utc("2026-01-01T00:00"), utc("2026-01-02T00:00")))
    assert caught.value.code == code


CRONS = (
    "30 2 * * *",
    "0 0 * * *",
    "0 * * * *",
    "*/20 1-3 * * *",
    "15 */5 * * *",
    "0 12 1 * *",
    "0 6 * * 1-5",
)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(CRONS),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 20)),  # noqa: DTZ001
    st.lists(st.integers(1, 3000), min_size=1, max_size=12),
)
def test_however_a_time_is_cut_into_looks_its_moments_are_the_same(cron, zone, start, looks):
    begin = start.replace(tzinfo=UTC)
    found, at = [], begin
    for minutes in looks:
        found += moments(cron, zone, at, at + timedelta(minutes=minutes))
        at += timedelta(minutes=minutes)
    assert found == list(moments(cron, zone, begin, at))
    assert found == sorted(set(found))


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(ZONES),
    st.dates(date(2026, 1, 1), date(2026, 12, 30)),
    st.integers(0, 23),
    st.integers(0, 59),
)
def test_a_daily_schedule_comes_once_in_every_day_of_the_year(zone, day, hour, minute):
    place = zone_of(zone)
    begin = datetime(day.year, day.month, day.day, tzinfo=place)
    second = timedelta(seconds=1)
    found = list(moments(f"{minute} {hour} * * *", zone, begin - second, begin + timedelta(days=60) - second))
    assert [moment.astimezone(place).date() for moment in found] == [
        day + timedelta(days=n) for n in range(60)
    ]
