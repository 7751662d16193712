"""What is wrong is put into a real server, and found and named; the same server without it gives no finding."""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import time_machine

import servers
from datareeve.capabilities.databases.health import Limits, look
from datareeve.capabilities.databases.health_space import ERROR_PERCENT
from datareeve.capabilities.databases.rules.health import findings
from datareeve.core import clock
from datareeve.core.operation import Severity
from health_rig import ACTIVITY, SAFE, check, found, looking, remember, rules, wait_until

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
NOON = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)


def run(url, *statements):
    """Each statement in a session of its own, so that what it counted is known when the next one begins."""
    for statement in statements:
        with psycopg.connect(url, autocommit=True) as app:
            app.execute(statement)


WIDE = "CREATE TABLE wide (id int PRIMARY KEY, a int, note text) WITH (autovacuum_enabled = on)"
FILLED = "INSERT INTO wide SELECT n, n % 7, repeat('x', 60) FROM generate_series(1, 240000) AS n"


def test_a_bloated_table_and_a_bloated_index_are_found_by_name_and_gone_after_a_rebuild(
    systems, ledger, database
):
    run(database, WIDE, FILLED, "VACUUM ANALYZE wide")
    assert check(systems).findings == ()
    run(database, "DELETE FROM wide WHERE id % 5 > 0", "VACUUM ANALYZE wide")
    wait_until(database, "SELECT n_dead_tup < 1000 AND n_mod_since_analyze < 1000 FROM pg_stat_user_tables")
    plan = check(systems)
    assert rules(plan) == ["table-bloat"]
    assert found(plan, "table-bloat").subject == "public.wide"
    assert found(plan, "table-bloat").figures["wasted_percent"] == pytest.approx(80, abs=3)
    assert found(plan, "table-bloat").mended_by == "databases.repack-table"
    assert "estimated from statistics" in found(plan, "table-bloat").what
    run(database, "VACUUM FULL wide", "ANALYZE wide")
    assert check(systems).findings == ()


def test_a_bloated_b_tree_is_found_by_name_and_gone_after_reindex(systems, ledger, database):
    run(database, WIDE.replace("PRIMARY KEY", ""), FILLED.replace("240000", "700000"))
    run(database, "CREATE INDEX wide_id_idx ON wide (id)", "CREATE INDEX wide_a_idx ON wide (a)")
    run(database, "VACUUM ANALYZE wide")
    assert check(systems).findings == ()
    run(
        database,
        "DELETE FROM wide WHERE id % 4 > 0",
        "VACUUM ANALYZE wide",
        "VACUUM FULL wide",
        "ANALYZE wide",
    )
    assert check(systems).findings == ()
    run(database, "DROP INDEX wide_id_idx", "CREATE INDEX wide_id_idx ON wide (id) WITH (fillfactor = 30)")
    run(database, "INSERT INTO wide SELECT n, 0, '' FROM generate_series(1, 500000) AS n")
    run(
        database,
        "DELETE FROM wide WHERE note = ''",
        "VACUUM ANALYZE wide",
        "ALTER INDEX wide_id_idx RESET (fillfactor)",
    )
    wait_until(database, "SELECT n_dead_tup < 1000 AND n_mod_since_analyze < 1000 FROM pg_stat_user_tables")
    plan = check(systems)
    assert "public.wide_id_idx" in {f.subject for f in plan.findings if f.rule == "index-bloat"}
    assert found(plan, "index-bloat").mended_by == "databases.reindex"
    run(database, "VACUUM FULL wide", "ANALYZE wide")
    assert check(systems).findings == ()


def test_a_blocking_chain_of_four_is_told_as_a_tree_with_one_root(systems, ledger, database):
    sessions = [psycopg.connect(database, application_name=f"worker {n}") for n in range(4)]
    pids = [session.info.backend_pid for session in sessions]
    try:
        run(
            database,
            "CREATE TABLE seats (id int PRIMARY KEY, who text)",
            "INSERT INTO seats SELECT n FROM generate_series(1, 4) AS n",
            "ANALYZE",
        )
        for n, session in enumerate(sessions):  # each holds its own seat
            session.execute("UPDATE seats SET who = 'secret' WHERE id = %s", (n + 1,))
        for n in (3, 2, 1):  # and wants the one of the session before it
            sessions[n].pgconn.send_query(f"UPDATE seats SET who = 'secret' WHERE id = {n}".encode())
        wait_until(database, f"SELECT count(*) = 3 FROM {ACTIVITY} AND wait_event_type = 'Lock'")
        plan = check(systems, blocked_seconds=0)
    finally:
        for session in sessions:
            session.close()
    (chain,) = [f for f in plan.findings if f.rule == "blocking-chain"]
    assert chain.subject == f"pid {pids[0]}"
    assert chain.what.endswith(f"it blocks 3 sessions: pid {pids[1]}, {pids[2]}, {pids[3]}.")
    root, *behind = chain.figures["tree"]
    assert root.startswith(f"pid {pids[0]}: idle in transaction for 0 s, postgres (worker 0)")
    assert root.endswith("holds RowExclusiveLock on public.seats") or "holds" in root
    assert [line.split(" waits ")[0] for line in behind] == [
        f"└─ pid {pids[1]}",
        f"   └─ pid {pids[2]}",
        f"      └─ pid {pids[3]}",
    ]
    assert behind[0].endswith("for ShareLock on a row of public.seats")
    assert plan.figures["blocking_root_pid"] == pids[0]
    assert plan.figures["blocking_sessions_behind"] == 3
    assert "secret" not in plan.model_dump_json()


