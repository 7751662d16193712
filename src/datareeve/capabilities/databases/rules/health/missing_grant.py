"""Our role cannot see other sessions, so that silence about them means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases import sql
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding that names the missing grant."""
    if health.role_needs_grant:
        yield Finding(
            rule="missing-grant",
            subject=health.system,
            what=f"The role {health.role_needs_grant} sees only its own sessions and replication.",
            why="Long transactions, blocking and lag of others go unnoticed.",
            instead=f"GRANT pg_monitor TO {sql.identifier(health.role_needs_grant)};",
            severity=Severity.INFO,
        )
