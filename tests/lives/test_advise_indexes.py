import contextlib
import itertools
import json
import random
from types import SimpleNamespace

import psycopg
import pytest

import flights_data
import servers
from datareeve.capabilities.databases import index_trial
from datareeve.capabilities.databases.operations.advise_indexes import AdviseIndexes
from datareeve.core.estate import WorkloadSource
from datareeve.systems.pg_copy import copy_of
from health_rig import attach

TAIL = "SELECT time_hour, dest FROM flights WHERE tailnum = %s ORDER BY time_hour DESC LIMIT 10"
WEATHER = "SELECT temp FROM weather WHERE origin = %s AND time_hour = %s"
AIRLINE = "SELECT name FROM airlines WHERE carrier = %s"
DELAY = "UPDATE flights SET dep_delay = %s WHERE tailnum = %s AND month = %s"


def write_trace(path, url):
    """The same trace every time: reads of three tables and a write, with values that are really there."""
    draw = random.Random(2013)  # noqa: S311 - a reproducible workload
    with psycopg.connect(url) as app:
        tails = [
            row[0]
            for row in app.execute(
                "SELECT DISTINCT tailnum FROM flights WHERE tailnum IS NOT NULL ORDER BY 1 LIMIT 500"
            )
        ]
        hours = [
            str(row[0]) for row in app.execute("SELECT DISTINCT time_hour FROM weather ORDER BY 1 LIMIT 500")
        ]
    lines = []
    for n in range(200):
        lines.append((TAIL, [draw.choice(tails)], 20.0, 10))
        lines.append((WEATHER, [draw.choice(("EWR", "JFK")), draw.choice(hours)], 2.5, 1))
        lines.append((AIRLINE, ["UA"], 0.1, 1))
        if n % 20 == 0:
            lines.append((DELAY, [n, draw.choice(tails), 1 + n % 12], 30.0, 2))
    keys = ("sql", "parameters", "ms", "rows")
    path.write_text(
        "".join(json.dumps({"session": 1, **dict(zip(keys, line, strict=True))}) + "\n" for line in lines)
    )


@pytest.fixture
def recorded(pg18, tmp_path):
    with pg18.database(template=flights_data.template(pg18)) as url:
        write_trace(tmp_path / "trace.jsonl", url)
        registry = servers.registry(tmp_path, url, workload=WorkloadSource(kind="trace", path="trace.jsonl"))
        with contextlib.closing(registry), contextlib.closing(attach(registry, tmp_path)):
            yield registry


def subjects(plan):
    return {f"{part.inputs['table']} ({', '.join(part.inputs['columns'])})" for part in plan.parts}


def carry_out(registry, plan):
    for step in plan.all_steps():
        registry["app"].perform("execute", run="r1", **step.call.arguments)


def test_advice_is_tried_on_a_copy_created_and_then_quiet(recorded, tmp_path):
    operation = AdviseIndexes(system="app")
    facts = operation.observe(recorded)
    estimated = operation.plan(facts)
    assert [finding.rule for finding in estimated.findings] == ["index-not-measured"]
    with copy_of(recorded["app"], tmp_path) as copy:
        facts = operation.rehearse(facts, copy)
        left = copy.read(
            "query", sql="SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'", shape="scalar"
        )
    assert left == 0
    plan = operation.plan(facts)
    assert plan.fingerprint == operation.plan(facts).fingerprint
    assert plan.figures["workload_ms_after"] * 5 < plan.figures["workload_ms_before"]
    assert plan.figures["families_analysed"] == 4
    (written,) = [one for one in plan.figures["writes"] if one["table"] == "public.flights"]
    assert written["wal_bytes_after"] > written["wal_bytes_before"] > 0
    assert any(subject.startswith("flights (tailnum") for subject in subjects(plan))
    assert any(subject.startswith("weather (time_hour") for subject in subjects(plan))
    assert not any(subject.startswith("airlines") for subject in subjects(plan))
    leaf = plan.parts[0]
    assert leaf.steps[0].predicted.basis == "built on a copy"
    carry_out(recorded, plan)
    assert [check.verdict for part in plan.parts for check in operation.verify(recorded, part)] == [
        "holds"
    ] * len(plan.parts)
    again = operation.plan(operation.observe(recorded))
    assert again.parts == ()
    for step in plan.all_steps():
        for call in step.undo:
            recorded["app"].perform("execute", run="r1", **call.arguments)
    assert (
        recorded["app"].read(
            "query", sql="SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'", shape="scalar"
        )
        == 0
    )


def test_families_that_are_not_begun_in_time_are_left_out_and_counted(recorded, tmp_path, monkeypatch):
    operation = AdviseIndexes(system="app")
    facts = operation.observe(recorded)
    clock = itertools.count(0, 50)  # seconds at each look
    monkeypatch.setattr(index_trial, "time", SimpleNamespace(monotonic=clock.__next__))
    with copy_of(recorded["app"], tmp_path) as copy:
        facts = operation.rehearse(facts, copy)
    assert len(facts.trial.families) == 1
    assert operation.plan(facts).figures["families_left_out"] == 3


def test_no_recorded_value_is_in_facts_or_plan(recorded, tmp_path):
    operation = AdviseIndexes(system="app")
    text = (
        operation.observe(recorded).model_dump_json()
        + operation.plan(operation.observe(recorded)).model_dump_json()
    )
    value = json.loads((tmp_path / "trace.jsonl").read_text().splitlines()[0])["parameters"][0]
    assert value.startswith("N")
    assert value not in text


