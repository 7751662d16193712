"""Recorded prompts on another model, through a real gateway: sent, compared, kept as figures only, quiet the second time, undone."""

from __future__ import annotations

import json
import time

import pytest

import ai_rig
from ai_double import fail
from datareeve.app import App
from datareeve.core.errors import BadInput, NeedsApproval, Unreachable
from datareeve.core.operation import Effect
from datareeve.systems import gateway_kept
from datareeve.systems.adapter import reads
from datareeve.systems.gateway_control import GatewayControl
from datareeve.systems.gateway_kept import KeptPrompt

CANARY = "canary7f3a"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
PROMPTS = 6
PRICES = {
    "openai/gpt-4.1": {"input": 1000, "output": 1000},
    "openai/double-small": {"input": 100, "output": 100},
}


@pytest.fixture(scope="module")
def double():
    with ai_rig.FaultDouble(models=("gpt-4.1", "double-small", "claude-double")) as made:
        yield made


@pytest.fixture(scope="module")
def running(double, tmp_path_factory):
    text = ai_rig.estate(
        double,
        gateway={
            "models": {"chat": {"targets": ["openai/gpt-4.1"]}},
            "prices": PRICES,
            "cache": {"seconds": 600},
        },
        authority={"rules": [{"decision": "allow"}]},
    )
    with ai_rig.gateway(tmp_path_factory.mktemp("replay"), text) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def recorded(running):
    """What was asked and answered: a row of usage for each, and the prompt kept beside it."""
    key = running.issue("app")
    kept = []
    for number in range(PROMPTS):
        body = {
            "model": "chat",
            "messages": [{"role": "user", "content": f"{CANARY} {number}"}],
            "max_tokens": 100,
        }
        if number % 2:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
        status, answer = running.post("/v1/chat/completions", body, key)
        assert status == 200
        kept.append((body, json.loads(answer)))
    app = App.open(running.project)
    control = app.systems["gateway"]
    running.wait_until(lambda: len(rows(control)) == PROMPTS)
    found = []
    for row, (body, answer) in zip(rows(control), kept, strict=True):
        found.append({"id": row[0], "at": row[1], "endpoint": "/v1/chat/completions", "asked_model": "chat", "body": {**body, "stream": True},
                      "answer": answer, "tokens": {"output": 3}, "cost_microusd": row[2], "total_ms": row[3]})  # fmt: skip
    gateway_kept.keep_prompts(
        control._store, [KeptPrompt(one["id"], one["at"], time.time() + 3600, b"sealed") for one in found]
    )
    app.close()
    return found


def rows(control):
    return control.read(
        "usage_by_sql",
        sql="SELECT id, at, cost_microusd, total_ms FROM usage WHERE team <> 'replay' AND endpoint = '/v1/chat/completions' ORDER BY at",
    )["rows"]


@pytest.fixture
def app(running, recorded, monkeypatch):
    @reads
    def answer(_self, since, most):
        return [one for one in recorded if one["at"] >= since][:most]

    monkeypatch.setattr(GatewayControl, "recorded", answer, raising=False)
    opened = App.open(running.project)
    yield opened
    opened.close()


def plan(app, **inputs):
    made = app.catalogue.make("ai.replay", inputs)
    told = app.preview(made)
    assert told.fingerprint == app.preview(made).fingerprint
    return told


def test_it_says_what_it_will_cost_does_it_keeps_figures_and_is_quiet_then(app, double, running):
    planned = plan(app, model="openai/double-small", asked="chat")
    (step,) = planned.steps
    assert (planned.blockers, step.effect) == ((), Effect.COST)
    assert 0 < step.cost_usd < planned.figures["usd_before"]
    seen = len(double.seen)
    with pytest.raises(NeedsApproval):
        app.apply(planned, by="test")
    outcome = app.apply(planned, by="test", approved=True)
    assert outcome.status == "done", [(part.reason, part.steps) for part in outcome.parts]
    asked = [json.loads(one.raw) for one in double.seen[seen:]]
    assert [one["model"] for one in asked] == ["double-small"] * PROMPTS
    assert not any(one.get("stream") for one in asked)

    again = plan(app, model="openai/double-small", asked="chat")
    assert not again.steps
    assert again.nothing_to_do.startswith("Replayed on ")
    figures = {name.removeprefix("replay_"): value for name, value in again.figures.items()}
    assert (figures["prompts"], figures["answered"], figures["errors"]) == (PROMPTS, PROMPTS, {})
    assert (
        figures["exact_percent"],
        figures["same_form_percent"],
        figures["schema_before_percent"],
        figures["schema_now_percent"],
    ) == (100.0,) * 4
    assert (figures["length_ratio_median"], figures["usd_change_percent"]) == (1.0, -90.0)
    assert f"answered {PROMPTS} of {PROMPTS} recorded prompts" in again.summary

    (spent,) = app.systems["gateway"].read(
        "usage", since=0, until=2**33, by=["key"], where={"team": "replay"}
    )
    assert (spent["key"], spent["requests"], spent["cached"]) == ("replay", PROMPTS, 0)
    assert spent["cost_microusd"] == round(figures["usd"] * 1e6)
    assert [one["name"] for one in app.systems["gateway"].read("virtual_keys")] == ["app"], "its key is gone"
    written = "".join(
        path.read_text() for path in (running.project / ".datareeve" / "gateway" / "replays").iterdir()
    )
    told = "".join(entry.model_dump_json() for entry in app.ledger.entries())
    assert CANARY not in written + told

    assert app.undo(outcome.run, by="test").status == "undone"
    assert app.systems["gateway"].read("replays") == []


def test_answers_that_fail_are_counted_by_their_error_and_told(app, double):
    double.always(fail(400), model="no-such-model")
    outcome = app.apply(
        plan(app, model="openai/no-such-model", asked="chat", prompts=2), by="test", approved=True
    )
    assert outcome.status == "done"
    told = plan(app, model="openai/no-such-model", asked="chat", prompts=2)
    assert told.figures["replay_answered"] == 0
    assert sum(told.figures["replay_errors"].values()) == 2
    assert any(one.rule == "replay-not-answered" for one in told.findings)
    app.undo(outcome.run, by="test")


def test_it_ends_when_the_money_is_spent(app):
    outcome = app.apply(
        plan(app, model="openai/double-small", asked="chat", usd_most=0.000001), by="test", approved=True
    )
    (part,) = outcome.parts
    assert part.steps[0].result["left_out"] >= 0
    assert part.steps[0].result["prompts"] >= 1
    app.undo(outcome.run, by="test")


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({}, "Which model shall be tried"),
        ({"model": "mystery"}, "Which provider has mystery is not known"),
        (
            {"model": "openai/double-small", "asked": "nothing"},
            "No prompt that asked for nothing was recorded",
        ),
    ],
)
def test_what_cannot_be_planned_says_what_would_help(app, inputs, why):
    planned = plan(app, **inputs)
    assert not planned.steps
    assert why in planned.blockers[0]


def test_no_key_is_left_where_no_gateway_answers(app, running):
    control = app.systems["gateway"]
    with pytest.raises(BadInput, match="No prompt"):
        control.perform("replay", run="r", target="openai/double-small", asked="nobody")
    running.stop()
    with pytest.raises(Unreachable, match="No gateway runs"):
        control.perform("replay", run="r", target="openai/double-small", asked="chat")
    assert [one["name"] for one in control.read("virtual_keys")] == ["app"]
    assert "No gateway runs" in plan(app, model="openai/double-small", asked="chat").blockers[0]
