"""Restoring beside production, to the moment asked, and taking it away again."""

from datetime import datetime, timedelta

import psycopg
import pytest

import backup_rig
from datareeve.capabilities.databases.operations.restore import Restore
from datareeve.systems import pg_backup

SERVERS = [None, pytest.param(backup_rig.DEBIAN, marks=pytest.mark.system)]


@pytest.fixture(scope="module", params=SERVERS)
def archived(request):
    """A server that archives, with backup b1 and then a table that was made and, later, emptied."""
    with backup_rig.place(request.param) as place:
        place.archiving()
        place.sql("CREATE TABLE late AS SELECT 1 AS n")
        place.moment = place.sql("SELECT clock_timestamp() AS at")[0]["at"]
        place.sql("DELETE FROM late", "SELECT pg_switch_wal()")
        yield place


def restored(place, outcome):
    figures = outcome.parts[0].figures
    return psycopg.connect(
        host=figures["socket"], port=figures["port"], user="postgres", dbname="postgres", autocommit=True
    )


def test_the_data_comes_back_as_it_was_and_production_stays_as_it_is(archived):
    operation = Restore(system="app", moment=archived.moment.isoformat())
    outcome = archived.do(operation)
    assert outcome.status == "done"
    with restored(archived, outcome) as there:
        assert there.execute("SELECT n FROM late").fetchall() == [(1,)]
        assert there.execute("SELECT count(*) FROM t").fetchone() == (1000,)
        assert there.execute("SHOW archive_mode").fetchone() == ("off",)
        assert there.execute("SHOW port").fetchone() != (
            str(archived.server.url.split(":")[-1].split("/")[0]),
        )
        there.execute("INSERT INTO late VALUES (2)")
        there.execute("SELECT pg_switch_wal()")
    assert archived.sql("SELECT count(*) AS n FROM late") == [{"n": 0}]
    assert not list(archived.wal.glob("00000002*"))  # its timeline must not reach production's archive
    assert "runs already" in archived.plan(operation).nothing_to_do
    assert archived.runner.undo(outcome.run, by="test").status == "undone"
    assert list((archived.folder / "restored").iterdir()) == []
    assert operation_is_planned_again(archived, operation)


def operation_is_planned_again(place, operation):
    return [step.id for step in place.plan(operation).steps] == ["restore"]


def test_the_latest_moment_has_the_last_archived_commit(archived):
    outcome = archived.do(Restore(system="app"))
    with restored(archived, outcome) as there:
        assert there.execute("SELECT count(*) FROM late").fetchone() == (0,)
    archived.runner.undo(outcome.run, by="test")


def test_a_restore_works_while_production_is_down(archived):
    archived.registry["app"].close()
    archived.server.local.stop()
    try:
        outcome = archived.do(Restore(system="app"))
        assert outcome.status == "done"
        archived.app.perform(
            "remove_restored", run="r", target=outcome.parts[0].checks[0].claim.call.arguments["target"]
        )
    finally:
        archived.server.local.start()


def test_a_moment_after_the_archive_ends_fails_and_leaves_nothing(archived):
    future = (archived.moment + timedelta(days=1)).isoformat()
    outcome = archived.do(Restore(system="app", moment=future))
    part = outcome.parts[0]
    assert (part.status, part.steps[0].error.split(":")[0]) == ("undone", "restore.not-reached")
    assert list((archived.folder / "restored").iterdir()) == []


def test_a_gap_after_the_moment_does_not_stand_in_its_way(archived):
    archived.sql("INSERT INTO t VALUES (0, 'after')")
    last = archived.sql("SELECT pg_walfile_name(pg_switch_wal()) AS name")[0]["name"]
    pg_backup.wait_archived(archived.app, archived.wal.name, last)
    with backup_rig.instead(archived.wal / f"{last}.gz", b"broken"):
        latest = archived.do(Restore(system="app"))
        before = archived.do(Restore(system="app", moment=archived.moment.isoformat()))
    assert (
        latest.parts[0].steps[0].error == f"backup.wal-gap: Archived WAL is not whole: {last}.gz: unreadable."
    )
    assert before.status == "done"
    archived.runner.undo(before.run, by="test")


def test_a_moment_before_the_first_backup_is_not_promised(archived):
    plan = archived.plan(Restore(system="app", moment="2020-01-01T00:00:00+00:00"))
    assert (plan.steps, plan.blockers) == (
        (),
        (
            "app has no backup that was finished before 2020-01-01T00:00:00+00:00; the catalogue holds 1. databases.back-up takes one.",
        ),
    )


@pytest.mark.parametrize("moment", ["yesterday", "2025-07-20T14:00:00"])
def test_a_moment_that_is_not_one_is_said_so(moment):
    with pytest.raises(ValueError, match="2025-07-20T14:00:00"):
        Restore(system="app", moment=moment)


def test_a_moment_in_another_zone_is_the_same_moment():
    assert Restore(system="app", moment="2025-07-20T16:00:00+02:00") == Restore(
        system="app", moment="2025-07-20T14:00:00+00:00"
    )


@pytest.mark.parametrize("below", ["", "/base", "/.."])
def test_production_is_never_restored_over(archived, below):
    plan = archived.plan(Restore(system="app", target=f"{archived.server.local.data}{below}"))
    assert (plan.steps, plan.blockers[0].split(":")[0]) == ((), "restore.production")


def test_a_folder_with_files_of_others_is_not_touched(archived):
    folder = archived.project / "occupied"
    folder.mkdir()
    (folder / "file").write_text("mine")
    plan = archived.plan(Restore(system="app", target=str(folder)))
    assert (plan.steps, plan.blockers[0].split(":")[0]) == ((), "restore.occupied")


def test_a_damaged_backup_is_not_offered(archived):
    version = archived.folder / "base" / "b1" / "data" / "PG_VERSION"
    with backup_rig.instead(version, None):
        plan = archived.plan(Restore(system="app"))
    assert plan.blockers == ("Backup b1 is damaged (data/PG_VERSION: missing). Name another with --label.",)


def test_a_half_made_restore_is_removed_by_its_undo(archived):
    place = archived.folder / "restored" / "half"
    record = {
        "label": "b1",
        "moment": "latest",
        "port": 1024,
        "socket": str(archived.project / "gone"),
        "finished": None,
        "version_num": archived.app.read("server")["version_num"],
    }
    place.mkdir(parents=True)
    pg_backup.write_json(place / "restore.json", record)
    (place / "data").mkdir()
    (place / "data" / "PG_VERSION").write_text("18")
    assert archived.app.read("restored_state", target="half") == "unfinished"
    archived.app.perform("remove_restored", run="r", target="half")
    archived.app.perform("remove_restored", run="r", target="half")
    assert archived.app.read("restored_state", target="half") is None


def test_moments_are_told_in_utc(archived):
    finished = datetime.fromisoformat(archived.app.read("backups")[0]["finished"])
    assert finished.utcoffset() == timedelta(0)
