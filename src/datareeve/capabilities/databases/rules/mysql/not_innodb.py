"""A table in an engine without transactions: a crash damages it, and one writer locks it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

UNSAFE = {"myisam", "aria", "mrg_myisam", "merge"}


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding a table of MyISAM, Aria or MERGE."""
    for table in look.tables:
        if table.engine.lower() in UNSAFE:
            yield Finding(
                rule="not-innodb",
                subject=table.name,
                what=f"It is a table of {table.engine}.",
                why="It knows no transactions, foreign keys or row locks; a rollback leaves its rows as they are, and a consistent backup must lock it.",
                instead=f"ALTER TABLE {table.name} ENGINE=InnoDB;",
                severity=Severity.WARNING,
                figures={"table_bytes": table.bytes},
            )
