"""Limits that several processes share: here as several `Meters` on one loop, told what time it is; as real processes in tests/lives/test_shared_limits.py."""

import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from datareeve.capabilities.ai.gateway.leasing import IDLE_SECONDS, PATIENCE_SECONDS, Leasing
from datareeve.capabilities.ai.gateway.meters import (
    AT_ONCE,
    MICROUSD,
    REQUESTS,
    TOKENS,
    Meters,
    Reservation,
    Short,
)
from datareeve.core.errors import Unreachable
from datareeve.systems.lease_pool import MemoryPool, SharedMemory
from datareeve.systems.lease_rules import REAP_SECONDS, TTL_SECONDS


class Clock:
    """One clock for the loops, the wall and the pool."""

    def __init__(self):
        self.now = 1_795_435_200.0  # 2026-11-23T12:00:00Z

    def __call__(self):
        return self.now


class Cable(MemoryPool):
    """A pool that can be cut off, or lose an answer on the way."""

    cut = False
    lose = 0

    async def exchange(self, turn, asks):
        if self.cut:
            raise Unreachable("gateway.limits-down", "cut", "")
        reply = await super().exchange(turn, asks)
        if self.lose:
            self.lose -= 1
            raise Unreachable("gateway.limits-down", "lost", "")
        return reply


class Gateway:
    """One process."""

    def __init__(self, shared, clock, name, openings=None):
        self.clock = clock
        self.pool = Cable(shared, name)
        self.leasing = Leasing(self.pool, now=clock, wall=clock, openings=openings)
        self.meters = Meters(now=clock, wall=clock, leasing=self.leasing)

    def limit(self, limit, window="minute", unit=REQUESTS, name="key"):
        return self.meters.of(name, limit, window, unit)

    async def admit(self, meter, amount=1, seconds=5.0):
        return await self.meters.admit([(meter, amount)], self.clock.now + seconds)


@asynccontextmanager
async def exchanging(*gateways):
    """Their tasks run as fast as they can, without real time passing for anybody."""

    async def steps(gateway):
        while True:
            await gateway.leasing.exchange()
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(steps(gateway)) for gateway in gateways]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gateways(clock):
    shared = SharedMemory(clock)
    return [Gateway(shared, clock, name) for name in "abcd"]


async def settle_down(gateways, clock, seconds=1.0):
    """Let time pass in steps, everybody exchanging."""
    for _ in range(round(seconds / 0.25)):
        clock.now += 0.25
        for gateway in gateways:
            await gateway.leasing.exchange()


def test_a_limit_shared_by_four_is_one_limit(gateways, clock):
    async def main():
        meters = [gateway.limit(100) for gateway in gateways]
        async with exchanging(*gateways):
            found = await asyncio.gather(
                *(gateways[n % 4].admit(meters[n % 4], seconds=0.3) for n in range(400)), pass_time(clock)
            )
        assert sum(isinstance(one, Reservation) for one in found) == 100

    asyncio.run(main())


async def pass_time(clock, seconds=2.0):
    for _ in range(round(seconds / 0.01)):
        await asyncio.sleep(0)
        clock.now += 0.01


def test_a_burst_of_one_process_gets_all_of_the_limit(gateways, clock):
    async def main():
        one = gateways[0]
        meter = one.limit(100)
        async with exchanging(*gateways):
            found = await asyncio.gather(*(one.admit(meter) for _ in range(120)))
        assert sum(isinstance(one, Reservation) for one in found) == 100
        assert isinstance(found[-1], Short)

    asyncio.run(main())


