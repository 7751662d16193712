"""What the gateway tells of itself, and to whom."""

import json

import pytest

from datareeve.capabilities.ai.gateway import admin
from datareeve.capabilities.ai.gateway.config import Config, Provider, ProviderKey, Route, Target, VirtualKey
from datareeve.capabilities.ai.gateway.metrics import Metrics
from datareeve.core.estate_gateway import GatewaySettings, ModelRoute
from datareeve.core.secrets import Secret

CANARY = "sk-canary7f3a"
KEYS = tuple(ProviderKey(id=f"pk_{n}", provider="openai", secret=Secret(CANARY), state=state) for n, state in enumerate(("active", "draining", "active")))  # fmt: skip
CONFIG = Config(
    revision=7,
    settings=GatewaySettings(),
    providers={"openai": Provider("openai", "openai", "https://api.openai.com/v1", KEYS)},
    routes={"chat": Route("chat", (Target("openai", "gpt-4.1"),), ModelRoute(targets=("openai/gpt-4.1",)))},
    virtual_keys={
        "a" * 12: VirtualKey(id="a" * 12, digest=b"", name="Jane Doe"),
        "b" * 12: VirtualKey(id="b" * 12, digest=b"", name="Joe", revoked=True),
    },
    budgets={},
)


def told(path, **changed):
    given = {"config": CONFIG, "metrics": Metrics(), "estate": "digest", "local": False, **changed}
    return admin.answer(path, **given)


def test_health_is_told_to_anybody_and_says_nothing_else():
    assert told("/health") == (200, "application/json", b'{"status": "ok"}')
    assert told("/health", draining=True).status == 503


@pytest.mark.parametrize("path", ["/metrics", "/status"])
def test_figures_are_told_to_this_machine_and_to_admin_keys_only(path):
    plain, boss = (VirtualKey(id="c" * 12, digest=b"", name="x", admin=admin_) for admin_ in (False, True))
    assert told(path).status == 403
    assert json.loads(told(path).body)["error"]["code"] == "gateway.admin"
    assert told(path, key=plain).status == 403
    assert told(path, key=boss).status == 200
    assert told(path, local=True).status == 200


def test_other_paths_are_not_its_own():
    assert told("/v1/models", local=True) is None


@pytest.mark.parametrize(
    ("peer", "headers", "host", "local"),
    [
        ("127.0.0.1", ("host", "accept"), "127.0.0.1:4141", True),
        ("127.0.0.1", (), "LocalHost", True),
        ("::1", (), "[::1]:4141", True),
        ("10.0.0.1", (), "127.0.0.1", False),
        ("127.0.0.1", ("x-forwarded-for",), "localhost", False),
        ("127.0.0.1", ("via",), "localhost", False),
        ("127.0.0.1", ("x-forwarded-proto",), "localhost", False),
        ("127.0.0.1", ("x-forwarded-host",), "localhost", False),
        ("127.0.0.1", ("cf-connecting-ip",), "localhost", False),
        ("127.0.0.1", ("x-forward",), "localhost", True),
        ("127.0.0.1", ("forwarded",), "localhost", False),
        ("127.0.0.1", (), "gateway.example.com", False),
        ("127.0.0.1", (), "localhost.example.com", False),
        ("127.0.0.1", (), "127.0.0.1:4141@example.com", False),
        ("127.0.0.1", (), "", False),
        ("", (), "localhost", False),
        ("unix", (), "localhost", False),
    ],
)
def test_what_a_proxy_passed_on_is_not_of_this_machine(peer, headers, host, local):
    assert admin.is_local(peer, headers, host) is local


def test_the_status_says_by_what_it_works_and_holds_no_key_and_no_name():
    answer = told("/status", local=True)
    status = json.loads(answer.body)
    assert status["processes"] == [{"pid": status["processes"][0]["pid"], "revision": 7, "estate": "digest"}]
    assert status["providers"] == {"openai": {"protocol": "openai", "keys": {"active": 2, "draining": 1}}}
    assert status["models"] == {"chat": ["openai/gpt-4.1"]}
    assert status["virtual_keys"] == 1
    assert CANARY.encode() not in answer.body
    assert b"Jane" not in answer.body


def test_the_figures_of_several_processes_are_one(tmp_path):
    first, second = (Metrics(process=n, folder=tmp_path) for n in (0, 1))
    second.gauge("in_flight", 4)
    second.spill(second.snapshot(admin.about(CONFIG, "other")))
    status = json.loads(told("/status", local=True, metrics=first).body)
    assert [one["estate"] for one in status["processes"]] == ["digest", "other"]
    assert status["figures"]["datareeve_gateway_in_flight"] == 4
    assert status["figures"]["total_ms_p50"] is None
