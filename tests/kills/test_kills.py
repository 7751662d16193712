"""SIGKILL at every journalled boundary, and at random moments; then resume. No effect is lost, none is done twice."""

from __future__ import annotations

import multiprocessing
import random
import time

import pytest

import rig

pytestmark = pytest.mark.kills
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["rig", "datareeve.systems.postgres", "datareeve.systems.registry"])
RANDOM_KILLS = 100


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request, pg18, tmp_path_factory):
    """Makes fresh worlds: a project folder, a database, and a ledger in SQLite or in that database."""
    template = f"kills_{request.param}"
    with pg18.connect() as admin:
        admin.execute(f"CREATE DATABASE {template}")
    with pg18.connect(template) as connection:
        for statement in rig.SCHEMA:
            connection.execute(statement)

    class World:
        def __enter__(self):
            self.project = tmp_path_factory.mktemp("project")
            self._database = pg18.database(template=template)
            self.url = self._database.__enter__()
            self.ledger_url = (
                self.url if request.param == "postgresql" else f"sqlite:///{self.project}/ledger.sqlite"
            )
            self.runner, self.ledger, self._registry = rig.make_runner(
                self.project, self.url, self.ledger_url
            )
            return self

        def __exit__(self, *caught):
            self._registry.close()
            self.ledger.close()
            self._database.__exit__(None, None, None)

        def child(self, target, *args):
            child = CHILDREN.Process(
                target=target, args=(str(self.project), self.url, self.ledger_url, *args)
            )
            child.start()
            return child

        def truth(self):
            return rig.truth(self.url, self.project)

        def boundaries(self, act):
            seen = []
            self.runner._boundary = seen.append
            act()
            self.runner._boundary = None
            return len(seen)

        def resume(self):
            runs = self.runner.runs()
            return self.runner.resume(runs[-1].run, by="test") if runs else None

    yield World
    with pg18.connect() as admin:
        admin.execute(f"DROP DATABASE {template} WITH (FORCE)")


def test_killed_at_every_boundary_a_resumed_run_does_everything_once(world):
    with world() as w:
        count = w.boundaries(lambda: w.runner.apply(rig.two_parts(), by="test"))
    assert count > 40
    for n in range(count):
        with world() as w:
            child = w.child(rig.apply_in_child, n)
            child.join()
            assert child.exitcode == -9, f"boundary {n}"
            outcome = w.resume()
            if outcome is None:  # killed before the run was recorded: nothing may have happened
                assert w.truth() == rig.BEFORE, f"boundary {n}"
                continue
            assert (outcome.status, w.truth()) == ("done", rig.DONE), f"boundary {n}"
            assert w.ledger.verify()


def test_killed_at_every_boundary_of_its_undo_a_run_is_taken_back_all_the_same(world):
    with world() as w:
        run = w.runner.apply(rig.two_parts(), by="test").run
        count = w.boundaries(lambda: w.runner.undo(run, by="test"))
        assert w.truth() == rig.BEFORE
    assert count > 30
    for n in range(count):
        with world() as w:
            run = w.runner.apply(rig.two_parts(), by="test").run
            child = w.child(rig.undo_in_child, run, n)
            child.join()
            assert child.exitcode == -9, f"boundary {n}"
            outcome = w.runner.undo(run, by="test") if w.truth() == rig.DONE else w.resume()
            if outcome.status != "undone":
                outcome = w.runner.undo(run, by="test")
            assert (outcome.status, w.truth()) == ("undone", rig.BEFORE), f"boundary {n}"


def test_killed_at_random_moments_nothing_is_lost_or_doubled(world):
    with world() as w:
        child = w.child(rig.apply_in_child)
        began = time.monotonic()
        child.join()
        whole = time.monotonic() - began
        assert w.truth() == rig.DONE
    moments = random.Random(20250720)  # noqa: S311 - the same moments each time
    for n in range(RANDOM_KILLS):
        with world() as w:
            child = w.child(rig.apply_in_child)
            child.join(timeout=moments.uniform(0.2, 1.0) * whole)
            child.kill()
            child.join()
            outcome = w.resume()
            if outcome is None:
                assert w.truth() == rig.BEFORE, f"kill {n}"
                w.runner.apply(rig.two_parts(), by="test")
            assert w.truth() == rig.DONE, f"kill {n}"
            assert w.ledger.verify()
