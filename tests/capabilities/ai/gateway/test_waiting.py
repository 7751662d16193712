"""The queue: turns, deadlines, nobody passed and nobody forgotten. On a loop whose time is told."""

import asyncio
from contextlib import asynccontextmanager, suppress

from datareeve.capabilities.ai.gateway.leasing import Leasing
from datareeve.capabilities.ai.gateway.meters import (
    AT_ONCE,
    MICROUSD,
    REQUESTS,
    TOKENS,
    Meters,
    Reservation,
    Short,
)
from datareeve.capabilities.ai.gateway.queueing import Waiting
from datareeve.systems.lease_pool import MemoryPool, SharedMemory


class QuickLoop(asyncio.SelectorEventLoop):
    """A loop whose clock goes to the next timer at once: minutes pass in milliseconds."""

    def __init__(self):
        super().__init__()
        self._ahead = 0.0

    def time(self):
        return super().time() + self._ahead

    def _run_once(self):
        if not self._ready and self._scheduled:
            self._ahead += max(0.0, self._scheduled[0].when() - self.time())
        super()._run_once()


def run(main):
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        return runner.run(main())


def world(**limits):
    loop = asyncio.get_running_loop()
    meters = Meters(now=loop.time)
    return loop, meters, Waiting(meters, **limits)


async def order_of(queue, loop, demands, names, seconds=600):
    """The keys in the order in which they were admitted, each request ended at once."""
    served = []

    async def request(name):
        found = await queue.wait(demands, name, loop.time() + seconds)
        if isinstance(found, Reservation):
            served.append(name)
            await asyncio.sleep(0.01)
            found.settle(tokens=0, microusd=0)

    await asyncio.gather(*(request(name) for name in names))
    return "".join(served)


def test_keys_take_turns_however_many_requests_each_has():
    async def main():
        loop, meters, queue = world()
        one = meters.of("model", 1, "parallel", AT_ONCE)
        meters.reserve([(one, 1)])
        ask = asyncio.create_task(order_of(queue, loop, [(one, 1)], "aaaaabbc"))
        await asyncio.sleep(0.1)
        one.settle(1, 0, loop.time())
        assert await ask == "abcabaaa"
        assert (len(queue), one.queued) == (0, 0)

    run(main)


def test_a_minute_is_waited_for_and_not_longer_than_it_takes():
    async def main():
        loop, meters, queue = world()
        rate = meters.of("key", 5, "minute", REQUESTS)
        began = loop.time()
        assert await order_of(queue, loop, [(rate, 1)], "a" * 12) == "a" * 12
        assert 120 <= loop.time() - began <= 124

    run(main)


def test_a_deadline_is_kept_and_the_place_in_the_queue_given_up():
    async def main():
        loop, meters, queue = world()
        rate = meters.of("key", 5, "minute", REQUESTS)
        assert await order_of(queue, loop, [(rate, 1)], "aaaaabbb", seconds=3) == "aaaaa"
        assert (len(queue), rate.queued) == (0, 0)
        found = await queue.wait([(rate, 1)], "a", loop.time() + 3)
        assert isinstance(found, Short)
        assert found.meter is rate

    run(main)


def test_who_comes_new_does_not_pass_those_that_wait():
    async def main():
        loop, meters, queue = world()
        tokens = meters.of("model", 100, "minute", TOKENS)
        meters.reserve([(tokens, 80)])
        large = asyncio.create_task(queue.wait([(tokens, 90)], "large", loop.time() + 100))
        await asyncio.sleep(0.1)
        assert isinstance(meters.reserve([(tokens, 10)]), Short), "there is room, and somebody waits for it"
        small = asyncio.create_task(queue.wait([(tokens, 10)], "small", loop.time() + 100))
        await asyncio.sleep(1)
        assert not small.done()
        assert isinstance(await large, Reservation)
        assert isinstance(await small, Reservation)

    run(main)


def test_a_budget_that_is_waited_for_does_not_close_its_route_to_others():
    async def main():
        loop, meters, queue = world()
        route = meters.of("model:chat:requests", 100, "minute", REQUESTS)
        team, other = (meters.of(f"budget:{name}:", 10, "month", MICROUSD) for name in ("team", "other"))
        held = meters.reserve([(route, 1), (team, 8)])
        waits = asyncio.create_task(queue.wait([(route, 1), (team, 8)], "a", loop.time() + 600))
        await asyncio.sleep(0.01)
        assert isinstance(meters.reserve([(route, 1), (other, 8)]), Reservation)
        assert meters.reserve([(route, 1), (team, 1)]).meter is team, (
            "told by what it lacks, not by the route"
        )
        assert (route.queued, team.queued) == (0, 1)
        held.release()
        assert isinstance(await waits, Reservation)
        assert (route.queued, team.queued) == (0, 0)

    run(main)


