"""Connections nearly used up: the next client is turned away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_PERCENT = 80.0
CRITICAL_PERCENT = 95.0


def find(health: Health) -> Iterator[Finding]:
    """One finding from 80 % of the connections an ordinary role may use; critical from 95 %."""
    used = health.figure("connections_used_percent") or 0.0
    if used >= WARNING_PERCENT:
        yield Finding(
            rule="connections-used",
            subject=health.system,
            what=f"{used:g} % of the usable connections are taken.",
            why="When none is left, clients are refused with 'too many clients already'.",
            instead=_advice(health),
            severity=Severity.CRITICAL if used >= CRITICAL_PERCENT else Severity.WARNING,
            figures={name: health.figures[name] for name in ("connections_used", "connections_usable")},
        )


def _advice(health: Health) -> str:
    idle = health.figures.get("connections_idle", 0.0)
    pool = (
        f"Something goes past the pool {health.pool}, or it is too large (databases.configure-pool)"
        if health.pool
        else "Put a connection pool in front (databases.configure-pool)"
    )
    return f"{pool}; {idle:.0f} of them are idle. Close what sits idle in a transaction."
