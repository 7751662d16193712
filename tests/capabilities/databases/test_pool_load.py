"""A real PgBouncer under pgbench with its size, half and twice of it; sizing from a trace; two plans for one port."""

import json
import socket
import threading

import psycopg
import pytest

from datareeve.app import App
from datareeve.capabilities.databases import pooling
from datareeve.capabilities.databases.operations.configure_pool import ConfigurePool
from datareeve.capabilities.databases.operations.load_test_pool import LoadTestFacts, LoadTestPool
from datareeve.core.errors import Failed, StalePlan
from datareeve.systems import pg_server

CANARY = "canary7f3a"
SCHEMA = (
    "CREATE TABLE item (id int PRIMARY KEY, note text)",
    f"INSERT INTO item SELECT n, '{CANARY} ' || n FROM generate_series(1, 5000) AS n",
    "ANALYZE item",
)
ESTATE = """version: 1
systems:
  app:
    kind: postgresql
    url: URL
    host: {memory_bytes: 8589934592, cores: 2}
    workload: {kind: trace, path: data/trace.jsonl}
authority:
  rules: [{decision: allow}]
"""


@pytest.fixture
def app(tmp_path, pg18):
    (tmp_path / "data").mkdir()
    asked = [
        ("SELECT * FROM item WHERE note = %s", [f"{CANARY} 7"]),
        ("UPDATE item SET note = %s WHERE id = %s", [CANARY, 3]),
    ]
    lines = [json.dumps({"sql": s, "parameters": p, "ms": 2, "session": "s"}) for s, p in asked * 10]
    (tmp_path / "data/trace.jsonl").write_text("\n".join(lines))
    with pg18.database(*SCHEMA) as url:
        (tmp_path / "estate.yaml").write_text(ESTATE.replace("URL", url))
        opened = App.open(tmp_path)
        yield opened
        opened.systems["app-pool"].perform("stop", run="r0")
        opened.close()


def told(app):
    return "".join(entry.model_dump_json() for entry in app.ledger.entries())


@pytest.mark.system
def test_the_size_beside_half_and_twice_of_it_is_a_table_and_production_takes_no_load(app):
    url = app.estate.systems["app"].url
    operation = LoadTestPool(system="app", size=2, seconds=1, clients=6)
    plan = app.preview(operation)
    assert plan.fingerprint == app.preview(operation).fingerprint
    outcome = app.apply(plan, by="test")
    assert outcome.status == "done", outcome.parts[0].steps
    rows = outcome.parts[0].figures["sizes"]
    assert [row["size"] for row in rows] == [1, 2, 4]
    assert all(
        row["tps"] > 0 and row["latency_ms_p50"] <= row["latency_ms_p95"] <= row["latency_ms_p99"]
        for row in rows
    )
    assert [row["servers_active_most"] <= row["size"] for row in rows] == [True] * 3
    assert rows[0]["clients_waiting_most"] >= 4, "six clients share one connection"
    assert rows[0]["wait_ms_mean"] > rows[2]["wait_ms_mean"]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT note FROM item WHERE id = 3").fetchone() == (f"{CANARY} 3",)
    assert CANARY not in told(app)
    again = app.preview(operation)
    assert again.nothing_to_do.startswith("app-pool was tested less than 24 hours ago. Connections: 1: ")
    assert list(app.project.glob(".datareeve/pool-tests/test-*")) == []
    assert app.undo(outcome.run, by="test").status == "undone"
    assert app.preview(operation).steps


@pytest.mark.system
def test_on_the_database_itself_only_what_reads_is_asked(app):
    url = app.estate.systems["app"].url
    operation = LoadTestPool(system="app", size=2, seconds=1, clients=3, where="here", rate=40)
    assert app.preview(operation).blockers == (
        "Here the pool is tested as it is configured: databases.configure-pool comes first.",
    )
    app.apply(app.preview(ConfigurePool(system="app", size=2, port=pg_server.free_port())), by="test")
    plan = app.preview(operation)
    assert "itself, whose other users will feel it" in plan.steps[0].why
    outcome = app.apply(plan, by="test")
    assert (outcome.status, outcome.parts[0].figures["families"]) == ("done", 1)
    assert all(row["tps"] < 80 for row in outcome.parts[0].figures["sizes"]), "forty come a second"
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT note FROM item WHERE id = 3").fetchone() == (f"{CANARY} 3",)


