"""Folders of data files: what is a table, how it is read, and that nothing else can be opened."""

from __future__ import annotations

import gzip
import os

import duckdb
import pytest

import servers
from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused, Unreachable
from datareeve.systems import measure as measure_module

CANARY = "canary7f3a"


@pytest.fixture
def lake(tmp_path):
    folder = tmp_path / "lake"
    folder.mkdir()
    with duckdb.connect() as made:
        made.execute(
            f"COPY (SELECT n AS id, n || '@{CANARY}' AS email FROM range(1, 101) t(n)) TO '{folder}/people.parquet'"
        )
        (folder / "events").mkdir()
        for day in (1, 2):
            made.execute(
                f"COPY (SELECT {day} AS day, n AS id FROM range(10) t(n)) TO '{folder}/events/{day}.parquet'"
            )
    (folder / "orders.csv").write_text(
        "id,name,at\n" + "".join(f'{n},"a, ""b""",2024-01-0{n}\n' for n in range(1, 10))
    )
    (folder / "lines.jsonl").write_text('{"id": 1, "tag": "x"}\n{"id": 2, "tag": null}\n')
    (folder / "_SUCCESS").write_text("")
    (folder / "notes.md").write_text("# no data")
    return folder


@pytest.fixture
def system(tmp_path, lake):
    return servers.elsewhere(tmp_path, lake={"kind": "folder", "path": "lake"})["lake"]


def declared(tmp_path, **tables):
    return servers.elsewhere(tmp_path, lake={"kind": "folder", "path": "lake", "tables": tables})["lake"]


def read(system, sql, **more):
    return system.read("query", sql=sql, **more)


def wrong(system, sql):
    with pytest.raises(DatareeveError) as error:
        read(system, sql)
    return error.value


def test_each_file_and_each_folder_of_files_is_a_table(system):
    assert system.read("tables") == ["events", "lines", "orders", "people"]
    told = system.read("detected")
    assert {
        name: (one["format"], one["files"], one["pattern"], one["why_not"]) for name, one in told.items()
    } == {
        "events": ("parquet", 2, "events/*.parquet", ""),
        "lines": ("json", 1, "lines.jsonl", ""),
        "orders": ("csv", 1, "orders.csv", ""),
        "people": ("parquet", 1, "people.parquet", ""),
    }
    assert told["orders"]["columns"] == [
        {"name": "id", "type": "BIGINT"},
        {"name": "name", "type": "VARCHAR"},
        {"name": "at", "type": "DATE"},
    ]
    assert told["orders"]["options"]["delim"] == ","


def test_tables_are_asked_by_name_and_by_pattern(system):
    assert read(system, "SELECT count(*) FROM events", shape="scalar") == 20
    assert read(system, 'SELECT count(*) FROM files."events/*.parquet"', shape="scalar") == 20
    assert read(system, "SELECT name FROM orders WHERE id = ?", parameters=[3], shape="scalar") == 'a, "b"'
    assert read(system, "SELECT * FROM lines ORDER BY id", shape="rows") == [
        {"id": 1, "tag": "x"},
        {"id": 2, "tag": None},
    ]
    views = read(system, "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' ORDER BY 1", shape="column")  # fmt: skip
    assert views == ["events", "lines", "orders", "people"]


def test_what_it_is_and_what_answers_by_name(system, lake):
    told = system.read("server")
    assert (told["path"], told["tables"], told["files"]) == (str(lake), 4, 5)
    assert system.identity().startswith("folder:")
    asked = system.read(
        "ask", statements={"good": "SELECT count(*) AS n FROM people", "bad": "SELECT nope FROM people"}
    )
    assert asked == {"good": [{"n": 100}], "bad": None}