def test_who_waits_for_one_limit_and_then_for_another_stands_in_the_way_of_that_one_only():
    async def main():
        loop, meters, queue = world()
        one, two = (meters.of(name, 1, "parallel", AT_ONCE) for name in ("one", "two"))
        first, second = meters.reserve([(one, 1)]), meters.reserve([(two, 1)])
        waits = asyncio.create_task(queue.wait([(one, 1), (two, 1)], "a", loop.time() + 600))
        await asyncio.sleep(0.01)
        assert (one.queued, two.queued) == (1, 0)
        first.release()
        await asyncio.sleep(0.01)
        assert (one.queued, two.queued) == (0, 1)
        second.release()
        (await waits).release()
        assert (one.queued, two.queued) == (0, 0)

    run(main)


def test_who_waits_for_another_limit_is_not_held_up():
    async def main():
        loop, meters, queue = world()
        busy, free = (meters.of(name, 1, "parallel", AT_ONCE) for name in ("busy", "free"))
        meters.reserve([(busy, 1)])
        meters.reserve([(free, 1)])
        stuck = asyncio.create_task(queue.wait([(busy, 1)], "a", loop.time() + 100))
        other = asyncio.create_task(queue.wait([(free, 1)], "a", loop.time() + 100))
        await asyncio.sleep(0.1)
        free.settle(1, 0, loop.time())
        assert isinstance(await other, Reservation)
        assert not stuck.done()
        stuck.cancel()
        with suppress(asyncio.CancelledError):
            await stuck
        assert (len(queue), busy.queued) == (0, 0)

    run(main)


def test_what_others_settle_is_given_on_within_milliseconds():
    async def main():
        loop, meters, queue = world()
        budget = meters.of("all", 1000, "month", MICROUSD)
        first = meters.reserve([(budget, 900)])
        second = asyncio.create_task(queue.wait([(budget, 500)], "a", loop.time() + 100))
        await asyncio.sleep(1)
        began = loop.time()
        first.settle(tokens=0, microusd=100)
        assert isinstance(await second, Reservation)
        assert loop.time() - began < 0.01

    run(main)


def test_a_queue_that_is_full_refuses_at_once():
    async def main():
        loop, meters, queue = world(most=4, most_per_key=3)
        one = meters.of("model", 1, "parallel", AT_ONCE)
        meters.reserve([(one, 1)])
        tasks = [asyncio.create_task(queue.wait([(one, 1)], key, loop.time() + 50)) for key in "aaaabbb"]
        await asyncio.sleep(1)
        assert [task.done() for task in tasks] == [False, False, False, True, False, True, True]
        for task in tasks:
            assert isinstance(await task, Short)

    run(main)


def test_more_than_the_limit_admits_is_not_waited_for():
    async def main():
        loop, meters, queue = world()
        tokens = meters.of("key", 100, "minute", TOKENS)
        began = loop.time()
        assert isinstance(await queue.wait([(tokens, 101)], "a", began + 100), Short)
        assert loop.time() - began < 0.01

    run(main)


def test_a_client_that_is_gone_leaves_the_queue_and_takes_nothing():
    async def main():
        loop, meters, queue = world()
        one = meters.of("model", 1, "parallel", AT_ONCE)
        held = meters.reserve([(one, 1)])
        here = [True]
        ask = asyncio.create_task(queue.wait([(one, 1)], "a", loop.time() + 100, gone=lambda: not here[0]))
        await asyncio.sleep(0.1)
        here[0] = False
        assert isinstance(await ask, Short)
        assert len(queue) == 0
        held.settle(tokens=0, microusd=0)
        assert one.reserved == 0

    run(main)


def test_a_request_that_is_cancelled_just_when_it_is_admitted_gives_back():
    async def main():
        loop, meters, queue = world()
        one = meters.of("model", 1, "parallel", AT_ONCE)
        held = meters.reserve([(one, 1)])
        ask = asyncio.create_task(queue.wait([(one, 1)], "a", loop.time() + 100))
        await asyncio.sleep(0.1)
        held.settle(tokens=0, microusd=0)
        queue._look()
        assert one.reserved == 1
        ask.cancel()
        with suppress(asyncio.CancelledError):
            await ask
        assert (one.reserved, one.queued, len(queue)) == (0, 0, 0)

    run(main)


@asynccontextmanager
async def shared(*names):
    loop = asyncio.get_running_loop()
    memory, found, tasks = SharedMemory(loop.time), [], []
    for name in names:
        leasing = Leasing(MemoryPool(memory, name), now=loop.time)
        tasks.append(asyncio.create_task(leasing.run()))
        found.append(Meters(now=loop.time, leasing=leasing))
    try:
        yield found
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def test_what_another_process_gives_back_reaches_the_queue():
    async def main():
        loop = asyncio.get_running_loop()
        async with shared("a", "b") as (a, b):
            here, there = (meters.of("model", 10, "parallel", AT_ONCE) for meters in (a, b))
            held = await a.admit([(here, 10)], loop.time() + 5)
            queue = Waiting(b)
            ask = asyncio.create_task(queue.wait([(there, 10)], "key", loop.time() + 60))
            await asyncio.sleep(5)
            assert not ask.done()
            held.settle(tokens=0, microusd=0)
            began = loop.time()
            assert isinstance(await ask, Reservation)
            assert loop.time() - began < 2

    run(main)
