"""One look at real servers: what is wrong is found, and nothing is found on a clean one."""

import contextlib
import dataclasses
import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import time_machine

import servers
from datareeve.capabilities.databases.alerts import ANYWHERE, ON_A_LOCAL_DISK
from datareeve.core import clock
from datareeve.systems import pg_server
from health_rig import ACTIVITY, SAFE, attach, check, found, remember, rules, wait_until

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


def test_a_clean_fresh_database_is_healthy_without_findings(systems, ledger):
    plan = check(systems)
    assert plan.findings == ()
    assert plan.figures["health"] == "healthy"
    assert plan.nothing_to_do == "Looking changes nothing."
    assert plan.steps == ()


def test_every_figure_but_health_is_a_number_with_its_unit(systems, ledger):
    figures = check(systems).figures
    assert {type(value) for name, value in figures.items() if not name.startswith("health")} <= {int, float}
    assert {
        "connections_used_percent",
        "transactions_per_second",
        "database_bytes",
        "uptime_seconds",
        "wal_bytes_total",
        "checkpoints_timed_total",
        "wraparound_percent",
        "transaction_seconds_longest",
        "dead_rows_percent_worst",
        "round_trip_ms",
    } <= figures.keys()
    assert figures["up"] == 1.0


def test_one_look_takes_at_most_twenty_reads_of_the_server(systems, ledger):
    systems.add(Counting(systems["app"]))
    check(systems)
    assert systems["app"].reads == 17


def test_while_sampling_slow_questions_are_asked_every_five_minutes_only(systems, ledger):
    systems.add(Counting(systems["app"]))
    slow = {"database_bytes", "sequence_used_percent_worst", "indexes_invalid", "wasted_bytes_estimated"}
    with time_machine.travel(NOON, tick=False):
        first = check(systems, sampling=True).figures
        remember(ledger, NOON, **{name: first[name] for name in slow})
    with time_machine.travel(NOON + timedelta(seconds=290), tick=False):
        systems["app"].reads = 0
        between = check(systems, sampling=True).figures
    with time_machine.travel(NOON + timedelta(seconds=310), tick=False):
        later = check(systems, sampling=True).figures
    assert systems["app"].reads == 12 + 17
    assert slow <= first.keys() & later.keys()
    assert slow.isdisjoint(between)
    assert {"up", "blocked_seconds_longest", "dead_rows_percent_worst"} <= between.keys()


class Counting:
    """Passes reads on and counts those that ask the server."""

    name, kind = "app", "postgresql"

    def __init__(self, reader):
        self.reader, self.reads = reader, 0

    def read(self, action, /, **arguments):
        self.reads += action in ("query", "server")
        return self.reader.read(action, **arguments)

    def close(self):
        self.reader.close()


def test_a_blocking_chain_names_its_head_and_everyone_behind_it(systems, ledger, database):
    sessions = [psycopg.connect(database) for _ in range(3)]
    head, second, third = (session.info.backend_pid for session in sessions)
    try:
        sessions[0].execute("CREATE TABLE flights (id int)")
        sessions[0].commit()
        sessions[0].execute("LOCK TABLE flights IN ACCESS EXCLUSIVE MODE")
        for session in sessions[1:]:
            session.pgconn.send_query(b"BEGIN; LOCK TABLE flights IN ACCESS EXCLUSIVE MODE")
        wait_until(database, f"SELECT count(*) = 2 FROM {ACTIVITY} AND wait_event_type = 'Lock'")
        plan = check(systems, blocked_seconds=0, idle_seconds=0)
    finally:
        for session in sessions:
            session.close()
    chain = found(plan, "blocking-chain")
    assert chain.subject == f"pid {head}"
    queue = [f"pid {second}, {third}", f"pid {third}, {second}"]  # whoever came first
    assert chain.what in [f"Idle in transaction for 0 s, it blocks 2 sessions: {behind}." for behind in queue]
    assert (
        chain.instead
        == f"Make it commit, or terminate it with an approval (databases.end-session --pid {head})."
    )
    assert chain.mended_by == "databases.end-session"
    assert found(plan, "idle-in-transaction").subject == f"pid {head}"
    assert plan.figures["sessions_blocked"] == 2
    assert plan.figures["health"] == "degraded"


def test_short_waits_and_transactions_are_not_worth_a_word(systems, ledger, database):
    with psycopg.connect(database) as session:
        session.execute("SELECT 1")
        assert check(systems).findings == ()


def test_a_transaction_open_for_long_is_found_though_it_works(systems, ledger, database):
    with contextlib.closing(psycopg.connect(database)) as session:
        pid = session.info.backend_pid
        session.pgconn.send_query(b"SELECT pg_sleep(600)")
        wait_until(database, f"SELECT count(*) = 1 FROM {ACTIVITY} AND wait_event = 'PgSleep'")
        plan = check(systems, transaction_seconds=0)
        session.cancel()
    assert found(plan, "long-transaction").subject == f"pid {pid}"
    assert rules(plan) == ["long-transaction"]


