"""Keys from beginning to end, at a provider that says what it saw: taken in, rotated under load, revoked, re-sealed, issued, taken back."""

import json
import socket
import stat
import threading
from pathlib import Path

import pytest

import ai_keys_rig
from ai_double import fail, ok
from ai_keys_rig import CANARY, Follower, key, told
from datareeve.app import App
from datareeve.core import estate as estates
from datareeve.core.errors import BadInput, NeedsApproval
from datareeve.core.operation import Call, Claim

# -- taken in ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    with ai_keys_rig.keys(tmp_path) as made:
        yield made


def test_a_key_is_sealed_tried_used_quiet_twice_and_taken_out_again(project):
    before = (project.folder / "estate.yaml").read_text()
    outcome = project.done("add-key", provider="openai", key="file:key1", label="billing team")
    assert project.states() == {"pk_openai_1": "active"}
    assert [seen.path for seen in project.double.seen].count(
        "/v1/models"
    ) >= 2  # planned, required, and as sealed
    assert project.control.read("works", provider="openai", key="pk_openai_1") is True
    assert "is in use" in project.plan("add-key", provider="openai", key="file:key1").nothing_to_do
    project.undone(outcome)
    assert project.states() == {}
    assert (project.folder / "estate.yaml").read_text() == before
    assert not (project.folder / ".datareeve" / "gateway.kek").exists()
    assert CANARY not in project.everything_told()


def test_the_sealing_key_is_its_owner_s_only(project):
    project.done("add-key", provider="openai", key="file:key1")
    kek = project.folder / ".datareeve" / "gateway.kek"
    assert stat.S_IMODE(kek.stat().st_mode) == 0o600
    assert kek.read_text().strip() not in project.everything_told().replace(kek.read_text(), "", 1)


def test_a_key_that_the_provider_refuses_is_not_taken_in(project):
    plan = project.plan("add-key", provider="openai", key="file:key6")
    assert "does not take the key at file:key6" in plan.blockers[0]
    assert project.states() == {}


def test_a_key_that_is_refused_between_plan_and_apply_changes_nothing(project):
    plan = project.plan("add-key", provider="openai", key="file:key1")
    project.double.keys = set()
    with pytest.raises(Exception, match="openai takes the key at file:key1"):
        project.app.apply(plan, by="test")
    assert project.states() == {}
    assert not (project.folder / ".datareeve" / "gateway.kek").exists()


def test_a_provider_that_is_down_proves_nothing_and_a_model_does(project):
    project.double.always(fail(404), path="/v1/models")
    assert "--probe-model" in project.plan("add-key", provider="openai", key="file:key1").blockers[0]
    project.done("add-key", provider="openai", key="file:key1", probe_model="double-small")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"key": "file:key1"}, "Which provider is meant? The estate has openai, claude"),
        ({"provider": "gemini", "key": "file:key1"}, "no AI provider 'gemini'"),
    ],
)
def test_it_says_which_provider_it_needs(project, inputs, said):
    assert said in project.plan("add-key", **inputs).blockers[0]


def test_a_reference_with_nothing_behind_it_is_bad_input(project):
    with pytest.raises(BadInput, match="Nothing is stored at env:NOT_SET_ANYWHERE"):
        project.plan("add-key", provider="openai", key="env:NOT_SET_ANYWHERE")


def test_a_key_that_is_revoked_is_not_taken_in_again(project):
    project.done("add-key", provider="openai", key="file:key1")
    project.done("revoke-key", provider="openai", key="pk_openai_1", even_last=True)
    assert "was revoked" in project.plan("add-key", provider="openai", key="file:key1").blockers[0]


# -- rotated -----------------------------------------------------------------------------------------------------------------------


def test_under_load_no_request_fails_and_the_old_key_may_die_the_moment_it_is_retired(project):
    project.done("add-key", provider="openai", key="file:key1")
    project.double.always(ok(delay=0.01))
    with Follower(project, "gw_1", senders=4) as one, Follower(project, "gw_2", senders=4) as two:
        one.wait_for(50)
        outcome = project.done("rotate-key", provider="openai", new="file:key2")
        project.double.keys = {key(2), key(5)}
        one.wait_for(50)
        two.wait_for(50)
    assert set(one.statuses) == set(two.statuses) == {200}
    assert one.sent["pk_openai_1"] > 10
    assert one.sent["pk_openai_2"] > 10
    assert project.states() == {"pk_openai_1": "retired", "pk_openai_2": "active"}
    followed = [
        step for part in outcome.parts for step in part.steps if step.step.startswith("gateways follow")
    ]
    assert [step.result["gateways"] for step in followed] == [2, 2, 2]
    assert CANARY not in project.everything_told()


