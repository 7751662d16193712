"""Pipelines killed at random moments of each phase, and workers that sleep while others take over: what is published equals the truth."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from pipeline_kills import CHILDREN, OF_PATHS, World, trials

pytestmark = pytest.mark.kills
KILLS = 4  # of each phase here; `script/bench pipeline-kills` makes 200
DEADLINE = 60


@pytest.fixture(params=["duckdb", "postgresql", "dataset"])
def world(request, tmp_path, pg18):
    def made(**more):
        return World(
            tmp_path, source, target if request.param == "postgresql" else request.param, **more
        ).make()

    with pg18.database() as source, pg18.database() as target:
        yield made


@pytest.mark.parametrize("phase", ["load", "merge", "publish"])
def test_a_run_killed_in_any_phase_is_made_good_by_the_next(world, phase):
    tally = trials(world(rows=400, batch=60), phase, KILLS)
    assert (tally.kills, tally.equal, tally.wrong) == (KILLS, KILLS, [])


def test_a_backfill_that_is_killed_is_made_good_by_the_next(world):
    tally = trials(world(rows=400, mode="append", backfill=True), "backfill", KILLS)
    assert (tally.kills, tally.equal, tally.wrong) == (KILLS, KILLS, [])


def test_a_worker_that_slept_in_its_transaction_while_another_took_over_commits_nothing(world):
    made = world(rows=400)
    assert made.run() == "done"
    made.change(50)
    mine, theirs = CHILDREN.Pipe(duplex=False)
    zombie = CHILDREN.Process(target=sleeper, args=(str(made.project), made.target in OF_PATHS, theirs))
    zombie.start()
    theirs.close()
    try:
        until(lambda: Path(f"/proc/{zombie.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        taken_over(made)
        made.change(50)
        os.kill(zombie.pid, signal.SIGCONT)
        assert mine.poll(DEADLINE)
        said = mine.recv()
    finally:
        zombie.kill()
        zombie.join()
    assert not said.startswith("done"), said
    assert made.run() == "done"
    assert made.there() == made.truth()


def taken_over(made):
    """Another worker does the sleeper's work. A DuckDB file, a work file too, lets nobody else write while the sleeper has it open: there only the lease is taken."""
    with closing(sqlite3.connect(made.project / ".datareeve/ledger.sqlite")) as ledger:
        ledger.execute(
            "UPDATE leases SET expires_at = 0" + (", token = token + 1" if made.target in OF_PATHS else "")
        )
        ledger.commit()
    if made.target not in OF_PATHS:
        assert made.run() == "done"
        assert made.there() == made.truth()


def sleeper(project, before, told):
    """In a child: a run that stops itself in its publication, just before or after it looks whether it holds the lease, which is just before the commit."""
    from datareeve.app import App  # noqa: PLC0415 - in the child
    from datareeve.core.errors import DatareeveError  # noqa: PLC0415
    from datareeve.systems import pipeline_desk  # noqa: PLC0415

    at = []
    look = pipeline_desk.Shop.must_hold
    pipeline_desk.IDLE_SECONDS = 2

    def look_and_sleep(shop):
        at.append("looks") if at else None
        last = len(at) == 3  # the first look is the claim's, the second stands before the commit
        if last and before:
            os.kill(os.getpid(), signal.SIGSTOP)
        look(shop)
        if last and not before:
            os.kill(os.getpid(), signal.SIGSTOP)

    def boundary(name):
        if name == "before effect of publish/publish":
            at.append("publishing")

    pipeline_desk.Shop.must_hold = look_and_sleep
    app = App.open(Path(project), boundary=boundary)
    try:
        plan = app.preview(app.catalogue.make("pipelines.run", {"pipeline": "p"}))
        told.send(app.apply(plan, by="sleeper", approved=True).status)
    except DatareeveError as error:
        told.send(f"{error.code}: {error.what}")


def until(holds):
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
