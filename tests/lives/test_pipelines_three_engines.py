"""One model on DuckDB, PostgreSQL and a Spark of two workers: equal as multisets, or refused by name. TPC-H's queries too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import pipelines_models_rig as rig
import servers
import spark_rig
from datareeve.core.errors import DatareeveError, Failed, Refused
from datareeve.systems import spark_models
from datareeve.systems.mover import Mover, literal

pytestmark = pytest.mark.spark  # the slow tier: a Spark takes half a minute to start
SEED = 4


@pytest.fixture(scope="module")
def duck():
    made = rig.Duck(SEED)
    yield made
    made.connection.close()


@pytest.fixture(scope="module")
def files(duck, tmp_path_factory):
    """The tables as files that every worker sees, by name."""
    folder = tmp_path_factory.mktemp("exported")
    for table in rig.COLUMNS:
        duck.connection.execute(f"COPY {table} TO '{folder}/{table}.parquet' (FORMAT parquet)")
    return {table: str(folder / f"{table}.parquet") for table in rig.COLUMNS}


@pytest.fixture(scope="module")
def spark(spark_cluster, tmp_path_factory):
    entry = {"kind": "spark", "url": spark_cluster.url, "settings": spark_rig.SETTINGS}
    registry = servers.elsewhere(tmp_path_factory.mktemp("project"), spark=entry)
    yield registry["spark"]
    registry.close()


def on_spark(spark, duck, sql, tables, folder):
    """The rows that Spark wrote, read as the pipeline reads them."""
    built = spark_models.build(spark, sql, tables, str(folder / "result"))
    names, found = duck.ask(f"SELECT * FROM read_parquet({literal(built.files)})")
    assert sorted(names) == sorted(built.columns)
    return names, found


def test_every_query_is_equal_on_all_three(spark, duck, files, pg18, tmp_path):
    asked = [
        (
            query,
            {engine: rig.compiled(dialect, query, engine)[0] for engine in ("duckdb", "postgres", "spark")},
        )
        for dialect, queries in (("duckdb", rig.DUCKDB), ("postgres", rig.POSTGRES), ("spark", rig.SPARK))
        for query, code in queries
        if not code
    ]

    def built(number):
        try:
            return spark_models.build(
                spark, asked[number][1]["spark"], files, str(tmp_path / f"r{number}")
            ).files
        except DatareeveError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(built, range(len(asked))))
    odd = []
    with pg18.database() as url:
        post = rig.Post(url, SEED)
        for (query, sql), result in zip(asked, results, strict=True):
            truth = rig.multiset(*duck.ask(sql["duckdb"]))
            if (
                isinstance(result, DatareeveError)
                or rig.multiset(*duck.ask(f"FROM read_parquet({literal(result)})")) != truth
            ):
                odd.append((query, "spark", str(result)))
            if rig.multiset(*post.ask(sql["postgres"])) != truth:
                odd.append((query, "postgres", ""))
        post.connection.close()
    assert odd == []
    assert len(asked) == 100


def test_spark_in_its_own_words_means_what_is_written(spark, duck, files, tmp_path):
    for query, code in rig.SPARK:
        if not code:
            native = rig.multiset(*on_spark(spark, duck, query, files, tmp_path))
            assert native == rig.multiset(
                *on_spark(spark, duck, rig.compiled("spark", query, "spark")[0], files, tmp_path)
            )


def test_tpch_is_equal_on_spark(spark, tmp_path):
    with Mover() as mover:
        world = rig.tpch(mover)
        tables = {}
        for table in world.columns:
            tables[table] = str(tmp_path / f"{table}.parquet")
            mover.execute(f"COPY {table} TO {literal(tables[table])} (FORMAT parquet)")
        for number, query in world.mended.items():
            sql = {
                engine: rig.compiled("duckdb", query, engine, world.columns, rig.TPCH_KEYS)[0]
                for engine in ("duckdb", "spark")
            }
            built = spark_models.build(spark, sql["spark"], tables, str(tmp_path / "result"))
            found = rig.multiset(
                *rig.fetched(mover.execute(f"SELECT * FROM read_parquet({literal(built.files)})"))
            )
            assert found == rig.multiset(*rig.fetched(mover.execute(sql["duckdb"]))), number
            assert built.columns == dict(
                mover.execute(f"SELECT column_name, column_type FROM (DESCRIBE {sql['duckdb']})").fetchall()
            ), number


def test_nothing_but_a_query_runs_and_no_value_is_told(spark, files, tmp_path):
    with pytest.raises(Refused, match=r"spark\.not-a-read"):
        spark_models.build(spark, "SELECT reflect('java.lang.System', 'exit')", files, str(tmp_path / "a"))
    with pytest.raises(DatareeveError):
        spark_models.build(spark, "SELECT 1) AS a; DROP TABLE x; SELECT (1", files, str(tmp_path / "b"))
    with pytest.raises(Failed) as failed:
        spark_models.build(spark, "SELECT CAST(t AS INT) AS i FROM facts", files, str(tmp_path / "c"))
    assert all(text not in str(failed.value) for text in ("日本", "it's"))
    with pytest.raises(Failed, match=r"spark\.vanished"):
        spark_models.columns(spark, "SELECT 1 AS a", {"gone": str(tmp_path / "gone.parquet")})
    assert spark_models.columns(spark, "SELECT id, d FROM facts", files) == {
        "id": "INTEGER",
        "d": "DECIMAL(12,2)",
    }


def test_a_result_without_rows_still_has_its_columns(spark, duck, files, tmp_path):
    built = spark_models.build(spark, "SELECT id, t FROM facts WHERE id < 0", files, str(tmp_path / "none"))
    assert duck.ask(f"SELECT * FROM read_parquet({literal(built.files)})") == (["id", "t"], [])
