import psycopg
import pytest

import servers
from datareeve.capabilities.databases.operations.explain_query import ExplainQuery
from datareeve.core.errors import BadInput
from datareeve.core.estate import WorkloadSource

TRACE = '{"sql": "SELECT * FROM t WHERE name = %s AND n > 7", "parameters": ["Ada Lovelace"], "ms": 1}\n'


@pytest.fixture
def recorded(tmp_path, database):
    (tmp_path / "trace.jsonl").write_text(TRACE)
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE t AS SELECT n, 'name ' || n AS name FROM generate_series(1, 100000) n")
        app.execute("CREATE INDEX by_n ON t (n)")
        app.execute("ANALYZE t")
    registry = servers.registry(tmp_path, database, workload=WorkloadSource(kind="trace", path="trace.jsonl"))
    yield registry
    registry.close()


def explained(systems, **inputs):
    operation = ExplainQuery(system="app", **inputs)
    return operation.plan(operation.observe(systems))


def test_a_plan_is_a_tree_with_its_worst_node_marked_and_no_constant(recorded):
    plan = explained(recorded, sql="SELECT count(*) FROM t WHERE name = 'Ada Lovelace' AND n > 7")
    lines = plan.figures["tree"].splitlines()
    assert lines[0].startswith("Aggregate  (cost ")
    assert lines[1].startswith("   -> Seq Scan on public.t  (cost ")
    assert lines[1].endswith("% of the cost")
    assert lines[2] == "         Filter: ((t.n > ?) AND (t.name = ?))"
    assert [finding.rule for finding in plan.findings] == ["full-scan"]
    assert "Ada" not in plan.model_dump_json()


def test_a_family_is_explained_with_recorded_values_that_are_not_shown(recorded):
    fingerprint = recorded["app"].read("workload")["families"][0]["fingerprint"]
    plan = explained(recorded, fingerprint=fingerprint)
    assert "Filter: ((t.n > ?) AND (t.name = ?))" in plan.figures["tree"]
    assert "Lovelace" not in plan.model_dump_json()


def test_open_parameters_are_explained_in_general(recorded):
    plan = explained(recorded, sql="SELECT * FROM t WHERE n IN ($1,$2)")
    assert "Index Scan using by_n on public.t" in plan.figures["tree"]


@pytest.mark.parametrize("inputs", [{}, {"sql": "SELECT 1", "fingerprint": "f"}])
def test_either_a_statement_or_a_family_is_asked_for(recorded, inputs):
    with pytest.raises(BadInput) as refused:
        explained(recorded, **inputs)
    assert refused.value.code == "explain.which"


def test_an_unknown_family_is_told(recorded):
    with pytest.raises(BadInput) as refused:
        explained(recorded, fingerprint="nothing")
    assert refused.value.code == "workload.unknown-family"


def test_explaining_a_write_does_not_write(recorded):
    explained(recorded, sql="DELETE FROM t")
    assert recorded["app"].read("query", sql="SELECT count(*) FROM t", shape="scalar") == 100000
