"""One contract for every pool of shared limits; the memory one is the plain telling that the others are held against."""

import asyncio
import contextlib
import random
import threading
from pathlib import Path

import pytest

import servers
from datareeve.core.errors import Failed, Unreachable
from datareeve.systems.gateway_store import GatewayStore
from datareeve.systems.lease_pool import MemoryPool, SharedMemory, SqlPool
from datareeve.systems.lease_pool_redis import RedisPool
from datareeve.systems.lease_rules import BOOKS_CLOSE_SECONDS, REAP_SECONDS, TTL_SECONDS, Ask, level

NOVEMBER = {"period": "2026-11", "ends_at": 1_796_083_200.0}
START = 1_795_400_000.0


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with servers.redis(tmp_path_factory.mktemp("redis")) as running:
        yield running.url


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "postgresql", pytest.param("redis", marks=pytest.mark.system)])
def pools(request, tmp_path, clock):
    """Makes the pool of an instance; all of them share one place and one clock."""
    with contextlib.ExitStack() as stack:
        yield maker(request, request.param, tmp_path, clock, stack)


def maker(request, kind, tmp_path, clock, stack):
    if kind == "memory":
        shared = SharedMemory(clock)
        return lambda name: MemoryPool(shared, name)
    if kind == "redis":
        url = request.getfixturevalue("redis_url")
        prefix = f"{{{Path(tmp_path).name}}}:"
        return lambda name: RedisPool(url, name, prefix=prefix, clock=clock)
    where = tmp_path / "gateway.sqlite" if kind == "sqlite" else request.getfixturevalue("database")
    store = GatewayStore.open(where)
    stack.callback(store.close)
    return lambda name: SqlPool(store, name, clock=clock, reap_every=0)


class Process:
    """An instance that is spoken for by hand."""

    def __init__(self, pools, name):
        self.pool, self.turn = pools(name), 0

    async def tell(self, *asks):
        self.turn += 1
        return await self.pool.exchange(self.turn, asks)

    async def ask(self, **fields):
        return (await self.tell(minute(**fields))).grants[0]

    async def leave(self, *asks):
        self.turn += 1
        await self.pool.leave(self.turn, asks)


def minute(limit=100, used=0, keep=0, **fields):
    return Ask("key:requests", "", limit, used, keep, **fields)


def month(limit=1000, used=0, keep=0, **fields):
    return Ask("budget", limit=limit, used=used, keep=keep, **{**NOVEMBER, **fields})


def story(pools, *names):
    """Runs a test's coroutine with some processes, and closes them."""

    def run(tell):
        async def main():
            processes = [Process(pools, name) for name in names]
            try:
                await tell(*processes)
            finally:
                for process in processes:
                    await process.pool.close()

        asyncio.run(main())

    return run


def test_the_shares_of_all_processes_are_never_more_than_the_limit(pools):
    @story(pools, "a", "b", "c")
    async def _(a, b, c):
        assert (await a.ask(need=60, want=60, least=1)).held == 60
        assert (await b.ask(need=60, want=60, least=1)).held == 40
        assert (await c.ask(need=1, want=1, least=1)).held == 0
        assert (await a.ask(keep=50, used=50)).held == 50
        assert (await c.ask(need=10, want=10, least=1)).held == 10


def test_nothing_is_given_to_whom_it_would_not_help(pools):
    @story(pools, "a", "b")
    async def _(a, b):
        await a.ask(need=70, want=70, least=70)
        assert (await b.ask(need=50, want=50, least=50)).held == 0
        assert (await b.ask(need=80, want=80, least=30)).held == 30


def test_what_is_asked_in_reserve_is_at_most_half_of_what_is_left(pools):
    @story(pools, "a")
    async def _(a):
        assert (await a.ask(need=0, want=30)).held == 30
        assert (await a.ask(keep=30, need=10, want=100, least=10)).held == 30 + 10 + 30


def test_who_needs_more_is_heard_by_those_that_hold(pools):
    @story(pools, "a", "b", "c")
    async def _(a, b, c):
        await a.ask(need=100, want=100, least=1)
        await b.ask(need=5, want=5, least=5)
        assert (await a.tell()).wanted == {("key:requests", "")}
        assert (await c.tell()).wanted == frozenset(), "it holds nothing that it could give"
        assert (await a.ask(keep=100, used=100)).fair == 50
        await b.ask()
        assert (await a.tell()).wanted == frozenset()


def test_two_that_need_all_get_half_each_and_who_needs_little_gets_that(pools):
    @story(pools, "a", "b", "c")
    async def _(a, b, c):
        await c.ask(need=10, want=10, least=1)
        await a.ask(need=90, want=90, least=1)
        await b.ask(need=90, want=90, least=1)
        assert (await a.ask(keep=90, used=90, need=10, want=10, least=1)).fair == 45
        assert (await a.ask(keep=45, used=45, need=10, want=10, least=1)).held == 45
        assert (await b.ask(need=90, want=90, least=1)).held == 45


