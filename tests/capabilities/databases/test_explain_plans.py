"""Plans read, marked and drawn: each rule on a real plan where it can be had, on a plan as data where not; nothing on a good plan."""

import json

import psycopg
import pytest

from datareeve.app import App
from datareeve.capabilities.databases import explain
from datareeve.capabilities.databases.explain import Node, read_plan
from datareeve.capabilities.databases.operations.explain_query import ExplainQuery
from datareeve.capabilities.databases.rules import plans
from datareeve.core.errors import Failed, Refused
from datareeve.systems.pg_copy import copy_of

SCHEMA = (
    "CREATE TABLE trips (id int PRIMARY KEY, rider text, city int, zone int, paid numeric, at timestamptz)",
    "INSERT INTO trips SELECT g, 'rider ' || g % 900, g % 50, g % 50, g % 70, timestamptz '2026-01-01' + g * interval '1 min' FROM generate_series(1, 60000) g",
    "CREATE INDEX trips_city ON trips (city)",
    "CREATE TABLE parts (n int, v text) PARTITION BY RANGE (n)",
    "DO $$ BEGIN FOR i IN 0..39 LOOP EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s)', i, i, i + 1); END LOOP; END $$",
    "INSERT INTO parts SELECT g % 40, 'v' FROM generate_series(1, 4000) g",
    "ANALYZE",
    "CREATE ROLE onlooker LOGIN",
)
ESTATE = "version: 1\nsystems:\n  app: {{kind: postgresql, url: {url}}}\nauthority:\n  rules:\n    - {{decision: allow}}\n"


