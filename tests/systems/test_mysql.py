"""MariaDB through its adapter: only reading, bounded, errors without values. A real server from Debian."""

from __future__ import annotations

import contextlib
import sys

import pytest

import servers
from datareeve.core.errors import BadInput, Failed, Refused, Unreachable
from datareeve.systems import mysql, mysql_text

pytestmark = pytest.mark.system
CANARY = "canary7f3a"
ROWS = (
    "CREATE TABLE people (id INT PRIMARY KEY, email VARCHAR(80) UNIQUE) ENGINE=InnoDB",
    f"INSERT INTO people SELECT seq, CONCAT(seq, '@{CANARY}.example') FROM seq_1_to_100",
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory, mariadb):
    with mariadb.database(*ROWS) as url:
        systems = servers.elsewhere(tmp_path_factory.mktemp("shop"), shop={"kind": "mysql", "url": url})
        yield systems["shop"]
        systems.close()


@pytest.fixture(scope="module")
def as_root(tmp_path_factory, mariadb):
    """The same with an account that may do everything: then only the READ ONLY transaction and our own rules are left."""
    with mariadb.database(*ROWS) as url:
        systems = servers.elsewhere(
            tmp_path_factory.mktemp("root"), shop={"kind": "mysql", "url": url.replace("looker", "root")}
        )
        yield systems["shop"]
        systems.close()


def test_it_says_what_server_it_is(shop):
    about = shop.read("server")
    assert about["engine"] == "MariaDB"
    assert about["version_num"][0] >= 10
    assert about["here"]
    assert about["statistics"]
    assert shop.identity().startswith("mysql:")


def test_a_query_gives_rows_a_row_a_column_or_a_scalar(shop):
    sql = "SELECT id, id * 2.5 AS more FROM people WHERE id <= %(most)s ORDER BY id"
    assert shop.read("query", sql=sql, parameters={"most": 2}) == [
        {"id": 1, "more": 2.5},
        {"id": 2, "more": 5},
    ]
    assert shop.read("query", sql=sql, parameters={"most": 2}, shape="row") == {"id": 1, "more": 2.5}
    assert shop.read("query", sql=sql, parameters={"most": 2}, shape="column") == [1, 2]
    assert shop.read("query", sql=sql, parameters={"most": 0}, shape="scalar") is None


@pytest.mark.parametrize(
    "hostile",
    [
        "INSERT INTO people VALUES (1000, 'x')",
        "DELETE FROM people",
        "DROP TABLE people",
        "SET GLOBAL max_connections = 5",
        "SET SESSION TRANSACTION READ WRITE",
        "COMMIT",
        "CALL sys.ps_setup_enable_consumer('x')",
        "DO SLEEP(9)",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE people",
        "SELECT * FROM people INTO OUTFILE '/tmp/datareeve-out'",
        "SELECT * FROM people INTO DUMPFILE '/tmp/datareeve-out'",
        "SELECT 1 /*! INTO OUTFILE '/tmp/datareeve-out' */",
        "SELECT 1 /*!50000 INTO OUTFILE '/tmp/datareeve-out' */",
        "SELECT 1 /*M!100000 INTO OUTFILE '/tmp/datareeve-out' */",
        "SELECT 1 --1 INTO OUTFILE '/tmp/datareeve-out'\n",
        "SELECT 'a\\' INTO OUTFILE ', 'b' INTO OUTFILE '/tmp/datareeve-out'",
        "SELECT LOAD_FILE('/etc/passwd')",
        "SELECT load_file /* x */ ('/etc/passwd')",
        "SELECT SLEEP(60)",
        "SELECT `sleep`(60)",
        "SELECT BENCHMARK(1000000000, MD5('x'))",
        "SELECT GET_LOCK('x', 60)",
        "SELECT * FROM people FOR UPDATE",
        "SELECT * FROM people LOCK IN SHARE MODE",
        "SELECT @x := 5",
        "ANALYZE UPDATE people SET email = NULL",
        "EXPLAIN ANALYZE DELETE FROM people",
        "HANDLER people OPEN",
        "WITH x AS (SELECT 1) DELETE FROM people",
        "SELECT 1; DROP TABLE people",
        "",
        "(((",
    ],
)
def test_what_is_not_only_reading_is_refused_even_of_an_account_that_may(as_root, tmp_path, hostile):
    with pytest.raises((Refused, BadInput)) as refused:
        as_root.read("query", sql=hostile, timeout_seconds=2)
    assert refused.value.exit_status in {2, 3}
    assert (
        as_root.read("query", sql="SELECT COUNT(*) FROM people WHERE email IS NOT NULL", shape="scalar")
        == 100
    )


