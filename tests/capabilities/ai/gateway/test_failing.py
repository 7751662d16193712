"""Breakers, pauses and budgets for trying again, with clocks that the test holds."""

from __future__ import annotations

from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.ai.gateway import failing
from datareeve.capabilities.ai.gateway.failing import Breaker, Escalating, RetryBudget, fate, retry_after
from datareeve.core import clock
from datareeve.core.estate_gateway import BreakerSettings

SETTINGS = BreakerSettings(failures=3, window_seconds=30, failure_share=0.5, open_seconds=10)


def opened() -> Breaker:
    breaker = Breaker(SETTINGS)
    for _ in range(3):
        breaker.failed(100.0, "upstream.cut")
    return breaker


def test_failures_in_a_row_open_it_and_while_it_is_open_nothing_goes_there():
    breaker = Breaker(SETTINGS)
    for _ in range(2):
        breaker.failed(100.0)
        assert breaker.allows(100.0)
    breaker.failed(100.0, "upstream.cut")
    assert not breaker.allows(109.9)
    assert (breaker.state(105.0), breaker.opens_in(105.0), breaker.reason) == ("open", 5.0, "upstream.cut")


def test_a_success_between_failures_keeps_it_closed_until_their_share_is_too_large():
    breaker = Breaker(SETTINGS)
    for _ in range(5):
        breaker.failed(100.0)
        breaker.failed(100.0)
        assert breaker.allows(100.0) == (breaker.state(100.0) == "closed")
        if breaker.state(100.0) == "open":
            break
        breaker.ok(100.0)
    assert breaker.state(100.0) == "open"


def test_when_half_open_one_probe_decides():
    breaker = opened()
    assert breaker.allows(110.0)
    assert not breaker.allows(110.0)
    breaker.ok(110.1)
    assert breaker.state(110.1) == "closed"
    assert breaker.allows(110.1)


def test_a_failed_probe_opens_it_for_twice_as_long_to_a_bound():
    breaker, now = opened(), 100.0
    waits = []
    for _ in range(7):
        now += breaker.opens_in(now)
        assert breaker.allows(now)
        breaker.failed(now)
        waits.append(breaker.opens_in(now))
    assert waits == [20, 40, 80, 160, 160, 160, 160]


def test_a_probe_that_says_nothing_frees_the_place_for_another():
    breaker = opened()
    assert breaker.allows(110.0)
    breaker.spared()
    assert breaker.allows(110.0)


def test_one_that_asks_to_be_left_alone_is_and_that_alone_is_no_failure():
    breaker = Breaker(SETTINGS)
    for _ in range(5):
        breaker.rests(100.0, "limited", 2.0)
    assert (breaker.allows(101.9), breaker.asked, breaker.opens_in(101.0)) == (False, True, 1.0)
    assert breaker.allows(102.0)
    breaker.ok(102.0)
    assert (breaker.allows(102.0), breaker.state(102.0)) == (True, "closed")


def test_one_that_fails_and_asks_is_left_alone_as_long_as_it_asks_and_no_shorter_than_another():
    breaker = Breaker(SETTINGS)
    breaker.failed(100.0, "down", 0.5)
    assert (breaker.opens_in(100.0), breaker.asked) == (0.5, True)
    breaker.failed(101.0, "down", 0.5)
    breaker.failed(102.0, "down", 0.5)
    assert (breaker.opens_in(102.0), breaker.asked) == (10.0, False)
    breaker.failed(112.0, "down", 60.0)
    assert breaker.opens_in(112.0) == 60.0


def test_the_window_forgets():
    breaker = Breaker(BreakerSettings(failures=100, window_seconds=30))
    for _ in range(9):
        breaker.failed(100.0)
    breaker.failed(131.0)
    assert breaker.state(131.0) == "closed"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "ok"), (201, "ok"), (301, "other-target"), (400, "final"), (401, "other-key"), (404, "other-target"), (408, "try-again"),
     (413, "final"), (422, "final"), (429, "other-key"), (500, "try-again"), (503, "try-again"), (529, "try-again")],
)  # fmt: skip
def test_what_a_status_means(status, expected):
    assert fate(status) == expected