@pytest.mark.parametrize(
    "hostile",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_text('{lake}/notes.md')",
        "COPY people TO '{lake}/out.csv'",
        "COPY (SELECT 1) TO '{lake}/people.parquet' (USE_TMP_FILE false)",
        "CREATE TABLE t (x INT)",
        "CREATE OR REPLACE VIEW people AS SELECT 1",
        "SET allowed_directories = ['/']",
        "ATTACH '{lake}/x.duckdb'",
        "INSTALL httpfs",
        "SELECT 1; DROP VIEW people",
        "PRAGMA enable_profiling",
        "EXPLAIN ANALYZE SELECT 1 FROM people",
    ],
)
def test_nothing_else_is_opened_and_nothing_is_written(system, lake, hostile):
    before = {path: path.read_bytes() for path in lake.rglob("*") if path.is_file()}
    error = wrong(system, hostile.format(lake=lake))
    assert isinstance(error, (Refused, BadInput, Failed))
    assert {path: path.read_bytes() for path in lake.rglob("*") if path.is_file()} == before


def test_links_that_lead_out_and_declared_ways_out_are_not_followed(tmp_path, lake):
    (tmp_path / "secret.csv").write_text(f"a\n{CANARY}\n")
    (lake / "link.csv").symlink_to(tmp_path / "secret.csv")
    assert "link" not in servers.elsewhere(tmp_path, lake={"kind": "folder", "path": "lake"})["lake"].read(
        "tables"
    )
    for pattern in ("../secret.csv", str(tmp_path / "secret.csv")):
        assert wrong(declared(tmp_path, out=pattern), "SELECT * FROM out").code == "folder.outside"
    assert wrong(declared(tmp_path, out="link.csv"), "SELECT * FROM out").code == "folder.vanished"


def test_declared_tables_are_patterns_below_the_folder(tmp_path, lake):
    system = declared(tmp_path, happenings="events/*.parquet", gone="gone/*.parquet")
    assert read(system, "SELECT count(*) FROM happenings", shape="scalar") == 20
    error = wrong(system, "SELECT count(*) FROM gone")
    assert (error.code, "gone/*.parquet" in error.what) == ("folder.vanished", True)


def _half_parquet(lake):
    whole = (lake / "people.parquet").read_bytes()
    (lake / "people.parquet").write_bytes(whole[:-20])


def _other_columns(lake):
    with duckdb.connect() as made:
        made.execute(f"COPY (SELECT 3 AS day, '{CANARY}' AS name) TO '{lake}/events/3.parquet'")


def _half_line(lake):
    with (lake / "orders.csv").open("a") as file:
        file.write(f"10,{CANARY}")


def _other_header(lake):
    (lake / "orders.csv").rename(lake / "events" / "x")
    (lake / "orders").mkdir()
    (lake / "events" / "x").rename(lake / "orders" / "1.csv")
    (lake / "orders" / "2.csv").write_text("id,at,name\n1,2024-01-01,x\n")


