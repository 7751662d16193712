"""What the backup operations decide, as data: facts in, steps out."""

import pytest

from datareeve.capabilities.databases.backups import Backup, BackupFacts
from datareeve.capabilities.databases.operations.back_up import BackUp
from datareeve.capabilities.databases.operations.drill_restore import DrillFacts, DrillRestore
from datareeve.capabilities.databases.operations.prune_backups import PruneBackups, PruneFacts
from datareeve.capabilities.databases.operations.restore import Restore, RestoreFacts
from datareeve.capabilities.databases.operations.schedule_backups import ScheduleBackups, ScheduleFacts

COMMAND = "archive %p # datareeve"
NOW = {
    "archive_mode": "off",
    "archive_command": "(disabled)",
    "archive_library": "",
    "archive_timeout_seconds": 0,
    "wal_level": "replica",
    "max_wal_senders": 10,
    "may_switch_wal": True,
    "bytes": 1000,
}
ARCHIVING = {**NOW, "archive_mode": "on", "archive_command": COMMAND, "archive_timeout_seconds": 300}


def backup(label="b1", *, age_hours=1.0, archived=True):
    return Backup(
        label=label,
        finished="2025-07-20T01:00:00+00:00",
        bytes=900,
        wal_start=f"0000000100000000000000{label[1:]:0>2}",
        archived=archived,
        version_num=180004,
        age_hours=age_hours,
    )


def facts(now=NOW, **changes):
    common = {
        "in_recovery": False,
        "local_control": True,
        "superuser": True,
        "user": "postgres",
        "streaming_refused": None,
        "folder": "/backups",
        "free_bytes": 10_000,
        "on_data_disk": False,
        "archive_command": COMMAND,
        "now": now,
        "stored": dict.fromkeys(
            ("archive_mode", "archive_command", "archive_timeout", "wal_level", "max_wal_senders")
        ),
        "backups": (),
    }
    return BackupFacts(**{**common, **changes})


def steps(plan):
    return [step.id for step in plan.steps]


def rules(plan):
    return [finding.rule for finding in plan.findings]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (facts(), ["archive-wal", "base-backup"]),
        (facts(ARCHIVING), ["base-backup"]),
        (facts(ARCHIVING, backups=(backup(),)), []),
        (facts(ARCHIVING, backups=(backup(age_hours=24.0),)), ["base-backup"]),
        (facts(ARCHIVING, backups=(backup(archived=False),)), ["base-backup"]),
        (facts(ARCHIVING, backups=(backup(),), newest_damage=("data/x: missing",)), ["base-backup"]),
        (facts({**ARCHIVING, "archive_timeout_seconds": 3600}, backups=(backup(),)), ["archive-wal"]),
        (facts({**ARCHIVING, "archive_timeout_seconds": 60}, backups=(backup(),)), []),
        (facts(local_control=False), ["base-backup"]),
        (facts(local_control=False, backups=(backup(archived=False),)), []),
        (facts(superuser=False), ["base-backup"]),
        (
            facts({**NOW, "archive_mode": "on", "archive_command": "pgbackrest archive-push %p"}),
            ["base-backup"],
        ),
        (
            facts({**NOW, "archive_mode": "on", "archive_library": "basic_archive", "archive_command": ""}),
            ["base-backup"],
        ),
        (facts(in_recovery=True), ["base-backup"]),
        (facts(free_bytes=1050), []),
        (facts(streaming_refused="postgres.grant: no"), []),
    ],
)
def test_back_up_plans_what_is_missing(seen, expected):
    assert steps(BackUp(system="app").plan(seen)) == expected


def test_undoing_the_archive_puts_back_what_was_stored():
    stored = {**facts().stored, "archive_command": "old"}
    step = BackUp(system="app").plan(facts(stored=stored)).steps[0]
    assert step.call.arguments == {
        "settings": {"archive_mode": "on", "archive_command": COMMAND, "archive_timeout": "300s"}
    }
    assert step.undo[0].arguments == {
        "settings": {"archive_mode": None, "archive_command": "old", "archive_timeout": None}
    }


def test_a_server_that_logs_too_little_wal_gets_what_archiving_needs():
    step = (
        BackUp(system="app")
        .plan(facts({**NOW, "wal_level": "minimal", "max_wal_senders": 0}, streaming_refused="no senders"))
        .steps[0]
    )
    wanted = step.call.arguments["settings"]
    assert (wanted["wal_level"], wanted["max_wal_senders"], step.restarts) == ("replica", "10", True)


def test_a_full_disk_is_foreseen():
    plan = BackUp(system="app").plan(facts(free_bytes=1050))
    assert plan.blockers[0].startswith(
        "backup.disk: a backup needs about 1,100 bytes and /backups has 1,050 free. "
    )


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (facts(), []),
        (facts(on_data_disk=True), ["backups-on-data-disk"]),
        (facts(local_control=False, on_data_disk=None), ["no-point-in-time-recovery"]),
        (facts(superuser=False), ["no-point-in-time-recovery", "archiving-needs-superuser"]),
    ],
)
def test_findings_say_what_backups_cannot_bring_back(seen, expected):
    assert rules(BackUp(system="app").plan(seen)) == expected


def test_the_plan_of_a_backup_is_the_same_while_the_database_grows():
    grown = facts({**NOW, "bytes": 2000})
    assert BackUp(system="app").plan(facts()).fingerprint == BackUp(system="app").plan(grown).fingerprint


