"""Pipelines that publish to a folder of Parquet files: what a reader of the newest manifest sees, what an audit, an undo and a second publisher do to it."""

import json
import os
import re
import resource
import shutil
from pathlib import Path

import duckdb
import pytest
import yaml

from pipelines_flow_rig import CANARY, Project, said, source, target

SCHEMA = (
    "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(10,2), seen timestamptz NOT NULL)",
    "INSERT INTO t SELECT g, 'row ' || g, g / 7.0, timestamptz '2026-01-01' + interval '1 min' * g FROM generate_series(1, 1000) g",
)
NEWS = (
    "INSERT INTO t SELECT g, 'new', 1, timestamptz '2026-02-02' + interval '1 s' * g FROM generate_series(1001, 1010) g",
    "UPDATE t SET v = 'changed', seen = '2026-02-01' WHERE id % 100 = 0",
)
UPSERT = {"source": {"system": "app", "table": "t"}, "mode": "upsert", "keys": ["id"], "cursor": "seen", "batch_rows": 300}  # fmt: skip
APPEND = {**UPSERT, "mode": "append", "keys": []}
FULL = {"source": {"system": "app", "table": "t"}, "mode": "full", "keys": ["id"], "batch_rows": 300}


@pytest.fixture
def url(pg18):
    with pg18.database(*SCHEMA) as made:
        yield made


@pytest.fixture
def world(url, tmp_path):
    with Project(tmp_path / "one", systems(url)) as project:
        yield project


def systems(url):
    return {"app": {"kind": "postgresql", "url": url}, "there": target("folder")}


def root(project):
    return project.folder / project.systems["there"]["path"]


def manifests(project):
    return sorted(root(project).glob("_datareeve/*.json"))


def files(project):
    """All Parquet files that lie there."""
    return sorted(str(path.relative_to(root(project))) for path in root(project).rglob("*.parquet"))


def named(project, table="t"):
    """Those that the newest manifest names for a table."""
    return sorted(json.loads(manifests(project)[-1].read_text())["tables"][table]["files"])


def model(project, name, text):
    (project.folder / f"etl/{name}.sql").write_text(text)


def count(project, where="TRUE", table="t"):
    return project.rows(f"SELECT count(*) FROM {table} WHERE {where}")[0][0]


# -- what is published ---------------------------------------------------------------------------------------------------------------------


def test_rows_and_cursor_become_visible_with_one_manifest_and_batches_are_files_at_once(world):
    world.pipeline(loads={"t": FULL})
    outcome = world.done()
    assert count(world) == 1000
    assert len(manifests(world)) == 1
    assert files(world) == named(world)
    assert len(files(world)) == 4  # a batch is a file, written once
    assert all(re.fullmatch(rf"t/{outcome.run}-[0-9a-f]+\.parquet", one) for one in files(world))
    assert world.rows("SELECT typeof(id), typeof(v), typeof(n), typeof(seen) FROM t LIMIT 1") == [
        ("INTEGER", "VARCHAR", "DECIMAL(10,2)", "TIMESTAMP WITH TIME ZONE")
    ]


def test_the_lines_of_the_how_to_read_it_by_the_newest_manifest(world):
    world.pipeline(loads={"t": UPSERT})
    world.done()
    source(world.app.systems["app"].entry.url, *NEWS)
    world.done()
    told = (Path(__file__).parents[2] / "docs/how-to/lakehouse.md").read_text()
    lines = re.search(r"```sql\n(SET VARIABLE.*?)```", told, re.DOTALL)[1]
    with duckdb.connect() as connection:
        assert connection.execute(lines.replace("/data/published", str(root(world)))).fetchone() == (1010,)


def test_datareeve_reads_the_folder_by_its_manifest_only(world):
    world.pipeline(loads={"t": FULL})
    world.done()
    shutil.copy(root(world) / files(world)[0], root(world) / "t/stray.parquet")
    folder = world.app.systems["there"]
    assert folder.read("query", sql="SELECT count(*) FROM t", shape="scalar") == 1000
    assert folder.read("tables") == ["t"]


def test_rows_that_only_come_are_a_file_beside_the_old_ones(world):
    world.pipeline(loads={"t": APPEND})
    world.done()
    before = named(world)
    source(world.app.systems["app"].entry.url, NEWS[0])
    world.done()
    assert set(before) < set(named(world))
    assert len(named(world)) == len(before) + 1
    assert count(world) == 1010


