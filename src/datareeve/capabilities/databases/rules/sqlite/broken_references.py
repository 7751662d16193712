"""Rows whose declared foreign key has no target: SQLite checks only where each connection asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.sqlite import SqliteLook


def find(look: SqliteLook) -> Iterator[Finding]:
    """One finding a table and the table it refers to; and one a table that cannot be checked."""
    for broken in look.broken:
        yield Finding(
            rule="broken-references",
            subject=f"{broken.table} -> {broken.parent}",
            what=f"{broken.rows:,} rows of {broken.table} refer to a row that {broken.parent} does not have.",
            why="Foreign keys are off by default, and one connection that leaves them off is enough.",
            instead="PRAGMA foreign_keys = ON in every connection; then add the missing rows or remove these (PRAGMA foreign_key_check lists them).",
            severity=Severity.WARNING,
            figures={"rows": broken.rows},
        )
    for table in look.mismatched:
        yield Finding(
            rule="mismatched-reference",
            subject=table,
            what=f"A foreign key of {table} refers to columns that are neither a primary key nor unique.",
            why="With foreign keys on, writes that use it fail; with them off, nothing is checked.",
            instead=f"PRAGMA foreign_key_list({table}) lists its keys; add the UNIQUE index on the columns that one refers to.",
            severity=Severity.WARNING,
        )
