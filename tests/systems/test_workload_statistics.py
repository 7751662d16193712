"""The workload of a real pg_stat_statements (PostgreSQL 15 of Debian, as the embedded server has no contrib)."""

from pathlib import Path

import psycopg
import pytest

import servers
import tpch_world
from datareeve.capabilities.databases import workload
from datareeve.capabilities.databases.operations.measure_workload import MeasureWorkload
from datareeve.core.ledger import open_ledger
from datareeve.core.snapshots import Snapshots
from datareeve.systems import workload_history, workload_replay

pytestmark = pytest.mark.system
SCHEMA = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE t AS SELECT n, 'name ' || n AS name FROM generate_series(1, 5000) n",
    "ANALYZE t",
)
AT_MOST = 100  # entries: the least that the extension takes


@pytest.fixture(scope="module")
def pg15():
    preload = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": str(AT_MOST)}
    with servers.server(binaries=Path("/usr/lib/postgresql/15/bin"), **preload) as server:
        yield server


@pytest.fixture
def app(pg15, tmp_path):
    """A registry whose `app` is a database with a table, and a connection of the application's."""
    with pg15.connect() as admin:
        admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        admin.execute("SELECT pg_stat_statements_reset()")
    with pg15.database(*SCHEMA) as url, pg15.connect(url.rsplit("/", 1)[1]) as connection:
        registry = servers.registry(tmp_path, url)
        yield registry, connection
        registry.close()


def families(registry):
    return {f["sql"]: f for f in registry["app"].read("workload")["families"]}


def different(count):
    """So many families."""
    return [
        f"SELECT {', '.join(['n'] * (1 + k % 20))} FROM t WHERE {' + '.join(['n'] * (1 + k // 20))} = 1"
        for k in range(count)
    ]


def test_counters_come_in_full_and_invented_parameters_replay_the_families(app):
    registry, connection = app
    for n in range(3):
        connection.execute(f"SELECT name FROM t WHERE n = {n} ORDER BY name LIMIT 7")
        connection.execute(f"SELECT count(*) FROM t WHERE n + {n} = 3")
    connection.execute("INSERT INTO t VALUES (1, 'secret')")
    found = families(registry)
    known = found["SELECT name FROM t WHERE n = $1 ORDER BY name LIMIT $2"]
    assert (known["calls"], known["p95_ms"], known["nested"]) == (3, None, False)
    assert 0 < known["min_ms"] <= known["mean_ms"] + 0.001 <= known["max_ms"] + 0.002
    assert known["squares"] * 3 >= known["total_ms"] ** 2 * 0.999  # Cauchy and Schwarz
    assert known["resources"]["shared_hit_blocks"] > 0
    assert found["INSERT INTO t VALUES ($1, $2)"]["resources"]["wal_bytes"] > 0
    operation = MeasureWorkload(system="app")
    measured = operation.plan(operation.observe(registry)).figures["families"]
    assert {known["fingerprint"], found["SELECT COUNT(*) FROM t WHERE n + $1 = $2"]["fingerprint"]} <= set(
        measured
    )


def test_our_own_statements_are_no_workload(app):
    registry, connection = app
    connection.execute("SELECT name FROM t WHERE n = 1")
    registry["app"].read(
        "query", sql="SELECT count(*) FROM t WHERE name = %(name)s", parameters={"name": "x"}
    )
    registry["app"].read("query", sql="SELECT max(n) FROM t;", shape="scalar")
    read = workload.read(registry["app"])
    assert [family.sql for family in read.families if "t" in family.tables and not family.is_write] == [
        "SELECT name FROM t WHERE n = $1"
    ]
    assert read.source.own >= 2


def test_what_a_role_may_not_see_is_counted_and_said(app, pg15, tmp_path):
    registry, connection = app
    connection.execute("SELECT name FROM t WHERE n = 1")
    connection.execute("DROP ROLE IF EXISTS small")
    connection.execute("CREATE ROLE small LOGIN")
    url = registry["app"].entry.url.replace("postgres@", "small@")
    limited = servers.registry(tmp_path / "small", url)
    source = workload.read(limited["app"]).source
    assert source.hidden >= 1
    assert "GRANT pg_read_all_stats" in source.sentence()
    limited.close()
    connection.execute("DROP ROLE small")


