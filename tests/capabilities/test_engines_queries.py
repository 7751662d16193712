"""Slow queries and plans on MariaDB, SQLite and DuckDB: the same operations on each engine's own sources; no value is told."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter

import duckdb
import pytest

from datareeve.app import App
from datareeve.core.errors import BadInput, DatareeveError
from datareeve.systems.workload_elsewhere import shape_of, slow_log

CANARY = "canary7f3a"
TABLES = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, note VARCHAR(40))",
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR(40))",
)


def trace():
    for n in range(30):
        yield {
            "session": "s1",
            "sql": "SELECT id, customer_id FROM orders WHERE note = ?",
            "parameters": [f"{CANARY} {n}"],
            "ms": 5,
            "rows": 5,
        }
        for k in range(5):
            yield {
                "session": "s1",
                "sql": "SELECT name FROM customers WHERE id = ?",
                "parameters": [5 * n + k],
                "ms": 150,
                "rows": 1,
            }
    yield {
        "session": "s2",
        "sql": f"SELECT * FROM orders WHERE note = '{CANARY}' AND id IN (1, 2, 3)",
        "ms": 1,
        "rows": 1,
    }
    yield {"session": "s2", "sql": f"INSERT INTO customers VALUES (1, '{CANARY}'), (2, 'x')", "ms": 1}
    yield {"session": "s2", "sql": "BEGIN"}
    yield {"session": "s2", "sql": "SELECT ] nonsense"}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "trace.jsonl").write_text("".join(json.dumps(line) + "\n" for line in trace()))
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        for statement in TABLES:
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)", [(n, n, f"{CANARY} {n}") for n in range(2000)]
        )
        connection.commit()
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        for statement in TABLES:
            connection.execute(statement)
        connection.execute(f"INSERT INTO orders SELECT n, n, '{CANARY} ' || n FROM range(2000) t(n)")
        connection.execute("INSERT INTO customers SELECT n, 'x' FROM range(2000) t(n)")
    return tmp_path


@contextlib.contextmanager
def opened(folder, **entry):
    (folder / "estate.yaml").write_text(json.dumps({"version": 1, "systems": {"shop": entry}}))
    app = App.open(folder)
    try:
        yield app
    finally:
        app.close()


def run(app, name, **inputs):
    plan = app.preview(app.catalogue.make(f"databases.{name}", {"system": "shop", **inputs}))
    assert CANARY not in plan.model_dump_json()
    return plan


TRACE = {"kind": "trace", "path": "data/trace.jsonl"}
FILES = pytest.mark.parametrize(
    "entry",
    [{"kind": "sqlite", "path": "shop.db"}, {"kind": "duckdb", "path": "shop.duckdb"}],
    ids=["sqlite", "duckdb"],
)


@FILES
def test_a_trace_gives_slow_queries_and_loops(project, entry):
    with opened(project, **entry, workload=TRACE) as app:
        plan = run(app, "find-slow-queries")
    rules = [finding.rule for finding in plan.findings]
    assert rules.count("slow-query") == 1
    assert rules.count("n-plus-one") == 1
    loop = next(finding for finding in plan.findings if finding.rule == "n-plus-one")
    assert "JOIN customers" in loop.instead
    assert "ANY($1)" not in loop.instead
    assert "advise-indexes" not in plan.model_dump_json()
    assert plan.figures["workload"]["unparsed"] == 1
    assert plan.figures["workload"]["control"] == 1
    sql = {family["sql"] for family in plan.figures["by_family"]}
    assert "SELECT name FROM customers WHERE id = ?" in sql


@FILES
def test_without_a_source_it_says_that_the_engine_counts_nothing(project, entry):
    with opened(project, **entry) as app:
        (blocker,) = run(app, "find-slow-queries").blockers
    assert "does not count statements" in blocker
    assert "workload" in blocker


@FILES
def test_a_family_is_explained_from_its_recorded_example(project, entry):
    with opened(project, **entry, workload=TRACE) as app:
        families = run(app, "find-slow-queries").figures["by_family"]
        lookup = next(f for f in families if "customers" in f["sql"] and f["sql"].startswith("SELECT"))
        scan = next(f for f in families if f["sql"].startswith("SELECT id, customer_id"))
        assert run(app, "explain-query", fingerprint=lookup["fingerprint"]).figures["tree"]
        assert run(app, "explain-query", fingerprint=scan["fingerprint"]).figures["tables_read_whole"] == [
            "orders"
        ]
        with pytest.raises(BadInput) as error:
            run(app, "explain-query", fingerprint="0" * 12)
    assert error.value.code == "workload.family"


@FILES
def test_a_statement_is_explained_without_its_constants(project, entry):
    with opened(project, **entry) as app:
        plan = run(
            app,
            "explain-query",
            sql=f"SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.note <> '{CANARY}' AND o.id < 77",
        )
    assert plan.figures["tree"].count("\n") >= 1
    assert plan.inputs["sql"].count("?") == 2


@FILES
def test_running_a_statement_is_refused_where_the_engine_has_no_copy(project, entry):
    with opened(project, **entry) as app, pytest.raises(BadInput) as error:
        run(app, "explain-query", sql="SELECT 1", analyze=True)
    assert error.value.code == "engine.cannot"


@FILES
def test_a_statement_that_cannot_be_planned_is_said(project, entry):
    with opened(project, **entry) as app:
        for wrong in (
            f"SELECT nope FROM orders WHERE note = '{CANARY}'",
            "SELEC 1",
            "DROP TABLE orders",
            "SELECT 1; SELECT 2",
            "",
        ):
            with pytest.raises(DatareeveError) as error:
                run(app, "explain-query", sql=wrong)
            assert CANARY not in str(error.value)


def test_an_index_that_sqlite_makes_each_time_is_told(project):
    with opened(project, kind="sqlite", path="shop.db") as app:
        plan = run(
            app, "explain-query", sql="SELECT * FROM orders a JOIN orders b ON a.customer_id = b.customer_id"
        )
    (finding,) = plan.findings
    assert finding.rule == "index-made-each-time"
    assert "customer_id" in finding.what


def test_a_string_in_double_quotes_is_not_taken_for_a_name_of_sqlite(project):
    line = {"session": "s", "sql": f'SELECT "id" FROM orders WHERE "note" = "{CANARY}"', "ms": 1}
    (project / "data" / "trace.jsonl").write_text(json.dumps(line) + "\n")
    with opened(project, kind="sqlite", path="shop.db", workload=TRACE) as app:
        (family,) = run(app, "find-slow-queries").figures["by_family"]
    assert family["sql"] == 'SELECT "id" FROM orders WHERE "note" = ?'


# -- MariaDB -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.system
def test_the_digests_of_mariadb_give_the_costly_queries(tmp_path, mariadb):
    with mariadb.database(*TABLES, "INSERT INTO orders SELECT seq, seq, seq FROM seq_1_to_3000") as url:
        with (
            contextlib.closing(mariadb.connect(url.rsplit("/", 1)[1])) as connection,
            connection.cursor() as cursor,
        ):
            for n in range(40):
                cursor.execute(f"SELECT * FROM orders WHERE note = '{CANARY}{n}'")
                cursor.fetchall()
        with opened(tmp_path, kind="mysql", url=url) as app:
            plan = run(app, "find-slow-queries")
            told = next(f for f in plan.figures["by_family"] if "`note` = ?" in f["sql"])
            assert told["calls"] == 40
            assert "costly-query" in {finding.rule for finding in plan.findings}
            with pytest.raises(BadInput) as error:
                run(app, "explain-query", fingerprint=told["fingerprint"])
            assert error.value.code == "workload.no-example"
            scan = run(
                app,
                "explain-query",
                sql=f"SELECT * FROM orders WHERE note = '{CANARY}' AND customer_id <> \"{CANARY}\"",
            )
    assert [finding.rule for finding in scan.findings] == ["full-scan"]
    assert "all rows" in scan.figures["tree"]


@pytest.mark.system
def test_the_slow_query_log_of_mariadb_is_read_as_the_server_writes_it(tmp_path, mariadb):
    log = mariadb.folder / "data" / "slow.log"
    with mariadb.database(*TABLES) as url, contextlib.closing(mariadb.connect()) as admin:
        name = url.rsplit("/", 1)[1]
        admin.cursor().execute(
            f"SET GLOBAL slow_query_log_file = '{log}', GLOBAL long_query_time = 0, GLOBAL slow_query_log = ON"
        )
        with contextlib.closing(mariadb.connect(name)) as connection, connection.cursor() as cursor:
            for n in range(12):
                cursor.execute(f'SELECT name FROM customers WHERE id = {n} AND name <> "{CANARY};" /* x */')
                cursor.fetchall()
            cursor.execute(f"INSERT INTO customers VALUES (1, 'it''s {CANARY}')")
        with contextlib.closing(mariadb.connect("mysql")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 'of another database' FROM user")
        admin.cursor().execute("SET GLOBAL slow_query_log = OFF, GLOBAL long_query_time = 10")
        (tmp_path / "slow.log").write_bytes(log.read_bytes())
        with opened(tmp_path, kind="mysql", url=url, workload={"kind": "log", "path": "slow.log"}) as app:
            plan = run(app, "find-slow-queries")
            told = next(f for f in plan.figures["by_family"] if f["sql"].startswith("SELECT name"))
            tree = run(app, "explain-query", fingerprint=told["fingerprint"]).figures["tree"]
    assert (told["calls"], told["sql"]) == (12, "SELECT name FROM customers WHERE id = ? AND name <> ?")
    assert any(f["sql"].startswith("INSERT INTO customers") for f in plan.figures["by_family"])
    assert "another database" not in plan.model_dump_json()
    assert tree


MYSQL_LOG = f"""/usr/sbin/mysqld, Version: 8.0.36 (MySQL Community Server - GPL). started with:
Tcp port: 3306  Unix socket: /run/mysqld/mysqld.sock
Time                 Id Command    Argument
# Time: 2026-01-05T12:00:00.000000Z
# User@Host: app[app] @ localhost []  Id:    42
# Query_time: 0.250000  Lock_time: 0.000004 Rows_sent: 3  Rows_examined: 9000
use shop;
SET timestamp=1767614400;
SELECT * FROM orders
 WHERE note = '# User@Host: {CANARY}';
