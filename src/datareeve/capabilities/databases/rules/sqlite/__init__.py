"""What check-health notices of an SQLite file, one rule a file. Each has `find(look)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules import noticed
from datareeve.capabilities.databases.rules.elsewhere import disk_used, unreachable
from datareeve.capabilities.databases.rules.sqlite import (
    broken_references,
    damaged,
    free_pages,
    statistics,
    wal_large,
)

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


def findings(look: SqliteLook) -> tuple[Finding, ...]:
    """Everything noticed, the gravest first."""
    return noticed(RULES, look)
