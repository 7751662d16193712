"""A real pipeline that runs by itself: decided by the loop, carried out by a process of its own, told as lineage, seen in its status."""

import contextlib
import json
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

import otlp_rig
from datareeve.app import App
from datareeve.interfaces import cli
from datareeve.interfaces.worker import Children, Starter

ESTATE = """version: 1
name: shop
systems:
  shop: {kind: sqlite, path: shop.db}
  warehouse: {kind: duckdb, path: warehouse.duckdb}
authority: {rules: [{decision: allow}]}
pipelines: {pools: {small: 1}, lineage: data/lineage.jsonl}
"""
ORDERS = """version: 1
target: warehouse
loads:
  orders: {source: {system: shop, table: orders}}
schedule: {cron: "0 * * * *", timezone: Europe/Berlin, pool: small, timeout: 10m}
"""
COPY = """version: 1
target: warehouse
loads:
  customers: {source: {system: shop, table: customers}}
schedule: {after: [orders]}
"""
DEADLINE = 90


@pytest.fixture
def app(tmp_path):
    (tmp_path / "estate.yaml").write_text(ESTATE)
    (tmp_path / "etl").mkdir()
    (tmp_path / "etl" / "orders.yaml").write_text(ORDERS)
    (tmp_path / "etl" / "copy.yaml").write_text(COPY)
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        shop.execute("CREATE TABLE orders (id integer PRIMARY KEY, amount text)")
        shop.execute("CREATE TABLE customers (id integer PRIMARY KEY, email text)")
        shop.executemany("INSERT INTO orders VALUES (?, ?)", [(n, f"secret-{n}") for n in range(50)])
        shop.execute("INSERT INTO customers VALUES (1, 'ann@example.com')")
        shop.commit()
    with contextlib.closing(App.open(tmp_path)) as app:
        yield app


def until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def status(app):
    plan = app.preview(app.catalogue.make("pipelines.status", {}))
    return {one["pipeline"]: one for one in plan.figures["by_pipeline"]}


def test_a_pipeline_runs_by_itself_and_the_one_below_it_after_it(app, capsys):
    starter = Starter(Children(app.project), app.job_queue())
    more = app.more_schedules(starter)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    try:
        for now in (hour - timedelta(minutes=30), hour):
            for _, act in more(now):
                act()
        until(lambda: status(app)["orders"]["succeeded"] == 1, "orders is run")
        for _, act in more(datetime.now(UTC)):
            act()
        until(lambda: status(app)["copy"]["succeeded"] == 1, "copy is run")
    finally:
        starter.stop()
    with contextlib.closing(duckdb.connect(app.project / "warehouse.duckdb", read_only=True)) as warehouse:
        assert warehouse.sql("SELECT count(*), count(DISTINCT id) FROM orders").fetchone() == (50, 50)
        assert warehouse.sql("SELECT count(*) FROM customers").fetchone() == (1,)
    seen = status(app)["orders"]
    assert (seen["state"], seen["history"][0]["rows_in"], seen["history"][0]["rejected"]) == ("fresh", 50, 0)
    _lineage_is_told(app)
    assert cli.main(["slo", "--json", "--project", str(app.project)]) == 0
    (level,) = (
        one for one in json.loads(capsys.readouterr().out) if one["target"] == "pipeline_success_percent"
    )
    assert (level["latest"], level["measured"]) == (100.0, 2)


