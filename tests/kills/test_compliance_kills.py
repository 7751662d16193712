"""An erasure killed at every journalled boundary, and within the writing of files; then resumed. Everything is gone once, nobody else's row is."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest

import subject_rig
from datareeve.core.errors import LeaseLost
from rig import DieAt
from subject_rig import SUBJECT

pytestmark = pytest.mark.kills
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["subject_rig", "rig", "datareeve.systems.postgres", "datareeve.systems.registry"])  # fmt: skip
WANTED = ("customers", "orders", "events", "log")
ESTATE = {
    **subject_rig.ESTATE,
    "processing": {},
    "datasets": {name: subject_rig.ESTATE["datasets"][name] for name in WANTED},
}
SCHEMA = [statement for statement in subject_rig.SCHEMA if not any(word in statement for word in ("order_items", "invoices", "newsletter", "sessions"))]  # fmt: skip


@pytest.fixture(scope="module")
def world(pg18, tmp_path_factory):
    """Makes fresh shops of four stores, from a template."""
    with pg18.connect() as admin:
        admin.execute("CREATE DATABASE compliance_kills")
    with pg18.connect("compliance_kills") as connection:
        for statement in SCHEMA:
            connection.execute(statement)
    files = subject_rig.template_files()

    class World:
        def __enter__(self):
            self.folder = tmp_path_factory.mktemp("shop")
            shutil.copytree(files, self.folder, dirs_exist_ok=True)
            self._database = pg18.database(template="compliance_kills")
            self.shop = subject_rig.Shop(self.folder, self._database.__enter__(), ESTATE)
            return self

        def __exit__(self, *caught):
            self.shop.app.close()
            self._database.__exit__(None, None, None)
            shutil.rmtree(self.folder)

        def killed(self, *args):
            plan = self.shop.erasure()
            self.shop.app.approve(self.shop.app.store(plan, asked_by="test"), by="test")
            child = CHILDREN.Process(target=apply_in_child, args=(str(self.folder), plan.fingerprint, *args))
            child.start()
            child.join()
            return child.exitcode

        def resumed(self):
            runs = self.shop.app.runs()
            return self.shop.app.resume(runs[-1].run, by="test") if runs else None

        def truth(self):
            rows = self.shop.query(
                f"SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM customers WHERE id = {SUBJECT}), (SELECT count(*) FROM orders WHERE customer_id = {SUBJECT}), (SELECT count(*) FROM orders)"
            )
            lake, logs = self.folder / "lake/events", self.folder / "logs"
            data = b"".join(
                subject_rig.unpacked(path) for path in [*lake.rglob("*"), *logs.rglob("*")] if path.is_file()
            )
            left = [path.name for path in self.folder.rglob(".*datareeve-*")]
            return rows[0], b"quetzalcoatl" in data.lower(), data.count(b"other@example.com"), left

    yield World
    with pg18.connect() as admin:
        admin.execute("DROP DATABASE compliance_kills WITH (FORCE)")


BEFORE = ((1000, 1, 10, 1000), True, 2, [])
GONE = ((999, 0, 0, 990), False, 2, [])


def apply_in_child(folder, fingerprint, die_at, within=None):
    """The child's work: an approved plan, killed at a boundary, or before the n-th call of something that writes."""
    boundary = DieAt(die_at) if within is None else None
    if within is not None:
        owner, name = {
            "link": (os, "link"),
            "replace": (Path, "replace"),
            "unlink": (Path, "unlink"),
            "fsync": (os, "fsync"),
        }[within]
        real, counted = getattr(owner, name), DieAt(die_at)

        def dying(*args, **options):
            if any("datareeve-" in str(one) for one in args) or within == "fsync":
                counted(name)
            return real(*args, **options)

        setattr(owner, name, dying)
    app = subject_rig.open_app(Path(folder), boundary)
    app.apply(app.stored_plan(fingerprint), by="test")
    os.kill(os.getpid(), signal.SIGTERM)  # it came through: there were fewer calls


def test_killed_at_every_boundary_a_resumed_erasure_is_whole_and_nobody_elses_row_is_gone(world):
    seen = []
    with world() as w:
        assert w.truth() == BEFORE
        w.shop.app.runner._boundary = seen.append
        assert w.shop.apply(w.shop.erasure()).status == "done"
        assert w.truth() == GONE
    assert len(seen) > 40
    # At every effect, before and after; of the writes to the ledger around them, some: the runner's own tests try each of those.
    wanted = [n for n, name in enumerate(seen) if "effect of" in name or n % 7 == 0]
    for n in wanted:
        with world() as w:
            assert w.killed(n) == -signal.SIGKILL, seen[n]
            outcome = w.resumed()
            if outcome is None:
                assert w.truth() == BEFORE, seen[n]
                continue
            assert (outcome.status, w.truth()) == ("done", GONE), (
                seen[n],
                [(p.reason, [s.error for s in p.steps]) for p in outcome.parts],
            )
            assert w.shop.app.verify_ledger()


@pytest.mark.parametrize(("within", "calls"), [("link", 2), ("replace", 2), ("unlink", 2), ("fsync", 2)])
def test_killed_within_the_writing_of_files_it_is_whole_after_a_resume(world, within, calls):
    for n in range(calls):
        with world() as w:
            if w.killed(n, within) != -signal.SIGKILL:
                break
            outcome = w.resumed()
            if outcome is None:
                assert w.truth() == BEFORE, n
                continue
            assert (outcome.status, w.truth()) == ("done", GONE), (
                within,
                n,
                [(p.reason, [s.error for s in p.steps]) for p in outcome.parts],
            )


def test_a_killed_one_is_taken_back_as_long_as_no_row_is_gone(world):
    seen = []
    with world() as w:
        w.shop.app.runner._boundary = seen.append
        w.shop.apply(w.shop.erasure())
    first_row = next(n for n, name in enumerate(seen) if name.startswith("before effect") and "erase" in name)
    for n in (first_row - 3, first_row):
        with world() as w:
            assert w.killed(n) == -signal.SIGKILL
            run = w.shop.app.runs()[-1].run
            assert (w.shop.app.undo(run, by="test").status, w.truth()) == ("undone", BEFORE), seen[n]


def test_two_at_once_work_on_no_dataset_together(world):
    with world() as w:
        other, met = subject_rig.open_app(w.folder), []
        plan = w.shop.erasure()

        def meet(name):
            if name.startswith("before effect") and not met:
                met.append(name)
                with pytest.raises(LeaseLost):
                    other.apply(plan, by="other", approved=True)

        w.shop.app.runner._boundary = meet
        outcome = w.shop.apply(plan)
        other.close()
        assert met
        assert (outcome.status, w.truth()) == ("done", GONE)
