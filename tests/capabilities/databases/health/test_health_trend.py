"""Trends as functions of samples: the day when the disk is full, and how sure that is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.capabilities.databases.health_trend import forecast, growth, rates, trend

NOON = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)
DAYS = 7


def line(per_day, free=1000.0, days=DAYS, noise=lambda _hour: 0.0):
    """Free bytes an hour before now, which fall by so many a day."""
    return [
        (NOON - timedelta(hours=h), free + per_day * h / 24 + noise(h)) for h in range(int(days * 24), 0, -1)
    ]


def test_a_straight_line_ends_on_its_day_and_surely():
    coming = forecast(1000.0, line(100), NOON)
    assert (coming.date, coming.days, coming.bytes_per_day) == ("2026-07-30", 10, 100)
    assert coming.confidence == "good"
    assert coming.earliest <= coming.date <= coming.latest


def test_nothing_is_told_before_a_day_of_samples_and_little_is_sure_before_five():
    assert forecast(1000.0, line(100, days=0.9), NOON) is None
    assert forecast(1000.0, line(100, days=2), NOON).confidence == "low"


def test_a_disk_that_does_not_fill_up_has_no_day():
    assert forecast(1000.0, line(0), NOON) is None
    assert forecast(1000.0, line(-50), NOON) is None
    assert forecast(1000.0, line(0.01), NOON) is None


def test_a_load_and_its_clean_up_in_between_do_not_bend_the_line():
    coming = forecast(1000.0, line(100, noise=lambda h: -600.0 if 60 < h < 80 else 0.0), NOON)
    assert coming.days == pytest.approx(10, rel=0.1)


def test_noise_widens_the_interval_and_takes_confidence():
    quiet, loud = (
        forecast(1000.0, line(100, noise=lambda h, size=size: size * ((h * 7919) % 101 / 50 - 1)), NOON)
        for size in (5.0, 700.0)
    )
    assert loud is None or loud.days_earliest < quiet.days_earliest
    assert quiet.confidence == "good"


@settings(deadline=None)  # a line through a week is a second's work on a busy machine
@given(st.floats(1, 1e9), st.floats(1.5, 60), st.integers(0, 10_000))
def test_the_day_is_within_its_interval_and_near_the_truth_whatever_the_noise_of_a_hundredth(
    free, days, seed
):
    per_day = free / days
    coming = forecast(
        free, line(per_day, free, noise=lambda h: per_day / 50 * ((h * 31 + seed) % 7 - 3)), NOON
    )
    assert coming.days == pytest.approx(days, rel=0.1)
    assert coming.days_earliest <= coming.days + 0.1
    assert coming.earliest <= coming.date


def test_the_newest_sample_counts_however_many_there_are():
    slope, low, high, scatter = trend([(NOON + timedelta(hours=h), float(h)) for h in range(1000)])
    assert (slope, low, high) == (pytest.approx(24), pytest.approx(24), pytest.approx(24))
    assert scatter == pytest.approx(0, abs=1e-6)


def test_growth_needs_an_hour_and_follows_the_trend_from_a_day_on():
    assert growth(10.0, [(NOON - timedelta(minutes=10), 0.0)], NOON) == {}
    assert growth(10.0, [(NOON - timedelta(hours=12), 0.0)], NOON) == {"growth_bytes_per_day": 20}


def test_a_restart_between_two_looks_is_noticed():
    now = {"statistics_seconds": 100.0, "transactions_total": 5.0, "uptime_seconds": 30.0}
    found, _ = rates(now, {"transactions_total": 1.0, "uptime_seconds": 9000.0}, 60.0)
    assert found["restarts_new"] == 1
    found, _ = rates(now, {"transactions_total": 1.0, "uptime_seconds": 10.0}, 60.0)
    assert "restarts_new" not in found
