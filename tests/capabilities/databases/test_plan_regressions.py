"""Seeded plan regressions: each found, named with its cause, measured on a copy; nothing is found where nothing changed."""

import json
from datetime import UTC, datetime

import psycopg
import pytest

from datareeve.app import App
from datareeve.capabilities.databases import plan_history
from datareeve.capabilities.databases.operations.find_plan_regressions import (
    FindPlanRegressions,
    states,
    verdict,
)
from datareeve.capabilities.databases.operations.record_plans import RecordPlans
from datareeve.capabilities.databases.plan_history import Capture, Cause, Change, Kept
from datareeve.core.errors import BadInput
from datareeve.systems.pg_copy import copy_of

SCHEMA = (
    "CREATE TABLE flights (id int PRIMARY KEY, tail text, month int NOT NULL, delay int)",
    "INSERT INTO flights SELECT g, 'N' || g % 4000, 1 + g % 12, g % 90 FROM generate_series(1, 60000) g",
    "CREATE INDEX flights_tail ON flights (tail)",
    "CREATE TABLE planes (tail text PRIMARY KEY, seats int)",
    "INSERT INTO planes SELECT 'N' || g, g % 300 FROM generate_series(0, 3999) g",
    "ANALYZE",
)
BY_TAIL = "SELECT id FROM flights WHERE tail = %s"
JOINED = (
    "SELECT p.seats, count(*) FROM flights f JOIN planes p USING (tail) WHERE f.month = %s GROUP BY p.seats"
)
ESTATE = """version: 1
systems:
  app:
    kind: postgresql
    url: {url}
    workload: {{kind: trace, path: trace.jsonl}}
authority:
  rules:
    - {{decision: allow}}
"""


@pytest.fixture(scope="module")
def filled(pg18):
    """A database to be copied for each test."""
    with pg18.database(*SCHEMA) as url:
        yield url.rsplit("/", 1)[1]


@pytest.fixture
def app(pg18, filled, tmp_path):
    lines = [{"sql": BY_TAIL, "parameters": [f"N{n}"], "ms": 1.0, "rows": 1} for n in (7, 77, 777)]
    lines += [{"sql": JOINED, "parameters": [n], "ms": 30.0, "rows": 1} for n in (3, 4)]
    (tmp_path / "trace.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pg18.database(template=filled) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")
        (tmp_path / "estate.yaml").write_text(ESTATE.format(url=url))
        opened = App.open(tmp_path)
        yield opened
        opened.close()


def record(app):
    return app.apply(app.preview(RecordPlans(system="app")), by="test")


def found(app):
    return app.preview(FindPlanRegressions(system="app"))


