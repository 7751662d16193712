"""The PgBouncer adapter: what it says and refuses, and that a process that is not ours is left alone."""

import os

import pytest

import servers
from datareeve.core.errors import BadInput, DatareeveError, Failed
from datareeve.systems import pg_server

pytestmark = pytest.mark.system


@pytest.fixture
def pool(systems):
    adapter = systems["app-pool"]
    yield adapter
    adapter.perform("stop", run="r1")


def write_ini(pool, port, *lines):
    target = pool.read("target")
    text = f"[databases]\n{target['dbname']} = host={target['host']} port={target['port']}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
    text += f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nstats_users = postgres\ndefault_pool_size = 3\n"
    pool.ini.parent.mkdir(parents=True, exist_ok=True)
    pool.ini.write_text(text + "".join(f"{line}\n" for line in lines))


def test_a_pool_is_known_by_its_databases_name_before_it_is_declared(systems):
    assert systems["app-pool"].entry.database == "app"
    with pytest.raises(BadInput, match="no system 'other-pool'"):
        systems["other-pool"]


def test_it_starts_says_what_it_does_and_stops(pool, database):
    assert pool.read("installed")["version"] >= [1, 12, 0]
    write_ini(pool, port := pg_server.free_port())
    assert not pool.read("running")
    pool.perform("start", run="r1")
    assert pool.read("running")
    assert not pool.read("port_taken", port=port)
    assert pool.read("ask", sql="SELECT 40 + 2") == 42
    name = database.rsplit("/", 1)[1]
    assert [row["pool_mode"] for row in pool.read("show", what="POOLS") if row["database"] == name] == [
        "session"
    ]
    assert pool.read("configured", name="listen_port") == str(port)
    assert pool.read("configured", name="no_such_setting") is None
    pool.perform("stop", run="r1")
    assert not pool.read("running")
    pool.perform("stop", run="r1")


def test_starting_twice_is_starting_once_and_another_port_is_taken_over(pool):
    write_ini(pool, pg_server.free_port())
    pool.perform("start", run="r1")
    first = pool._process().pid
    pool.perform("start", run="r1")
    assert pool._process().pid == first
    write_ini(pool, port := pg_server.free_port())
    pool.perform("start", run="r1")
    assert pool.read("configured", name="listen_port") == str(port)


def test_it_serves_the_file_it_was_started_with_and_no_other(pool, systems):
    write_ini(pool, port := pg_server.free_port())
    pool.perform("start", run="r1")
    digest = systems["files"].read("digest", path="data/pgbouncer/app-pool.ini")
    assert pool.read("serves", digest=digest)
    write_ini(pool, port, "query_wait_timeout = 7")
    changed = systems["files"].read("digest", path="data/pgbouncer/app-pool.ini")
    assert not pool.read("serves", digest=changed)


def test_only_reading_goes_through_ask(pool):
    write_ini(pool, pg_server.free_port())
    pool.perform("start", run="r1")
    with pytest.raises(DatareeveError) as refusal:
        pool.read("ask", sql="CREATE TABLE t (a int)")
    assert refusal.value.code == "postgres.read-only"


def test_a_configuration_that_pgbouncer_refuses_is_told_with_the_place_of_its_log(pool):
    write_ini(pool, pg_server.free_port(), "pool_mode = sideways")
    with pytest.raises(Failed):
        pool.perform("start", run="r1")
    assert not pool.read("running")


def test_another_program_with_a_remembered_process_id_is_not_ours(pool):
    write_ini(pool, pg_server.free_port())
    pool.perform("start", run="r1")
    remembered = pool._folder / "pid"
    own = remembered.read_text()
    remembered.write_text(str(os.getpid()))
    assert not pool.read("running")
    remembered.write_text(own)


def test_what_is_not_shown_is_refused(pool):
    with pytest.raises(BadInput, match="is not shown"):
        pool.read("show", what="POOLS; SHUTDOWN")


def test_the_place_of_the_database_comes_from_its_url(tmp_path):
    systems = servers.registry(tmp_path, "postgresql://app@db.internal:5433/shop?sslmode=verify-full")
    assert systems["app-pool"].read("target") == {
        "host": "db.internal",
        "port": 5433,
        "dbname": "shop",
        "user": "app",
        "sslmode": "verify-full",
    }
