"""What the report reads: contracts by name or path, which columns a rule is about, and text of contracts that is no Markdown."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from datareeve.app import App
from datareeve.capabilities.quality import report, report_facts
from datareeve.capabilities.quality.checking import said
from datareeve.capabilities.quality.counting import counted, pass_rate
from datareeve.capabilities.quality.incidents import Incident
from datareeve.capabilities.quality.report_facts import Line, ReportFacts
from datareeve.capabilities.quality.rule import Rule
from datareeve.capabilities.quality.verdicts import Verdict

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


def test_a_contract_that_was_taken_out_is_no_part_of_the_totals(tmp_path, app):
    check(app, "other")
    before = report.figures(gathered(app, None))
    (tmp_path / "contracts" / "other.yaml").unlink()
    facts = gathered(app, None)
    assert [one.contract for one in facts.standings] == ["shop"]
    assert {one.contract for one in facts.incidents} == {"shop"}
    after = report.figures(facts)
    assert after["contracts"] == before["contracts"] - 1
    assert after["verdicts"] < before["verdicts"]


def test_a_system_that_was_taken_out_is_no_part_of_the_totals(tmp_path, app):
    (tmp_path / "estate.yaml").write_text("systems:\n  new: {kind: sqlite, path: t.sqlite}\n")
    app.reload()
    facts = gathered(app, None)
    assert (facts.standings, facts.incidents, facts.days_of) == ((), (), {})
    assert facts.never_run == ("other", "shop")


def test_a_contract_elsewhere_counts_while_its_file_is_there_and_a_damaged_one_does(tmp_path, app):
    (tmp_path / "terms").mkdir()
    (tmp_path / "contracts" / "shop.yaml").rename(tmp_path / "terms" / "shop.yaml")
    estate = tmp_path / "estate.yaml"
    estate.write_text(f"{estate.read_text()}quality: {{contracts: ['contracts/*.yaml', 'terms/*.yaml']}}\n")
    app.reload()
    assert [one.contract for one in gathered(app, None).standings] == ["shop"]
    (tmp_path / "terms" / "shop.yaml").write_text("kind: [")
    assert [one.contract for one in gathered(app, None).standings] == ["shop"]


def check(app, contract):
    plan = app.preview(app.catalogue.make("quality.check-contract", {"contract": contract}))
    return app.apply(plan, by="test", approved=True)


STAMP = "2026-11-23T14:10:33+00:00"


def facts_of(**given):
    return ReportFacts(at=STAMP, days=30, target=99, **given)


def lines_of(*systems):
    return tuple(
        Line(contract="shop", system=system, rule="a", kind="range", words="orders.a: is at least 0", table="orders", verdict=Verdict(rule="a", says="fail", failing=1, checked=1), at=STAMP)
        for system in systems
    )  # fmt: skip


def incident(number):
    return Incident(id=f"I-{number}", contract="shop", system="lite", cause="values", subject=f"orders.c{number}", rules=("a",), opened=STAMP, last_seen=STAMP)  # fmt: skip


@pytest.mark.parametrize("kind", ["html", "md"])
def test_what_is_not_shown_is_counted_and_moments_are_dates(kind):
    text = report.render(facts_of(incidents=tuple(map(incident, range(report.INCIDENTS_SHOWN + 3)))), kind)
    assert "and 3 more" in text
    assert "first seen 2026-11-23 14:10 UTC" in text
    assert " ago" not in text
    assert "and 0 more" not in text


@pytest.mark.parametrize("kind", ["html", "md"])
def test_a_rule_that_says_the_same_of_several_systems_is_told_once(kind):
    text = report.render(facts_of(lines=lines_of("shop", "lake", "lite")), kind)
    assert text.count("orders.a: is at least 0") == 1
    assert "shop, lake, lite" in text
    assert "1 of 1 row breaks it." in text


@pytest.mark.parametrize(
    ("passed", "ran", "target", "told"),
    [(965, 1000, 99, 96.5), (9649, 10000, 99, 96.5), (99999, 100000, 99, 99.9), (9903, 10000, 99, 99.03), (9897, 10000, 99, 98.9), (5, 5, 99, 100), (0, 0, 99, None)],
)  # fmt: skip
def test_a_pass_rate_has_one_rounding_that_never_makes_it_another(passed, ran, target, told):
    rate = pass_rate(passed, ran, target)
    assert rate == told
    assert rate is None or ((rate > target), rate == 100) == ((100 * passed / ran > target), passed == ran)


@pytest.mark.parametrize(
    ("kind", "told", "words"),
    [
        ("range", {"says": "fail", "failing": 1, "checked": 1}, "1 of 1 row breaks it."),
        ("range", {"says": "fail", "failing": 2, "checked": 1000}, "2 of 1,000 rows break it."),
        ("format", {"says": "fail", "failing": 1, "checked": 7, "keys_left_out": "there is no key"}, "1 of 7 rows breaks it. It is not named: there is no key."),
        ("schema", {"says": "fail", "failing": 1, "keys_left_out": "stauts is missing"}, "stauts is missing."),
        ("range", {"says": "not run", "reason": "There is no table staged that this role may read."}, "Not run: There is no table staged that this role may read."),
    ],
)  # fmt: skip
def test_a_verdict_is_said_in_a_sentence(kind, told, words):
    assert said(Rule(id="a", kind=kind, table="t"), Verdict(rule="a", **told)) == words


def test_one_is_one():
    assert [counted(1, "row"), counted(4000, "row"), counted(0, "query")] == [
        "1 row",
        "4,000 rows",
        "0 queries",
    ]