def test_an_invalid_index_is_found_by_name(systems, ledger, database):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE planes (tailnum text)")
        app.execute("INSERT INTO planes VALUES ('N1'), ('N1')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            app.execute("CREATE UNIQUE INDEX CONCURRENTLY planes_tailnum_key ON planes (tailnum)")
    plan = check(systems)
    assert rules(plan) == ["invalid-index"]
    assert found(plan, "invalid-index").subject == "public.planes_tailnum_key"


def test_a_sequence_near_the_end_of_its_column_is_found_though_the_sequence_itself_goes_further(
    systems, ledger, database
):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE SEQUENCE far AS bigint")
        app.execute("CREATE TABLE t (id int PRIMARY KEY DEFAULT nextval('far'))")
        app.execute("ALTER SEQUENCE far OWNED BY t.id")
        app.execute("SELECT setval('far', 2000000000)")
        app.execute("CREATE TABLE fine (id bigserial PRIMARY KEY)")
        app.execute("SELECT setval('fine_id_seq', 2000000000)")
    plan = check(systems)
    assert rules(plan) == ["sequence-near-end"]
    assert found(plan, "sequence-near-end").subject == "public.far"
    assert found(plan, "sequence-near-end").figures == {"used_percent": 93.13, "highest_value": 2147483647}
    assert plan.figures["sequence_used_percent_worst"] == 93.13


def test_dead_rows_and_stale_statistics_are_found_on_the_table_that_has_them(systems, ledger, database):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE t (n int) WITH (autovacuum_enabled = off)")
        app.execute("INSERT INTO t SELECT generate_series(1, 20000)")
        app.execute("UPDATE t SET n = n + 1")
        app.execute("SELECT pg_stat_force_next_flush()")
    plan = check(systems)
    assert rules(plan) == ["autovacuum-off", "dead-rows", "never-analyzed"]
    assert found(plan, "dead-rows").figures == {"dead_rows": 20000, "live_rows": 20000}
    assert found(plan, "dead-rows").what == "50 % of its rows are dead; last vacuum: never."


def test_a_server_that_does_not_answer_is_down(tmp_path):
    registry = servers.registry(tmp_path, "postgresql://postgres@127.0.0.1:1/app")
    with contextlib.closing(attach(registry, tmp_path)):
        plan = check(registry)
    assert plan.figures == {"health": "down", "health_because": "unreachable", "up": 0.0}
    assert rules(plan) == ["unreachable"]
    assert plan.summary == "app is down: postgres.unreachable: app cannot be reached."


def test_a_role_that_cannot_see_other_sessions_is_told_the_grant(tmp_path, safe_server, database):
    with safe_server.connect() as admin:
        admin.execute("DROP ROLE IF EXISTS short_sighted")
        admin.execute("CREATE ROLE short_sighted LOGIN")
    registry = servers.registry(tmp_path, database.replace("postgres@", "short_sighted@"))
    ledger = attach(registry, tmp_path)
    try:
        plan = check(registry)
    finally:
        ledger.close()
        registry.close()
        with safe_server.connect() as admin:
            admin.execute("DROP ROLE short_sighted")
    assert rules(plan) == ["missing-grant"]
    assert found(plan, "missing-grant").instead == "GRANT pg_monitor TO short_sighted;"
    assert plan.figures["health"] == "healthy"


NOON = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)


@time_machine.travel(NOON, tick=False)
def test_rates_are_taken_between_the_newest_sample_and_now(systems, ledger):
    now = check(systems).figures
    remember(
        ledger,
        NOON - timedelta(seconds=60),
        transactions_total=now["transactions_total"] - 600,
        blocks_hit_total=now["blocks_hit_total"] - 1,
        blocks_read_total=0,
        temp_bytes_total=0,
        deadlocks_total=0,
        wal_bytes_total=now["wal_bytes_total"] - 6000,
    )
    plan = check(systems)
    assert plan.figures["transactions_per_second"] == pytest.approx(10, abs=1)
    assert plan.figures["wal_bytes_per_second"] >= 100
    assert plan.figures["deadlocks_new"] == 0
    assert plan.summary.endswith("transactions/s over the last 60 s.")


@time_machine.travel(NOON, tick=False)
def test_every_alert_watches_a_figure_that_a_look_gives(tmp_path, safe_server, database):
    registry = servers.registry(tmp_path, database, safe_server.local)
    with contextlib.closing(attach(registry, tmp_path)) as ledger:
        with psycopg.connect(database, autocommit=True) as app:
            app.execute("SELECT pg_stat_force_next_flush()")
        counters = [name for name in check(registry).figures if name.endswith("_total")]
        remember(ledger, NOON - timedelta(seconds=60), **dict.fromkeys(counters, 0))
        given = check(registry).figures.keys()
    registry.close()
    watched = {fields["sample"] for fields in (*ANYWHERE.values(), *ON_A_LOCAL_DISK.values())}
    assert watched <= given | {"cache_hit_percent"}  # which a fresh database has too few reads for
    assert "slot_retained_bytes_worst" in given
    assert "transaction_ms_mean" in given


