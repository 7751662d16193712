"""The redo log is nearly full of changes not yet written to the tables: then every write waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

WARNING_PERCENT = 80.0


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding from 80 % of what the redo log can hold, or where writers waited for the log's buffer."""
    used = look.figures.get("checkpoint_age_percent", 0.0)
    waits = look.grown.get("log_waits_total", 0.0) if look.fresh else 0.0
    if used >= WARNING_PERCENT or waits:
        yield Finding(
            rule="checkpoint-age",
            subject=look.system,
            what=f"{used:g} % of the redo log is not yet checkpointed"
            + (f"; writers waited {waits:,.0f} times for its buffer." if waits else "."),
            why="At 100 % InnoDB stops every write until pages are flushed.",
            instead="A larger redo log (innodb_log_file_size; MySQL: innodb_redo_log_capacity), enough for an hour of writes.",
            severity=Severity.WARNING,
            figures={"checkpoint_age_percent": used},
        )
