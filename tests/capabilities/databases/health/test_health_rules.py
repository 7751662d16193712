"""Each rule as data: what is noticed from which level on, and nothing just below it."""

import pytest

from datareeve.capabilities.databases.alerts import (
    ANYWHERE,
    ON_A_LOCAL_DISK,
    WITH_REPLICATION,
    WatchFacts,
    proposals,
)
from datareeve.capabilities.databases.health import Health, Index, Sequence, Session, Slot, Table
from datareeve.capabilities.databases.operations.check_health import verdict
from datareeve.capabilities.databases.rules import PER_RULE
from datareeve.capabilities.databases.rules.health import findings
from datareeve.core.estate import AlertRule, Targets


def figures(**given):
    return {"figures": given}


def connections(used_percent):
    return figures(connections_used_percent=used_percent, connections_used=1, connections_usable=1)


def session(**given):
    return {
        "sessions": (
            Session(**{"pid": 7, "state": "active", "transaction_seconds": 1, "state_seconds": 1, **given}),
        )
    }


def table(**given):
    rows = {
        "live_rows": 10_000,
        "dead_rows": 0,
        "changed_rows": 0,
        "vacuum_age_seconds": 7200,
        "analyze_age_seconds": None,
    }
    return {"tables": (Table(schema_name="public", name="t", **{**rows, **given}),)}


def sequence(used_percent):
    return {
        "sequences": (
            Sequence(
                schema_name="public", name="s", last_value=1, highest_value=2, used_percent=used_percent
            ),
        )
    }


def slot(**given):
    return {
        "slots": (
            Slot(**{"name": "s", "active": True, "wal_status": "reserved", "retained_bytes": 0, **given}),
        )
    }


def disk(used_percent):
    return figures(disk_used_percent=used_percent, disk_free_bytes=1)


def cache(hit_percent, reads=1_000_000, uptime=900):
    return figures(
        cache_hit_percent=hit_percent, blocks_hit_total=reads, blocks_read_total=0, uptime_seconds=uptime
    )


def checkpoints(timed, requested):
    return figures(checkpoints_timed_total=timed, checkpoints_requested_total=requested)


NOTICED = [
    ("unreachable", "critical", {"down": "postgres.unreachable: app cannot be reached."}, {}),
    ("connections-used", "warning", connections(80), connections(79.9)),
    ("connections-used", "critical", connections(95), {}),
    ("long-transaction", "warning", session(transaction_seconds=300), session(transaction_seconds=299)),
    (
        "idle-in-transaction",
        "warning",
        session(state="idle in transaction", state_seconds=60),
        session(state="idle in transaction"),
    ),
    (
        "blocking-chain",
        "warning",
        session(blocked_by=(9,), blocked_seconds=10),
        session(blocked_by=(9,), blocked_seconds=9),
    ),
    ("blocking-chain", "critical", session(blocked_by=(0,), blocked_seconds=120), {}),
    ("cache-hit", "warning", cache(89.9), cache(90)),
    ("cache-hit", "warning", cache(10), cache(10, reads=999_999)),
    ("cache-hit", "warning", cache(10), cache(10, uptime=899)),
    ("requested-checkpoints", "info", checkpoints(20, 30), checkpoints(25, 25)),
    ("requested-checkpoints", "info", checkpoints(0, 50), checkpoints(0, 49)),
    ("temp-files", "warning", figures(temp_bytes_per_second=2**20), figures(temp_bytes_per_second=2**20 - 1)),
    (
        "temp-files",
        "warning",
        figures(temp_bytes_per_second=2**21),
        figures(temp_bytes_per_second=2**21, statistics_seconds=299),
    ),
    ("deadlocks", "warning", figures(deadlocks_new=1), figures(deadlocks_new=0, deadlocks_total=5)),
    ("replication-lag", "warning", figures(replication_lag_seconds=60), figures(replication_lag_seconds=59)),
    (
        "slot-inactive",
        "warning",
        slot(active=False, retained_bytes=2**30),
        slot(active=True, retained_bytes=2**40),
    ),
    ("slot-wal-lost", "critical", slot(wal_status="lost"), slot(wal_status="extended")),
    ("dead-rows", "warning", table(dead_rows=10_000), table(dead_rows=4_000)),
    ("stale-statistics", "warning", table(changed_rows=10_000), table(changed_rows=9_999)),
    ("wraparound", "warning", figures(wraparound_percent=50), figures(wraparound_percent=49)),
    ("wraparound", "critical", figures(wraparound_percent=80), {}),
    ("sequence-near-end", "warning", sequence(75), sequence(74.9)),
    ("sequence-near-end", "critical", sequence(90), {}),
    (
        "invalid-index",
        "warning",
        {"indexes": (Index(schema_name="public", name="i", table="t", bytes=1),)},
        {},
    ),
    ("disk-used", "warning", disk(85), disk(84.9)),
    ("disk-used", "critical", disk(95), {}),
    (
        "archive-failing",
        "critical",
        figures(archive_failing=1, archive_failures_total=3),
        figures(archive_failing=0),
    ),
    ("backup-age", "critical", figures(backup_age_hours=26.1), figures(backup_age_hours=26)),
    (
        "backup-missing",
        "warning",
        {"backups_declared": True},
        {"backups_declared": True, **figures(backup_age_hours=1)},
    ),
    ("checksum-failures", "critical", figures(checksum_failures_total=1), figures(checksum_failures_total=0)),
    ("missing-grant", "info", {"role_needs_grant": "app"}, {}),
]