@pytest.mark.system
def test_a_client_that_waits_is_seen_by_check_pool(app):
    app.apply(app.preview(ConfigurePool(system="app", size=1, port=pg_server.free_port())), by="test")
    port = app.systems["app-pool"]._port()
    through = psycopg.conninfo.make_conninfo(app.estate.systems["app"].url, host="127.0.0.1", port=port)

    def hold():
        with psycopg.connect(through, autocommit=True, prepare_threshold=None) as client:
            client.execute("SELECT pg_sleep(1.5)")

    clients = [threading.Thread(target=hold) for _ in range(5)]
    for client in clients:
        client.start()
    seen = set()
    while any(client.is_alive() for client in clients):
        seen |= {
            finding.rule
            for finding in app.preview(app.catalogue.make("databases.check-pool", {"system": "app"})).findings
        }
    for client in clients:
        client.join()
    assert "pool-exhausted" in seen


@pytest.mark.system
def test_a_refused_login_is_counted_and_nobody_is_named(app):
    app.apply(app.preview(ConfigurePool(system="app", size=1, port=pg_server.free_port())), by="test")
    port = app.systems["app-pool"]._port()
    strange = psycopg.conninfo.make_conninfo(
        app.estate.systems["app"].url, host="127.0.0.1", port=port, user=CANARY
    )
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(strange)
    plan = app.preview(app.catalogue.make("databases.check-pool", {"system": "app"}))
    assert [finding.rule for finding in plan.findings] == ["pool-login-failures"]
    assert CANARY not in plan.model_dump_json()


@pytest.mark.system
def test_of_two_plans_for_one_port_the_second_is_told_to_plan_again(app):
    port = pg_server.free_port()
    plan = app.preview(ConfigurePool(system="app", port=port))
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(StalePlan, match=f"nothing else listens on port {port}") as stale:
            app.apply(plan, by="test")
        assert stale.value.remedy == "Plan again: another free port is chosen."
        # Between the last look and the start there is still a moment: the start itself says it, too.
        front = app.systems["app-pool"]
        front.ini.parent.mkdir(parents=True, exist_ok=True)
        front.ini.write_text(plan.steps[0].call.arguments["text"])
        with pytest.raises(Failed) as refused:
            front.perform("start", run="r1")
        assert refused.value.code == "pgbouncer.port-taken"
        assert not front.read("running")
        front.ini.unlink()


@pytest.mark.system
def test_a_declared_port_that_another_program_took_meanwhile_is_exchanged(app):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        app.systems["estate"].perform(
            "put",
            where=["systems", "app-pool"],
            value={"kind": "pgbouncer", "database": "app", "port": taken},
            run="r1",
        )
        plan = app.preview(ConfigurePool(system="app"))
        assert plan.blockers == ()
        assert f"port {taken}." not in plan.summary


# -- plans ------------------------------------------------------------------------------------------------------------------------


def facts(**changes):
    return LoadTestFacts(
        **{
            "size": 8,
            "size_from": "as configured",
            "settings": {},
            "installed": True,
            "bytes": 100,
            **changes,
        }
    )


def test_half_once_and_twice_are_tested_with_clients_enough_to_fill_the_largest():
    operation = LoadTestPool(system="shop")
    plan = operation.plan(facts())
    assert plan.steps[0].call.arguments["sizes"] == [4, 8, 16]
    assert plan.steps[0].call.arguments["clients"] == 64
    assert operation.plan(facts(size=1)).steps[0].call.arguments["sizes"] == [1, 2]
    assert operation.plan(facts(size=300)).steps[0].call.arguments["clients"] == 400