def test_an_idle_transaction_is_told_with_who_holds_it(systems, ledger, database):
    with contextlib.closing(psycopg.connect(database, application_name="reports")) as session:
        pid = session.info.backend_pid
        session.execute("SELECT 1")
        plan = check(systems, idle_seconds=0)
    assert rules(plan) == ["idle-in-transaction"]
    assert found(plan, "idle-in-transaction").subject == f"pid {pid}"
    assert "(role postgres, reports)" in found(plan, "idle-in-transaction").what
    assert found(plan, "idle-in-transaction").mended_by == "databases.end-session"


def test_a_forgotten_prepared_transaction_is_named_and_so_is_what_it_blocks(systems, ledger, database):
    run(database, "CREATE TABLE bills (n int)")
    with contextlib.closing(psycopg.connect(database)) as waiter:
        with psycopg.connect(database, autocommit=True) as app:
            app.execute("BEGIN")
            app.execute("LOCK TABLE bills IN ACCESS EXCLUSIVE MODE")
            app.execute("PREPARE TRANSACTION 'billing-7'")
        waiter.pgconn.send_query(b"SELECT count(*) FROM bills")
        try:
            wait_until(database, f"SELECT count(*) = 1 FROM {ACTIVITY} AND wait_event_type = 'Lock'")
            assert rules(check(systems)) == []
            plan = check(systems, prepared_seconds=0, blocked_seconds=0)
        finally:
            run(database, "ROLLBACK PREPARED 'billing-7'")
    assert found(plan, "prepared-transaction").subject == "prepared transaction billing-7"
    assert found(plan, "blocking-chain").subject == "prepared transaction billing-7"
    assert found(plan, "blocking-chain").figures["sessions"] == 1


def test_an_inactive_slot_is_named_and_gone_with_it(systems, ledger, database, safe_server):
    run(database, "SELECT pg_create_physical_replication_slot('left_behind', true)")
    try:
        plan = check(systems)
    finally:
        run(database, "SELECT pg_drop_replication_slot('left_behind')")
    assert rules(plan) == ["slot-inactive"]
    assert found(plan, "slot-inactive").subject == "slot left_behind"
    assert plan.figures["slots_inactive"] == 1
    assert check(systems).findings == ()


def test_a_sequence_at_95_percent_is_named_with_its_table(systems, ledger, database):
    run(database, "CREATE TABLE seats (id serial)", "SELECT setval('seats_id_seq', (2147483647 * 0.95)::int)")
    plan = check(systems)
    assert rules(plan) == ["sequence-near-end"]
    assert found(plan, "sequence-near-end").subject == "public.seats_id_seq"
    assert found(plan, "sequence-near-end").severity == "critical"
    assert found(plan, "sequence-near-end").what == "95 % used (it feeds seats); it ends at 2,147,483,647."


def test_old_transaction_ids_are_told_by_table_and_by_who_holds_vacuum_back(systems, ledger, database):
    run(database, "CREATE TABLE old (n int)", "INSERT INTO old VALUES (1)")
    with contextlib.closing(psycopg.connect(database)) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.execute("SELECT count(*) FROM old")
        run(
            database,
            "DO $$ BEGIN FOR n IN 1..300 LOOP BEGIN INSERT INTO old VALUES (n); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$",
        )
        limits = Limits(freeze_transactions=100, horizon_transactions=200)
        told = {f.rule: f for f in findings(look(systems, "app", limits))}
        assert told["horizon"].subject == f"pid {session.info.backend_pid}"
    assert told["horizon"].mended_by == "databases.end-session"
    assert told["table-wraparound"].mended_by == "databases.vacuum-table"
    assert check(systems).findings == ()


