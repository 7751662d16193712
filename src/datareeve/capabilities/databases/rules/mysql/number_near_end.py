"""An AUTO_INCREMENT column that has used half of what its type can hold: at the end every insert fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

WARNING_PERCENT = 50.0
CRITICAL_PERCENT = 80.0


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding a column from 50 %; critical from 80 %."""
    for column in look.numbered:
        if column.used_percent >= WARNING_PERCENT:
            yield Finding(
                rule="number-near-end",
                subject=column.column,
                what=f"It has used {column.used_percent:g} % of what {column.type} can hold.",
                why="At the end every insert fails with a duplicate key, and changing the type then copies the table.",
                instead="ALTER TABLE ... MODIFY to bigint unsigned, in a quiet hour or with an online tool (gh-ost, pt-online-schema-change).",
                severity=Severity.CRITICAL if column.used_percent >= CRITICAL_PERCENT else Severity.WARNING,
                figures={"used_percent": column.used_percent},
            )