def test_an_index_that_an_earlier_part_made_on_the_copy_is_not_advised_again(recorded, tmp_path):
    operation = AdviseIndexes(system="app")
    facts = operation.observe(recorded)
    with copy_of(recorded["app"], tmp_path) as copy:
        copy.perform("execute", sql="CREATE INDEX ON flights (tailnum, time_hour)")
        plan = operation.plan(operation.rehearse(facts, copy))
    assert not any(subject == "flights (tailnum, time_hour)" for subject in subjects(plan))


def test_what_is_there_and_not_needed_is_told_never_dropped(recorded):
    for statement in (
        "CREATE INDEX short ON flights (tailnum)",
        "CREATE INDEX long ON flights (tailnum, month)",
        "CREATE INDEX wide ON flights (dest, time_hour, flight)",
        "CREATE INDEX beside ON flights (dest)",  # a tenth of it: the wide one answers the same, and reads far more
        "CREATE INDEX patterns ON flights (tailnum text_pattern_ops)",
        "CREATE TABLE child (flight int)",
    ):
        recorded["app"].perform("execute", run="r1", sql=statement)
    plan = AdviseIndexes(system="app").plan(AdviseIndexes(system="app").observe(recorded))
    told = {finding.rule: finding for finding in plan.findings}
    assert [finding.rule for finding in plan.findings].count("duplicate-index") == 1
    assert (
        told["duplicate-index"].what == "short (tailnum) does nothing that long (tailnum, month) does not do."
    )
    assert (
        "databases.drop-index with system=app schema_name=public index=short"
        in told["duplicate-index"].instead
    )
    assert all(
        step.call.arguments["sql"].startswith("CREATE INDEX CONCURRENTLY") for step in plan.all_steps()
    )


def test_without_a_workload_it_is_blocked_with_the_way_out(systems, tmp_path):
    with contextlib.closing(attach(systems, tmp_path)):
        plan = AdviseIndexes(system="app").plan(AdviseIndexes(system="app").observe(systems))
    assert plan.parts == ()
    assert "systems.*.workload in estate.yaml" in plan.blockers[0]


BOUGHT = "SELECT sum(s.amount) FROM buyers b JOIN sales s ON s.buyer = b.id WHERE b.name = %s"
SHOP = (
    "CREATE TABLE buyers (id int PRIMARY KEY, name text, about text) WITH (autovacuum_enabled = off)",
    "CREATE TABLE sales (id int PRIMARY KEY, buyer int, amount int) WITH (autovacuum_enabled = off)",
    "INSERT INTO buyers SELECT i, 'n' || i % 2000, repeat('x', 200) FROM generate_series(1, 100000) i",
    "INSERT INTO sales SELECT i, i * 7919 % 100000, i % 90 FROM generate_series(1, 100000) i",
)


def test_both_sides_of_a_join_get_their_index_in_a_database_that_was_never_analysed(pg18, tmp_path):
    line = {"session": 1, "sql": BOUGHT, "ms": 30.0, "rows": 1}
    lines = (json.dumps({**line, "parameters": [f"n{n}"]}) + "\n" for n in range(20))
    (tmp_path / "trace.jsonl").write_text("".join(lines))
    workload = WorkloadSource(kind="trace", path="trace.jsonl")
    operation = AdviseIndexes(system="app")
    with (
        pg18.database(*SHOP) as url,
        contextlib.closing(servers.registry(tmp_path, url, workload=workload)) as registry,
        contextlib.closing(attach(registry, tmp_path)),
    ):
        facts = operation.observe(registry)
        assert not operation.plan(facts).nothing_to_do
        with copy_of(registry["app"], tmp_path) as copy:
            plan = operation.plan(operation.rehearse(facts, copy))
    assert {part.inputs["table"] for part in plan.parts} == {"buyers", "sales"}


MONTHS = (
    "CREATE TABLE moves (at date NOT NULL, account int, amount int) PARTITION BY RANGE (at)",
    *(
        f"CREATE TABLE moves_{n} PARTITION OF moves FOR VALUES FROM ('2024-0{n}-01') TO ('2024-0{n + 1}-01')"
        for n in range(1, 5)
    ),
    "INSERT INTO moves SELECT '2024-01-01'::date + i % 120, i * 7919 % 20000, i FROM generate_series(1, 100000) i",
    "ANALYZE moves",
)


def test_an_index_of_a_partitioned_table_is_known_by_its_parts_in_plans(pg18, tmp_path):
    line = {"session": 1, "sql": "SELECT amount FROM moves WHERE account = %s ORDER BY at DESC LIMIT 3"}
    lines = (json.dumps({**line, "ms": 9.0, "rows": 3, "parameters": [n]}) + "\n" for n in range(20))
    (tmp_path / "trace.jsonl").write_text("".join(lines))
    workload = WorkloadSource(kind="trace", path="trace.jsonl")
    operation = AdviseIndexes(system="app")
    with (
        pg18.database(*MONTHS) as url,
        contextlib.closing(servers.registry(tmp_path, url, workload=workload)) as registry,
        contextlib.closing(attach(registry, tmp_path)),
        copy_of(registry["app"], tmp_path) as copy,
    ):
        plan = operation.plan(operation.rehearse(operation.observe(registry), copy))
    (part,) = plan.parts
    assert (part.inputs["table"], part.inputs["columns"][0]) == ("moves", "account")