def test_files_that_neither_reader_nor_undo_needs_go(world):
    world.pipeline(loads={"t": FULL})
    kept = []
    for _ in range(3):
        world.done()
        kept.append(named(world))
        source(world.app.systems["app"].entry.url, "UPDATE t SET v = v || '.' WHERE id = 1")
    assert files(world) == sorted(kept[1] + kept[2])


def test_a_table_without_rows_is_published_with_its_columns(world):
    world.pipeline(loads={"t": {**FULL, "source": {"system": "app", "query": "SELECT * FROM t WHERE false"}}})
    world.done()
    assert world.rows("SELECT * FROM t") == []
    assert world.rows("SELECT column_name FROM duckdb_columns() WHERE table_name = 't'") == [("id",), ("v",), ("n",), ("seen",)]  # fmt: skip


def test_models_are_tables_of_it_and_whole_sums_stay_exact(world):
    model(
        world,
        "sums",
        "SELECT id % 2 AS part, sum(CAST(id AS bigint) * 1000000000000000) AS total FROM t GROUP BY 1",
    )
    model(world, "parts", "SELECT count(*) AS n FROM sums")
    world.pipeline(loads={"t": FULL}, models={"sums": {"sql": "sums.sql"}, "parts": {"sql": "parts.sql"}})
    world.done()
    assert world.rows("SELECT total FROM sums ORDER BY part") == [(250500 * 10**15,), (250000 * 10**15,)]
    assert world.rows("SELECT n FROM parts") == [(2,)]
    world.done()
    assert count(world, table="sums") == 2


# -- audit, status, undo -------------------------------------------------------------------------------------------------------------------


def contract(project, rule):
    (project.folder / "contracts").mkdir(exist_ok=True)
    (project.folder / "contracts/t.yaml").write_text(
        yaml.safe_dump(
            {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "t", "version": "1.0.0", "status": "active", "name": "t",
             "servers": [{"server": "there", "type": "local", "path": str(root(project)), "format": "parquet"}],
             "schema": [{"name": "t", "properties": [{"name": "id", "logicalType": "integer", "quality": [rule]}]}]}
        )
    )  # fmt: skip


@pytest.mark.parametrize("load", [UPSERT, FULL, APPEND])
def test_a_build_that_breaks_its_contract_is_held_and_what_was_published_stays(world, load):
    world.pipeline(loads={"t": load})
    world.done()
    before = named(world)
    contract(world, {"metric": "rowCount", "mustBeLessThan": 1005})
    world.pipeline(loads={"t": load}, contract=["contracts/t.yaml"])
    source(world.app.systems["app"].entry.url, *NEWS)
    assert world.run().status != "done"
    assert (named(world), count(world)) == (before, 1000)
    contract(world, {"metric": "rowCount", "mustBeLessThan": 2000})
    world.done()
    assert count(world) == (1020 if load is APPEND else 1010)


def test_undo_publishes_the_former_files_again_and_the_next_run_brings_the_same_news(world):
    world.pipeline(loads={"t": UPSERT, "log": APPEND})
    world.done()
    before = sorted(world.rows("SELECT * FROM t")), count(world, table="log")
    source(world.app.systems["app"].entry.url, *NEWS)
    second = world.done()
    assert count(world, "v = 'changed'") == 10
    world.undo(second)
    assert (sorted(world.rows("SELECT * FROM t")), count(world, table="log")) == before
    world.done()
    assert (count(world), count(world, "v = 'changed'"), count(world, table="log")) == (1010, 10, 1020)


def test_an_undo_after_another_pipeline_published_the_table_is_refused(world):
    world.pipeline("one", loads={"t": FULL})
    one = world.done("one")
    (world.folder / "etl/one.yaml").unlink()
    world.pipeline("two", loads={"t": FULL})
    source(world.app.systems["app"].entry.url, *NEWS)
    world.done("two")
    assert "pipelines.superseded" in said(world.app.undo(one.run, by="test"))
    assert count(world) == 1010


def test_rejected_rows_are_counted_and_taken_again_once_they_fit(world):
    source(world.app.systems["app"].entry.url, f"UPDATE t SET v = '{CANARY}' WHERE id = 7")
    load = {**UPSERT, "columns": {"v": {"type": "integer"}}, "rejects": {"at_most_rows": 2000}}
    world.pipeline(loads={"t": load})
    world.done()
    assert count(world) == 0
    found = world.app.systems["pipelines"].read("rejected", pipeline="p", system="there", load="t")
    assert found["rows"] == 1000
    assert not [one for one in world.files_with(CANARY) if not one.endswith(".duckdb")]


