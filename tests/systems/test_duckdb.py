"""DuckDB through its adapter: only reading, sealed, let go after each look."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import pytest

import servers
from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused, Unreachable

CANARY = "canary7f3a"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email VARCHAR UNIQUE)")
        connection.execute(f"INSERT INTO people SELECT n, n || '@{CANARY}' FROM range(1, 101) t(n)")
    return path


@pytest.fixture
def shop(tmp_path, file):
    return servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": file.name})["shop"]


def read(system, sql, **more):
    return system.read("query", sql=sql, **more)


def test_a_query_gives_rows_a_row_a_column_or_a_scalar(shop):
    sql = "SELECT id, id * 2.5 AS more FROM people WHERE id <= $most ORDER BY id"
    assert read(shop, sql, parameters={"most": 2}) == [{"id": 1, "more": 2.5}, {"id": 2, "more": 5}]
    assert read(shop, sql, parameters={"most": 2}, shape="row") == {"id": 1, "more": 2.5}
    assert read(shop, sql, parameters={"most": 2}, shape="column") == [1, 2]
    assert read(shop, "SELECT id FROM people WHERE id > ?", parameters=[1000], shape="scalar") is None


@pytest.mark.parametrize(
    "hostile",
    [
        "INSERT INTO people VALUES (1000, 'x')",
        "CREATE TEMP TABLE t (x INT)",
        "DROP TABLE people",
        "COPY people TO '/tmp/datareeve-out.csv'",
        "COPY (SELECT 1) TO '/tmp/datareeve-out.csv'",
        "EXPORT DATABASE '/tmp/datareeve-out'",
        "ATTACH '/tmp/datareeve-other.duckdb' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA enable_profiling",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT 1; DROP TABLE people",
        "CHECKPOINT",
        "EXPLAIN ANALYZE SELECT 1",
        "CALL force_checkpoint()",
        "",
    ],
)
def test_what_is_not_only_reading_the_file_is_refused(shop, file, hostile):
    before = file.read_bytes()
    with pytest.raises((Refused, BadInput)):
        read(shop, hostile)
    assert file.read_bytes() == before


def test_a_file_named_as_a_table_is_not_there(shop):
    with pytest.raises(Failed, match="no table"):
        read(shop, "SELECT * FROM '/etc/passwd'")


def test_a_statement_without_end_is_interrupted(shop):
    endless = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3"
    with pytest.raises(Failed) as late:
        read(shop, endless, timeout_seconds=0.3)
    assert late.value.code == "duckdb.timeout"
    assert read(shop, "SELECT 1", shape="scalar") == 1


def test_the_file_is_let_go_so_that_another_process_can_write_it(shop, file):
    read(shop, "SELECT count(*) FROM people")
    code = f"import duckdb; duckdb.connect({str(file)!r}).execute('INSERT INTO people VALUES (101, NULL)')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert read(shop, "SELECT count(*) FROM people", shape="scalar") == 101


def test_a_file_that_another_process_writes_is_said_with_its_process(shop, file):
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(file)!r}); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"open\n"
        with pytest.raises(Unreachable) as error:
            read(shop, "SELECT 1")
        writer.stdin.close()
    assert error.value.code == "duckdb.locked"
    assert str(writer.pid) in error.value.what


@pytest.mark.parametrize("content", [b"not a database" * 1000, b"", b"SQLite format 3\0" + bytes(4096)])
def test_a_file_that_is_not_one_is_said(tmp_path, content):
    (tmp_path / "odd.duckdb").write_bytes(content)
    shop = servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": "odd.duckdb"})["shop"]
    with pytest.raises(Unreachable) as error:
        read(shop, "SELECT 1")
    assert error.value.code in {"duckdb.not-a-database", "duckdb.unreadable"}


def test_an_encrypted_file_is_said(tmp_path):
    with duckdb.connect() as connection:
        connection.execute("SET force_mbedtls_unsafe = 'true'")
        connection.execute(f"ATTACH '{tmp_path / 'secret.duckdb'}' AS s (ENCRYPTION_KEY 'hunter2')")
        connection.execute("CREATE TABLE s.t (x INT)")
    shop = servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": "secret.duckdb"})["shop"]
    with pytest.raises(Unreachable) as error:
        read(shop, "SELECT 1")
    assert error.value.code == "duckdb.encrypted"


def test_a_missing_file_is_said_and_not_made(tmp_path):
    shop = servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": "nowhere.duckdb"})["shop"]
    with pytest.raises(Unreachable) as error:
        read(shop, "SELECT 1")
    assert error.value.code == "duckdb.missing"
    assert not (tmp_path / "nowhere.duckdb").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        f"SELECT * FROM people WHERE email = '{CANARY}' AND",
        f"SELECT '{CANARY}'::INTEGER",
        "SELECT email::INTEGER FROM people",
        "SELECT error(email) FROM people",
        "SELECT nope FROM people",
        "SELECT * FROM nowhere",
    ],
)
def test_no_error_repeats_a_value(shop, wrong):
    with pytest.raises(DatareeveError) as error:
        read(shop, wrong)
    assert CANARY not in str(error.value)


def test_a_missing_driver_is_said_with_what_installs_it(shop, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(BadInput) as error:
        read(shop, "SELECT 1")
    assert error.value.remedy == "pip install 'datareeve[duckdb]'"
