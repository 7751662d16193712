"""Rebuilding indexes on a real server: bloat, invalid ones, a changed collation, leftovers, locks and deaths."""

import multiprocessing
import os
import signal
import threading
import time

import psycopg
import pytest

import maintenance_rig
from datareeve.capabilities.databases.operations.reindex import Reindex
from datareeve.core.errors import Failed

CHILDREN = multiprocessing.get_context("forkserver")
SIZE = "SELECT pg_relation_size('t_a_idx')"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('t_a_idx')"
LEFT = "SELECT count(*) FROM pg_class WHERE relname ~ '_cc(new|old)'"


@pytest.fixture
def bloated(database):
    """A table whose index is mostly empty room: rows were deleted after it was built."""
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE t (id int, a int)")
        app.execute("INSERT INTO t SELECT n, n FROM generate_series(1, 60000) AS n")
        app.execute("CREATE INDEX t_a_idx ON t (a)")
        app.execute("DELETE FROM t WHERE id % 10 <> 0")
        app.execute("VACUUM (ANALYZE) t")
        yield app


def wait(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_bloated_index_is_rebuilt_and_measured(tmp_path, database, bloated):
    before = bloated.execute(SIZE).fetchone()[0]
    with maintenance_rig.opened(tmp_path, database) as app:
        outcome = maintenance_rig.life(app, Reindex(system="app", at_least_mb=1))
        figures = outcome.parts[0].figures
        assert figures["bytes_before"] == before
        assert figures["bytes_after"] < 0.3 * before
        assert (bloated.execute(SIZE).fetchone()[0], bloated.execute(LEFT).fetchone()[0]) == (
            figures["bytes_after"],
            0,
        )


def test_the_estimate_of_slack_is_near_the_measured_one(tmp_path, database, bloated):
    with maintenance_rig.opened(tmp_path, database) as app:
        operation = Reindex(system="app", index="t_a_idx")
        (index,) = operation.observe(app.systems).indexes
        outcome = maintenance_rig.life(app, operation)
        figures = outcome.parts[0].figures
        measured = 100 * (1 - figures["bytes_after"] / figures["bytes_before"])
        assert index.slack_percent == pytest.approx(measured, abs=3)
        (index,) = operation.observe(app.systems).indexes
        assert index.slack_percent < 3


def test_a_healthy_database_has_nothing_to_rebuild(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as made:
        made.execute(
            "CREATE TABLE t AS SELECT n AS id, 'text ' || n AS note FROM generate_series(1, 30000) AS n"
        )
        made.execute("CREATE INDEX ON t (id)")
        made.execute("CREATE INDEX ON t (note)")
        made.execute("CREATE INDEX ON t (lower(note))")
        made.execute("CREATE INDEX ON t USING gin (to_tsvector('simple', note))")
        made.execute("VACUUM (ANALYZE) t")
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(Reindex(system="app", at_least_mb=0))
        assert (
            plan.nothing_to_do
            == "4 indexes were looked at: none is invalid, none bloated, and no collation has changed."
        )
        assert plan.findings == ()


def test_an_invalid_index_is_rebuilt_and_leftovers_go(tmp_path, database, bloated):
    bloated.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_a_idx'::regclass")
    bloated.execute("CREATE INDEX t_a_idx_ccnew ON t (a)")
    bloated.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_a_idx_ccnew'::regclass")
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(Reindex(system="app", table="t"))
        assert sorted(step.id for step in plan.steps) == [
            "drop-leftover public.t_a_idx_ccnew",
            "reindex public.t_a_idx",
        ]
        maintenance_rig.life(app, Reindex(system="app", table="t"))
        assert (bloated.execute(VALID).fetchone()[0], bloated.execute(LEFT).fetchone()[0]) == (True, 0)


def test_indexes_of_a_changed_collation_are_rebuilt_and_the_collation_is_marked(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as made:
        library = made.execute(
            "SELECT collname FROM pg_collation WHERE collversion IS NOT NULL ORDER BY collname LIMIT 1"
        ).fetchone()
        if library is None:
            pytest.skip("this server knows no collation with a version")
        made.execute(f'CREATE COLLATION mine FROM "{library[0]}"')
        made.execute("CREATE TABLE t (a text COLLATE mine)")
        made.execute("CREATE INDEX t_a_idx ON t (a)")
        made.execute("UPDATE pg_collation SET collversion = '0' WHERE collname = 'mine'")
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(Reindex(system="app"))
        assert [step.id for step in plan.steps] == ["reindex public.t_a_idx", "refresh public.mine"]
        maintenance_rig.life(app, Reindex(system="app"))


def test_what_cannot_be_rebuilt_concurrently_is_told(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as made:
        made.execute("CREATE TABLE t (r int4range, EXCLUDE USING gist (r WITH &&))")
        made.execute("UPDATE pg_index SET indisvalid = false WHERE indrelid = 't'::regclass")
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(Reindex(system="app"))
        assert plan.blockers == (
            "public.t_r_excl carries an exclusion constraint, which cannot be rebuilt concurrently: REINDEX INDEX it in a quiet window.",
        )


def test_partitions_are_rebuilt_one_by_one(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as made:
        made.execute("CREATE TABLE p (id int, a int) PARTITION BY RANGE (id)")
        made.execute("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (50000)")
        made.execute("CREATE INDEX p_a_idx ON p (a)")
        made.execute("INSERT INTO p SELECT n, n FROM generate_series(1, 40000) AS n")
        made.execute("DELETE FROM p WHERE id % 10 <> 0")
        made.execute("VACUUM (ANALYZE) p")
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(Reindex(system="app", at_least_mb=0.1))
        assert [step.id for step in plan.steps] == ["reindex public.p1_a_idx"]
        maintenance_rig.life(app, Reindex(system="app", at_least_mb=0.1))


def test_a_lock_that_never_comes_is_a_clear_error_and_what_it_left_goes_next_time(systems, database, bloated):
    with psycopg.connect(database, application_name="report") as holder:
        pid = holder.info.backend_pid
        holder.execute("SELECT count(*) FROM t")
        with pytest.raises(Failed) as caught:
            systems["app"].perform(
                "reindex", run="r1", index="public.t_a_idx", lock_timeout_ms=300, attempts=1
            )
        holder.rollback()
    assert caught.value.code == "postgres.lock-timeout"
    assert f"held by pid {pid} (report, idle in transaction)" in caught.value.what
    systems["app"].perform("reindex", run="r1", index="public.t_a_idx")
    assert bloated.execute(LEFT).fetchone()[0] == 0


def test_the_lock_is_waited_for_and_tried_again(systems, database, bloated):
    with psycopg.connect(database) as holder:
        holder.execute("SELECT count(*) FROM t")
        threading.Timer(0.8, holder.rollback).start()
        systems["app"].perform("reindex", run="r1", index="public.t_a_idx", lock_timeout_ms=200, attempts=6)
    assert bloated.execute(LEFT).fetchone()[0] == 0


def apply_in_child(folder, url):
    from pathlib import Path  # noqa: PLC0415 - in the child

    with maintenance_rig.opened(Path(folder), url) as app:
        app.apply(app.preview(Reindex(system="app", index="t_a_idx")), by="test")


def test_a_worker_killed_while_it_rebuilds_is_followed_by_one_that_cleans_up_and_ends_it(
    tmp_path, database, bloated
):
    with psycopg.connect(database) as holder:
        holder.execute(
            "SELECT count(*) FROM t"
        )  # the rebuild has to wait for it, so that it is surely caught in the middle
        child = CHILDREN.Process(target=apply_in_child, args=(str(tmp_path), database))
        child.start()
        wait(lambda: bloated.execute(LEFT).fetchone()[0] == 1)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        holder.rollback()
    with maintenance_rig.opened(tmp_path, database) as app:
        outcome = app.resume(app.runs()[-1].run, by="test")
        assert outcome.status == "done"
    assert (bloated.execute(VALID).fetchone()[0], bloated.execute(LEFT).fetchone()[0]) == (True, 0)