def test_it_waits_for_requests_with_the_old_key(project):
    project.done("add-key", provider="openai", key="file:key1")
    with Follower(project, senders=1) as gateway:
        project.double.next(ok(hold=True), key=key(1), path="/v1/chat/completions")
        gateway.wait_for(0)
        held = threading.Event()
        rotating = threading.Thread(target=lambda: (project_run(project), held.set()))
        rotating.start()
        wait_until(lambda: project.states().get("pk_openai_1") == "draining")
        assert not held.wait(0.5)
        assert project.states()["pk_openai_1"] == "draining"
        project.double.let_go()
        assert held.wait(20)
        rotating.join(5)
    assert project.states()["pk_openai_1"] == "retired"
    assert set(gateway.statuses) == {200}


def project_run(project):
    """In another thread, with connections of its own."""
    app = App.open(project.folder)
    plan = app.preview(app.catalogue.make("ai.rotate-key", {"provider": "openai", "new": "file:key2"}))
    outcome = app.apply(plan, by="test")
    app.close()
    assert outcome.status == "done", told(outcome)


def wait_until(condition, seconds=10.0):
    waiting = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not happen")


def test_a_gateway_that_does_not_follow_stops_it_and_the_old_key_goes_on(project):
    project.done("add-key", provider="openai", key="file:key1")
    plan = project.plan("rotate-key", provider="openai", new="file:key2")
    with Follower(project) as gateway:
        gateway.deaf = True
        outcome = project.app.apply(hurried(plan), by="test")
        gateway.deaf = False
        gateway.wait_for(20)
    assert outcome.parts[0].status == "undone"
    assert "gw_1" in told(outcome)[0][1]
    assert "works by revision" in told(outcome)[0][1]
    assert project.states() == {"pk_openai_1": "active"}
    assert set(gateway.statuses) == {200}


def test_a_gateway_that_cannot_read_the_new_key_stops_it(project):
    project.done("add-key", provider="openai", key="file:key1")
    kek = project.folder / ".datareeve" / "gateway.kek"
    text = kek.read_text()
    with Follower(project) as gateway:
        gateway.resolve = blind(gateway.resolve)
        outcome = project.app.apply(
            hurried(project.plan("rotate-key", provider="openai", new="file:key2")), by="test"
        )
        gateway.wait_for(20)
    assert outcome.parts[0].status == "undone"
    assert "cannot read pk_openai_2" in told(outcome)[0][1]
    assert project.states() == {"pk_openai_1": "active"}
    assert set(gateway.statuses) == {200}
    assert kek.read_text() == text


def blind(resolve):
    def without(reference):
        if reference.endswith("gateway.kek"):
            raise BadInput("secret.missing", "Nothing is stored there.")
        return resolve(reference)

    return without


def hurried(plan):
    """The same plan with half a second for gateways to follow."""
    text = plan.model_dump_json().replace(
        '"action":"follow","arguments":{', '"action":"follow","arguments":{"seconds":0.5,'
    )
    return type(plan).model_validate_json(text)


def test_it_is_taken_back_and_the_old_key_is_tried_before_it_serves_again(project):
    project.done("add-key", provider="openai", key="file:key1")
    outcome = project.done("rotate-key", provider="openai", new="file:key2")
    project.undone(outcome)
    assert project.states() == {"pk_openai_1": "active"}


def test_when_the_old_key_is_dead_taking_it_back_leaves_the_new_one_in_use(project):
    project.done("add-key", provider="openai", key="file:key1")
    outcome = project.done("rotate-key", provider="openai", new="file:key2")
    project.double.keys = {key(2)}
    after = project.app.undo(outcome.run, by="test")
    assert after.status == "failed"
    assert "provider.key-refused" in str(told(after))
    assert project.states()["pk_openai_2"] == "active"


def test_a_key_that_the_estate_names_is_rotated_out_of_it(project):
    with Follower(project, senders=0):
        outcome = project.done("rotate-key", provider="claude", new="file:key2")
    assert project.states("claude") == {"pk_claude_1": "active"}
    assert "file:key5" not in (project.folder / "estate.yaml").read_text()
    project.undone(outcome)
    assert project.states("claude") == {"estate:file:key5": "active"}


