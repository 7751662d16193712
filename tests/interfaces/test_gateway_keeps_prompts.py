"""What a provider keeps for clients of a real gateway (files, batches, answers): who reaches it, and when it is counted."""

import json

import pytest

from ai_double import ok
from ai_whole import HELLO, ask, give_keys, on_the_wire, request, until, whole

CHAT = "/v1/chat/completions"
PRICES = {
    "openai/cheap": {"input": 1, "output": 2},
    "openai/dear": {"input": 1_000_000, "output": 1_000_000},
    "claude/dear": {"input": 1_000_000, "output": 1_000_000},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    settings = {
        "models": {"cheap": {"targets": ["openai/cheap"]}, "dear": {"targets": ["openai/dear"]}, "claude": {"targets": ["claude/dear"]}},
        "prices": PRICES,
        "budgets": {"daily": {"usd": 200, "key": "poor", "period": "day"}},
    }  # fmt: skip
    with whole(tmp_path_factory.mktemp("gateway"), gateway=settings) as inside:
        give_keys(inside)
        yield inside


@pytest.fixture(autouse=True)
def well(world):
    world.double.well()
    yield
    world.double.well()
    assert "Traceback" not in world.log


def respond(world, key, **more):
    return ask(world.port, key, "/v1/responses", {"model": "cheap", "input": "hello there", **more})


def ended(name, used=None, status="completed"):
    usage = used and {"input_tokens": used[0], "output_tokens": used[1], "total_tokens": sum(used)}
    return {"id": name, "object": "response", "status": status, "model": "cheap", "output": [], "error": None, "usage": usage}  # fmt: skip


def says(world, path, answer, method="GET"):
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    world.double.always(ok(body=body), path=path, method=method)


def uploaded(world, key, model="cheap", purpose="batch", **limits):
    line = {"custom_id": "a", "method": "POST", "url": CHAT, "body": {"model": model, "messages": HELLO, **limits}}  # fmt: skip
    form = f'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{json.dumps(line)}\r\n--b--\r\n'.encode()  # fmt: skip
    raw = request("POST", "/v1/files", key=key, content_type="multipart/form-data; boundary=b", content_length=str(len(form)))  # fmt: skip
    head, _, told = on_the_wire(world.port, raw + form).partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(told)


def batch_of(name):
    return {"input_file_id": name, "endpoint": CHAT, "completion_window": "24h"}


# -- batches -----------------------------------------------------------------------------------------------------------------------


def test_a_batch_of_anothers_file_is_not_made_however_it_is_written(world):
    status, file = uploaded(world, world.mine)
    assert status == 200
    name = file["id"].encode()
    seen = len(world.double.seen)
    for raw, status in (
        (b'{"input_file_id":"%b","x":NaN}' % name, 400),
        (b'{"input_file_id":"file-x","input_file_id":"%b"}' % name, 400),
        (b'{"input_file_id":"%b","Input_File_Id":"x"}' % name, 400),
        (b'{"endpoint":"x"}', 400),
        (b'{"input_file_id":["%b"]}' % name, 400),
        (b'["%b"]' % name, 400),
        (b"", 400),
        (b'{"input_file_id":"%b"}' % name, 404),
    ):
        assert (raw, ask(world.port, world.theirs, "/v1/batches", raw).status) == (raw, status)
    assert len(world.double.seen) == seen
    assert ask(world.port, world.ours, "/v1/batches", batch_of(file["id"])).status == 200


def test_a_list_names_nothing_that_is_anothers(world):
    _, file = uploaded(world, world.mine)
    _, theirs = uploaded(world, world.theirs)
    data = [{"id": "file-unknown"}, {"id": theirs["id"]}, {"id": file["id"]}]
    listed = {"object": "list", "data": data, "has_more": True, "first_id": "file-unknown", "last_id": file["id"]}  # fmt: skip
    says(world, "/v1/files", listed)
    told = json.loads(world.running.get("/v1/files", world.theirs)[1])
    assert ([one["id"] for one in told["data"]], told["first_id"], told["last_id"], told["has_more"]) == ([theirs["id"]], theirs["id"], theirs["id"], True)  # fmt: skip
    stranger = world.issue("stranger")
    told = json.loads(world.running.get("/v1/files", stranger)[1])
    assert (told["data"], told["first_id"], told["last_id"]) == ([], None, None)


def test_results_are_read_whole_and_counted_once(world):
    _, file = uploaded(world, world.mine)
    batch = ask(world.port, world.mine, "/v1/batches", batch_of(file["id"])).json
    path = f"/v1/files/{batch['output_file_id']}/content"
    for part in ("bytes=0-99", "bytes=100-"):
        assert world.running.ask("GET", path, key=world.mine, range=part, if_range="x")[0] == 200
    assert all("range" not in seen.headers for seen in world.double.matching(path=path))
    rows = world.rows(2, endpoint=path)
    assert [row["output"] > 0 for row in rows] == [True, False]


def test_who_has_spent_the_budget_makes_no_batch(world):
    poor = world.issue("poor")
    params = {"model": "claude", "messages": HELLO, "max_tokens": 5}
    batches = {"requests": [{"custom_id": "a", "params": params}]}
    many = {"requests": [{"custom_id": str(n), "params": {**params, "max_tokens": 50}} for n in range(8)]}
    assert (
        b"gateway.budget" in ask(world.port, poor, "/v1/messages/batches", many).body
    )  # more than all of it
    assert ask(world.port, poor, "/v1/messages/batches", batches).status == 200
    status, file = uploaded(world, poor, "dear", max_completion_tokens=20)
    assert status == 200
    assert ask(world.port, poor, "/v1/batches", batch_of(file["id"])).status == 200
    status, told = uploaded(world, poor, "dear", max_completion_tokens=500)
    assert (status, told["error"]["code"]) == (429, "gateway.budget")
    for _ in range(30):  # until it is spent
        told = ask(world.port, poor, CHAT, {"model": "dear", "messages": HELLO, "max_completion_tokens": 8})
        if told.status == 429:
            break
    assert told.code == "gateway.budget"
    made = len(world.double.matching(path="/v1/batches")) + len(world.double.matching(path="/v1/messages/batches"))  # fmt: skip
    assert b"gateway.budget" in ask(world.port, poor, "/v1/messages/batches", batches).body
    assert ask(world.port, poor, "/v1/batches", batch_of(file["id"])).code == "gateway.budget"
    assert made == len(world.double.matching(path="/v1/batches")) + len(world.double.matching(path="/v1/messages/batches"))  # fmt: skip
    assert world.running.get(f"/v1/files/{file['id']}", poor)[0] == 200


# -- stored answers ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_response_is_its_teams_alone(world, stream):
    told = respond(world, world.mine, stream=stream)
    assert told.status == 200
    name = told.json["id"] if not stream else json.loads(told.body.split(b"data: ")[1].splitlines()[0])["response"]["id"]  # fmt: skip
    path = f"/v1/responses/{name}"
    for method, one in (("GET", path), ("GET", f"{path}/input_items"), ("POST", f"{path}/cancel"), ("DELETE", path)):  # fmt: skip
        says(world, one, ended(name), method)
    seen = len(world.double.seen)
    for method, one in (("GET", path), ("GET", path.removeprefix("/v1")), ("GET", f"{path}/input_items"), ("POST", f"{path}/cancel"), ("DELETE", path)):  # fmt: skip
        assert (one, world.running.ask(method, one, key=world.theirs)[0]) == (one, 404)
    for asked in ({"previous_response_id": name}, {"conversation": name}, {"conversation": {"id": name}}):
        assert respond(world, world.theirs, **asked).status == 404
        counted = {"model": "cheap", "input": "x", **asked}
        assert ask(world.port, world.theirs, "/v1/responses/input_tokens", counted).status == 404
    assert respond(world, world.theirs, previous_response_id=[name]).status == 400
    assert len(world.double.seen) == seen
    for key in (world.mine, world.ours, world.admin):
        assert world.running.get(path, key)[0] == 200
        assert respond(world, key, previous_response_id=name).status == 200
    assert world.running.ask("POST", f"{path}/cancel", key=world.ours)[0] == 200
    assert world.running.ask("DELETE", path, key=world.mine)[0] == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_chat_is_its_teams_alone(world, stream):
    body = {"model": "cheap", "messages": HELLO, "store": True, "stream": stream}
    told = ask(world.port, world.mine, CHAT, body)
    name = json.loads(told.body.split(b"data: ")[1])["id"] if stream else told.json["id"]
    path = f"{CHAT}/{name}"
    says(world, path, {"id": name})
    assert world.running.get(path, world.theirs)[0] == 404
    assert world.running.get(f"{path}/messages", world.theirs)[0] == 404
    assert world.running.get(path, world.ours)[0] == 200


def test_what_is_not_stored_is_not_learned_and_what_is_gets_into_the_store(world):
    name = respond(world, world.mine, store=False).json["id"]
    other = respond(world, world.mine).json["id"]
    chat = ask(world.port, world.mine, CHAT, {"model": "cheap", "messages": HELLO}).json["id"]

    def known(one):
        with world.store.reading() as t:
            return t.one("SELECT id, expires_at FROM objects WHERE id = :id", id=one)

    until(lambda: known(other))
    assert known(other)["expires_at"] > 0
    assert known(name) is None
    assert known(chat) is None


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_made_in_the_background_is_counted_when_it_is_first_seen_finished(world, streamed):
    name = f"resp_background{int(streamed)}"
    says(world, "/v1/responses", ended(name, status="queued"), "POST")
    key = world.issue(f"background {streamed}")
    assert respond(world, key, background=True).json["id"] == name
    path = f"/v1/responses/{name}"
    says(world, path, ended(name, status="in_progress"))
    assert world.running.get(path, key)[0] == 200
    done = ended(name, (1000, 90_000))
    says(world, path, b"event: response.completed\ndata: " + json.dumps({"type": "response.completed", "response": done}).encode() + b"\n\n" if streamed else done)  # fmt: skip
    for _ in range(3):
        assert world.running.get(path, key)[0] == 200
    [made] = world.rows(1, key_name=f"background {streamed}", endpoint="/v1/responses")
    assert (made["input"], made["output"], made["cost_microusd"]) == (0, 0, 0)
    rows = world.rows(4, key_name=f"background {streamed}", endpoint=path)
    assert [row["output"] for row in rows] == [0, 90_000, 0, 0]
    assert [row["cost_microusd"] for row in rows] == [0, 181_000, 0, 0]


def test_an_answer_made_in_the_background_that_was_streamed_to_its_end_is_counted_then(world):
    key = world.issue("streamed")
    told = respond(world, key, background=True, stream=True)
    name = json.loads(told.body.split(b"data: ")[1].splitlines()[0])["response"]["id"]
    path = f"/v1/responses/{name}"
    says(world, path, ended(name, (1000, 90_000)))
    assert world.running.get(path, key)[0] == 200
    assert world.row(key_name="streamed", endpoint="/v1/responses")["output"] > 0
    assert world.row(key_name="streamed", endpoint=path)["output"] == 0
