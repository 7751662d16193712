"""Spark through its adapter, on a real master with two workers: the same figures as DuckDB, only reading, nothing of a row in an error."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import pytest

import servers
import spark_rig
from datareeve.core.errors import BadInput, Unreachable

pytestmark = pytest.mark.spark  # the slow tier: a Spark takes half a minute to start
CANARY = "canary7f3a"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake")
    with duckdb.connect() as made:
        made.execute(
            f"COPY (SELECT n AS id, CASE WHEN n % 10 = 0 THEN NULL ELSE n END AS age, n || '@{CANARY}.org' AS email, n / 7.0 AS ratio,"
            f" CAST(n AS DECIMAL(12, 2)) AS price, TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL (n) HOUR AS moment FROM range(1, 2001) t(n)) TO '{folder}/people.parquet'"
        )
    (folder / "orders.csv").write_text('id,"na me"\n1,"a ""b"""\n2,c\n')
    return folder


@pytest.fixture(scope="module")
def spark(spark_cluster, lake, tmp_path_factory):
    entry = {
        "kind": "spark",
        "url": spark_cluster.url,
        "settings": spark_rig.SETTINGS,
        "tables": {
            "people": f"{lake}/people.parquet",
            "orders": f"{lake}/orders.csv",
            "odd `name": f"{lake}/people.parquet",
            "gone": f"{lake}/gone.parquet",
        },
    }
    registry = servers.elsewhere(tmp_path_factory.mktemp("project"), spark=entry)
    yield registry["spark"]
    registry.close()


@pytest.fixture(scope="module")
def folder(lake):
    return servers.elsewhere(lake.parent, lake={"kind": "folder", "path": str(lake)})["lake"]


def one(system, sql, **more):
    return system.read("measure", statements=[{"id": "one", "sql": sql, **more}])["statements"]["one"]


def test_it_gives_the_same_figures_as_duckdb(spark, folder):
    statements = [
        {"id": "count", "sql": "SELECT count(*) AS n FROM people"},
        {"id": "nulls", "sql": "SELECT sum(CASE WHEN age IS NULL THEN 1 ELSE 0 END) AS n, count(DISTINCT age) AS d FROM people"},
        {"id": "range", "sql": "SELECT min(age) AS low, max(age) AS high, sum(price) AS total, round(avg(ratio), 9) AS mean FROM people"},
        {"id": "keys", "sql": "SELECT id, moment FROM people WHERE age IS NULL ORDER BY id LIMIT 3"},
        {"id": "mail", "sql": "SELECT email, count(*) FROM people GROUP BY email", "check": {"format": "email"}},
        {"id": "whole", "sql": "SELECT id FROM people"},
    ]  # fmt: skip
    told = [system.read("measure", statements=statements)["statements"] for system in (spark, folder)]
    rows = [{name: answer.get("rows") for name, answer in one.items()} for one in told]
    assert rows[0] == rows[1]
    assert rows[0]["count"] == [{"n": 2000}]
    assert rows[0]["mail"] == [{"failing": 0, "checked": 2000, "distinct": 2000}]
    assert told[0]["whole"]["error"]["code"] == "spark.too-many-rows"


def test_what_is_there_is_told(spark):
    assert spark.read("tables")[:3] == ["`people`", "`orders`", "`odd ``name`"]
    assert [(column["name"], column["type"]) for column in spark.read("columns", table="`people`")] == [
        ("id", "bigint"), ("age", "bigint"), ("email", "string"), ("ratio", "double"), ("price", "decimal(12,2)"), ("moment", "timestamp"),
    ]  # fmt: skip
    assert spark.read("server")["version"].startswith("4.")
    assert spark.read("query", sql="SELECT `na me` FROM orders WHERE id = :id", parameters={"id": 1}, shape="scalar") == 'a "b"'  # fmt: skip
    assert spark.read("query", sql="SELECT count(*) FROM `odd ``name`", shape="scalar") == 2000
    assert spark.read("ask", statements={"a": "SELECT 1 AS n", "b": "SELECT nope"}) == {
        "a": [{"n": 1}],
        "b": None,
    }