@pytest.fixture(scope="module")
def app(pg18, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    with pg18.database(*SCHEMA) as url:
        (folder / "estate.yaml").write_text(ESTATE.format(url=url))
        opened = App.open(folder)
        yield opened
        opened.close()
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("DROP ROLE onlooker")


def executed(app, sql, **more):
    return app.preview(ExplainQuery(system="app", sql=sql, analyze=True, on_source=True, **more))


def rules(plan):
    return {finding.rule for finding in plan.findings}


@pytest.mark.parametrize(
    ("sql", "rule", "badge"),
    [
        ("SELECT * FROM trips ORDER BY rider, paid", "spill-to-disk", "MB on disk"),
        (
            "SELECT paid FROM trips WHERE city = 3 AND zone = 3 AND paid >= 0",
            "misestimate",
            "times more rows",
        ),
        (
            "SELECT paid FROM trips WHERE city < 30 AND rider = 'rider 7' AND at IS NOT NULL",
            "full-scan",
            "full scan",
        ),
        ("SELECT count(*) FROM parts WHERE v <> 'w'", "partitions-not-pruned", "40 partitions"),
    ],
)
def test_what_stands_out_in_a_plan_that_was_run_is_marked(app, sql, rule, badge):
    plan = executed(app, sql)
    assert rule in rules(plan)
    answer = app.systems["app"].read("executed_plan", sql=sql)
    found = plans.marks(read_plan(answer))
    assert any(badge in mark.badge for told in found.values() for mark in told if mark.rule == rule)
    assert "rider 7" not in plan.model_dump_json()


def test_a_good_plan_has_no_mark(app):
    plan = executed(app, "SELECT rider FROM trips WHERE id = 77")
    assert plan.findings == ()
    assert plan.summary.endswith("of it.")
    assert "Index Scan using trips_pkey on public.trips" in plan.figures["tree"]
    assert "1 expected, 1 found" in plan.figures["tree"]


def test_settings_are_told_as_they_are_and_constants_are_not(app):
    url = app.systems["app"].entry.url
    database = url.rsplit("/", 1)[1]
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {database} SET random_page_cost = 1.25")
        answer = app.systems["app"].read("executed_plan", sql="SELECT paid FROM trips WHERE zone = 31")
        owner.execute(f"ALTER DATABASE {database} RESET random_page_cost")
    assert answer["Settings"]["random_page_cost"] == "1.25"
    assert answer["Plan"]["Filter"] == "(trips.zone = ?)"


def test_own_times_add_up_to_the_whole(app):
    answer = app.systems["app"].read(
        "executed_plan",
        sql="SELECT t.city, count(*) FROM trips t JOIN trips u ON u.id = t.id + 1 WHERE t.paid > 3 GROUP BY t.city",
    )
    plan = read_plan(answer)
    assert sum(node.own_ms for node in plan.root.walk()) == pytest.approx(plan.root.ms, rel=0.05)
    assert sum(node.share for node in plan.root.walk()) == pytest.approx(1.0, rel=0.05)
    assert len(plan.worst) == 3


def test_running_is_bounded_by_a_timeout_and_refuses_writes(app):
    with pytest.raises(Failed) as stopped:
        executed(app, "SELECT count(*) FROM trips a, trips b WHERE a.paid > b.paid", timeout_seconds=0.2)
    assert stopped.value.code == "postgres.timeout"
    with pytest.raises(Refused) as refused:
        executed(app, "DELETE FROM trips")
    assert refused.value.code == "postgres.read-only"


def test_it_is_run_on_the_copy_of_a_rehearsal_with_the_values_that_were_given(app, tmp_path):
    operation = ExplainQuery(system="app", sql="SELECT rider FROM trips WHERE city = 7", analyze=True)
    facts = operation.observe(app.systems)
    assert operation.plan(facts).nothing_to_do == ""
    assert "found" not in operation.plan(facts).figures["tree"]
    again = ExplainQuery(**operation.plan(facts).inputs)  # as rehearsal makes it
    with copy_of(app.systems["app"], tmp_path) as copy:
        plan = again.plan(again.rehearse(again.observe(app.systems), copy))
    assert plan.figures["actual_rows"] == 1200
    assert "on a copy of app" in plan.summary
    assert "city = ?" in plan.figures["tree"]


def test_the_life_of_a_page_written_checked_quiet_and_taken_back(app):
    operation = ExplainQuery(
        system="app", sql="SELECT paid FROM trips WHERE rider = 'rider 7' AND paid > 1", html="data/plan.html"
    )
    plan = app.preview(operation)
    assert plan.fingerprint == app.preview(operation).fingerprint
    outcome = app.apply(plan, by="test")
    assert outcome.status == "done"
    page = (app.project / "data" / "plan.html").read_text()
    assert "public.trips" in page
    assert "full scan" in page
    assert "rider 7" not in page
    assert "<script" not in page
    assert "http" not in page
    again = app.preview(operation)
    assert (again.steps, again.nothing_to_do) == ((), again.summary)
    assert app.undo(outcome.run, by="test").status == "undone"
    assert not (app.project / "data" / "plan.html").exists()


def test_a_page_outside_the_project_is_refused(app):
    with pytest.raises(Refused) as refused:
        app.preview(ExplainQuery(system="app", sql="SELECT 1", html="../plan.html"))
    assert refused.value.code == "files.outside"


# -- plans as data -----------------------------------------------------------------------------------------------------------------


def node(kind, cost=10.0, rows=1, **known):
    return {"Node Type": kind, "Total Cost": cost, "Plan Rows": rows, **known}


def ran(kind, ms=1.0, loops=1, rows=1, found=1, **known):
    return node(
        kind, rows=rows, **{"Actual Total Time": ms, "Actual Loops": loops, "Actual Rows": found, **known}
    )


LOOP = ran("Nested Loop", ms=100, found=5000, rows=5000, Plans=[
    ran("Seq Scan", ms=1, found=5000, rows=5000), ran("Index Scan", ms=0.018, loops=5000, **{"Relation Name": "t", "Index Name": "i"}),
])  # fmt: skip
MARKED = [
    ("many-loops", LOOP, {"Execution Time": 100}),
    ("spill-to-disk", ran("Hash", **{"Hash Batches": 8, "Temp Written Blocks": 100}), {}),
    ("spill-to-disk", ran("Aggregate", **{"HashAgg Batches": 5, "Disk Usage": 4000}), {}),
    ("lossy-bitmap", ran("Bitmap Heap Scan", **{"Lossy Heap Blocks": 900, "Exact Heap Blocks": 10}), {}),
    ("heap-fetches", ran("Index Only Scan", found=5000, rows=5000, **{"Heap Fetches": 4000}), {}),
    ("filter-discards", ran("Index Scan", found=10, rows=10, **{"Rows Removed by Filter": 90_000}), {}),
    ("jit-cost", ran("Result"), {"Execution Time": 100, "JIT": {"Timing": {"Total": 60.0}}}),
    ("workers-missing", ran("Gather", **{"Workers Planned": 4, "Workers Launched": 1}), {}),
    ("disabled-node", node("Seq Scan", Disabled=True), {}),
    ("disabled-node", node("Seq Scan", cost=1e10 + 5), {}),
    ("misestimate", ran("Seq Scan", rows=5000, found=3), {}),
    ("partitions-not-pruned", node("Append", Plans=[node("Seq Scan", **{"Relation Name": f"p{n}"}) for n in range(30)]), {}),
    ("full-scan", node("Seq Scan", cost=5000, Filter="(a = ?)", **{"Relation Name": "t"}), {}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "top", "around"), MARKED)
def test_a_rule_marks_its_node(rule, top, around):
    found = plans.findings(read_plan({"Plan": top, **around}))
    assert [finding.rule for finding in found] == [rule]


QUIET = [
    ("many-loops", ran("Nested Loop", ms=100, Plans=[ran("Seq Scan"), ran("Index Scan", ms=0.018, loops=50)]), {"Execution Time": 100}),
    ("spill-to-disk", ran("Hash", **{"Hash Batches": 1}), {}),
    ("spill-to-disk", ran("Sort", **{"Sort Space Type": "Memory", "Sort Space Used": 90000}), {}),
    ("lossy-bitmap", ran("Bitmap Heap Scan", **{"Lossy Heap Blocks": 0, "Exact Heap Blocks": 10_000}), {}),
    ("heap-fetches", ran("Index Only Scan", found=50_000, rows=50_000, **{"Heap Fetches": 1500}), {}),
    ("filter-discards", ran("Index Scan", found=10, rows=10, **{"Rows Removed by Filter": 90}), {}),
    ("jit-cost", ran("Result"), {"Execution Time": 10_000, "JIT": {"Timing": {"Total": 60.0}}}),
    ("workers-missing", ran("Gather", **{"Workers Planned": 2, "Workers Launched": 2}), {}),
    ("disabled-node", node("Seq Scan"), {}),
    ("misestimate", ran("Seq Scan", rows=50, found=3), {}),
    ("misestimate", ran("Limit", found=3, rows=3, Plans=[ran("Seq Scan", rows=5000, found=3)]), {}),  # read in part
    ("partitions-not-pruned", node("Append", Plans=[node("Seq Scan", **{"Relation Name": f"p{n}"}) for n in range(3)]), {}),
    ("full-scan", node("Seq Scan", cost=50, Filter="(a = ?)", **{"Relation Name": "t"}), {}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "top", "around"), QUIET)
def test_a_rule_keeps_silent_where_all_is_well(rule, top, around):
    assert plans.findings(read_plan({"Plan": top, **around})) == ()
    assert rule in {one[0] for one in MARKED}


def test_every_rule_has_an_example_of_both_kinds():
    modules = {rule.__module__.rpartition(".")[2].replace("_", "-") for rule in plans.RULES}
    assert modules == {one[0] for one in MARKED} == {one[0] for one in QUIET}


def test_ten_thousand_partitions_stay_readable():
    children = [
        node("Seq Scan", cost=n % 97, **{"Schema": "public", "Relation Name": f"p{n}"}) for n in range(10_000)
    ]
    plan = read_plan(
        {"Plan": node("Aggregate", cost=500_000, Plans=[node("Append", cost=490_000, Plans=children)])}
    )
    assert plan.nodes == 10_002
    assert sum(1 for _ in plan.root.walk()) == 8
    text = explain.as_text(plan)
    assert len(text.splitlines()) == 9
    assert "… and 9,994 more: 9,994 Seq Scan" in text
    page = explain.as_page(plan, title="t", statement="SELECT 1", source="s")
    assert len(page) < 40_000
    assert "10,000 partitions" in page


def test_times_below_a_gather_are_shared_by_its_processes():
    scan = ran("Seq Scan", ms=30, loops=3, rows=10, found=10)
    plan = read_plan(
        {
            "Plan": ran(
                "Gather",
                ms=40,
                rows=30,
                found=30,
                Plans=[scan],
                **{"Workers Planned": 2, "Workers Launched": 2},
            )
        }
    )
    assert plan.root.children[0].ms == 30
    assert plan.root.own_ms == 10


def test_text_of_a_plan_cannot_break_the_page():
    plan = read_plan(
        {"Plan": node("Seq Scan", Filter="(a = ?)", **{"Relation Name": "<script>alert(1)</script>"})}
    )
    page = explain.as_page(plan, title="t", statement="SELECT '</pre><script>'", source="s")
    assert "<script" not in page


def test_figures_are_short():
    assert [explain.count(n) for n in (7, 9999, 12_345, 12_345_678)] == ["7", "9,999", "12 k", "12 M"]
    assert [explain.milliseconds(n) for n in (0.0123, 12.34, 4321.0)] == ["12 µs", "12.3 ms", "4.32 s"]
    assert [explain.blocks(n) for n in (1, 2000, 400_000)] == ["8 kB", "15.6 MB", "3.1 GB"]
    assert Node(number=1, kind="Result", cost=1, own_cost=1, rows=1).off is None
    assert (
        json.loads(Node(number=1, kind="Result", cost=1, own_cost=1, rows=1).model_dump_json())["kind"]
        == "Result"
    )