def test_a_message_that_comes_late_changes_nothing(pools):
    @story(pools, "a")
    async def _(a):
        await a.tell(month(keep=30, used=30))
        a.turn -= 1
        with pytest.raises(Unreachable) as told:
            await a.tell(month(keep=10, used=10))
        assert told.value.code == "gateway.limits-down"
        assert (await a.tell(month(keep=30, used=30))).grants[0].held == 30


def test_a_process_that_the_pool_does_not_know_is_told(pools):
    @story(pools, "a")
    async def _(a):
        a.turn = 7
        assert (await a.tell(month(keep=30, used=30))).forgotten
        assert (await a.tell(month(keep=30, used=30))).grants[0].held == 30


def test_telling_twice_counts_once(pools):
    @story(pools, "a", "b")
    async def _(a, b):
        for _ in range(3):
            await a.tell(month(keep=30, used=30, settled=30))
        assert (await b.tell(month())).grants[0].spent_elsewhere == 30


def test_a_dead_process_gives_back_what_it_had_not_used_and_its_use_stays_counted(pools, clock):
    @story(pools, "a", "b")
    async def _(a, b):
        await a.tell(minute(keep=0, need=100, want=100, least=1), month(need=400, want=400, least=1))
        await a.tell(minute(keep=100, used=80), month(keep=400, used=150, settled=120))
        clock.now += TTL_SECONDS + REAP_SECONDS - 1
        assert (await b.ask(need=1, want=1, least=1)).held == 0, (
            "it may have taken until the end of its lease"
        )
        clock.now += 2
        reply = await b.tell(minute(need=100, want=100, least=1), month(need=2000, want=2000, least=1))
        assert reply.grants[0].held == 100
        assert reply.grants[1].held == 1000 - 150
        assert reply.instances == 1


def test_the_need_of_a_dead_process_binds_nobody(pools, clock):
    @story(pools, "a", "b")
    async def _(a, b):
        await a.ask(need=60, want=60, least=1)
        await b.ask(need=60, want=60, least=60)
        clock.now += TTL_SECONDS + 1
        assert (await a.tell()).wanted == frozenset()
        assert (await a.ask(keep=60, used=60, need=20, want=20, least=1)).held == 80


def test_who_was_taken_for_dead_is_told_and_counts_on_from_there(pools, clock):
    @story(pools, "a", "b")
    async def _(a, b):
        await a.tell(month(keep=300, used=300, settled=250))
        clock.now += TTL_SECONDS + REAP_SECONDS + 1
        await b.tell()
        assert (await a.tell(month(keep=310, used=310, settled=310))).lost
        reply = await a.tell(month(keep=10, used=10, settled=10))
        assert not reply.lost
        assert (await b.tell(month())).grants[0].spent_elsewhere == 310


def test_who_leaves_takes_nothing_along_and_what_it_took_stays_counted(pools, clock):
    @story(pools, "a", "b")
    async def _(a, b):
        await a.tell(minute(need=100, want=100, least=1), month(keep=500, used=500, settled=500))
        await a.leave(minute(keep=30, used=30), month(keep=70, used=70, settled=70))
        await a.leave(minute(keep=30, used=30), month(keep=70, used=70, settled=70))
        reply = await b.tell(minute(need=100, want=100, least=1), month(need=2000, want=2000, least=1))
        assert (reply.grants[0].held, reply.grants[1].held, reply.instances) == (70, 930, 1)
        clock.now += REAP_SECONDS
        assert (await b.ask(keep=70, need=100, want=100, least=1)).held == 100, "its last minute is over"


def test_a_new_counter_opens_with_what_was_spent_before_it_was_there(pools):
    @story(pools, "a", "b")
    async def _(a, b):
        assert (await a.tell(month(opening=800))).grants[0].spent_elsewhere == 800
        assert (await b.tell(month(opening=900, need=500, want=500, least=1))).grants[0].held == 200


def test_the_last_of_a_budget_goes_to_one_request_when_nothing_else_is_reserved(pools):
    @story(pools, "a", "b")
    async def _(a, b):
        await a.tell(month(keep=900, used=900, settled=850))
        last = {"need": 300, "want": 300, "least": 300, "alone": True}
        assert (await b.tell(month(**last))).grants[0].held == 0
        await a.tell(month(keep=850, used=850, settled=850))
        assert (await b.tell(month(**last))).grants[0].held == 300
        other = month(keep=850, used=850, settled=850, need=1, want=1, least=1, alone=True)
        assert (await a.tell(other)).grants[0].held == 850
        await b.tell(month(keep=150, used=150, settled=150))
        assert (await a.tell(other)).grants[0].held == 850, "all is spent"


def test_a_lowered_limit_asks_everybody_down(pools):
    @story(pools, "a", "b")
    async def _(a, b):
        await a.ask(need=60, want=60, least=1)
        await b.ask(need=40, want=40, least=1)
        assert (await a.ask(limit=50, keep=60, used=60)).fair == 25
        assert (await b.ask(limit=50, keep=40, used=10)).fair == 25
        assert (await b.ask(limit=50, keep=25, used=10)).fair == 25
        assert (await a.ask(limit=50, keep=25, used=25)).fair is None


