"""Queries over everything that engines are known to differ in: equal on DuckDB and PostgreSQL as multisets, or refused by name."""

from __future__ import annotations

import pytest

import pipelines_models_rig as rig


@pytest.fixture(scope="module", params=[1, 2, 3])
def engines(request, pg18):
    duck = rig.Duck(request.param)
    with pg18.database() as url:
        post = rig.Post(url, request.param)
        yield {"duckdb": duck, "postgres": post}
        post.connection.close()
    duck.connection.close()


@pytest.mark.parametrize(("query", "code"), rig.DUCKDB)
def test_what_is_written_for_duckdb_is_the_same_on_postgresql_or_is_refused(engines, query, code):
    asked = {engine: rig.compiled("duckdb", query, engine) for engine in ("duckdb", "postgres", "spark")}
    assert {tuple(codes) for _, codes in asked.values()} == {(code,) if code else ()}
    if code:
        return
    truth = rig.multiset(*engines["duckdb"].ask(query), digits=14)
    found = {engine: engines[engine].ask(asked[engine][0]) for engine in engines}
    assert rig.multiset(*found["duckdb"], digits=14) == truth
    assert rig.multiset(*found["postgres"]) == rig.multiset(*found["duckdb"])
    assert sorted(found["postgres"][0]) == sorted(found["duckdb"][0])


@pytest.mark.parametrize(("query", "code"), rig.POSTGRES)
def test_what_is_written_for_postgresql_is_the_same_on_duckdb_or_is_refused(engines, query, code):
    sql, codes = rig.compiled("postgres", query, "duckdb")
    assert codes == ([code] if code else [])
    if code:
        return
    truth = rig.multiset(*engines["postgres"].ask(query))
    assert rig.multiset(*engines["duckdb"].ask(sql)) == truth
    assert rig.multiset(*engines["postgres"].ask(rig.compiled("postgres", query, "postgres")[0])) == truth


@pytest.mark.parametrize(("query", "code"), rig.SPARK)
def test_what_is_written_for_spark_is_the_same_elsewhere_or_is_refused(engines, query, code):
    made = {engine: rig.compiled("spark", query, engine) for engine in engines}
    assert {tuple(codes) for _, codes in made.values()} == {(code,) if code else ()}
    if not code:
        assert rig.multiset(*engines["postgres"].ask(made["postgres"][0])) == rig.multiset(
            *engines["duckdb"].ask(made["duckdb"][0])
        )


def test_no_query_is_neither_equal_nor_refused():
    everything = (*rig.DUCKDB, *rig.POSTGRES, *rig.SPARK)
    same, refused = [one for one in everything if not one[1]], [one for one in everything if one[1]]
    assert (len(same), len(refused)) == (100, 56)
