"""What check-health notices of an SQLite file, one rule a file. Each has `find(look)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.sqlite import (
    broken_references,
    damaged,
    disk_used,
    free_pages,
    statistics,
    unreachable,
    wal_large,
)
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.engines.sqlite import SqliteLook
    from datareeve.core.operation import Finding

RULES = (
    broken_references.find,
    damaged.find,
    disk_used.find,
    free_pages.find,
    statistics.find,
    unreachable.find,
    wal_large.find,
)
GRAVEST_FIRST = tuple(reversed(Severity))
PER_RULE = 20  # findings; more of one kind say nothing new


def findings(look: SqliteLook) -> tuple[Finding, ...]:
    """Everything noticed, the gravest first."""
    found = [finding for find in RULES for finding in list(find(look))[:PER_RULE]]
    return tuple(sorted(found, key=lambda finding: GRAVEST_FIRST.index(finding.severity)))
