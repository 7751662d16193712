"""SIGKILL at every journalled step of a check: resumed, its verdicts are kept once. Two runs at once, a store that cannot be written or opened."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

import rig
from datareeve.app import App
from datareeve.core.errors import DatareeveError

pytestmark = pytest.mark.kills
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(
    ["rig", "datareeve.app", "datareeve.capabilities.quality.operations.check_contract"]
)
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
status: active
schema:
  - name: t
    physicalName: t
    properties: [{name: n, logicalType: integer, primaryKey: true, required: true}]
    quality:
      - {id: rows, type: library, metric: rowCount, mustBe: 100}
      - {id: small, type: custom, engine: datareeve, implementation: {kind: range, columns: [n], at_most: 90, tolerance: 10}}
"""
ESTATE = """version: 1
systems:
  lite: {kind: sqlite, path: t.sqlite}
authority: {rules: [{decision: allow}]}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "t.yaml").write_text(CONTRACT)
    (tmp_path / "estate.yaml").write_text(ESTATE)
    with sqlite3.connect(tmp_path / "t.sqlite") as db:
        db.execute("CREATE TABLE t (n integer)")
        db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1, 101)])
    db.close()
    return tmp_path


def apply(project, boundary=None):
    app = App.open(Path(project), boundary=boundary)
    try:
        plan = app.preview(app.catalogue.make("quality.check-contract", {"contract": "t", "system": "lite"}))
        return app.apply(plan, by="test")
    finally:
        app.close()


def apply_in_child(project, die_at):
    """The child's work."""
    apply(project, rig.DieAt(die_at))


def kept(project):
    """Runs and verdicts in the store, as (run, rule)."""
    store = project / ".datareeve" / "quality.sqlite"
    if not store.exists():
        return [], []
    with sqlite3.connect(store) as db:
        runs = [row[0] for row in db.execute("SELECT run FROM runs")]
        verdicts = sorted(db.execute("SELECT run, rule FROM verdicts").fetchall())
    db.close()
    return runs, verdicts


def test_killed_at_every_boundary_a_resumed_check_keeps_its_verdicts_once(project, tmp_path_factory):
    whole = tmp_path_factory.mktemp("whole")
    shutil.copytree(project, whole, dirs_exist_ok=True)
    seen = []
    assert apply(whole, seen.append).status == "done"
    wanted = sorted(rule for _, rule in kept(whole)[1])
    assert len(seen) >= 3
    for n in range(len(seen)):
        at = tmp_path_factory.mktemp("killed")
        shutil.copytree(project, at, dirs_exist_ok=True)
        child = CHILDREN.Process(target=apply_in_child, args=(str(at), n))
        child.start()
        child.join()
        assert child.exitcode == -9, f"boundary {n}"
        app = App.open(at)
        begun = app.runs()
        if begun:
            outcome = app.resume(begun[-1].run, by="test")
            assert outcome.status == "done", f"boundary {n}"
            runs, verdicts = kept(at)
            assert runs == [begun[-1].run], f"boundary {n}"
            assert [rule for _, rule in verdicts] == wanted, f"boundary {n}"
        else:
            assert kept(at) == ([], []), f"boundary {n}"
        app.close()


def test_two_checks_at_once_keep_each_its_own(project):
    outcomes, errors = [], []

    def one():
        try:
            outcomes.append(apply(project))
        except DatareeveError as error:  # the second may be told that the first is at it
            errors.append(error.code)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes
    assert len(outcomes) + len(errors) == 2
    runs, verdicts = kept(project)
    assert sorted(runs) == sorted(outcome.run for outcome in outcomes if outcome.status == "done")
    assert len(verdicts) == len(set(verdicts)) == len(verdicts) // len(runs) * len(runs)


def test_a_store_that_is_damaged_is_told_and_nothing_passes(project):
    apply(project)
    for left in project.glob(".datareeve/quality.sqlite*"):
        left.write_bytes(b"no database" * 100)
    try:
        status = apply(project).status
    except DatareeveError as error:
        status = error.code
    assert status != "done"


def test_a_store_with_a_wrong_password_is_told_without_it(project, pg18):
    with pg18.database() as url:
        name = url.rsplit("/", 1)[1]
        place = url.split("@", 1)[-1].replace("postgresql://", "")
        (project / "secret").write_text("wr0ng-canary7f3a")
        (project / "secret").chmod(0o600)
        store = f"quality: {{store: 'postgresql://nobody-{name}@{place}', store_password: 'file:secret'}}\n"
        (project / "estate.yaml").write_text(ESTATE + store)
        try:
            outcome = apply(project)
            said = outcome.model_dump_json()
            assert outcome.status != "done"
        except DatareeveError as error:
            said = f"{error.code} {error.what}"
        assert "canary7f3a" not in said
