import json

import psycopg
import pytest

from datareeve.systems import sample_data, sample_workload


@pytest.fixture(scope="module")
def loaded(pg18):
    """The URL of the demo's database, loaded once."""
    yield sample_data.create(pg18.url, "sample")
    with pg18.connect() as admin:
        admin.execute("DROP DATABASE sample WITH (FORCE)")


@pytest.fixture
def clone(pg18, loaded):
    with pg18.database(template="sample") as url:
        yield url


def ask(url, sql):
    with psycopg.connect(url) as connection:
        return connection.execute(sql).fetchall()


def test_every_row_of_the_package_is_loaded(loaded):
    counts = {
        table: ask(loaded, f"SELECT count(*) FROM {table}")[0][0]
        for table in (*sample_data.TABLES, "passengers", "bookings")
    }
    assert counts == {
        "airlines": 16, "airports": 1458, "planes": 3322, "weather": 26115, "flights": 336776, "passengers": 20000, "bookings": 56129,
    }  # fmt: skip


def test_missing_values_are_null_and_orphans_stay(loaded):
    assert ask(
        loaded,
        "SELECT count(*) FILTER (WHERE tailnum IS NULL), count(*) FILTER (WHERE dep_time IS NULL) FROM flights",
    ) == [(2512, 8255)]
    planes = "SELECT count(*) FROM flights f WHERE tailnum IS NOT NULL AND NOT EXISTS (SELECT FROM planes p WHERE p.tailnum = f.tailnum)"
    airports = "SELECT count(*) FROM flights f WHERE NOT EXISTS (SELECT FROM airports a WHERE a.faa = f.dest)"
    assert ask(loaded, planes) == [(50094,)]
    assert ask(loaded, airports) == [(7602,)]


def test_nothing_is_declared_and_nothing_is_indexed(loaded):
    assert ask(
        loaded,
        "SELECT count(*) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'",
    ) == [(0,)]
    assert ask(loaded, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'") == [(0,)]


def test_nobody_real_is_among_the_passengers(loaded):
    assert ask(
        loaded,
        "SELECT count(*) FROM passengers WHERE email NOT LIKE '%@example.com' OR phone NOT LIKE '+1-202-555-01__'",
    ) == [(0,)]


def test_the_same_seed_asks_the_same_statements(pg18, loaded, tmp_path):
    told = []
    for name in ("first", "second"):
        with pg18.database(template="sample") as url:
            sample_workload.record(url, tmp_path / name, share=0.05)
        lines = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        told.append(
            [[(line["sql"], line["parameters"]) for line in lines if line["session"] == n] for n in range(4)]
        )
    assert told[0] == told[1]


def test_the_trace_holds_what_was_asked_and_how_long_it_took(clone, tmp_path):
    progress = []
    count = sample_workload.record(
        clone, tmp_path / "data" / "trace.jsonl", share=0.05, progress=progress.append
    )
    lines = [json.loads(line) for line in (tmp_path / "data" / "trace.jsonl").read_text().splitlines()]
    assert len(lines) == count == len(progress)
    assert lines == sorted(lines, key=lambda line: line["at"])
    assert {tuple(line) for line in lines} == {("at", "session", "sql", "parameters", "ms", "rows")}
    assert all(line["ms"] > 0 and line["rows"] >= 0 for line in lines)
    assert {line["session"] for line in lines} == {0, 1, 2, 3}


def test_the_workload_reads_writes_and_has_n_plus_one_in_it(clone, tmp_path):
    sample_workload.record(clone, tmp_path / "trace", share=0.05)
    asked = [json.loads(line)["sql"] for line in (tmp_path / "trace").read_text().splitlines()]
    boards, airlines = asked.count(sample_workload.BOARD), asked.count(sample_workload.AIRLINE)
    assert airlines > boards > 0
    assert {sql.split()[0] for sql in asked} == {"SELECT", "INSERT", "UPDATE"}
