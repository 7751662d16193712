"""Keys under a real gateway and real load: what operations do to them, seen by clients and by the provider."""

import contextlib
import http.client
import json
import threading
from collections import Counter

import pytest

from ai_double import FaultDouble, ok
from ai_keys_rig import told
from ai_rig import estate, gateway
from datareeve.app import App

TAKEN = {"key-openai", "key-claude", *(f"sk-canary-{n}" for n in (1, 2, 3, 4))}
CHAT = {"model": "double-small", "messages": [{"role": "user", "content": "hello there"}]}


@pytest.fixture(scope="module")
def server():
    with FaultDouble() as running:
        yield running


@pytest.fixture(scope="module")
def started(tmp_path_factory, server):
    folder = tmp_path_factory.mktemp("keys")
    for number in (1, 2, 3, 4):
        (folder / f"key{number}").write_text(f"sk-canary-{number}\n")
    with gateway(folder, estate(server), processes=2) as running:
        yield running


@pytest.fixture
def double(server):
    server.keys = set(TAKEN)
    server.well()
    return server


@pytest.fixture
def running(started, double):
    return started


def do(running, operation, **inputs):
    """Carry an operation out, in this process: starting another takes longer than the operation."""
    app = App.open(running.project)
    with contextlib.closing(app):
        made = app.catalogue.make(f"ai.{operation}", inputs)
        outcome = app.apply(app.preview(made), by="test")
    assert outcome.status == "done", told(outcome)


def issued(running, name="app"):
    do(running, "issue-virtual-key", for_name=name)
    return (running.project / ".datareeve" / "secrets" / f"{name}.key").read_text().strip()


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


def test_keys_are_rotated_and_sealed_anew_under_load_and_no_request_fails(running, double):
    key = issued(running)
    double.always(ok(delay=0.002))
    with Load(running.port, key) as load:
        load.wait_for(40)
        do(running, "rotate-key", provider="openai", new="file:key1")
        load.wait_for(40)
        do(running, "rotate-key", provider="openai", new="file:key2")
        double.keys = {
            "sk-canary-2",
            "key-claude",
        }  # the others are deleted at the provider the moment they are retired
        load.wait_for(40)
        do(running, "rewrap-keys", to="file:.datareeve/gateway-2.kek")
        (running.project / ".datareeve" / "gateway.kek").unlink()
        load.wait_for(40)
    assert set(load.statuses) == {200}, load.problems
    served = Counter(seen.key for seen in double.seen if seen.path == "/v1/chat/completions")
    assert set(served) == {"key-openai", "sk-canary-1", "sk-canary-2"}
    assert b"canary" not in running.log.read_bytes()


def test_a_revoked_virtual_key_is_refused_once_the_operation_has_ended(running):
    key, other = issued(running, "left"), issued(running, "stays")
    assert running.post("/v1/chat/completions", CHAT, key)[0] == 200
    do(running, "revoke-virtual-key", key="left")
    for _ in range(20):  # every process refuses it
        assert running.post("/v1/chat/completions", CHAT, key)[0] == 401
        assert running.post("/v1/chat/completions", CHAT, other)[0] == 200


def test_rotation_waits_for_a_stream_that_has_begun(running, double):
    key = issued(running, "streamer")
    double.next(ok(hold_after=2, words=6), path="/v1/chat/completions")
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(running.post("/v1/chat/completions", {**CHAT, "stream": True}, key))
    )
    asking.start()
    running.wait_until(lambda: double.seen and double.seen[-1].stream and double.seen[-1].events >= 2)
    old = double.seen[-1].key
    ended = threading.Event()
    rotating = threading.Thread(
        target=lambda: (
            do(running, "rotate-key", provider="openai", new="file:key3"),
            ended.set(),
        )
    )
    rotating.start()
    running.wait_until(
        lambda: running.post("/v1/chat/completions", CHAT, key)[0] == 200 and double.seen[-1].key != old
    )
    assert not ended.wait(1)
    assert double.seen[-1].key == "sk-canary-3"
    double.let_go()
    asking.join(10)
    assert answers[0][0] == 200
    assert b"[DONE]" in answers[0][1]
    assert ended.wait(20)
    rotating.join(5)


def test_a_gateway_that_was_killed_holds_nothing_up(running, double):
    issued(running, "last")
    running.kill()
    do(running, "rotate-key", provider="openai", new="file:key4")
