"""What of a client's request a provider is sent, beside its body."""

import pytest

from ai_double import FaultDouble
from ai_rig import estate, gateway
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


@pytest.mark.parametrize(
    "query", ["api-version=1999", "API-Version=1999&a=b", "api%2Dversion=1999", "a=b;api-version=1999", "api-version=1&api-version=2"]
)  # fmt: skip
def test_a_client_cannot_ask_beside_the_estates_query(world, query):
    seen = sent(world, f"{CHAT}?{query}&kept=yes", BODY)
    assert "1999" not in seen.query
    assert seen.query.lower().count("version") == 1
    assert "api-version=2024-10-21" in seen.query
    assert "kept=yes" in seen.query


def test_a_client_cannot_say_beside_the_estates_headers(world):
    seen = sent(world, CHAT, BODY, x_team="client", OpenAI_Beta="client", x_kept="yes")
    assert (seen.headers["x-team"], seen.headers["openai-beta"]) == ("estate", "estate")
    assert seen.headers["x-kept"] == "yes"
    other = sent(world, "/v1/messages", {**BODIES["/v1/messages"], "model": "claude"}, x_team="client")
    assert other.headers["x-team"] == "client"


def test_what_would_make_another_request_of_it_stays(world):
    seen = sent(
        world,
        CHAT,
        BODY,
        x_http_method_override="DELETE",
        x_goog_api_key="theirs",
        content_encoding="identity",
    )
    assert not {"x-http-method-override", "x-goog-api-key", "content-encoding"} & seen.headers.keys()


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x"])
def test_an_encoded_body_is_refused_in_the_endpoints_shape(world, path, coding):
    before = len(world.double.seen)
    told = ask(world.port, world.key, path, BODY, content_encoding=coding)
    assert (told.status, "error" in told.json) == (415, True)
    assert ("type" in told.json) is (path == "/v1/messages")
    assert len(world.double.seen) == before
    assert ask(world.port, "", path, BODY, content_encoding=coding).status == 401
