"""Limits and budgets through a real gateway: many clients at once, several processes, several gateways. What is counted is held against what the
provider billed.

A token of a prompt costs a micro-dollar here, one of an answer two.
"""

import asyncio
import contextlib
import json
import threading
from collections import Counter

import pytest

import servers
from ai_double import FaultDouble, ok
from ai_rig import estate, gateway
from ai_whole import BODIES, HELLO, Client, Inside, ask, at_once, chat, request, statuses, until

PRICE = {"input": 1, "output": 2}
BUDGET = 500  # micro-dollars
UNCERTAIN = 60  # what one request may hold at most
CHAT = "/v1/chat/completions"
SPENDING = {
    "chat": (CHAT, {}),
    "streamed": (CHAT, {"stream": True}),
    "messages": ("/v1/messages", {}),
    "messages-streamed": ("/v1/messages", {"stream": True}),
    "responses": ("/v1/responses", {}),
    "completions": ("/v1/completions", {}),
    "embeddings": ("/v1/embeddings", {"input": ["a few words of text"] * 3}),
}
ROUTES = {
    "plain": {"targets": ["openai/plain"]},
    "sonnet": {"targets": ["claude/sonnet"]},
    "few": {"targets": ["openai/few"], "requests_per_minute": 6},
    "small": {"targets": ["openai/small"], "tokens_per_minute": 100},
    "queued": {"targets": ["openai/queued"], "tokens_per_minute": 130, "queue_seconds": 10},
    "fair": {"targets": ["openai/fair"], "tokens_per_minute": 600, "queue_seconds": 20},
    "patient": {"targets": ["openai/patient"], "queue_seconds": 20},
    "hopeless": {"targets": ["openai/hopeless"], "requests_per_minute": 1, "queue_seconds": 0.3},
}


def settings(**more):
    prices = {target: PRICE for one in ROUTES.values() for target in one["targets"]}
    budgets = {name: {"usd": BUDGET / 1e6, "key": name, "period": "day"} for name in SPENDING}
    budgets["soft"] = {"usd": 1e-6, "key": "soft", "hard": False}
    budgets["held"] = {"usd": 400e-6, "key": "held"}
    budgets["shared"] = {"usd": BUDGET / 1e6, "key": "shared"}
    return {"models": ROUTES, "prices": prices, "budgets": budgets, **more}


@contextlib.contextmanager
def started(folder, double, processes=1, store=None, **more):
    if store:
        more["store"] = store
    wanted = estate(double, gateway=settings(**more))
    with gateway(folder, wanted, processes=processes) as running, Inside(running, store) as inside:
        inside.port, inside.double = running.port, double
        yield inside


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with FaultDouble() as double, started(tmp_path_factory.mktemp("gateway"), double) as inside:
        yield inside


def many(key, number, path=CHAT, **body):
    return [(key, path, {"model": "plain", **BODIES[path], **body})] * number


def billed(double, **matches):
    return sum(one.used.input + 2 * one.used.output for one in double.matching(ended="whole", **matches))


# -- budgets -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPENDING)
def test_two_hundred_clients_at_once_do_not_overshoot_a_budget(world, name):
    path, more = SPENDING[name]
    key = world.issue(name)
    model = "sonnet" if path == "/v1/messages" else "plain"
    before = billed(world.double)
    answers = at_once(world.port, many(key, 200, path, model=model, **more))
    spent = billed(world.double) - before
    assert set(statuses(answers)) == {200, 429}
    assert all(one.whole for one in answers)
    refused = [one for one in answers if one.status == 429]
    assert {one.headers["x-should-retry"] for one in refused} == {"false"}
    assert BUDGET - UNCERTAIN <= spent <= BUDGET + UNCERTAIN
    rows = world.rows(200, key_name=name)
    assert sum(row["cost_microusd"] for row in rows) == spent
    assert Counter(row["status"] for row in rows) == {"ok": statuses(answers)[200], "refused": len(refused)}
    assert ask(world.port, key, path, {"model": model, **BODIES[path], **more}).status in (200, 429)


def test_a_spent_budget_stops_every_endpoint(world):
    key = world.issue("chat", models=("*",))
    world.rows(key_name="chat")
    at_once(world.port, many(key, 60))
    for path in BODIES:
        model = "sonnet" if path == "/v1/messages" else "plain"
        told = ask(world.port, key, path, {"model": model, **BODIES[path]})
        assert (path, told.status, told.headers.get("x-should-retry")) == (path, 429, "false")
    spoken = {"model": "plain", "input": "hello there", "voice": "a"}
    assert ask(world.port, key, "/v1/audio/speech", spoken).status in (404, 429)
    assert ask(world.port, key, "/v1/images/generations", {"model": "plain", "prompt": "x"}).status == 429


