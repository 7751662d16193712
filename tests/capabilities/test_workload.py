import psycopg
import pytest

import servers
from datareeve.capabilities.databases import workload
from datareeve.capabilities.databases.operations.measure_workload import MeasureWorkload, MeasureWorkloadFacts
from datareeve.capabilities.databases.workload import Measurement, Timing, Workload, compare, loop_findings
from datareeve.core.estate import WorkloadSource


def timing(fingerprint, calls, *ms):
    return Timing(fingerprint=fingerprint, calls=calls, ms=ms, failed={})


def test_percentiles_weigh_each_family_by_its_calls():
    figures = Measurement(
        families=(timing("fast", 98, 1.0, 2.0), timing("slow", 2, 500.0)), left_out={}
    ).figures()
    assert (figures["p50_ms"], figures["p95_ms"], figures["p99_ms"]) == (2.0, 2.0, 500.0)
    assert figures["workload_ms"] == 1147.0
    assert figures["families"] == {"fast": 1.5, "slow": 500.0}


def test_two_measurements_are_compared_over_the_families_of_both():
    before = Measurement(
        families=(timing("a", 10, 100.0), timing("b", 10, 1.0), timing("gone", 1, 9.0)), left_out={}
    ).figures()
    after = Measurement(families=(timing("a", 10, 10.0), timing("b", 10, 1.0)), left_out={}).figures()
    compared = compare(before, after)
    assert compared["families"] == {
        "a": {"before": 100.0, "after": 10.0, "ratio": 0.1},
        "b": {"before": 1.0, "after": 1.0, "ratio": 1.0},
    }
    assert compared["p95_ms"] == {"before": 100.0, "after": 10.0, "ratio": 0.1}


def test_nothing_measured_is_told_and_not_counted_as_zero():
    facts = MeasureWorkloadFacts(
        measurement=Measurement(families=(), left_out={}),
        source="0 statements",
        why_empty="No workload is declared",
    )
    plan = MeasureWorkload(system="app").plan(facts)
    assert (plan.blockers, plan.figures) == (("No workload is declared",), {})


def family(fingerprint, sql, calls, rows, table):
    return {
        "fingerprint": fingerprint, "sql": sql, "calls": calls, "total_ms": float(calls), "mean_ms": 1.0, "p50_ms": None, "p95_ms": None,
        "p99_ms": None, "rows": rows, "is_write": False, "parsed": True, "tables": [table], "leading_wildcard": False, "examples": 0,
        "example_ref": fingerprint,
    }  # fmt: skip


def test_without_sessions_a_loop_is_suspected_from_the_numbers_of_calls_and_rows():
    families = [
        family("p", "SELECT * FROM orders LIMIT $1", 10, 200, "orders"),
        family("c", "SELECT * FROM users WHERE id = $1", 195, 195, "users"),
    ]
    found = loop_findings(
        Workload.model_validate(
            {"source": {"kind": "pg_stat_statements", "place": "the view"}, "families": families, "loops": []}
        )
    )
    assert [(one.rule, one.subject) for one in found] == [("n-plus-one-suspected", "users")]


TRACE = """{"session": 1, "sql": "SELECT * FROM t WHERE n = %s", "parameters": [1], "ms": 1.0, "rows": 1}
{"session": 1, "sql": "SELECT * FROM t WHERE n = %s", "parameters": [2], "ms": 3.0, "rows": 1}
{"session": 1, "sql": "DELETE FROM t WHERE n = %s", "parameters": [1], "ms": 1.0, "rows": 1}
{"session": 1, "sql": "SELECT nextval('s')", "parameters": [], "ms": 1.0, "rows": 1}
"""


@pytest.fixture
def recorded(tmp_path, database):
    (tmp_path / "trace.jsonl").write_text(TRACE)
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 100) n")
        app.execute("CREATE SEQUENCE s")
    registry = servers.registry(tmp_path, database, workload=WorkloadSource(kind="trace", path="trace.jsonl"))
    yield registry
    registry.close()


def test_a_measurement_replays_reads_and_changes_nothing(recorded):
    operation = MeasureWorkload(system="app")
    plan = operation.plan(operation.observe(recorded))
    assert len(plan.figures["families"]) == 1
    assert plan.figures["left_out"] == {"writes": 1}
    assert plan.figures["failed"] == 1  # nextval is refused in a READ ONLY transaction
    assert plan.figures["p95_ms"] > 0
    assert recorded["app"].read(
        "query", sql="SELECT count(*), (SELECT is_called FROM s) AS called FROM t", shape="row"
    ) == {"count": 100, "called": False}


def test_a_family_is_replayed_without_leaving_its_values(recorded):
    read = workload.read(recorded["app"])
    assert read.families[0].sql == "SELECT * FROM t WHERE n = $1"
    assert read.source.sentence() == "The workload is 4 statements from trace.jsonl (trace)."


def test_without_a_workload_it_is_said_what_to_do(systems):
    read = workload.read(systems["app"])
    assert read.families == ()
    assert "CREATE EXTENSION pg_stat_statements" in read.source.why_empty


BASES = """{"sql": "SELECT a FROM seen WHERE a = 1"}
{"sql": "WITH c AS (SELECT a FROM ev_1) SELECT * FROM c JOIN seen USING (a)"}
{"sql": "SELECT a FROM plain"}
"""


def test_views_and_partitions_are_told_as_the_tables_behind_them(tmp_path, database):
    (tmp_path / "trace.jsonl").write_text(BASES)
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE ev (a int) PARTITION BY LIST (a)")
        app.execute("CREATE TABLE ev_1 PARTITION OF ev FOR VALUES IN (1)")
        app.execute("CREATE TABLE plain (a int)")
        app.execute("CREATE VIEW inner_one AS SELECT a FROM plain")
        app.execute("CREATE VIEW seen AS SELECT a FROM ev UNION SELECT a FROM inner_one")
    registry = servers.registry(tmp_path, database, workload=WorkloadSource(kind="trace", path="trace.jsonl"))
    found = {family.tables: family.base_tables for family in workload.read(registry["app"]).families}
    registry.close()
    assert found == {("seen",): ("ev", "plain"), ("ev_1", "seen"): ("ev", "plain"), ("plain",): ("plain",)}
