"""What a hostile client, a wrong key or a jumping clock can do to a real gateway: nothing. Bytes are sent as no library sends them."""

import asyncio
import contextlib
import json
import re
import socket
import time

import pytest

from ai_double import FaultDouble, fail, ok
from ai_rig import estate, gateway
from ai_whole import BODIES, HELLO, Client, Inside, ask, chat, on_the_wire, request, until, whole

CHAT = "/v1/chat/completions"
CANARY = "canary7f3a"
CLOCK = """
import time
_real, _place = time.time, {place!r}
def _shifted():
    with open(_place) as file:
        return _real() + float(file.read())
time.time = _shifted
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    bounds = {
        "max_body_mb": 2,
        "max_held_mb": 5,
        "header_seconds": 1,
        "body_seconds": 1,
        "stalled_seconds": 1,
    }
    with whole(
        tmp_path_factory.mktemp("gateway"),
        environment={"CANARY_KEY": f"sk-{CANARY}-key"},
        systems={"openai": {"keys": ["env:CANARY_KEY"]}},
        gateway={
            **bounds,
            "models": {"cheap": {"targets": ["openai/cheap"]}, "dear": {"targets": ["openai/dear"]}},
        },
    ) as inside:
        inside.key = inside.issue("app")
        yield inside


@pytest.fixture(autouse=True)
def well(world):
    """Whatever was tried, the gateway goes on serving, and has no fault of its own to tell."""
    world.double.well()
    yield
    world.double.well()
    assert chat(world.port, world.key, "cheap").status == 200
    assert "Traceback" not in world.log
    assert "a fault of the gateway" not in world.log


def status_of(said):
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.1 ") else 0


def body(model="cheap", **more):
    return json.dumps({"model": model, "messages": HELLO, **more}).encode()


# -- bodies ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"model":}', b"[" * 100_000, b'{"model":"cheap"' + b" " * 1000, b'{"model": "\xed\xa0\x80"}',
     b'{"model":"cheap","messages":' + b"[" * 900 + b"]" * 900 + b"}", b'{"model":"cheap","messages":1e999}'],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_json_object_is_refused_or_the_providers_to_judge(world, path, raw):
    said = on_the_wire(world.port, request("POST", path, raw or b" ", key=world.key), quiet=0.1)
    assert status_of(said) in (200, 400, 404)
    assert b"Traceback" not in said


def test_odd_values_of_known_fields_are_no_fault(world):
    world.double.always(fail(400))
    odd = [None, -1, 0, 1e308, 2**70, True, "x", [], {}, [[]], {"a": {"b": []}}, "\ud800", "\u0000"]
    for name in ("model", "stream", "n", "max_tokens", "max_completion_tokens", "stream_options", "messages", "tools", "temperature", "stop", "user", "metadata"):  # fmt: skip
        for value in odd:
            told = ask(world.port, world.key, CHAT, {"model": "cheap", "messages": HELLO, name: value})
            assert told.status in (400, 404, 429), (name, value, told.body)


def test_a_body_of_100_mb_is_refused_before_it_is_read(world):
    head = request("POST", CHAT, key=world.key, content_length="104857600", content_type="application/json")
    said = on_the_wire(world.port, head)
    assert status_of(said) == 413
    sent = on_the_wire(world.port, request("POST", CHAT, key=world.key, transfer_encoding="chunked") + b"10000\r\n" + b"x" * 65536 + b"\r\n" + b"300000\r\n" + b"x" * 0x300000)  # fmt: skip
    assert status_of(sent) in (0, 413)  # it may be cut off while it still sends


def test_a_wrong_key_is_told_before_the_body_is_read(world):
    head = request("POST", CHAT, key="dr-nobody", content_length="2000000", content_type="application/json")
    assert status_of(on_the_wire(world.port, head)) == 401


@pytest.mark.parametrize(
    "raw",
    [b'{"model":"cheap","model":"dear","messages":[]}', b'{"model":"cheap","mod\\u0065l":"dear","messages":[]}', b'{"mod\\u0065l":"dear","model":"cheap","messages":[]}',
     b'{"model":"cheap","Model":"dear","messages":[]}', b'{"model":"cheap" ,\n"model" :"dear","messages":[]}', b'{"\\u006dodel":"dear","messages":[]}'],
    ids=range(6),
)  # fmt: skip
def test_no_second_model_reaches_a_provider(world, raw):
    key = world.issue("only cheap", models=("cheap",))
    before = len(world.double.seen)
    ask(world.port, key, CHAT, raw)
    for seen in world.double.seen[before:]:
        pairs = json.loads(seen.raw, object_pairs_hook=list)
        assert {value for name, value in pairs if name == "model"} == {"cheap"}


# -- keys --------------------------------------------------------------------------------------------------------------------------


def test_keys_that_open_nothing(world):
    key, narrow = world.issue("whole"), world.issue("narrow", models=("cheap",))
    ended = world.issue("ended", expires_at=time.time() - 1)
    seen = len(world.double.seen)
    forged = key[:-1] + ("a" if key[-1] != "a" else "b")
    for shown in ("", "dr-", forged, key[:-1], key + "x", key.upper(), ended, f"sk-{CANARY}-key", "dr-" + "x" * 5000, "dr-unknownid123-x", "é" * 9):  # fmt: skip
        told = ask(world.port, "", CHAT, body(), authorization=f"Bearer {shown}")
        assert (shown, told.status) == (shown, 401)
        assert len(shown) < 4 or shown.encode() not in told.body
    assert chat(world.port, narrow, "dear").status == 404
    assert chat(world.port, narrow, "openai/dear").status == 404
    assert chat(world.port, narrow, "no-such-model").body == chat(world.port, narrow, "no-such-model").body
    assert len(world.double.seen) == seen
    world.store.revoke_virtual_key(key.split("-")[1])
    world.heard()
    assert chat(world.port, key, "cheap").code == "gateway.revoked-key"


def test_each_request_of_a_kept_connection_is_asked_for_its_key(world):
    one, other = world.issue("one"), world.issue("other")

    async def both():
        client = Client(world.port)
        first = await client.send(request("POST", CHAT, body(), key=one))
        world.store.revoke_virtual_key(one.split("-")[1])
        await asyncio.to_thread(world.heard)
        answers = [await client.send(request("POST", CHAT, body(), key=key)) for key in (one, other, "", one)]
        client.close()
        return [first.status, *(told.status for told in answers)]

    assert asyncio.run(both()) == [200, 401, 200, 401, 401]


# -- the wire ----------------------------------------------------------------------------------------------------------------------

SMUGGLED = {
    "both lengths": b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
    "two lengths": b"content-length: 5\r\ncontent-length: 50\r\n",
    "lengths in one": b"content-length: 5, 50\r\n",
    "signed length": b"content-length: +5\r\n",
    "space before colon": b"transfer-encoding : chunked\r\n",
    "unknown coding": b"transfer-encoding: gzip, chunked\r\n",
    "coding in a tab": b"transfer-encoding:\tchunked\x0b\r\n",
    "folded": b"x: y\r\n z: w\r\ncontent-length: 5\r\n",
    "bare CR": b"x: y\rtransfer-encoding: chunked\r\n",
    "bare LF": b"x: y\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n",
    "NUL": b"x: y\x00z\r\ncontent-length: 5\r\n",
    "two hosts": b"host: other\r\ncontent-length: 5\r\n",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_two_servers_could_read_in_two_ways_is_refused(world, name):
    seen = len(world.double.seen)
    second = request("POST", CHAT, body("dear"), key=world.key)
    raw = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer " + world.key.encode() + b"\r\n" + SMUGGLED[name] + b"\r\n"  # fmt: skip
    said = on_the_wire(world.port, raw + b"0\r\n\r\n" + second)
    assert status_of(said) == 400
    assert len(re.findall(rb"HTTP/1\.1 \d", said)) == 1
    assert len(world.double.seen) == seen


def test_no_header_line_of_a_clients_making_reaches_a_provider(world):
    values = {"x-own": "kept", "x-datareeve-key": "1", "forwarded": "for=1.2.3.4", "x-forwarded-for": "1.2.3.4", "cookie": "a=b", "connection": "keep-alive, x-hop", "x-hop": "1", "te": "trailers",
              "proxy-authorization": "Basic x", "openai-organization": "org-other", "api-key": "sk-other", "host2": "x"}  # fmt: skip
    told = ask(world.port, world.key, CHAT, body(), **values)
    assert told.status == 200
    headers = world.double.seen[-1].headers
    assert headers["x-own"] == "kept"
    assert headers["authorization"] == f"Bearer sk-{CANARY}-key"
    assert not {"x-datareeve-key", "forwarded", "x-forwarded-for", "cookie", "x-hop", "te", "proxy-authorization", "openai-organization", "api-key"} & headers.keys()  # fmt: skip
    assert headers["host"] == f"127.0.0.1:{world.double.port}"


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/v1/chat/completions", "//evil/v1/chat/completions", "/v1/../v1/files", "/v1/files/..%2f..%2fmodels",
                                    "/v1/chat/completions/../../admin", "/v1/files/../models", "/v1//chat/completions", "/", "/v1", "*", "/v1/chat/completions%00", "/v1/files/a%0d%0ax: y"])  # fmt: skip
def test_no_target_leads_anywhere_but_to_what_is_served(world, target):
    seen = len(world.double.seen)
    for method in ("GET", "POST"):
        assert status_of(on_the_wire(world.port, request(method, target, body(), key=world.key), quiet=0.1)) in (400, 404, 405)  # fmt: skip
    assert len(world.double.seen) == seen


def test_no_part_of_a_request_names_the_upstream(world):
    where = f"http://127.0.0.1:{world.port}"
    seen = len(world.double.seen)
    told = ask(world.port, world.key, CHAT, body(base_url=where, api_base=where, url=where, proxy=where), x_base_url=where, x_upstream=where, destination=where)  # fmt: skip
    assert told.status == 200
    assert len(world.double.seen) == seen + 1
    for model in ("http://127.0.0.1/x", "openai/../x", "other/x", "openai/x\r\nhost: evil", "openai/" + "x" * 3000):  # fmt: skip
        assert chat(world.port, world.key, model).status in (200, 400, 404)
    for raw in (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"TRACE / HTTP/1.1\r\nhost: x\r\n\r\n"):  # fmt: skip
        assert status_of(on_the_wire(world.port, raw, quiet=0.1)) in (0, 400, 404, 405)


def test_slow_clients_in_numbers_hold_nobody_up_and_are_ended(world):
    """Slow-loris: hundreds of connections that send a byte now and then."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", world.port), timeout=6)) for _ in range(400)]  # fmt: skip
        heads = (b"", b"POST /v1/chat/compl", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n", request("POST", CHAT, key=world.key, content_length="100"))  # fmt: skip
        for n, one in enumerate(slow):
            one.sendall(heads[n % 4])
        began = time.monotonic()
        told = chat(world.port, world.key, "cheap")
        assert (told.status, told.seconds < 0.5) == (200, True)
        said = set()
        for one in slow:
            with contextlib.suppress(OSError):
                said.add(one.recv(65536)[:12])
        assert time.monotonic() - began < 5
    assert said <= {b"", b"HTTP/1.1 408"}
    assert b"HTTP/1.1 408" in said


def test_many_requests_ahead_on_one_connection_are_answered_in_order(world):
    raw = b"".join(request("GET", f"/v1/models/{name}", key=world.key) for name in ("cheap", "none", "dear"))
    said = on_the_wire(world.port, raw)
    assert [said.index(b'"cheap"') < said.index(b"404") < said.index(b'"dear"')] == [True]


def test_all_bodies_together_are_no_more_than_the_estate_says(world):
    part = request("POST", CHAT, key=world.key, content_length="2000000") + b" " * 1_900_000
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(socket.create_connection(("127.0.0.1", world.port), timeout=5)) for _ in range(3)]  # fmt: skip
        for end in ends:
            with contextlib.suppress(OSError):
                end.sendall(part)
        until(lambda: chat(world.port, world.key, "cheap").status == 200)
        said = [end.recv(65536) for end in ends]  # two are told that they are slow, one that there is no room
    assert sorted(map(status_of, said)) == [408, 408, 503]
    assert [b"gateway.busy" in one for one in said].count(True) == 1
    assert ask(world.port, world.key, CHAT, body(user="x" * 1_900_000)).status == 200