def test_statements_inside_of_functions_are_told_apart(app):
    registry, connection = app
    connection.execute(
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT max(n) FROM t WHERE n < 77); END $$"
    )
    connection.execute("SET pg_stat_statements.track = 'all'")
    connection.execute("SELECT f(), n FROM t WHERE n = 1")
    nested = {
        f["sql"]: f["nested"] for f in registry["app"].read("workload")["families"] if "t" in f["tables"]
    }
    assert sorted(nested.values()) == [False, True]


def test_evictions_are_said(app):
    registry, connection = app
    for text in different(2 * AT_MOST):
        connection.execute(text)
    source = workload.read(registry["app"]).source
    assert source.evicted > 0
    assert "raise pg_stat_statements.max" in source.sentence()


def test_a_server_that_tracks_nothing_says_so(app):
    registry, connection = app
    connection.execute("ALTER SYSTEM SET pg_stat_statements.track = 'none'")
    connection.execute("SELECT pg_reload_conf()")
    registry.close()
    try:
        source = workload.read(registry["app"]).source
        assert "track is none" in source.sentence()
    finally:
        connection.execute("ALTER SYSTEM RESET pg_stat_statements.track")
        connection.execute("SELECT pg_reload_conf()")


def test_an_extension_that_is_not_loaded_is_no_error(tmp_path):
    with (
        servers.server(binaries=Path("/usr/lib/postgresql/15/bin")) as server,
        server.database("CREATE EXTENSION pg_stat_statements") as url,
    ):
        registry = servers.registry(tmp_path, url)
        assert "add it to shared_preload_libraries" in workload.read(registry["app"]).source.why_empty
        registry.close()


def test_the_22_queries_of_tpch_run_again_from_their_normalised_texts(pg15, tmp_path):
    made = (
        "CREATE EXTENSION pg_stat_statements",
        *tpch_world.schema(),
        *tpch_world.rows(),
        "SELECT pg_stat_statements_reset()",
    )
    with pg15.database(*made) as url, pg15.connect(url.rsplit("/", 1)[1]) as connection:
        for text in tpch_world.queries():
            connection.execute(text)
        registry = servers.registry(tmp_path, url)
        system = registry["app"]
        found = workload_replay.recording(system).families.values()
        assert len(found) == 22
        assert all(family.shape.parsed for family in found)
        cases = [workload_replay.cases(system, family, 3) for family in found]
        assert all(cases)
        replayed = system.read("replay", limit=1, repeats=1)
        assert [(len(family["ms"]), family["failed"]) for family in replayed["families"]] == [(1, {})] * 22
        with system.connect() as other:
            for sql, values in (case for some in cases for case in some):
                other.execute(sql, values)
        registry.close()


# -- history ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield Snapshots(ledger)
    ledger.close()


def test_a_snapshot_asks_for_texts_once_and_then_for_counters_alone(app, kept, monkeypatch):
    registry, connection = app
    connection.execute("SELECT name FROM t WHERE n = 1")
    workload_history.record(kept, registry["app"], "r1")
    sent = []
    query = registry["app"].query
    monkeypatch.setattr(
        registry["app"], "query", lambda sql, *a, **k: (sent.append(sql), query(sql, *a, **k))[1]
    )
    connection.execute("SELECT name FROM t WHERE n = 2")
    workload_history.record(kept, registry["app"], "r2")
    texts = [sql for sql in sent if "DISTINCT ON (queryid)" in sql]
    sent.clear()
    connection.execute("SELECT name FROM t WHERE n = 3")
    workload_history.record(kept, registry["app"], "r3")
    assert [sql for sql in sent if "DISTINCT ON (queryid)" in sql] == []
    assert len(texts) <= 1  # the statements of the first snapshot itself
    assert len(sent) <= 4


def test_the_counters_cost_the_server_little(app, kept):
    """A hundred entries: the backend's own CPU time for a snapshot, as the kernel counts it, is a few milliseconds."""
    registry, connection = app
    for text in different(AT_MOST - 20):
        connection.execute(text)
    system = registry["app"]
    workload_history.record(kept, system, "warm")
    pid = system.query("SELECT pg_backend_pid()", shape="scalar")
    before = cpu_seconds(pid)
    for n in range(20):
        workload_history.record(kept, system, f"r{n}")
    assert system.query("SELECT pg_backend_pid()", shape="scalar") == pid
    assert (cpu_seconds(pid) - before) / 20 < 0.02


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_a_lost_connection_is_no_reason_to_leave_values_in_an_error(app):
    registry, connection = app
    with pytest.raises(psycopg.Error):
        connection.execute("SELECT 1 / 0 FROM t WHERE name = 'secret'")
    assert "secret" not in str(registry["app"].read("workload"))
