"""The delegation "Integrate OpenAI GPT-4 API" from beginning to end: planned, carried out, used by the official SDKs, taken back.

Providers are a double that both protocols are spoken to; the gateway is the real process.
"""

import json
from pathlib import Path

import anthropic
import openai
import pytest

import ai_keys_rig
from ai_rig import FaultDouble, fail
from datareeve.agent.report import report
from datareeve.agent.task import parse
from datareeve.app import App
from datareeve.core.operation import Verdict

DELEGATION = Path(__file__).parent.parent / "agent" / "delegations" / "ISS-0456.txt"
CANARY = "canary7f3a"
VARIABLES = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")


@pytest.fixture
def double():
    with FaultDouble(models=("gpt-4.1", "claude-sonnet-4-5")) as made:
        yield made


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A project that declares nothing, in an environment without any provider."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "estate.yaml").write_text("version: 1\nauthority:\n  rules:\n    - {decision: allow}\n")
    app = App.open(tmp_path)
    yield app
    app.systems["gateway-process"].perform("stop", run="test")
    app.close()


@pytest.fixture
def project(bare, double, monkeypatch):
    """The same where the usual variables are set."""
    monkeypatch.setenv("OPENAI_API_KEY", f"sk-{CANARY}-1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", f"sk-{CANARY}-2")
    monkeypatch.setenv("OPENAI_BASE_URL", double.openai_url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", double.anthropic_url)
    return bare


def planned(app):
    made = app.plan_task(DELEGATION.read_text())
    assert made.questions == ()
    return made


def everything_told(app):
    """All that was written down: the ledger, and every file but the keys' own."""
    entries = [entry.model_dump_json() for entry in app.ledger.entries()]
    samples = [sample.model_dump_json() for sample in app.ledger.samples()]
    files = [
        p.read_bytes().decode("latin-1")
        for p in app.project.rglob("*")
        if p.is_file() and "secrets" not in p.parts
    ]
    return "\n".join([*entries, *samples, *files])


def test_where_no_provider_is_declared_and_no_variable_set_it_is_said_once_what_to_paste_and_what_waits_for_it(
    bare,
):
    plan = planned(bare).plan
    assert list(plan.all_steps()) == []
    assert {part.serves for part in plan.parts} == set(parse(DELEGATION.read_text()).bullets)
    first, *others = [part for part in plan.parts if part.blockers]
    assert first.operation == "ai.set-up-gateway"
    assert "systems: {openai: {kind: openai, keys: [env:OPENAI_API_KEY]}}" in first.blockers[0]
    assert {part.blockers for part in others} == {(f"Waits for part {first.part_id}, which is blocked.",)}
    assert all(f"{part.part_id} {part.operation}" in first.blockers[0] for part in others)
    looked = [part for part in plan.parts if not part.blockers]
    assert [part.operation for part in looked] == ["ai.usage"]


def test_every_bullet_is_carried_out_with_evidence_serves_both_sdks_and_is_taken_back(project, double):
    before = (project.project / "estate.yaml").read_text()
    task = planned(project)
    assert task.plan.fingerprint == planned(project).plan.fingerprint
    outcome = project.apply(task.plan, by="test", task=DELEGATION.read_text())
    assert outcome.status == "done", ai_keys_rig.told(outcome)
    served = {part.serves: [] for part in outcome.parts}
    for part in outcome.parts:
        served[part.serves] += part.checks
    assert set(served) == set(task.task.bullets)
    assert all(check.verdict is Verdict.HOLDS for checks in served.values() for check in checks)
    assert all(served.values()), "each bullet has evidence"
    assert (
        sum(check.claim.call.action == "drill_held" for check in served["Handle error responses gracefully"])
        == 32
    )
    uses_the_sdks(project, double)
    told = report(task.task, outcome, plan=task.plan).markdown()
    assert "ISS-0456" in told
    assert "ai.drill-gateway" in told
    assert CANARY not in everything_told(project) + told + task.plan.model_dump_json()
    rechecked = project.recheck(outcome.run)
    assert {check.verdict for check in rechecked} == {Verdict.HOLDS}
    assert list(planned(project).plan.all_steps()) == []
    assert project.undo(outcome.run, by="test").status == "undone"
    assert (project.project / "estate.yaml").read_text() == before
    assert not project.systems["gateway-process"].read("running")
    assert not (project.project / ".datareeve" / "secrets" / "applications.key").exists()


def address_and_key(app):
    key = (app.project / ".datareeve" / "secrets" / "applications.key").read_text().strip()
    return app.systems["gateway-process"].read("state")["address"], key


def uses_the_sdks(app, double):
    """The official SDKs, with nothing but another base URL and the virtual key; then OpenAI fails, and the answer comes from the other."""
    (host, port), key = address_and_key(app)
    messages = [{"role": "user", "content": "Say hello."}]
    with openai.OpenAI(base_url=f"http://{host}:{port}/v1", api_key=key, max_retries=0) as client:
        assert client.chat.completions.create(model="chat", messages=messages).choices[0].message.content
        chunks = list(client.chat.completions.create(model="chat", messages=messages, stream=True))
        assert chunks[-1].choices[0].finish_reason == "stop"
        double.always(fail(500), path="/v1/chat/completions")
        before = double.served(path="/v1/messages")
        assert client.chat.completions.create(model="chat", messages=messages).choices[0].message.content
    assert double.served(path="/v1/messages") == before + 1
    with anthropic.Anthropic(base_url=f"http://{host}:{port}", api_key=key, max_retries=0) as client:
        assert client.messages.create(model="chat", messages=messages, max_tokens=20).content[0].text
    figures = app.preview(app.catalogue.make("ai.check-gateway", {})).figures
    assert figures["up"] == 1


def test_the_delegation_against_a_real_model_over_both_protocols(bare, real_model, monkeypatch):
    for name, value in zip(
        VARIABLES, ("sk-1", "sk-2", real_model.openai_url, real_model.anthropic_url), strict=True
    ):
        monkeypatch.setenv(name, value)
    outcome = bare.apply(planned(bare).plan, by="test")
    assert outcome.status == "done", ai_keys_rig.told(outcome)
    (host, port), key = address_and_key(bare)
    asked = {"model": "chat", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
    with openai.OpenAI(base_url=f"http://{host}:{port}/v1", api_key=key, max_retries=0) as client:
        first = client.chat.completions.create(**asked)
    with anthropic.Anthropic(base_url=f"http://{host}:{port}", api_key=key, max_retries=0) as client:
        second = client.messages.create(**asked)
    assert first.choices[0].message.content
    assert second.content[0].text
    used = first.usage.completion_tokens + second.usage.output_tokens
    assert bare.systems["gateway-process"].read("status")["figures"]["output_tokens"] == used


def test_the_gateway_s_state_is_sampled_under_its_own_name(project):
    outcome = project.apply(project.preview(project.catalogue.make("ai.watch-gateway", {})), by="test")
    assert outcome.status == "done", ai_keys_rig.told(outcome)
    samples = project.ledger.samples("gateway", name="up")
    assert [sample.value for sample in samples] == [1.0]
    assert project.preview(project.catalogue.make("ai.watch-gateway", {})).nothing_to_do


def test_a_setting_asked_for_on_a_bare_project_sets_the_gateway_up_first_and_undoes_both(project):
    before = (project.project / "estate.yaml").read_text()
    plan = project.preview(project.catalogue.make("ai.set-cache", {"seconds": 60}))
    assert [part.operation for part in plan.parts] == ["ai.set-up-gateway", "ai.set-cache"]
    outcome = project.apply(plan, by="test")
    assert outcome.status == "done", ai_keys_rig.told(outcome)
    estate = project.reload()
    assert estate.gateway.cache.seconds == 60
    assert (
        json.dumps(project.systems["gateway-process"].read("status")["models"])
        == '{"chat": ["openai/gpt-4.1"]}'
    )
    assert project.undo(outcome.run, by="test").status == "undone"
    assert (project.project / "estate.yaml").read_text() == before


def test_undo_of_the_set_up_takes_out_what_it_put_and_leaves_what_a_person_added(project):
    estate, path = project.systems["estate"], project.project / "estate.yaml"
    before = path.read_text()

    def set_up_and_then(where, value):
        done = project.apply(project.preview(project.catalogue.make("ai.set-up-gateway", {})), by="test")
        assert done.status == "done", ai_keys_rig.told(done)
        estate.perform("put", run="by-hand", where=where, value=value)
        return project.undo(done.run, by="test")

    price = {"openai/gpt-4.1": {"input": 2.0, "output": 8.0}}
    assert set_up_and_then(["gateway", "prices"], price).status == "undone"
    assert estate.read("get", where=["gateway"]) == {"prices": price}
    estate.perform("put", run="by-hand", where=["gateway"], value=None)
    assert path.read_text() == before
    changed = {"targets": ["openai/gpt-4.1"], "retries": 1}
    outcome = set_up_and_then(["gateway", "models", "chat"], changed)
    assert outcome.status != "undone"  # the route is a person's now, and needs its provider
    told = str(ai_keys_rig.told(outcome))
    assert "'openai/gpt-4.1' names no provider of `systems`" in told, told
    assert estate.read("get", where=["gateway"]) == {"models": {"chat": changed}}
    assert estate.read("get", where=["systems", "openai", "kind"]) == "openai"
