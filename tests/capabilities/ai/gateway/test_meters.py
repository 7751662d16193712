"""Meters of one process: what may be taken, and what is settled."""

import asyncio
import math
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.capabilities.ai.gateway.meters import (
    AT_ONCE,
    MICROUSD,
    REQUESTS,
    TOKENS,
    Meters,
    Reservation,
    Short,
)
from datareeve.capabilities.ai.gateway.tallies import Sliding, period_of


class Clocks:
    """The loop's clock and the wall's."""

    def __init__(self, wall="2026-11-23T12:00:00"):
        self.now = 5000.0
        self.offset = datetime.fromisoformat(wall).replace(tzinfo=UTC).timestamp() - self.now

    def __call__(self):
        return self.now

    def wall(self):
        return self.now + self.offset


@pytest.fixture
def clock():
    return Clocks()


@pytest.fixture
def meters(clock):
    return Meters(now=clock, wall=clock.wall)


@given(
    st.lists(st.tuples(st.floats(0, 40), st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=120),
    st.integers(1, 60),
)
@settings(max_examples=200, deadline=None)
def test_no_sixty_seconds_hold_more_than_the_limit(steps, limit):
    """At any moments whatever, and with what is given back counted as never taken."""
    tally, now, taken = Sliding(limit), 1000.0, []
    for pause, amount, back in steps:
        now += pause
        if tally.take(amount, now):
            kept = max(amount - back, 0)
            tally.settle(amount, kept, now, now)
            taken.append((now, kept))
        assert sum(kept for at, kept in taken if now - at < 60) <= limit
        assert tally.used >= 0


@given(st.lists(st.tuples(st.floats(0, 90), st.integers(0, 9), st.integers(0, 20)), max_size=60))
@settings(deadline=None)
def test_what_slides_forgets_all_that_was_taken_and_settled_late(steps):
    tally, now, open_ = Sliding(50), 0.0, []
    for pause, amount, actual in steps:
        now += pause
        if tally.take(amount, now):
            open_.append((amount, now))
        if open_ and actual % 3 == 0:
            reserved, at = open_.pop(0)
            tally.settle(reserved, actual, now, at)
    tally.refresh(now + 61)
    assert tally.used == 0
    assert tally._slots == [0] * 61


def test_room_comes_back_when_the_meter_says_so(meters, clock):
    meter = meters.of("key", 10, "minute", REQUESTS)
    assert meter.take(6, clock.now)
    clock.now += 20.5
    assert meter.take(4, clock.now)
    assert not meter.take(1, clock.now)
    assert meter.free_in(11, clock.now) == math.inf
    assert meter.free_in(0, clock.now) == 0.0
    for amount in (6, 10):
        wait = meter.free_in(amount, clock.now)
        assert not meters.of("key", 10, "minute", REQUESTS).tally.take(amount, clock.now + wait - 0.01)
        assert Meters(now=clock).of("other", 10, "minute", REQUESTS).free_in(amount, clock.now) == 0.0
    clock.now += meter.free_in(6, clock.now)
    assert meter.take(6, clock.now)


def test_more_than_was_reserved_counts_when_it_is_known_and_may_go_beyond(meters, clock):
    meter = meters.of("key", 100, "minute", TOKENS)
    assert meter.take(90, clock.now)
    clock.now += 50
    meter.settle(90, 130, clock.now, clock.now - 50)
    assert meter.spent == 130
    clock.now += 11
    assert not meter.take(61, clock.now), "the 40 that came later still count"
    assert meter.take(60, clock.now)


def test_what_left_the_window_is_not_given_back(meters, clock):
    meter = meters.of("key", 100, "minute", TOKENS)
    assert meter.take(90, clock.now)
    clock.now += 70
    assert meter.take(30, clock.now)
    meter.settle(90, 5, clock.now, clock.now - 70)
    assert meter.spent == 30


def test_a_budget_is_never_passed_by_reservations(meters, clock):
    budget = meters.of("all", 1000, "month", MICROUSD)
    assert budget.take(600, clock.now)
    assert not budget.take(401, clock.now)
    assert budget.take(400, clock.now)
    budget.settle(600, 50, clock.now)
    assert (budget.spent, budget.reserved) == (50, 400)
    assert budget.take(550, clock.now)


def test_the_last_of_a_budget_goes_to_one_request_that_is_alone(meters, clock):
    budget = meters.of("all", 1000, "month", MICROUSD)
    assert budget.take(5000, clock.now), "nothing is spent or reserved: one may pass the limit by itself"
    assert not budget.take(1, clock.now)
    budget.settle(5000, 900, clock.now)
    assert budget.take(300, clock.now)
    assert not budget.take(1, clock.now)
    budget.settle(300, 100, clock.now)
    assert not budget.take(1, clock.now), "all is spent"


def test_200_requests_at_once_do_not_pass_a_budget(clock):
    """Each reserves twice what it uses, finishes in its own time, and a refused one is gone."""
    seeded = random.Random(8)  # noqa: S311 - the same each time

    async def main():
        meters = Meters(now=clock, wall=clock.wall)
        budget = meters.of("all", 1_000_000, "month", MICROUSD)
        rate = meters.of("key", 10_000, "minute", REQUESTS)
        spent = []

        async def request():
            found = await meters.admit([(rate, 1), (budget, 20_000)], clock.now + 1)
            if isinstance(found, Short):
                assert found.meter is budget
                return
            for _ in range(seeded.randint(1, 20)):
                await asyncio.sleep(0)
                alone = budget.reserved == 20_000  # one request's uncertainty
                assert budget.spent + budget.reserved <= 1_000_000 or alone
            spent.append(10_000)
            found.settle(tokens=0, microusd=10_000)

        for _ in range(12):
            await asyncio.gather(*(request() for _ in range(200)))
        assert sum(spent) == budget.spent
        assert budget.spent == 1_000_000

    asyncio.run(main())


def test_a_reservation_takes_of_all_or_of_none_and_is_settled_once(meters, clock):
    rate = meters.of("key", 3, "minute", REQUESTS)
    tokens = meters.of("key", 100, "minute", TOKENS)
    open_ = meters.of("key", 2, "parallel", AT_ONCE)
    budget = meters.of("all", 1000, "day", MICROUSD)
    demands = [(rate, 1), (open_, 1), (budget, 400)]
    first, second = meters.reserve(demands), meters.reserve(demands)
    assert isinstance(first, Reservation)
    third = meters.reserve(demands)
    assert isinstance(third, Short)
    assert (third.meter, third.amount) == (open_, 1)
    assert rate.spent == 2
    for _ in range(2):
        first.settle(tokens=70, microusd=30)
    assert (rate.spent, open_.reserved, budget.spent, budget.reserved) == (2, 1, 30, 400)
    second.release()
    assert (rate.spent, open_.reserved, budget.spent, budget.reserved) == (1, 0, 30, 0)
    assert tokens.spent == 0


def test_what_was_reserved_before_midnight_is_settled_in_its_own_day():
    clock = Clocks("2026-11-30T23:59:58")
    meters = Meters(now=clock, wall=clock.wall)
    day = meters.of("all", 1000, "day", MICROUSD)
    month = meters.of("all", 5000, "month", MICROUSD)
    late = meters.reserve([(day, 900), (month, 900)])
    assert isinstance(meters.reserve([(day, 200)]), Short)
    assert 1.9 < day.free_in(200, clock.now) <= 2.0
    clock.now += 3
    assert isinstance(meters.reserve([(day, 1000), (month, 5000)]), Reservation)
    late.settle(tokens=0, microusd=850)
    assert (day.spent, month.spent) == (0, 0)


def test_a_wall_clock_that_jumps_ahead_and_back_loses_no_count(clock):
    meters = Meters(now=clock, wall=clock.wall)
    month = meters.of("all", 1000, "month", MICROUSD)
    minute = meters.of("key", 10, "minute", REQUESTS)
    assert month.take(700, clock.now)
    month.settle(700, 700, clock.now)
    assert minute.take(10, clock.now)
    clock.now += 2
    clock.offset += 40 * 86_400
    assert month.take(900, clock.now), "another month"
    month.settle(900, 900, clock.now)
    assert not minute.take(1, clock.now), "a minute is not the wall's"
    clock.now += 2
    clock.offset -= 40 * 86_400
    assert month.take(200, clock.now)
    assert not month.take(200, clock.now)
    assert month.spent == 700


def test_a_limit_changes_in_place(meters, clock):
    meter = meters.of("key", 10, "minute", REQUESTS)
    assert meter.take(8, clock.now)
    assert meters.of("key", 20, "minute", REQUESTS) is meter
    assert meter.take(12, clock.now)
    meters.of("key", 15, "minute", REQUESTS)
    assert not meter.take(1, clock.now)
    assert meter.spent == 20


def test_a_soft_limit_counts_and_refuses_nothing(meters, clock):
    budget = meters.of("all", 100, "month", MICROUSD, hard=False)
    assert budget.take(500, clock.now)
    budget.settle(500, 400, clock.now)
    assert budget.spent == 400
    meters.of("all", 100, "month", MICROUSD, hard=True)
    assert not budget.take(1, clock.now)


def test_a_meter_that_is_no_longer_in_the_estate_is_forgotten(meters, clock):
    kept, gone = meters.of("a", 10, "minute", REQUESTS), meters.of("b", 10, "minute", REQUESTS)
    meters.keep([kept])
    assert meters.all() == (kept,)
    assert meters.of("b", 10, "minute", REQUESTS) is not gone


@pytest.mark.parametrize(
    ("window", "moment", "name", "ends"),
    [
        ("day", "2024-02-28T23:59:59.999", "2024-02-28", "2024-02-29"),
        ("month", "2024-02-29T12:00", "2024-02", "2024-03-01"),
        ("month", "2026-12-31T23:59:59", "2026-12", "2027-01-01"),
    ],
)
def test_days_and_months_are_those_of_utc(window, moment, name, ends):
    wall = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    period = period_of(window, wall)
    assert period.name == name
    assert period.begins_at <= wall < period.ends_at
    assert datetime.fromtimestamp(period.ends_at, UTC).date().isoformat() == ends
