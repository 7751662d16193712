"""Requests of every dialect, damaged at random, to a real gateway whose provider fails at random: each is answered, each has its row, nothing stays behind.

Seeded; `GATEWAY_FUZZ_SECONDS=600 GATEWAY_FUZZ_SEED=7 pytest tests/interfaces/test_gateway_fuzz.py` looks for longer.
"""

import asyncio
import json
import os
import random
import time

import pytest

from ai_double import FaultDouble, cut, drop, fail, garbage, ok, silence
from ai_rig import estate, gateway
from ai_whole import HELLO, Inside, chat, request, until

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("GATEWAY_FUZZ_SEED", "1"))
ROUNDS, AT_ONCE = 6, 24
STUCK_SECONDS = 20.0
TOOL = {"name": "look", "description": "looks", "input_schema": {"type": "object", "properties": {"file_id": {"type": "string"}}}}  # fmt: skip
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
VALID = [
    ("/v1/chat/completions", {"messages": HELLO, "max_completion_tokens": 10, "temperature": 0, "n": 1}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": "mail a.b@example.com"}, PICTURE, {"type": "file", "file": {"file_id": "file-1"}}]}], "stream_options": {"include_usage": True}}),
    ("/v1/chat/completions", {"messages": [*HELLO, {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}]}, {"role": "tool", "tool_call_id": "c", "content": "x"}], "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}], "response_format": {"type": "json_object"}}),
    ("/v1/completions", {"prompt": ["hello", "there"], "max_tokens": 5, "best_of": 2}),
    ("/v1/responses", {"input": "hello", "max_output_tokens": 10, "instructions": "be kind"}),
    ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "input_file", "file_id": "f"}]}, {"type": "item_reference", "id": "msg_1"}], "previous_response_id": "resp_1", "conversation": {"id": "conv_1"}, "background": True, "tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}}]}),
    ("/v1/responses/input_tokens", {"input": "hello"}),
    ("/v1/messages", {"messages": HELLO, "max_tokens": 10, "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}], "tools": [TOOL]}),
    ("/v1/messages", {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}, {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "4111 1111 1111 1111"}]}]}], "max_tokens": 10, "thinking": {"type": "enabled", "budget_tokens": 1024}, "container": "c"}),
    ("/v1/messages/count_tokens", {"messages": HELLO}),
    ("/v1/messages/batches", {"requests": [{"custom_id": "a", "params": {"model": "cheap", "max_tokens": 5, "messages": HELLO}}]}),
    ("/v1/embeddings", {"input": ["hello", "there"]}),
    ("/v1/embeddings", {"input": [[1, 2, 3], [4]]}),
    ("/v1/moderations", {"input": "hello"}),
    ("/v1/images/generations", {"prompt": "a cat", "n": 2}),
    ("/v1/batches", {"input_file_id": "f", "endpoint": "/v1/chat/completions", "completion_window": "24h"}),
    ("/v1/conversations", {"items": [{"role": "user", "content": "x"}]}),
]  # fmt: skip
ODD = [None, True, -1, 0, 1e308, 2**70, "", "x", "\ud800", "\u0000", "é" * 9, [], {}, [[]], {"id": {}}, [None], "a" * 5000, {"type": "text"}, "data: [DONE]\n\n", float(2**53)]  # fmt: skip
MODELS = ("cheap", "claude", "both", "openai/x", "claude/y", "none", "")
FAULTS = [
    *[ok()] * 6, ok(words=40), ok(words=30, split=7), ok(usage=False), ok(usage_in_last=True), ok(done=False), ok(line_end="\r\n", comments=True), ok(chunked=False),
    ok(body=b"{}"), ok(body=b"[]"), ok(body=b'{"error":{"type":"x"}}'), ok(body=b'{"usage":{"prompt_tokens":"x"},"choices":[{}]}'), ok(body=b'{"usage":[],"output":{},"id":7}'), ok(lie=5), ok(lie=-5),
    fail(400), fail(401), fail(404), fail(429, retry_after=0), fail(429), fail(500), fail(503), fail(529), cut(after=0), cut(after=3), cut(after=3, how="reset"), cut(after=2, how="end"),
    silence(), silence(after=3), garbage(), garbage(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"), garbage(b"HTTP/1.1 999 \r\n\r\n"), drop(), ok(error_after=2), ok(error_after=0), ok(delay=0.2), ok(words=20, token_delay=0.01),
]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with FaultDouble() as double:
        impatient = {"first_byte_seconds": 1, "idle_seconds": 1, "connect_seconds": 1}
        models = {
            "cheap": ["openai/cheap"],
            "claude": ["claude/cheap"],
            "both": ["openai/cheap", "claude/cheap"],
        }
        wanted = estate(
            double,
            systems={"openai": impatient, "claude": impatient},
            gateway={
                "models": {
                    name: {"targets": targets, "deadline_seconds": 3} for name, targets in models.items()
                },
                "cache": {"seconds": 5},
                "breaker": {"failures": 1000, "failure_share": 1},
                "max_body_mb": 1,
                "body_seconds": 2,
                "header_seconds": 2,
            },
        )
        with gateway(tmp_path_factory.mktemp("gateway"), wanted) as running, Inside(running) as inside:
            inside.port, inside.double = running.port, double
            inside.key = inside.issue("app")
            yield inside


# -- damage ------------------------------------------------------------------------------------------------------------------------


def damaged(chance, value):
    """The same JSON value with one node changed, gone, or standing twice."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(list(value))
        match chance.randrange(6):
            case 0:
                return {key: one for key, one in value.items() if key != name}
            case 1:
                return {**value, name: chance.choice(ODD)}
            case 2:
                return {**value, chance.choice(["x", "Model", "stream ", name + "\0"]): value[name]}
            case _:
                return {**value, name: damaged(chance, value[name])}
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [*value[:at], damaged(chance, value[at]), *value[at + chance.randrange(2) :]]
    return chance.choice(ODD)


def bytes_damaged(chance, raw):
    """The same bytes with a few of them changed, gone, or standing twice."""
    raw = bytearray(raw)
    for _ in range(chance.randrange(1, 4)):
        at, to = sorted(chance.randrange(len(raw) + 1) for _ in range(2))
        match chance.randrange(4):
            case 0:
                raw[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del raw[at : min(to, at + 20)]
            case 2:
                raw[at:at] = raw[at : min(to, at + 40)]
            case 3:
                raw[at:at] = chance.choice(
                    [b'"', b"\\", b"{", b"]", b"\xff", b"\\u0000", b'"model":"x",', b"1e999"]
                )
        if not raw:
            break
    return bytes(raw)


def made(chance, key):
    """One request on the wire, whether it is framed as it should be, and whether nothing but its body is odd: then it has a row."""
    path, body = chance.choice(VALID)
    body = {"model": chance.choice(MODELS[:3] if chance.random() < 0.8 else MODELS), **body}
    if chance.random() < 0.4:
        body["stream"] = True
    for _ in range(chance.choice([0, 1, 1, 2])):
        body = damaged(chance, body)
    raw = json.dumps(body, separators=chance.choice([(",", ":"), (", ", ": ")])).encode()
    if chance.random() < 0.25:
        raw = bytes_damaged(chance, raw)
    headers = {"x_n": str(chance.random())}
    if chance.random() < 0.2:
        headers |= chance.choice([{"x_stainless_timeout": "1"}, {"cache_control": "no-cache"}, {"content_encoding": "gzip"}, {"anthropic_beta": "a,b"}, {"accept_encoding": "gzip"}])  # fmt: skip
    if chance.random() < 0.1:
        path += chance.choice(["?beta=true", "/", "/x", "?%00", "/../models"])
    plain = path in dict(VALID) and "content_encoding" not in headers
    whole = request("POST", path, raw or b" ", key=key, **headers)
    if chance.random() < 0.05:
        return bytes_damaged(chance, whole), False, False
    return whole, True, plain


# -- asking ------------------------------------------------------------------------------------------------------------------------


async def asked(world, chance, raw, *, leaves):
    """What came back: (status, id of the request, code); status 0 where the client left, or was cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    try:
        cut_at = chance.randrange(len(raw))
        writer.write(raw[:cut_at])
        await writer.drain()
        writer.write(raw[cut_at:])
        if leaves:
            await asyncio.sleep(chance.random() * 0.1)
            return 0, "", ""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await _body(reader, lines)
        return int(head[9:12]), lines.get("x-request-id") or lines.get("request-id") or "", _code(body)
    except (OSError, asyncio.IncompleteReadError):
        return 0, "", ""
    finally:
        writer.close()


async def _body(reader, lines):
    if lines.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(lines.get("content-length", 0)))
    said = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        said += await reader.readexactly(size + 2)
    return said


