"""Batches against budgets: what open ones may still cost is held, by two gateways on one store and over a restart, until it is counted.

A token of a prompt costs a micro-dollar here, one of an answer two; in a batch half of it. Each test has a budget of its own.
"""

import contextlib
import json

import pytest

from ai_double import FaultDouble, cut
from ai_rig import estate, gateway
from ai_whole import HELLO, Inside, ask, chat, on_the_wire, request, until

MOST = 600  # tokens of each batch's answer, and about what it may cost in micro-dollars
BUDGET = 1000
PRICE = {"input": 1, "output": 2}
NAMES = ("one", "again", "counted", "cancelled", "deleted", "refused", "anthropic", "unheard")
MODELS = {"plain": "openai/plain", "dear": "openai/dear", "apart": "openai/apart", "sonnet": "claude/sonnet"}
ALL_ANSWERED, NONE = {"total": 1, "completed": 1, "failed": 0}, {"total": 1, "completed": 0, "failed": 0}


def settings(store):
    budgets = {name: {"usd": BUDGET / 1e6, "key": name, "period": "month"} for name in NAMES}
    budgets |= {
        f"of {model}": {"usd": BUDGET / 1e6, "model": model, "period": "month"} for model in ("dear", "apart")
    }
    return {
        "store": f"sqlite:///{store}",
        "models": {name: {"targets": [target]} for name, target in MODELS.items()},
        "prices": dict.fromkeys(MODELS.values(), PRICE),
        "budgets": budgets,
    }


class Pair:
    """Two gateways with one store, in front of one provider."""

    def __init__(self, folder, double):
        self.folder, self.double, self.store = folder, double, folder / "shared.sqlite"
        self.stack = contextlib.ExitStack()
        for name in ("here", "there"):
            (folder / name).mkdir()
        self.start()

    def start(self):
        text = estate(self.double, gateway=settings(self.store))
        self.here, self.there = (
            self.stack.enter_context(gateway(self.folder / name, text)) for name in ("here", "there")
        )
        self.inside = self.stack.enter_context(Inside(self.here, self.store))

    def kill(self):
        for one in (self.here, self.there):
            one.kill()
        for gone in self.inside.store.instances():  # nobody waits for them any more
            self.inside.store.instance_stopped(gone.id, behind=0)
        self.stack.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with FaultDouble() as double:
        made = Pair(tmp_path_factory.mktemp("gateways"), double)
        yield made
        made.kill()


def uploaded(running, key, model="plain", most=MOST):
    body = {"model": model, "messages": HELLO, "max_completion_tokens": most}
    line = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body})
    form = (
        '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        '--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
        f"{line}\r\n--b--\r\n"
    ).encode()
    head = request("POST", "/v1/files", key=key, content_type="multipart/form-data; boundary=b", content_length=str(len(form)))  # fmt: skip
    said = on_the_wire(running.port, head + form)
    assert said.startswith(b"HTTP/1.1 200"), said
    return json.loads(said.partition(b"\r\n\r\n")[2])["id"]


def created(running, key, file):
    asked = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    return ask(running.port, key, "/v1/batches", asked)


def held(pair, name):
    with pair.inside.store.reading() as t:
        row = t.one("SELECT held FROM batches WHERE id = :name", name=name)
    return row["held"] if row else None


def read(running, key, path):
    return running.get(path, key)


def test_ten_batches_are_not_made_against_one_budget_at_two_gateways(pair):
    key = pair.inside.issue("one")
    file = uploaded(pair.here, key)
    answers = [created(one, key, file) for one in (pair.here, pair.there) * 5]
    assert [one.status for one in answers].count(200) == 1
    refused = next(one for one in answers if one.status == 429)
    assert refused.headers["x-should-retry"] == "false"
    assert b"budget" in refused.body
    # What is left of the budget is there for others, at both; what is held is not, though it is not spent.
    assert {chat(one.port, key, "plain", max_completion_tokens=10).status for one in (pair.here, pair.there)} == {200}  # fmt: skip
    assert created(pair.there, key, uploaded(pair.there, key, most=100)).status == 200


def test_what_is_held_is_held_after_a_kill_of_all(pair):
    key = pair.inside.issue("again")
    file = uploaded(pair.here, key)
    assert created(pair.here, key, file).status == 200
    pair.kill()
    pair.start()
    assert [created(one, key, file).status for one in (pair.here, pair.there)] == [429, 429]