def test_a_second_time_there_is_nothing_to_do(project):
    project.done("add-key", provider="openai", key="file:key1")
    project.done("rotate-key", provider="openai", new="file:key2")
    for more in ({}, {"old": "pk_openai_1"}):
        plan = project.plan("rotate-key", provider="openai", new="file:key2", **more)
        assert "is in use" in plan.nothing_to_do


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"new": "file:key2"}, "name the one to retire with --old: pk_openai_1 (first), pk_openai_3"),
        ({"new": "file:key2", "old": "pk_openai_9"}, "openai has no key pk_openai_9"),
        ({"new": "file:key1", "old": "first"}, "is pk_openai_1 itself"),
        ({"new": "file:key4", "old": "pk_openai_2"}, "pk_openai_2 is retired already"),
        ({"new": "file:key6", "old": "first"}, "does not take the key"),
    ],
)
def test_it_says_what_stands_in_the_way(project, inputs, said):
    project.done("add-key", provider="openai", key="file:key1", label="first")
    undo = project.done("add-key", provider="openai", key="file:key2")
    project.control.perform("set_key_state", run="r", provider="openai", key="pk_openai_2", state="retired")
    project.done("add-key", provider="openai", key="file:key3")
    assert undo.status == "done"
    assert said in project.plan("rotate-key", provider="openai", **inputs).blockers[0]


def test_a_key_that_was_set_aside_can_be_rotated_back_to(project):
    project.done("add-key", provider="openai", key="file:key1")
    project.done("rotate-key", provider="openai", new="file:key2")
    project.done("rotate-key", provider="openai", new="file:key1")
    assert project.states() == {"pk_openai_1": "active", "pk_openai_2": "retired"}


# -- revoked -----------------------------------------------------------------------------------------------------------------------


def test_a_leaked_key_is_replaced_and_revoked_in_one_go_without_a_failed_request(project):
    project.done("add-key", provider="openai", key="file:key1")
    with Follower(project, senders=3) as gateway:
        gateway.wait_for(20)
        project.done("revoke-key", provider="openai", key="pk_openai_1", replacement="file:key2")
        gateway.wait_for(20)
        assert [one.id for one in gateway.config.providers["openai"].keys] == ["pk_openai_2"]
    assert project.states() == {"pk_openai_1": "revoked", "pk_openai_2": "active"}
    assert set(gateway.statuses) == {200}


def test_it_needs_a_person_who_has_seen_the_plan(project):
    project.done("add-key", provider="openai", key="file:key1")
    plan = project.plan("revoke-key", provider="openai", key="pk_openai_1", replacement="file:key2")
    with pytest.raises(NeedsApproval):
        project.app.apply(plan, by="test")
    assert project.states() == {"pk_openai_1": "active"}


def test_the_last_key_is_revoked_only_after_its_replacement_works_or_where_that_is_said(project):
    project.done("add-key", provider="openai", key="file:key1")
    assert "is the only key" in project.plan("revoke-key", provider="openai", key="pk_openai_1").blockers[0]
    refused = project.plan("revoke-key", provider="openai", key="pk_openai_1", replacement="file:key6")
    assert "does not take the key at file:key6" in refused.blockers[0]
    plan = project.plan("revoke-key", provider="openai", key="pk_openai_1", replacement="file:key2")
    assert [part.needs for part in plan.parts] == [(), ("1",)]
    project.double.always(fail(401), key=key(2))
    outcome = project.app.apply(plan, by="test", approved=True)
    assert [part.status for part in outcome.parts] == ["failed", "skipped"]
    assert project.states() == {"pk_openai_1": "active"}
    project.done("revoke-key", provider="openai", key="pk_openai_1", even_last=True)
    assert project.states() == {"pk_openai_1": "revoked"}


def test_a_broken_replacement_does_not_keep_a_leak_open_where_another_key_is_there(project):
    project.done("add-key", provider="openai", key="file:key1")
    project.done("add-key", provider="openai", key="file:key3")
    plan = project.plan("revoke-key", provider="openai", key="pk_openai_1", replacement="file:key2")
    project.double.always(fail(401), key=key(2))
    outcome = project.app.apply(plan, by="test", approved=True)
    assert [part.status for part in outcome.parts] == ["failed", "done"]
    assert project.states() == {"pk_openai_1": "revoked", "pk_openai_2": "active"}


