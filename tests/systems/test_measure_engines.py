"""`measure` where engines differ: rights on columns, a connection that is lost, a role that reads, a standby, memory, files that move."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time

import duckdb
import pytest

import servers
from datareeve.core.errors import Unreachable
from datareeve.systems import measure as measure_module

CANARY = "canary7f3a"
ENDLESS = "SELECT count(*) AS n FROM generate_series(1, 100000000) a, generate_series(1, 100000) b"
COUNT = {"id": "count", "sql": "SELECT count(*) AS n FROM people"}


def ask(system, *statements, **limits):
    return system.read("measure", statements=list(statements), **limits)


def one(system, sql, **limits):
    return ask(system, {"id": "one", "sql": sql}, **limits)["statements"]["one"]


@pytest.fixture
def between(monkeypatch):
    """What happens between two statements: the clock of the rests is ours."""
    todo = []
    monkeypatch.setattr(measure_module, "sleep", lambda _: todo and todo.pop(0)())
    return todo


# -- PostgreSQL --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def people(database, pg18):
    with pg18.connect(database.rsplit("/", 1)[1]) as admin:
        admin.execute("CREATE TABLE people (id int PRIMARY KEY, email text, salary int)")
        admin.execute(f"INSERT INTO people SELECT n, n || '@{CANARY}', n FROM generate_series(1, 100) n")
        yield admin


def test_a_column_without_rights_is_told_and_takes_no_other_statement(people, pg18, database, tmp_path):
    role = f"reader_{database[-6:]}"
    people.execute(f"CREATE ROLE {role}")
    people.execute(f"GRANT SELECT (id) ON people TO {role}")
    try:
        registry = servers.registry(tmp_path, database, read_role=role)
        told = ask(
            registry["app"],
            {"id": "id", "sql": "SELECT count(id) AS n FROM people"},
            {"id": "salary", "sql": "SELECT sum(salary) AS n FROM people"},
            {"id": "who", "sql": "SELECT current_user AS who, current_setting('application_name') AS name, current_setting('TimeZone') AS zone"},
        )["statements"]  # fmt: skip
        registry.close()
    finally:
        people.execute(f"DROP OWNED BY {role}")
        people.execute(f"DROP ROLE {role}")
    assert told["id"]["rows"] == [{"n": 100}]
    assert (told["salary"]["error"]["code"], told["salary"]["error"]["cause"]) == (
        "postgres.grant",
        "no rights",
    )
    assert told["who"]["rows"] == [{"who": role, "name": "datareeve/check", "zone": "UTC"}]


def test_settings_of_one_statement_do_not_reach_the_next(people, systems):
    told = ask(
        systems["app"],
        {"id": "off", "sql": "SELECT set_config('transaction_read_only', 'off', false), set_config('default_transaction_read_only', 'off', false)"},
        {"id": "wait", "sql": "SELECT set_config('statement_timeout', '0', false)"},
        {"id": "lock", "sql": "SELECT pg_advisory_xact_lock(1)"},
        {"id": "next", "sql": "SELECT current_setting('transaction_read_only') AS r, current_setting('statement_timeout') AS t, (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS held"},
        timeout_seconds=7,
    )["statements"]  # fmt: skip
    assert told["next"]["rows"] == [{"r": "on", "t": "7s", "held": 0}]


def test_a_session_that_is_ended_is_unreachable(people, systems):
    found = []

    def end():
        deadline = time.monotonic() + 20
        while not found and time.monotonic() < deadline:
            found.extend(
                people.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'datareeve/check' AND query LIKE '%generate_series%' AND state = 'active' AND datname = current_database()"
                ).fetchall()
            )

    killer = threading.Thread(target=end)
    killer.start()
    with pytest.raises(Unreachable) as lost:
        ask(systems["app"], {"id": "endless", "sql": ENDLESS}, COUNT)
    killer.join()
    assert lost.value.code == "postgres.lost"
    assert ask(systems["app"], COUNT)["statements"]["count"]["rows"] == [{"n": 100}]


def test_a_session_that_is_ended_between_two_statements_is_unreachable(people, systems, between):
    between.append(
        lambda: people.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'datareeve/check' AND datname = current_database()"
        )
    )
    with pytest.raises(Unreachable):
        ask(systems["app"], {"id": "a", "sql": "SELECT 1 AS n"}, COUNT)


def test_nothing_is_left_open_on_the_server(people, systems):
    ask(systems["app"], COUNT)
    deadline = time.monotonic() + 10
    sql = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'datareeve/check' AND datname = current_database()"
    while people.execute(sql).fetchone()["n"]:
        assert time.monotonic() < deadline


def test_a_lock_of_another_session_is_waited_for_as_long_as_allowed_and_told(people, systems, monkeypatch):
    monkeypatch.setattr("datareeve.systems.pg_measure.LOCK_MS", 200)
    with people.transaction():
        people.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
        told = ask(systems["app"], COUNT, {"id": "next", "sql": "SELECT 1 AS n"})["statements"]
    assert told["count"]["error"]["cause"] == "lock"
    assert told["next"]["rows"] == [{"n": 1}]


def test_a_check_never_makes_another_session_wait_for_a_lock_between_its_statements(people, systems, between):
    between.append(lambda: people.execute("SET lock_timeout = '1s'"))
    between.append(lambda: people.execute("ALTER TABLE people ADD COLUMN more int"))
    told = ask(systems["app"], COUNT, {"id": "b", "sql": "SELECT max(id) AS n FROM people"}, {"id": "c", "sql": "SELECT count(more) AS n FROM people"})  # fmt: skip
    assert told["statements"]["c"]["rows"] == [{"n": 0}]


def test_a_foreign_server_that_is_away_is_that_statements_error_only(people, systems):
    pytest.importorskip("datareeve")
    if not people.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'").fetchone():
        pytest.skip("this server has no postgres_fdw")
    people.execute("CREATE EXTENSION postgres_fdw")
    people.execute(
        "CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', connect_timeout '2')"
    )
    people.execute("CREATE USER MAPPING FOR PUBLIC SERVER away")
    people.execute("CREATE FOREIGN TABLE far (id int) SERVER away")
    told = ask(systems["app"], {"id": "far", "sql": "SELECT count(*) AS n FROM far"}, COUNT)["statements"]
    assert "error" in told["far"]
    assert told["count"]["rows"] == [{"n": 100}]


def test_a_large_answer_is_streamed_and_kept_small(people, systems):
    sql = "SELECT md5(n::text) AS value, 2 AS times FROM generate_series(1, 300000) n"
    told = one(systems["app"], sql)
    assert told["error"]["code"] == "postgres.too-many-rows"
    told = ask(systems["app"], {"id": "one", "sql": sql, "check": {"format": "uuid"}})["statements"]["one"]
    assert told["rows"] == [{"failing": 600_000, "checked": 600_000, "distinct": 300_000}]


def test_large_sums_stay_exact(people, systems):
    assert one(systems["app"], "SELECT sum(9007199254740993::bigint) AS n FROM people")["rows"] == [
        {"n": 900719925474099300}
    ]
    odd = one(systems["app"], "SELECT 'NaN'::float8 AS a, 'Infinity'::numeric AS b, ARRAY[1.5, 2]::numeric[] AS c")["rows"][0]  # fmt: skip
    assert odd["a"] != odd["a"]
    assert (odd["b"], odd["c"]) == (float("inf"), [1.5, 2])


def test_a_server_that_is_down_is_unreachable(tmp_path):
    with pytest.raises(Unreachable):
        ask(servers.registry(tmp_path, "postgresql://x@127.0.0.1:1/x")["app"], COUNT)


# -- MariaDB -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(mariadb, tmp_path):
    with mariadb.database(
        "CREATE TABLE people (id INT PRIMARY KEY, email VARCHAR(100), salary INT) ENGINE=InnoDB",
        f"INSERT INTO people SELECT seq, CONCAT(seq, '@{CANARY}'), seq FROM seq_1_to_100",
    ) as url:
        registry = servers.elsewhere(tmp_path, shop={"kind": "mysql", "url": url})
        yield registry["shop"]
        registry.close()


@pytest.mark.system
def test_mariadb_tells_a_column_without_rights(mariadb, shop, tmp_path):
    name = shop.entry.url.rsplit("/", 1)[1]
    with contextlib.closing(mariadb.connect()) as admin, admin.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE USER narrow@'%'")
        cursor.execute(f"GRANT SELECT (id) ON `{name}`.people TO narrow@'%'")
    url = shop.entry.url.replace("looker@", "narrow@")
    registry = servers.elsewhere(tmp_path, shop={"kind": "mysql", "url": url})
    told = ask(registry["shop"], {"id": "a", "sql": "SELECT sum(salary) AS n FROM people"}, {"id": "b", "sql": "SELECT count(id) AS n FROM people"})["statements"]  # fmt: skip
    registry.close()
    assert told["a"]["error"]["cause"] == "no rights"
    assert told["b"]["rows"] == [{"n": 100}]


@pytest.mark.system
def test_mariadb_ended_in_the_middle_is_unreachable(mariadb, shop):
    def end():
        deadline = time.monotonic() + 20
        sql = "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT count(*) AS n FROM people a,%'"
        with contextlib.closing(mariadb.connect()) as admin, admin.cursor() as cursor:
            while time.monotonic() < deadline:
                if cursor.execute(sql):
                    return cursor.execute(f"KILL {cursor.fetchone()[0]}")
        return None

    killer = threading.Thread(target=end)
    killer.start()
    with pytest.raises(Unreachable):
        ask(shop, {"id": "endless", "sql": "SELECT count(*) AS n FROM people a, people b, people c, people d, people e, people f"}, COUNT)  # fmt: skip
    killer.join()
    assert ask(shop, COUNT)["statements"]["count"]["rows"] == [{"n": 100}]


@pytest.mark.system
def test_mariadb_streams_a_large_answer(shop):
    sql = "SELECT MD5(CONCAT(a.id, '-', b.id, '-', c.id)) AS value, 1 AS times FROM people a, people b, people c WHERE c.id <= 20"
    told = ask(
        shop, {"id": "one", "sql": sql, "check": {"format": "uuid"}}, {"id": "all", "sql": sql}, COUNT
    )["statements"]
    assert told["one"]["rows"] == [{"failing": 200_000, "checked": 200_000, "distinct": 200_000}]
    assert told["all"]["error"]["code"] == "mysql.too-many-rows"
    assert told["count"]["rows"] == [{"n": 100}]


# -- files -------------------------------------------------------------------------------------------------------------------------


def test_sqlite_without_a_write_ahead_log_keeps_no_writer_waiting_for_long(tmp_path, between, monkeypatch):
    monkeypatch.setattr("datareeve.systems.sqlite_measure.LONGEST_KEPT_WAITING", 0.0)
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None, timeout=0)) as writer:
        writer.execute("CREATE TABLE people (id INTEGER)")
        system = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "shop.db"})["shop"]
        between.append(lambda: writer.execute("INSERT INTO people VALUES (1)"))
        told = ask(system, COUNT, {"id": "later", "sql": COUNT["sql"]})
    assert [told["statements"][name]["rows"][0]["n"] for name in ("count", "later")] == [0, 1]
    assert told["snapshots"] == 2


def test_sqlite_has_the_functions_of_checks(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as made:
        made.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (4), (NULL), ('8')")
    system = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "shop.db"})["shop"]
    sql = "SELECT stddev(x) AS s, sum(x REGEXP '^[0-9]$') AS r, stddev(x) FILTER (WHERE x = 1) AS one FROM t"
    found = one(system, sql)["rows"][0]
    assert found == {"s": pytest.approx(3.0956959), "r": 4, "one": None}


EVIL = ["^(a+)+$", "^(a|aa)+$", "(a|a)*$b", r"^(\\w+\\s?)*$", "a*a*a*a*a*a*c", "^(?:a?){40}a{40}$"]


@pytest.mark.parametrize("pattern", EVIL)
def test_sqlite_ends_a_pattern_that_goes_back_and_forth(tmp_path, pattern):
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as made:
        made.executescript(f"CREATE TABLE people (x); INSERT INTO people VALUES ('{'a' * 400}!')")
    system = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "shop.db"})["shop"]
    start = time.monotonic()
    evil = {"id": "evil", "sql": f"SELECT count(*) AS n FROM people WHERE x REGEXP '{pattern}'"}
    told = ask(system, evil, COUNT, timeout_seconds=0.3)["statements"]
    assert time.monotonic() - start < 3
    assert told["evil"].get("error", {}).get("cause") == "timeout" or told["evil"]["rows"] == [{"n": 0}]
    assert told["count"]["rows"] == [{"n": 1}]


def test_sqlite_matches_apart_as_it_does_here(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as made:
        made.executescript(
            "CREATE TABLE people (x); INSERT INTO people VALUES ('ab.cd'), ('ab'), (NULL), ('ä\n'), (7)"
        )
    system = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "shop.db"})["shop"]
    for pattern, count in (("^([a-z]+[.]?)+$", 2), ("^(ä|b)+\\s$", 1), ("^([0-9]+)+$", 1), ("^[a-z.]+$", 2)):
        assert one(system, f"SELECT count(*) AS n FROM people WHERE x REGEXP '{pattern}'")["rows"] == [
            {"n": count}
        ]


def test_duckdb_stays_within_its_memory_and_spills_within_the_project(tmp_path):
    with duckdb.connect(str(tmp_path / "big.duckdb")) as made:
        made.execute("CREATE TABLE people AS SELECT md5(n::VARCHAR) AS email FROM range(2500000) t(n)")
    code = (
        "import sys, json; sys.path.insert(0, 'tests'); import servers, pathlib;"
        f"system = servers.elsewhere(pathlib.Path({str(tmp_path)!r}), big={{'kind': 'duckdb', 'path': 'big.duckdb'}})['big'];"
        "told = system.read('measure', statements=[{'id': 'a', 'sql': 'SELECT count(*) AS n FROM (SELECT email, count(*) FROM people GROUP BY email)'},"
        " {'id': 'b', 'sql': 'SELECT left(email, 5), count(*) FROM people GROUP BY 1', 'check': {'format': 'uuid'}}]);"
        # Not ru_maxrss: that begins with what the process that started this one had.
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'));"
        "print(json.dumps([told['statements'], int(peak.split()[1])]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, peak_kb = json.loads(out.stdout)
    assert told["a"]["rows"] == [{"n": 2_500_000}]
    assert told["b"]["rows"] == [{"failing": 2_500_000, "checked": 2_500_000, "distinct": 951_656}]
    assert peak_kb < 512 * 1024
    assert list((tmp_path / ".datareeve").iterdir()) == []


def test_what_a_killed_process_spilled_is_removed_by_the_next(tmp_path):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as made:
        made.execute("CREATE TABLE people (id int)")
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    for pid in (ended.pid, os.getpid()):
        (tmp_path / ".datareeve" / f"spill-{pid}-x").mkdir(parents=True)
        (tmp_path / ".datareeve" / f"spill-{pid}-x" / "values").write_text(CANARY)
    ask(servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": "shop.duckdb"})["shop"], COUNT)
    assert [one.name for one in (tmp_path / ".datareeve").iterdir()] == [f"spill-{os.getpid()}-x"]


def test_a_file_that_another_process_writes_is_unreachable(tmp_path):
    path = tmp_path / "shop.duckdb"
    code = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); c.execute('create table people (id int)'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"open\n"
        with pytest.raises(Unreachable) as error:
            ask(servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": path.name})["shop"], COUNT)
        writer.stdin.close()
    assert error.value.code == "duckdb.locked"
