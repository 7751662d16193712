"""What a request names of what a provider keeps (files, items, containers, vector stores, conversations): a key may name its own, on a real gateway."""

import json

import pytest

from ai_double import ok
from ai_whole import HELLO, ask, give_keys, on_the_wire, request, whole

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
COMMON = "vs_common"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    settings = {
        "models": {"cheap": {"targets": ["openai/cheap"]}, "claude": {"targets": ["claude/cheap"]}},
        "common_objects": [COMMON],
    }
    with whole(tmp_path_factory.mktemp("gateway"), gateway=settings) as inside:
        give_keys(inside)
        inside.file = uploaded(inside, inside.mine)["id"]
        yield inside


@pytest.fixture(autouse=True)
def well(world):
    world.double.well()
    yield
    world.double.well()
    assert "Traceback" not in world.log


def uploaded(world, key, purpose="user_data", content="hello"):
    form = f'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{content}\r\n--b--\r\n'.encode()  # fmt: skip
    raw = request("POST", "/v1/files", key=key, content_type="multipart/form-data; boundary=b", content_length=str(len(form)))  # fmt: skip
    return json.loads(on_the_wire(world.port, raw + form).partition(b"\r\n\r\n")[2])


def said(*parts):
    return [{"role": "user", "content": [{"type": "text", "text": "hello"}, *parts]}]


def responses(*items, **more):
    return RESPONSES, {"model": "cheap", "input": [*items, *HELLO], **more}


PLACES = {
    "chat file": lambda name: (CHAT, {"model": "cheap", "messages": said({"type": "file", "file": {"file_id": name}})}),
    "input file": lambda name: responses({"role": "user", "content": [{"type": "input_file", "file_id": name}]}),
    "image": lambda name: responses({"role": "user", "content": [{"type": "input_image", "file_id": name}]}),
    "function's output": lambda name: responses({"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "file_id": name}]}),
    "prompt's variable": lambda name: responses(prompt={"id": "p", "variables": {"x": {"type": "input_file", "file_id": name}}}),
    "code's files": lambda name: responses(tools=[{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [name]}}]),
    "container": lambda name: responses(tools=[{"type": "code_interpreter", "container": name}]),
    "vector store": lambda name: responses(tools=[{"type": "file_search", "vector_store_ids": [COMMON, name]}]),
    "mask": lambda name: responses(tools=[{"type": "image_generation", "input_image_mask": {"file_id": name}}]),
    "item": lambda name: responses({"type": "item_reference", "id": name}),
    "bare item": lambda name: responses({"id": name}),
    "reasoning": lambda name: responses({"type": "reasoning", "id": name, "summary": [], "encrypted_content": None}),
    "picture": lambda name: responses({"type": "image_generation_call", "id": name, "status": "completed"}),
    "earlier answer": lambda name: responses(previous_response_id=name),
    "conversation": lambda name: responses(conversation={"id": name}),
    "document": lambda name: (MESSAGES, {"model": "claude", "max_tokens": 9, "messages": said({"type": "document", "source": {"type": "file", "file_id": name}})}),
    "upload": lambda name: (MESSAGES, {"model": "claude", "max_tokens": 9, "messages": said({"type": "container_upload", "file_id": name})}),
    "Anthropic's container": lambda name: (MESSAGES, {"model": "claude", "max_tokens": 9, "messages": HELLO, "container": {"id": name, "skills": []}}),
    "tool's result": lambda name: (MESSAGES, {"model": "claude", "max_tokens": 9, "messages": said({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {"type": "file", "file_id": name}}]})}),
    "batch": lambda name: ("/v1/messages/batches", {"requests": [{"custom_id": "a", "params": {"model": "claude", "max_tokens": 9, "messages": said({"type": "document", "source": {"type": "file", "file_id": name}})}}]}),
    "new conversation": lambda name: ("/v1/conversations", {"items": [{"role": "user", "content": [{"type": "input_file", "file_id": name}]}]}),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_what_a_key_made_no_other_key_names(world, place):
    world.double.always(ok(body=b'{"id":"conv_x","object":"conversation"}'), path="/v1/conversations")
    path, body = PLACES[place](world.file)
    seen = len(world.double.seen)
    escaped = json.dumps(body).replace("file_", "file\\u005f").replace("container", "\\u0063ontainer")
    for raw in (json.dumps(body).encode(), escaped.encode()):
        told = ask(world.port, world.theirs, path, raw)
        assert (told.status, b"gateway.object" in told.body or b"not_found" in told.body) == (404, True)
        assert world.file.encode() not in told.body
    assert len(world.double.seen) == seen
    for key in (world.mine, world.ours, world.admin):
        assert ask(world.port, key, path, body).status == 200