def run(app, *statements):
    with psycopg.connect(app.systems["app"].entry.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def fingerprint(app, text):
    return next(f["fingerprint"] for f in app.systems["app"].read("workload")["families"] if text in f["sql"])


def test_plans_are_recorded_once_verified_and_then_quiet(app):
    outcome = record(app)
    assert outcome.status == "done"
    again = app.preview(RecordPlans(system="app"))
    assert again.nothing_to_do == "The plans of 2 families are recorded as they are."
    [kept] = app.ledger.entries(plan_history.KIND, subject="app")
    families = kept.body["reading"]["families"]
    assert {len(one["plans"]) for one in families} == {1}
    assert families[0]["plans"][0]["cost"] > 0
    assert kept.body["reading"]["tables"]["public.flights"]["indexes"]["flights_tail"]["valid"] is True
    assert "N777" not in json.dumps(kept.body)
    assert app.undo(outcome.run, by="test").status == "undone"


def test_a_clean_database_has_no_finding(app):
    record(app)
    plan = found(app)
    assert (plan.findings, plan.summary) == ((), "2 families are planned as they were.")


def test_without_a_record_it_says_what_to_run(app):
    assert found(app).nothing_to_do.endswith(
        "no plan is recorded yet. Run databases.record-plans, best on a schedule."
    )


def test_a_changed_setting_is_found_proven_by_putting_it_back_and_measured(app, tmp_path):
    record(app)
    name = app.systems["app"].entry.url.rsplit("/", 1)[1]
    run(
        app,
        f'ALTER DATABASE "{name}" SET enable_indexscan = off',
        f'ALTER DATABASE "{name}" SET enable_bitmapscan = off',
        f'ALTER DATABASE "{name}" SET random_page_cost = 3.9',
    )
    operation = FindPlanRegressions(system="app")
    facts = operation.observe(app.systems)
    with copy_of(app.systems["app"], tmp_path / "copy") as copy:
        facts = operation.rehearse(facts, copy)
    plan = operation.plan(facts)
    finding = next(f for f in plan.findings if f.figures["fingerprint"] == fingerprint(app, "tail = "))
    assert (finding.rule, finding.severity) == ("plan-regression", "warning")
    assert {c["subject"] for c in finding.figures["causes"]} <= {
        "enable_bitmapscan",
        "enable_indexscan",
    }  # not random_page_cost
    assert "was on and is off (put back, the old plan returns)" in finding.why
    assert "Seq Scan on flights" in finding.figures["plans"]
    assert "flights_tail" in finding.figures["plans"]
    assert finding.figures["measured"]["reproduced"]
    assert finding.figures["measured"]["ms_after"] > finding.figures["measured"]["ms_before"]
    assert "N777" not in plan.model_dump_json()


def test_a_dearer_random_page_is_named_as_the_cause(app):
    record(app)
    name = app.systems["app"].entry.url.rsplit("/", 1)[1]
    run(app, f'ALTER DATABASE "{name}" SET random_page_cost = 1000')
    finding = next(f for f in found(app).findings if f.figures["fingerprint"] == fingerprint(app, "tail = "))
    assert finding.rule == "plan-regression"
    assert finding.why == "What changed: random_page_cost was 4 and is 1000 (put back, the old plan returns)."
    assert finding.instead.startswith("Put random_page_cost back to 4")


def test_statistics_that_are_gone_are_named_as_the_cause_and_measured(app, tmp_path):
    run(
        app, "UPDATE flights SET month = 13 WHERE id > 60", "VACUUM FULL ANALYZE flights"
    )  # month = 3 is rare, which only statistics tell
    record(app)
    run(app, "DELETE FROM pg_statistic WHERE starelid = 'flights'::regclass")
    operation = FindPlanRegressions(system="app")
    facts = operation.observe(app.systems)
    with copy_of(app.systems["app"], tmp_path / "copy") as copy:
        facts = operation.rehearse(facts, copy)
    plan = operation.plan(facts)
    [finding] = [f for f in plan.findings if f.figures["fingerprint"] == fingerprint(app, "JOIN planes")]
    assert finding.rule in {"plan-regression", "plan-changed", "plan-improved"}
    assert [c["kind"] for c in finding.figures["causes"]] == ["statistics-gone"]
    assert finding.why == "What changed: the statistics of public.flights are gone."
    assert finding.figures["measured"]["reproduced"]
    unmeasured = found(app)
    [finding] = [
        f for f in unmeasured.findings if f.figures["fingerprint"] == fingerprint(app, "JOIN planes")
    ]
    assert finding.rule == "plan-regression"
    assert finding.instead == "databases.analyze-table with system=app schema_name=public table=flights."


def test_an_index_that_is_gone_is_named_with_the_statement_that_makes_it(app, tmp_path):
    record(app)
    run(app, "DROP INDEX flights_tail")
    operation = FindPlanRegressions(system="app")
    facts = operation.observe(app.systems)
    with copy_of(app.systems["app"], tmp_path / "copy") as copy:
        facts = operation.rehearse(facts, copy)
        left = copy.read(
            "query", sql="SELECT count(*) FROM pg_indexes WHERE indexname = 'flights_tail'", shape="scalar"
        )
    assert left == 0
    [finding] = operation.plan(facts).findings
    assert (finding.rule, finding.why) == (
        "plan-regression",
        "What changed: index flights_tail on public.flights is gone.",
    )
    assert finding.instead == "CREATE INDEX flights_tail ON public.flights USING btree (tail);"
    measured = finding.figures["measured"]
    assert measured["reproduced"]
    assert measured["buffers_after"] > measured["buffers_before"]


def test_a_cheaper_plan_is_told_as_improved_and_not_as_a_regression(app):
    record(app)
    run(
        app,
        "CREATE INDEX flights_month ON flights (month) INCLUDE (tail)",
        "DROP INDEX flights_tail",
        "CREATE INDEX better ON flights (tail) INCLUDE (id)",
        "VACUUM ANALYZE flights",
    )
    rules = {f.figures["fingerprint"]: f for f in found(app).findings}
    joined = rules[fingerprint(app, "JOIN planes")]
    assert (joined.rule, joined.severity) == ("plan-improved", "info")
    assert "flights_month on public.flights is new" in joined.why


def test_a_change_that_was_recorded_is_still_told_until_it_is_old(app):
    record(app)
    run(app, "DROP INDEX flights_tail")
    assert record(app).status == "done"
    assert [f.rule for f in found(app).findings] == ["plan-regression"]
    later = FindPlanRegressions(system="app", since_days=1e-9)
    assert app.preview(later).findings == ()


def test_a_setting_that_is_not_the_planners_is_refused(app):
    with pytest.raises(BadInput) as refused:
        app.systems["app"].read(
            "plan_under", fingerprint=fingerprint(app, "tail = "), settings={"role": "postgres"}
        )
    assert refused.value.code == "plans.setting"


# -- pure --------------------------------------------------------------------------------------------------------------------------


def plan_taken(shape, cost, index=None, table="t"):
    node = {
        "Node Type": "Index Scan" if index else "Seq Scan",
        "Schema": "public",
        "Relation Name": table,
        "Total Cost": cost,
        "Plan Rows": 1,
    }
    return {
        "shape": shape,
        "cost": cost,
        "rows": 1,
        "tree": {**node, **({"Index Name": index} if index else {})},
    }


def capture(shape="a", cost=10.0, calls=10, total_ms=100.0, **around):
    table = {
        "rows": 1000,
        "bytes": 8192,
        "live": 1000,
        "modified": 0,
        "has_statistics": True,
        "indexes": {},
    } | around.pop("table", {})
    family = {
        "fingerprint": "f",
        "sql": "SELECT 1",
        "calls": calls,
        "total_ms": total_ms,
        "plans": [plan_taken(shape, cost)],
    }
    return Capture.model_validate(
        {"version_num": 180000, "settings": {}, "tables": {"public.t": table}, "families": [family], **around}
    )


def kept(capture_, day=1):
    return Kept(at=datetime(2026, 1, day, tzinfo=UTC).isoformat(), capture=capture_)


def only(before, after):
    [change] = plan_history.changes([kept(before)], after, "2025")
    return change


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ({}, {"version_num": 190000}, "PostgreSQL 18 became 19"),
        ({}, {"table": {"rows": 5000}}, "public.t had 1,000 rows and has 5,000"),
        ({}, {"table": {"modified": 300}}, "300 of 1,000 rows of public.t changed since it was analysed"),
        ({}, {"table": {"rows": -1}}, "public.t has not been analysed since it was made anew"),
        (
            {"settings": {"work_mem": "4MB"}},
            {"settings": {"work_mem": "64kB"}},
            "work_mem was 4MB and is 64kB",
        ),
    ],
)
def test_causes_are_found_by_looking(before, after, cause):
    assert [one.what for one in only(capture(**before), capture("b", **after)).causes] == [cause]


