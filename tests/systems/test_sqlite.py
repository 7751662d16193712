"""SQLite through its adapter: only reading, bounded, and what is wrong with a file is said."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import pytest

import servers
from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused, Unreachable

CANARY = "canary7f3a"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sh op?.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT UNIQUE)")
        connection.executemany(
            "INSERT INTO people VALUES (?, ?)", [(n, f"{n}@{CANARY}") for n in range(1, 101)]
        )
        connection.commit()
    return path


@pytest.fixture
def shop(tmp_path, file):
    return servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": file.name})["shop"]


def read(system, sql, **more):
    return system.read("query", sql=sql, **more)


def test_a_query_gives_rows_a_row_a_column_or_a_scalar(shop):
    sql = "SELECT id, id * 2.5 AS more FROM people WHERE id <= :most ORDER BY id"
    assert read(shop, sql, parameters={"most": 2}) == [{"id": 1, "more": 2.5}, {"id": 2, "more": 5.0}]
    assert read(shop, sql, parameters={"most": 2}, shape="row") == {"id": 1, "more": 2.5}
    assert read(shop, sql, parameters={"most": 2}, shape="column") == [1, 2]
    assert read(shop, "SELECT id FROM people WHERE id > ?", parameters=[1000], shape="scalar") is None


@pytest.mark.parametrize(
    "hostile",
    [
        "INSERT INTO people VALUES (1000, 'x')",
        "DELETE FROM people",
        "CREATE TEMP TABLE t (x)",
        "DROP TABLE people",
        "ATTACH '/tmp/datareeve-attached.db' AS other",
        "VACUUM INTO '/tmp/datareeve-attached.db'",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version = 7",
        "PRAGMA journal_mode = WAL",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA optimize",
        "UPDATE sqlite_master SET sql = 'x'",
        "SELECT load_extension('/tmp/evil.so')",
        "SELECT fts3_tokenizer('simple')",
        "BEGIN EXCLUSIVE",
        "REINDEX",
        "ANALYZE",
        "SELECT 1; DELETE FROM people",
        "WITH x AS (SELECT 1) DELETE FROM people",
        "EXPLAIN DELETE FROM people",
    ],
)
def test_what_is_not_only_reading_is_refused_by_the_engine(shop, file, hostile):
    before = file.read_bytes()
    with pytest.raises(DatareeveError) as refused:
        read(shop, hostile)
    assert isinstance(refused.value, (Refused, BadInput, Failed))
    assert file.read_bytes() == before


def test_a_statement_without_end_is_interrupted(shop):
    endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    with pytest.raises(Failed) as late:
        read(shop, endless, timeout_seconds=0.2)
    assert late.value.code == "sqlite.timeout"


def test_a_value_too_large_for_memory_is_not_made(shop):
    with pytest.raises(Failed):
        read(shop, "SELECT zeroblob(1000000000)")


def test_a_larger_answer_than_the_bound_is_an_error_not_a_cut(shop):
    with pytest.raises(BadInput, match="100,000 rows"):
        read(shop, "SELECT a.id FROM people a, people b, people c")


def test_text_that_is_not_utf8_is_read_as_far_as_it_goes(shop, file):
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO people VALUES (101, CAST(x'61ff62' AS TEXT))")
        connection.commit()
    assert read(shop, "SELECT email FROM people WHERE id = 101", shape="scalar") == "a\ufffdb"


def test_a_missing_file_is_said(tmp_path):
    shop = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "nowhere.db"})["shop"]
    for action in ("server", "identity"):
        with pytest.raises(Unreachable) as error:
            shop.read("server") if action == "server" else shop.identity()
        assert error.value.code == "sqlite.missing"
    assert not (tmp_path / "nowhere.db").exists()


@pytest.mark.parametrize("content", [b"not a database" * 100, b"\x93\x01" * 4096])
def test_a_file_that_is_garbage_or_encrypted_is_said(tmp_path, content):
    (tmp_path / "odd.db").write_bytes(content)
    shop = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "odd.db"})["shop"]
    with pytest.raises(Unreachable, match="encrypted") as error:
        read(shop, "SELECT * FROM sqlite_master")
    assert error.value.code == "sqlite.not-a-database"


def test_a_file_locked_by_a_writer_is_said(shop, file, monkeypatch):
    monkeypatch.setattr("datareeve.systems.sqlite.BUSY_SECONDS", 0.05)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unreachable) as error:
            read(shop, "SELECT count(*) FROM people")
        writer.execute("ROLLBACK")
    assert error.value.code == "sqlite.locked"


def test_a_database_in_wal_mode_is_read_while_it_is_written(shop, file):
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO people VALUES (101, 'x')")
        assert read(shop, "SELECT count(*) FROM people", shape="scalar") == 100
        writer.execute("COMMIT")
        assert read(shop, "SELECT count(*) FROM people", shape="scalar") == 101
        assert shop.read("server")["wal_bytes"] > 0


def test_a_journal_that_a_dead_writer_left_is_said(tmp_path, shop, file):
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN")
        writer.execute("UPDATE people SET email = hex(randomblob(400)) || id")
        shutil.copy(file, tmp_path / "dead.db")
        shutil.copy(f"{file}-journal", tmp_path / "dead.db-journal")
    dead = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "dead.db"})["shop"]
    with pytest.raises(Unreachable) as error:
        read(dead, "SELECT count(*) FROM people")
    assert error.value.code == "sqlite.needs-recovery"


@pytest.mark.parametrize(
    "wrong",
    [
        f"SELECT * FROM people WHERE email = '{CANARY}' AND",
        "SELECT nope FROM people",
        f"SELECT json('{CANARY}')",
        "SELECT abs(-9223372036854775808)",
    ],
)
def test_no_error_repeats_a_value(shop, wrong):
    with pytest.raises(DatareeveError) as error:
        read(shop, wrong)
    assert CANARY not in str(error.value)


def test_one_file_is_one_system_whatever_it_is_called(tmp_path, shop, file):
    (tmp_path / "link.db").symlink_to(file)
    other = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "link.db"})["shop"]
    assert other.identity() == shop.identity()
