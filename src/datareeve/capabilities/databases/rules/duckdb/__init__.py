"""What check-health notices of a DuckDB file, one rule a file. Each has `find(look)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.duckdb import (
    damaged,
    disk_used,
    free_blocks,
    small_row_groups,
    unreachable,
    wal_left,
)
from datareeve.core.operation import Severity

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
GRAVEST_FIRST = tuple(reversed(Severity))
PER_RULE = 20  # findings; more of one kind say nothing new


def findings(look: DuckdbLook) -> tuple[Finding, ...]:
    """Everything noticed, the gravest first."""
    found = [finding for find in RULES for finding in list(find(look))[:PER_RULE]]
    return tuple(sorted(found, key=lambda finding: GRAVEST_FIRST.index(finding.severity)))
