"""What check-health notices, one rule a file. Each has `find(health)`, which gives its findings: what, why, what instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.health import (
    archive_failing,
    backup_age,
    backup_missing,
    blocking_chain,
    cache_hit,
    checksum_failures,
    connections_used,
    dead_rows,
    deadlocks,
    disk_used,
    idle_in_transaction,
    invalid_index,
    long_transaction,
    missing_grant,
    replication_lag,
    requested_checkpoints,
    sequence_near_end,
    slot_inactive,
    slot_wal_lost,
    stale_statistics,
    temp_files,
    unreachable,
    wraparound,
)
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.health import Health
    from datareeve.core.operation import Finding

RULES = (
    archive_failing.find,
    backup_age.find,
    backup_missing.find,
    blocking_chain.find,
    cache_hit.find,
    checksum_failures.find,
    connections_used.find,
    dead_rows.find,
    deadlocks.find,
    disk_used.find,
    idle_in_transaction.find,
    invalid_index.find,
    long_transaction.find,
    missing_grant.find,
    replication_lag.find,
    requested_checkpoints.find,
    sequence_near_end.find,
    slot_inactive.find,
    slot_wal_lost.find,
    stale_statistics.find,
    temp_files.find,
    unreachable.find,
    wraparound.find,
)
GRAVEST_FIRST = tuple(reversed(Severity))
PER_RULE = 20  # findings; more of one kind say nothing new


def findings(health: Health) -> tuple[Finding, ...]:
    """Everything noticed, the gravest first."""
    found = [finding for find in RULES for finding in list(find(health))[:PER_RULE]]
    return tuple(sorted(found, key=lambda finding: GRAVEST_FIRST.index(finding.severity)))
