"""How far a load is: told to who started it, and to others who ask for the status."""

import io
from contextlib import closing

import pytest
from rich.console import Console

from datareeve.app import App
from datareeve.capabilities.pipelines.flow import following
from datareeve.capabilities.pipelines.flow.loading import Loading
from datareeve.core.amounts import Amount
from datareeve.interfaces.console import Watcher
from datareeve.systems import mover
from pipelines_flow_rig import Project

ROWS = 300_000


class Watching:
    """A progress that keeps what it is told."""

    def __init__(self):
        self.amounts = []

    def __call__(self, event, **fields):
        pass

    def amount(self, done):
        self.amounts.append(done)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A pipeline of one file of many rows; how far it is, is told a thousand times a second."""
    monkeypatch.setattr(mover, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(following, "SAMPLED_SECONDS", 0.0)
    with Project(tmp_path, {"there": {"kind": "duckdb", "path": "there.duckdb"}}) as project:
        lines = "\n".join(f"{number},some text {number},{number}.25" for number in range(ROWS))
        (tmp_path / "t.csv").write_text(f"id,v,n\n{lines}\n")
        project.pipeline(loads={"t": {"source": {"files": "t.csv"}, "keys": ["id"], "mode": "full"}})
        yield project


def test_who_starts_a_load_is_told_how_far_it_is(project):
    watching = Watching()
    outcome = project.app.apply(project.plan(), by="test", approved=True, progress=watching)
    assert outcome.status == "done"
    shares = [one.share for one in watching.amounts]
    assert shares
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1


def test_the_status_tells_how_far_the_load_of_a_run_under_way_is(project):
    seen = []

    def boundary(name):
        if name == "after effect of build/load t":
            with closing(App.open(project.folder)) as other:
                status = other.preview(other.catalogue.make("pipelines.status", {"pipeline": "p"}))
                seen.append(status.figures["by_pipeline"][0])

    project.app.close()
    project.app = App.open(project.folder, boundary=boundary)
    project.done()
    assert seen[0]["state"] == "running"
    assert "load t" in seen[0]["reason"]
    assert " %" in seen[0]["reason"]


def test_a_run_nobody_watches_and_that_is_short_tells_nothing(project, monkeypatch):
    monkeypatch.setattr(following, "SAMPLED_SECONDS", 3600.0)
    project.done()
    assert project.app.ledger.samples("there", name=following.SAMPLE) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_a_person_reads_rows_rate_and_time_left(terminal):
    out = io.StringIO()
    with Watcher(Console(file=out, force_terminal=terminal, width=120), quiet=False, steps=1) as watcher:
        watcher("step", step="load t", status="begins")
        watcher._told_at = float("-inf")
        watcher.amount(Amount(0.41, 2_050_000, 410_000.0, 7.2))
    assert "2,050,000 rows, 410,000 a second, about 0:00:07 left" in out.getvalue()


def test_with_json_nothing_is_told():
    out = io.StringIO()
    with Watcher(Console(file=out), quiet=True, steps=1) as watcher:
        watcher("step", step="load t", status="begins")
        watcher.amount(Amount(0.5))
    assert out.getvalue() == ""


def test_a_load_reads_with_as_many_threads_as_it_may(project, monkeypatch):
    seen = []
    batch = Loading._batch

    def looked(self, *given):
        seen.append(self._there.mover.row("SELECT current_setting('threads')")[0])
        return batch(self, *given)

    monkeypatch.setattr(Loading, "_batch", looked)
    load = {"source": {"files": "t.csv"}, "keys": ["id"], "mode": "full"}
    project.pipeline(loads={"t": {**load, "parallel": 1}})
    project.done()
    assert seen == [1]