def test_a_revocation_stays_whoever_does_not_follow_and_so_does_its_replacement(project):
    project.done("add-key", provider="openai", key="file:key1")
    plan = project.plan("revoke-key", provider="openai", key="pk_openai_1", replacement="file:key2")
    with Follower(project, senders=0) as gateway:
        wait_until(lambda: gateway.config.revision > 0)
        first, second = plan.parts
        project.app.apply(first, by="test")
        gateway.deaf = True
        outcome = project.app.apply(
            hurried(second.model_copy(update={"needs": ()})), by="test", approved=True
        )
    assert outcome.status in ("failed", "undone")
    assert "works by revision" in told(outcome)[0][1]
    assert project.states() == {"pk_openai_1": "revoked", "pk_openai_2": "active"}


def test_it_says_where_to_delete_it_and_then_whether_it_is_dead(project):
    project.done("add-key", provider="openai", key="file:key1")
    plan = project.plan("revoke-key", provider="openai", key="pk_openai_1", replacement="file:key2")
    (finding,) = [one for part in plan.parts for one in part.findings if one.rule == "delete-at-provider"]
    assert "Delete it now at the console of 127.0.0.1" in finding.instead
    project.app.apply(plan, by="test", approved=True)
    assert "gone-key-alive" in rules(project.plan("check-keys"))
    project.double.keys = {key(2), key(5)}
    assert rules(project.plan("check-keys")) == set()


def rules(plan):
    return {one.rule for one in plan.findings}


# -- re-sealed ---------------------------------------------------------------------------------------------------------------------


def test_the_sealing_key_changes_under_running_gateways_and_back(project):
    project.done("add-key", provider="openai", key="file:key1")
    project.done("add-key", provider="openai", key="file:key2")
    with Follower(project, senders=2) as gateway:
        outcome = project.done("rewrap-keys", to="file:.datareeve/gateway-2.kek")
        gateway.wait_for(20)
        (project.folder / ".datareeve" / "gateway.kek").rename(project.folder / "old.kek")
        project.control.perform(
            "set_key_state", run="r", provider="openai", key="pk_openai_2", state="draining"
        )
        gateway.wait_for(20)
        assert gateway.problems == {}
    assert set(gateway.statuses) == {200}
    assert project.control.read("unopened") == {}
    assert (
        "sealed with file:.datareeve/gateway-2.kek"
        in project.plan("rewrap-keys", to="file:.datareeve/gateway-2.kek").nothing_to_do
    )
    (project.folder / "old.kek").rename(project.folder / ".datareeve" / "gateway.kek")
    project.undone(outcome)
    assert project.control.read("wrapped", reference="file:.datareeve/gateway.kek", only=True)
    assert not (project.folder / ".datareeve" / "gateway-2.kek").exists()
    assert project.control.read("unopened") == {}


def test_a_gateway_that_cannot_have_the_new_sealing_key_stops_it(project):
    project.done("add-key", provider="openai", key="file:key1")
    plan = hurried(project.plan("rewrap-keys", to="file:.datareeve/gateway-2.kek"))
    with Follower(project, senders=1) as gateway:
        resolve = gateway.resolve
        gateway.resolve = lambda reference: blind(resolve)(
            reference.replace("gateway-2.kek", "no/gateway.kek")
        )
        outcome = project.app.apply(plan, by="test")
        gateway.wait_for(10)
    assert outcome.parts[0].status == "undone", told(outcome)
    assert "cannot read pk_openai_1" in told(outcome)[0][1]
    assert project.control.read("wrapped", reference="file:.datareeve/gateway.kek", only=True)
    assert set(gateway.statuses) == {200}


def test_with_a_lost_sealing_key_nothing_is_tried(project):
    project.done("add-key", provider="openai", key="file:key1")
    (project.folder / ".datareeve" / "gateway.kek").unlink()
    assert (
        "Not every key opens" in project.plan("rewrap-keys", to="file:.datareeve/gateway-2.kek").blockers[0]
    )
    assert "key-unread" in rules(project.plan("check-keys"))


# -- issued ------------------------------------------------------------------------------------------------------------------------


def test_a_virtual_key_is_written_once_to_its_owner_and_known_here_by_its_digest(project):
    outcome = project.done("issue-virtual-key", for_name="checkout", team="shop", models=["chat"], requests_per_minute=9, valid_days=30, usd_per_month=5)  # fmt: skip
    path = project.folder / ".datareeve" / "secrets" / "checkout.key"
    text = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(text) == 59
    (known,) = project.control.read("virtual_keys")
    assert (known["id"], known["state"], known["models"]) == (text[3:15], "valid", ["chat"])
    with Follower(project, senders=0) as gateway:
        found = gateway.config.virtual_keys[text[3:15]]
        assert (found.name, found.team, found.requests_per_minute) == ("checkout", "shop", 9)
        assert gateway.config.budgets["key checkout"].usd == 5
    assert text.rpartition("-")[2] not in project.everything_told() + json.dumps(known)
    assert project.plan(
        "issue-virtual-key",
        for_name="checkout",
        team="shop",
        models=["chat"],
        requests_per_minute=9,
        usd_per_month=5,
    ).nothing_to_do
    project.undone(outcome)
    assert project.control.read("virtual_keys") == []
    assert not path.exists()


