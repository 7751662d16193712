"""A session that holds a transaction open and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_trend import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding a session idle in its transaction for longer than the limit."""
    for open_ in look.transactions:
        if open_.idle and open_.state_seconds > look.limits.idle_seconds:
            yield Finding(
                rule="idle-in-transaction",
                subject=f"session {open_.thread}",
                what=f"It is idle for {spell(open_.state_seconds)} with a transaction open that has changed {open_.rows_changed:,} rows.",
                why="Its locks and its snapshot stay; others wait for nothing.",
                instead=f"Mend the application (a missing COMMIT); KILL {open_.thread} ends it and rolls it back. MariaDB: idle_transaction_timeout.",
                severity=Severity.WARNING,
                figures={"state_seconds": open_.state_seconds, "rows_changed": open_.rows_changed},
            )
