"""Text in utf8mb3: a character beyond the first 65,536 (an emoji, some Chinese) is refused or cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding a table."""
    for name in look.old_text:
        yield Finding(
            rule="utf8mb3",
            subject=name,
            what="It has text columns in utf8mb3.",
            why="Four-byte characters are refused, or cut off with everything after them where strict mode is off; MySQL is going to remove utf8mb3.",
            instead=f"ALTER TABLE {name} CONVERT TO CHARACTER SET utf8mb4; on all tables that are joined by text, together.",
            severity=Severity.INFO,
        )