def test_a_killed_worker_never_leaves_two_keys_or_a_file_without_one(project):
    plan = project.plan("issue-virtual-key", for_name="app")
    step = next(step for step in plan.steps if step.id.startswith("issue"))
    project.control.perform("issue_virtual_key", run="r", **step.call.arguments)
    first = Path(project.folder / ".datareeve/secrets/app.key").read_text()
    project.control.perform("issue_virtual_key", run="r", **step.call.arguments)
    assert Path(project.folder / ".datareeve/secrets/app.key").read_text() == first
    project.control.perform("withdraw_virtual_key", run="r", **step.undo[0].arguments)
    project.control.perform("withdraw_virtual_key", run="r", **step.undo[0].arguments)
    assert project.control.read("virtual_keys") == []
    assert project.control.read("file_free", path=".datareeve/secrets/app.key")


def test_a_file_of_somebody_else_is_neither_overwritten_nor_removed(project):
    path = project.folder / ".datareeve" / "secrets" / "app.key"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    plan = project.plan("issue-virtual-key", for_name="app")
    assert "There is a file" in plan.blockers[0]
    project.control.perform(
        "withdraw_virtual_key", run="r", key="abcdefghijkl", path=".datareeve/secrets/app.key"
    )
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "to", ["../app.key", "/etc/app.key", "estate.yaml", ".datareeve/ledger.sqlite", "src/app.key"]
)
def test_a_key_is_written_only_where_the_authority_lets_it(project, to):
    with pytest.raises(Exception, match=r"leads out|outside the folders"):
        project.plan("issue-virtual-key", for_name="app", to=to)


def test_other_limits_are_given_only_when_that_is_said(project):
    project.done("issue-virtual-key", for_name="app", models=["chat"], requests_per_minute=9)
    assert (
        "another models, requests_per_minute" in project.plan("issue-virtual-key", for_name="app").blockers[0]
    )
    path = project.folder / ".datareeve" / "secrets" / "app.key"
    text = path.read_text()
    outcome = project.done("issue-virtual-key", for_name="app", requests_per_minute=20, change=True)
    (known,) = project.control.read("virtual_keys")
    assert (known["requests_per_minute"], path.read_text()) == (20, text)
    assert known["models"] == ["chat"]  # what is not said stays
    project.undone(outcome)
    (known,) = project.control.read("virtual_keys")
    assert known["requests_per_minute"] == 9


def test_a_revoked_virtual_key_opens_nothing_and_its_name_is_free_for_another(project):
    project.done("issue-virtual-key", for_name="app", to="data/app.key")
    with Follower(project, senders=0) as gateway:
        outcome = project.done("revoke-virtual-key", key="app")
        assert [one.revoked for one in gateway.config.virtual_keys.values()] == [True]
    assert "is revoked" in project.plan("revoke-virtual-key", key="app").nothing_to_do
    project.undone(outcome)
    assert [one["state"] for one in project.control.read("virtual_keys")] == ["valid"]
    project.done("revoke-virtual-key", key="app")
    project.done("issue-virtual-key", for_name="app")
    assert [one["state"] for one in project.control.read("virtual_keys")] == ["revoked", "valid"]
    assert "No key has" in project.plan("revoke-virtual-key", key="nobody").blockers[0]


# -- providers ---------------------------------------------------------------------------------------------------------------------


def test_a_provider_is_declared_with_its_key_sealed_and_taken_out_again(project):
    before = (project.folder / "estate.yaml").read_text()
    inputs = {"kind": "openai", "provider": "azure", "base_url": project.double.openai_url, "auth": "api-key", "key": "file:key3", "query": {"api-version": "1"}}  # fmt: skip
    with Follower(project, senders=0) as gateway:
        outcome = project.done("add-provider", **inputs)
        azure = gateway.config.providers["azure"]
        assert (azure.auth, [one.id for one in azure.keys]) == ("api-key", ["pk_azure_1"])
    assert "key3" not in (project.folder / "estate.yaml").read_text()
    assert project.plan("add-provider", **inputs).nothing_to_do == "azure is declared so."
    assert (
        "declared with another auth"
        in project.plan("add-provider", **{**inputs, "auth": "bearer"}).blockers[0]
    )
    project.undone(outcome)
    assert estates.parse((project.folder / "estate.yaml").read_text()) == estates.parse(before)
    assert project.states("azure") == {}


