"""The gateway as a system: who has to follow, what is kept when, and what a hostile or odd world cannot do."""

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ai_keys_rig
from ai_keys_rig import CANARY, key
from datareeve.core import estate as estates
from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused
from datareeve.systems.gateway_process import estate_digest
from datareeve.systems.gateway_store import Instance, StoredProviderKey


@pytest.fixture
def project(tmp_path):
    with ai_keys_rig.keys(tmp_path) as made:
        yield made


@pytest.fixture
def control(project):
    return project.control


def do(control, action, **arguments):
    return control.perform(action, run="test", **arguments)


def add(control, name="pk_openai_1", number=1, state="active"):
    if control.read("kek")["id"] is None:
        do(control, "make_kek", reference="file:.datareeve/gateway.kek")
    do(control, "add_provider_key", key=name, provider="openai", reference=f"file:key{number}")
    do(control, "set_key_state", provider="openai", key=name, state=state)


def beat(project, **changed):
    """An instance that works by everything as it is, but for what is changed."""
    store = project.control._store
    digest = estate_digest(estates.load(project.folder / "estate.yaml"))
    plain = Instance(id="gw_1", host="elsewhere", pid=1, revision=store.revision(), estate=digest)
    store.heartbeat(dataclasses.replace(plain, **changed))


# -- who has to follow -------------------------------------------------------------------------------------------------------------


def test_where_no_gateway_runs_nobody_is_behind_and_nothing_is_made_by_looking(project, control):
    assert control.read("behind") == []
    assert control.read("gateways") == []
    assert control.read("provider_keys", provider="openai") == []
    assert not (project.folder / ".datareeve" / "gateway.sqlite").exists()
    assert do(control, "follow")["gateways"] == 0


@pytest.mark.parametrize(
    ("changed", "asked", "said"),
    [
        ({}, {}, None),
        ({"revision": 0}, {}, "works by revision 0 of 2"),
        ({"estate": "another"}, {}, None),
        ({"estate": "another"}, {"estate": True}, "works by another estate.yaml"),
        ({"detail": json.dumps({"problems": {"pk_openai_1": "x"}})}, {}, None),
        ({"detail": json.dumps({"problems": {"pk_openai_1": "x"}})}, {"keys": ["pk_openai_1"]}, "cannot read pk_openai_1"),
        ({"detail": "no JSON"}, {"keys": ["pk_openai_1"]}, None),
        ({"detail": '{"problems": [1]}'}, {"keys": ["pk_openai_1"]}, None),
        ({"revision": 0, "host": socket.gethostname(), "pid": 2**22 + 1}, {}, None),
        ({"revision": 0, "host": socket.gethostname(), "pid": os.getpid()}, {}, "works by revision 0 of 2"),
    ],
)  # fmt: skip
def test_who_is_behind_is_told_with_the_reason(project, control, changed, asked, said):
    add(control)
    beat(project, **changed)
    behind = control.read("behind", **asked)
    assert (behind == []) is (said is None), behind
    assert said is None or said in behind[0]


def test_a_gateway_that_has_stopped_need_not_follow(project, control):
    add(control)
    beat(project, revision=0)
    control._store.instance_stopped("gw_1")
    assert control.read("behind") == []


def test_following_ends_with_the_reason_where_it_does_not_come(project, control):
    add(control)
    beat(project, revision=0)
    with pytest.raises(
        Failed, match=r"After 0.1 s: gw_1 \(elsewhere, pid 1\) works by revision 0 of 2"
    ) as error:
        do(control, "follow", seconds=0.1)
    assert error.value.code == "gateway.behind"


def test_draining_waits_for_the_requests_of_all_gateways(project, control):
    add(control)
    beat(project, detail=json.dumps({"in_flight": {"pk_openai_1": 2}}))
    beat(project, id="gw_2", detail=json.dumps({"in_flight": {"pk_openai_1": 1, "other": 5}}))
    assert control.read("in_flight", key="pk_openai_1") == 3
    with pytest.raises(Failed, match="3 requests with pk_openai_1 are still under way"):
        do(control, "follow", drained="pk_openai_1", drain_seconds=0.1)


# -- keys --------------------------------------------------------------------------------------------------------------------------


def test_what_goes_out_of_a_key_is_never_its_text_or_its_seal(control):
    add(control)
    said = json.dumps([control.read("provider_keys"), control.read("kek"), control.read("probe", provider="openai", key="pk_openai_1")])  # fmt: skip
    assert CANARY not in said
    assert "v1." not in said


