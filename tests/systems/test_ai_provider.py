"""A provider is asked one small question: what its answer says of the key, and what never passes on."""

import contextlib
import json
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_double import FaultDouble, drop, fail, garbage, ok, silence
from datareeve.core.errors import BadInput, Unreachable
from datareeve.core.estate_gateway import AnthropicSystem, OpenaiSystem
from datareeve.core.secrets import Secret
from datareeve.systems.ai_provider import error_name, judged, provider_of
from datareeve.systems.key_text import checked_key

GOOD, BAD = Secret("sk-good"), Secret("sk-canary7f3a")


@pytest.fixture
def double():
    with FaultDouble(keys={"sk-good"}) as running:
        yield running


def provider(double, kind="openai", secret=GOOD, **more):
    url = double.openai_url if kind == "openai" else double.anthropic_url
    entry = {"openai": OpenaiSystem, "anthropic": AnthropicSystem}[kind](kind=kind, base_url=url, **more)
    return provider_of("it", entry, lambda _key: secret)


KINDS = pytest.mark.parametrize("kind", ["openai", "anthropic"])


@KINDS
def test_a_good_key_works_and_its_models_are_listed(double, kind):
    found = provider(double, kind).read("probe")
    assert (found["ok"], found["verdict"], found["status"]) == (True, "works", 200)
    assert "double-small" in found["models"]
    assert found["latency_ms"] > 0
    assert provider(double, kind).read("models") == found["models"]


@KINDS
def test_a_wrong_key_is_refused_and_neither_it_nor_the_provider_s_words_are_told(double, kind):
    found = provider(double, kind, BAD).read("probe")
    assert (found["ok"], found["verdict"], found["status"], found["models"]) == (False, "refused", 401, [])
    assert "canary" not in json.dumps(found)
    assert "Incorrect" not in json.dumps(found)
    with pytest.raises(Unreachable, match="does not list"):
        provider(double, kind, BAD).read("models")


@KINDS
def test_with_a_model_it_is_asked_for_a_few_tokens(double, kind):
    found = provider(double, kind).read("probe", model="double-small")
    assert (found["ok"], found["models"]) == (True, [])
    (seen,) = double.seen
    assert (seen.method, seen.model, seen.protocol) == ("POST", "double-small", kind)
    assert 16 in (seen.body.get("max_tokens"), seen.body.get("max_completion_tokens"))


@pytest.mark.parametrize(
    ("auth", "header"), [("bearer", "authorization"), ("api-key", "api-key"), ("none", "")]
)
def test_an_openai_one_is_shown_the_key_as_the_estate_says(double, auth, header):
    double.keys = None
    provider(double, auth=auth, query={"api-version": "2024-10-21"}, headers={"x-team": "shop"}).read("probe")
    (seen,) = double.seen
    assert [name for name, value in seen.headers.items() if "sk-good" in value] == (
        [header] if header else []
    )
    assert (seen.query, seen.headers["x-team"]) == ("api-version=2024-10-21", "shop")


@pytest.mark.parametrize(
    ("behaviour", "ok_", "verdict"),
    [
        (fail(500), None, "not well"),
        (fail(429, retry_after=7), None, "throttled"),
        (fail(429, kind="insufficient_quota"), False, "no credit"),
        (fail(402), False, "no credit"),
        (fail(403), None, "forbidden"),
        (fail(404), None, "lists no models"),
        (fail(418), None, "unclear"),
        (garbage(), None, "unreachable"),
        (drop(), None, "unreachable"),
        (ok(lie=+10, body=b"{}"), None, "unreachable"),
        (ok(body=b"\xff not JSON"), True, "works"),
        (ok(body=b'{"data": [1, {"id": 2}, {"id": "a\\nb"}, {"id": "fine"}]}'), True, "works"),
        (ok(body=b"[" * 100_000), True, "works"),
    ],
)
def test_an_answer_that_says_nothing_of_the_key_is_not_taken_for_a_no(double, behaviour, ok_, verdict):
    double.always(behaviour)
    found = provider(double).read("probe")
    assert (found["ok"], found["verdict"]) == (ok_, verdict)
    assert found["models"] in ([], ["fine"])


def test_a_restricted_key_of_openai_may_not_list_models_and_is_good():
    body = b'{"error":{"message":"You have insufficient permissions. Missing scopes: api.model.read"}}'
    assert judged(403, body) == ("restricted", True)


def test_nobody_there_is_no_answer_about_the_key():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        entry = OpenaiSystem(kind="openai", base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        found = provider_of("it", entry, lambda _: GOOD).read("probe")
    assert (found["ok"], found["verdict"], found["status"]) == (None, "unreachable", None)


def test_silence_ends_at_the_first_byte_timeout(double):
    double.always(silence())
    began = time.monotonic()
    assert provider(double, first_byte_seconds=0.2).read("probe")["verdict"] == "unreachable"
    assert time.monotonic() - began < 3


def test_a_server_that_drips_a_byte_at_a_time_is_cut_at_the_deadline():
    with dripping() as port:
        asked = provider_of(
            "it", OpenaiSystem(kind="openai", base_url=f"http://127.0.0.1:{port}/v1"), lambda _: GOOD
        )
        asked.deadline_seconds = 0.3
        began = time.monotonic()
        assert asked.read("probe")["verdict"] == "unreachable"
        assert time.monotonic() - began < 3


@contextlib.contextmanager
def dripping():
    """A server that sends a head and then one byte of its body every 20 ms, for as long as the client stays."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                    gone = threading.Event()
                    while not gone.wait(0.02):
                        connection.sendall(b" ")

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
    thread.join(5)
    assert not thread.is_alive()


def test_an_endless_list_is_not_read_to_its_end(double):
    double.always(ok(body=b" " * 5_000_000))
    assert provider(double).read("probe")["verdict"] == "unreachable"


@pytest.mark.parametrize(
    "text", ["", "two words", "sk-canary\r\nx-evil: 1", "sk-canary\n", "käse", "x" * 9000]
)
def test_what_could_not_stand_in_a_header_is_no_key(double, text):
    with pytest.raises(BadInput, match="no API key") as error:
        checked_key(Secret(text))
    with pytest.raises(BadInput, match="no API key"):
        provider(double, secret=Secret(text)).read("probe")
    assert double.seen == []
    assert "canary" not in str(error.value)


def test_limits_are_told_as_they_came(double):
    double.next(ok(headers=(("x-ratelimit-remaining-requests", "59"), ("set-cookie", "canary"))))
    assert provider(double).read("probe")["limits"] == {"x-ratelimit-remaining-requests": "59"}


@given(st.integers(100, 599), st.binary(max_size=300))
def test_any_answer_is_judged(status, data):
    verdict, good = judged(status, data)
    assert verdict
    assert good in (True, False, None)
    assert len(error_name(data)) <= 60
    assert good is not True or status < 300 or status == 403