def test_a_provider_without_keys_and_one_by_reference(project):
    project.double.keys = None
    project.done("add-provider", kind="openai", provider="local", base_url=project.double.openai_url)
    project.done(
        "add-provider",
        kind="anthropic",
        provider="claude2",
        base_url=project.double.anthropic_url,
        key="file:key4",
        by_reference=True,
    )
    assert project.states("claude2") == {"estate:file:key4": "active"}
    assert "asks for no key" in project.plan("add-key", provider="local", key="file:key1").blockers[0]


def test_a_key_is_shown_to_a_new_address_only_after_a_person_approved_it(project, monkeypatch):
    """Planning is free for everybody, an agent included: it sends no secret to an address of the asker's choice."""
    asked = []
    monkeypatch.setattr(
        socket.socket, "connect", lambda _self, place: asked.append(place) or (_ for _ in ()).throw(OSError)
    )
    plan = project.plan(
        "add-provider", kind="openai", provider="other", base_url="https://keys.example/v1", key="file:key1"
    )
    assert asked == []
    assert plan.needs_person
    assert "key-to-new-address" in rules(plan)
    with pytest.raises(NeedsApproval):
        project.app.apply(plan, by="test")
    assert asked == []


@pytest.mark.parametrize("to", ["file:/etc/cron.d/x", "file:../x", "file:estate.yaml", "file:src/x"])
def test_a_sealing_key_is_made_only_where_files_may_be_written(project, to):
    plan = project.plan("rewrap-keys", to=to)
    outcome = None if plan.blockers else project.app.apply(plan, by="test")
    assert outcome is None or outcome.parts[0].status == "undone"
    assert not Path("/etc/cron.d/x").exists()
    assert not (project.folder.parent / "x").exists()
    assert estates.load(project.folder / "estate.yaml").systems


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"kind": "openai", "base_url": "ftp://x"}, "starts with http"),
        ({"kind": "openai", "base_url": "https://user:pw@x/v1"}, "holds no user"),
        ({"kind": "openai", "provider": "ledger"}, "always there"),
        ({"kind": "openai", "provider": "Open AI"}, "pattern"),
        ({"kind": "openai", "headers": {"x": "a\r\nb"}}, "line break"),
        ({"kind": "openai", "key": "sk-canary7f3a"}, "pattern"),
        (
            {"kind": "openai", "headers": {"Authorization": "Bearer canary7f3a"}},
            "the header Authorization shows a key",
        ),
    ],
)
def test_what_cannot_be_declared_is_refused_at_the_door(project, inputs, said):
    with pytest.raises(BadInput, match=said) as error:
        project.plan("add-provider", **inputs)
    assert CANARY not in str(error.value)


# -- evidence ----------------------------------------------------------------------------------------------------------------------


def test_what_was_claimed_can_be_asked_again(project):
    outcome = project.done("add-key", provider="openai", key="file:key1")
    assert all(check.verdict == "holds" for check in project.app.recheck(outcome.run))
    claim = Claim(text="x", call=Call(system="openai", action="probe", arguments={"key": "pk_openai_1"}))
    assert project.app.systems["openai"].read(claim.call.action, **claim.call.arguments)["ok"] is True


def test_check_keys_lists_everything_and_complains_of_nothing_that_is_well(project):
    project.done("add-key", provider="openai", key="file:key1", label="main")
    project.done("issue-virtual-key", for_name="app", requests_per_minute=5)
    plan = project.plan("check-keys")
    assert plan.summary == "2 keys of 2 providers, 2 of 2 in use work; 1 virtual key valid; 0 findings."
    assert rules(plan) == set()
    row = next(row for row in plan.figures["keys"] if row["id"] == "pk_openai_1")
    assert row == {"id": "pk_openai_1", "provider": "openai", "label": "main", "state": "active", "says": "works", "ends": "", "requests": 0, "failed": 0}  # fmt: skip
    assert CANARY not in plan.model_dump_json()
    project.double.keys = set()
    assert rules(project.plan("check-keys")) == {"key-refused"}
    assert rules(project.plan("check-keys", probe=False)) == set()