def test_a_soft_budget_only_tells(world):
    key = world.issue("soft")
    assert statuses(at_once(world.port, many(key, 30))) == {200: 30}


def test_a_budget_holds_over_a_restart(tmp_path):
    with FaultDouble() as double:
        with started(tmp_path, double) as inside:
            key = inside.issue("shared")
            at_once(inside.port, many(key, 100))
            assert inside.running.stop() == 0
        with started(tmp_path, double) as inside:
            assert statuses(at_once(inside.port, many(key, 20)))[200] <= 1
        assert billed(double) <= BUDGET + UNCERTAIN


def test_what_a_client_that_leaves_did_not_use_is_free_again(world):
    key = world.issue("held", tokens_per_minute=200)
    body = {"model": "plain", "messages": HELLO, "max_completion_tokens": 120, "stream": True}
    for n in range(3):
        seen = len(world.double.seen)
        world.double.next(ok(hold_after=4, words=100))

        async def leave():
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
            raw = request("POST", CHAT, json.dumps(body).encode(), key=key)
            writer.write(raw)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"w1")
            writer.close()
            return head

        assert b" 200 " in asyncio.run(leave())
        world.double.wait_until(lambda seen=seen: world.double.seen[seen].ended == "client left")
        rows = world.rows(n + 1, key_name="held")
    assert {row["status"] for row in rows} == {"disconnected"}
    assert 0 < sum(row["cost_microusd"] for row in rows) < 100


# -- rates -------------------------------------------------------------------------------------------------------------------------


def test_requests_a_minute_of_a_key(world):
    key = world.issue("seven", requests_per_minute=7)
    answers = at_once(world.port, many(key, 40))
    assert statuses(answers) == {200: 7, 429: 33}
    refused = next(one for one in answers if one.status == 429)
    assert refused.code == "gateway.rate-limit"
    assert 50 <= int(refused.headers["retry-after"]) <= 61
    other = world.issue("another", requests_per_minute=7)
    assert chat(world.port, other, "plain").status == 200


def test_requests_a_minute_of_a_model_over_all_keys(world):
    keys = [world.issue(f"of-model-{n}") for n in range(3)]
    answers = at_once(world.port, [one for key in keys for one in many(key, 10, model="few")])
    assert statuses(answers) == {200: 6, 429: 24}


@pytest.mark.parametrize("of", ["key", "model"])
def test_tokens_a_minute(world, of):
    key = world.issue(f"tokens-of-{of}", tokens_per_minute=100 if of == "key" else None)
    model = "plain" if of == "key" else "small"
    answers = [ask(world.port, key, CHAT, {"model": model, **BODIES[CHAT]}) for _ in range(20)]
    used = 7 * statuses(answers)[200]
    assert 100 - 30 <= used <= 100
    assert {one.status for one in answers} == {200, 429}
    told = ask(world.port, key, CHAT, {"model": model, "messages": HELLO, "max_completion_tokens": 5000})
    assert (told.status, told.headers["x-should-retry"]) == (429, "false")  # waiting would be in vain


def test_requests_at_one_time_of_a_key(world):
    key = world.issue("three", max_parallel=3)
    world.double.always(ok(hold=True))
    answers = []
    asking = threading.Thread(target=lambda: answers.extend(at_once(world.port, many(key, 15))))
    asking.start()
    try:
        until(lambda: len(world.rows(key_name="three", status="refused")) == 12)
        assert world.double.running == 3
    finally:
        world.double.well()
        world.double.let_go()
        asking.join(10)
    assert statuses(answers) == {200: 3, 429: 12}
    assert statuses(at_once(world.port, many(key, 1))) == {200: 1}


def test_what_is_too_much_at_one_time_may_wait(world):
    key = world.issue("three patient", max_parallel=3)
    world.double.most_at_once = 0
    world.double.always(ok(delay=0.02))
    answers = at_once(world.port, many(key, 15, model="patient"))
    world.double.well()
    assert statuses(answers) == {200: 15}
    assert world.double.most_at_once == 3


# -- the queue ---------------------------------------------------------------------------------------------------------------------


def test_a_short_queue_instead_of_a_refusal(world):
    key = world.issue("patient")
    body = {"model": "queued", "messages": HELLO, "max_completion_tokens": 30}
    answers = at_once(world.port, [(key, CHAT, body)] * 12)  # 12 x 7 tokens are used, 12 x 33 are held
    assert statuses(answers) == {200: 12}


def test_nobody_waits_longer_than_the_queues_patience(world):
    key = world.issue("hopeless")
    first, second = (chat(world.port, key, "hopeless") for _ in range(2))
    assert (first.status, second.status) == (200, 429)
    assert 0.25 <= second.seconds < 1.5


