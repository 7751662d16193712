"""What a check keeps, and for how long; two checks of one contract at once open one incident for one cause."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from datareeve.app import App
from datareeve.core.errors import DatareeveError
from datareeve.systems.quality_store import QualityStore

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
status: active
schema:
  - name: t
    physicalName: t
    properties: [{name: n, logicalType: integer}]
    quality:
      - {id: small, type: custom, engine: datareeve, implementation: {kind: range, columns: [n], at_most: 90}}
"""
ESTATE = "systems:\n  lite: {kind: sqlite, path: t.sqlite}\nquality: {keep_days: 30}\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "t.yaml").write_text(CONTRACT)
    (tmp_path / "estate.yaml").write_text(ESTATE)
    with closing(sqlite3.connect(tmp_path / "t.sqlite")) as db:
        db.execute("CREATE TABLE t (n integer)")
        db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1, 101)])
        db.commit()
    return tmp_path


def check(project):
    with closing(App.open(project)) as app:
        plan = app.preview(app.catalogue.make("quality.check-contract", {"contract": "t", "system": "lite"}))
        return app.apply(plan, by="test")


def kept(project, query):
    with closing(sqlite3.connect(project / ".datareeve" / "quality.sqlite")) as db:
        return db.execute(query).fetchall()


def test_a_check_lets_go_what_is_older_than_it_is_kept_and_what_stands_open_stays(project):
    now = datetime.now(UTC)
    with time_machine.travel(now - timedelta(days=40)):
        check(project)
    ((opened,),) = kept(project, "SELECT opened FROM incidents")
    check(project)
    assert len(kept(project, "SELECT run FROM runs")) == 1
    assert len(kept(project, "SELECT DISTINCT run FROM verdicts")) == 1
    assert kept(project, "SELECT opened, ended FROM incidents") == [(opened, None)]


def test_two_checks_at_once_open_one_incident_for_one_cause(project, monkeypatch):
    """Both have measured before either keeps what it found."""
    both, put = threading.Barrier(2), QualityStore.put_run
    errors = []

    def when_both_have_measured(self, *given):
        both.wait(30)
        return put(self, *given)

    monkeypatch.setattr(QualityStore, "put_run", when_both_have_measured)

    def one():
        try:
            check(project)
        except DatareeveError as error:
            errors.append(f"{error.code}: {error.what}")

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    runs = kept(project, "SELECT run FROM runs")
    assert len(runs) == 2
    assert sorted(kept(project, "SELECT DISTINCT run FROM verdicts")) == sorted(runs)
    assert len(kept(project, "SELECT id FROM incidents")) == 1
