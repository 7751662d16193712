"""Maintenance on Debian's PostgreSQL 15: the same operations on another version, and pg_repack, which is only there."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import psycopg
import pytest

import maintenance_rig
import servers
from datareeve.capabilities.databases.operations.analyze_table import AnalyzeTable
from datareeve.capabilities.databases.operations.create_index import CreateIndex
from datareeve.capabilities.databases.operations.drop_unused_indexes import DropUnusedIndexes
from datareeve.capabilities.databases.operations.end_session import EndSession
from datareeve.capabilities.databases.operations.record_workload import RecordWorkload
from datareeve.capabilities.databases.operations.reindex import Reindex
from datareeve.capabilities.databases.operations.repack_table import RepackTable
from datareeve.capabilities.databases.operations.review_advice import ReviewAdvice
from datareeve.capabilities.databases.operations.tune_autovacuum import TuneAutovacuum
from datareeve.capabilities.databases.operations.vacuum_table import VacuumTable

BIN = Path("/usr/lib/postgresql/15/bin")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not (BIN / "postgres").exists(), reason="needs Debian's PostgreSQL 15"),
]
needs_repack = pytest.mark.skipif(not (BIN / "pg_repack").exists(), reason="needs postgresql-15-repack")
CHILDREN = multiprocessing.get_context("forkserver")
REPACK = RepackTable(system="app", table="orders")


@pytest.fixture(scope="module")
def debian():
    with servers.server(binaries=BIN, shared_preload_libraries="pg_stat_statements") as server:
        yield server


@pytest.fixture
def url(debian):
    """A table of 200,000 rows of which nine in ten are gone, with an index in the same state."""
    with debian.database(
        "CREATE TABLE orders (id int PRIMARY KEY, customer int, note text) WITH (autovacuum_enabled = off)",
        "INSERT INTO orders SELECT n, n % 100, repeat('x', 60) FROM generate_series(1, 120000) AS n",
        "CREATE INDEX orders_customer_idx ON orders (customer, id)",
        "CREATE INDEX orders_customer ON orders (customer)",
        "DELETE FROM orders WHERE id % 10 <> 0",
        "VACUUM (ANALYZE) orders",
    ) as made:
        yield made


def rows(url):
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT count(*), sum(id) FROM orders").fetchone()


def test_every_operation_has_its_life_here_too(tmp_path, debian, url):
    before = rows(url)
    with maintenance_rig.opened(tmp_path, url, local=debian.local) as app:
        with psycopg.connect(url, autocommit=True) as writer:
            writer.execute("UPDATE orders SET note = 'y' WHERE id % 20 = 0")
            writer.execute("SELECT pg_stat_force_next_flush()")
        for operation in (
            VacuumTable(system="app", table="orders", parallel=0),
            AnalyzeTable(system="app", table="orders", columns=("customer",), statistics_target=300),
            Reindex(system="app", at_least_mb=1),
            DropUnusedIndexes(system="app"),
        ):
            maintenance_rig.life(app, operation)
        assert app.preview(TuneAutovacuum(system="app")).nothing_to_do
        assert app.preview(EndSession(system="app", root_of_blocking=True)).nothing_to_do
    assert rows(url) == before


def test_what_an_index_changed_is_told_from_the_workloads_snapshots(tmp_path, debian, url):
    source = {"kind": "pg_stat_statements"}
    with (
        psycopg.connect(url, autocommit=True) as user,
        maintenance_rig.opened(tmp_path, url, workload=source) as app,
    ):
        user.execute("CREATE EXTENSION pg_stat_statements")
        for statement in (
            "DROP INDEX orders_customer",
            "DROP INDEX orders_customer_idx",
            "INSERT INTO orders SELECT 10 * n + 1, n, 'z' FROM generate_series(1, 100000) AS n",
        ):
            user.execute(statement)
        user.execute("ANALYZE orders")

        def ask_and_record():
            for customer in range(20):
                user.execute("SELECT count(*) FROM orders WHERE customer = %s", (customer,))
            assert (
                app.apply(app.preview(RecordWorkload(system="app", least_seconds=0)), by="test").status
                == "done"
            )

        ask_and_record()
        ask_and_record()
        create = CreateIndex(system="app", table="orders", columns=("customer",), index="orders_by_customer")
        assert app.apply(app.preview(create), by="test").status == "done"
        ask_and_record()
        ask_and_record()
        told = app.preview(ReviewAdvice(system="app")).figures["public.orders_by_customer"]
    assert told["families"] == 1
    assert told["ms_after"] < 0.5 * told["ms_before"]


@needs_repack
def test_a_table_is_repacked_and_measured(tmp_path, debian, url):
    before = rows(url)
    with maintenance_rig.opened(tmp_path, url, local=debian.local) as app:
        plan = app.preview(REPACK)
        assert [step.id for step in plan.steps] == ["extension pg_repack", "repack public.orders"]
        outcome = maintenance_rig.life(app, REPACK)
        figures = outcome.parts[0].figures
        assert figures["bytes_after"] < 0.25 * figures["bytes_before"]
        predicted = -plan.steps[1].predicted.bytes
        assert predicted == pytest.approx(0.9 * plan.figures["bytes"] * 0.6, rel=0.5)
        assert app.undo(outcome.run, by="test").status == "undone"
    assert rows(url) == before


@needs_repack
def test_a_table_without_a_key_is_refused_and_so_is_a_full_disk(tmp_path, debian, url):
    with psycopg.connect(url, autocommit=True) as made:
        made.execute("ALTER TABLE orders DROP CONSTRAINT orders_pkey")
    with maintenance_rig.opened(tmp_path, url, local=debian.local) as app:
        assert app.preview(REPACK).blockers == (
            "public.orders has no primary key, which pg_repack tells rows by: databases.add-primary-key gives it one.",
        )
        facts = REPACK.observe(app.systems)
        assert (
            "needs" in REPACK.plan(facts.model_copy(update={"has_key": True, "free_bytes": 10})).blockers[0]
        )
        absent = facts.model_copy(update={"has_key": True, "available_version": None})
        assert "databases.vacuum-table --full in a window" in REPACK.plan(absent).blockers[0]


def apply_in_child(folder, url):
    with maintenance_rig.opened(Path(folder), url) as app:
        app.apply(app.preview(REPACK), by="test")


@needs_repack
def test_a_worker_killed_while_it_repacks_is_followed_by_one_that_cleans_up(tmp_path, debian, url):
    before = rows(url)
    with psycopg.connect(url, autocommit=True) as look, psycopg.connect(url) as holder:
        look.execute("CREATE EXTENSION pg_repack")
        child = CHILDREN.Process(target=apply_in_child, args=(str(tmp_path), url))
        holder.execute(
            "SELECT count(*) FROM pg_class"
        )  # pg_repack waits for older transactions once its trigger is there
        child.start()
        left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'repack'::regnamespace AND relname ~ '^(log|table)_[0-9]+$'"
        deadline = time.monotonic() + 30
        while not look.execute(left).fetchone()[0]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert look.execute(left).fetchone()[0] > 0
        holder.rollback()
        with maintenance_rig.opened(tmp_path, url) as app:
            outcome = app.resume(app.runs()[-1].run, by="test")
            assert outcome.status == "done", outcome
        assert look.execute(left).fetchone()[0] == 0
        assert (
            look.execute("SELECT count(*) FROM pg_trigger WHERE tgname = 'repack_trigger'").fetchone()[0] == 0
        )
    assert rows(url) == before