@pytest.mark.parametrize(("rule", "severity", "enough", "too_little"), NOTICED)
def test_a_rule_speaks_from_its_level_on_and_says_why_and_what_instead(rule, severity, enough, too_little):
    (found,) = findings(Health(system="app", **enough))
    assert (found.rule, found.severity) == (rule, severity)
    assert found.what
    assert found.why
    assert found.instead
    assert findings(Health(system="app", **too_little)) == ()


def test_a_chain_is_told_once_by_its_head_with_everyone_behind_it():
    waiting = [(2, (1,)), (3, (2,)), (4, (3, 2)), (6, (5,))]
    sessions = tuple(
        Session(
            pid=pid,
            state="active",
            transaction_seconds=1,
            state_seconds=1,
            blocked_by=by,
            blocked_seconds=20 + pid,
        )
        for pid, by in waiting
    )
    two, one = findings(Health(system="app", sessions=sessions))
    assert (one.subject, one.figures["sessions"], one.figures["blocked_seconds"]) == ("pid 1", 3, 24)
    assert (two.subject, two.figures["sessions"], two.figures["blocked_seconds"]) == ("pid 5", 1, 26)
    assert one.figures["tree"] == [
        "pid 1: state not visible",
        "└─ pid 2 waits 22 s for a lock",
        "   └─ pid 3 waits 23 s for a lock",
        "      └─ pid 4 waits 24 s for a lock",
    ]


def test_the_gravest_comes_first_and_one_rule_does_not_drown_the_others():
    many = tuple(Index(schema_name="public", name=f"i{n}", table="t", bytes=1) for n in range(50))
    found = findings(
        Health(system="app", indexes=many, **figures(archive_failing=1, archive_failures_total=1))
    )
    assert found[0].rule == "archive-failing"
    assert len(found) == 1 + PER_RULE


def test_information_alone_is_no_degradation():
    facts = Health(system="app", role_needs_grant="app")
    assert verdict(facts, findings(facts)) == "healthy"


# -- alerts ------------------------------------------------------------------------------------------------------------------------


def facts(**given):
    usual = {
        "usable_connections": 97,
        "disk_is_local": False,
        "replicates": False,
        "latency_sample": "query_ms_mean",
        "targets": Targets(),
        "alerts": {},
        "schedule": None,
        "sampled": False,
    }
    return WatchFacts(**{**usual, **given})


@pytest.mark.parametrize(("usable", "above"), [(97, 80), (25, 80), (20, 75), (10, 50), (5, 20), (1, 20)])
def test_an_alert_for_connections_comes_while_some_are_left(usable, above):
    rule = proposals(facts(usable_connections=usable))["connections"]
    assert (rule["above"], rule["clear"]) == (above, above - 10)


def test_thresholds_follow_the_estates_targets_and_the_measure_of_latency_there_is():
    targets = Targets(query_ms_p95=50, backup_age_hours=5)
    rules = proposals(facts(targets=targets))
    assert (rules["latency"]["sample"], rules["latency"]["above"], rules["backup"]["above"]) == (
        "query_ms_mean",
        50,
        5,
    )
    rules = proposals(facts(targets=targets, latency_sample="transaction_ms_mean"))
    assert (rules["latency"]["sample"], rules["latency"]["above"]) == ("transaction_ms_mean", 500)


def test_disk_and_replication_are_watched_where_they_can_be_seen():
    assert proposals(facts(disk_is_local=True)).keys() >= {"disk", "disk-full"}
    assert proposals(facts(replicates=True)).keys() >= {"replication", "slot"}
    assert proposals(facts()).keys().isdisjoint({"disk", "disk-full", "replication", "slot"})


@pytest.mark.parametrize(
    "key", [*ANYWHERE, *ON_A_LOCAL_DISK, *WITH_REPLICATION, "connections", "latency", "backup"]
)
def test_every_alert_is_a_rule_whose_clear_level_is_on_the_good_side(key):
    rule = AlertRule(name=key, system="app", **proposals(facts(disk_is_local=True, replicates=True))[key])
    levels = (rule.above, rule.below, rule.silent_seconds)
    assert sum(level is not None for level in levels) == 1
    if rule.clear is not None:
        assert rule.clear < rule.above if rule.above is not None else rule.clear > rule.below