def _code(body):
    try:
        error = json.loads(body)["error"]
        return str(error.get("code") or error.get("type") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


async def one_round(world, chance):
    world.double.well()
    for fault in chance.sample(FAULTS, 12):
        world.double.next(fault)
    world.double.always(chance.choice(FAULTS))
    requests = [made(chance, world.key) for _ in range(AT_ONCE)]
    asking = [asyncio.create_task(asked(world, chance, raw, leaves=not whole or chance.random() < 0.15)) for raw, whole, _ in requests]  # fmt: skip
    _, stuck = await asyncio.wait(asking, timeout=STUCK_SECONDS)
    assert not stuck, [requests[n][0] for n, task in enumerate(asking) if task in stuck]
    return [(*task.result(), plain) for task, (*_, plain) in zip(asking, requests, strict=True)]


def in_flight(world):
    figures = world.running.get("/metrics")[1].decode()
    return [
        float(line.split(" ")[-1])
        for line in figures.splitlines()
        if line.startswith("datareeve_gateway_in_flight")
    ]


# -- the test ----------------------------------------------------------------------------------------------------------------------


def test_each_is_answered_and_has_its_row_whatever_is_asked_and_whatever_fails(world):
    chance, until_then = random.Random(SEED), time.monotonic() + SECONDS  # noqa: S311 - no secret
    answered, rounds = [], 0
    while rounds < ROUNDS or time.monotonic() < until_then:
        answered += asyncio.run(one_round(world, chance))
        rounds += 1
        assert "a fault of the gateway" not in world.log, (rounds, world.log)
        assert not [one for one in answered[-AT_ONCE:] if one[2] == "gateway.internal"]
        if rounds % 50 == 0:
            until(lambda: in_flight(world) == [0.0], STUCK_SECONDS)
    world.double.well()
    until(lambda: in_flight(world) == [0.0], STUCK_SECONDS)
    assert chat(world.port, world.key, "cheap").status == 200
    ids = {name for _, name, _, plain in answered if name and plain}
    until(lambda: ids <= {row["id"] for row in world.rows()})
    rows = [row["id"] for row in world.rows()]
    assert len(rows) == len(set(rows)), "a request has one row"
    assert len(ids) > rounds * AT_ONCE / 2, "most of them are answered"
    statuses = {status for status, *_ in answered}
    assert {200, 400} <= statuses