PASSED = {"verdict": "passed", "label": "b1", "rto_seconds": 2.0, "differing": 0}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (
            {"server": facts(ARCHIVING, backups=(backup(),)), "last": None, "last_age_hours": None},
            ["drill-restore"],
        ),
        ({"server": facts(ARCHIVING, backups=(backup(),)), "last": PASSED, "last_age_hours": 1.0}, []),
        (
            {"server": facts(ARCHIVING, backups=(backup(),)), "last": PASSED, "last_age_hours": 25.0},
            ["drill-restore"],
        ),
        (
            {
                "server": facts(ARCHIVING, backups=(backup(),)),
                "last": {**PASSED, "verdict": "backup.damaged"},
                "last_age_hours": 1.0,
            },
            ["drill-restore"],
        ),
        (
            {
                "server": facts(ARCHIVING, backups=(backup(), backup("b2"))),
                "last": PASSED,
                "last_age_hours": 1.0,
            },
            ["drill-restore"],
        ),
        ({"server": facts(), "last": None, "last_age_hours": None}, []),
        ({"server": facts(), "last": None, "last_age_hours": None, "coming": True}, ["drill-restore"]),
        (
            {
                "server": facts({**ARCHIVING, "may_switch_wal": False}, backups=(backup(),)),
                "last": None,
                "last_age_hours": None,
            },
            [],
        ),
        (
            {
                "server": facts(ARCHIVING, backups=(backup(),), free_bytes=800),
                "last": None,
                "last_age_hours": None,
            },
            [],
        ),
    ],
)
def test_a_drill_is_planned_until_the_newest_backup_has_passed_one(seen, expected):
    assert steps(DrillRestore(system="app").plan(DrillFacts(**seen))) == expected


def test_pruning_keeps_the_newest_and_the_wal_they_need():
    known = tuple(backup(f"b{n}") for n in range(1, 6))
    plan = PruneBackups(system="app").plan(PruneFacts(known=known, keep=2, old_wal=7))
    assert steps(plan) == [
        "remove b1",
        "remove b2",
        "remove b3",
        "remove-wal before 000000010000000000000004",
    ]
    assert plan.effect == "irreversible"


def test_pruning_keeps_all_wal_where_no_kept_backup_says_what_it_needs():
    known = (backup("b1"), backup("b2", archived=False))
    assert steps(PruneBackups(system="app").plan(PruneFacts(known=known, keep=1, old_wal=0))) == ["remove b1"]


@pytest.mark.parametrize(
    ("seen", "planned", "blocked"),
    [
        ({"backup": backup(), "state": None}, ["restore"], ""),
        ({"backup": backup(), "state": "running"}, [], ""),
        ({"backup": backup(), "state": "stopped"}, [], "A restored server stands stopped"),
        ({"backup": backup(archived=False), "state": None}, [], "Backup b1 came without archived WAL"),
        ({"backup": None, "state": None}, [], "app has no backup that was finished before"),
        ({"backup": backup(), "state": None, "refused": "restore.production: no"}, [], "restore.production"),
    ],
)
def test_restore_plans_a_server_of_its_own(seen, planned, blocked):
    plan = Restore(system="app", moment="2025-07-20T02:00:00+00:00").plan(
        RestoreFacts(known=1, damage=(), **seen)
    )
    assert steps(plan) == planned
    assert "".join(plan.blockers).startswith(blocked)
    assert bool(plan.blockers) == bool(blocked)


def test_scheduling_changes_only_what_differs_and_puts_it_back():
    operation = ScheduleBackups(system="app", cron="0 1 * * *")
    before = {
        "back-up-app": {**operation.entries()["back-up-app"], "cron": "15 2 * * *"},
        "drill-restore-app": operation.entries()["drill-restore-app"],
    }
    plan = operation.plan(ScheduleFacts(schedules=before, rules=()))
    assert steps(plan) == ["schedule back-up-app"]
    assert plan.steps[0].undo[0].arguments == {
        "where": ["schedules", "back-up-app"],
        "value": before["back-up-app"],
    }
    assert operation.plan(ScheduleFacts(schedules=operation.entries(), rules=())).nothing_to_do


def test_a_nightly_backup_does_not_find_last_nights_young_enough():
    assert ScheduleBackups(system="app").entries()["back-up-app"]["inputs"]["max_age_hours"] < 23


@pytest.mark.parametrize(
    ("rules_there", "expected"),
    [
        ((), ["schedule-needs-authority"]),
        (({"decision": "allow", "operations": ["databases.*"], "systems": ["app"]},), []),
        (({"decision": "allow", "operations": ["databases.back-up"]},), ["schedule-needs-authority"]),
        (({"decision": "allow", "systems": ["other"]},), ["schedule-needs-authority"]),
        (({"decision": "approve", "operations": ["databases.*"]},), ["schedule-needs-authority"]),
    ],
)
def test_the_authority_to_run_unattended_is_asked_for_never_taken(rules_there, expected):
    plan = ScheduleBackups(system="app").plan(ScheduleFacts(schedules={}, rules=rules_there))
    assert rules(plan) == expected
    assert all(step.call.arguments["where"][0] == "schedules" for step in plan.steps)


@pytest.mark.parametrize("cron", ["every night", "61 2 * * *", "* * * *"])
def test_a_schedule_that_is_none_is_said_so(cron):
    with pytest.raises(ValueError, match="five fields"):
        ScheduleBackups(system="app", cron=cron)