BROKEN = {
    "half a Parquet file": (_half_parquet, "people", "folder.half-written", "people.parquet"),
    "an empty Parquet file": (lambda lake: (lake / "people.parquet").write_bytes(b""), "people", "folder.empty-file", "people.parquet"),
    "text as Parquet": (lambda lake: (lake / "people.parquet").write_text(CANARY * 100), "people", "folder.half-written", "people.parquet"),
    "other columns": (_other_columns, "events", "folder.mixed-schema", "events/3.parquet"),
    "an empty CSV file": (lambda lake: (lake / "orders.csv").write_text(""), "orders", "folder.empty-file", "orders.csv"),
    "half a line": (_half_line, "orders", "folder.csv", "orders.csv"),
    "another order": (_other_header, "orders", "folder.mixed-schema", "orders/2.csv"),
    "half of JSON": (lambda lake: (lake / "lines.jsonl").write_text(f'{{"id": 1}}\n{{"id": "{CANARY}'), "lines", "folder.json", "lines.jsonl"),
    "formats side by side": (lambda lake: (lake / "events" / "x.csv").write_text("a\n1\n"), "events", "folder.format", "events"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_cannot_be_read_is_named_and_takes_no_other_table(system, lake, case):
    spoil, table, code, file = BROKEN[case]
    spoil(lake)
    sql = f"SELECT count(*) AS n, max({'name' if table == 'orders' else 'id'}) AS m FROM {table}"
    error = wrong(system, sql)
    assert (error.code, file in error.what) == (code, True), error
    others = [
        {"id": name, "sql": f"SELECT count(*) AS n FROM {name}"}
        for name in ("people", "events", "orders", "lines")
    ]
    told = system.read("measure", statements=[{"id": "broken", "sql": sql}, *others])["statements"]
    assert told["broken"]["error"]["code"] == code
    assert [name for name, one in told.items() if "rows" not in one and name not in ("broken", table)] == []
    assert CANARY not in f"{error} {told} {system.read('detected')}"


def test_a_file_that_is_written_meanwhile_is_told(system, lake, monkeypatch):
    def write(_):
        os.utime(lake / "people.parquet", ns=(1, 1))

    monkeypatch.setattr(measure_module, "sleep", write)
    count = "SELECT count(*) AS n FROM people"
    told = system.read("measure", statements=[{"id": "a", "sql": count}, {"id": "b", "sql": count}])
    assert told["statements"]["a"]["rows"] == [{"n": 100}]
    assert told["statements"]["b"]["error"]["code"] == "folder.changed"
    assert (told["snapshot"], told["snapshots"]) == (None, 0)


def test_what_later_rows_hold_is_detected_too(tmp_path, lake):
    (lake / "late.csv").write_text("id,amount\n" + "1,2\n" * 30_000 + 'x,"2,5"\n')
    system = servers.elsewhere(tmp_path, lake={"kind": "folder", "path": "lake"})["lake"]
    assert read(system, "SELECT count(*) AS n, max(id) AS id FROM late", shape="row") == {
        "n": 30_001,
        "id": "x",
    }


def test_packed_files_hostile_names_and_folders_by_value(tmp_path, lake):
    with gzip.open(lake / "packed.csv.gz", "wt") as file:
        file.write("a,b\n1,2\n")
    (lake / 'o"dd näme; DROP.csv').write_text('"c""ol","sp ace"\n1,2\n')
    (lake / "parts" / "year=2013").mkdir(parents=True)
    (lake / "parts" / "year=2013" / "a.csv").write_text("n\n5\n")
    system = servers.elsewhere(tmp_path, lake={"kind": "folder", "path": "lake"})["lake"]
    assert read(system, "SELECT b FROM packed", shape="scalar") == 2
    assert read(system, 'SELECT sum("c""ol") FROM "o""dd näme; DROP"', shape="scalar") == 1
    assert read(system, "SELECT year, n FROM parts", shape="row") == {"year": 2013, "n": 5}


def test_a_table_of_a_thousand_columns_and_one_of_none_are_read(tmp_path, lake):
    (lake / "wide.csv").write_text(
        ",".join(f"c{n}" for n in range(1000)) + "\n" + ",".join("1" * 1000) + "\n"
    )
    (lake / "header.csv").write_text("a,b\n")
    system = servers.elsewhere(tmp_path, lake={"kind": "folder", "path": "lake"})["lake"]
    assert read(system, "SELECT c999 FROM wide", shape="scalar") == 1
    assert read(system, "SELECT count(*) AS n FROM header", shape="scalar") == 0


@pytest.mark.parametrize("path", ["nowhere", "file"])
def test_a_folder_that_is_none_is_unreachable(tmp_path, path):
    (tmp_path / "file").write_text("")
    system = servers.elsewhere(tmp_path, lake={"kind": "folder", "path": path})["lake"]
    with pytest.raises(Unreachable):
        system.read("measure", statements=[{"id": "a", "sql": "SELECT 1"}])
    with pytest.raises(Unreachable):
        system.identity()