@pytest.mark.parametrize(
    "harmless",
    [
        "SELECT 'INSERT INTO; SLEEP(1)' AS said",
        'SELECT "it\'s; /* not */ a comment" AS said',
        "SELECT id FROM people -- INTO OUTFILE\n LIMIT 1",
        "SELECT id # ; DROP TABLE people\n FROM people LIMIT 1",
        "(SELECT 1) UNION (SELECT 2);",
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT * FROM n",
        "SHOW GLOBAL STATUS LIKE 'Uptime'",
        "SELECT `id` AS `into` FROM people LIMIT 1",
    ],
)
def test_what_only_looks_dangerous_is_read(shop, harmless):
    assert shop.read("query", sql=harmless)


def test_the_servers_own_transaction_refuses_a_function_that_writes(tmp_path, mariadb):
    wrote = "CREATE FUNCTION wrote() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO people VALUES (999, 'x'); RETURN 1; END"
    with mariadb.database(*ROWS, wrote) as url:
        systems = servers.elsewhere(tmp_path, shop={"kind": "mysql", "url": url.replace("looker", "root")})
        with pytest.raises(Refused, match="READ ONLY"):
            systems["shop"].read("query", sql="SELECT wrote()")
        assert systems["shop"].read("query", sql="SELECT COUNT(*) FROM people", shape="scalar") == 100
        systems.close()


def test_a_statement_that_takes_too_long_is_ended_on_the_server(shop, mariadb):
    long = "SELECT COUNT(*) FROM people a, people b, people c, people d, people e"
    with pytest.raises(Failed) as late:
        shop.read("query", sql=long, timeout_seconds=0.3)
    assert late.value.code == "mysql.timeout"
    with contextlib.closing(mariadb.connect()) as admin, admin.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT COUNT(*) FROM people a%'"
        )
        assert cursor.fetchone()[0] <= 1  # this very question is the one
    assert shop.read("query", sql="SELECT 1", shape="scalar") == 1


def test_a_connection_that_the_server_ended_is_made_again(shop, mariadb):
    thread = shop.read("query", sql="SELECT CONNECTION_ID()", shape="scalar")
    with contextlib.closing(mariadb.connect()) as admin, admin.cursor() as cursor:
        cursor.execute(f"KILL {thread}")
    with pytest.raises(Unreachable):
        shop.read("query", sql="SELECT 1")
    assert shop.read("query", sql="SELECT 1", shape="scalar") == 1


def test_a_larger_answer_than_the_bound_is_an_error_not_a_cut(shop):
    with pytest.raises(BadInput, match="100,000 rows"):
        shop.read("query", sql="SELECT a.seq FROM seq_1_to_400 a, seq_1_to_400 b")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("mysql://nobody-here@127.0.0.1:{port}/{db}", "mysql.login"),
        ("mysql://locked@127.0.0.1:{port}/{db}", "mysql.login"),
        ("mysql://looker@127.0.0.1:{port}/not_there", "mysql.database"),
        ("mysql://looker@127.0.0.1:1/x", "mysql.unreachable"),
    ],
)
def test_what_keeps_us_out_is_said(tmp_path, mariadb, url, code):
    with mariadb.database() as real:
        given = url.format(port=mariadb.port, db=real.rsplit("/", 1)[1])
        systems = servers.elsewhere(tmp_path, shop={"kind": "mysql", "url": given})
        with pytest.raises(Unreachable) as error:
            systems["shop"].read("server")
    assert error.value.code == code
    assert error.value.remedy


