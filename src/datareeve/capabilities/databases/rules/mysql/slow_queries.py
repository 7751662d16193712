"""A good part of the statements is slower than long_query_time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_trend import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

ENOUGH = 1000
WARNING_SHARE = 0.05


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding where one in twenty of at least 1,000 statements was slow."""
    slow, every = look.grown.get("slow_queries_total", 0.0), look.grown.get("queries_total", 0.0)
    if every >= ENOUGH and slow > WARNING_SHARE * every:
        yield Finding(
            rule="slow-queries",
            subject=look.system,
            what=f"{slow:,.0f} of {every:,.0f} statements were slower than long_query_time in {spell(look.window_seconds)}.",
            why="Clients wait, and their connections pile up.",
            instead="databases.find-slow-queries names them.",
            severity=Severity.WARNING,
            figures={"slow_queries": slow, "queries": every},
        )
