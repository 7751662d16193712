"""Who asks, on connections that carry many requests: each is its own, whatever was sent before it or behind it."""

import socket
import time

import pytest

from ai_double import FaultDouble
from ai_rig import estate, gateway
from ai_whole import HELLO, Inside, on_the_wire, request

CHAT = "/v1/chat/completions"
BODY = b'{"model":"cheap","messages":[{"role":"user","content":"hello"}]}'


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with FaultDouble() as double:
        wanted = estate(double, gateway={"models": {"cheap": {"targets": ["openai/cheap"]}}})
        folder = tmp_path_factory.mktemp("gateway")
        with gateway(folder, wanted) as running, Inside(running) as inside:
            inside.port, inside.double = running.port, double
            yield inside


def statuses(said):
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


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
    assert statuses(said) == [200, 200, 200, 401]
    assert len(world.rows(2, key_name="pipelined one")) == 2
    assert len(world.rows(1, key_name="pipelined other")) == 1