@pytest.mark.parametrize("place", PLACES)
def test_what_nobody_made_only_an_admin_names(world, place):
    world.double.always(ok(body=b'{"id":"conv_x","object":"conversation"}'), path="/v1/conversations")
    path, body = PLACES[place]("made-past-the-gateway")
    assert ask(world.port, world.mine, path, body).status == 404
    assert ask(world.port, world.admin, path, body).status == 200
    path, body = PLACES[place](COMMON)
    assert ask(world.port, world.theirs, path, body).status == 200


def test_what_two_readers_could_read_as_two_names_is_refused(world):
    for raw in (
        b'{"model":"cheap","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"%b","file_id":null}}]}]}',
        b'{"model":"cheap","messages":[{"role":"user","content":[{"type":"file","file":{"file\\u005fid":"%b","file_id":"x"}}]}]}',
    ):
        assert ask(world.port, world.theirs, CHAT, raw % world.file.encode()).code == "gateway.repeated-field"
    raw = b'{"model":"cheap","input":[{"id":"%b","id":null}]}' % world.file.encode()
    assert ask(world.port, world.theirs, RESPONSES, raw).code == "gateway.repeated-field"


def test_a_request_names_a_thousand_things_at_most(world):
    """A session of an agent comes to hundreds, which some clients send as references each time."""
    names = [f"item_{n}" for n in range(1001)]
    for many in (
        responses(tools=[{"type": "file_search", "vector_store_ids": names}]),
        responses(*({"id": name} for name in names)),
    ):
        assert ask(world.port, world.mine, *many).code == "gateway.too-many-names"
    again = responses(*({"type": "item_reference", "id": world.file} for _ in names))
    assert ask(world.port, world.mine, *again).status == 200


def test_what_is_the_clients_own_is_no_name(world):
    """Arguments and schemas of tools, and what only tells what came before."""
    schema = {"type": "object", "properties": {"file_id": {"type": "string"}}, "examples": [{"file_id": "f"}]}
    tool = {"type": "function", "function": {"name": "x", "parameters": schema}}
    own = {
        "model": "cheap",
        "messages": HELLO,
        "tools": [tool],
        "metadata": {"file_id": "f", "container": "c"},
    }
    assert ask(world.port, world.theirs, CHAT, own).status == 200
    used = {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t", "name": "x", "input": {"file_id": "f"}}],
    }
    theirs = {"model": "claude", "max_tokens": 9, "messages": [*HELLO, used], "tools": [{"name": "x", "input_schema": schema}]}  # fmt: skip
    assert ask(world.port, world.theirs, MESSAGES, theirs).status == 200
    cited = {"type": "output_text", "text": "x", "annotations": [{"type": "file_citation", "file_id": "f", "index": 1}]}  # fmt: skip
    path, body = responses({"type": "message", "id": "msg_f", "role": "assistant", "content": [cited]})
    assert ask(world.port, world.theirs, path, body).status == 200
    whole = ({"type": "reasoning", "id": "rs_f", "summary": [], "encrypted_content": "x"}, {"type": "image_generation_call", "id": "ig_f", "result": "aW1hZ2U="},
             {"type": "reasoning", "summary": []}, {"type": "web_search_call", "id": "ws_f", "action": {"type": "search"}})  # fmt: skip
    assert ask(world.port, world.theirs, *responses(*whole)).status == 200


@pytest.mark.parametrize("stream", [False, True])
def test_items_of_an_answer_are_its_keys_own(world, stream):
    told = ask(world.port, world.mine, RESPONSES, {"model": "cheap", "input": "hello", "stream": stream})
    answer = told.json if not stream else json.loads(told.body.rsplit(b"data: ", 1)[1])["response"]
    [item] = {one["id"] for one in answer["output"]}
    for body in ({"type": "item_reference", "id": item}, {"id": item}):
        assert ask(world.port, world.mine, *responses(body)).status == 200
        assert ask(world.port, world.ours, *responses(body)).status == 200
        assert ask(world.port, world.theirs, *responses(body)).status == 404


