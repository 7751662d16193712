"""Earlier answers through a real gateway: the same bytes, streams as streams, one question at a time, counted, and alive after a restart."""

import contextlib
import http.client
import json
import socket
import threading
import time

import openai
import pytest

import ai_rig
import servers
from datareeve.app import App
from datareeve.systems.sealing import make_kek_file

PRICES = {"openai/double-small": {"input": 1_000_000, "output": 2_000_000}}  # a dollar a token
SETTINGS = {
    "cache": {"seconds": 600},
    "prices": PRICES,
    "models": {
        "never": {"targets": ["openai/double-small"], "cache_seconds": 0},
        "short": {"targets": ["openai/double-small"], "cache_seconds": 0.3},
    },
}


@pytest.fixture(scope="module")
def double():
    with ai_rig.FaultDouble() as provider:
        yield provider


@pytest.fixture(scope="module")
def running(double, tmp_path_factory):
    with ai_rig.gateway(tmp_path_factory.mktemp("cache"), ai_rig.estate(double, gateway=SETTINGS)) as gateway:
        gateway.issue("app")
        yield gateway


@pytest.fixture(autouse=True)
def _well(double):
    double.well()
    double.seen.clear()


def body(text, **more):
    return {"model": "double-small", "messages": [{"role": "user", "content": text}], **more}


def ask(running, text, key="app", headers=None, **more):
    """Status, whether it was an earlier answer, and its bytes."""
    sent = {
        "authorization": f"Bearer {running.keys[key]}",
        "content-type": "application/json",
        **(headers or {}),
    }
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(body(text, **more)), sent)
        answer = connection.getresponse()
        return answer.status, answer.getheader("x-datareeve-cache") == "hit", answer.read()


@pytest.mark.parametrize("stream", [False, True])
def test_the_second_answer_is_the_first_byte_for_byte(running, double, stream):
    first, second = (
        ask(running, f"twice {stream}", stream=stream),
        ask(running, f"twice {stream}", stream=stream),
    )
    assert (first[:2], second[:2]) == ((200, False), (200, True))
    assert first[2] == second[2]
    assert len(double.seen) == 1


def test_a_replayed_stream_is_a_stream_to_the_sdk(running, double):
    with openai.OpenAI(base_url=running.openai_url, api_key=running.keys["app"], max_retries=0) as client:
        texts = [
            [
                c.choices[0].delta.content
                for c in client.chat.completions.create(**body("one two"), stream=True)
            ]
            for _ in range(2)
        ]
    assert texts[0] == texts[1]
    assert len(texts[0]) > 3
    assert len(double.seen) == 1


def test_errors_broken_streams_and_who_wants_none_are_not_kept(running, double):
    double.next(ai_rig.fail(400), ai_rig.cut(after=3))
    assert ask(running, "x")[0] == 400
    with contextlib.suppress(http.client.IncompleteRead):
        ask(running, "x", stream=True)
    assert [ask(running, "x", stream=True)[1] for _ in range(2)] == [False, True]
    assert [ask(running, "y", headers={"cache-control": "no-cache"})[1] for _ in range(2)] == [False, False]
    assert len(double.seen) == 5


def test_a_route_may_never_keep_or_keep_for_less(running, double):
    assert [ask(running, "z", model="never")[1] for _ in range(2)] == [False, False]
    assert ask(running, "z", model="short")[1] is False
    assert ask(running, "z", model="short")[1] is True
    running.wait_until(lambda: not ask(running, "z", model="short")[1])


def test_a_key_may_want_no_cache_and_teams_share_nothing(running, double):
    running.issue("none", cache="false")
    running.issue("red", team="red")
    running.issue("red2", team="red")
    double.seen.clear()
    assert [ask(running, "w", key)[1] for key in ("red", "red2", "app", "none", "none")] == [
        False,
        True,
        False,
        False,
        False,
    ]
    assert len(double.seen) == 4