def test_keys_take_turns_in_the_queue(world):
    loud, quiet = world.issue("loud"), world.issue("quiet")
    world.double.always(ok(delay=0.03), model="fair")

    def body(said):
        return {
            "model": "fair",
            "messages": [{"role": "user", "content": said}],
            "max_completion_tokens": 100,
        }

    answers = []
    flood = threading.Thread(
        target=lambda: answers.extend(at_once(world.port, [(loud, CHAT, body("loud"))] * 40))
    )
    flood.start()
    seen = world.double.matching
    world.double.wait_until(lambda: len(seen(model="fair")) >= 6)
    came = len(seen(model="fair"))
    answers += at_once(world.port, [(quiet, CHAT, body("quiet"))] * 3)
    flood.join(20)
    assert statuses(answers) == {200: 43}
    order = [one.body["messages"][0]["content"] for one in seen(model="fair")]
    assert max(n for n, said in enumerate(order) if said == "quiet") < came + 16


# -- several processes, several gateways -------------------------------------------------------------------------------------------


def spend_all(port, key, number, **body):
    """Answers to many requests, and to some that come later one by one."""
    answers = at_once(port, many(key, number, **body))
    return answers + [ask(port, key, *many(key, 1, **body)[0][1:]) for _ in range(10)]


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    with FaultDouble() as double, started(tmp_path_factory.mktemp("four"), double, processes=4) as inside:
        yield inside


def test_four_processes_share_a_rate_to_the_last_request(four):
    key = four.issue("fifty", requests_per_minute=50)
    assert statuses(spend_all(four.port, key, 200))[200] == 50
    rows = four.rows(210, key_name="fifty")
    assert len({row["id"] for row in rows}) == 210


def test_four_processes_share_a_budget(four):
    key = four.issue("shared")
    answers = spend_all(four.port, key, 200)
    assert set(statuses(answers)) == {200, 429}
    assert (
        BUDGET - UNCERTAIN <= billed(four.double, model="plain") - billed_before(four) <= BUDGET + UNCERTAIN
    )
    rows = four.rows(210, key_name="shared")
    assert BUDGET - UNCERTAIN <= sum(row["cost_microusd"] for row in rows) <= BUDGET + UNCERTAIN


def billed_before(four):
    return sum(row["cost_microusd"] for row in four.rows(key_name="fifty"))


def test_four_processes_share_what_goes_on_at_one_time(four):
    key = four.issue("two at a time", max_parallel=2)
    four.double.most_at_once = 0
    four.double.always(ok(delay=0.02))
    try:
        answers = at_once(four.port, many(key, 24, model="patient"))
    finally:
        four.double.well()
    assert four.double.most_at_once <= 2
    assert statuses(answers) == {200: 24}


def both(tmp_path, double, **more):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    stack = contextlib.ExitStack()
    return stack, [stack.enter_context(started(tmp_path / name, double, **more)) for name in ("one", "other")]


def spend_at_both(one, other, key, number, **body):
    asked = many(key, number, **body)

    async def every():
        clients = [Client(port, key) for port in (one.port, other.port) for _ in range(number)]
        answers = await asyncio.gather(*(client.post(*asked[0][1:]) for client in clients))
        for client in clients:
            client.close()
        return answers

    later = [ask(port, *asked[0]) for port in (one.port, other.port) for _ in range(5)]
    return asyncio.run(every()) + later


@pytest.mark.parametrize("where", ["store", pytest.param("redis", marks=pytest.mark.system)])
def test_two_gateways_share_limits_and_budgets(tmp_path, database, where):
    with contextlib.ExitStack() as outer:
        more = {"shared": outer.enter_context(servers.redis(tmp_path)).url} if where == "redis" else {}
        double = outer.enter_context(FaultDouble())
        stack, (one, other) = both(tmp_path, double, store=database, **more)
        outer.enter_context(stack)
        limited = one.issue("thirty", requests_per_minute=30)
        assert statuses(spend_at_both(one, other, limited, 60))[200] == 30
        before = billed(double)
        key = one.issue("shared")
        answers = spend_at_both(one, other, key, 60)
        assert set(statuses(answers)) == {200, 429}
        spent = billed(double) - before
        assert BUDGET - 2 * UNCERTAIN <= spent <= BUDGET + UNCERTAIN
        parallel = one.issue("two at a time", max_parallel=2)
        double.most_at_once = 0
        double.always(ok(delay=0.02))
        assert statuses(spend_at_both(one, other, parallel, 8, model="patient")) == {200: 26}
        assert double.most_at_once <= 2
        one.running.kill()
        before = billed(double)
        asked = [chat(other.port, key, "plain", max_completion_tokens=10).status for _ in range(15)]
        assert asked[-4:] == [429] * 4  # the rest is spent, and no more
        assert spent + billed(double) - before <= BUDGET + UNCERTAIN
