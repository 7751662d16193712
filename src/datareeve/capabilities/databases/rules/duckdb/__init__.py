"""What check-health notices of a DuckDB file, one rule a file. Each has `find(look)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules import noticed
from datareeve.capabilities.databases.rules.duckdb import (
    damaged,
    free_blocks,
    small_row_groups,
    wal_left,
)
from datareeve.capabilities.databases.rules.elsewhere import disk_used, unreachable

if TYPE_CHECKING:
    from datareeve.capabilities.databases.engines.duckdb import DuckdbLook
    from datareeve.core.operation import Finding

RULES = (
    damaged.find,
    disk_used.find,
    free_blocks.find,
    small_row_groups.find,
    unreachable.find,
    wal_left.find,
)


def findings(look: DuckdbLook) -> tuple[Finding, ...]:
    """Everything noticed, the gravest first."""
    return noticed(RULES, look)
