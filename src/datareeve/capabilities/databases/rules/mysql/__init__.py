"""What check-health notices of a MariaDB or MySQL server, one rule a file. Each has `find(look)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules import noticed
from datareeve.capabilities.databases.rules.elsewhere import disk_used, unreachable
from datareeve.capabilities.databases.rules.mysql import (
    aborted_connects,
    binary_log,
    blocking_chain,
    checkpoint_age,
    connections_used,
    deadlocks,
    fragmentation,
    history_length,
    idle_in_transaction,
    keyless_table,
    long_transaction,
    not_innodb,
    number_near_end,
    old_text,
    pool_dirty,
    pool_hit,
    replication,
    slow_queries,
    table_cache,
    temp_tables_disk,
    unused_index,
)

if TYPE_CHECKING:
    from datareeve.capabilities.databases.engines.mysql import MysqlLook
    from datareeve.core.operation import Finding

RULES = (
    aborted_connects.find,
    binary_log.find,
    blocking_chain.find,
    checkpoint_age.find,
    connections_used.find,
    deadlocks.find,
    disk_used.find,
    fragmentation.find,
    history_length.find,
    idle_in_transaction.find,
    keyless_table.find,
    long_transaction.find,
    not_innodb.find,
    number_near_end.find,
    old_text.find,
    pool_dirty.find,
    pool_hit.find,
    replication.find,
    slow_queries.find,
    table_cache.find,
    temp_tables_disk.find,
    unreachable.find,
    unused_index.find,
)


def findings(look: MysqlLook) -> tuple[Finding, ...]:
    """Everything noticed, the gravest first."""
    return noticed(RULES, look)