# Time: 2026-01-05T12:00:01.000000Z
# User@Host: app[app] @ localhost []  Id:    42
# Query_time: 0.000001  Lock_time: 0.000000 Rows_sent: 0  Rows_examined: 0
SET timestamp=1767614401;
# administrator command: Quit;
# Time: 2026-01-05T12:00:02.000000Z
# User@Host: app[app] @ localhost []  Id:    43
# Query_time: 1.000000  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 1
use other;
SET timestamp=1767614402;
SELECT 1;
"""


def test_the_slow_query_log_of_mysql_is_read():
    counts = Counter()
    (statement,) = slow_log(MYSQL_LOG, counts, "shop")
    assert (statement.session, statement.ms, statement.rows) == ("42", 250.0, 3)
    assert statement.text.startswith("SELECT * FROM orders")
    assert counts["skipped"] == 2


@pytest.mark.parametrize(
    ("dialect", "text", "sql"),
    [
        ("mysql", 'select a from t where b="x" limit 5, 10', "SELECT a FROM t WHERE b = ? LIMIT ? OFFSET ?"),
        ("mysql", "SELECT COUNT(*) FROM `t` WHERE `a` IN (1,2)", "SELECT COUNT(*) FROM `t` WHERE `a` IN (?)"),
        ("sqlite", "SELECT [a b] FROM t WHERE c = :name", 'SELECT "a b" FROM t WHERE c = ?'),
        ("duckdb", "FROM t SELECT a WHERE b = $1", "FROM t SELECT a WHERE b = ?"),
        ("duckdb", "SELECT a::INT FROM t WHERE b = 'x'", "SELECT CAST(a AS INT) FROM t WHERE b = ?"),
    ],
)
def test_a_statement_has_one_shape_in_its_own_engines_spelling(dialect, text, sql):
    assert shape_of(text, dialect).sql == sql