def test_a_table_never_analysed_is_told_until_it_is(systems, ledger, database):
    run(database, "CREATE TABLE fresh (n int)", "INSERT INTO fresh SELECT generate_series(1, 20000)")
    plan = check(systems)
    assert rules(plan) == ["never-analyzed"]
    assert found(plan, "never-analyzed").subject == "public.fresh"
    run(database, "ANALYZE fresh")
    assert check(systems).findings == ()


def test_two_equal_indexes_and_an_unlogged_table_are_a_word_but_no_alarm(systems, ledger, database):
    run(
        database,
        "CREATE UNLOGGED TABLE scratch (a int, b int)",
        "CREATE INDEX first ON scratch (a, b)",
        "CREATE INDEX again ON scratch (a, b)",
        "CREATE INDEX other ON scratch (b, a)",
    )
    plan = check(systems)
    assert rules(plan) == ["duplicate-index", "unlogged-tables"]
    assert found(plan, "duplicate-index").subject == "public.again"
    assert "public.scratch" in found(plan, "unlogged-tables").what
    assert plan.figures["health"] == "healthy"


@time_machine.travel(NOON, tick=False)
def test_a_disk_that_fills_up_is_told_with_its_date_and_how_sure_that_is(tmp_path, safe_server, database):
    with looking(tmp_path, database, safe_server.local) as systems:
        free = check(systems).figures["disk_free_bytes"]
        ledger = systems["ledger"]._ledger
        for hours in range(24 * 10, 0, -2):
            remember(ledger, NOON - timedelta(hours=hours), disk_free_bytes=free * (1 + hours / 24 / 5))
        plan = check(systems)
        assert found(plan, "disk-full").figures["days"] == pytest.approx(5, abs=0.2)
        assert "is full on 2026-07-25" in found(plan, "disk-full").what
        assert found(plan, "disk-full").severity is Severity.CRITICAL
        assert plan.figures["disk_full_days"] == pytest.approx(5, abs=0.2)


def test_nothing_is_asked_of_a_table_that_someone_holds_locked(systems, ledger, database):
    run(database, WIDE, FILLED, "VACUUM ANALYZE wide")
    with contextlib.closing(psycopg.connect(database)) as session:
        session.execute("LOCK TABLE wide IN ACCESS EXCLUSIVE MODE")
        began = clock.now()
        seen = look(systems, "app", Limits())
    assert (clock.now() - began).total_seconds() < 4
    assert [reason for reason in seen.unseen if "pg_stat_statements" not in reason] == []
    assert [t.bytes for t in seen.tables if t.name == "wide"] == [None]


def test_foreign_tables_row_security_temporary_tables_and_partitions_are_borne(systems, ledger, database):
    run(
        database,
        "CREATE TABLE guarded (n int)",
        "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
        "INSERT INTO guarded SELECT generate_series(1, 2000)",
        "CREATE TABLE parts (n int) PARTITION BY RANGE (n)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)",
        "ANALYZE",
    )
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("CREATE TEMPORARY TABLE mine (id serial)")
        session.execute("SELECT setval('mine_id_seq', 2147483647)")
        plan = check(systems)
    assert plan.findings == ()
    assert "statements" in plan.figures["health_not_seen"]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_databases_of_other_encodings_are_looked_at_with_their_names(tmp_path, safe_server, encoding):
    name = f"t_{encoding.lower()}"
    with safe_server.connect() as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name}")
        admin.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    try:
        url = safe_server.url_of(name)
        table = "gr\u00f6\u00dfe" if encoding == "LATIN1" else "grosse"
        run(url, f'CREATE TABLE "{table}" (n int)', f'INSERT INTO "{table}" SELECT generate_series(1, 20000)')
        with looking(tmp_path, url) as systems:
            plan = check(systems)
        assert [f.subject for f in plan.findings] == [f"public.{table}"]
    finally:
        with safe_server.connect() as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Restarting:
    """A reader whose server is restarted once, after a few questions."""

    name, kind = "app", "postgresql"

    def __init__(self, reader, server, after):
        self.reader, self.server, self.left = reader, server, after

    def read(self, action, /, **arguments):
        self.left -= 1
        if self.left == 0:
            self.server.local.restart()
        return self.reader.read(action, **arguments)

    def close(self):
        self.reader.close()


def test_a_server_that_restarts_in_the_middle_of_a_look_gives_one_clear_answer(tmp_path):
    with servers.server(**SAFE) as server, looking(tmp_path, server.url) as systems:
        check(systems)
        systems.add(Restarting(systems["app"], server, after=7))
        plan = check(systems)
        assert plan.figures["health"] == "healthy"
        assert plan.findings == ()
        systems["app"].server.local.stop("immediate")
        plan = check(systems)
        assert rules(plan) == ["unreachable"]
        assert plan.figures["health"] == "down"