def test_items_of_an_answer_made_in_the_background_are_its_keys_own(world):
    made = {"id": "resp_behind", "object": "response", "status": "queued", "model": "cheap", "output": []}
    ended = {**made, "status": "completed", "output": [{"type": "reasoning", "id": "rs_behind", "summary": []}], "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    world.double.next(ok(body=json.dumps(made).encode()), path=RESPONSES)
    asked = {"model": "cheap", "input": "hello", "background": True}
    assert ask(world.port, world.mine, RESPONSES, asked).status == 200
    world.double.always(ok(body=json.dumps(ended).encode()), path=f"{RESPONSES}/{made['id']}")
    assert world.running.ask("GET", f"{RESPONSES}/{made['id']}", None, key=world.mine)[0] == 200
    for key, status in ((world.theirs, 404), (world.ours, 200)):
        assert ask(world.port, key, *responses(ended["output"][0])).status == status


@pytest.mark.parametrize("stream", [False, True])
def test_a_container_that_an_answer_was_made_in_is_its_keys_own(world, stream):
    name, kept = f"container_{stream}", {"expires_at": "2026-01-01T00:00:00Z"}
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "cheap", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}, "container": {"id": name, **kept}}  # fmt: skip
    events = [
        {"type": "message_start", "message": {**whole, "content": [], "container": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "container": whole["container"]}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]  # fmt: skip
    if stream:
        body = b"".join(
            b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in events
        )
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        world.double.next(ok(raw=head + body), path=MESSAGES)
    else:
        world.double.next(ok(body=json.dumps(whole).encode()), path=MESSAGES)
    plain = {"model": "claude", "max_tokens": 9, "messages": HELLO, "stream": stream}
    assert ask(world.port, world.mine, MESSAGES, plain).status == 200
    for key, status in ((world.mine, 200), (world.theirs, 404)):
        assert ask(world.port, key, MESSAGES, {**plain, "stream": False, "container": name}).status == status


def test_a_conversation_is_its_keys_own(world):
    name = "conv_1"
    path = f"/v1/conversations/{name}"
    made = json.dumps({"id": name, "object": "conversation", "created_at": 1, "metadata": {}}).encode()
    listed = b'{"object":"list","data":[],"has_more":false}'
    world.double.always(ok(body=made), path="/v1/conversations", method="POST")
    world.double.always(ok(body=made), path=path)
    world.double.always(ok(body=listed), path=f"{path}/items")
    world.double.always(ok(body=made), path=f"{path}/items/msg_1")
    assert ask(world.port, world.mine, "/v1/conversations", {"metadata": {"a": "b"}}).json["id"] == name
    asked = [("GET", path, None), ("POST", path, {"metadata": {}}), ("GET", f"{path}/items", None), ("POST", f"{path}/items", {"items": HELLO}),
             ("GET", f"{path}/items/msg_1", None), ("DELETE", f"{path}/items/msg_1", None), ("DELETE", path, None)]  # fmt: skip
    for key, status in ((world.theirs, 404), (world.ours, 200), (world.mine, 200)):
        for method, one, body in asked:
            assert (one, world.running.ask(method, one, body, key=key)[0]) == (one, status)
        for conversation in (name, {"id": name}):
            assert ask(world.port, key, *responses(conversation=conversation)).status == status
    assert ask(world.port, world.mine, *responses(conversation=[name])).status == 400
    rows = world.rows(key_name="a", endpoint="/v1/conversations", status="ok")
    assert {(row["cost_microusd"], row["output"]) for row in rows} <= {(0, 0)}


def test_a_batchs_file_names_only_its_keys_own(world):
    body = {
        "model": "cheap",
        "max_tokens": 9,
        "messages": said({"type": "file", "file": {"file_id": world.file}}),
    }
    line = json.dumps({"custom_id": "a", "method": "POST", "url": CHAT, "body": body})
    assert uploaded(world, world.theirs, "batch", line)["error"]["code"] == "gateway.object"
    assert uploaded(world, world.mine, "batch", line)["object"] == "file"