def gauge(world, name):
    figures = world.running.get("/metrics")[1].decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2]) for line in figures if line.startswith(f"datareeve_gateway_{name}{{")
    )


def test_who_never_reads_is_cut_off_its_stream_ended_and_what_it_used_counted(world):
    key, words = world.issue("never reads"), " ".join(["w" * 2000] * 8000)
    world.double.always(ok(text=words), model="cheap")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", world.port))
        client.sendall(request("POST", CHAT, body(stream=True), key=key))
        row = world.row(key_name="never reads")
        [seen] = [one for one in world.double.seen if one.stream and one.ended in ("", "client left")][-1:]
        world.double.wait_until(lambda: seen.ended == "client left")
        assert 0 < seen.events < 8000, "the provider was held back, and told to end"
        assert (row["status"], row["error"]) == ("disconnected", "gateway.client-left")
        assert (row["estimated"], row["output"] > 0, row["output"] <= seen.events * 2000) == (1, True, True)
        until(lambda: gauge(world, "in_flight") == 0 and gauge(world, "connections") == 1)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(1 << 20):
                pass


def test_who_never_reads_a_whole_answer_is_cut_off_too(world):
    key = world.issue("never reads all")
    world.double.always(ok(text="w" * 12_000_000), model="cheap")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", world.port))
        client.sendall(request("POST", CHAT, body(), key=key) * 2)
        world.row(key_name="never reads all", status="ok")
        until(lambda: gauge(world, "in_flight") == 0 and gauge(world, "connections") == 1)
    assert len(world.rows(key_name="never reads all")) == 1, "nothing more is begun for it"