@time_machine.travel(NOON, tick=False)
def test_counters_that_went_back_give_rates_since_the_statistics_began(systems, ledger):
    remember(ledger, NOON - timedelta(seconds=60), transactions_total=10**12)
    plan = check(systems)
    assert "since statistics began" in plan.summary
    assert "deadlocks_new" not in plan.figures


@time_machine.travel(NOON, tick=False)
def test_growth_is_measured_over_a_week_of_samples(systems, ledger):
    size = check(systems).figures["database_bytes"]
    remember(ledger, NOON - timedelta(hours=12), database_bytes=size - 5_000_000)
    assert check(systems).figures["growth_bytes_per_day"] == 10_000_000


@time_machine.travel(NOON, tick=False)
def test_growth_of_a_few_minutes_is_not_a_figure(systems, ledger):
    remember(ledger, NOON - timedelta(minutes=10), database_bytes=0)
    assert "growth_bytes_per_day" not in check(systems).figures


@time_machine.travel(NOON, tick=False)
def test_a_backup_older_than_the_target_is_a_finding(systems, ledger, request):
    place = Path(systems["app"].read("backup_folder")["path"])
    request.addfinalizer(lambda: shutil.rmtree(place, ignore_errors=True))
    folder = place / "base" / "b1"
    folder.mkdir(parents=True)
    (folder / "backup.json").write_text(
        json.dumps({"label": "b1", "finished": clock.stamp(NOON - timedelta(hours=30))})
    )
    plan = check(systems)
    assert plan.figures["backup_age_hours"] == 30
    assert found(plan, "backup-age").what == "The newest backup is 30.0 h old; at most 26 h are allowed."


def test_a_declared_backup_that_was_never_taken_is_a_finding(systems, ledger):
    systems["estate"].perform("put", run="r1", where=["systems"], value=ESTATE_WITH_BACKUPS)
    plan = check(systems)
    assert rules(plan) == ["backup-missing"]


ESTATE_WITH_BACKUPS = {
    "app": {"kind": "postgresql", "url": "postgresql://h/d", "backups": {"directory": "b"}}
}


def test_failed_archiving_and_disk_use_are_seen_on_a_local_server(tmp_path):
    with servers.server(archive_mode="on", archive_command="false") as server:
        with server.connect() as admin:
            admin.execute("SELECT pg_switch_wal()")
        wait_until(server.url, "SELECT failed_count > 0 FROM pg_stat_archiver")
        registry = servers.registry(tmp_path, server.url, server.local)
        with contextlib.closing(attach(registry, tmp_path)):
            plan = check(registry)
        registry.close()
    assert found(plan, "archive-failing").severity == "critical"
    assert 0 < plan.figures["disk_used_percent"] <= 100


def test_a_standby_and_its_primary_tell_how_far_it_is_behind(tmp_path):
    with servers.server(**SAFE) as primary, standby_of(primary) as url:
        with primary.connect() as app:
            app.execute("CREATE TABLE t (n int)")
        wait_until(url, "SELECT to_regclass('t') IS NOT NULL")
        registry = servers.registry(tmp_path, primary.url)
        with contextlib.closing(attach(registry, tmp_path)):
            above = check(registry)
        registry.close()
        registry = servers.registry(tmp_path, url)
        with contextlib.closing(attach(registry, tmp_path)):
            below = check(registry)
        registry.close()
    assert (above.figures["standbys"], below.figures["standbys"]) == (1, 0)
    assert 0 <= above.figures["replication_lag_seconds"] < 60
    assert below.figures["replication_lag_seconds"] >= 0
    assert (above.findings, below.findings) == ((), ())
    assert below.figures["wal_bytes_total"] > 0


@contextlib.contextmanager
def standby_of(primary):
    """A streaming standby of a server; gives its URL."""
    folder = Path(tempfile.mkdtemp(prefix="datareeve-test-"))
    folder.chmod(0o755)
    local, port = primary.local, pg_server.free_port()
    data = folder / "data"
    pg_server.make_folder(folder, local.os_user)
    pg_server.run_as(
        local.os_user,
        [
            str(local.bin / "pg_basebackup"),
            "-D",
            str(data),
            "-d",
            primary.url,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ],
    )
    standby = dataclasses.replace(local, data=data, log=data / "server.log", options=(f"-p {port}",))
    standby.start()
    try:
        yield primary.url.rsplit(":", 1)[0] + f":{port}/postgres"
    finally:
        pg_server.destroy(standby)
        folder.rmdir()


@pytest.mark.system
def test_version_15_answers_every_question_with_statements_from_the_extension(tmp_path):
    with servers.server(binaries=DEBIAN_15, shared_preload_libraries="pg_stat_statements", **SAFE) as server:
        with server.connect() as admin:
            admin.execute("CREATE SCHEMA watch")
            admin.execute("CREATE EXTENSION pg_stat_statements SCHEMA watch")
            admin.execute("SELECT 1")
        registry = servers.registry(tmp_path, server.url)
        with contextlib.closing(attach(registry, tmp_path)):
            plan = check(registry)
        registry.close()
    assert plan.findings == ()
    assert plan.figures["queries_total"] > 0
    assert plan.figures["query_ms_mean"] > 0
    assert plan.figures["checkpoints_requested_total"] >= 0
