"""A real PgBouncer in front of a real server: configured, started, used, changed, taken away."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

import servers
from datareeve.capabilities.databases.operations.configure_pool import ConfigurePool
from datareeve.core.operation import examine
from datareeve.systems import pg_server
from datareeve.systems.adapter import Adapter, reads

pytestmark = pytest.mark.system
WRONG = "wrong"
SPOKEN = "very-secret"
REFERENCE = "file:secret"
HOST = "    host:\n      memory_bytes: 2147483648\n      cores: 2\n"


class NoHistory(Adapter):
    """A ledger without samples."""

    kind = "ledger"

    @reads
    def samples(self, system, name=None, since=None, limit=None):
        return []


@pytest.fixture
def port():
    return pg_server.free_port()


def project(folder, url, **entry):
    (folder / "estate.yaml").write_text(
        f"version: 1\nsystems:\n  app:\n    kind: postgresql\n    url: {url}\n{HOST}"
    )
    systems = servers.registry(folder, url, **entry)
    systems.add(NoHistory("ledger"))
    return systems


@pytest.fixture
def systems(tmp_path, database):
    registry = project(tmp_path, database)
    yield registry
    registry["app-pool"].perform("stop", run="r0")
    registry.close()


def plan_of(operation, systems):
    return operation.plan(operation.observe(systems))


def holds(claim, systems):
    return examine(claim, systems).verdict == "holds"


def carry_out(plan, systems):
    assert all(holds(claim, systems) for claim in plan.requirements)
    for step in plan.steps:
        assert not holds(step.probe, systems)
        systems[step.call.system].perform(step.call.action, run="r1", **step.call.arguments)
        assert holds(step.probe, systems)
    assert all(holds(claim, systems) for claim in plan.checks)


def undo(plan, systems):
    for step in reversed(plan.steps):
        for call in step.undo:
            systems[call.system].perform(call.action, run="r1", **call.arguments)


def through(url, port, **options):
    address = psycopg.conninfo.make_conninfo(url, host="127.0.0.1", port=port, **options)
    return psycopg.connect(address, autocommit=True, prepare_threshold=None)


def test_a_pool_is_started_serves_many_clients_on_few_connections_and_is_taken_away(
    systems, database, port, tmp_path
):
    estate = (tmp_path / "estate.yaml").read_text()
    operation = ConfigurePool(system="app", port=port)
    plan = plan_of(operation, systems)
    assert [step.id for step in plan.steps] == [
        "write data/pgbouncer/app-pool.ini",
        "declare app-pool",
        "start app-pool",
        "watch watch-app-pool",
        "watch app-pool-down",
        "watch app-pool-waiting",
        "watch app-pool-full",
        "watch app-pool-logins",
    ]
    assert plan.fingerprint == plan_of(operation, systems).fingerprint
    carry_out(plan, systems)

    def client(number):
        with through(database, port) as connection:
            return [
                connection.execute("SELECT pg_backend_pid(), %s::int", (number + n,)).fetchone()
                for n in range(20)
            ]

    with ThreadPoolExecutor(24) as clients:
        answers = list(clients.map(client, range(24)))
    assert [[value for _, value in rows] for rows in answers] == [list(range(n, n + 20)) for n in range(24)]
    # 2 cores: 5 connections, and 2 of the reserve at most.
    assert len({pid for rows in answers for pid, _ in rows}) <= 7
    again = plan_of(operation, systems)
    assert again.nothing_to_do == f"app-pool serves as advised: 5 server connections on port {port}."
    undo(plan, systems)
    assert not systems["app-pool"].read("running")
    assert not (tmp_path / "data").exists()
    assert (tmp_path / "estate.yaml").read_text() == estate


def test_a_running_pool_takes_a_new_size_over_and_gives_it_back_without_losing_a_client(
    systems, database, port
):
    carry_out(plan_of(ConfigurePool(system="app", port=port), systems), systems)
    larger = plan_of(ConfigurePool(system="app", port=port, size=9), systems)
    assert [step.id for step in larger.steps] == ["write data/pgbouncer/app-pool.ini", "start app-pool"]
    with through(database, port) as client:
        carry_out(larger, systems)
        assert systems["app-pool"].read("configured", name="default_pool_size") == "9"
        undo(larger, systems)
        assert systems["app-pool"].read("configured", name="default_pool_size") == "5"
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_pool_that_died_is_started_again(systems, port):
    operation = ConfigurePool(system="app", port=port)
    carry_out(plan_of(operation, systems), systems)
    process = systems["app-pool"]._process()
    process.kill()
    process.wait()
    plan = plan_of(operation, systems)
    assert [step.id for step in plan.steps] == ["start app-pool"]
    carry_out(plan, systems)


def test_logins_are_checked_by_the_servers_verifiers_and_no_password_is_written(tmp_path, port):
    with servers.server() as server:
        with server.connect() as admin:
            admin.execute(f"ALTER ROLE postgres PASSWORD '{SPOKEN}'")
            (server.local.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
            admin.execute("SELECT pg_reload_conf()")
        (tmp_path / "secret").write_text(SPOKEN)
        systems = project(tmp_path, server.url, password=REFERENCE)
        try:
            plan = plan_of(ConfigurePool(system="app", port=port), systems)
            assert "SCRAM" not in plan.model_dump_json().replace("SCRAM verifiers", "")
            assert "auth_type = scram-sha-256" in plan.steps[0].call.arguments["text"]
            assert "pool-trusts-logins" not in [finding.rule for finding in plan.findings]
            carry_out(plan, systems)
            with through(server.url, port, password=SPOKEN) as client:
                assert client.execute("SELECT current_user").fetchone() == ("postgres",)
            with pytest.raises(psycopg.OperationalError, match="authentication failed"):
                through(server.url, port, password=WRONG)
            users = systems["app-pool"]._folder / "users.txt"
            assert users.stat().st_mode & 0o777 == 0o600
            written = [
                path
                for path in [*tmp_path.rglob("*"), *users.parent.iterdir()]
                if path.is_file() and path.name != "secret"
            ]
            assert not [path for path in written if SPOKEN.encode() in path.read_bytes()]
            undo(plan, systems)
            assert not users.exists()
        finally:
            systems["app-pool"].perform("stop", run="r0")
            systems.close()


def test_a_session_that_listens_makes_it_session_mode(systems, database, port):
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute("LISTEN news")
        plan = plan_of(ConfigurePool(system="app", port=port), systems)
        assert "pool_mode = session" in plan.steps[0].call.arguments["text"]


def test_a_session_lock_makes_it_session_mode_and_a_transactions_lock_does_not(systems, database, port):
    with psycopg.connect(database) as worker:
        worker.execute("SELECT pg_advisory_xact_lock(1)")
        assert (
            "pool_mode = transaction"
            in plan_of(ConfigurePool(system="app", port=port), systems).steps[0].call.arguments["text"]
        )
        worker.execute("SELECT pg_advisory_lock(2)")
        worker.commit()
        assert (
            "pool_mode = session"
            in plan_of(ConfigurePool(system="app", port=port), systems).steps[0].call.arguments["text"]
        )


def test_a_port_that_is_taken_is_a_blocker(systems, pg18):
    taken = int(pg18.url.rsplit(":", 1)[1].partition("/")[0])
    plan = plan_of(ConfigurePool(system="app", port=taken), systems)
    assert plan.blockers == (f"Something else listens on port {taken}: give another port.",)
    assert plan.steps == ()


def test_without_pgbouncer_the_configuration_is_written_and_nothing_is_declared(
    systems, port, monkeypatch, tmp_path
):
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    plan = plan_of(ConfigurePool(system="app", port=port), systems)
    assert [step.id for step in plan.steps] == ["write data/pgbouncer/app-pool.ini"]
    assert "pool-not-started" in [finding.rule for finding in plan.findings]
    carry_out(plan, systems)
    assert plan_of(ConfigurePool(system="app", port=port), systems).nothing_to_do
    undo(plan, systems)
    assert not (tmp_path / "data").exists()