@pytest.mark.parametrize("raw", [b'{"model":"cheap","messages":[' + b"{}," * 320_000 + b"{}]}", b'{"model":"cheap","metadata":{' + b'"a":1,' * 320_000 + b'"b":1}}',
                                 b'{"model":"cheap","messages":' + b"[" * 900_000 + b"}", b'{"model":"cheap","metadata":[' + b"1," * 320_000 + b"1]}"], ids=range(4))  # fmt: skip
def test_more_values_than_can_be_read_at_once_are_refused(world, raw):
    seen = len(world.double.seen)
    assert (ask(world.port, world.key, CHAT, raw).status, ask(world.port, world.key, CHAT, raw).code) == (413, "gateway.too-many-values")  # fmt: skip
    assert len(world.double.seen) == seen


# -- what is not told --------------------------------------------------------------------------------------------------------------


def test_no_key_and_no_word_of_a_prompt_is_written_down_anywhere(world):
    secret = f"prompt-{CANARY}-word"
    said = [{"role": "user", "content": secret}]
    for path, asked in BODIES.items():
        named = {"messages": said} if "messages" in asked else {"input": secret} if "input" in asked else {"prompt": secret}  # fmt: skip
        ask(world.port, world.key, path, {"model": "cheap", **asked, **named})
        ask(world.port, world.key, path, {"model": "cheap", **asked, **named, "stream": True})
    world.double.next(
        fail(401, message=f"Incorrect API key provided: sk-{CANARY}-key"),
        fail(500, message=f"cannot do {secret}"),
    )
    errors = [chat(world.port, world.key, model, messages=said).body for model in ("cheap", "cheap")]
    assert CANARY.encode() not in errors[0]
    ask(world.port, world.key, CHAT, {"model": "cheap", "messages": said, "n": "x", "user": secret, "metadata": {secret: secret}, "tools": [{"name": secret}]})  # fmt: skip
    ask(world.port, f"dr-{CANARY}", CHAT, {"model": "cheap"})
    on_the_wire(world.port, f"POST /v1/{CANARY} HTTP/1.1\r\nhost: x\r\n{CANARY}\r\n\r\n".encode(), quiet=0.1)
    ask(world.port, world.key, f"/v1/files/{CANARY}", {})
    until(lambda: world.rows(status="refused"))
    told = [ask_get(world, path) for path in ("/metrics", "/status", "/health")]
    assert all(status == 200 for status, _ in told)
    written = [path for path in (world.running.project / ".datareeve").rglob("*") if path.is_file()]
    texts = [body for _, body in told] + [path.read_bytes() for path in (world.running.log, *written)]
    assert written
    assert not [
        text[max(0, text.index(CANARY.encode()) - 200) :][:400] for text in texts if CANARY.encode() in text
    ]


