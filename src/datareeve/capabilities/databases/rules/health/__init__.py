"""What check-health notices, one rule a file. Each has `find(health)`, which gives its findings: what, why, what instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.health import (
    archive_behind,
    archive_failing,
    autovacuum_off,
    backend_writes,
    backup_age,
    backup_missing,
    blocking_chain,
    cache_hit,
    checksum_failures,
    collation_changed,
    connections_used,
    dead_rows,
    deadlocks,
    disk_full,
    disk_used,
    duplicate_index,
    extension_behind,
    horizon,
    idle_connections,
    idle_in_transaction,
    index_bloat,
    invalid_index,
    long_transaction,
    missing_grant,
    never_analyzed,
    prepared_transaction,
    replication_lag,
    requested_checkpoints,
    restarted,
    saturation,
    sequence_near_end,
    slot_inactive,
    slot_wal_lost,
    stale_statistics,
    standby_state,
    table_bloat,
    table_wraparound,
    temp_files,
    unlogged_tables,
    unreachable,
    unsafe_settings,
    unused_index,
    vacuum_running_long,
    wal_buffers,
    wraparound,
)
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.health import Health
    from datareeve.core.operation import Finding

RULES = (
    archive_behind.find,
    archive_failing.find,
    autovacuum_off.find,
    backend_writes.find,
    backup_age.find,
    backup_missing.find,
    blocking_chain.find,
    cache_hit.find,
    checksum_failures.find,
    collation_changed.find,
    connections_used.find,
    dead_rows.find,
    deadlocks.find,
    disk_full.find,
    disk_used.find,
    duplicate_index.find,
    extension_behind.find,
    horizon.find,
    idle_connections.find,
    idle_in_transaction.find,
    index_bloat.find,
    invalid_index.find,
    long_transaction.find,
    missing_grant.find,
    never_analyzed.find,
    prepared_transaction.find,
    replication_lag.find,
    requested_checkpoints.find,
    restarted.find,
    saturation.find,
    sequence_near_end.find,
    slot_inactive.find,
    slot_wal_lost.find,
    stale_statistics.find,
    standby_state.find,
    table_bloat.find,
    table_wraparound.find,
    temp_files.find,
    unlogged_tables.find,
    unreachable.find,
    unsafe_settings.find,
    unused_index.find,
    vacuum_running_long.find,
    wal_buffers.find,
    wraparound.find,
)
GRAVEST_FIRST = tuple(reversed(Severity))
PER_RULE = 20  # findings; more of one kind say nothing new


def findings(health: Health) -> tuple[Finding, ...]:
    """Everything noticed, the gravest first."""
    found = [finding for find in RULES for finding in list(find(health))[:PER_RULE]]
    return tuple(sorted(found, key=lambda finding: GRAVEST_FIRST.index(finding.severity)))