def test_repeating_is_bounded_when_everything_fails_and_paid_for_by_requests():
    budget = RetryBudget()
    assert sum(budget.take(0.0) for _ in range(1000)) == failing.RETRY_RESERVE
    for _ in range(51):
        budget.asked()
    assert sum(budget.take(0.0) for _ in range(1000)) == 10
    assert sum(budget.take(1.0) for _ in range(1000)) == failing.RETRY_REFILL


@given(round_=st.integers(1, 50), share=st.floats(0, 1))
def test_a_pause_is_anything_up_to_a_bound_that_doubles(round_, share):
    most = min(failing.LONGEST_PAUSE, failing.FIRST_PAUSE * 2 ** (round_ - 1))
    assert failing.pause(round_, lambda: share) == pytest.approx(share * most)


@pytest.mark.parametrize(
    ("milliseconds", "value", "seconds"),
    [(b"1500", b"9", 1.5), (None, b"3", 3.0), (None, b"0.25", 0.25), (None, b"99999", 3600.0), (None, b"soon", None), (None, b"-5", None),
     (b"nan", None, None), (b"inf", None, 3600.0), (b"-1", None, 0.0), (None, None, None), (None, b"\xff", None)],
)  # fmt: skip
def test_what_a_provider_asks_to_wait(milliseconds, value, seconds):
    assert retry_after(milliseconds, value, 0.0) == seconds


def test_a_date_to_wait_until():
    now = clock.now().replace(microsecond=0)
    date = format_datetime(now, usegmt=True).encode()
    assert retry_after(None, date, now.timestamp() - 7) == 7.0
    assert retry_after(None, date, now.timestamp() + 7) == 0.0


@given(milliseconds=st.none() | st.binary(max_size=20), value=st.none() | st.binary(max_size=40))
def test_whatever_stands_there_it_is_read_or_not_but_never_fails(milliseconds, value):
    found = retry_after(milliseconds, value, 1e9)
    assert found is None or 0 <= found <= 3600


def test_a_provider_that_goes_on_refusing_is_left_alone_longer_each_time():
    escalating = Escalating()
    assert [escalating.refused(float(at), 2.0) for at in (0, 2, 6, 14, 30, 62)] == [2, 4, 8, 16, 32, 32]
    escalating.ok()
    assert escalating.refused(100.0, 2.0) == 2.0


def test_after_its_rest_one_failure_is_one_like_any_other():
    breaker = Breaker(SETTINGS)
    breaker.rests(100.0, "upstream.rate-limit", 1.0)
    assert breaker.allows(102.0)
    breaker.failed(102.0, "upstream.http-500")
    assert breaker.allows(102.0)
    assert (breaker.state(102.0), breaker.asked) == ("closed", False)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["ok", "failed", "failed-wait", "rests", "spared"]),
            st.floats(0, 30),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_whatever_happens_it_is_asked_again_in_the_end(steps):
    breaker, now = Breaker(SETTINGS), 100.0
    for what, seconds, asks in steps:
        now += seconds
        if asks and not breaker.allows(now):
            continue
        if what == "ok":
            breaker.ok(now)
        elif what == "rests":
            breaker.rests(now, "upstream.rate-limit", seconds)
        elif what == "spared":
            breaker.spared()
        else:
            breaker.failed(now, "upstream.cut", seconds if what == "failed-wait" else None)
    now += 4000.0
    assert breaker.allows(now)
    breaker.ok(now)
    assert breaker.state(now) == "closed"


def test_names_that_clients_invent_do_not_make_an_open_breaker_forgotten():
    breaker = opened()
    assert breaker.is_open
    assert not Breaker(SETTINGS).is_open
