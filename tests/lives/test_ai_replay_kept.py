"""Prompts that a real gateway really keeps: sealed, replayed on another model, gone at their end, and shut to another key than theirs."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing

import pytest

import ai_rig
from ai_whole import Inside, ask, until
from datareeve.app import App
from datareeve.core.errors import DatareeveError
from datareeve.systems import gateway_kept, sealing

CANARY = "canary7f3a"
WORDS = [{"role": "user", "content": f"{CANARY} hello there"}]
ASKED = (
    ("/v1/chat/completions", {"model": "chat", "messages": WORDS, "max_completion_tokens": 50}),
    ("/v1/chat/completions", {"model": "chat", "messages": WORDS, "temperature": 0, "stream": True}),
    ("/v1/responses", {"model": "chat", "input": f"{CANARY} hello", "max_output_tokens": 50}),
    ("/v1/responses", {"model": "chat", "input": f"{CANARY} again", "stream": True}),
)
PRICES = {
    "openai/large": {"input": 1000, "output": 1000},
    "openai/small": {"input": 100, "output": 100},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    project = tmp_path_factory.mktemp("kept")
    (project / ".datareeve").mkdir()
    sealing.make_kek_file(project / ".datareeve" / "gateway.kek")
    with ai_rig.FaultDouble(models=("large", "small")) as double:
        text = ai_rig.estate(
            double,
            gateway={
                "models": {"chat": {"targets": ["openai/large"]}},
                "prices": PRICES,
                "privacy": {"keep_prompts": True, "keep_days": 7},
                "kek": "file:.datareeve/gateway.kek",
            },
            authority={"rules": [{"decision": "allow"}]},
        )
        with ai_rig.gateway(project, text) as running, Inside(running) as inside:
            inside.double, inside.text, inside.key = double, text, inside.issue("app")
            for path, body in ASKED:
                assert ask(running.port, inside.key, path, body).status == 200
            inside.failed = ask(running.port, inside.key, ASKED[0][0], {**ASKED[0][1], "n": "x"}).status
            until(lambda: len(kept(inside)) == len(ASKED))
            inside.rows(len(ASKED), status="ok")
            yield inside


def kept(inside):
    with inside.store.reading() as t:
        return t.rows("SELECT id, at, expires_at, sealed FROM prompts ORDER BY at")


def replayed(inside, **more):
    """What came of replaying all of it on the smaller model; its figures."""
    with closing(App.open(inside.running.project)) as app:
        operation = app.catalogue.make("ai.replay", {"model": "openai/small", "again": True, **more})
        planned = app.preview(operation)
        assert not planned.blockers, planned.blockers
        outcome = app.apply(planned, by="test", approved=True)
        told = [part.reason or "" for part in outcome.parts]
        figures = app.preview(app.catalogue.make("ai.replay", {"model": "openai/small", **more})).figures
        return outcome.status, figures, " ".join(told)


def test_what_was_asked_is_kept_sealed_with_its_end_and_replayed_on_another_model(world):
    found = kept(world)
    assert world.failed == 400
    assert all(abs(one["expires_at"] - one["at"] - 7 * 86_400) < 1 for one in found)
    written = str(
        world.running.project / ".datareeve"
    )  # read elsewhere: closing its file here would drop SQLite's locks
    looked = subprocess.run(["grep", "-rl", CANARY, written], capture_output=True, text=True, check=False)
    assert (looked.returncode, looked.stdout) == (1, "")

    seen = len(world.double.seen)
    status, figures, _ = replayed(world)
    assert status == "done"
    sent = [json.loads(one.raw) for one in world.double.seen[seen:]]
    assert [one["model"] for one in sent] == ["small"] * len(ASKED)
    assert all(CANARY in json.dumps(one) and not one.get("stream") for one in sent)
    figures = {name.removeprefix("replay_"): value for name, value in figures.items()}
    assert (figures["prompts"], figures["answered"], figures["errors"]) == (len(ASKED), len(ASKED), {})
    assert (figures["exact_percent"], figures["same_form_percent"], figures["length_ratio_median"]) == (
        100.0,
        100.0,
        1.0,
    )
    before = sum(row["cost_microusd"] for row in world.rows(len(ASKED), key_name="app", status="ok"))
    spent = sum(row["cost_microusd"] for row in world.rows(len(ASKED), key_name="replay"))
    assert (figures["usd_before"], figures["usd"]) == (round(before / 1e6, 6), round(spent / 1e6, 6))
    assert figures["usd_change_percent"] == -90.0
    assert len(kept(world)) == len(ASKED), "a replay is not kept again"


def test_a_key_that_did_not_seal_them_opens_none_and_says_so(world):
    place = world.running.project / ".datareeve" / "gateway.kek"
    right = place.read_bytes()
    world.heard()  # a gateway that takes up a change wraps its keys for the new one too, while it has the old
    try:
        place.unlink()
        sealing.make_kek_file(place)
        seen = len(world.double.seen)
        status, _, told = replayed(world, prompts=2)
        assert status == "failed"
        assert "replay.sealed" in told or "sealed with another" in told
        place.unlink()
        with closing(App.open(world.running.project)) as app, pytest.raises(DatareeveError) as raised:
            app.systems["gateway"].read("recorded", since=0)
        assert raised.value.code == "secret.missing"
        assert CANARY not in told + str(raised.value)
        assert len(world.double.seen) == seen
    finally:
        place.write_bytes(right)
        place.chmod(0o600)
    assert replayed(world, prompts=3)[0] == "done"


def test_what_has_come_to_its_end_is_not_replayed_and_goes(world):
    first, *rest = kept(world)
    with world.store.transaction() as t:
        t.run("UPDATE prompts SET expires_at = :now WHERE id = :id", now=t.now() - 1, id=first["id"])
    with closing(App.open(world.running.project)) as app:
        control = app.systems["gateway"]
        assert len(control.read("recorded", since=0)) == len(rest)
        with world.store.reading() as t:
            now = t.now()
        gateway_kept.trim_prompts(world.store, now)
        assert [one["id"] for one in kept(world)] == [one["id"] for one in rest]
        with world.store.transaction() as t:
            t.run("UPDATE prompts SET expires_at = :now", now=t.now() - 1)
        assert app.preview(app.catalogue.make("ai.replay", {"model": "openai/small", "prompts": 4})).blockers
    world.running.stop()
    again = ai_rig.start(world.running.project, world.running.environment)
    try:
        until(lambda: not kept(world))
    finally:
        again.kill()
