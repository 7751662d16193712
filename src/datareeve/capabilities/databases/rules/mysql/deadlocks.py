"""Transactions rolled back because they waited for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_trend import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

SEVERAL = 3


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding where there were some since the last look, or more than one an hour since the start."""
    count = look.grown.get("deadlocks_total", 0.0)
    often = count if look.fresh else count if count * 3600 > look.window_seconds and count >= SEVERAL else 0.0
    if often:
        yield Finding(
            rule="deadlocks",
            subject=look.system,
            what=f"{count:,.0f} deadlocks in {spell(look.window_seconds)}.",
            why="One of the two transactions is rolled back each time; its work is lost unless the application tries again.",
            instead="Lock rows in one order everywhere, keep transactions short; innodb_print_all_deadlocks writes each to the error log.",
            severity=Severity.WARNING,
            figures={"deadlocks": count, "seconds": round(look.window_seconds)},
        )
