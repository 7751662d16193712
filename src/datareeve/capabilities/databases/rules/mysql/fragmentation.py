"""A table whose file is mostly free space after many deletes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

WORTH_BYTES = 100_000_000
SHARE = 0.3


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding a table with at least 100 MB free that are 30 % of it."""
    for table in look.tables:
        if table.free_bytes >= WORTH_BYTES and table.free_bytes > SHARE * (table.bytes + table.free_bytes):
            yield Finding(
                rule="fragmentation",
                subject=table.name,
                what=f"{table.free_bytes / 1e6:,.0f} MB of its file are free, beside {table.bytes / 1e6:,.0f} MB in use.",
                why="The space is used again by this table only, and scans and backups read it.",
                instead=f"OPTIMIZE TABLE {table.name}; it copies the table, so in a quiet hour.",
                severity=Severity.INFO,
                figures={"free_bytes": table.free_bytes, "table_bytes": table.bytes},
            )
