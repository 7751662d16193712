"""Who asks, on connections that carry many requests: each is its own, whatever was sent before it or behind it."""

import socket

import pytest

from ai_whole import on_the_wire, request, statuses_in, whole

CHAT = "/v1/chat/completions"
BODY = b'{"model":"cheap","messages":[{"role":"user","content":"hello"}]}'


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    models = {"cheap": {"targets": ["openai/cheap"]}}
    with whole(tmp_path_factory.mktemp("gateway"), gateway={"models": models}) as inside:
        yield inside


def test_each_of_several_requests_sent_at_once_is_its_own_keys(world):
    one, other = world.issue("pipelined one"), world.issue("pipelined other")
    said = on_the_wire(
        world.port,
        request("POST", CHAT, BODY, key=one, x_n="1")
        + request("POST", CHAT, BODY, key=one, x_n="2")
        + request("POST", CHAT, BODY, key=other)
        + request("POST", CHAT, BODY),
        quiet=1.0,
    )
    assert statuses_in(said) == [200, 200, 200, 401]
    assert len(world.rows(2, key_name="pipelined one")) == 2
    assert len(world.rows(1, key_name="pipelined other")) == 1


def test_a_key_that_is_revoked_while_a_body_comes_is_not_served(world):
    revoked, kept = world.issue("revoked meanwhile"), world.issue("kept meanwhile")
    raw = {key: request("POST", CHAT, BODY, key=key) for key in (revoked, kept)}
    with (
        socket.create_connection(("127.0.0.1", world.port), timeout=5) as one,
        socket.create_connection(("127.0.0.1", world.port), timeout=5) as other,
    ):
        one.sendall(raw[revoked][:-10])
        other.sendall(raw[kept][:-10])
        world.store.revoke_virtual_key(revoked.split("-")[1])
        world.heard()
        one.sendall(raw[revoked][-10:])
        other.sendall(raw[kept][-10:])
        assert statuses_in(one.recv(65536)) == [401]
        assert statuses_in(other.recv(65536)) == [200]
