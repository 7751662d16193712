"""A concurrent index build under locks, deadlocks and restarts; a session that another worker ended is not brought back."""

import threading
import time

import psycopg
import pytest

import servers
from datareeve.core.errors import DatareeveError, Failed

BUILD = 'CREATE INDEX CONCURRENTLY "t_a_idx" ON public.t (a)'
STATE = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('t_a_idx')"


@pytest.fixture
def table(database):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE t (a int)")
        app.execute("INSERT INTO t SELECT n FROM generate_series(1, 5000) AS n")
        yield app


def wait(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_build_waits_for_a_lock_cleans_up_and_tries_again(systems, database, table):
    """The invalid index of the attempt before would make every further one fail, for its name is taken."""
    with psycopg.connect(database) as holder:
        holder.execute("INSERT INTO t VALUES (0)")
        threading.Timer(0.5, holder.commit).start()
        systems["app"].perform("execute", run="r1", sql=BUILD, lock_timeout_ms=150, attempts=8)
        assert table.execute(STATE).fetchall() == [(True,)]


def test_a_lock_that_never_comes_says_who_holds_it_and_no_value(systems, database, table):
    with psycopg.connect(database, application_name="import") as holder:
        pid = holder.info.backend_pid
        holder.execute("INSERT INTO t VALUES (424242)")
        with pytest.raises(Failed) as caught:
            systems["app"].perform("execute", run="r1", sql=BUILD, lock_timeout_ms=200, attempts=1)
    assert caught.value.code == "postgres.lock-timeout"
    assert (
        caught.value.what
        == f"app: a lock was not granted in time; held by pid {pid} (import, idle in transaction)."
    )
    assert "424242" not in str(caught.value)


def test_a_quick_statement_opens_no_second_session(systems, table, monkeypatch):
    opened = []
    connect = systems["app"].connect
    monkeypatch.setattr(systems["app"], "connect", lambda **given: opened.append(given) or connect(**given))
    systems["app"].perform("execute", run="r1", sql="CREATE TABLE quick (a int)")
    assert [given["application_name"] for given in opened] == ["datareeve/r1"]


def test_other_statements_are_not_repeated_after_a_restart(systems, table):
    with pytest.raises(DatareeveError) as caught:
        systems["app"].perform("execute", run="r1", sql="SELECT pg_terminate_backend(pg_backend_pid())")
    assert caught.value.code == "postgres.lost"


def test_a_build_that_another_worker_ended_is_not_begun_again(systems, database, table):
    """`settle` ends the sessions of a worker that lost its run; the zombie must not build after the new one has."""
    caught = []

    def zombie():
        try:
            systems["app"].perform("execute", run="r1", sql=BUILD, lock_timeout_ms=10_000)
        except DatareeveError as error:
            caught.append(error.code)

    with psycopg.connect(database) as holder:
        holder.execute("INSERT INTO t VALUES (0)")
        worker = threading.Thread(target=zombie)
        worker.start()
        wait(lambda: table.execute(STATE).fetchall() == [(False,)])
        table.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'datareeve/r1'"
        )
        worker.join()
    assert caught == ["postgres.lost"]
    assert table.execute(STATE).fetchall() == [(False,)]


def test_a_build_outlives_a_restart_of_the_server(tmp_path):
    with servers.server() as server, server.database() as url:
        with psycopg.connect(url, autocommit=True) as app:
            app.execute("CREATE TABLE t AS SELECT n AS a FROM generate_series(1, 5000) AS n")
        registry = servers.registry(tmp_path, url)
        results = []
        worker = threading.Thread(
            target=lambda: results.append(
                registry["app"].perform("execute", run="r1", sql=BUILD, lock_timeout_ms=20_000)
            )
        )
        holder, look = psycopg.connect(url), psycopg.connect(url, autocommit=True)
        holder.execute("INSERT INTO t VALUES (0)")
        worker.start()
        wait(lambda: look.execute(STATE).fetchall() == [(False,)])
        server.local.restart()
        worker.join()
        for lost in (holder, look):
            lost.close()
        assert results == [{"rows": 0}]
        with psycopg.connect(url) as app:
            assert app.execute(STATE).fetchall() == [(True,)]
        registry.close()