def test_what_is_only_counted_is_never_short(pools):
    @story(pools, "a", "b")
    async def _(a, b):
        await a.tell(month(limit=None, keep=5000, used=5000, settled=5000))
        grant = (await b.tell(month(limit=None, keep=10, used=10, settled=10))).grants[0]
        assert (grant.held, grant.spent_elsewhere, grant.fair) == (10, 5000, None)


def test_the_books_of_a_period_close_a_day_after_its_end(pools, clock):
    @story(pools, "a", "b")
    async def _(a, b):
        await a.tell(month(keep=40, used=40, settled=40))
        clock.now = NOVEMBER["ends_at"] + BOOKS_CLOSE_SECONDS + 1
        grant = (await b.tell(month())).grants[0]
        assert (grant.spent_elsewhere, grant.others) == (40, 40)


def test_many_counters_go_in_one_exchange(pools):
    @story(pools, "a", "b")
    async def _(a, b):
        asks = [Ask(f"key {n}", "", 10, 0, 0, need=1, want=1, least=1) for n in range(950)]
        reply = await a.tell(*asks)
        assert [grant.held for grant in reply.grants] == [1] * 950
        assert (await b.tell(*asks[::-1])).grants[-1].others == 1


def test_the_level_leaves_to_each_what_all_can_have():
    assert level(100, [10, 200, 200]) == 45
    assert level(100, [200]) == 100
    assert level(100, [10, 20]) == 90
    assert level(3, [5, 5, 5, 5]) == 0


OTHERS = ["sqlite", "postgresql", pytest.param("redis", marks=pytest.mark.system)]


@pytest.mark.parametrize("kind", OTHERS)
def test_every_pool_decides_as_the_one_in_memory(request, kind, tmp_path, clock):
    """Some hundred exchanges of four processes that come, go, die and come back: answer for answer the same."""
    seeded = random.Random(4)  # noqa: S311 - a story that is told the same each time

    async def main(pools, plain):
        living = [[name, 0, pools(name), plain(name)] for name in "abcd"]
        for step in range(300):
            clock.now += seeded.choice([0.05, 0.25, 6.0, TTL_SECONDS, TTL_SECONDS + REAP_SECONDS])
            one = seeded.choice(living)
            one[1] += 1
            name, turn, *both = one
            asks = [made(seeded, make) for make in seeded.sample([minute, month], seeded.randint(1, 2))]
            if seeded.random() < 0.05:
                for pool in both:
                    await pool.leave(turn, asks)
                    await pool.close()
                one[:] = [f"{name[0]}{step}", 0, pools(f"{name[0]}{step}"), plain(f"{name[0]}{step}")]
                continue
            there, here = [await pool.exchange(turn, asks) for pool in both]
            assert there == here
        for _, _, pool, _ in living:
            await pool.close()

    with contextlib.ExitStack() as stack:
        shared = SharedMemory(clock)
        pools = maker(request, kind, tmp_path, clock, stack)
        asyncio.run(main(pools, lambda name: MemoryPool(shared, name)))


def made(seeded, make):
    settled = seeded.randint(0, 60) if make is month else 0
    used = settled + seeded.randint(0, 40)
    least = seeded.choice([0, seeded.randint(1, 60)])
    need = least and least + seeded.choice([0, seeded.randint(0, 60)])
    return make(
        limit=seeded.choice([100, 100, 100, 40, None]),
        settled=settled,
        used=used,
        keep=used + seeded.choice([0, seeded.randint(0, 20)]),
        least=least,
        need=need,
        want=need + seeded.choice([0, 5, 20]),
        alone=make is month and seeded.random() < 0.5,
    )


def test_a_store_that_hangs_is_not_asked_again_before_it_has_answered():
    hanging, asked = threading.Event(), []

    class Store:
        @contextlib.contextmanager
        def transaction(self):
            asked.append(1)
            hanging.wait(20)
            raise Failed("gateway-store.busy", "locked", "")
            yield

    async def main():
        pool = SqlPool(Store(), "a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pool.exchange(1, [])
        with pytest.raises(Unreachable):
            await pool.exchange(2, [])
        assert len(asked) == 1
        hanging.set()
        await pool.close()

    asyncio.run(main())


def test_a_pool_that_is_not_there_says_so(tmp_path):
    async def main():
        pool = RedisPool(f"unix://{tmp_path}/nobody", "a")
        with pytest.raises(Unreachable) as told:
            await pool.exchange(1, [])
        assert told.value.code == "gateway.limits-down"
        await pool.close()
        store = GatewayStore.open(tmp_path / "store.sqlite")
        with store.transaction() as t:
            t.run("DROP TABLE lease_holders")
        pool = SqlPool(store, "a")
        with pytest.raises(Unreachable):
            await pool.exchange(1, [])
        await pool.close()
        store.close()

    asyncio.run(main())
