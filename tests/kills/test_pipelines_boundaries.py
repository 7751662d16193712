"""SIGKILL at every journalled boundary of a pipeline's run; then it is resumed, or run anew: what is published equals the truth."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from pipeline_kills import CHILDREN, World

pytestmark = pytest.mark.kills


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_a_run_killed_at_any_boundary_is_resumed_or_run_anew(kind, tmp_path, pg18):
    with pg18.database() as source, pg18.database() as target:
        world = World(tmp_path, source, "duckdb" if kind == "duckdb" else target, rows=60, batch=60).make()
        assert world.run() == "done"
        world.change(30)
        names = reached(world, -1)
        assert {"before effect of build/load t", "after effect of publish/publish"} <= set(names)
        for number, name in enumerate(names):
            world.change(30)
            assert reached(world, number)[-1] == name, "it was killed elsewhere"
            resumed = world.run(resume=True) if number % 2 else ""
            # A run that was interrupted before it began anything, or after all was done, leaves nothing to resume.
            assert resumed in {"", "done", "nothing to do"}, (name, resumed)
            assert world.run() in {"done", "nothing to do"}, name
            assert world.there() == world.truth(), name


def reached(world, number):
    """The boundaries that a run reaches until it is killed at the one of that number; -1: to its end."""
    mine, theirs = CHILDREN.Pipe(duplex=False)
    child = CHILDREN.Process(target=killed_at, args=(str(world.project), world.asked, number, theirs))
    child.start()
    theirs.close()
    names = []
    while True:
        try:
            names.append(re.sub(r"\d{8}-\d{6}-\w{6}", "RUN", mine.recv()))
        except EOFError:
            break
    child.join()
    assert child.exitcode == (0 if number < 0 else -signal.SIGKILL)
    return names


def killed_at(project, asked, number, told):
    """In a child: run the pipeline until the boundary of that number."""
    from datareeve.app import App  # noqa: PLC0415 - in the child

    seen = []

    def boundary(name):
        told.send(name)
        seen.append(name)
        if len(seen) == number + 1:
            os.kill(os.getpid(), signal.SIGKILL)

    app = App.open(Path(project), boundary=boundary)
    app.apply(app.preview(app.catalogue.make(*asked)), by="test", approved=True)
    app.close()
