"""Models of a pipeline that Spark builds: one spec on DuckDB, PostgreSQL and DuckLake, with Spark and without, gives the same tables."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import psutil
import psycopg
import pytest

import pipelines_flow_rig as flow
import pipelines_models_rig as rig
import spark_rig

pytestmark = pytest.mark.spark  # the slow tier: a Spark takes half a minute to start

SOURCE = (
    "CREATE TABLE sale (id int PRIMARY KEY, shop int, a int, b int, big bigint, price numeric(12,2), share double precision, note text, day date, seen timestamptz, local timestamp, ok boolean, token uuid)",
    """INSERT INTO sale SELECT g, g % 5, CASE WHEN g % 7 = 0 THEN NULL ELSE g - 60 END, CASE WHEN g % 11 = 0 THEN NULL ELSE g % 4 END, 9007199254740993 + g,
 CASE WHEN g % 13 = 0 THEN NULL ELSE (g - 50) * 1.37 END, CASE WHEN g % 17 = 0 THEN 'NaN' ELSE g / 8.0 END, CASE WHEN g % 6 = 0 THEN NULL ELSE repeat('ä''', g % 3) || g END,
 DATE '2026-01-01' + g / 10, TIMESTAMPTZ '2026-03-29 00:30:00.123456+01' + g * INTERVAL '17 min', TIMESTAMP '1969-12-31 23:59:59.5' + g * INTERVAL '1 day', g % 3 = 0,
 md5(g::text)::uuid FROM generate_series(1, 120) g""",
    "CREATE TABLE shop (id int PRIMARY KEY, name text, rate numeric(5,2))",
    "INSERT INTO shop VALUES (0, 'North', 1.10), (1, 'south', 0.95), (2, NULL, 1.00), (3, 'Été', NULL)",
)
LATER = (
    "INSERT INTO sale (id, shop, a, price, day, seen) SELECT g, 1, g, 2.50, DATE '2026-01-12', TIMESTAMPTZ '2026-04-01 12:00+00' FROM generate_series(200, 205) g",
    "UPDATE sale SET price = 1000.01, seen = '2026-04-02 00:00+00' WHERE id = 3",
)
LOADS = {
    "sale": {
        "source": {"system": "app", "table": "sale"},
        "mode": "upsert",
        "keys": ["id"],
        "cursor": "seen",
    },
    "shop": {
        "source": {"system": "app", "table": "shop"},
        "keys": ["id"],
        "columns": {"rate": "decimal(6,3)"},
    },
}
LINES = """SELECT id, shop, a // b AS whole, a % b AS rest, a / b AS part, price * 3 AS triple, round(price, 1) AS rounded, big + a AS far, share * 2 AS doubled,
 coalesce(note, '-') || '!' AS text, day, seen, local, ok, seen > TIMESTAMPTZ '2026-03-29 12:00:00+00' AS late, date_trunc('month', day) AS month FROM sale"""
DAILY = """SELECT l.day, s.name, count(*) AS n, sum(l.triple) AS total, sum(l.far) AS far, avg(l.rounded) AS mean, max(l.seen) AS newest, min(s.rate) AS rate,
 count(*) FILTER (WHERE l.ok) AS good FROM lines l LEFT JOIN shop s ON s.id = l.shop GROUP BY l.day, s.name"""
TEST = {
    "name": "a day is summed",
    "given": {"lines": [{"shop": 1, "day": "2026-01-31", "triple": 1.50, "ok": True}, {"shop": 1, "day": "2026-01-31", "triple": 2}], "shop": [{"id": 1, "name": "x"}]},
    "expect": [{"day": "2026-01-31", "name": "x", "n": 2, "total": 3.50, "good": 1}],
}  # fmt: skip
MODELS = {
    "lines": {"query": LINES},
    "daily": {"query": DAILY, "unit_tests": [TEST]},
    "by_shop": {
        "query": "SELECT shop, sum(price) AS price, max(seen) AS newest FROM sale WHERE shop IS NOT NULL GROUP BY shop",
        "materialized": "incremental",
        "incremental": {"by": "key"},
        "keys": ["shop"],
    },
    "by_day": {
        "query": "SELECT day, count(*) AS n, sum(price) AS price FROM sale GROUP BY day",
        "materialized": "incremental",
        "incremental": {"by": "time", "column": "day", "lag": 1},
    },
    "shown": {"query": "SELECT name, sum(n) AS n FROM daily GROUP BY name", "materialized": "view"},
}
TABLES = ("lines", "daily", "by_shop", "by_day", "shown")


@pytest.fixture
def app(pg18):
    with pg18.database(*SOURCE) as url:
        yield url


@pytest.fixture
def project(tmp_path, app, spark_cluster, pg18):
    """A project with a target of a kind, below a folder of its own; `engine` is more of the Spark system's entry."""
    with contextlib.ExitStack() as open_:

        def made(kind, name="one", **engine):
            there = (
                {"kind": "ducklake", "catalog": "lake.ducklake", "data": "data"}
                if kind == "ducklake"
                else None
            )
            url = open_.enter_context(pg18.database()) if kind == "postgres" else None
            cluster = {"kind": "spark", "url": spark_cluster.url, "settings": spark_rig.SETTINGS, **engine}
            systems = {
                "app": {"kind": "postgresql", "url": app},
                "there": there or flow.target(kind, url),
                "cluster": cluster,
            }
            return open_.enter_context(flow.Project(tmp_path / f"{kind}-{name}", systems))

        yield made


