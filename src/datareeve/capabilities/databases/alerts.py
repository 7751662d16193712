"""Which figures of check-health are worth an alert, and from where on. The levels that a finding and an alert share stand with the finding."""

from __future__ import annotations

from typing import Any

from datareeve.capabilities.databases.rules.health import (
    blocking_chain,
    cache_hit,
    connections_used,
    disk_full,
    disk_used,
    prepared_transaction,
    replication_lag,
    saturation,
    sequence_near_end,
    wraparound,
)
from datareeve.core.estate import Targets  # noqa: TC001 - pydantic reads it at run time
from datareeve.core.operation import Severity
from datareeve.core.value import Value

SILENT_SECONDS = 600.0  # ten looks that did not come
SPARE_CONNECTIONS = 5  # an alert comes while at least so many are left
QUERIES_A_TRANSACTION = (
    10  # where only the mean of a transaction is known, it may be so many times the target of a query
)

Fields = dict[str, Any]  # of an AlertRule, without name and system


class WatchFacts(Value):
    """What the thresholds rest on, and what stands in the estate already."""

    usable_connections: int
    disk_is_local: bool
    replicates: bool
    latency_sample: str  # the best measure of latency that this server gives
    targets: Targets
    alerts: dict[str, dict[str, Any]]
    schedule: dict[str, Any] | None
    sampled: bool


def _escalated(occasion: str, sample: str, **fields: Any) -> Fields:
    return {"sample": sample, "severity": Severity.CRITICAL, "escalates_as": occasion, **fields}


def _slowdown(sample: str, **fields: Any) -> Fields:
    return _escalated("severe-slowdown", sample, **fields)


def _data_loss(sample: str, **fields: Any) -> Fields:
    return _escalated("data-loss-risk", sample, **fields)


ANYWHERE: dict[str, Fields] = {
    "no-data": {
        "sample": "up",
        "silent_seconds": SILENT_SECONDS,
        "severity": Severity.CRITICAL,
        "advice": "Nobody is watching: look whether `datareeve serve` runs, and what its log says.",
    },
    "down": _slowdown("up", below=1, advice="Look whether the server runs, and at the end of its log."),
    "long-transaction": {
        "sample": "transaction_seconds_longest",
        "above": 900,
        "advice": "Find it with databases.check-health; let it end or cancel it.",
    },
    "blocked": _slowdown(
        "blocked_seconds_longest",
        above=blocking_chain.CRITICAL_SECONDS,
        clear=10,
        tells=("blocking_root_pid", "blocking_sessions_behind"),
        advice="The root is the session to end (databases.end-session); databases.check-health shows the tree.",
    ),
    "idle-in-transaction": {
        "sample": "idle_in_transaction_seconds_longest",
        "above": 900,
        "clear": 60,
        "advice": "Find it with databases.check-health; commit in the application, or end it (databases.end-session).",
    },
    "prepared": _data_loss(
        "prepared_seconds_longest",
        above=prepared_transaction.CRITICAL_SECONDS / 24,
        clear=0,
        advice="COMMIT PREPARED or ROLLBACK PREPARED: it survives restarts and keeps vacuum from its work.",
    ),
    "horizon": {
        "sample": "horizon_transactions_oldest",
        "above": 10_000_000,
        "clear": 1_000_000,
        "advice": "databases.check-health names the session, slot, standby or prepared transaction that holds vacuum back.",
    },
    "dead-rows": {
        "sample": "dead_rows_percent_worst",
        "above": 50,
        "clear": 33,
        "for_samples": 15,
        "advice": "Vacuum does not keep up: databases.vacuum-table now, databases.tune-autovacuum for good.",
    },
    "settings": _data_loss(
        "settings_unsafe",
        above=0,
        for_samples=1,
        advice="databases.check-health names the setting; with fsync off a crash of the machine loses the database.",
    ),
    "index-invalid": {
        "sample": "indexes_invalid",
        "above": 0,
        "for_samples": 15,
        "advice": "A build did not finish: databases.reindex, or databases.drop-index.",
    },
    "cache": {
        "sample": "cache_hit_percent",
        "below": cache_hit.WARNING_PERCENT,
        "clear": 95,
        "for_samples": 15,
        "advice": "Look for queries that read whole tables.",
    },
    "deadlocks": {
        "sample": "deadlocks_new",
        "above": 0,
        "for_samples": 1,
        "advice": "Let every transaction lock rows in the same order.",
    },
    "sequence": {
        "sample": "sequence_used_percent_worst",
        "above": sequence_near_end.WARNING_PERCENT,
        "clear": sequence_near_end.WARNING_PERCENT - 5,
        "advice": "Make the key column bigint.",
    },
    "wraparound": _data_loss(
        "wraparound_percent",
        above=wraparound.WARNING_PERCENT,
        advice="End what holds vacuum back, then VACUUM (FREEZE) the oldest tables.",
    ),
    "checksums": _data_loss(
        "checksum_failures_total",
        above=0,
        for_samples=1,
        advice="Keep the newest good backup and move to other hardware.",
    ),
    "archive": _data_loss(
        "archive_failing", above=0, advice="Run archive_command by hand; its error is in the server's log."
    ),
}

