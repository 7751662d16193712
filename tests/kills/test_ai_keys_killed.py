"""A worker dies at each boundary of an operation on keys, with a gateway at work; another resumes, or takes it back. Keys end as they should."""

from __future__ import annotations

import pytest

import ai_keys_rig
from ai_keys_rig import CANARY, Follower, told
from datareeve.app import App

pytestmark = pytest.mark.kills


class Died(BaseException):
    """As a kill: nothing catches it."""


@pytest.fixture(params=["rotate-key", "rewrap-keys", "issue-virtual-key", "add-provider"])
def case(request):
    inputs = {
        "rotate-key": {"provider": "openai", "new": "file:key2"},
        "rewrap-keys": {"to": "file:.datareeve/gateway-2.kek"},
        "issue-virtual-key": {"for_name": "app", "usd_per_month": 5},
        "add-provider": {"kind": "openai", "provider": "third", "key": "file:key3"},
    }
    return request.param, inputs[request.param]


def truth(project):
    control = project.control
    virtual = [(one["id"], one["state"]) for one in control.read("virtual_keys")]
    files = sorted(path.name for path in (project.folder / ".datareeve").rglob("*.k*"))
    providers = {one["name"]: project.states(one["name"]) for one in control.read("providers")}
    settings = project.app.systems["estate"].read("get", where=["gateway"]) or {}
    return providers, virtual, files, settings, control.read("unopened")


def start(folder):
    folder.mkdir()
    return ai_keys_rig.keys(folder)


def planned(project, name, inputs):
    more = {"base_url": project.double.openai_url} if name == "add-provider" else {}
    project.done("add-key", provider="openai", key="file:key1")
    return project.plan(name, **inputs, **more)


def boundaries(folder, name, inputs):
    """How many there are, and what is there before and after."""
    seen = []
    with start(folder) as project:
        plan = planned(project, name, inputs)
        before = truth(project)
        project.app.runner._boundary = seen.append
        outcome = project.app.apply(plan, by="test")
        assert outcome.status == "done", told(outcome)
        return len(seen), before, truth(project)


def die_at(number):
    count = 0

    def boundary(_name):
        nonlocal count
        count += 1
        if count == number:
            raise Died

    return boundary


def test_another_worker_ends_what_one_began_and_no_request_fails(tmp_path, case):
    name, inputs = case
    number, before, after = boundaries(tmp_path / "whole", name, inputs)
    assert number > 10
    for n in range(1, number + 1):
        with start(tmp_path / str(n)) as project:
            plan = planned(project, name, inputs)
            assert truth(project) == before
            with Follower(project, senders=1) as gateway:
                project.app.runner._boundary = die_at(n)
                with pytest.raises(Died):
                    project.app.apply(plan, by="test")
                project.app.close()
                project.app = App.open(project.folder)
                begun = [run.run for run in project.app.runs() if run.plan == plan.fingerprint]
                if not begun:  # it died before it had written that it begins
                    assert truth(project) == before
                    continue
                act = project.app.undo if n % 2 else project.app.resume
                outcome = act(begun[0], by="test")
                gateway.wait_for(3)
            wanted = ("undone", before) if n % 2 else ("done", after)
            assert (outcome.status, truth(project)) == wanted, (n, told(outcome))
            assert set(gateway.statuses) == {200}, n
            assert CANARY not in project.everything_told()