def ask_get(world, path, key=""):
    return world.running.get(path, key)


def test_figures_are_not_for_those_that_come_by_a_proxy(world):
    for path in ("/metrics", "/status"):
        assert world.running.ask("GET", path, x_forwarded_for="1.2.3.4")[0] == 403
        assert world.running.ask("GET", path, key=world.key, forwarded="for=1.2.3.4")[0] == 403
    admin = world.issue("admin", admin=True)
    assert world.running.ask("GET", "/status", key=admin, via="1.1 nginx")[0] == 200


# -- what is kept for others -------------------------------------------------------------------------------------------------------


def uploaded(world, key):
    form = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"cheap","messages":[],"max_tokens":5}}\r\n--b--\r\n'  # fmt: skip
    raw = request("POST", "/v1/files", key=key, content_type="multipart/form-data; boundary=b", content_length=str(len(form)))  # fmt: skip
    said = on_the_wire(world.port, raw + form)
    assert status_of(said) == 200, said
    return json.loads(said.partition(b"\r\n\r\n")[2])["id"]


def test_what_one_key_stored_is_not_there_for_another(world):
    mine, theirs, ours = (world.issue(name, team=team) for name, team in (("a", "red"), ("b", "blue"), ("c", "red")))  # fmt: skip
    name = uploaded(world, mine)
    seen = len(world.double.seen)
    for method, path in (("GET", f"/v1/files/{name}"), ("GET", f"/v1/files/{name}/content"), ("DELETE", f"/v1/files/{name}"), ("GET", f"/files/{name}")):  # fmt: skip
        assert (path, world.running.ask(method, path, key=theirs)[0]) == (path, 404)
    asked = {"input_file_id": name, "endpoint": CHAT, "completion_window": "24h"}
    assert ask(world.port, theirs, "/v1/batches", asked).status == 404
    assert len(world.double.seen) == seen
    status, listed = world.running.get("/v1/files", theirs)
    assert status == 403 or name.encode() not in listed
    assert world.running.get(f"/v1/files/{name}", mine)[0] == 200
    assert world.running.get(f"/v1/files/{name}", ours)[0] == 200