def test_times_a_call_before_and_after_are_told_by_the_calls_in_between():
    change = only(capture(calls=10, total_ms=100.0), capture("b", cost=1.0, calls=30, total_ms=2100.0))
    assert (change.ms_before, change.ms_after) == (10.0, 100.0)
    assert verdict(change, None) == "plan-regression"  # though the planner thinks that it is cheaper


def test_families_whose_values_have_several_plans_are_not_told_for_taking_one_of_them():
    both = capture()
    family = both.families[0].model_copy(
        update={"plans": (*both.families[0].plans, *capture("b").families[0].plans)}
    )
    both = both.model_copy(update={"families": (family,)})
    assert list(plan_history.changes([kept(both)], capture("b"), "2025")) == []


def test_states_are_made_from_causes():
    old = plan_history.PlanTaken(shape="a", cost=1, rows=1, tree={"Node Type": "Result"})
    causes = (
        Cause(kind="setting", subject="work_mem", what="", before="4MB", after="64kB"),
        Cause(kind="index-new", subject="public.t", what="", after="New", before="CREATE INDEX"),
        Cause(kind="statistics-gone", subject="public.My'T", what=""),
    )
    change = Change(
        fingerprint="f",
        sql="",
        seen_at="",
        before=old,
        after=old,
        causes=causes,
        settings={"work_mem": ("4MB", "64kB")},
    )
    assert states(change) == (
        ["SET LOCAL work_mem = '4MB'", 'DROP INDEX public."New"'],
        [
            "SET LOCAL work_mem = '64kB'",
            "DELETE FROM pg_catalog.pg_statistic WHERE starelid = 'public.\"My''T\"'::regclass",
        ],
    )