def test_unsafe_settings_are_told_one_by_one(tmp_path):
    with servers.server() as server, looking(tmp_path, server.url) as systems:
        plan = check(systems)
    assert [f.subject for f in plan.findings] == ["app: fsync", "app: full_page_writes"]
    assert {f.severity for f in plan.findings} == {"critical"}


@pytest.mark.system
def test_bloat_is_measured_where_pgstattuple_is_installed_and_the_estimate_was_near_it(tmp_path):
    with servers.server(binaries=DEBIAN_15, **SAFE) as server, looking(tmp_path, server.url) as systems:
        run(
            server.url,
            "CREATE EXTENSION pgstattuple",
            "CREATE EXTENSION pg_trgm VERSION '1.4'",
            WIDE,
            FILLED,
            "VACUUM ANALYZE wide",
        )
        run(server.url, "DELETE FROM wide WHERE id % 5 > 0", "VACUUM ANALYZE wide")
        guessed = found(check(systems, measure_bloat=False), "table-bloat")
        plan = check(systems)
    measured = found(plan, "table-bloat")
    assert "measured by pgstattuple" in measured.what
    assert measured.figures["wasted_percent"] == pytest.approx(guessed.figures["wasted_percent"], abs=10)
    assert found(plan, "extension-behind").subject == "extension pg_trgm"
    assert rules(plan) == ["extension-behind", "table-bloat"]


MANY_SHAPES = (
    "CREATE TABLE narrow AS SELECT n::int AS a, (n % 3)::int2 AS b, n % 2 = 0 AS c FROM generate_series(1, 700000) AS n",
    "CREATE TABLE nulls AS SELECT CASE WHEN n % 2 = 0 THEN n END AS a, CASE WHEN n % 5 = 0 THEN md5(n::text) END AS b, now() AS c, (n % 1000)::numeric AS d FROM generate_series(1, 600000) AS n",
    "CREATE TABLE texts AS SELECT n::bigint AS a, repeat('y', n % 300) AS b, n % 50 AS c FROM generate_series(1, 120000) AS n",
    "CREATE INDEX narrow_a ON narrow (a)",
    "CREATE INDEX narrow_b_a ON narrow (b, a)",
    "CREATE INDEX nulls_b ON nulls (b)",
    "CREATE INDEX nulls_d ON nulls (d)",
    "CREATE INDEX texts_c ON texts (c)",
    "CREATE INDEX texts_lower ON texts (lower(b))",
)


@pytest.mark.system
def test_estimates_of_many_shapes_are_within_their_stated_error_of_what_pgstattuple_measures(tmp_path):
    deletes = [
        f"DELETE FROM {table} WHERE ctid::text ~ '[13579]\\)$'" for table in ("narrow", "nulls", "texts")
    ]
    with servers.server(binaries=DEBIAN_15, **SAFE) as server, looking(tmp_path, server.url) as systems:
        run(server.url, "CREATE EXTENSION pgstattuple", *MANY_SHAPES, "VACUUM ANALYZE")
        packed = look(systems, "app", Limits(measure_bloat=False)).spaces
        run(server.url, *deletes, "VACUUM ANALYZE")
        loose = look(systems, "app", Limits(measure_bloat=False)).spaces
        with psycopg.connect(server.url) as app:
            off = {s.name: s.wasted_percent - free_percent(app, s) for s in (*packed, *loose)}
            measured = {s.name: (s.wasted_percent, round(free_percent(app, s), 1)) for s in loose}
    assert {s.name for s in packed if s.wasted_percent > ERROR_PERCENT[s.kind]} == set()
    errors = {s.name: abs(off[s.name]) - ERROR_PERCENT[s.kind] for s in loose}
    assert {name: measured[name] for name, error in errors.items() if error > 0} == {}
    assert len(loose) >= 6


def free_percent(app, space):
    """What pgstattuple says of a file: of a table free and dead space, of a B-tree what its leaves lack to the fill factor of 90."""
    if space.kind == "table":
        return app.execute(
            "SELECT approx_free_percent + dead_tuple_percent FROM pgstattuple_approx(%s::regclass)",
            [space.name],
        ).fetchone()[0]
    density = app.execute("SELECT avg_leaf_density FROM pgstatindex(%s::regclass)", [space.name]).fetchone()[
        0
    ]
    return max(100 * (1 - density / 90), 0)