def test_a_wrong_password_is_not_repeated(tmp_path, mariadb, monkeypatch):
    monkeypatch.setenv("WRONG", "hunter2")
    url = f"mysql://locked@127.0.0.1:{mariadb.port}/mysql"
    systems = servers.elsewhere(tmp_path, shop={"kind": "mysql", "url": url, "password": "env:WRONG"})
    with pytest.raises(Unreachable) as error:
        systems["shop"].read("server")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        f"SELECT * FROM people WHERE email = '{CANARY}' AND",
        f"SELECT CAST('{CANARY}' AS DATE) + EXP(9999) FROM people",
        f"SELECT (SELECT email FROM people) = '{CANARY}'",
        "SELECT nope FROM people",
        "SELECT * FROM nowhere",
    ],
)
def test_no_error_repeats_a_value(shop, wrong):
    with pytest.raises((Failed, BadInput)) as error:
        shop.read("query", sql=wrong)
    assert CANARY not in str(error.value)


def test_a_duplicate_key_is_told_without_the_value(as_root):
    import pymysql  # noqa: PLC0415

    connection = as_root.connect()
    with (
        contextlib.closing(connection),
        connection.cursor() as cursor,
        pytest.raises(pymysql.IntegrityError) as raised,
    ):
        cursor.execute(f"INSERT INTO people VALUES (500, '1@{CANARY}.example')")
    assert CANARY in str(raised.value)
    told = mysql.translate(raised.value, "shop")
    assert (told.code, told.what) == ("mysql.1062", "shop: error 1062 (dup entry).")


def test_several_statements_are_not_even_possible_on_the_wire(as_root):
    import pymysql  # noqa: PLC0415

    connection = as_root.connect()
    with (
        contextlib.closing(connection),
        connection.cursor() as cursor,
        pytest.raises(pymysql.ProgrammingError),
    ):
        cursor.execute("SELECT 1; SELECT 2")


def test_a_missing_driver_is_said_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymysql", None)
    systems = servers.elsewhere(tmp_path, shop={"kind": "mysql", "url": "mysql://u@h/d"})
    with pytest.raises(BadInput, match="PyMySQL") as error:
        systems["shop"].read("server")
    assert error.value.remedy == "pip install 'datareeve[mysql]'"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://u:secret@h/d", "holds a password"),
        ("mysql://u@h", "names no database"),
        ("postgresql://u@h/d", "starts with mysql://"),
    ],
)
def test_an_estate_with_a_wrong_url_is_refused(tmp_path, url, problem):
    with pytest.raises(ValueError, match=problem):
        servers.elsewhere(tmp_path, shop={"kind": "mysql", "url": url})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "SELECT * FROM t WHERE a = 'it''s' AND b = \"x\\\"y\" AND c IN (1, 2,3)",
            "SELECT * FROM t WHERE a = ? AND b = ? AND c IN (?)",
        ),
        ("INSERT INTO t VALUES (1,'a'),(2,'b')", "INSERT INTO t VALUES (? ,? )"),
        ("SELECT `a'b` FROM t # it's\n WHERE x=%s -- 'y'\n", "SELECT `a'b` FROM t WHERE x=?"),
        ("SELECT _utf8mb4'x', x'ff', 0xff, 1.5e3", "SELECT ? , ? , ? , ?"),
    ],
)
def test_a_statement_is_shown_without_its_values(text, shown):
    assert mysql_text.without_values(text) == shown


@pytest.mark.parametrize("version", ["5.5.5-10.11.14-MariaDB-0+deb12u2", "10.11.14-MariaDB"])
def test_mariadb_is_known_by_its_version(version):
    assert mysql._engine(version) == {"engine": "MariaDB", "version_num": [10, 11, 14]}
    assert mysql._engine("8.0.36-0ubuntu0") == {"engine": "MySQL", "version_num": [8, 0, 36]}
