"""`pipelines.new`: a source is looked at, a pipeline is written that loads as it is, and undone it is gone."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import duckdb
import psycopg
import pytest

from datareeve.app import catalogue, opened
from datareeve.capabilities.pipelines import spec_files
from datareeve.capabilities.pipelines.operations.new import New
from datareeve.core.errors import BadInput, DatareeveError

CANARY = "canary7f3a"
FLIGHTS = (
    "CREATE TABLE flights (id {serial} PRIMARY KEY, tailnum varchar(12), price {numeric}, updated_at {moment} NOT NULL)",
    "INSERT INTO flights (tailnum, price, updated_at) VALUES ('canary7f3a', {price}, '2026-01-01 00:00:00'), ('N2', 1.5, '2026-01-02 00:00:00')",
)


@pytest.fixture
def project(tmp_path):
    def write(**systems):
        lines = "".join(f"  {name}: {{{entry}}}\n" for name, entry in systems.items())
        (tmp_path / "estate.yaml").write_text(
            f"systems:\n{lines}  warehouse: {{kind: duckdb, path: w.duckdb}}\n  pg: {{kind: postgresql, url: 'postgresql://u@h/d'}}\n"
            "authority: {rules: [{decision: allow}]}\n"
        )
        return tmp_path

    return write


def written(folder, **inputs):
    """The plan of a new pipeline, carried out; and the pipeline that comes of it."""
    with opened(folder) as app:
        operation = catalogue().make("pipelines.new", {"pipeline": "x", "target": "warehouse", **inputs})
        plan = app.preview(operation)
        assert not plan.blockers, plan.blockers
        assert app.preview(operation).fingerprint == plan.fingerprint
        outcome = app.apply(plan, by="a person", approved=True)
        assert outcome.status == "done"
        assert app.preview(operation).nothing_to_do == "etl/x.yaml says this already."
        found = spec_files.load(app.systems, "x")
        text = (folder / "etl/x.yaml").read_text()
        assert CANARY not in text + plan.model_dump_json() + outcome.model_dump_json()
        app.undo(outcome.run, by="a person")
        assert not (folder / "etl").exists()
        return found, text, plan


def lite(folder, *statements):
    with sqlite3.connect(folder / "app.sqlite") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def duck(folder, *statements):
    with duckdb.connect(str(folder / "app.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)


def test_what_is_written_runs_as_it_stands(project):
    folder = project(app="kind: sqlite, path: app.sqlite")
    lite(
        folder,
        *(
            one.format(serial="INTEGER", numeric="DECIMAL(10,2)", moment="DATETIME", price=12.35)
            for one in FLIGHTS
        ),
    )
    with opened(folder) as app:
        for inputs in (
            {"pipeline": "x", "target": "warehouse", "system": "app", "table": "flights"},
            {"pipeline": "x"},
        ):
            name = "pipelines.new" if "table" in inputs else "pipelines.run"
            plan = app.preview(catalogue().make(name, inputs))
            assert app.apply(plan, by="a person", approved=True).status == "done"
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as warehouse:
        assert warehouse.execute("SELECT id, tailnum, CAST(price AS VARCHAR) FROM flights ORDER BY id").fetchall() == [
            (1, CANARY, "12.35"), (2, "N2", "1.50"),
        ]  # fmt: skip


def test_a_table_of_postgresql_is_upserted_by_its_key_and_what_says_when_it_changed(project, database):
    with psycopg.connect(database, autocommit=True) as app:
        for statement in FLIGHTS:
            app.execute(
                statement.format(serial="serial", numeric="numeric", moment="timestamptz", price=12.3456)
            )
    found, text, _ = written(
        project(app=f"kind: postgresql, url: '{database}'"), system="app", table="flights"
    )
    load = found.pipeline.loads["flights"]
    assert load.source.table == "public.flights"
    assert (load.mode, load.keys, load.cursor.column, load.cursor.lag) == (
        "upsert",
        ("id",),
        "updated_at",
        "10m",
    )
    assert {name: one.type for name, one in load.columns.items()} == {"price": "decimal(38,4)"}
    assert found.pipeline.change_budget.removed_percent == 20
    assert "# The primary key." in text
    assert "No index begins with it: each load reads the whole table" in text
    assert "4 digits after the point are the most that any value has now" in text


def test_a_table_that_is_only_added_to_is_appended_by_its_identity(project, database):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE SCHEMA raw")
        app.execute(
            "CREATE TABLE raw.events (id bigint GENERATED ALWAYS AS IDENTITY UNIQUE, what text, wide numeric(60,5), span tsvector)"
        )
        app.execute("INSERT INTO raw.events (what) SELECT 'x' FROM generate_series(1, 50)")
        app.execute("SELECT pg_stat_force_next_flush()")
    found, text, plan = written(
        project(app=f"kind: postgresql, url: '{database}'"), system="app", table="raw.events"
    )
    load = found.pipeline.loads["events"]
    assert (load.mode, load.cursor.column, load.keys) == ("append", "id", ("id",))
    assert {name: one.type for name, one in load.columns.items()} == {"wide": "text", "span": "text"}
    assert "not one update or delete" in text
    assert plan.figures == {"columns": 4, "rows": 50}
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("UPDATE raw.events SET what = 'y' WHERE id = 1")
        app.execute("SELECT pg_stat_force_next_flush()")
    found, text, _ = written(
        project(app=f"kind: postgresql, url: '{database}'"), system="app", table="raw.events"
    )
    assert found.pipeline.loads["events"].mode == "full"
    assert "`mode: append` with `cursor: id`" in text


def test_a_table_of_mariadb_is_looked_at(project, mariadb):
    statements = [
        one.format(serial="integer auto_increment", numeric="decimal(50,4)", moment="datetime", price=12.3456)
        for one in FLIGHTS
    ]
    with mariadb.database(*statements) as url:
        found, _, _ = written(project(app=f"kind: mysql, url: '{url}'"), system="app", table="flights")
    load = found.pipeline.loads["flights"]
    assert (load.mode, load.keys, load.cursor.column) == ("upsert", ("id",), "updated_at")
    assert {name: one.type for name, one in load.columns.items()} == {"price": "text"}


def test_a_table_of_sqlite_is_looked_at(project):
    folder = project(app="kind: sqlite, path: app.sqlite")
    lite(
        folder,
        *(
            one.format(serial="INTEGER", numeric="DECIMAL(10,2)", moment="DATETIME", price=12.35)
            for one in FLIGHTS
        ),
    )
    found, text, _ = written(folder, system="app", table="flights", schedule="30 2 * * *", owner="ops")
    load = found.pipeline.loads["flights"]
    assert (load.mode, load.keys, load.cursor.column) == ("upsert", ("id",), "updated_at")
    assert load.columns["price"].type == "decimal(10,2)"
    assert (found.pipeline.schedule.cron, found.pipeline.owner) == ("30 2 * * *", "ops")
    assert "binary float" in text
    lite(folder, "UPDATE flights SET price = 12.3456 WHERE id = 1")
    assert (
        written(folder, system="app", table="flights")[0].pipeline.loads["flights"].columns["price"].type
        == "double"
    )


def test_a_key_that_nobody_declared_is_told_as_a_guess(project):
    folder = project(app="kind: duckdb, path: app.duckdb")
    duck(
        folder,
        "CREATE TABLE planes AS SELECT i % 7 AS year, 'N' || i AS tailnum, NULL::timestamp AS updated_at, 'x' AS \"odd name\" FROM range(100) AS r(i)",
    )
    found, text, plan = written(folder, system="app", table="planes")
    load = found.pipeline.loads["planes"]
    assert (load.mode, load.keys, load.cursor) == ("full", ("tailnum",), None)
    assert "A GUESS: in all 100 rows" in text
    assert [one.rule for one in plan.findings] == ["guessed-key"]


def test_what_has_no_key_is_said_and_is_asked_for_where_the_mode_needs_one(project):
    folder = project(app="kind: duckdb, path: app.duckdb")
    duck(folder, "CREATE TABLE log AS SELECT 1 AS a, 'x' AS b FROM range(10)")
    found, text, _ = written(folder, system="app", table="log")
    assert found.pipeline.loads["log"].keys == ()
    assert "No keys" in text
    with opened(folder) as app:
        plan = app.preview(New(pipeline="x", system="app", table="log", target="warehouse", mode="upsert"))
        assert "needs keys" in plan.blockers[0]
        plan = app.preview(
            New(pipeline="x", system="app", table="log", target="warehouse", mode="upsert", keys=("c",))
        )
        assert plan.blockers == ("'c' is no column of the source: a, b.",)
        plan = app.preview(
            New(pipeline="x", system="app", table="log", target="warehouse", mode="scd2", keys=("A",))
        )
        assert "keys: [a]" in plan.steps[0].call.arguments["text"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_of_a_folder_are_looked_at(project, suffix):
    folder = project(landing="kind: folder, path: in")
    (folder / "in/day").mkdir(parents=True)
    options = "DELIMITER ';', HEADER" if suffix == "csv" else "FORMAT parquet"
    with duckdb.connect() as connection:
        for day in (1, 2):
            connection.execute(
                f"COPY (SELECT i AS id, 'canary7f3a' AS who, DATE '2026-01-0{day}' AS day FROM range({day}00, {day}50) AS r(i)) TO '{folder}/in/day/{day}.{suffix}' ({options})"
            )
    found, text, plan = written(folder, system="landing", files=f"day/*.{suffix}")
    load = found.pipeline.loads["day"]
    assert (load.source.system, load.source.files, load.mode, load.keys) == (
        "landing",
        (f"day/*.{suffix}",),
        "full",
        ("id",),
    )
    assert f"2 files of format {suffix}" in text
    assert suffix == "parquet" or 'delimiter ";"' in text
    assert plan.figures["rows"] == 100
    assert written(folder, system="landing", table="day")[0].pipeline.loads["day"].source.files == (
        "day/*." + suffix,
    )
    assert written(folder, files=f"in/day/1.{suffix}")[0].pipeline.loads


class Api(BaseHTTPRequestHandler):
    """Issues, a page at a time; one address asks who you are, one is no JSON."""

    def do_GET(self):
        self.send_response(401 if "private" in self.path else 200)
        self.send_header("Content-Type", "application/json")
        if "linked" in self.path:
            self.send_header("Link", '</linked?page=2>; rel="next"')
        self.end_headers()
        rows = [
            {
                "id": i,
                "title": "canary7f3a",
                "updated_at": "2026-01-01T00:00:00Z",
                "tags": [],
                "n\u2028: x": 1.5,
            }
            for i in range(3)
        ]
        answers = {"/text": b"<html>canary7f3a", "/linked": json.dumps(rows).encode(), "/empty": b"{}"}
        self.wfile.write(
            answers.get(self.path, json.dumps({"data": {"items": rows}, "meta": {"next": "abc"}}).encode())
        )

    def log_message(self, *_):
        """Nothing is logged."""


@pytest.fixture
def api():
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_api_is_looked_at_by_one_page(project, api):
    found, text, plan = written(project(), url=f"{api}/issues")
    load = found.pipeline.loads["issues"]
    assert (load.source.http.url, load.source.http.records, load.mode, load.keys) == (
        f"{api}/issues",
        "data.items",
        "full",
        ("id",),
    )
    assert "The answer says at meta.next what comes next" in text
    assert "updated_at as `cursor`" in text
    assert plan.figures == {"columns": 5}
    linked, _, _ = written(project(), url=f"{api}/linked")
    assert linked.pipeline.loads["linked"].source.http.paging.by == "link"
    for path, why in (("text", "the answer is not JSON"), ("empty", "no list of rows")):
        assert why in written(project(), url=f"{api}/{path}")[1]


@pytest.mark.parametrize(("url", "code"), [
    ("{api}/private", "pipelines.url-answer"),
    ("http://127.0.0.1:9/x", "pipelines.url-unreachable"),
    ("ftp://x/y", "pipelines.url"),
    ("{api}/x?api_key=canary7f3a", "pipelines.secret-in-url"),
    ("http://me:canary7f3a@127.0.0.1/x", "pipelines.secret-in-url"),
])  # fmt: skip
def test_an_api_that_does_not_answer_rows_is_told_without_a_secret(project, api, url, code):
    with opened(project()) as app, pytest.raises(DatareeveError) as caught:
        app.preview(New(pipeline="x", url=url.format(api=api), target="warehouse"))
    assert caught.value.code == code
    assert CANARY not in str(caught.value)


def test_hostile_names_are_written_so_that_they_load(project):
    folder = project(app="kind: duckdb, path: app.duckdb")
    name = 'Odd "name"; DROP TABLE x -- \n: [é'
    columns = ['a "b', "yes", "# c", "1.5", "x\ny: z", "null", "\u2028", "😀", "'"]
    quoted = ", ".join('1 AS "' + one.replace('"', '""') + '"' for one in columns)
    duck(
        folder,
        f'CREATE TABLE "{name.replace(chr(34), chr(34) * 2)}" AS SELECT {quoted}',
        'CREATE TABLE "a.b" AS SELECT 1 AS id, 2 AS "yes", [{\'a\': 1}] AS s',
    )
    found, text, _ = written(folder, system="app", table=name, mode="upsert", keys=tuple(columns))
    (load,) = found.pipeline.loads.values()
    assert load.source.table == f"main.{name}" if "." not in name else True
    assert load.keys == tuple(columns)
    assert all(line.isprintable() for line in text.splitlines())
    found, _, _ = written(folder, system="app", table="a.b", target="pg")
    (load,) = found.pipeline.loads.values()
    assert load.source.query == 'SELECT * FROM "main"."a.b"'
    assert load.columns == {} or load.columns["s"].type == "json"


def test_nothing_is_overwritten_and_one_table_is_published_once(project):
    folder = project(app="kind: duckdb, path: app.duckdb")
    duck(folder, "CREATE TABLE t AS SELECT 1 AS id")
    (folder / "etl").mkdir()
    (folder / "etl/x.yml").write_text("target: warehouse\nloads: {t: {source: {files: a.csv}}}\n")
    (folder / "etl/y.yaml").write_text("half written: [")
    with opened(folder) as app:
        for name, said in (
            ("x", "etl/x.yml stands already"),
            ("y", "etl/y.yaml stands already"),
            ("z", "t is published by the pipeline x too"),
        ):
            plan = app.preview(New(pipeline=name, system="app", table="t", target="warehouse"))
            assert said in plan.blockers[0]
            assert not plan.steps


@pytest.mark.parametrize(("inputs", "code", "what"), [
    ({"system": "app", "table": "flihgts"}, "pipelines.no-table", "did you mean 'main.flights'?"),
    ({"files": "nothing/*.csv"}, "pipelines.no-files", "No file of the project"),
    ({"files": "../*.csv"}, "folder.outside", "leads out"),
    ({"files": "half.parquet"}, "pipelines.cannot-look", "half.parquet"),
    ({"system": "app", "files": "a.csv"}, "pipelines.cannot-look", "Name a folder"),
    ({"files": "a.csv", "target": "lite"}, "pipelines.target", "of kind sqlite"),
    ({"files": "a.csv", "target": "nowhere"}, "pipelines.target", "no system 'nowhere'"),
    ({"files": "a.csv", "pipeline": "../x"}, "pipelines.name", "no name"),
])  # fmt: skip
def test_what_cannot_be_looked_at_is_told(project, inputs, code, what):
    folder = project(app="kind: duckdb, path: app.duckdb", lite="kind: sqlite, path: l.sqlite")
    duck(folder, "CREATE TABLE flights AS SELECT 1 AS id")
    (folder / "half.parquet").write_bytes(b"PAR1 half")
    with opened(folder) as app, pytest.raises(BadInput) as caught:
        app.preview(New(**{"pipeline": "x", "target": "warehouse", **inputs}))
    assert caught.value.code == code
    assert what in str(caught.value)
    assert not re.search(r"Traceback|duckdb\.", str(caught.value))


@pytest.mark.parametrize("given", [{}, {"table": "t"}, {"table": "t", "system": "a", "files": "b"}])
def test_one_source_is_asked_for(given):
    with pytest.raises(BadInput):
        catalogue().make("pipelines.new", {"pipeline": "x", "target": "w", **given})
