"""A gateway killed under load, keys changed under load, a provider killed under load: what is counted is held against what the provider saw.

Every request asks for a model of its own, whose name stands in the provider's record and in the usage row.
"""

import asyncio
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter

import pytest

from ai_double import FaultDouble, ok
from ai_rig import estate, gateway, start
from ai_whole import BODIES, Client, Inside, chat, statuses, until

pytestmark = pytest.mark.kills
KILLS = 24
CLIENTS = 12
LOST_SECONDS = 0.25  # what may be missing of a gateway that was killed
CHAT = "/v1/chat/completions"


class Load:
    """Clients that ask without pause, whole answers and streams by turns, until it ends. Connections that break are opened again."""

    def __init__(self, port, key, clients=CLIENTS, name="", first=0):
        self.port, self.key, self.name = port, key, name
        self.answers = []
        self._numbers = itertools.count(first)
        self._clients = clients
        self._gone = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._gone.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def wait_for(self, answers, seconds=30):
        wanted = len(self.answers) + answers
        until(lambda: len(self.answers) >= wanted, seconds, lambda: statuses(self.answers))

    async def _run(self):
        await asyncio.gather(*(self._ask_on() for _ in range(self._clients)))

    async def _ask_on(self):
        client = Client(self.port, self.key)
        while not self._gone.is_set():
            number = next(self._numbers)
            model = self.name or f"openai/m-{number}"
            body = {"model": model, **BODIES[CHAT], "stream": bool(number % 3)}
            told = await client.post(CHAT, body)
            self.answers.append(told)
            if told.status == 0:
                await asyncio.sleep(0.005)
        client.close()