def asked(project, table):
    """A published table as names, types and rows, by a driver of its own."""
    given = project.systems["there"]
    if given["kind"] == "postgresql":
        with psycopg.connect(given["url"], options="-c TimeZone=UTC") as connection:
            cursor = connection.execute(f"SELECT * FROM {table}")
            types = [
                (one.name, connection.adapters.types.get(one.type_code).regtype) for one in cursor.description
            ]
            return types, cursor.fetchall()
    lake = given["kind"] == "ducklake"
    with duckdb.connect(
        ":memory:" if lake else str(project.folder / given["path"]),
        read_only=not lake,
        config={"allow_unsigned_extensions": "true"},
    ) as connection:
        if lake:
            project.app.systems["there"].attach(connection, read_only=True)
        connection.execute("SET TimeZone = 'UTC'")
        cursor = connection.execute(f"SELECT * FROM {table}")
        return [(one[0], str(one[1])) for one in cursor.description], cursor.fetchall()


def published(project):
    """Every table as its columns' types and a multiset of rows."""
    found = {table: asked(project, table) for table in TABLES}
    return {table: (types, sorted(rows, key=repr)) for table, (types, rows) in found.items()}


def left(project):
    """The files that are left of what Spark was handed."""
    return sorted(project.folder.glob(".datareeve/spark/**/*"))


@pytest.mark.parametrize("kind", ["duckdb", "postgres", "ducklake"])
def test_one_spec_gives_the_same_tables_with_spark_and_without(project, app, kind):
    own, other, truth = project(kind, "own"), project(kind, "spark"), project("duckdb", "truth")
    for one, more in ((own, {}), (other, {"engine": "cluster"}), (truth, {})):
        one.pipeline(loads=LOADS, models=MODELS, **more)
        one.done()
    assert repr(published(other)) == repr(published(own))
    flow.source(app, *LATER)  # incremental models are now built of what is new
    own.done()
    outcome = other.done()
    truth.done()
    assert repr(published(other)) == repr(published(own))
    assert left(other) == []
    results = {step.step: step.result for part in outcome.parts for step in part.steps}
    assert results["model daily"]["tests"] == 1
    assert results["model by_day"]["changes"]["by_day"]["rows_before"] == 13
    for table in ("lines", "daily"):  # and on all targets
        (types, rows), (_, true) = asked(other, table), asked(truth, table)
        names = [name for name, _ in types]
        assert rig.multiset(names, rows) == rig.multiset(names, true)


def steps(plan):
    return {step.id: step for part in plan.parts for step in part.steps}


def test_the_plan_says_which_models_run_where_and_why(project):
    one = project("duckdb")
    models = {**MODELS, "lines": {"query": LINES, "engine": "there"}}
    one.pipeline(loads=LOADS, models=models, engine="cluster")
    found = steps(one.plan())
    assert found["model daily"].on == ("there", "cluster")
    assert (
        "daily is made of lines, shop, as a table, on cluster (`engine`): what it reads goes there as Parquet files by way of /"
        in found["model daily"].why
    )
    assert "`input_1` AS `l`" in found["model daily"].shown[0]
    for name in ("lines", "shown"):  # the target by name, and a view
        assert found[f"model {name}"].on == ("there",)
        assert "cluster" not in found[f"model {name}"].why


REFUSED = {
    "pipelines.model-not-portable: Model m would not be the same on spark as in duckdb: LOWER(": {"query": "SELECT lower(note) AS n FROM sale"},
    "pipelines.engine-type: Model m reads what cluster has no type or no name for: sale.token (UUID)": {"query": "SELECT * FROM sale"},
    "a view is read where it lies, and cluster keeps no tables": {"query": "SELECT id FROM sale", "materialized": "view"},
    "the estate has no system 'clutser' (did you mean 'cluster'?)": {"query": "SELECT id FROM sale", "engine": "clutser"},
    "app is of kind postgresql: a model is built by the target itself, or by Spark": {"query": "SELECT id FROM sale", "engine": "app"},
    "spark.cast: cluster: a value cannot be read or counted with as asked": {"query": "SELECT CAST(big AS SMALLINT) AS s FROM sale"},
    "pipelines.unit-test: m: its unit test 'one' fails: 1 rows that were expected are missing, 1 were not expected": {
        "query": "SELECT id + 1 AS i FROM sale", "unit_tests": [{"name": "one", "given": {"sale": [{"id": 1}]}, "expect": [{"i": 1}]}],
    },
}  # fmt: skip