def test_a_key_in_use_is_not_removed_and_removing_twice_is_quiet(control):
    add(control)
    with pytest.raises(Failed, match="pk_openai_1 is in use"):
        do(control, "remove_provider_key", key="pk_openai_1")
    do(control, "set_key_state", provider="openai", key="pk_openai_1", state="retired")
    do(control, "remove_provider_key", key="pk_openai_1")
    do(control, "remove_provider_key", key="pk_openai_1")
    assert control.read("provider_keys", provider="openai") == []


@pytest.mark.parametrize(
    ("other", "last"),
    [(None, True), ("retired", True), ("draining", True), ("revoked", True), ("active", False)],
)
def test_the_last_key_that_works_stays_in_use(control, other, last):
    add(control)
    if other:
        add(control, "pk_openai_2", 2, other)
    refused = pytest.raises(Failed, match="no other key that works") if last else contextlib.nullcontext()
    with refused:
        do(control, "set_key_state", provider="openai", key="pk_openai_1", state="retired", not_last=True)
    assert control.read("key_state", provider="openai", key="pk_openai_1") == (
        "active" if last else "retired"
    )


def test_a_key_that_was_refused_does_not_count_as_another(project, control):
    add(control)
    add(control, "pk_openai_2", 6)
    with pytest.raises(Failed, match="openai does not take pk_openai_2"):
        do(control, "try_key", provider="openai", key="pk_openai_2")
    with pytest.raises(Failed, match="no other key"):
        do(control, "set_key_state", provider="openai", key="pk_openai_1", state="retired", not_last=True)


def test_a_key_is_found_by_its_text_wherever_it_is_kept(project, control):
    assert control.read("find_key", provider="claude", reference="file:key5") == "estate:file:key5"
    add(control)
    (project.folder / "copy").write_text(key(1))
    assert control.read("find_key", provider="openai", reference="file:copy") == "pk_openai_1"
    assert control.read("find_key", provider="openai", reference="file:key2") is None


def test_a_row_that_somebody_wrote_into_the_store_does_not_open_and_stops_nothing(project, control):
    add(control)
    stolen = control._store.provider_keys()[0].sealed
    for name, sealed in (("pk_claude_9", stolen), ("pk_claude_8", "v1.forged"), ("pk_claude_7", "")):
        control._store.add_provider_key(StoredProviderKey(id=name, provider="claude", sealed=sealed))
    assert {name: why.split(":")[0] for name, why in control.read("unopened").items()} == {
        "pk_claude_9": "sealed.damaged",
        "pk_claude_8": "sealed.malformed",
        "pk_claude_7": "sealed.malformed",
    }
    assert len(control.read("provider_keys")) == 5
    assert project.plan("check-keys").findings


@pytest.mark.parametrize("text", ["two words", "sk\r\nx-evil: 1", ""])
def test_what_is_no_key_is_not_taken_in(project, control, text):
    (project.folder / "odd").write_text(text)
    do(control, "make_kek", reference="file:.datareeve/gateway.kek")
    with pytest.raises(BadInput):
        do(control, "add_provider_key", key="pk_x", provider="openai", reference="file:odd")
    assert control.read("provider_keys", provider="openai") == []


def test_a_system_of_the_estate_is_asked_with_its_own_keys(project, control):
    assert project.app.systems["claude"].read("probe")["ok"] is True
    assert project.app.systems["openai"].read("probe")["ok"] is False
    add(control)
    assert project.app.systems["openai"].read("probe")["ok"] is True
    assert "double-small" in project.app.systems["openai"].read("models")
    with pytest.raises(BadInput, match="no AI provider 'gemini'"):
        control.read("probe", provider="gemini")


# -- the sealing key ---------------------------------------------------------------------------------------------------------------


def test_a_sealing_key_that_others_may_read_is_told(project, control):
    add(control)
    assert control.read("kek")["private"]
    (project.folder / ".datareeve" / "gateway.kek").chmod(0o644)
    assert not control.read("kek")["private"]
    assert "sealing-key-open" in {one.rule for one in project.plan("check-keys").findings}


def test_a_sealing_key_is_made_only_in_a_file_and_never_over_another(project, control):
    with pytest.raises(BadInput, match="can only be made in a file"):
        do(control, "make_kek", reference="env:NO_SUCH_KEK")
    mine = project.folder / "data" / "mine"
    mine.parent.mkdir()
    mine.write_text("not a key")
    do(control, "make_kek", reference="file:data/mine")
    assert mine.read_text() == "not a key"
    assert control.read("kek", reference="file:data/mine")["problem"].startswith("kek.malformed")
    assert do(control, "remove_kek", reference="file:data/mine") == {"kept": True}
    with pytest.raises(Refused, match="outside the folders"):
        do(control, "make_kek", reference="file:elsewhere.kek")


