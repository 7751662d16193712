"""What the report reads: contracts by name or path, which columns a rule is about, and text of contracts that is no Markdown."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from datareeve.app import App
from datareeve.capabilities.quality import report, report_facts

SHOP = """
apiVersion: v3.1.0
kind: DataContract
id: shop
version: 1.0.0
status: active
servers: [{server: lite, type: custom}]
schema:
  - name: orders
    properties: [{name: id, logicalType: integer}]
    quality:
      - {id: small, type: custom, engine: datareeve, implementation: {kind: condition, sql: "id < 5 or '<script>[x](y) a | b' = 'x'"}}
      - {id: begins, type: custom, engine: datareeve, implementation: {kind: condition, sql: "begins_at < 5 and void is null"}}
"""
OTHER = """
apiVersion: v3.1.0
kind: DataContract
id: other
version: 1.0.0
status: active
servers: [{server: lite, type: custom}]
schema:
  - name: lines
    properties: [{name: n, logicalType: integer}]
    quality: [{id: n, type: custom, engine: datareeve, implementation: {kind: range, columns: [n], at_most: 5}}]
  - name: more
    physicalName: Orders
    properties: [{name: id, logicalType: integer}, {name: kind, logicalType: string}]
    quality: [{id: kind, type: custom, engine: datareeve, implementation: {kind: set, columns: [kind], values: [a]}}]
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "shop.yaml").write_text(SHOP)
    (tmp_path / "contracts" / "other.yaml").write_text(OTHER)
    (tmp_path / "estate.yaml").write_text("systems:\n  lite: {kind: sqlite, path: t.sqlite}\n")
    with closing(sqlite3.connect(tmp_path / "t.sqlite")) as db:
        db.execute("CREATE TABLE orders (id integer, begins_at integer, void integer, oi integer, kind text)")
        db.execute("CREATE TABLE lines (n integer)")
        db.execute("CREATE TABLE nobody_asks (n integer)")
        db.execute("INSERT INTO orders VALUES (9, 1, NULL, 1, 'a')")
        db.commit()
    with closing(App.open(tmp_path)) as opened:
        plan = opened.preview(opened.catalogue.make("quality.check-contract", {"contract": "shop"}))
        opened.apply(plan, by="test", approved=True)
        yield opened


def gathered(app, only):
    return report_facts.gather(app.systems, only, 7, catalogs=True)


def test_a_contract_is_reported_by_its_path_as_by_its_name(app):
    by_name, by_path = gathered(app, "shop"), gathered(app, "contracts/shop.yaml")
    assert [one.contract for one in by_path.standings] == ["shop"]
    assert len(by_path.lines) == len(by_name.lines) > 1
    assert len(by_path.incidents) == len(by_name.incidents) == 1
    assert by_path.never_run == ()


def test_tables_of_other_contracts_are_under_contract_whichever_is_reported(app):
    for only in ("shop", None):
        (coverage,) = gathered(app, only).coverage
        assert [one.rpartition(".")[2] for one in coverage.without_contract] == ["nobody_asks"]


def test_a_column_is_checked_where_a_condition_names_it_and_whichever_contract_does(app):
    (coverage,) = gathered(app, None).coverage
    (never,) = coverage.never_checked.values()
    assert never == ("oi",)


def test_tables_beyond_those_whose_columns_are_looked_at_are_under_contract(app, monkeypatch):
    monkeypatch.setattr(report_facts, "MOST_TABLES", 0)
    (coverage,) = gathered(app, None).coverage
    assert [one.rpartition(".")[2] for one in coverage.without_contract] == ["nobody_asks"]


def test_what_a_contract_says_is_no_markdown(app):
    text = report.render(gathered(app, None), "md")
    assert "<script>" not in text
    assert r"\[x](y) a \| b" in text


def test_a_system_whose_secret_is_missing_is_told_and_the_others_are_reported(tmp_path, app):
    postgres = (
        "  an: {kind: postgresql, url: 'postgresql://u@127.0.0.1:1/x', password: 'env:NOBODY_SET_THIS'}\n"
    )
    estate = tmp_path / "estate.yaml"
    estate.write_text(estate.read_text() + postgres)
    app.reload()
    plan = app.preview(app.catalogue.make("quality.report", {"html": "data/q.html", "markdown": "data/q.md"}))
    (finding,) = [one for one in plan.findings if one.rule == "coverage-unknown"]
    assert (finding.subject, plan.figures["tables"]) == ("an", 3)
    assert "env:NOBODY_SET_THIS" in finding.what
    assert plan.figures["rules_failed"] == 1
    for step in plan.steps:
        assert "env:NOBODY_SET_THIS" in step.call.arguments["text"], step.id