def test_what_is_missing_is_a_blocker():
    assert LoadTestPool(system="shop").plan(facts(installed=False)).blockers == (
        "PgBouncer is not installed here: install your system's pgbouncer package.",
    )
    assert LoadTestPool(system="shop").plan(facts(size=None)).blockers == (
        "The pool's size is not known: give size, or systems.shop.host in estate.yaml.",
    )


def row(size, tps):
    return {"size": size, "tps": tps, "latency_ms_p95": 9.0}


@pytest.mark.parametrize(
    ("tps", "rule"),
    [
        ((990, 1000, 1010), ["pool-half-is-enough"]),
        ((500, 1000, 1500), ["pool-twice-serves-more"]),
        ((700, 1000, 1020), []),
    ],
)
def test_a_test_says_whether_half_would_do_or_twice_serves_more(tps, rule):
    record = {"sizes": [row(size, value) for size, value in zip((4, 8, 16), tps, strict=True)], "at": "x"}
    assert [f.rule for f in LoadTestPool(system="shop").plan(facts(record=record)).findings] == rule


def test_a_test_too_old_is_done_again():
    record = {"sizes": [row(8, 1000)], "at": "x"}
    assert LoadTestPool(system="shop").plan(facts(record=record, record_age_hours=25)).steps


# -- sizing -----------------------------------------------------------------------------------------------------------------------


def test_a_recorded_trace_gives_rate_and_time_and_so_the_load():
    load = pooling.recorded_load(
        {"seconds": 100, "place": "trace.jsonl"},
        [{"calls": 4000, "total_ms": 20_000.0}, {"calls": 1000, "total_ms": None}],
    )
    assert (load.rate, load.service_seconds, load.concurrency) == (50.0, 0.004, 0.2)
    assert (
        str(load)
        == "50.0 transactions/s x 4.0 ms each = 0.20 connections busy (mean of 5,000 statements recorded in trace.jsonl)"
    )
    assert pooling.recorded_load({"seconds": None, "place": "p"}, [{"calls": 1, "total_ms": 1.0}]) is None


def test_of_many_intervals_the_one_above_all_but_a_hundredth_counts():
    looks = [
        sample
        for n in range(301)
        for sample in (
            {
                "at": f"2026-01-05T{n // 60:02}:{n % 60:02}:00+00:00",
                "name": "transactions_total",
                "value": 60.0 * n,
            },
            {
                "at": f"2026-01-05T{n // 60:02}:{n % 60:02}:00+00:00",
                "name": "active_ms_total",
                "value": sum(BUSY[:n]),
            },
        )
    ]
    peak = pooling.busiest_interval(looks)
    assert peak.concurrency == pytest.approx(2.0)
    assert peak.basis == "the 99th percentile of 300 sampled intervals"


BUSY = [600_000.0 if n == 100 else 120_000.0 if n % 50 == 0 else 60_000.0 for n in range(300)]
SERVER = pooling.PoolServer(
    max_connections=100, reserved=3, connections=40, listeners=0, session_locks=0, temporary_tables=0, sees_sessions=True,
    may_read_verifiers=True, may_read_hba=True,
)  # fmt: skip


def test_in_session_mode_the_sessions_count_and_not_the_load():
    load = pooling.Load(transactions=10, busy_ms=10, seconds=10, basis="x")
    sized = pooling.size_of(SERVER, None, load, pooling.Wish(mode="session"))
    assert sized.size == 40
    assert "in session mode each of 40 sessions keeps a connection" in sized.why


def test_a_longer_wait_that_is_allowed_needs_fewer_connections():
    load = pooling.Load(transactions=36_000, busy_ms=36_000 * 500, seconds=3600, basis="x")
    sizes = [pooling.size_of(SERVER, None, load, pooling.Wish(wait_ms=wait)).size for wait in (1, 100, 1000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1] > load.concurrency