def test_once_its_results_are_counted_a_batch_holds_nothing_and_its_cost_is_the_models(pair):
    key = pair.inside.issue("counted")
    file = uploaded(pair.here, key, "dear")
    batch = created(pair.here, key, file).json
    assert (
        created(pair.there, key, uploaded(pair.there, key, "dear", most=100)).status == 200
    )  # it still fits
    assert created(pair.there, key, file).status == 429
    status, _ = read(pair.there, key, f"/v1/files/{batch['output_file_id']}/content")
    assert status == 200
    row = pair.inside.row(endpoint=f"/v1/files/{batch['output_file_id']}/content")
    assert (row["asked_model"], row["cost_microusd"] > 0, row["cost_microusd"] < 100) == ("dear", True, True)
    until(lambda: created(pair.here, key, file).status == 200, 5)


def test_a_budget_of_a_model_is_looked_at_when_a_batch_of_it_is_made(pair):
    key = pair.inside.issue("any one", team="t")
    files = [uploaded(pair.here, key, "apart") for _ in range(2)]  # each fits, both do not
    assert [created(pair.here, key, file).status for file in files] == [200, 429]
    assert created(pair.here, key, uploaded(pair.here, key, "plain")).status == 200
    other = pair.inside.issue("only plain", models=("plain",), team="t")
    assert created(pair.here, other, uploaded(pair.here, key, "apart", most=1)).status == 404


@pytest.mark.parametrize(("counts", "left"), [(NONE, 0), (ALL_ANSWERED, 1)], ids=["none", "all"])
def test_a_batch_that_is_cancelled_holds_what_was_answered_of_it(pair, counts, left):
    key = pair.inside.issue("cancelled")
    batch = created(pair.here, key, uploaded(pair.here, key, most=100)).json["id"]
    at_first = held(pair, batch)
    pair.double.stored[batch]["request_counts"] = counts
    assert ask(pair.here.port, key, f"/v1/batches/{batch}/cancel", {}).status == 200
    assert held(pair, batch) == left * at_first > -1


def test_a_batch_that_failed_or_was_not_made_holds_nothing(pair):
    key = pair.inside.issue("refused")
    file = uploaded(pair.here, key)
    pair.double.stored.pop(f"content of {file}")
    assert created(pair.here, key, file).status == 404  # the provider's word
    file = uploaded(pair.here, key)
    batch = until(lambda: (one := created(pair.here, key, file)).status == 200 and one.json["id"], 5)
    counts = {"total": 0, "completed": 0, "failed": 0}
    pair.double.stored[batch] |= {"status": "failed", "request_counts": counts}
    assert read(pair.there, key, f"/v1/batches/{batch}")[0] == 200
    assert held(pair, batch) == 0
    until(lambda: created(pair.there, key, file).status == 200, 5)


def messages(most):
    params = {"model": "sonnet", "messages": HELLO, "max_tokens": most}
    return {"requests": [{"custom_id": "a", "params": params}]}


def test_anthropics_batches_are_held_and_counted_too(pair):
    key = pair.inside.issue("anthropic")
    path = "/v1/messages/batches"
    made = ask(pair.here.port, key, path, messages(MOST))
    assert made.status == 200
    assert [ask(one.port, key, path, messages(MOST)).status for one in (pair.here, pair.there)] == [429, 429]
    assert read(pair.there, key, f"{path}/{made.json['id']}/results")[0] == 200
    until(lambda: ask(pair.there.port, key, path, messages(MOST)).status == 200, 5)


def test_a_batch_that_may_have_been_made_is_not_made_again_and_is_held(pair):
    """The provider was sent it, and nobody heard more: a second one would be paid for too."""
    key, path = pair.inside.issue("unheard"), "/v1/messages/batches"
    seen = len(pair.double.seen)
    pair.double.next(cut(10), path=path)
    assert ask(pair.here.port, key, path, messages(MOST)).status == 502
    assert len(pair.double.seen) == seen + 1
    assert [ask(one.port, key, path, messages(MOST)).status for one in (pair.here, pair.there)] == [429, 429]


def test_results_that_are_deleted_unread_are_counted_as_they_were_held(pair):
    key = pair.inside.issue("deleted")
    batch = ask(pair.here.port, key, "/v1/messages/batches", messages(100)).json["id"]
    expected = held(pair, batch)
    for _ in range(2):
        pair.here.ask("DELETE", f"/v1/messages/batches/{batch}", key=key)
    rows = pair.inside.rows(2, endpoint=f"/v1/messages/batches/{batch}")
    assert (rows[0]["cost_microusd"], bool(rows[0]["estimated"])) == (expected, True)
    assert rows[1]["cost_microusd"] == 0