def test_a_sealing_key_that_opens_something_stays(project, control):
    add(control)
    assert do(control, "remove_kek", reference="file:.datareeve/gateway.kek") == {"kept": True}
    assert control.read("unopened") == {}


def test_a_key_that_was_added_while_the_seal_changes_is_wrapped_too(project, control):
    add(control)
    do(control, "make_kek", reference="file:.datareeve/two.kek")
    assert do(control, "wrap_also", reference="file:.datareeve/two.kek") == {"rows": 1}
    add(control, "pk_openai_2", 2)
    assert not control.read("wrapped", reference="file:.datareeve/two.kek")
    assert do(control, "wrap_also", reference="file:.datareeve/two.kek") == {"rows": 1}
    assert control.read("wrapped", reference="file:.datareeve/two.kek")
    assert not control.read("wrapped", reference="file:.datareeve/two.kek", only=True)


# -- virtual keys and files --------------------------------------------------------------------------------------------------------


def test_a_link_out_of_the_project_is_not_followed(project, control, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (project.folder / "data").symlink_to(outside)
    with pytest.raises(Refused):
        do(control, "issue_virtual_key", key="abcdefghijkl", path="data/app.key", name="app", models=["*"])
    assert list(outside.iterdir()) == []
    assert control.read("virtual_keys") == []


def test_a_file_that_is_there_is_not_written_over_and_no_key_is_made(project, control):
    (project.folder / "data").mkdir()
    (project.folder / "data" / "app.key").write_text("mine")
    with pytest.raises(Failed, match="File exists"):
        do(control, "issue_virtual_key", key="abcdefghijkl", path="data/app.key", name="app", models=["*"])
    assert (project.folder / "data" / "app.key").read_text() == "mine"
    assert control.read("virtual_keys") == []


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_any_path_is_allowed_or_refused_in_words(path):
    with contextlib.suppress(DatareeveError):
        file = ROOTED.control._key_file(path)
        assert file.is_relative_to(ROOTED.control.project / ".datareeve" / "secrets") or set(file.parts) & {"data", "etl", "migrations"}  # fmt: skip


class ROOTED:
    """A project that is only looked at."""

    control = None


@pytest.fixture(autouse=True, scope="module")
def _rooted(tmp_path_factory):
    with ai_keys_rig.keys(tmp_path_factory.mktemp("rooted")) as made:
        ROOTED.control = made.control
        yield


def test_two_issuers_of_one_name_make_one_key(project):
    """Two processes plan the same; the lease and the requirement let one of them do it."""
    code = (
        "import sys; from pathlib import Path; from datareeve.app import App\n"
        "app = App.open(Path(sys.argv[1])); op = app.catalogue.make('ai.issue-virtual-key', {'for_name': 'app'})\n"
        "plan = app.preview(op); print('ready', flush=True); sys.stdin.readline()\n"
        "try: print(app.apply(plan, by='test').status)\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, project.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]  # fmt: skip
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in started]
    assert said.count("done") == 1
    assert len(project.control.read("virtual_keys")) == 1
    assert project.control.read("issued", key=project.control.read("virtual_keys")[0]["id"], path=".datareeve/secrets/app.key")  # fmt: skip


# -- a shared store ----------------------------------------------------------------------------------------------------------------


def test_two_machines_share_keys_through_postgresql(tmp_path, database):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    kek = f"file:{tmp_path}/shared.kek"
    with (
        ai_keys_rig.keys(one, store=database, kek=kek) as here,
        ai_keys_rig.keys(two, store=database, kek=kek) as there,
    ):
        here.done("add-key", provider="openai", key="file:key1")
        assert there.states() == {"pk_openai_1": "active"}
        assert there.control.read("works", provider="openai", key="pk_openai_1") is True
        there.done("issue-virtual-key", for_name="app")
        assert [one_["name"] for one_ in here.control.read("virtual_keys")] == ["app"]
        with ai_keys_rig.Follower(there) as gateway:
            here.done("rotate-key", provider="openai", new="file:key2")
            gateway.wait_for(10)
        assert set(gateway.statuses) == {200}
        assert there.states() == {"pk_openai_1": "retired", "pk_openai_2": "active"}
