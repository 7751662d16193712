"""What providers keep: known at once where it was learned, soon in the store, and not lost while the store is away."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from datareeve.capabilities.ai.gateway import objects as kept
from datareeve.capabilities.ai.gateway.config import Route, Target, VirtualKey
from datareeve.capabilities.ai.gateway.dialects import Refusal
from datareeve.capabilities.ai.gateway.objects import Objects
from datareeve.core.errors import Unreachable
from datareeve.core.estate_gateway import ModelRoute
from datareeve.systems import gateway_objects
from datareeve.systems.gateway_store import GatewayStore

MINE = VirtualKey("a" * 12, b"", "mine", "red")
THEIRS = VirtualKey("b" * 12, b"", "theirs", "blue")
CANDIDATE = SimpleNamespace(provider=SimpleNamespace(name="openai"), key=SimpleNamespace(id="k1"))
TARGETS = (Target("azure", "m"), Target("openai", "m"))
ROUTE = Route("m", TARGETS, ModelRoute(targets=("azure/m", "openai/m")))


@pytest.fixture
def store(tmp_path):
    opened = GatewayStore.open(tmp_path / "s.sqlite")
    yield opened
    opened.close()


def continued(objects, name, key):
    return objects.reached([("previous_response_id", name)], ROUTE, key)


def test_another_process_knows_an_answer_a_moment_later_and_asks_who_has_it(store):
    async def both():
        here, there = Objects(store), Objects(store)
        here.stored("resp_1", MINE, CANDIDATE)
        route = await continued(there, "resp_1", MINE)  # it is not written yet when it is asked for
        assert [str(target) for target in route.targets] == ["openai/m"]
        for one in (here, there):
            with pytest.raises(Refusal):
                await continued(one, "resp_1", THEIRS)
        await here.close()

    asyncio.run(both())


def test_answers_are_written_together_and_kept_while_the_store_is_away(store, monkeypatch):
    calls, add = [], gateway_objects.add_objects

    def away(store, made):
        calls.append(len(made))
        if len(calls) < 3:
            raise gone
        add(store, made)

    gone = Unreachable("gateway-store.unreachable", "the store is away")
    monkeypatch.setattr(gateway_objects, "add_objects", away)
    monkeypatch.setattr(kept, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(kept, "MOST", 10)
    monkeypatch.setattr(kept, "MOST_UNWRITTEN", 90)

    async def run():
        objects = Objects(store)
        for number in range(100):
            objects.stored(f"resp_{number}", MINE, CANDIDATE)
        assert await continued(objects, "resp_50", MINE)  # though memory was cleared
        await objects._writer
        assert not objects._unwritten
        assert len(objects._known) <= 12

    asyncio.run(asyncio.wait_for(run(), 10))
    assert calls == [90, 90, 90]  # the oldest are let go
    assert len(gateway_objects.objects_of(store, [f"resp_{n}" for n in range(100)])) == 90


def test_the_end_of_a_process_loses_none_and_what_providers_forgot_goes(store):
    async def run():
        objects = Objects(store)
        objects.stored("resp_1", MINE, CANDIDATE)
        await objects.close()
        assert gateway_objects.object_of(store, "resp_1").expires_at > 0
        await objects.owed("resp_2", MINE, CANDIDATE)
        assert [await objects.first_count("resp_2"), await objects.first_count("resp_2")] == [True, False]

    asyncio.run(run())
    with store.transaction() as t:
        t.run("UPDATE objects SET expires_at = 1 WHERE id = 'resp_1'")
    gateway_objects.forget_objects(store)
    assert set(gateway_objects.objects_of(store, ["resp_1", "resp_2"])) == {"resp_2"}