ON_A_LOCAL_DISK: dict[str, Fields] = {
    "disk": {
        "sample": "disk_used_percent",
        "above": disk_used.WARNING_PERCENT,
        "clear": 80,
        "advice": "Add space; look for stale slots, failed archiving and old logs.",
    },
    "disk-full": _data_loss(
        "disk_used_percent",
        above=disk_used.CRITICAL_PERCENT,
        clear=90,
        advice="Add space now: a full disk stops the server.",
    ),
    "disk-date": _data_loss(
        "disk_full_days",
        below=disk_full.CRITICAL_DAYS,
        clear=2 * disk_full.CRITICAL_DAYS,
        for_samples=15,
        advice="The disk is full within days if it goes on like this: databases.check-health --html shows what grows.",
    ),
    "saturation": _slowdown(
        "sessions_per_core",
        above=saturation.WARNING_PER_CORE,
        clear=saturation.WARNING_PER_CORE / 2,
        for_samples=5,
        advice="More sessions are at work than the cores can bear: pool them (databases.configure-pool).",
    ),
}

WITH_REPLICATION: dict[str, Fields] = {
    "replication": {
        "sample": "replication_lag_seconds",
        "above": replication_lag.WARNING_SECONDS,
        "clear": 10,
        "advice": "Look at the network and the standby's disk.",
    },
    "slot-inactive": {
        "sample": "slots_inactive",
        "above": 0,
        "for_samples": 15,
        "advice": "Bring its consumer back, or drop the slot: it keeps WAL until the disk is full.",
    },
    "slot": _data_loss(
        "slot_retained_bytes_worst",
        above=10 * 2**30,
        clear=2**30,
        advice="Bring its consumer back, or drop the slot.",
    ),
}


def proposals(facts: WatchFacts) -> dict[str, Fields]:
    """The alert rules for such a server, by key."""
    return {
        **ANYWHERE,
        **(ON_A_LOCAL_DISK if facts.disk_is_local else {}),
        **(WITH_REPLICATION if facts.replicates else {}),
        "connections": _connections(facts.usable_connections),
        "latency": _latency(facts.latency_sample, facts.targets.query_ms_p95),
        "backup": _data_loss(
            "backup_age_hours",
            above=facts.targets.backup_age_hours,
            for_samples=1,
            advice="Run databases.back-up, and look why its schedule did not.",
        ),
    }


def _connections(usable: int) -> Fields:
    spare = 100.0 * (usable - SPARE_CONNECTIONS) // usable
    level = max(min(connections_used.WARNING_PERCENT, spare), 20.0)
    advice = "Put a pool in front, or end sessions that are idle in a transaction."
    return {"sample": "connections_used_percent", "above": level, "clear": level - 10, "advice": advice}


def _latency(sample: str, target_ms: float) -> Fields:
    level = target_ms * (1 if sample == "query_ms_mean" else QUERIES_A_TRANSACTION)
    return _slowdown(sample, above=level, clear=level * 0.8, for_samples=5)
