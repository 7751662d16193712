"""Keys under a real gateway and real load: what operations do to them, seen by clients and by the provider."""

import contextlib
import http.client
import json
import threading
from collections import Counter

import pytest

from ai_double import FaultDouble, ok
from ai_rig import estate, gateway

KEYS = {"key-openai", "key-claude", "sk-canary-1", "sk-canary-2"}
CHAT = {"model": "double-small", "messages": [{"role": "user", "content": "hello there"}]}


@pytest.fixture
def double():
    with FaultDouble(keys=set(KEYS)) as running:
        yield running


@pytest.fixture
def running(tmp_path, double):
    for number in (1, 2):
        (tmp_path / f"key{number}").write_text(f"sk-canary-{number}\n")
    with gateway(tmp_path, estate(double), processes=2) as started:
        yield started


class Load:
    """Clients that ask without pause, streams and whole answers by turns; `statuses` by outcome, '' in place of one where it broke."""

    def __init__(self, port, key, clients=4):
        self.port, self.key = port, key
        self.statuses = Counter()
        self.problems = []
        self._gone = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(n,)) for n in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._gone.set()
        for thread in self._threads:
            thread.join(30)

    def wait_for(self, requests):
        wanted, waiting = self.statuses.total() + requests, threading.Event()
        for _ in range(4000):
            if self.statuses.total() >= wanted:
                return
            waiting.wait(0.005)
        raise AssertionError(self.statuses, self.problems)

    def _ask_on(self, number):
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            while not self._gone.is_set():
                stream = bool((self.statuses.total() + number) % 2)
                connection.request(
                    "POST", "/v1/chat/completions", json.dumps({**CHAT, "stream": stream}), headers
                )
                answer = connection.getresponse()
                body = answer.read()
                whole = answer.status == 200 and (not stream or b"[DONE]" in body)
                self.statuses[answer.status if whole else f"broken {answer.status}"] += 1
                if not whole:
                    self.problems.append(body[:300])


def test_keys_are_rotated_and_sealed_anew_under_load_and_no_request_fails(running, double, tmp_path):
    key = running.issue("app")
    double.always(ok(delay=0.002))
    with Load(running.port, key) as load:
        load.wait_for(40)
        running.run("ai.rotate-key", "--provider", "openai", "--new", "file:key1")
        load.wait_for(40)
        running.run("ai.rotate-key", "--provider", "openai", "--new", "file:key2")
        double.keys = {
            "sk-canary-2",
            "key-claude",
        }  # the others are deleted at the provider the moment they are retired
        load.wait_for(40)
        running.run("ai.rewrap-keys", "--to", "file:.datareeve/gateway-2.kek")
        (tmp_path / ".datareeve" / "gateway.kek").unlink()
        load.wait_for(40)
    assert set(load.statuses) == {200}, load.problems
    served = Counter(seen.key for seen in double.seen if seen.path == "/v1/chat/completions")
    assert set(served) == {"key-openai", "sk-canary-1", "sk-canary-2"}
    assert b"canary" not in running.log.read_bytes()


def test_a_revoked_virtual_key_is_refused_once_the_operation_has_ended(running):
    key, other = running.issue("app"), running.issue("other")
    assert running.post("/v1/chat/completions", CHAT, key)[0] == 200
    running.run("ai.revoke-virtual-key", "--key", "app")
    for _ in range(20):  # every process refuses it
        assert running.post("/v1/chat/completions", CHAT, key)[0] == 401
        assert running.post("/v1/chat/completions", CHAT, other)[0] == 200


def test_rotation_waits_for_a_stream_that_has_begun(running, double):
    key = running.issue("app")
    double.next(ok(hold_after=2, words=6), path="/v1/chat/completions")
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(running.post("/v1/chat/completions", {**CHAT, "stream": True}, key))
    )
    asking.start()
    running.wait_until(lambda: any(seen.events for seen in double.seen))
    ended = threading.Event()
    rotating = threading.Thread(
        target=lambda: (
            running.run("ai.rotate-key", "--provider", "openai", "--new", "file:key1"),
            ended.set(),
        )
    )
    rotating.start()
    running.wait_until(lambda: "env:KEY_OPENAI" not in (running.project / "estate.yaml").read_text(), 15)
    assert not ended.wait(1)
    assert running.post("/v1/chat/completions", CHAT, key)[0] == 200
    assert double.seen[-1].key == "sk-canary-1"
    double.let_go()
    asking.join(10)
    assert answers[0][0] == 200
    assert b"[DONE]" in answers[0][1]
    assert ended.wait(20)
    rotating.join(5)


def test_a_gateway_that_was_killed_holds_nothing_up(running, double):
    running.issue("app")
    running.kill()
    running.run("ai.rotate-key", "--provider", "openai", "--new", "file:key1")
