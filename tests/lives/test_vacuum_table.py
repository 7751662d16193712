"""Vacuum on a real server: what it does, what keeps it from it, what it costs others, and a worker's death."""

import threading
import time

import psycopg
import pytest

import maintenance_rig
from datareeve.capabilities.databases.operations.vacuum_table import VacuumTable
from datareeve.core.errors import NeedsApproval

TABLE = (
    "CREATE TABLE orders (id int PRIMARY KEY, note text) WITH (autovacuum_enabled = off)",
    "INSERT INTO orders SELECT n, repeat('x', 100) FROM generate_series(1, 20000) AS n",
)
DEAD = "DELETE FROM orders WHERE id % 2 = 0"


@pytest.fixture
def orders(database):
    with psycopg.connect(database, autocommit=True) as app:
        for statement in (*TABLE, "VACUUM (ANALYZE) orders", DEAD):
            app.execute(statement)
        counted(app, "n_dead_tup", 10_000)
        yield app


def counted(connection, column, at_least, table="orders"):
    """Wait until the server has counted: a session tells what it did when it is idle for a second, or asked to."""
    connection.execute(
        "SELECT pg_stat_force_next_flush()"
    ) if connection.info.server_version >= 150000 else None
    deadline = time.monotonic() + 10
    read = f"SELECT {column} FROM pg_stat_all_tables WHERE relname = %s"
    while (connection.execute(read, (table,)).fetchone()[0] or 0) < at_least:
        assert time.monotonic() < deadline, f"{column} was not counted"
        time.sleep(0.02)


def dead_rows(connection):
    return connection.execute(
        "SELECT n_dead_tup FROM pg_stat_all_tables WHERE relname = 'orders'"
    ).fetchone()[0]


def test_dead_rows_are_removed_and_a_second_time_there_is_nothing_to_do(tmp_path, database, orders):
    with maintenance_rig.opened(tmp_path, database) as app:
        outcome = maintenance_rig.life(app, VacuumTable(system="app", table="orders"))
        assert dead_rows(orders) == 0
        assert app.undo(outcome.run, by="test").status == "undone"
        assert (
            app.outcome(outcome.run)
            .parts[0]
            .steps[0]
            .error.startswith("no way back: Rows are what they were")
        )


def test_the_worst_tables_are_found_by_themselves(tmp_path, database, orders):
    orders.execute("CREATE TABLE quiet (id int)")
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(VacuumTable(system="app"))
        assert plan.summary == "Vacuum public.orders."
        assert [step.id for step in plan.all_steps()] == ["vacuum public.orders"]
        assert app.apply(plan, by="test").status == "done"
        assert app.preview(VacuumTable(system="app")).nothing_to_do


@pytest.mark.parametrize("at", ["before effect", "after effect", "before undo"])
def test_a_worker_that_dies_in_the_middle_is_followed_by_one_that_ends_it(tmp_path, database, orders, at):
    outcome = maintenance_rig.killed_in_the_middle(
        tmp_path, database, VacuumTable(system="app", table="orders"), at=at
    )
    assert outcome.status == "done"
    assert dead_rows(orders) == 0


def test_who_keeps_dead_rows_alive_is_named_and_a_vacuum_in_vain_is_not_made(tmp_path, database, orders):
    with (
        psycopg.connect(database, application_name="report") as holder,
        maintenance_rig.opened(tmp_path, database) as app,
    ):
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM orders")
        orders.execute("DELETE FROM orders WHERE id % 3 = 0")
        orders.execute("VACUUM orders")
        counted(orders, "n_dead_tup", 1000)
        plan = app.preview(VacuumTable(system="app", table="orders"))
        assert not plan.steps
        assert plan.blockers[0].startswith("A vacuum of public.orders would do nothing: pid ")
        assert f"pid {holder.info.backend_pid} (report, idle in transaction)" in plan.blockers[0]
        assert [f.rule for f in plan.findings] == ["vacuum-held-back"]
        holder.rollback()
        assert list(app.preview(VacuumTable(system="app", table="orders")).all_steps())


