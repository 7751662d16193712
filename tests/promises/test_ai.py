"""The promises that every operation on AI APIs keeps, in one world: a double of both providers, keys full of a canary.

Looking changes nothing; the same facts give the same plan; done twice it is quiet; every life ends undone; no key is told anywhere.
"""

import hashlib

import pytest

import ai_keys_rig
from ai_keys_rig import CANARY
from ai_rig import free_port
from datareeve.app import catalogue
from datareeve.core.operation import Effect

OPERATIONS = catalogue()
INPUTS = {
    "ai.add-key": {"provider": "openai", "key": "file:key2", "label": "second"},
    "ai.add-provider": {"kind": "openai", "provider": "third", "key": "file:key2"},
    "ai.issue-virtual-key": {"for_name": "checkout", "usd_per_month": 5},
    "ai.revoke-key": {"provider": "openai", "key": "pk_openai_1", "replacement": "file:key2"},
    "ai.revoke-virtual-key": {"key": "app"},
    "ai.rewrap-keys": {"to": "file:.datareeve/gateway-2.kek"},
    "ai.rotate-key": {"provider": "openai", "new": "file:key2"},
}
MINE = [n for n in OPERATIONS.names() if n.startswith("ai.")]
BLOCKED_HERE = {"ai.replay": "nothing was kept that could be replayed"}
FINAL = {"ai.revoke-key": "a key that may have leaked is not put back"}


@pytest.fixture
def world(tmp_path):
    routes = {"chat": {"targets": ["openai/double-small"]}, "cheap": {"targets": ["claude/claude-double"]}}
    with ai_keys_rig.keys(tmp_path, listen=f"127.0.0.1:{free_port()}", models=routes) as project:
        project.done("add-key", provider="openai", key="file:key1")
        project.done("issue-virtual-key", for_name="app")
        yield project


def operation(world, name):
    more = {"base_url": world.double.openai_url} if name == "ai.add-provider" else {}
    return OPERATIONS.make(name, {**INPUTS.get(name, {}), **more})


def state(world):
    """All that an undo gives back. Moments and envelopes are made anew; what they say is the same."""
    control = world.control
    named = ("id", "provider", "name", "where", "state", "expires_at", "replaces", "kek")
    files = {
        str(path.relative_to(world.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(world.folder.rglob("*"))
        if path.is_file()
        and "gateway" not in path.parts  # what a process writes of itself
        and not path.name.startswith(("ledger.", "gateway.sqlite"))
        and path.name != "estate.yaml"
    }
    return {
        "keys": [{part: one[part] for part in named} for one in control.read("provider_keys")],
        "virtual": control.read("virtual_keys"),
        "estate": world.app.systems["estate"].read("get", where=["systems"]),
        "gateway": world.app.systems["estate"].read("get", where=["gateway"]) or {},
        "files": files,
    }


every = pytest.mark.parametrize("name", MINE)


@every
def test_it_is_a_frozen_value(name, world):
    made = operation(world, name)
    assert made == operation(world, name)
    with pytest.raises(ValueError, match="frozen"):
        made.provider = "other"


@every
def test_looking_changes_nothing(name, world):
    before, revision = state(world), world.control._store.revision()
    plan = world.app.preview(operation(world, name))
    assert plan.operation == name
    assert (state(world), world.control._store.revision()) == (before, revision)


@every
def test_its_life_done_verified_quiet_twice_undone_and_no_key_told(name, world):
    before = state(world)
    made = operation(world, name)
    plan = world.app.preview(made)
    assert plan.fingerprint == world.app.preview(made).fingerprint
    if name in BLOCKED_HERE:
        assert plan.blockers
        assert not list(plan.all_steps())
        return
    outcome = world.app.apply(plan, by="test", approved=plan.needs_person)
    assert outcome.status in {"done", "nothing to do"}, ai_keys_rig.told(outcome)
    assert all(check.verdict == "holds" for part in outcome.parts for check in part.checks)
    assert all(step.undo or step.no_undo for step in plan.all_steps())
    assert not (OPERATIONS.get(name).effect is Effect.READ and list(plan.all_steps()))
    again = world.app.preview(made)
    assert not list(again.all_steps()), again.summary
    assert all(leaf.nothing_to_do for leaf in again.leaves()), again.blockers
    if list(plan.all_steps()) and name not in FINAL:
        assert world.app.undo(outcome.run, by="test").status == "undone"
        assert state(world) == before
    assert CANARY not in world.everything_told() + plan.model_dump_json() + outcome.model_dump_json()
    assert world.app.verify_ledger()["entries"] > 0


def test_a_virtual_key_s_text_stands_in_its_file_and_nowhere_else(world):
    text = (world.folder / ".datareeve" / "secrets" / "app.key").read_text().strip()
    assert text.startswith("dr-")
    assert text.rpartition("-")[2] not in world.everything_told()