# -- two publishers ------------------------------------------------------------------------------------------------------------------------


def test_of_two_projects_that_publish_to_one_folder_the_second_builds_upon_the_first(world, url, tmp_path):
    other_systems = systems(url)
    other_systems["there"] = {**other_systems["there"], "path": str(root(world))}
    world.pipeline(loads={"t": UPSERT})
    world.done()
    with Project(tmp_path / "two", other_systems) as other:
        other.pipeline(loads={"t": UPSERT})
        built = other.run(operation="pipelines.build")
        assert built.status == "done", said(built)
        source(url, *NEWS)
        world.done()  # comes between the other's build and its publication
        assert "pipelines." in other.refused(operation="pipelines.publish")
        assert count(world) == 1010
        other.done()
        source(url, "DELETE FROM t WHERE id = 1")
        other.pipeline("more", loads={"u": {**FULL, "source": {"system": "app", "table": "t"}}})
        other.done("more")  # another pipeline's tables lie beside, in peace
    assert (count(world), count(world, table="u")) == (1010, 1009)


# -- what goes wrong -----------------------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_only_read_is_named_and_is_no_target(url, tmp_path):
    given = systems(url)
    given["there"].pop("writable")
    (tmp_path / "there").mkdir()
    with Project(tmp_path, given) as project:
        project.pipeline(loads={"t": FULL})
        refused = project.refused()
    assert "pipelines.target-kind" in refused
    assert "writable: true" in refused


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"target": {"system": "there", "schema": "raw"}, "loads": {"t": FULL}}, "schema"),
        ({"loads": {"t": FULL}, "models": {"m": {"sql": "m.sql", "materialized": "view"}}}, "view"),
    ],
)
def test_what_a_folder_does_not_have_is_refused_by_name(world, given, why):
    model(world, "m", "SELECT id FROM t")
    world.pipeline(**given)
    refused = world.refused()
    assert "pipelines.of-databases" in refused
    assert why in refused


def test_a_bucket_is_refused_by_name(url, tmp_path):
    given = systems(url)
    given["there"]["path"] = "s3://bucket/prefix"
    with Project(tmp_path, given) as project:
        project.pipeline(loads={"t": FULL})
        assert "not to a bucket yet" in project.refused()


def test_a_type_that_parquet_would_round_is_refused_by_name(world):
    world.pipeline(
        loads={
            "t": {
                **FULL,
                "source": {"system": "app", "query": "SELECT id, seen - '2020-01-01' AS since FROM t"},
            }
        }
    )
    refused = world.refused()
    assert "pipelines.parquet-type" in refused
    assert "t.since" in refused


def test_a_full_disk_is_said_and_what_is_published_stays_and_the_next_run_goes_on(world):
    world.pipeline(loads={"t": {**FULL, "batch_rows": None}})
    world.done()
    before = named(world)
    source(world.app.systems["app"].entry.url, "INSERT INTO t SELECT g, (SELECT string_agg(md5(g || '-' || n), '') FROM generate_series(1, 40) n), 1, now() FROM generate_series(2001, 12000) g")  # fmt: skip
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6 * 2**20, hard))
    try:
        plan = world.plan()
        outcome = world.app.apply(plan, by="test", approved=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "pipelines.no-space" in said(outcome)
    assert (named(world), count(world)) == (before, 1000)
    world.done()
    assert count(world) == 11000


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_said(world):
    world.pipeline(loads={"t": FULL})
    root(world).mkdir()
    root(world).chmod(0o500)
    try:
        assert "pipelines.no-rights" in world.refused()
    finally:
        root(world).chmod(0o700)


def test_a_path_that_is_a_file_is_said(world):
    world.pipeline(loads={"t": FULL})
    root(world).write_text("a file")
    assert "folder.missing" in world.refused()


def test_a_published_file_that_was_removed_is_named_and_nothing_is_published_over_it(world):
    world.pipeline(loads={"t": APPEND})
    world.done()
    (root(world) / named(world)[0]).unlink()
    assert "pipelines.file-missing" in world.refused() or "folder.vanished" in world.refused()
