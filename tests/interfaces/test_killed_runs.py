"""A run whose process was killed, as the command line tells it: interrupted, with what to do; and the same asked for again says so."""

import multiprocessing
from pathlib import Path

import pytest

import rig
from datareeve.app import App
from datareeve.interfaces import cli

CHILDREN = multiprocessing.get_context("forkserver")
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: shop
version: 1.0.0
status: active
schema:
- name: orders
  properties:
  - {name: id, logicalType: integer, required: true}
"""
WATCH = ("run", "quality.watch-contracts")
BOUNDARIES = 12  # journalled moments that came through: some of the schedules and alerts are in


def watch_in_child(project):
    """The child's work: killed in the middle."""
    app = App.open(Path(project), boundary=rig.DieAt(BOUNDARIES))
    plan = app.preview(app.catalogue.make("quality.watch-contracts", {}))
    app.apply(plan, by="ann", approved=True)


@pytest.fixture
def killed(tmp_path):
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "shop.yaml").write_text(CONTRACT)
    (tmp_path / "estate.yaml").write_text("version: 1\nsystems: {wh: {kind: duckdb, path: w.duckdb}}\n")
    child = CHILDREN.Process(target=watch_in_child, args=(str(tmp_path),))
    child.start()
    child.join()
    assert child.exitcode == -9
    app = App.open(tmp_path)
    (run,) = [one.run for one in app.runs()]
    app.close()
    return tmp_path, run


def told(capfd, project, *words):
    status = cli.main([*words, "--project", str(project)])
    return status, "".join(capfd.readouterr())


def test_a_killed_run_is_told_as_interrupted_until_it_is_carried_on(killed, capfd):
    project, run = killed
    wanted = f"{run} was interrupted: `datareeve resume {run}` carries it on"
    for words in (("runs",), ("runs", run), WATCH, (*WATCH, "--plan")):
        said = " ".join(told(capfd, project, *words)[1].split())
        assert wanted in said, (words, said)
    assert "under way" not in told(capfd, project, "runs", "--json")[1]
    assert told(capfd, project, "resume", run)[0] == 0
    for words in (("runs",), ("runs", run), WATCH):
        assert "interrupted" not in told(capfd, project, *words)[1], words
