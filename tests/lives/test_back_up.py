"""Backing up, from nothing to undone, through the runner."""

import pytest

import backup_rig
from datareeve.capabilities.databases.operations.back_up import BackUp
from datareeve.capabilities.databases.operations.prune_backups import PruneBackups
from datareeve.capabilities.databases.operations.set_up_backups import SetUpBackups

SETTINGS = "SELECT name, setting FROM pg_settings WHERE name LIKE 'archive%' AND name <> 'archive_cleanup_command' ORDER BY 1"
SERVERS = [None, pytest.param(backup_rig.DEBIAN, marks=pytest.mark.system)]


@pytest.fixture
def fresh():
    with backup_rig.place() as place:
        yield place


def claims(outcome):
    return {
        check.claim.text.replace(outcome.run, "B"): check.verdict.value for check in outcome.parts[0].checks
    }


@pytest.mark.parametrize("binaries", SERVERS)
def test_a_backup_is_taken_with_an_archive_is_quiet_the_second_time_and_is_undone(binaries):
    with backup_rig.place(binaries) as place:
        before = place.sql(SETTINGS)
        plan = place.plan(BackUp(system="app"))
        assert [(step.id, step.restarts) for step in plan.steps] == [
            ("archive-wal", True),
            ("base-backup", False),
        ]
        assert plan.fingerprint == place.plan(BackUp(system="app")).fingerprint
        outcome = place.runner.apply(plan, by="test")
        assert (outcome.status, claims(outcome)) == (
            "done",
            {
                "every byte of backup B is as it was taken": "holds",
                "app archives its WAL": "holds",
                "the archive holds all WAL since backup B": "holds",
            },
        )
        assert [entry["label"] for entry in place.app.read("backups")] == [outcome.run]
        assert (
            place.plan(BackUp(system="app")).nothing_to_do
            == f"Backup {outcome.run} is whole and younger than 24 hours."
        )
        assert place.runner.undo(outcome.run, by="test").status == "undone"
        assert (place.app.read("backups"), place.sql(SETTINGS)) == ([], before)


def test_a_second_backup_leaves_the_first_and_its_undo_too(fresh):
    first = fresh.do(BackUp(system="app"))
    plan = fresh.plan(BackUp(system="app", max_age_hours=0))
    assert [step.id for step in plan.steps] == ["base-backup"]
    second = fresh.runner.apply(plan, by="test")
    assert [entry["label"] for entry in fresh.app.read("backups")] == [first.run, second.run]
    fresh.runner.undo(second.run, by="test")
    assert [entry["label"] for entry in fresh.app.read("backups")] == [first.run]
    assert fresh.app.read("damaged_files", label=first.run) == []


def test_a_damaged_newest_backup_is_not_enough(fresh):
    first = fresh.do(BackUp(system="app"))
    (fresh.folder / "base" / first.run / "data" / "PG_VERSION").unlink()
    assert [step.id for step in fresh.plan(BackUp(system="app")).steps] == ["base-backup"]


def test_another_tools_archiving_is_left_alone_and_told():
    with backup_rig.place(archive_mode="on", archive_command="/bin/true") as place:
        outcome = place.do(BackUp(system="app"))
        assert (outcome.status, [step.step for step in outcome.parts[0].steps]) == ("done", ["base-backup"])
        assert place.sql("SHOW archive_command")[0]["archive_command"] == "/bin/true"
        finding = next(f for f in outcome.parts[0].findings if f.rule == "no-point-in-time-recovery")
        assert finding.why == "Another tool archives this server's WAL; its command is left alone."
        assert place.app.read("backups")[0]["archived"] is False


def test_a_server_out_of_reach_is_backed_up_and_told_what_a_disaster_would_cost():
    with backup_rig.place(control=False) as place:
        outcome = place.do(BackUp(system="app"))
        assert (outcome.status, [step.step for step in outcome.parts[0].steps]) == ("done", ["base-backup"])
        assert [f.rule for f in outcome.parts[0].findings] == ["no-point-in-time-recovery"]
        again = place.plan(BackUp(system="app"))
        assert "younger than 24 hours" in again.nothing_to_do
        assert again.findings[0].figures["rpo_hours"] < 0.1


def test_a_role_without_replication_is_told_the_statement_to_paste(fresh):
    fresh.sql("CREATE ROLE app_reader LOGIN", "GRANT SELECT ON t TO app_reader")
    entry = fresh.registry["app"].entry
    fresh.registry["app"].entry = entry.model_copy(
        update={"url": fresh.server.url.replace("postgres@", "app_reader@")}
    )
    plan = fresh.plan(BackUp(system="app"))
    assert (plan.steps, plan.nothing_to_do) == ((), "")
    assert "ALTER ROLE app_reader REPLICATION;" in plan.blockers[0]


def test_old_backups_and_their_wal_go_when_asked_and_the_kept_one_still_restores(fresh):
    runs = [fresh.do(BackUp(system="app", max_age_hours=0)).run for _ in range(3)]
    plan = fresh.plan(PruneBackups(system="app", keep=1))
    assert [step.id for step in plan.steps][:2] == [f"remove {runs[0]}", f"remove {runs[1]}"]
    assert all(
        step.effect == "irreversible" and step.no_undo.startswith("IRREVERSIBLE") for step in plan.steps
    )
    segments = len(list(fresh.wal.glob("*.gz")))
    assert fresh.runner.apply(plan, by="test").status == "done"
    assert len(list(fresh.wal.glob("*.gz"))) < segments
    assert [entry["label"] for entry in fresh.app.read("backups")] == [runs[2]]
    assert fresh.app.read("missing_wal", label=runs[2], thorough=True) == []
    assert fresh.plan(PruneBackups(system="app", keep=1)).nothing_to_do


def test_backups_are_set_up_whole_and_taken_back_whole(fresh):
    before = fresh.sql(SETTINGS)
    plan = fresh.plan(SetUpBackups(system="app"))
    assert [(part.part_id, part.operation, part.needs) for part in plan.parts] == [
        ("1", "databases.back-up", ()),
        ("2", "databases.drill-restore", ("1",)),
        ("3", "databases.schedule-backups", ()),
    ]
    outcome = fresh.runner.apply(plan, by="test")
    assert [part.status for part in outcome.parts] == ["done", "done", "done"]
    assert outcome.parts[1].figures["differing"] == 0
    assert "decision: allow" in outcome.parts[2].findings[0].instead
    assert fresh.registry["estate"].read("get", where=["schedules", "back-up-app", "cron"]) == "15 2 * * *"
    again = fresh.plan(SetUpBackups(system="app"))
    assert again.nothing_to_do == "Backups are taken, drilled and scheduled."
    assert fresh.runner.apply(again, by="test").status == "nothing to do"
    assert fresh.runner.undo(outcome.run, by="test").status == "undone"
    assert (fresh.app.read("backups"), fresh.app.read("last_drill"), fresh.sql(SETTINGS)) == (
        [],
        None,
        before,
    )
    assert fresh.registry["estate"].read("get", where=["schedules"]) is None
