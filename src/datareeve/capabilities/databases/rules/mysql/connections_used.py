"""Connections nearly used up, or refused already: the next client is turned away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

WARNING_PERCENT = 80.0
CRITICAL_PERCENT = 95.0


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding from 80 % of max_connections, or where clients were refused lately."""
    used = look.figures.get("connections_used_percent", 0.0)
    refused = look.grown.get("connects_refused_total", 0.0)
    if used >= WARNING_PERCENT or refused:
        told = f"; {refused:,.0f} clients were turned away" if refused else ""
        yield Finding(
            rule="connections-used",
            subject=look.system,
            what=f"{used:g} % of max_connections are taken{told}.",
            why="When none is left, clients are refused with 'Too many connections'.",
            instead="Close what sits idle, put a pool (ProxySQL, MaxScale) in front, or raise max_connections after a look at memory.",
            severity=Severity.CRITICAL if used >= CRITICAL_PERCENT else Severity.WARNING,
            figures={
                name: look.figures[name]
                for name in ("connections_used", "connections_usable", "connections_used_most")
            },
        )
