"""Indexes that runs made, looked at again: which are used, and which a day of work did not need."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import time_machine

import maintenance_rig
from datareeve.capabilities.databases.operations.create_index import CreateIndex
from datareeve.capabilities.databases.operations.review_advice import ReviewAdvice

REVIEW = ReviewAdvice(system="app")


@pytest.fixture
def made(tmp_path, database):
    """Two indexes that runs made, of which one is used; a third was taken back."""
    with (
        psycopg.connect(database, autocommit=True) as app,
        maintenance_rig.opened(tmp_path, database) as work,
    ):
        app.execute("CREATE TABLE orders (id int, customer int, note text)")
        app.execute("INSERT INTO orders SELECT n, n % 500, 'x' FROM generate_series(1, 20000) AS n")
        runs = [
            work.apply(
                work.preview(CreateIndex(system="app", table="orders", columns=(column,))), by="test"
            ).run
            for column in ("customer", "note", "id")
        ]
        work.undo(runs[2], by="test")
        app.execute("ANALYZE orders")
        app.execute("SELECT count(*) FROM orders WHERE customer = 7")
        app.execute("UPDATE orders SET id = id + 1 WHERE customer = 7")
        app.execute("SELECT pg_stat_force_next_flush()")
        yield work, runs


def test_it_is_too_early_to_call_an_index_unused(made):
    work, _ = made
    plan = work.preview(REVIEW)
    assert (
        plan.nothing_to_do == "1 of 2 indexes that were made here are used; 1 had less than 24 hours to be."
    )
    assert plan.findings == ()


def test_after_a_day_the_unused_one_is_proposed_to_be_dropped(made):
    work, runs = made
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25)):
        plan = work.preview(REVIEW)
    (told,) = plan.findings
    assert (told.rule, told.subject, told.mended_by) == (
        "advised-index-unused",
        "public.orders_note_idx",
        "databases.drop-index",
    )
    assert told.what == f"Run {runs[1]} made it 25 hours ago, and no statement has used it since."
    used = plan.figures["public.orders_customer_idx"]
    assert used["scans"] >= 1
    assert used["rows_read"] >= 40
    assert used["updates"] == 40
    assert used["last_scan"]
    assert plan.figures["unused"] == 1


def test_counters_that_were_reset_begin_a_new_day(made, database):
    work, _ = made
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("SELECT pg_stat_reset()")
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=23)):
        assert work.preview(REVIEW).findings == ()


def test_a_project_without_runs_has_nothing_to_review(tmp_path, database):
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(REVIEW)
        assert (plan.nothing_to_do, plan.findings) == (
            "No run has made an index here that is still there.",
            (),
        )
