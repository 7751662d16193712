"""What of a client's request a provider is sent, beside its body."""

import pytest

from ai_double import FaultDouble
from ai_rig import estate, gateway, merged
from ai_whole import BODIES, Inside, ask, until

CHAT = "/v1/chat/completions"
BODY = b'{"model":"cheap","messages":[{"role":"user","content":"hello"}]}'


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with FaultDouble() as double:
        wanted = estate(
            double,
            systems={"openai": {"headers": {"X-Team": "estate", "openai-beta": "estate"}, "query": {"api-version": "2024-10-21"}}},
            gateway={"models": {"cheap": {"targets": ["openai/cheap"]}, "claude": {"targets": ["claude/claude"]}}},
        )  # fmt: skip
        folder = tmp_path_factory.mktemp("gateway")
        with gateway(folder, wanted) as running, Inside(running) as inside:
            inside.port, inside.double = running.port, double
            inside.key = inside.issue("app")
            yield inside


def sent(world, path, body, **headers):
    """How the provider was asked."""
    before = len(world.double.seen)
    told = ask(world.port, world.key, path, body, **headers)
    assert told.status == 200, told.body
    (seen,) = world.double.seen[before:]
    return seen


@pytest.mark.parametrize("path", ["/messages", "/v1/messages", "/messages?beta=true"])
def test_a_provider_is_asked_by_the_path_that_it_knows(world, path):
    seen = sent(world, path, {**BODIES["/v1/messages"], "model": "claude"})
    assert seen.path.partition("?")[0] == "/v1/messages"
    rows = until(lambda: world.rows(asked_model="claude"))
    assert {row["endpoint"] for row in rows} == {"/v1/messages"}


def test_a_path_without_its_version_is_the_same_to_other_providers(world):
    assert sent(world, "/chat/completions", BODY).path.partition("?")[0].endswith("/v1/chat/completions")