# -- the clock ---------------------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_gives_no_budget_twice_and_takes_none_away(tmp_path):
    now = time.time()
    noon = (
        (now // 86400 + 1) * 86400 + 43_200 - now
    )  # the next one: an hour is of the same day, and what ends later has not ended here
    place = tmp_path / "shift"
    place.write_text(str(noon))
    (tmp_path / "sitecustomize.py").write_text(CLOCK.format(place=str(place)))

    def jump(hours):
        new = tmp_path / "shift.new"
        new.write_text(str(noon + hours * 3600))
        new.replace(place)

    price = {"openai/plain": {"input": 1_000_000, "output": 1_000_000}}
    settings = {"models": {"plain": {"targets": ["openai/plain"]}}, "prices": price, "budgets": {"daily": {"usd": 20, "key": "*", "period": "day"}}}  # fmt: skip
    project = tmp_path / "project"
    project.mkdir()
    with FaultDouble() as double, gateway(project, estate(double, gateway=settings), environment={"PYTHONPATH": str(tmp_path)}) as running, Inside(running) as inside:  # fmt: skip
        key, ending = inside.issue("app"), inside.issue("ending", expires_at=now + noon + 1800)
        assert chat(running.port, ending, "plain").status == 200
        spend = lambda: [chat(running.port, key, "plain", max_completion_tokens=4).status for _ in range(5)]  # noqa: E731
        assert spend() == [200, 200, 200, 429, 429]
        for hours in (1, -1, 0):
            jump(hours)
            until(lambda hours=hours: chat(running.port, ending, "plain").status == (401 if hours > 0 else 200) or hours <= 0)  # fmt: skip
            assert spend() == [429] * 5
        jump(24)
        until(lambda: chat(running.port, key, "plain", max_completion_tokens=4).status == 200)
        assert 429 in spend()
        jump(0)
        until(lambda: chat(running.port, key, "plain", max_completion_tokens=4).status == 429)
        assert spend() == [429] * 5