def test_a_clean_database_gives_no_finding(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as made:
        made.execute("CREATE TABLE t (id int)")
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(VacuumTable(system="app"))
        assert (plan.nothing_to_do, plan.findings) == (
            "No table has dead rows or unfrozen rows worth a vacuum.",
            (),
        )


def test_it_freezes_and_goes_at_its_own_pace(tmp_path, database, orders):
    with maintenance_rig.opened(tmp_path, database) as app:
        maintenance_rig.life(
            app,
            VacuumTable(
                system="app", table="orders", freeze=True, parallel=0, index_cleanup="on", cost_delay_ms=0
            ),
        )
        assert orders.execute(
            "SELECT age(relfrozenxid) < 20 FROM pg_class WHERE relname = 'orders'"
        ).fetchone()[0]


def test_full_asks_a_person_whatever_the_rules_allow_and_gives_the_disk_back(tmp_path, database, orders):
    orders.execute("ANALYZE orders")
    size = "SELECT pg_relation_size('orders')"
    before = orders.execute(size).fetchone()[0]
    with maintenance_rig.opened(tmp_path, database) as app:
        operation = VacuumTable(system="app", table="orders", full=True)
        plan = app.preview(operation)
        (step,) = plan.steps
        assert step.predicted.lock == "ACCESS EXCLUSIVE on public.orders: nobody reads or writes it meanwhile"
        assert step.predicted.bytes > before
        assert [f.rule for f in plan.findings] == ["disk-not-seen"]
        with pytest.raises(NeedsApproval, match="only ever by a person's approval"):
            app.apply(plan, by="test")
        outcome = app.apply(plan, by="test", approved=True)
        assert outcome.status == "done"
        assert outcome.parts[0].figures["bytes_after"] < 0.6 * before
        assert "as full as its rows need" in app.preview(operation).nothing_to_do


def test_full_is_refused_where_the_disk_has_no_room(tmp_path, database, orders, pg18, monkeypatch):
    orders.execute("ANALYZE orders")
    with maintenance_rig.opened(tmp_path, database, local=pg18.local) as app:
        operation = VacuumTable(system="app", table="orders", full=True)
        facts = operation.observe(app.systems)
        assert facts.free_bytes > 0
        plan = operation.plan(facts.model_copy(update={"free_bytes": 1000}))
        assert not plan.steps
        assert "needs" in plan.blockers[0]
        assert "free on the database's disk" in plan.blockers[0]


def test_a_lock_that_does_not_come_ends_in_an_error_that_says_who_holds_it(tmp_path, database, orders):
    with (
        psycopg.connect(database, application_name="migration") as holder,
        maintenance_rig.opened(tmp_path, database) as app,
    ):
        holder.execute("LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
        plan = app.preview(VacuumTable(system="app", table="orders"))
        step = plan.steps[0]
        hurried = step.call.model_copy(
            update={"arguments": {**step.call.arguments, "lock_timeout_ms": 200, "attempts": 2}}
        )
        outcome = app.apply(
            plan.model_copy(update={"steps": (step.model_copy(update={"call": hurried}),)}), by="test"
        )
        assert outcome.status == "failed"
        error = outcome.parts[0].steps[0].error or outcome.parts[0].reason
        told = outcome.model_dump_json()
        assert "postgres.lock-timeout" in told, error
        assert f"pid {holder.info.backend_pid} (migration, idle in transaction)" in told


def test_writers_go_on_while_it_is_vacuumed(tmp_path, database, orders):
    """It takes SHARE UPDATE EXCLUSIVE only: an UPDATE is not held up by a vacuum that pauses on every page."""
    done = threading.Event()
    with maintenance_rig.opened(tmp_path, database) as app:
        slow = VacuumTable(system="app", table="orders", cost_delay_ms=20, cost_limit=100)
        plan = app.preview(slow)

        def work():
            app.apply(plan, by="test")
            done.set()

        worker = threading.Thread(target=work)
        worker.start()
        writes = 0
        seen = 0
        while not done.is_set():
            orders.execute("UPDATE orders SET note = 'y' WHERE id = 1")
            writes += 1
            seen += orders.execute(
                "SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 'orders'::regclass"
            ).fetchone()[0]
            time.sleep(0.005)
        worker.join()
        assert writes > 3
        assert seen > 0
        assert app.runs()[-1].status == "done"