CAUSES = {
    "SELECT nope FROM people": "vanished",
    "SELECT * FROM nowhere": "vanished",
    "SELECT count(*) FROM gone": "vanished",
    "SELECT CAST(email AS INT) AS n FROM people": "bad cast",
    "SELECT email, count(*) FROM people WHERE CAST(email AS INT) > 0 GROUP BY email": "bad cast",
    f"SELECT count(*) AS n FROM people WHERE email RLIKE '({CANARY}'": "bad regex",
    "DROP TABLE people": "other",
    "SELECT 1; SELECT 2": "other",
    "INSERT INTO people SELECT * FROM people": "other",
    "": "other",
    "SELECT reflect('java.lang.System', 'getProperty', 'user.home')": "not a read",
    "SELECT `java_method` /* x */ ('java.lang.System', 'exit', 1)": "not a read",
    "SELECT * FROM parquet.`{lake}/people.parquet`": "vanished",
    "SELECT raise_error(email) FROM people": "other",
}


def test_an_error_is_told_by_its_cause_and_repeats_no_value(spark, lake, capfd):
    statements = [{"id": sql, "sql": sql.replace("{lake}", str(lake))} for sql in CAUSES]
    told = spark.read("measure", statements=[*statements, {"id": "last", "sql": "SELECT count(*) AS n FROM people"}])["statements"]  # fmt: skip
    assert {sql: told[sql]["error"]["cause"] for sql in CAUSES} == CAUSES
    assert told["last"]["rows"] == [{"n": 2000}]
    out, err = capfd.readouterr()
    assert f"@{CANARY}" not in f"{told}{out}{err}"


# Of one range: a task that is cancelled ends with its next thousand rows. Within a nested loop it would go on, and take a core from all later tests.
ENDLESS = "SELECT id % 7 AS id, count(*) FROM range(1000000000000000) WHERE hash(id) % 7 = 3 GROUP BY 1"


def test_a_statement_without_end_is_ended_on_the_cluster(spark):
    told = spark.read(
        "measure",
        statements=[
            {"id": "endless", "sql": ENDLESS},
            {"id": "checked", "sql": ENDLESS, "check": {"format": "email"}},
        ],
        timeout_seconds=2,
    )["statements"]
    assert [told[name].get("error", {}).get("cause") for name in ("endless", "checked")] == ["timeout"] * 2
    assert one(spark, "SELECT count(*) AS n FROM people")["rows"] == [{"n": 2000}]


def test_a_large_check_is_streamed(spark):
    sql = "SELECT sha2(CAST(id AS STRING), 256), count(*) FROM range(100000) GROUP BY 1"
    assert one(spark, sql, check={"format": "uuid"})["rows"] == [{"failing": 100_000, "checked": 100_000, "distinct": 100_000}]  # fmt: skip


def test_another_master_in_the_same_process_is_refused(spark, tmp_path):
    other = servers.elsewhere(tmp_path, other={"kind": "spark", "url": "local[1]"})["other"]
    with pytest.raises(BadInput) as error:
        other.read("query", sql="SELECT 1")
    assert error.value.code == "spark.another"


def test_a_master_that_is_not_there_is_unreachable_at_once(tmp_path):
    away = servers.elsewhere(tmp_path, away={"kind": "spark", "url": "spark://127.0.0.1:1"})["away"]
    with pytest.raises(Unreachable) as error:
        away.read("measure", statements=[{"id": "a", "sql": "SELECT 1"}])
    assert error.value.code == "spark.unreachable"


def test_a_missing_driver_is_told_with_what_installs_it(tmp_path):
    code = (
        "import sys; sys.modules['pyspark'] = None; sys.path.insert(0, 'tests'); import servers, pathlib;"
        f"s = servers.elsewhere(pathlib.Path({str(tmp_path)!r}), s=dict(kind='spark', url='local[1]'))['s'];"
        "\ntry: s.read('query', sql='SELECT 1')\nexcept Exception as e: print(e.code, e.remedy)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "spark.driver pip install 'datareeve[spark]'\n"


def test_spark_that_was_stopped_meanwhile_starts_again(spark):
    from pyspark.sql import SparkSession  # noqa: PLC0415

    SparkSession._instantiatedSession.sparkContext._jsc.sc().stop()
    assert spark.read("query", sql="SELECT count(*) FROM people", shape="scalar") > 0
