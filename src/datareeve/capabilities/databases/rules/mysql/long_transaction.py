"""A transaction that is open for long: it keeps locks and old versions of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_trend import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding a working transaction older than the limit; idle ones and waiting ones are told by their own rules."""
    for open_ in look.transactions:
        if not open_.idle and not open_.blocked_by and open_.seconds > look.limits.transaction_seconds:
            yield Finding(
                rule="long-transaction",
                subject=f"session {open_.thread}",
                what=f"Its transaction is open for {spell(open_.seconds)} and has changed {open_.rows_changed:,} rows.",
                why="It keeps its locks, and every old version of a row since it began.",
                instead=f"Look at what it does (SHOW PROCESSLIST); commit in smaller batches, or KILL {open_.thread}.",
                severity=Severity.WARNING,
                figures={"seconds": open_.seconds, "rows_changed": open_.rows_changed},
            )
