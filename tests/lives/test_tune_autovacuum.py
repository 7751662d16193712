"""Storage parameters set from what a real server counted, and taken back to exactly what was there."""

import psycopg
import pytest

import maintenance_rig
import servers
from datareeve.capabilities.databases.operations.tune_autovacuum import TuneAutovacuum


@pytest.fixture
def large(database):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute(
            "CREATE TABLE large (id int, a int) WITH (autovacuum_vacuum_threshold = 77, autovacuum_enabled = true)"
        )
        app.execute("INSERT INTO large SELECT n, n FROM generate_series(1, 150000) AS n")
        app.execute("UPDATE large SET a = a + 1 WHERE id % 3 = 0")
        app.execute("SELECT pg_stat_force_next_flush()")
        app.execute("ANALYZE large")
        yield app


def options(connection):
    return connection.execute("SELECT reloptions FROM pg_class WHERE relname = 'large'").fetchone()[0]


def test_it_is_set_and_taken_back_to_what_was_there(tmp_path, database, large, pg18):
    dumped = servers.dump_schema(pg18.local.bin, database)
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(TuneAutovacuum(system="app"))
        (reset, restore) = plan.steps[0].undo
        assert reset.arguments["sql"].startswith("ALTER TABLE public.large RESET (")
        assert (
            restore.arguments["sql"]
            == "ALTER TABLE public.large SET (autovacuum_vacuum_threshold = 77, autovacuum_enabled = true)"
        )
        outcome = maintenance_rig.life(app, TuneAutovacuum(system="app"))
        assert {"autovacuum_vacuum_scale_factor=0", "autovacuum_vacuum_threshold=5000"} <= set(options(large))
        assert app.undo(outcome.run, by="test").status == "undone"
    assert servers.dump_schema(pg18.local.bin, database) == dumped


@pytest.mark.parametrize("at", ["before effect", "after effect"])
def test_a_worker_that_dies_in_the_middle_is_followed(tmp_path, database, large, at):
    operation = TuneAutovacuum(system="app", table="large")
    assert maintenance_rig.killed_in_the_middle(tmp_path, database, operation, at=at).status == "done"
    assert "autovacuum_vacuum_scale_factor=0" in options(large)


def test_parameters_that_somebody_changed_meanwhile_make_the_plan_stale(tmp_path, database, large):
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(TuneAutovacuum(system="app"))
        large.execute("ALTER TABLE large SET (autovacuum_vacuum_threshold = 78)")
        with pytest.raises(Exception, match="as observed"):
            app.apply(plan, by="test")
    assert "autovacuum_vacuum_threshold=78" in options(large)


def test_a_writer_holds_it_up_no_longer_than_its_lock_timeout_and_readers_do_not(tmp_path, database, large):
    with psycopg.connect(database) as reader, maintenance_rig.opened(tmp_path, database) as app:
        reader.execute("SELECT count(*) FROM large")
        reader.execute("INSERT INTO large VALUES (0, 0)")
        maintenance_rig.life(app, TuneAutovacuum(system="app"))