def test_no_sixty_seconds_of_four_processes_hold_more_than_the_limit(gateways, clock):
    """Ten minutes of uneven traffic, with answers of the pool lost and processes cut off and back."""
    seeded = random.Random(5)  # noqa: S311 - the same each time

    async def main():
        meters = [gateway.limit(60, unit=TOKENS) for gateway in gateways]
        taken = []
        for _ in range(2400):
            clock.now += 0.25
            for n, gateway in enumerate(gateways):
                gateway.pool.lose = seeded.random() < 0.05
                wanted = seeded.choice([0, 0, 1, 2, 7]) if (clock.now // 40) % 4 >= n else 0
                ask = asyncio.ensure_future(gateway.admit(meters[n], wanted, 0.1)) if wanted else None
                await asyncio.sleep(0)
                await gateway.leasing.exchange()
                if ask is None:
                    continue
                ask.cancel() if not ask.done() else None
                with suppress(asyncio.CancelledError):
                    if isinstance(await ask, Reservation):
                        taken.append((clock.now, wanted))
            window = sum(amount for at, amount in taken if clock.now - at < 60)
            assert window <= 60 or any(gateway.leasing.down for gateway in gateways)
        assert sum(amount for _, amount in taken) > 400

    asyncio.run(main())


def test_who_comes_late_gets_its_part_of_a_limit_that_another_uses_up(gateways, clock):
    async def main():
        a, b, *_ = gateways
        mine, other = a.limit(120), b.limit(120)
        admitted = {"a": 0, "b": 0}
        async with exchanging(a, b):
            await asyncio.gather(*(a.admit(mine) for _ in range(120)))
        for step in range(4 * 180):
            for gateway, meter, name in ((a, mine, "a"), (b, other, "b")):
                ask = asyncio.ensure_future(gateway.admit(meter, 1, 0.2))
                await asyncio.sleep(0)
                await gateway.leasing.exchange()
                if not ask.done():
                    ask.cancel()
                with suppress(asyncio.CancelledError):
                    if isinstance(await ask, Reservation) and step >= 4 * 120:
                        admitted[name] += 1
            clock.now += 0.25
        assert 50 <= admitted["a"] <= 64
        assert 50 <= admitted["b"] <= 64

    asyncio.run(main())


def test_steady_traffic_needs_no_exchange(gateways, clock):
    async def main():
        one = gateways[0]
        meter = one.limit(1000)
        async with exchanging(one):
            for _ in range(61 * 5):
                assert isinstance(await one.admit(meter), Reservation)
                clock.now += 0.2
        before = one.leasing.state().exchanges
        for _ in range(60 * 5):
            assert meter.take(1, clock.now)
            clock.now += 0.2
            await one.leasing.exchange()
        assert one.leasing.state().exchanges - before <= 60 / 2.5 + 2, "only to say that it lives"

    asyncio.run(main())


def test_what_nobody_uses_goes_back(gateways, clock):
    async def main():
        a, b, *_ = gateways
        meter = a.limit(100)
        async with exchanging(a):
            await asyncio.gather(*(a.admit(meter) for _ in range(10)))
        assert meter.tally.lease.held > 0
        await settle_down([a], clock, 61 + IDLE_SECONDS + 1)
        assert meter.tally.lease.held == 0
        assert a.leasing.state().shares == 0
        async with exchanging(b):
            found = await asyncio.gather(*(b.admit(b.limit(100)) for _ in range(100)))
        assert all(isinstance(one, Reservation) for one in found)

    asyncio.run(main())


def test_a_share_that_was_just_given_is_kept_for_the_next_request(gateways, clock):
    async def main():
        one = gateways[0]
        budget, rate = one.limit(100_000, "month", MICROUSD), one.limit(1000)
        async with exchanging(one):
            found = await one.meters.admit([(rate, 1), (budget, 10)], clock.now + 5)
            found.release()
            await pass_time(clock, 1)
        assert one.leasing.state().exchanges <= 4, "both limits are asked for together"
        for _ in range(20):
            assert isinstance(one.meters.reserve([(rate, 1), (budget, 10)]), Reservation)

    asyncio.run(main())


def test_a_budget_is_kept_by_four_processes_to_the_last_request(gateways, clock):
    """Each request reserves four times what it uses; they come in bursts of 200."""
    seeded = random.Random(7)  # noqa: S311 - the same each time

    async def main():
        budgets = [gateway.limit(1_000_000, "month", MICROUSD) for gateway in gateways]
        spent = 0

        async def request(n):
            nonlocal spent
            found = await gateways[n].admit(budgets[n], 20_000, 1.0)
            if isinstance(found, Short):
                return 0
            for _ in range(seeded.randint(1, 10)):
                await asyncio.sleep(0)
            found.settle(tokens=0, microusd=5_000)
            spent += 5_000
            return 1

        async with exchanging(*gateways):
            for _ in range(16):
                await asyncio.gather(*(request(n % 4) for n in range(200)), pass_time(clock))
        assert spent <= 1_000_000
        assert spent >= 980_000
        await settle_down(gateways, clock)
        assert {budget.spent for budget in budgets} == {spent}

    asyncio.run(main())


def test_what_a_request_was_given_beyond_a_budget_and_did_not_need_is_nobodys(gateways, clock):
    async def main():
        one = gateways[0]
        money = one.limit(10, "month", MICROUSD)
        async with exchanging(one):
            first = await one.admit(money, 30_000)
            assert isinstance(first, Reservation)  # alone, and nothing was spent
            first.settle(tokens=0, microusd=11)
            for amount in (1, 100, 20_000):
                assert isinstance(await one.admit(money, amount, seconds=0.0), Short)
                assert isinstance(await one.admit(money, amount), Short)
        assert money.spent == 11

    asyncio.run(main())


def test_a_process_that_dies_leaves_its_spending_and_nothing_else(gateways, clock):
    async def main():
        a, b, *_ = gateways
        budget = a.limit(1000, "day", MICROUSD)
        async with exchanging(a):
            first = await a.admit(budget, 300)
            first.settle(tokens=0, microusd=250)
            await a.admit(budget, 100)  # never ends
            await pass_time(clock, 0.1)
        assert budget.tally.lease.held > 350
        await settle_down([b], clock, TTL_SECONDS + REAP_SECONDS + 2)  # only b lives
        other = b.limit(1000, "day", MICROUSD)
        async with exchanging(b):
            assert isinstance(await b.admit(other, 1), Reservation)
            assert isinstance(await b.admit(other, 650), Short)
            assert isinstance(await b.admit(other, 649), Reservation)
        assert other.spent == 250 + 100, "what it had reserved counts as spent, as in the ledger of usage"

    asyncio.run(main())


def test_a_process_that_slept_counts_its_spending_once(gateways, clock):
    async def main():
        a, b, *_ = gateways
        mine, other = a.limit(1000, "day", MICROUSD), b.limit(1000, "day", MICROUSD)
        async with exchanging(a):
            held = await a.admit(mine, 300)
            await pass_time(clock, 0.1)
        await settle_down([b], clock, TTL_SECONDS + REAP_SECONDS + 2)
        held.settle(tokens=0, microusd=120)
        await settle_down([a, b], clock)
        async with exchanging(b):
            assert isinstance(await b.admit(other, 1), Reservation)
            assert isinstance(await b.admit(other, 880), Short)
            assert isinstance(await b.admit(other, 879), Reservation)
        assert mine.spent == 120
        assert other.spent == 120

    asyncio.run(main())


def test_without_the_pool_each_goes_on_with_its_part(gateways, clock):
    async def main():
        meters = [gateway.limit(100) for gateway in gateways]
        async with exchanging(*gateways):
            await asyncio.gather(
                *(gateway.admit(meter) for gateway, meter in zip(gateways, meters, strict=True))
            )
            await pass_time(clock, 3)
        for gateway in gateways:
            gateway.pool.cut = True
        await settle_down(gateways, clock, 3.0)
        assert all(gateway.leasing.state().down_seconds > 0 for gateway in gateways)
        took = 0
        for gateway, meter in zip(gateways, meters, strict=True):
            for _ in range(100):
                took += isinstance(await gateway.admit(meter), Reservation)
        assert took + 4 == 100
        fresh = gateways[0].limit(40, name="first asked for while it is down")
        assert isinstance(await gateways[0].admit(fresh, 10), Reservation)
        assert isinstance(await gateways[0].admit(fresh, 1), Short)
        for gateway in gateways:
            gateway.pool.cut = False
        await settle_down(gateways, clock, 6.0)
        state = gateways[0].leasing.state()
        assert (state.down_seconds, state.instances) == (0.0, 4)
        assert state.failures > 0
        assert sum(meter.tally.lease.held for meter in meters) == 100

    asyncio.run(main())


def test_an_emptied_pool_gives_out_nothing_twice(gateways, clock):
    async def main():
        meters = [gateway.limit(100) for gateway in gateways]
        async with exchanging(*gateways):
            for gateway, meter in zip(gateways, meters, strict=True):
                for _ in range(20):
                    assert isinstance(await gateway.admit(meter), Reservation)
            await pass_time(clock, 1)
        shared = gateways[0].pool._shared
        shared.shares.clear()
        shared.holders.clear()
        async with exchanging(*gateways):
            found = await asyncio.gather(
                *(gateways[n % 4].admit(meters[n % 4], seconds=4) for n in range(100)), pass_time(clock, 8)
            )
        assert 10 <= sum(isinstance(one, Reservation) for one in found) <= 20
        assert not any(gateway.leasing.down for gateway in gateways)

    asyncio.run(main())


def test_whatever_goes_wrong_in_the_exchange_requests_go_on(gateways, clock):
    async def main():
        one = gateways[0]
        one.pool.exchange = None
        async with exchanging(one):
            assert isinstance(await one.admit(one.limit(100), 100), Reservation)
        assert one.leasing.state().trouble == "TypeError"

    asyncio.run(main())


def test_a_process_that_slept_takes_nothing_before_the_pool_has_confirmed_it(gateways, clock):
    async def main():
        one = gateways[0]
        meter = one.limit(100)
        async with exchanging(one):
            await one.admit(meter)
        assert meter.tally.share > 1
        clock.now += TTL_SECONDS + 1
        exchange, seen = one.pool.exchange, []

        async def seeing(turn, asks):
            seen.append(meter.tally.share)
            return await exchange(turn, asks)

        one.pool.exchange = seeing
        await one.leasing.exchange()
        assert seen == [1]
        async with exchanging(one):
            assert isinstance(await one.admit(meter, 99), Reservation)

    asyncio.run(main())


def test_a_budget_without_the_pool_is_what_was_left_divided(gateways, clock):
    async def main():
        budgets = [gateway.limit(1000, "month", MICROUSD) for gateway in gateways]
        async with exchanging(*gateways):
            for gateway, budget in zip(gateways, budgets, strict=True):
                (await gateway.admit(budget, 100)).settle(tokens=0, microusd=100)
            await pass_time(clock, 3)
        for gateway in gateways:
            gateway.pool.cut = True
        await settle_down(gateways, clock, 4.0)
        for gateway, budget in zip(gateways, budgets, strict=True):
            while isinstance(found := await gateway.admit(budget, 10), Reservation):
                found.settle(tokens=0, microusd=10)
        spent = sum(budget.tally.settled for budget in budgets)
        assert 850 <= spent <= 1000
        for gateway in gateways:
            gateway.pool.cut = False
        await settle_down(gateways, clock, 6.0)
        assert {budget.spent for budget in budgets} == {spent}

    asyncio.run(main())


def test_a_new_month_begins_with_nothing_spent_and_the_old_one_is_settled(gateways, clock):
    async def main():
        a, b, *_ = gateways
        clock.now = 1_796_083_198.0  # two seconds before December
        mine, other = a.limit(1000, "month", MICROUSD), b.limit(1000, "month", MICROUSD)
        async with exchanging(a, b):
            late = await a.admit(mine, 900)
            assert isinstance(await b.admit(other, 200), Short)
            clock.now += 3
            assert isinstance(await b.admit(other, 1000), Reservation)
            late.settle(tokens=0, microusd=333)
            await pass_time(clock, 1)
        shared = a.pool._shared
        november, december = ("microusd key", "2026-11"), ("microusd key", "2026-12")
        assert shared.shares[november]["a"].settled == 333
        assert shared.shares[december]["b"].used == 1000
        assert (mine.spent, other.reserved) == (0, 1000)

    asyncio.run(main())


def test_a_budget_that_is_set_in_mid_month_knows_what_was_spent_before(clock):
    asked = []

    async def openings(counter, period):
        asked.append((counter, period))
        return 800

    async def main():
        gateway = Gateway(SharedMemory(clock), clock, "a", openings)
        budget = gateway.limit(1000, "month", MICROUSD, "budget:team")
        async with exchanging(gateway):
            assert isinstance(await gateway.admit(budget, 201), Reservation), "alone"
        assert budget.spent == 800
        assert asked == [("microusd budget:team", "2026-11")]

    asyncio.run(main())


def test_requests_at_one_time_are_shared_too(gateways, clock):
    async def main():
        meters = [gateway.limit(10, "parallel", AT_ONCE) for gateway in gateways]
        async with exchanging(*gateways):
            found = await asyncio.gather(
                *(gateways[n % 4].admit(meters[n % 4], seconds=1) for n in range(40)), pass_time(clock)
            )
            held = [one for one in found if isinstance(one, Reservation)]
            assert len(held) == 10
            held[0].settle(tokens=0, microusd=0)
            await pass_time(clock, 1)
            again = await asyncio.gather(
                *(gateways[n].admit(meters[n], seconds=2) for n in range(4)), pass_time(clock)
            )
        assert sum(isinstance(one, Reservation) for one in again) == 1

    asyncio.run(main())


def test_a_request_that_is_given_up_while_it_waits_takes_nothing(gateways, clock):
    async def main():
        one = gateways[0]
        meter = one.limit(100)
        ask = asyncio.ensure_future(one.admit(meter, 100))
        await asyncio.sleep(0)
        await one.leasing.exchange()  # granted; the request has not heard of it
        ask.cancel()
        with suppress(asyncio.CancelledError):
            await ask
        assert meter.spent == 0
        meter = one.limit(100, name="another")
        ask = asyncio.ensure_future(one.admit(meter, 100))
        await asyncio.sleep(0)
        ask.cancel()
        with suppress(asyncio.CancelledError):
            await ask
        await one.leasing.exchange()
        assert meter.spent == 0

    asyncio.run(main())


def test_a_refusal_is_remembered_for_a_moment_instead_of_asking_again(gateways, clock):
    async def main():
        one = gateways[0]
        budget = one.limit(100, "day", MICROUSD)
        async with exchanging(one):
            (await one.admit(budget, 100)).settle(tokens=0, microusd=100)
            assert isinstance(await one.admit(budget, 10), Short)
        before = one.leasing.state().exchanges
        for _ in range(50):
            assert isinstance(await one.admit(budget, 10), Short)
        assert one.leasing.state().exchanges == before

    asyncio.run(main())


def test_who_waits_for_what_others_hold_waits_for_a_bounded_time(gateways, clock):
    async def main():
        a, b, *_ = gateways
        async with exchanging(a):
            await asyncio.gather(*(a.admit(a.limit(100)) for _ in range(100)))
        async with exchanging(b):  # a does not answer
            began = clock.now
            found, _ = await asyncio.gather(b.admit(b.limit(100), seconds=30), pass_time(clock))
        assert isinstance(found, Short)
        assert clock.now - began >= PATIENCE_SECONDS

    asyncio.run(main())


def test_a_lowered_limit_is_kept_by_all(gateways, clock):
    async def main():
        meters = [gateway.limit(100) for gateway in gateways]
        async with exchanging(*gateways):
            await asyncio.gather(*(gateways[n % 4].admit(meters[n % 4]) for n in range(80)), pass_time(clock))
        for gateway in gateways:
            gateway.limit(20)
        await settle_down(gateways, clock, 70)
        async with exchanging(*gateways):
            found = await asyncio.gather(
                *(gateways[n % 4].admit(meters[n % 4]) for n in range(80)), pass_time(clock)
            )
        assert sum(isinstance(one, Reservation) for one in found) == 20

    asyncio.run(main())


def test_a_clean_end_gives_everything_back_at_once(gateways, clock):
    async def main():
        a, b, *_ = gateways
        async with exchanging(a):
            (await a.admit(a.limit(1000, "day", MICROUSD), 500)).settle(tokens=0, microusd=400)
            await a.admit(a.limit(10, "parallel", AT_ONCE), 10)
        await a.leasing.close()
        async with exchanging(b):
            assert isinstance(await b.admit(b.limit(10, "parallel", AT_ONCE), 10), Reservation)
            assert isinstance(await b.admit(b.limit(1000, "day", MICROUSD), 600), Reservation)

    asyncio.run(main())


def test_its_task_serves_requests_in_real_time():
    async def main():
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            leasing = Leasing(MemoryPool(SharedMemory(), "a"), now=loop.time)
            task = asyncio.create_task(leasing.run())
            stack.callback(task.cancel)
            meters = Meters(now=loop.time, leasing=leasing)
            meter = meters.of("key", 10, "minute", REQUESTS)
            for _ in range(10):
                assert isinstance(await meters.admit([(meter, 1)], loop.time() + 5), Reservation)
            assert isinstance(await meters.admit([(meter, 1)], loop.time() + 5), Short)
        await leasing.close()

    asyncio.run(main())


def test_its_task_ends_also_where_a_driver_swallows_the_cancelling():
    class Swallowing(MemoryPool):
        async def exchange(self, turn, asks):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)
            return await super().exchange(turn, asks)

    async def main():
        loop = asyncio.get_running_loop()
        leasing = Leasing(Swallowing(SharedMemory(), "a"), now=loop.time)
        task = asyncio.create_task(leasing.run())
        meters = Meters(now=loop.time, leasing=leasing)
        ask = asyncio.create_task(
            meters.admit([(meters.of("key", 10, "minute", REQUESTS), 1)], loop.time() + 5)
        )
        await asyncio.sleep(0.02)  # within the exchange
        task.cancel()
        done, _ = await asyncio.wait((task,), timeout=5)
        assert done == {task}
        assert isinstance(await ask, Reservation)

    asyncio.run(main())
