"""The health of MariaDB, SQLite and DuckDB: silent on a clean database, and each seeded trouble found and named."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import time

import duckdb
import pytest

from datareeve.app import App
from datareeve.capabilities.databases.engines.duckdb import DuckdbLook
from datareeve.capabilities.databases.engines.duckdb import TableState as DuckdbTable
from datareeve.capabilities.databases.engines.duckdb import findings as duckdb_findings
from datareeve.capabilities.databases.engines.mysql import (
    MysqlLook,
    Numbered,
    Replica,
    TableState,
    Transaction,
)
from datareeve.capabilities.databases.engines.mysql import findings as mysql_findings
from datareeve.capabilities.databases.engines.sqlite import SqliteLook
from datareeve.capabilities.databases.engines.sqlite import TableState as SqliteTable
from datareeve.capabilities.databases.engines.sqlite import findings as sqlite_findings
from datareeve.core.errors import BadInput

CANARY = "canary7f3a"
MEGABYTE = 1024**2
SOON = 20  # seconds


@contextlib.contextmanager
def opened(folder, **systems):
    """A project with databases of other engines."""
    entries = "".join(
        f"  {name}: {{{', '.join(f'{k}: {v!r}' for k, v in entry.items())}}}\n"
        for name, entry in systems.items()
    )
    (folder / "estate.yaml").write_text(f"version: 1\nsystems:\n{entries}")
    app = App.open(folder)
    try:
        yield app
    finally:
        app.close()


def check(app, name="shop", **inputs):
    return app.preview(app.catalogue.make("databases.check-health", {"system": name, **inputs}))


def rules(plan):
    return {(finding.rule, finding.subject) for finding in plan.findings}


# -- clean ---------------------------------------------------------------------------------------------------------------------------------

CLEAN = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, email VARCHAR(80))",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id))",
    f"INSERT INTO customers VALUES (1, '{CANARY}')",
    "INSERT INTO orders VALUES (1, 1)",
)


def test_a_clean_sqlite_file_is_healthy_and_says_what_cannot_be_seen(tmp_path):
    make_sqlite(tmp_path / "shop.db", *CLEAN)
    with opened(tmp_path, shop={"kind": "sqlite", "path": "shop.db"}) as app:
        plan = check(app)
    assert (plan.findings, plan.figures["health"]) == ((), "healthy")
    assert "SQLite has no server" in plan.figures["health_not_seen"]
    assert plan.figures["tables"] == 2
    assert plan.nothing_to_do


def test_a_clean_duckdb_file_is_healthy_and_says_what_cannot_be_seen(tmp_path):
    make_duckdb(tmp_path / "shop.duckdb", *CLEAN)
    with opened(tmp_path, shop={"kind": "duckdb", "path": "shop.duckdb"}) as app:
        plan = check(app)
    assert (plan.findings, plan.figures["health"]) == ((), "healthy")
    assert "does not count it" in plan.figures["health_not_seen"]
    assert plan.figures["block_bytes"] == 262144


@pytest.mark.system
def test_a_clean_mariadb_is_healthy(tmp_path, mariadb):
    with mariadb.database(*CLEAN) as url, opened(tmp_path, shop={"kind": "mysql", "url": url}) as app:
        plan = check(app)
    assert (plan.findings, plan.figures["health"]) == ((), "healthy")
    assert plan.figures["connections_usable"] == 151
    assert plan.figures["database_bytes"] > 0
    assert "queries/s" in plan.summary


# -- seeded: MariaDB -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.system
def test_tables_that_want_attention_are_named(tmp_path, mariadb):
    seeded = (
        "CREATE TABLE bare (n INT)",
        "CREATE TABLE old (id INT PRIMARY KEY, t VARCHAR(9)) ENGINE=MyISAM",
        "CREATE TABLE small (id TINYINT AUTO_INCREMENT PRIMARY KEY)",
        "INSERT INTO small VALUES (120)",
        "CREATE TABLE texts (id INT PRIMARY KEY, t VARCHAR(9) CHARACTER SET utf8mb3)",
    )
    with mariadb.database(*seeded) as url, opened(tmp_path, shop={"kind": "mysql", "url": url}) as app:
        plan = check(app)
    name = url.rsplit("/", 1)[1]
    assert rules(plan) == {
        ("table-without-primary-key", f"{name}.bare"),
        ("not-innodb", f"{name}.old"),
        ("number-near-end", f"{name}.small (id)"),
        ("utf8mb3", f"{name}.texts"),
    }
    assert plan.findings[0].severity == "critical"


@pytest.mark.system
def test_a_blocking_chain_is_named_from_its_root(tmp_path, mariadb):
    seeded = ("CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 0), (2, 0)")
    with (
        mariadb.database(*seeded) as url,
        opened(tmp_path, shop={"kind": "mysql", "url": url}) as app,
        contextlib.closing(mariadb.connect(url.rsplit("/", 1)[1])) as holder,
        contextlib.closing(mariadb.connect(url.rsplit("/", 1)[1])) as waiter,
    ):
        holder.begin()
        holder.cursor().execute("UPDATE t SET n = 1 WHERE id = 1")
        behind = threading.Thread(target=lambda: waiter.cursor().execute("UPDATE t SET n = 2 WHERE id = 1"))
        behind.start()
        wanted = ("blocking-chain", f"session {holder.thread_id()}")
        deadline = time.monotonic() + SOON
        while (
            wanted not in rules(plan := check(app, blocked_seconds=0, idle_seconds=0))
            and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        holder.commit()
        behind.join(SOON)
    (chain,) = (finding for finding in plan.findings if finding.rule == "blocking-chain")
    assert chain.subject == wanted[1]
    assert chain.figures["waiting"] == [waiter.thread_id()]
    assert f"KILL {holder.thread_id()}" in chain.instead
    assert "UPDATE" not in plan.model_dump_json()


@pytest.mark.system
def test_a_statement_that_waits_for_a_tables_definition_is_named(tmp_path, mariadb):
    with (
        mariadb.database("CREATE TABLE t (id INT PRIMARY KEY)") as url,
        opened(tmp_path, shop={"kind": "mysql", "url": url}) as app,
        contextlib.closing(mariadb.connect(url.rsplit("/", 1)[1])) as reader,
        contextlib.closing(mariadb.connect(url.rsplit("/", 1)[1])) as changer,
    ):
        reader.begin()
        reader.cursor().execute("SELECT * FROM t")
        behind = threading.Thread(target=lambda: changer.cursor().execute("ALTER TABLE t ADD COLUMN n INT"))
        behind.start()
        deadline = time.monotonic() + SOON
        while (
            not (told := [f for f in check(app, blocked_seconds=0).findings if f.rule == "blocking-chain"])
            and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        reader.rollback()
        behind.join(SOON)
    assert changer.thread_id() in told[0].figures["waiting"]


@pytest.mark.system
def test_an_account_without_process_says_what_it_does_not_see(tmp_path, mariadb):
    with (
        mariadb.database("CREATE TABLE t (id INT PRIMARY KEY)") as url,
        contextlib.closing(mariadb.connect()) as admin,
    ):
        name = url.rsplit("/", 1)[1]
        admin.cursor().execute("CREATE USER little@'%'")
        admin.cursor().execute(f"GRANT SELECT ON `{name}`.* TO little@'%'")
        with opened(tmp_path, shop={"kind": "mysql", "url": url.replace("looker", "little")}) as app:
            plan = check(app)
        admin.cursor().execute("DROP USER little@'%'")
    assert [finding.what for finding in plan.findings] == []
    assert "PROCESS" in plan.figures["health_not_seen"]


@pytest.mark.system
def test_a_look_reads_little_and_is_quick(tmp_path, mariadb):
    tables = [f"CREATE TABLE t{n} (id INT PRIMARY KEY, a INT, b INT, KEY (a), KEY (b))" for n in range(60)]
    with mariadb.database(*tables) as url, opened(tmp_path, shop={"kind": "mysql", "url": url}) as app:
        asked = []
        system = app.systems["shop"]
        query = system.query
        system.query = counted(query, asked)
        check(app)
    assert len(asked) <= 15


def counted(query, asked):
    def wrapped(**arguments):
        asked.append(arguments["sql"])
        return query(**arguments)

    wrapped.publishes = "read"
    return wrapped


def mysql_look(**more):
    return MysqlLook(system="shop", kind="mysql", **more)


@pytest.mark.parametrize(
    ("look", "rule"),
    [
        (mysql_look(figures={"connections_used": 90, "connections_usable": 100, "connections_used_most": 99, "connections_used_percent": 90.0}), "connections-used"),
        (mysql_look(figures={"pool_hit_percent": 60.0, "pool_free_percent": 1.0}, grown={"pages_asked_total": 1e6}), "pool-hit"),
        (mysql_look(figures={"pool_dirty_percent": 80.0}), "pool-dirty"),
        (mysql_look(figures={"checkpoint_age_percent": 85.0}), "checkpoint-age"),
        (mysql_look(figures={"history_length": 2e6}), "history-length"),
        (mysql_look(transactions=(Transaction(thread=5, seconds=4000, rows_changed=7),)), "long-transaction"),
        (mysql_look(transactions=(Transaction(thread=5, seconds=4000, idle=True, state_seconds=3000),)), "idle-in-transaction"),
        (mysql_look(fresh=True, window_seconds=60, grown={"deadlocks_total": 1}), "deadlocks"),
        (mysql_look(replicas=(Replica(channel="a", receives=True, applies=False, behind_seconds=None, error=1062),)), "replication-stopped"),
        (mysql_look(replicas=(Replica(channel="a", receives=True, applies=True, behind_seconds=900),)), "replication-lag"),
        (mysql_look(grown={"temp_tables_disk_total": 2000, "temp_tables_total": 4000}), "temp-tables-disk"),
        (mysql_look(grown={"aborted_connects_total": 500, "connects_total": 1000}), "aborted-connects"),
        (mysql_look(numbered=(Numbered(column="shop.t (id)", type="int(11)", used_percent=60.0),)), "number-near-end"),
        (mysql_look(tables=(TableState(name="shop.t", engine="InnoDB", bytes=10**8, free_bytes=2 * 10**8),)), "fragmentation"),
        (mysql_look(settings={"log_bin": "ON", "expire_logs_days": "0.000000", "binlog_expire_logs_seconds": "0"}), "binary-log-kept"),
        (mysql_look(settings={"innodb_flush_log_at_trx_commit": "2"}), "commits-not-flushed"),
        (mysql_look(figures={"tables_opened_per_second": 50.0, "tables_open_most": 400.0, "tables_open": 400.0}), "table-cache"),
        (mysql_look(grown={"slow_queries_total": 200, "queries_total": 2000}), "slow-queries"),
        (mysql_look(figures={"uptime_seconds": 8 * 86_400.0}, unused_indexes=(("shop.t", "by_day"),)), "unused-index"),
        (mysql_look(figures={"disk_used_percent": 97.0, "disk_free_bytes": 5.0}), "disk-used"),
        (mysql_look(down="mysql.unreachable: shop cannot be reached."), "unreachable"),
    ],
)  # fmt: skip
def test_what_is_seen_of_mariadb_gives_exactly_its_finding(look, rule):
    (finding,) = mysql_findings(look)
    assert finding.rule == rule
    assert finding.subject
    assert finding.what
    assert finding.why
    assert finding.instead


@pytest.mark.parametrize(
    "look",
    [
        mysql_look(),
        mysql_look(
            figures={"pool_hit_percent": 60.0, "pool_free_percent": 80.0}, grown={"pages_asked_total": 1e6}
        ),
        mysql_look(
            figures={"pool_hit_percent": 60.0, "pool_free_percent": 1.0}, grown={"pages_asked_total": 10}
        ),
        mysql_look(transactions=(Transaction(thread=5, seconds=2),)),
        mysql_look(window_seconds=86_400, grown={"deadlocks_total": 2}),
        mysql_look(figures={"uptime_seconds": 3600.0}, unused_indexes=(("shop.t", "by_day"),)),
        mysql_look(
            settings={
                "log_bin": "ON",
                "expire_logs_days": "10.000000",
                "binlog_expire_logs_seconds": "864000",
            }
        ),
    ],
)
def test_what_is_as_it_should_be_on_mariadb_gives_nothing(look):
    assert mysql_findings(look) == ()


def test_a_chain_of_three_names_its_root_and_all_behind_it():
    chain = (
        Transaction(thread=1, seconds=50, idle=True, state_seconds=20),
        Transaction(thread=2, seconds=40, blocked_by=(1,), blocked_seconds=30),
        Transaction(thread=3, seconds=30, blocked_by=(2,), blocked_seconds=20),
    )
    (finding,) = mysql_findings(mysql_look(transactions=chain))
    assert (finding.subject, finding.figures["waiting"]) == ("session 1", [2, 3])


# -- seeded: SQLite ------------------------------------------------------------------------------------------------------------------------


def make_sqlite(path, *statements):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


COUNT = "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {most}) "


def seeded_sqlite(path, trouble):
    make_sqlite(path, *CLEAN, *trouble)


@pytest.mark.parametrize(
    ("trouble", "rule", "subject"),
    [
        (["INSERT INTO orders VALUES (2, 99)"], "broken-references", "orders -> customers"),
        (["CREATE TABLE t (x INT REFERENCES orders (customer_id))", "INSERT INTO t VALUES (1)"], "mismatched-reference", "t"),
        (["CREATE TABLE t (x BLOB)", COUNT.format(most=3000) + "INSERT INTO t SELECT randomblob(5000) FROM s", "DELETE FROM t"], "free-pages", "shop"),
        (["CREATE TABLE t (x INT, y INT)", "CREATE INDEX i ON t (x)", COUNT.format(most=12000) + "INSERT INTO t SELECT n, n FROM s"], "statistics-missing", "t"),
        (["CREATE TABLE t (x INT, y INT)", "CREATE INDEX i ON t (x)", "INSERT INTO t VALUES (1, 1)", "ANALYZE", COUNT.format(most=12000) + "INSERT INTO t SELECT n, n FROM s"], "stale-statistics", "t"),
    ],
)  # fmt: skip
def test_seeded_trouble_of_sqlite_is_found_and_named(tmp_path, trouble, rule, subject):
    seeded_sqlite(tmp_path / "shop.db", trouble)
    with opened(tmp_path, shop={"kind": "sqlite", "path": "shop.db"}) as app:
        plan = check(app)
    assert rules(plan) == {(rule, subject)}
    assert CANARY not in plan.model_dump_json()


def test_a_reference_that_sqlite_will_not_check_hides_none_that_it_will(tmp_path):
    trouble = (
        "CREATE TABLE \"the 'odd'\" (x INT REFERENCES orders (customer_id))",
        "INSERT INTO orders VALUES (2, 99)",
    )
    seeded_sqlite(tmp_path / "shop.db", trouble)
    with opened(tmp_path, shop={"kind": "sqlite", "path": "shop.db"}) as app:
        plan = check(app)
    assert rules(plan) == {
        ("mismatched-reference", "the 'odd'"),
        ("broken-references", "orders -> customers"),
    }


def test_a_damaged_sqlite_file_is_found_by_its_own_check(tmp_path):
    path = tmp_path / "shop.db"
    make_sqlite(
        path,
        *CLEAN,
        "CREATE TABLE t (x TEXT)",
        "CREATE INDEX i ON t (x)",
        COUNT.format(most=2000) + f"INSERT INTO t SELECT '{CANARY}' || n FROM s",
    )
    with contextlib.closing(sqlite3.connect(path)) as connection:
        page, size = connection.execute(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE name = 'i'"
        ).fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : (page - 1) * size + 200] = bytes(200)
    path.write_bytes(content)
    with opened(tmp_path, shop={"kind": "sqlite", "path": "shop.db"}) as app:
        plan = check(app)
    (finding,) = plan.findings
    assert (finding.rule, finding.severity, plan.figures["health"]) == ("damaged", "critical", "degraded")
    assert CANARY not in plan.model_dump_json()


def test_a_large_log_beside_a_small_file_is_told():
    figures = {"wal_bytes": 100.0 * MEGABYTE, "file_bytes": 5.0 * MEGABYTE}
    (finding,) = sqlite_findings(SqliteLook(system="shop", kind="sqlite", figures=figures))
    assert finding.rule == "wal-large"


def test_small_tables_without_statistics_are_not_talked_about():
    small = SqliteTable(name="t", rows=500, counted_rows=None, indexes=2)
    assert (
        sqlite_findings(
            SqliteLook(system="shop", kind="sqlite", tables=(small,), figures={"file_bytes": 1.0})
        )
        == ()
    )


# -- seeded: DuckDB ------------------------------------------------------------------------------------------------------------------------


def make_duckdb(path, *statements):
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_damaged_duckdb_file_is_found_by_its_checksums(tmp_path):
    path = tmp_path / "shop.duckdb"
    make_duckdb(
        path,
        *CLEAN,
        f"CREATE TABLE t AS SELECT '{CANARY}' || hash(n) AS x FROM range(400000) r(n)",
        "CHECKPOINT",
    )
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 3, len(content) // 3 + 4096):
        content[place] ^= 0xFF
    path.write_bytes(content)
    with opened(tmp_path, shop={"kind": "duckdb", "path": "shop.duckdb"}) as app:
        plan = check(app)
    assert rules(plan) == {("damaged", "main.t")}
    assert CANARY not in plan.model_dump_json()


def test_free_blocks_of_duckdb_are_told(tmp_path):
    path = tmp_path / "shop.duckdb"
    make_duckdb(
        path,
        *CLEAN,
        "CREATE TABLE t AS SELECT hash(n) AS a, hash(n + 1) AS b, hash(n + 2) AS c FROM range(4000000) r(n)",
        "CHECKPOINT",
        "DROP TABLE t",
        "CHECKPOINT",
    )
    with opened(tmp_path, shop={"kind": "duckdb", "path": "shop.duckdb"}) as app:
        plan = check(app)
    assert rules(plan) == {("free-blocks", "shop")}


def test_a_log_that_a_writer_left_is_told():
    figures = {"wal_bytes": 40.0 * MEGABYTE, "file_bytes": 5.0 * MEGABYTE}
    (finding,) = duckdb_findings(DuckdbLook(system="shop", kind="duckdb", figures=figures))
    assert finding.rule == "wal-left"


def test_a_log_beside_the_file_is_measured(tmp_path):
    path = tmp_path / "live.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (x INT)")
        connection.execute("INSERT INTO t VALUES (1)")
        shutil.copy(path, tmp_path / "shop.duckdb")
        shutil.copy(f"{path}.wal", tmp_path / "shop.duckdb.wal")
    with opened(tmp_path, shop={"kind": "duckdb", "path": "shop.duckdb"}) as app:
        plan = check(app)
    assert (plan.findings, plan.figures["wal_bytes"] > 0) == ((), True)
    assert plan.figures["tables"] == 1


def test_a_table_in_many_small_row_groups_is_told():
    many = DuckdbTable(name="main.t", rows=5000, row_groups=50, uncompressed_percent=0.0)
    (finding,) = duckdb_findings(
        DuckdbLook(system="shop", kind="duckdb", tables=(many,), figures={"file_bytes": 1.0})
    )
    assert (finding.rule, finding.subject) == ("small-row-groups", "main.t")


# -- down, and what an engine cannot ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"kind": "mysql", "url": "mysql://u@127.0.0.1:1/d"}, "mysql.unreachable"),
        ({"kind": "sqlite", "path": "nowhere.db"}, "sqlite.missing"),
        ({"kind": "sqlite", "path": "garbage"}, "sqlite.not-a-database"),
        ({"kind": "duckdb", "path": "nowhere.duckdb"}, "duckdb.missing"),
        ({"kind": "duckdb", "path": "garbage"}, "duckdb.not-a-database"),
    ],
)
def test_a_database_that_cannot_be_looked_at_is_down_and_says_why(tmp_path, entry, code):
    (tmp_path / "garbage").write_bytes(b"garbage" * 2000)
    with opened(tmp_path, shop=entry) as app:
        plan = check(app)
    assert plan.figures["health"] == "down"
    assert [finding.rule for finding in plan.findings] == ["unreachable"]
    assert code in plan.summary


def test_what_an_engine_cannot_do_is_said_by_every_operation(tmp_path):
    make_sqlite(tmp_path / "shop.db", *CLEAN)
    make_duckdb(tmp_path / "lake.duckdb", *CLEAN)
    systems = {
        "shop": {"kind": "sqlite", "path": "shop.db"},
        "lake": {"kind": "duckdb", "path": "lake.duckdb"},
        "web": {"kind": "mysql", "url": "mysql://u@127.0.0.1:1/d"},
        "app": {"kind": "postgresql", "url": "postgresql://u@127.0.0.1:1/d"},
        "app-pool": {"kind": "pgbouncer", "database": "app"},
    }
    told = 0
    with opened(tmp_path, **systems) as app:
        for name in app.catalogue.names():
            operation = app.catalogue.get(name)
            for system, entry in systems.items():
                if operation.goes_to and entry["kind"] not in operation.goes_to:
                    made = operation.model_construct(system=system)
                    with pytest.raises(BadInput) as error:
                        app.preview(made)
                    assert error.value.code == "engine.cannot"
                    assert name in error.value.what
                    assert f"{system} is {entry['kind']}" in error.value.what
                    assert error.value.remedy
                    told += 1
    assert told > 60


def test_the_command_line_says_it_with_exit_status_2(tmp_path, capsys):
    from datareeve.interfaces import cli  # noqa: PLC0415

    make_sqlite(tmp_path / "shop.db", *CLEAN)
    with opened(tmp_path, shop={"kind": "sqlite", "path": "shop.db"}):
        pass
    assert (
        cli.main(["run", "databases.back-up", "--system", "shop", "--project", str(tmp_path), "--json"]) == 2
    )
    told = capsys.readouterr()
    assert "databases.back-up works on postgresql; shop is sqlite." in told.out + told.err
    assert ".backup" in told.out + told.err
