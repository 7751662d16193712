"""Alerts of data contracts as their owner meets them: set up and served by the command line, on a fresh project; the minutes pass by themselves."""

import contextlib
import json
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import duckdb
import pytest
import time_machine

from datareeve.agent import schedule
from datareeve.core.ledger import open_ledger
from datareeve.interfaces import cli

NOON = datetime(2040, 7, 20, 12, 0, 10, tzinfo=UTC)
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: shop
version: 1.0.0
status: active
servers: [{server: wh, type: custom}]
schema:
- name: orders
  properties:
  - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
  - {name: amount, logicalType: number}
  quality:
  - {id: amount-positive, type: custom, engine: datareeve, implementation: {kind: range, columns: [amount], at_least: 0}}
"""
ESTATE = "version: 1\nsystems: {wh: {kind: duckdb, path: w.duckdb}}\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "shop.yaml").write_text(CONTRACT)
    (tmp_path / "estate.yaml").write_text(ESTATE)
    sql(tmp_path, "CREATE TABLE orders AS SELECT range AS id, range AS amount FROM range(100)")
    return tmp_path


def sql(project, text):
    with duckdb.connect(str(project / "w.duckdb")) as connection:
        connection.execute(text)


def datareeve(project, *words):
    return cli.main([*words, "--project", str(project)])


def serve(project, monkeypatch, minutes, happens=None, start=NOON):
    """`datareeve serve` for so many minutes; what it waits for is over at once. `happens`: at which minute what comes about."""
    happens = happens or {}

    class Minutes(threading.Event):
        looks = 0

        def wait(self, timeout=None):
            traveller.shift(timeout)
            self.looks += 1
            happens.get(self.looks, lambda: None)()
            if self.looks == minutes:
                self.set()
            return self.is_set()

    real = SimpleNamespace(current_thread=threading.current_thread, main_thread=threading.main_thread)
    monkeypatch.setattr(schedule, "threading", SimpleNamespace(**vars(real), Event=Minutes))
    with time_machine.travel(start, tick=False) as traveller:
        assert datareeve(project, "serve") == 0


def alerts(project):
    """Alert and kind of each message, in order."""
    path = project / "data" / "alerts.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(told["alert"], told["kind"]) for told in map(json.loads, lines)]


def watch(project):
    words = ("--cron", "*/10 * * * *", "--notify", "file:data/alerts.jsonl", "--yes")
    assert datareeve(project, "run", "quality.watch-contracts", *words) == 0


def test_data_that_breaks_is_told_and_its_mending_too(project, monkeypatch):
    watch(project)
    breaks = {
        12: lambda: sql(project, "UPDATE orders SET amount = -1 WHERE id < 3"),
        32: lambda: sql(project, "UPDATE orders SET amount = 1 WHERE id < 3"),
    }
    serve(project, monkeypatch, 60, breaks)
    told = alerts(project)
    fired, over = ([name for name, kind in told if kind == which] for which in ("fired", "cleared"))
    assert sorted(fired) == ["quality-incidents", "quality-pass-rate", "quality-rules-fail"], told
    assert sorted(over) == ["quality-incidents", "quality-rules-fail"], told  # the rate is of thirty days
    lines = (project / "data" / "alerts.jsonl").read_text().splitlines()
    assert all(json.loads(line)["text"].startswith("Over: ") for line in lines[-len(over) :])
    serve(project, monkeypatch, 20, start=NOON + timedelta(minutes=70))
    assert alerts(project) == told  # by another process: what stands is known, and nothing is told twice
    with contextlib.closing(open_ledger(f"sqlite:///{project}/.datareeve/ledger.sqlite")) as ledger:
        kept = {one.name for one in ledger.samples("quality")}
    assert kept >= {"contracts", "incidents_open", "rules_failed", "rules_not_run", "pass_percent_period"}


def test_nothing_is_told_of_data_that_holds(project, monkeypatch):
    watch(project)
    serve(project, monkeypatch, 75)
    assert alerts(project) == []
