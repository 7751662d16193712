"""Four processes share one limit: real processes, real stores, real time."""

import asyncio
import json
import multiprocessing
import os
import signal
import time

import pytest

import servers
from datareeve.capabilities.ai.gateway.leasing import Leasing
from datareeve.capabilities.ai.gateway.meters import MICROUSD, REQUESTS, Meters, Reservation
from datareeve.systems.gateway_store import GatewayStore
from datareeve.systems.lease_pool import SqlPool
from datareeve.systems.lease_pool_redis import RedisPool

LIMIT, BUDGET, COST = 240, 1_000_000, 7_000


def pool_of(where, name):
    if str(where).startswith("unix:"):
        return RedisPool(where, name)
    return SqlPool(GatewayStore.open(where), name)


async def gateway(where, name, seconds, said, together):
    """Once all are ready: asks for as much as it can get, in 25 requests at one time; says what it was given, and when."""
    loop = asyncio.get_running_loop()
    leasing = Leasing(pool_of(where, name), now=loop.time)
    task = asyncio.create_task(leasing.run())
    meters = Meters(now=loop.time, leasing=leasing)
    rate = meters.of("key", LIMIT, "minute", REQUESTS)
    budget = meters.of("all", BUDGET, "month", MICROUSD)
    await asyncio.to_thread(together.wait, 60)
    until = loop.time() + seconds

    async def client():
        while loop.time() < until:
            found = await meters.admit([(rate, 1)], loop.time() + 1)
            if isinstance(found, Reservation):
                said.write(json.dumps({"rate": 1}) + "\n")
            found = await meters.admit([(budget, 2 * COST)], loop.time() + 1)
            if isinstance(found, Reservation):
                said.write(json.dumps({"spent": COST}) + "\n")
                said.flush()
                await asyncio.sleep(0.002)
                found.settle(tokens=0, microusd=COST)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(client() for _ in range(25)))
    task.cancel()
    await asyncio.wait((task,))
    failures = leasing.state().failures
    await leasing.close()
    said.write(json.dumps({"failures": failures}) + "\n")


def process(where, name, seconds, path, together):
    with open(path, "w") as said:  # noqa: PTH123
        asyncio.run(gateway(where, name, seconds, said, together))


@pytest.fixture
def redis_url(tmp_path_factory):
    with servers.redis(tmp_path_factory.mktemp("redis")) as running:
        yield running.url


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("redis", marks=pytest.mark.system)])
def where(request, tmp_path):
    if request.param == "redis":
        return request.getfixturevalue("redis_url")
    place = tmp_path / "gateway.sqlite" if request.param == "sqlite" else request.getfixturevalue("database")
    GatewayStore.open(place).close()
    return str(place)


def started(where, tmp_path, seconds, names="abcd"):
    fresh = multiprocessing.get_context("spawn")
    together = fresh.Barrier(len(names))
    paths = [tmp_path / f"{name}.said" for name in names]
    found = [
        fresh.Process(target=process, args=(where, name, seconds, path, together))
        for name, path in zip(names, paths, strict=True)
    ]
    for one in found:
        one.start()
        one.together = together  # it is there as long as somebody holds on to it
    return found, paths


def told(paths):
    lines = [json.loads(line) for path in paths if path.exists() for line in path.read_text().splitlines()]
    return {name: sum(line.get(name, 0) for line in lines) for name in ("rate", "spent", "failures")}


def test_four_processes_share_one_limit_and_one_budget(where, tmp_path):
    """All of both is given out, nothing beyond: in the seconds that this takes no minute's window moves on."""
    processes, paths = started(where, tmp_path, 2.5)
    for one in processes:
        one.join(60)
        assert one.exitcode == 0
    given = told(paths)
    assert given["failures"] == 0
    assert given["rate"] == LIMIT
    assert BUDGET - 2 * COST < given["spent"] < BUDGET + COST, "to the last request, which may be alone"
    # A process that the machine keeps waiting may find all of it given out.
    assert sum(told([path])["rate"] > 0 for path in paths) > 1


def test_a_process_that_is_killed_costs_the_others_nothing_but_what_it_used(tmp_path):
    where = tmp_path / "gateway.sqlite"
    GatewayStore.open(where).close()
    processes, paths = started(where, tmp_path, 2.5)
    deadline = time.monotonic() + 30
    while not (spending := [n for n, path in enumerate(paths) if told([path])["spent"]]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    victim = processes[spending[0]]
    os.kill(victim.pid, signal.SIGKILL)
    for one in processes:
        one.join(60)
    assert sorted(one.exitcode for one in processes) == [-signal.SIGKILL, 0, 0, 0]
    given = told(paths)
    assert given["rate"] <= LIMIT
    assert given["spent"] < BUDGET + COST