@pytest.mark.parametrize("processes", [1, 2])
def test_killed_at_random_moments_under_load_what_was_sent_is_counted_once(tmp_path, processes):
    """The bound that is said: at most what began in the 250 ms before. What had begun and not ended is counted by its reservation."""
    price = {f"openai/m-{n}": {"input": 1, "output": 2} for n in range(3)}
    chance = random.Random(20_261_123)  # noqa: S311 - moments, not secrets
    with FaultDouble() as double, gateway(tmp_path, estate(double, gateway={"prices": price}), processes=processes) as opened:  # fmt: skip
        running = opened
        with Inside(running) as inside:
            key = inside.issue("app")
        double.always(ok(token_delay=0.004))
        killed, seen = [], 0
        for number in range(KILLS // (1 if processes == 1 else 4)):
            with Load(running.port, key, first=number * 100_000) as load:
                load.wait_for(5)
                time.sleep(chance.uniform(0.02, 0.4))  # a moment of chance, not a wait for anything
                running.kill()
                killed.append(time.monotonic())
            until(lambda: double.running == 0)
            running = start(running.project, running.environment, processes=processes, port=running.port)
            seen = len(double.seen)
        try:
            with Inside(running) as inside:
                assert seen > KILLS * 4
                check_counted(inside, double, killed)
        finally:
            running.kill()


def check_counted(inside, double, killed, late=1.0):
    dispatched = {one.model: one for one in double.seen}
    assert len(dispatched) == len(double.seen)  # none was sent twice
    due = {model for model, one in dispatched.items() if not any(at - LOST_SECONDS <= one.at <= at + late for at in killed)}  # fmt: skip
    assert len(due) > len(killed)

    def counted():
        return [row["asked_model"].removeprefix("openai/") for row in inside.rows() if row["model"]]

    until(lambda: due <= set(counted()), 15, lambda: sorted(due - set(counted()))[:10])
    rows = {row["asked_model"].removeprefix("openai/"): row for row in inside.rows() if row["model"]}
    assert max(Counter(counted()).values()) == 1
    states = Counter(row["status"] for row in rows.values())
    assert set(states) <= {"ok", "interrupted", "disconnected", "broken"}
    assert states["ok"] > 0
    assert states["interrupted"] > 0 or len(killed) == 1
    for model, row in rows.items():
        seen = dispatched.get(model)
        if row["status"] == "ok":
            assert (row["input"], row["output"]) == (seen.used.input, seen.used.output)
        elif row["status"] == "interrupted":
            assert row["estimated"]
            assert row["input"] >= 3
    whole = [model for model, one in dispatched.items() if one.ended == "whole" and model in due]
    wrong = [model for model in whole if rows[model]["status"] not in ("ok", "interrupted", "disconnected")]
    assert wrong == []


def test_a_clean_stop_under_load_loses_nothing(tmp_path):
    with FaultDouble() as double, gateway(tmp_path, estate(double)) as running:
        with Inside(running) as inside:
            key = inside.issue("app")
        double.always(ok(token_delay=0.003))
        with Load(running.port, key) as load:
            load.wait_for(50)
            assert running.stop() == 0
        with Inside(running) as inside:
            rows = Counter(
                row["asked_model"].removeprefix("openai/") for row in inside.rows() if row["model"]
            )
            assert rows == Counter(one.model for one in double.seen)
            assert {row["status"] for row in inside.rows() if row["model"]} == {"ok"}
        whole = sum(one.whole and one.status == 200 for one in load.answers)
        assert whole == len(double.seen)  # whoever was being answered was answered to the end


def test_revoking_a_key_takes_effect_in_all_processes_within_a_second(tmp_path):
    with FaultDouble() as double, gateway(tmp_path, estate(double), processes=4) as running, Inside(running) as inside:  # fmt: skip
        for _ in range(3):
            key, other = inside.issue("app"), inside.issue("other")
            with Load(running.port, key, name="plain") as load, Load(running.port, other, clients=4, name="plain") as rest:  # fmt: skip
                load.wait_for(100)
                rest.wait_for(20)
                inside.store.revoke_virtual_key(key.split("-")[1])
                time.sleep(1.0)  # the second that is promised
                after = len(load.answers) + CLIENTS
                load.wait_for(200 + CLIENTS)
                rest.wait_for(20)
            assert statuses(load.answers[after:]).keys() == {401}
            assert statuses(rest.answers) == {200: len(rest.answers)}


def test_keys_are_rotated_under_load_and_no_request_fails(tmp_path):
    with FaultDouble(keys={"key-openai", "key-claude", "sk-1", "sk-2"}) as double:
        project = tmp_path / "project"
        project.mkdir()
        for number in (1, 2):
            (project / f"key{number}").write_text(f"sk-{number}\n")
        with gateway(project, estate(double), processes=2) as running, Inside(running) as inside:
            key = inside.issue("app")
            double.always(ok(token_delay=0.002))
            with Load(running.port, key, name="plain") as load:
                load.wait_for(50)
                running.run("ai.rotate-key", "--provider", "openai", "--new", "file:key1")
                double.keys = {"sk-1", "sk-2", "key-claude"}  # what was retired is deleted at once
                load.wait_for(50)
                running.run("ai.rotate-key", "--provider", "openai", "--new", "file:key2")
                double.keys = {"sk-2", "key-claude"}
                load.wait_for(50)
            assert statuses(load.answers) == {200: len(load.answers)}
            assert all(one.whole for one in load.answers)
            assert b"error" not in b"".join(one.body for one in load.answers)


def test_a_provider_is_killed_and_comes_back_under_load(tmp_path):
    route = {"targets": ["openai/plain", "openai2/plain"]}
    wanted = {"models": {"plain": route}, "breaker": {"failures": 3, "open_seconds": 0.3}}
    with FaultDouble() as first, FaultDouble() as second, gateway(tmp_path, estate(first, second, gateway=wanted)) as running, Inside(running) as inside:  # fmt: skip
        key = inside.issue("app")
        first.always(ok(token_delay=0.002))
        with Load(running.port, key, name="plain") as load:
            load.wait_for(50)
            for _ in range(3):
                first.stop()
                load.wait_for(100)
                first.start()
                served = len(first.seen)
                until(lambda served=served: len(first.seen) > served + 20)
        assert statuses(load.answers) == {
            200: len(load.answers)
        }  # whoever had no token yet was answered by the other
        broken = [one for one in load.answers if b"[DONE]" not in one.body and b'"choices"' in one.body and one.headers["content-type"].startswith("text/event-stream")]  # fmt: skip
        assert len(broken) <= 3 * CLIENTS
        assert all(b'"error"' in one.body.rpartition(b"data: ")[2] and one.whole for one in broken)
        rows = inside.rows(len(load.answers), asked_model="plain")
        assert Counter(row["status"] for row in rows) == Counter({"ok": len(rows) - len(broken), "broken": len(broken)}) + Counter()  # fmt: skip


def test_a_process_of_several_that_is_killed_is_replaced_and_its_requests_are_counted(tmp_path):
    with FaultDouble() as double, gateway(tmp_path, estate(double), processes=3) as running, Inside(running) as inside:  # fmt: skip
        key = inside.issue("app")
        double.always(ok(token_delay=0.003))
        with Load(running.port, key) as load:
            load.wait_for(60)
            victim = inside.store.instances()[0]
            os.kill(victim.pid, signal.SIGKILL)
            killed = time.monotonic()
            load.wait_for(200)
        assert statuses(load.answers)[200] > 200
        assert statuses(load.answers)[0] <= 2 * CLIENTS
        check_counted(inside, double, [killed], late=0.05)
        assert chat(running.port, key, "plain").status == 200
