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
            what=f"The role {health.role_needs_grant} cannot see others' sessions, who blocks whom, standbys and slots' snapshots{_more(health)}.",
            why="Long transactions, blocking and lag of others go unnoticed.",
            instead=f"GRANT pg_monitor TO {sql.identifier(health.role_needs_grant)};",
            severity=Severity.INFO,
        )


def _more(health: Health) -> str:
    """What else was refused, in words."""
    unknown = health.figures.get("bloat_not_estimated", 0.0)
    return f", nor the statistics of {unknown:.0f} large tables and indexes" if unknown else ""