def test_what_cannot_be_built_by_spark_is_refused_by_name(project):
    one = project("duckdb")
    one.pipeline(loads=LOADS, models={"m": {"query": "SELECT id FROM sale", "engine": "cluster"}})
    one.done()
    before = one.bag("m")
    for said, model in REFUSED.items():
        one.pipeline(loads=LOADS, models={"m": {"engine": "cluster", **model}})
        told = one.refused()
        assert said in told, told
        assert "9007199254740" not in told
    assert (one.bag("m"), left(one)) == (before, [])
    assert one.tables() == ["m", "sale", "shop"]


def test_a_cluster_on_other_machines_needs_a_folder_that_they_see(project):
    model = {"m": {"query": "SELECT id FROM sale", "engine": "cluster"}}
    for kind, entry, said in (
        ("away", {"url": "spark://spark.invalid:7077"}, "systems.cluster.folder: /mnt/shared/datareeve"),
        ("unmounted", {"folder": "shared"}, "cluster: there is no folder shared. Make it or mount it"),
    ):
        one = project("duckdb", kind, **entry)
        one.pipeline(loads=LOADS, models=model)
        told = one.refused()
        assert "pipelines.engine-folder" in told
        assert said in told


def test_a_spark_that_cannot_be_reached_leaves_what_was_published(project):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = project("duckdb", url=f"spark://127.0.0.1:{listening.getsockname()[1]}")
        one.pipeline(loads=LOADS, models={"m": {"query": "SELECT id FROM sale"}})
        one.done()
        before = one.bag("m")
        one.pipeline(
            loads=LOADS, models={"m": {"query": "SELECT id FROM sale WHERE id < 9", "engine": "cluster"}}
        )
        plan = one.plan()
        assert not plan.blockers
    outcome = one.app.apply(plan, by="test", approved=True)  # it went away since it was planned
    assert "spark.unreachable" in flow.said(outcome)
    assert "spark.unreachable: cluster cannot be reached" in one.refused()
    assert (one.bag("m"), left(one)) == (before, [])
    assert one.tables() == ["m", "sale", "shop"]


SLOW = "SELECT a.id % 7 AS r, count(*) AS n FROM sale a CROSS JOIN sale b CROSS JOIN sale c {more} WHERE (a.id * b.id + c.id) % 7 = 3 GROUP BY a.id % 7"
ENDLESS = SLOW.format(more="CROSS JOIN sale d CROSS JOIN sale e CROSS JOIN sale f")


def test_a_model_that_takes_too_long_is_ended_and_what_was_published_stands(project):
    one = project("duckdb", build_timeout_seconds=20)
    one.pipeline(
        loads=LOADS, models={"m": {"query": "SELECT id % 7 AS r, 1 AS n FROM sale", "engine": "cluster"}}
    )
    one.done()
    before = one.bag("m")
    one.pipeline(loads=LOADS, models={"m": {"query": ENDLESS, "engine": "cluster"}})
    told = one.refused()
    assert "spark.timeout: cluster: a model was built for longer than allowed" in told
    assert (one.bag("m"), left(one)) == (before, [])
    assert one.tables() == ["m", "sale", "shop"]


def begun(folder, goes_on):
    """Wait until Spark writes a model's result."""
    found = []
    while not found:
        assert goes_on()
        time.sleep(0.01)
        with contextlib.suppress(FileNotFoundError):  # a folder that goes while it is looked into
            found = list(folder.glob(".datareeve/spark/*/*/result/_temporary/*"))


def executors(cluster):
    return [
        child
        for worker in cluster.processes[1:]
        for child in psutil.Process(worker.pid).children(recursive=True)
        if any("CoarseGrainedExecutorBackend" in word for word in child.cmdline())
    ]


def test_an_executor_that_dies_loses_and_doubles_nothing(project, spark_cluster):
    one, query = project("postgres"), SLOW.format(more="CROSS JOIN shop d")
    one.pipeline(loads=LOADS, models={"m": {"query": query, "engine": "cluster"}, "own": {"query": query}})

    over = threading.Event()

    def kill():
        begun(one.folder, lambda: not over.is_set())
        first, *_ = executors(spark_cluster)
        first.kill()

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        one.done()
        over.set()
        killed.result()
    assert one.bag("m") == one.bag("own")
    assert left(one) == []


def test_a_killed_step_is_repeated_and_leaves_no_files(project):
    one, query = project("duckdb", url="local[1]"), SLOW.format(more="")
    one.pipeline(loads=LOADS, models={"m": {"query": query, "engine": "cluster"}, "own": {"query": query}})
    command = [
        str(Path(sys.executable).parent / "datareeve"),
        "run",
        "pipelines.run",
        "--pipeline",
        "p",
        "--yes",
    ]
    with subprocess.Popen(
        command, cwd=one.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        begun(one.folder, lambda: running.poll() is None)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    assert left(one)
    done = subprocess.run(command, cwd=one.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert one.bag("m") == one.bag("own")
    assert left(one) == []
