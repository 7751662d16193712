from pathlib import Path

import pytest

import flights_data
import servers
from datareeve.core.errors import Failed
from datareeve.core.estate import WorkloadSource
from datareeve.systems import pg_server
from datareeve.systems.pg_copy import copy_of
from datareeve.systems.pg_dumping import Lines

SCHEMA = (
    "CREATE TABLE t (id int PRIMARY KEY, name text)",
    "INSERT INTO t SELECT n, 'name ' || n FROM generate_series(1, 5000) n",
    "CREATE TABLE u (t int REFERENCES t)",
)
TRACE = """{"sql": "SELECT * FROM t WHERE name = %s", "parameters": ["name 7"], "ms": 1}
{"sql": "INSERT INTO t VALUES (%s, %s)", "parameters": [100000, "new"], "ms": 1}
"""


@pytest.fixture
def registry(tmp_path, pg18):
    (tmp_path / "trace.jsonl").write_text(TRACE)
    with pg18.database(*SCHEMA) as url:
        made = servers.registry(tmp_path, url, workload=WorkloadSource(kind="trace", path="trace.jsonl"))
        yield made
        made.close()


def test_a_copy_holds_rows_keys_and_statistics_and_nothing_done_to_it_reaches_the_original(
    registry, tmp_path
):
    said = []
    with copy_of(registry["app"], tmp_path, progress=said.append) as copy:
        assert (copy.name, copy.kind, copy.differs) == ("app", "postgresql", "")
        assert (
            copy.read("query", sql="SELECT reltuples FROM pg_class WHERE relname = 't'", shape="scalar")
            == 5000
        )
        assert (
            copy.read(
                "query",
                sql="SELECT count(*) FROM pg_constraint WHERE conrelid = 'u'::regclass",
                shape="scalar",
            )
            == 1
        )
        copy.perform("execute", sql="DROP TABLE u")
        data = Path(copy.local_server.data)
    assert registry["app"].read("query", sql="SELECT to_regclass('u') IS NOT NULL", shape="scalar")
    assert not data.exists()
    assert said[0].startswith("copying app (")


def test_hidden_indexes_are_out_of_the_planners_sight_and_back_afterwards(registry, tmp_path):
    with copy_of(registry["app"], tmp_path) as copy:
        copy.perform("execute", sql="CREATE INDEX by_name ON t (name)")
        hidden, shown = (copy.read("evaluate", hidden=names) for names in (["public.by_name"], []))
        read = next(key for key, run in hidden.items() if run["wal_bytes"] == 0)
        write = next(key for key in hidden if key != read)
        assert (hidden[read]["indexes"], shown[read]["indexes"]) == ([], ["by_name"])
        assert hidden[read]["buffers"] > shown[read]["buffers"]
        assert shown[write]["wal_bytes"] > hidden[write]["wal_bytes"] > 0
        assert copy.read("query", sql="SELECT count(*) FROM t", shape="scalar") == 5000
        assert copy.read("query", sql="SELECT to_regclass('by_name') IS NOT NULL", shape="scalar")


def test_a_plan_that_there_is_no_time_to_execute_is_estimated_by_its_cost_from_one_that_was(
    registry, tmp_path
):
    with copy_of(registry["app"], tmp_path) as copy:
        copy.perform("execute", sql="CREATE INDEX by_name ON t (name)")
        nothing = copy.read("evaluate", hidden=[], execute=False)
        shown = copy.read("evaluate", hidden=[])
        hidden = copy.read("evaluate", hidden=["public.by_name"], execute=False)
        read = next(key for key, run in shown.items() if run["wal_bytes"] == 0)
    assert nothing[read]["cpu_ms"] is None
    assert (shown[read]["indexes"], hidden[read]["indexes"]) == (["by_name"], [])
    factor = hidden[read]["cost"] / shown[read]["cost"]
    assert factor > 5
    assert hidden[read]["cpu_ms"] == pytest.approx(shown[read]["cpu_ms"] * factor, rel=0.01)


def test_a_database_too_large_is_refused_before_anything_is_made(registry, tmp_path):
    with pytest.raises(Failed) as refused, copy_of(registry["app"], tmp_path / "copies", max_bytes=1_000_000):
        pass
    assert refused.value.code == "copy.too-large"
    assert not (tmp_path / "copies").exists()


def test_a_real_database_is_copied_whole(pg18, tmp_path):
    with pg18.database(template=flights_data.template(pg18)) as url:
        registry = servers.registry(tmp_path, url)
        with copy_of(registry["app"], tmp_path) as copy:
            assert copy.read("query", sql="SELECT count(*) FROM flights", shape="scalar") == 336776
        registry.close()


def test_what_the_receiving_server_would_reject_is_taken_out_of_definitions():
    lines = Lines({"C"})
    assert lines.changed(b"ALTER TABLE ONLY public.t ALTER COLUMN a SET (pg_attver=1);\n") == b"\n"
    assert lines.changed(b'    a text COLLATE pg_catalog."de_DE.utf8",\n') == b"    a text,\n"
    assert lines.changed(b'    a text COLLATE pg_catalog."C",\n') == b'    a text COLLATE pg_catalog."C",\n'
    assert lines.missing == {"de_DE.utf8"}


@pytest.mark.system
def test_a_copy_is_of_the_originals_own_version_where_its_binaries_are_here(tmp_path):
    with (
        servers.server(binaries=Path("/usr/lib/postgresql/15/bin")) as server,
        server.database(
            *SCHEMA, "CREATE EXTENSION pg_trgm", "CREATE INDEX ON t USING gin (name gin_trgm_ops)"
        ) as url,
    ):
        registry = servers.registry(tmp_path, url)
        with copy_of(registry["app"], tmp_path) as copy:
            assert copy.differs == ""
            assert copy.read("server")["version_num"] // 10000 == 15
            assert copy.read("query", sql="SELECT to_regclass('t_name_idx') IS NOT NULL", shape="scalar")
            assert copy.read("query", sql="SELECT count(*) FROM t", shape="scalar") == 5000
        registry.close()


def test_a_copy_whose_process_was_killed_is_removed_by_the_next(registry, tmp_path):
    gone = 2**22 + 1  # above any process id
    local, _ = pg_server.initialise(tmp_path / f"copy-{gone}-abandoned")
    with copy_of(registry["app"], tmp_path):
        assert not local.data.exists()
        assert not local.running()


def test_a_statement_that_does_not_end_counts_as_the_time_it_was_given(pg18, tmp_path):
    (tmp_path / "trace.jsonl").write_text(
        '{"sql": "SELECT count(*) FROM generate_series(1, %s)", "parameters": [10000000000], "ms": 1}\n'
    )
    with pg18.database() as url:
        made = servers.registry(tmp_path, url, workload=WorkloadSource(kind="trace", path="trace.jsonl"))
        with copy_of(made["app"], tmp_path) as copy:
            (family,) = copy.read("workload")["families"]
            told = copy.read("evaluate", hidden=[], longest_ms={family["fingerprint"]: 200.0})
            (again,) = copy.read("interleaved", hidden=[[]], fingerprints=list(told), rounds=1)
        made.close()
    assert [(run["ms"], run["is_floor"]) for run in (*told.values(), *again.values())] == [(200.0, True)] * 2
