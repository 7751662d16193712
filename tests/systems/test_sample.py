import contextlib

import psycopg
import pytest

import servers
import shop_data
from datareeve.core.errors import Failed
from datareeve.systems.pg_copy import copy_of
from datareeve.systems.pg_sample import Table, shares

ORPHANS = """
SELECT format('SELECT count(*) FROM %s c WHERE %s AND NOT EXISTS (SELECT 1 FROM %s p WHERE %s)', conrelid::regclass,
         (SELECT string_agg(format('c.%I IS NOT NULL', attname), ' AND ') FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)),
         confrelid::regclass,
         (SELECT string_agg(format('p.%I = c.%I', p.attname, c.attname), ' AND ') FROM unnest(conkey, confkey) k(c, p)
            JOIN pg_attribute c ON c.attrelid = conrelid AND c.attnum = k.c JOIN pg_attribute p ON p.attrelid = confrelid AND p.attnum = k.p)) AS sql
  FROM pg_constraint WHERE contype = 'f' AND conparentid = 0
"""


@contextlib.contextmanager
def sample(tmp_path, url, max_bytes=70_000_000, **bounds):
    registry = servers.registry(tmp_path, url)
    try:
        with copy_of(registry["app"], tmp_path, max_bytes=max_bytes, **bounds) as copy:
            yield copy
    finally:
        registry.close()


def rows(system, table):
    return system.query(f"SELECT count(*) FROM {table}", shape="scalar")


def orphans(system):
    return sum(system.query(sql, shape="scalar") for sql in system.query(ORPHANS, shape="column"))


@pytest.fixture(scope="module")
def large(pg18):
    """A shop that does not fit in 64 MB, with a partitioned log and keys between tables that refer to each other."""
    with pg18.database(*shop_data.SCHEMA, *shop_data.rows(10_000), *shop_data.BULK, *MORE) as url:
        yield url


MORE = (
    (
        "CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY, day date, orders int REFERENCES orders, twice int GENERATED ALWAYS AS (orders * 2)"
        " STORED, filler text DEFAULT repeat('x', 200), PRIMARY KEY (id, day)) PARTITION BY RANGE (day)"
    ),
    "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
    "CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')",
    "INSERT INTO log (day, orders) SELECT date '2024-01-01' + n % 59, 1 + n % 10000 FROM generate_series(1, 50000) n",
    "CREATE TABLE remark (id serial PRIMARY KEY, log bigint, day date, FOREIGN KEY (log, day) REFERENCES log)",
    "INSERT INTO remark (log, day) SELECT id, day FROM log WHERE id % 50 = 0",
    "CREATE MATERIALIZED VIEW busy AS SELECT customer, count(*) FROM orders GROUP BY customer",
    "ANALYZE",
)


def test_every_row_that_a_row_refers_to_is_there(large, tmp_path):
    with sample(tmp_path, large) as copy:
        assert copy.read("copy_kind") == "sample"
        assert orphans(copy) == 0
        assert (
            copy.query(
                "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated", shape="scalar"
            )
            == 0
        )
        assert (
            copy.query(
                "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0", shape="scalar"
            )
            == 7
        )
        taken = {
            table: rows(copy, table) for table in ("line", "orders", "log", "remark", "customer", "busy")
        }
        assert 0 < taken["line"] < 0.7 * 40_000
        assert 0 < taken["log"] < 50_000
        assert taken["remark"] == 1000  # small: whole, with all the log that it refers to
        assert taken["busy"] > 0
        assert copy.query("SELECT pg_database_size(current_database())", shape="scalar") <= 70_000_000
        assert copy.query("SELECT last_value FROM remark_id_seq", shape="scalar") == 1000
        assert "it holds a part of the rows, and what they refer to (" in copy.differs
        assert "public.line " in copy.differs


def test_the_same_rows_come_again(large, tmp_path):
    found = []
    for _ in range(2):
        with sample(tmp_path, large) as copy:
            found.append(
                copy.query(
                    "SELECT md5(string_agg(orders || ',' || number, ';' ORDER BY orders, number)) FROM line",
                    shape="scalar",
                )
            )
        with psycopg.connect(large, autocommit=True) as connection:
            connection.execute("VACUUM line")  # as autovacuum does, whenever it comes
    assert found[0] == found[1]


def test_the_small_come_whole_and_the_large_in_equal_shares():
    tables = [
        Table("s", name, size, 10, 100.0, ["a"])
        for name, size in (("a", 5_000), ("b", 50_000_000), ("c", 150_000_000))
    ]
    taken = shares(tables, 100_000_000)
    assert taken["s", "a"] == 1.0
    assert taken["s", "b"] == taken["s", "c"] == pytest.approx(0.175, rel=0.001)


def test_a_share_too_small_to_be_of_use_is_refused():
    with pytest.raises(Failed) as refused:
        shares([Table("s", "huge", 10**13, 10**9, 1e10, ["a"])], 64_000_000)
    assert refused.value.code == "copy.too-large"


def test_rows_that_refer_to_nothing_do_not_keep_it_from_ending(pg18, tmp_path):
    statements = (
        *shop_data.SCHEMA[:1],
        "CREATE TABLE sale (id int PRIMARY KEY, customer int, filler text)",
        "INSERT INTO sale SELECT n, n, repeat(md5(n::text), 20) FROM generate_series(1, 100000) n",
        "INSERT INTO customer SELECT n, 'c' FROM generate_series(1, 50000) n",
        "ALTER TABLE sale ADD FOREIGN KEY (customer) REFERENCES customer NOT VALID",
        "ANALYZE",
    )
    with pg18.database(*statements) as url, sample(tmp_path, url) as copy:
        assert copy.read("copy_kind") == "sample"
        assert orphans(copy) == copy.query("SELECT count(*) FROM sale WHERE customer > 50000", shape="scalar")
