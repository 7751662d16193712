"""What the gateway tells of itself, asked for as no library does."""

import contextlib
import socket
import time

import pytest

from ai_rig import estate
from ai_whole import chat, on_the_wire, request, statuses_in, whole
from datareeve.systems.gateway_process import DIGEST_KEY, FOLDER, PROOF, GatewayProcess, proof


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    models = {"cheap": {"targets": ["openai/cheap"]}}
    with whole(tmp_path_factory.mktemp("gateway"), gateway={"models": models}) as inside:
        inside.key = inside.issue("app")
        yield inside


def test_its_own_paths_take_no_body(world):
    """Sixteen bodies that never end would else be all that the gateway holds, and no key is needed to send them."""
    with contextlib.ExitStack() as stack:
        for path in ("/health", "/metrics", "/status", "/health?a=b"):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", world.port), timeout=5))
            one.sendall(request("GET", path, content_length="30000000"))
            assert statuses_in(one.recv(65536)) in ([200], [403]), path
            one.shutdown(socket.SHUT_WR)
        assert chat(world.port, world.key, "cheap").status == 200


def test_behind_a_proxy_its_figures_take_an_admin_key_or_the_projects_own_proof(world):
    admin, place = world.issue("admin", admin=True), world.running.project / FOLDER / DIGEST_KEY
    shown = {PROOF.replace("-", "_"): proof(place.read_bytes())}
    text = estate(world.double, gateway={"models": {"cheap": {"targets": ["openai/cheap"]}}})
    world.reload({**text, "gateway": {**text["gateway"], "local_figures": False}})
    try:
        for path in ("/metrics", "/status"):
            asked = [world.running.ask("GET", path, **more)[0] for more in ({}, {"key": world.key}, {PROOF.replace("-", "_"): "0" * 64}, {"key": admin}, shown)]  # fmt: skip
            assert asked == [403, 403, 403, 200, 200]
        assert world.running.get("/health")[0] == 200
        assert GatewayProcess(world.running.project).status()["status"] == "ok"
    finally:
        world.reload(text)
    assert world.running.get("/status")[0] == 200


def test_its_own_paths_keep_a_connection_and_take_turns(world):
    said = on_the_wire(world.port, request("GET", "/health") * 3 + request("GET", "/health", b"body") * 2)
    assert statuses_in(said) == [200] * 5


def test_what_comes_after_the_last_chunk_is_bounded(world):
    head = request("GET", "/v1/models", key=world.key, transfer_encoding="chunked")
    began = time.monotonic()
    said = on_the_wire(world.port, head + b"0\r\nx: " + b"a" * 20_000_000)
    assert statuses_in(said) in ([431], [])
    assert time.monotonic() - began < 5
    assert chat(world.port, world.key, "cheap").status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.1\r\nhost: 127.0.0.1:%d", 200),
        (b"HTTP/1.1\r\nhost: localhost", 200),
        (b"HTTP/1.1\r\nhost: gateway.example.com", 403),
        (b"HTTP/1.1\r\nhost: 127.0.0.1\r\nx-forwarded-for: 127.0.0.1", 403),
        (b"HTTP/1.0\r\nhost: 127.0.0.1:%d\r\nconnection: close", 403),  # as nginx's plain proxy_pass sends it
    ],
)
@pytest.mark.parametrize("path", [b"/metrics", b"/status"])
def test_its_figures_are_not_shown_through_a_proxy(world, path, head, status):
    head = head.replace(b"%d", b"%d" % world.port)
    assert statuses_in(on_the_wire(world.port, b"GET " + path + b" " + head + b"\r\n\r\n")) == [status]