def _lineage_is_told(app):
    text = (app.project / "data" / "lineage.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    assert [(one["job"]["name"], one["eventType"]) for one in events] == [
        ("orders", "START"), ("orders", "COMPLETE"), ("copy", "START"), ("copy", "COMPLETE"),
    ]  # fmt: skip
    assert events[0]["run"]["runId"] == events[1]["run"]["runId"]
    done = events[1]
    assert [(one["namespace"], one["name"]) for one in done["inputs"]] == [("sqlite://shop.db", "orders")]
    assert [(one["namespace"], one["name"]) for one in done["outputs"]] == [
        ("duckdb://warehouse.duckdb", "orders")
    ]
    assert done["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 50
    assert "secret-" not in text
    assert "ann@" not in text


def test_the_columns_of_models_are_told_with_those_they_are_made_of(app):
    models = "models:\n  totals: {query: 'SELECT id AS number, amount FROM orders'}\n"
    (app.project / "etl" / "orders.yaml").write_text(ORDERS + models)
    plan = app.preview(app.catalogue.make("pipelines.run", {"pipeline": "orders"}))
    assert app.apply(plan, by="a person").status == "done"
    events = [json.loads(line) for line in (app.project / "data" / "lineage.jsonl").read_text().splitlines()]
    told = {one["name"]: one["facets"] for one in events[-1]["outputs"]}
    fields = told["totals"]["columnLineage"]["fields"]
    source = {"namespace": "duckdb://warehouse.duckdb", "name": "orders"}
    assert fields["number"] == {"inputFields": [{**source, "field": "id"}]}
    assert fields["amount"] == {"inputFields": [{**source, "field": "amount"}]}
    assert "columnLineage" not in told["orders"]


def test_a_run_that_fails_is_told_with_its_code_only(app):
    plan = app.preview(app.catalogue.make("pipelines.run", {"pipeline": "orders"}))
    with contextlib.closing(sqlite3.connect(app.project / "shop.db")) as shop:
        shop.execute("DROP TABLE orders")
    assert app.apply(plan, by="a person").status != "done"
    *_, failed = [
        json.loads(line) for line in (app.project / "data" / "lineage.jsonl").read_text().splitlines()
    ]
    assert failed["eventType"] == "FAIL"
    assert "." in failed["run"]["facets"]["errorMessage"]["message"]
    assert " " not in failed["run"]["facets"]["errorMessage"]["message"]
    assert status(app)["orders"]["state"] == "failing"


def test_lineage_that_cannot_be_told_fails_no_run(app):
    settings = app.estate.pipelines.model_copy(update={"lineage": "http://user:pw@127.0.0.1:1/"})
    app.estate = app.estate.model_copy(update={"pipelines": settings})
    plan = app.preview(app.catalogue.make("pipelines.run", {"pipeline": "orders"}))
    assert app.apply(plan, by="a person").status == "done"


def test_a_run_is_traced_with_a_span_for_each_step(app):
    with otlp_rig.Collector() as collector:
        settings = app.estate.pipelines.model_copy(update={"otlp": collector.url, "lineage": None})
        app.estate = app.estate.model_copy(update={"pipelines": settings})
        outcome = app.apply(
            app.preview(app.catalogue.make("pipelines.run", {"pipeline": "orders"})), by="a person"
        )
        (body,) = collector.bodies("/v1/traces")
        collector.shutdown()
    (resource,) = body["resourceSpans"]
    assert {"key": "service.name", "value": {"stringValue": "datareeve-pipelines"}} in resource["resource"][
        "attributes"
    ]
    run, *steps = resource["scopeSpans"][0]["spans"]
    assert run["name"] == "pipelines.run"
    assert {span["parentSpanId"] for span in steps} == {run["spanId"]}
    assert {span["traceId"] for span in steps} == {run["traceId"]}
    assert len({span["spanId"] for span in (run, *steps)}) == len(steps) + 1
    assert [span["name"].rpartition("/")[2] for span in steps] == [
        step.step for part in outcome.parts for step in part.steps
    ]
    for span in steps:
        assert int(run["startTimeUnixNano"]) <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) <= int(run["endTimeUnixNano"])  # fmt: skip
    (load,) = (span for span in steps if span["name"].endswith("load orders"))
    assert {"key": "datareeve.rows", "value": {"intValue": "50"}} in load["attributes"]
    assert "secret-" not in json.dumps(body)


def test_a_collector_that_is_away_fails_no_run(app):
    settings = app.estate.pipelines.model_copy(update={"otlp": "http://127.0.0.1:1"})
    app.estate = app.estate.model_copy(update={"pipelines": settings})
    assert (
        app.apply(
            app.preview(app.catalogue.make("pipelines.run", {"pipeline": "orders"})), by="a person"
        ).status
        == "done"
    )
