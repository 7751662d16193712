"""The gateway's store, in SQLite and in PostgreSQL: keys, revision, processes, and what happens when it cannot be used."""

from __future__ import annotations

import dataclasses
import stat
import threading

import pytest

from datareeve.core.errors import BadInput, Failed, Unreachable
from datareeve.core.secrets import Secret
from datareeve.systems.gateway_store import GatewayStore, Instance, StoredProviderKey, StoredVirtualKey

KEY = StoredProviderKey(id="pk_1", provider="openai", sealed="v1.k1.d1.abc", name="first")
VIRTUAL = StoredVirtualKey(
    id="a1b2c3d4e5f6",
    digest=bytes(range(32)),
    name="checkout",
    team="shop",
    models=("gpt-*", "fast"),
    requests_per_minute=60,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    return (
        tmp_path / "deep" / "gateway.sqlite"
        if request.param == "sqlite"
        else request.getfixturevalue("database")
    )


@pytest.fixture
def store(where):
    store = GatewayStore.open(where)
    yield store
    store.close()


def test_a_provider_key_comes_back_as_it_was_put_in(store):
    assert store.add_provider_key(KEY)
    (found,) = store.provider_keys()
    assert dataclasses.replace(found, added_at=0.0, changed_at=0.0) == KEY
    assert found.added_at == found.changed_at > 1e9
    assert store.provider_keys("openai") == [found]
    assert store.provider_keys("claude") == []


def test_adding_a_key_twice_is_quiet_and_changes_nothing(store):
    store.add_provider_key(KEY)
    before = store.revision()
    assert not store.add_provider_key(dataclasses.replace(KEY, sealed="another"))
    assert store.provider_keys()[0].sealed == KEY.sealed
    assert store.revision() == before


def test_each_change_of_a_key_bumps_the_revision_by_one_and_what_changes_nothing_does_not(store):
    seen = [store.revision()]

    def bumped(_outcome):
        seen.append(store.revision())
        return seen[-1] - seen[-2]

    assert bumped(store.add_provider_key(KEY)) == 1
    assert bumped(store.set_key_state("pk_1", "draining")) == 1
    assert bumped(store.set_key_state("pk_1", "draining")) == 0
    assert bumped(store.set_key_state("pk_1", "retired", expected="active")) == 0
    assert bumped(store.set_key_state("pk_1", "active", expected="draining")) == 1
    assert bumped(store.set_key_expiry("pk_1", 2e9)) == 1
    assert bumped(store.note_probe("pk_1", ok=True, status=200)) == 0
    assert bumped(store.rewrap_provider_keys({"pk_1": (KEY.sealed, "v1.k2")})) == 1
    assert bumped(store.rewrap_provider_keys({"pk_1": (KEY.sealed, "v1.k3")})) == 0
    assert bumped(store.add_virtual_key(VIRTUAL)) == 1
    assert bumped(store.add_virtual_key(VIRTUAL)) == 0
    assert bumped(store.revoke_virtual_key(VIRTUAL.id)) == 1
    assert bumped(store.revoke_virtual_key(VIRTUAL.id)) == 0
    assert bumped(store.restore_virtual_key(VIRTUAL.id)) == 1
    assert bumped(store.change_virtual_key(dataclasses.replace(VIRTUAL, models=("fast",)))) == 1
    assert bumped(store.remove_virtual_key(VIRTUAL.id)) == 1
    assert bumped(store.remove_provider_key("pk_1")) == 1
    assert bumped(store.remove_provider_key("pk_1")) == 0
    assert bumped(store.heartbeat(Instance(id="i"))) == 0


def test_a_state_that_is_none_is_refused(store):
    with pytest.raises(BadInput, match="active, draining, retired, revoked"):
        store.set_key_state("pk_1", "gone")


def test_a_virtual_key_comes_back_as_it_was_put_in(store):
    store.add_virtual_key(VIRTUAL)
    (found,) = store.virtual_keys()
    assert dataclasses.replace(found, added_at=0.0) == VIRTUAL
    store.revoke_virtual_key(VIRTUAL.id)
    assert store.virtual_keys()[0].revoked_at > 1e9


def test_what_a_probe_said_is_kept_with_the_key(store):
    store.add_provider_key(KEY)
    store.note_probe("pk_1", ok=False, status=401)
    (found,) = store.provider_keys()
    assert (found.probe_ok, found.probe_status, found.probed_at > 1e9) == (False, 401, True)


def test_processes_that_beat_are_listed_and_those_that_ended_are_not(store):
    store.heartbeat(Instance(id="a", host="h", pid=7, revision=3))
    store.heartbeat(Instance(id="b"))
    store.heartbeat(Instance(id="a", host="h", pid=7, revision=4, behind=12))
    store.instance_stopped("b")
    (one,) = store.instances()
    assert (one.id, one.pid, one.revision, one.behind, one.stopped_at) == ("a", 7, 4, 12, None)
    assert [i.id for i in store.instances(stopped=True)] == ["a", "b"]
    assert store.instances(seconds=-1) == []
    assert store.forget_instances(seconds=-1) == 2


def test_a_transaction_that_fails_leaves_nothing_and_the_revision(store):
    before = store.revision()

    def fail():
        with store._changing() as change:
            change("DELETE FROM meta WHERE name = 'schema'")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.revision() == before
    with store.reading() as t:
        assert t.rows("SELECT 1 AS one FROM meta WHERE name = 'schema'") == [{"one": 1}]


def test_eight_threads_lose_no_bump(store):
    def add(number):
        for n in range(10):
            store.add_provider_key(dataclasses.replace(KEY, id=f"pk_{number}_{n}"))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.revision() == len(store.provider_keys()) == 80


def test_a_store_opened_again_has_what_was_in_it(where):
    for _ in range(2):
        store = GatewayStore.open(where)
        store.add_provider_key(KEY)
        store.close()
    store = GatewayStore.open(where)
    assert (store.revision(), len(store.provider_keys())) == (1, 1)
    store.close()


def test_many_that_open_a_new_store_at_once_make_it_once(where):
    failed = []

    def open_it():
        try:
            GatewayStore.open(where).close()
        except Failed as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_store_of_a_newer_version_is_left_alone(store, where):
    with store.transaction() as t:
        t.run("UPDATE meta SET value = 99 WHERE name = 'schema'")
    with pytest.raises(BadInput, match="newer Datareeve"):
        GatewayStore.open(where)


def test_only_the_owner_may_read_the_file(tmp_path):
    store = GatewayStore.open(tmp_path / "gateway.sqlite")
    store.add_provider_key(KEY)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    store.close()
    assert modes == {0o600}


@pytest.mark.parametrize("where", ["mysql://host/db", "sqlite:///", ""])
def test_what_is_no_store_is_refused_by_name(where):
    with pytest.raises(BadInput) as caught:
        GatewayStore.open(where)
    assert caught.value.code == "gateway-store.url"


def test_a_server_that_is_not_there_is_told_without_the_password():
    with pytest.raises(Unreachable) as caught:
        GatewayStore.open("postgresql://someone@127.0.0.1:1/none", Secret("hunter2"))
    assert caught.value.code == "gateway-store.unreachable"
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "gateway.sqlite").write_text("this is a letter, not a database\n" * 200)
    with pytest.raises(Failed) as caught:
        GatewayStore.open(tmp_path / "gateway.sqlite")
    assert caught.value.code == "gateway-store.damaged"


def test_a_connection_that_the_server_closed_is_replaced_before_anything_is_done(database):
    store = GatewayStore.open(database)
    store.add_provider_key(KEY)
    with store.transaction() as t:
        me = t.rows("SELECT pg_backend_pid() AS pid")[0]["pid"]
    other = GatewayStore.open(database)
    with other.transaction() as t:
        t.run("SELECT pg_terminate_backend(:pid, 5000)", pid=me)
    assert store.set_key_state("pk_1", "retired")
    store.close()
    other.close()
