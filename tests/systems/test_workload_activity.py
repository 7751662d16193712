import threading
from contextlib import contextmanager

import psycopg
import pytest

import servers
from datareeve.capabilities.databases import workload
from datareeve.capabilities.databases.operations.record_workload import RecordWorkload, RecordWorkloadFacts
from datareeve.core.estate import WorkloadSource
from datareeve.systems import workload_activity


@contextmanager
def running(url, *statements):
    """Statements that run until the block ends, each in a session of the application's."""
    sessions = [psycopg.connect(url, autocommit=True, application_name="shop") for _ in statements]

    def ask(session, statement):
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute(statement)

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(sessions, statements, strict=True)]
    for thread in threads:
        thread.start()
    try:
        with psycopg.connect(url, autocommit=True) as admin:
            while admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shop' AND state = 'active'"
            ).fetchone() != (len(sessions),):
                pass
        yield
    finally:
        for session, thread in zip(sessions, threads, strict=True):
            session.cancel_safe()
            thread.join()
            session.close()


@pytest.fixture
def sampled(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("CREATE TABLE t (n int, name text)")
        admin.execute("INSERT INTO t VALUES (1, 'secret')")
    registry = servers.registry(tmp_path, database, workload=WorkloadSource(kind="activity"))
    yield registry
    registry.close()


class Clock:
    """Time that passes only while sampling sleeps."""

    now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_what_runs_is_weighed_by_the_samples_it_is_seen_in(sampled, database):
    clock = Clock()
    waits = "SELECT pg_sleep(60) FROM t WHERE name = 'secret' AND n = 1"
    works = "SELECT count(*) FROM t, generate_series(1, 100000) a, generate_series(1, 100000) b WHERE name = 'secret'"
    with running(database, waits, works):
        found = workload_activity.sample(
            sampled["app"], seconds=1.0, pause=0.125, clock=clock, sleep=clock.sleep
        )
    families = {family.shape.sql: family for family in found.families.values()}
    assert len(families) == 2
    assert {family.calls for family in families.values()} == {1}
    assert found.counts["samples"] == 8
    (sleeper,) = [family for family in families.values() if "PG_SLEEP" in family.shape.sql.upper()]
    assert dict(sleeper.waits) == {"Timeout:PgSleep": 8}
    assert {family.total_ms for family in families.values()} == {1000.0}
    assert "secret" not in str(found.summary())
    assert "estimated from samples" in found.notes[0]


def test_a_statement_of_ours_is_not_sampled_and_an_idle_server_says_so(sampled):
    found = workload_activity.sample(sampled["app"], seconds=0.1, pause=0.02)
    assert found.families == {}
    assert found.why_empty == "Nothing was running on app in 0.1 s of sampling"


def test_one_look_at_a_workload_is_of_one_sampling(sampled, database, monkeypatch):
    taken = []
    sample = workload_activity.sample
    monkeypatch.setattr(
        workload_activity, "sample", lambda system: taken.append(1) or sample(system, seconds=0.1, pause=0.02)
    )
    with running(database, "SELECT pg_sleep(60), name FROM t"):
        read = workload.read(sampled["app"])
        assert workload.read(sampled["app"]) == read
    assert (len(taken), read.source.kind, len(read.families)) == (1, "activity", 1)
    assert read.families[0].waits


def test_samples_are_no_counters_so_no_history_is_kept_of_them(sampled):
    source = sampled["app"].read("workload_source")
    assert source["counts"] is False
    plan = RecordWorkload(system="app").plan(RecordWorkloadFacts(why_empty=source["why_empty"]))
    assert "give a source that counts" in plan.blockers[0]
