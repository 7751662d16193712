"""What check-pool notices, one rule a file. Each has `find(pool)`, which gives its findings: what, why, what instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules import noticed
from datareeve.capabilities.databases.rules.pool import (
    clients_waiting,
    down,
    exhausted,
    idle_servers,
    login_failures,
    long_wait,
    paused,
)

if TYPE_CHECKING:
    from datareeve.capabilities.databases.pool_health import PoolHealth
    from datareeve.core.operation import Finding

RULES = (
    clients_waiting.find,
    down.find,
    exhausted.find,
    idle_servers.find,
    login_failures.find,
    long_wait.find,
    paused.find,
)


def findings(pool: PoolHealth) -> tuple[Finding, ...]:
    """Everything noticed, the gravest first."""
    return noticed(RULES, pool)