def test_equal_questions_at_once_are_one_and_the_saved_money_is_counted(running, double):
    double.next(ai_rig.ok(hold=True))
    found = []
    threads = [threading.Thread(target=lambda: found.append(ask(running, "once"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    running.wait_until(lambda: double.running == 1 and in_flight(running) == 6)
    double.let_go()
    for thread in threads:
        thread.join(20)
    assert (len(double.seen), len({answer for _, _, answer in found})) == (1, 1)
    assert sorted(hit for _, hit, _ in found) == [False] + [True] * 5
    app = App.open(running.project)
    sql = "SELECT cached, cost_microusd, saved_microusd, count(*) FROM usage WHERE digest = (SELECT digest FROM usage ORDER BY at DESC LIMIT 1) GROUP BY 1, 2, 3 ORDER BY 1"
    running.wait_until(lambda: sum(row[3] for row in rows(app, sql)) == 6)
    used = double.seen[0].used
    cost = (used.input + 2 * used.output) * 1_000_000
    assert [[bool(row[0]), *row[1:]] for row in rows(app, sql)] == [[False, cost, 0, 1], [True, 0, cost, 5]]
    app.close()


def in_flight(running):
    """Requests that wait or are answered, by the gateway's own count."""
    text = running.get("/metrics", running.keys["app"])[1].decode()
    return next(
        (
            float(line.split()[-1])
            for line in text.splitlines()
            if line.startswith("datareeve_gateway_in_flight{")
        ),
        0,
    )


def rows(app, sql):
    return app.systems["gateway"].read("usage_by_sql", sql=sql)["rows"]


def test_where_the_first_ones_client_leaves_the_others_still_get_an_answer(running, double):
    double.next(ai_rig.ok(hold=True))
    text = json.dumps(body("left", stream=True)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {running.keys['app']}\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
    found = []
    others = [
        threading.Thread(target=lambda: found.append(ask(running, "left", stream=True))) for _ in range(3)
    ]
    with socket.create_connection(("127.0.0.1", running.port)) as leader:
        leader.sendall(head.encode() + text)
        running.wait_until(lambda: double.running == 1)
        for thread in others:
            thread.start()
        running.wait_until(lambda: in_flight(running) == 4)
    for thread in others:
        thread.join(20)
    assert [status for status, _, _ in found] == [200] * 3
    assert len({answer for _, _, answer in found}) == 1
    assert len(double.seen) == 2


# -- shelves -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def redis(tmp_path):
    with servers.redis(tmp_path) as running:
        yield running


@pytest.mark.parametrize("where", ["store", pytest.param("redis", marks=pytest.mark.system)])
def test_answers_outlive_the_process_sealed(request, tmp_path, double, where):
    settings = {"cache": {"seconds": 600, "where": where}, "prices": PRICES}
    if where == "redis":
        settings["shared"] = request.getfixturevalue("redis").url
    project = tmp_path / "project"
    project.mkdir()
    make_kek_file(project / ".datareeve" / "gateway.kek")
    with ai_rig.gateway(project, ai_rig.estate(double, gateway=settings)) as running:
        key = running.issue("app")
        whole, streamed = ask(running, "canary-words"), ask(running, "canary-words", stream=True)
        assert running.stop() == 0
        again = ai_rig.start(project, running.environment)
        again.keys["app"] = key
        try:
            assert ask(again, "canary-words") == (200, True, whole[2])
            assert ask(again, "canary-words", stream=True) == (200, True, streamed[2])
        finally:
            again.kill()
    assert len(double.seen) == 2
    for file in project.rglob("*"):
        assert not file.is_file() or b"canary-words" not in file.read_bytes(), file


@pytest.mark.system
def test_a_redis_that_dies_costs_no_request_and_little_time(tmp_path, double, redis):
    project = tmp_path / "project"
    project.mkdir()
    settings = {"cache": {"seconds": 600, "where": "redis"}, "shared": redis.url}
    with ai_rig.gateway(project, ai_rig.estate(double, gateway=settings)) as running:
        running.issue("app")
        assert ask(running, "before")[0] == 200
        redis.process.kill()
        redis.process.wait()
        for number in range(3):
            began = time.monotonic()
            assert ask(running, f"after {number}")[:2] == (200, False)
            assert ask(running, f"after {number}")[:2] == (200, True)
            assert time.monotonic() - began < 2
        assert ask(running, "before")[:2] == (200, True)
