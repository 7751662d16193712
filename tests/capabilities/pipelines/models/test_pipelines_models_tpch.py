"""The 22 queries of TPC-H: eighteen as they are, four as their refusal says to write them; all equal on DuckDB and PostgreSQL."""

from __future__ import annotations

import pytest

import pipelines_models_rig as rig
from datareeve.systems.mover import Mover, literal

INDEXES = (("lineitem", "l_orderkey"), ("lineitem", "l_partkey"), ("lineitem", "l_suppkey"), ("partsupp", "ps_partkey"), ("orders", "o_custkey"), ("orders", "o_orderkey"), ("part", "p_partkey"), ("customer", "c_custkey"), ("supplier", "s_suppkey"))  # fmt: skip


@pytest.fixture(scope="module")
def world(pg18):
    with Mover() as mover, pg18.database() as url:
        made = rig.tpch(mover)
        mover.load("postgres_scanner")
        mover.execute(f"ATTACH {literal(url)} AS pg (TYPE postgres)")
        for table in made.columns:
            mover.execute(f"CREATE TABLE pg.{table} AS FROM {table}")
        mover.execute("DETACH pg")
        post = rig.Post(url, 0)
        for table, column in INDEXES:  # its subqueries look up again and again
            post.connection.execute(f"CREATE INDEX ON {table} ({column})")
        post.connection.execute("ANALYZE")
        yield made, mover, post
        post.connection.close()


@pytest.mark.parametrize("number", range(1, 23))
def test_a_query_is_equal_or_says_what_to_write(world, number):
    made, mover, post = world
    refused = rig.TPCH_MENDS.get(number, ([], {}))[0]
    sql = {}
    for engine in ("duckdb", "postgres", "spark"):
        assert rig.compiled("duckdb", made.queries[number], engine, made.columns, rig.TPCH_KEYS)[1] == refused
        sql[engine], codes = rig.compiled("duckdb", made.mended[number], engine, made.columns, rig.TPCH_KEYS)
        assert codes == []
    found = rig.fetched(mover.execute(sql["duckdb"]))
    assert rig.multiset(*post.ask(sql["postgres"])) == rig.multiset(*found)
    assert rig.multiset(*found, digits=14) == rig.multiset(
        *rig.fetched(mover.execute(made.mended[number])), digits=14
    )


def test_four_say_what_to_write_and_eighteen_are_taken_as_they_are():
    assert sorted(rig.TPCH_MENDS) == [2, 3, 10, 18]
