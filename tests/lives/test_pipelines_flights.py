"""The flights of New York: files to a database, from there to a warehouse with history, audited; a bad batch is held back, and released."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import flights_data
from datareeve.core.errors import NeedsApproval
from pipelines_flow_rig import Project, said, source

EXAMPLES = Path(__file__).parents[2] / "examples" / "etl"
CURRENT = "SELECT count(*), count(DISTINCT tailnum), sum(seats) FROM planes WHERE is_current"


@pytest.fixture
def project(tmp_path, database):
    with Project(
        tmp_path,
        {
            "app": {"kind": "postgresql", "url": database},
            "warehouse": {"kind": "duckdb", "path": "warehouse.duckdb"},
        },
    ) as made:
        (tmp_path / "landing").mkdir()
        (tmp_path / "contracts").mkdir()
        for table in ("airlines", "planes", "flights"):
            (tmp_path / f"landing/{table}.csv").write_bytes(flights_data.csv(table))
        for name in ("landing", "warehouse"):
            shutil.copy(EXAMPLES / f"{name}.yaml", tmp_path / "etl")
        shutil.copy(EXAMPLES / "planes.contract.yaml", tmp_path / "contracts/planes.yaml")
        yield made


def test_from_files_to_a_warehouse_with_history_where_a_bad_batch_is_held_back_and_released(project):
    project.done("landing")
    assert project.rows("SELECT count(*), count(dep_time), sum(distance)::bigint FROM flights", "app") == [
        (336776, 328521, 350217607)
    ]
    assert project.rows("SELECT count(*), count(year) FROM planes", "app") == [(3322, 3252)]

    project.done("warehouse")
    assert project.rows(
        "SELECT count(*), sum(flights), sum(arrived), sum(minutes_late) FROM daily_delays", "warehouse"
    ) == [(1095, 336776, 327346, 2257174)]
    (before,) = project.rows(CURRENT, "warehouse")
    assert before[:2] == (3322, 3322)

    # A plane is refitted: it has two versions, of which one is current.
    url = project.systems["app"]["url"]
    source(
        url,
        "UPDATE planes SET seats = seats - 10 WHERE tailnum = 'N10156'",
        "DELETE FROM planes WHERE tailnum = 'N102UW'",
    )
    project.done("warehouse")
    versions = (
        "SELECT seats, is_current, valid_to IS NULL FROM planes WHERE tailnum = '{}' ORDER BY valid_from"
    )
    assert project.rows(versions.format("N10156"), "warehouse") == [(55, False, False), (45, True, True)]
    assert project.rows(versions.format("N102UW"), "warehouse") == [(182, False, False)]

    # A batch that breaks the contract is held back: what was published stays.
    source(url, "UPDATE planes SET seats = 0 WHERE tailnum = 'N10575'")
    (published,) = project.rows(CURRENT, "warehouse")
    held = project.run("warehouse")
    assert held.status == "partly done"
    assert "kept its contracts" in said(held)
    assert "planes" in project.plan("warehouse", "pipelines.publish").summary
    assert project.rows(CURRENT, "warehouse") == [published]

    # No rule releases it, only a person who has seen this very plan.
    release = project.plan("warehouse", "pipelines.publish")
    with pytest.raises(NeedsApproval):
        project.app.apply(release, by="a schedule")
    outcome = project.app.apply(release, by="a person", approved=True)
    assert outcome.status == "done", said(outcome)
    assert project.rows(versions.format("N10575"), "warehouse") == [(55, False, False), (0, True, True)]

    # And taken back again.
    project.undo(outcome)
    assert project.rows(CURRENT, "warehouse") == [published]
    assert project.rows(versions.format("N10575"), "warehouse") == [(55, True, True)]


def test_an_undo_of_an_earlier_publication_is_refused_rather_than_told_as_done(tmp_path, database):
    with Project(
        tmp_path,
        {"app": {"kind": "postgresql", "url": database}, "there": {"kind": "duckdb", "path": "there.duckdb"}},
    ) as made:
        source(database, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
        made.pipeline(loads={"t": {"source": {"system": "app", "table": "t"}, "keys": ["id"]}})
        first = made.done()
        source(database, "INSERT INTO t VALUES (2)")
        second = made.done()
        assert "pipelines.superseded" in said(made.app.undo(first.run, by="test"))
        made.undo(second)
        assert made.rows("SELECT id FROM t") == [(1,)]
        assert "pipelines.superseded" in said(made.app.undo(first.run, by="test"))
        assert made.rows("SELECT id FROM t") == [(1,)]


def test_a_contract_that_names_the_schema_is_held_against_the_build(tmp_path, database, pg18):
    with (
        pg18.database() as there,
        Project(
            tmp_path,
            {"app": {"kind": "postgresql", "url": database}, "there": {"kind": "postgresql", "url": there}},
        ) as made,
    ):
        (tmp_path / "contracts").mkdir()
        contract = (
            (EXAMPLES / "planes.contract.yaml")
            .read_text()
            .replace("physicalName: planes", "physicalName: public.planes")
        )
        (tmp_path / "contracts/planes.yaml").write_text(
            contract.replace(
                "type: duckdb, database: warehouse",
                "type: postgresql, host: h, port: 1, database: d, schema: public",
            )
        )
        source(
            database,
            "CREATE TABLE planes (tailnum text PRIMARY KEY, seats int)",
            "INSERT INTO planes VALUES ('a', 1)",
        )
        made.pipeline(
            loads={"planes": {"source": {"system": "app", "table": "planes"}, "keys": ["tailnum"]}},
            contract="planes",
        )
        made.done()
        source(database, "UPDATE planes SET seats = 0")
        assert made.run().status == "partly done"
        assert made.rows("SELECT seats FROM planes") == [(1,)]


@pytest.mark.parametrize(
    ("given", "code"), [({"to": "raw.t"}, "pipelines.to-schema"), ({}, "pipelines.environment")]
)
def test_what_is_not_carried_out_is_refused(tmp_path, database, given, code):
    with Project(
        tmp_path,
        {"app": {"kind": "postgresql", "url": database}, "there": {"kind": "duckdb", "path": "there.duckdb"}},
        pipelines={"environment": "dev"} if not given else {},
    ) as made:
        source(database, "CREATE TABLE t (id int PRIMARY KEY)")
        made.pipeline(loads={"t": {"source": {"system": "app", "table": "t"}, **given}})
        assert code in made.refused()
