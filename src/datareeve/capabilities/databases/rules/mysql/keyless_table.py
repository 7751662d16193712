"""A table without a primary key, on the engine where that costs most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding a table."""
    for name in look.keyless:
        yield Finding(
            rule="table-without-primary-key",
            subject=name,
            what=f"{name} has no primary key.",
            why="InnoDB then keeps a hidden one that all such tables share a counter for, and a replica finds each changed row by reading the whole table.",
            instead="databases.review-schema finds the columns that identify its rows.",
            severity=Severity.WARNING,
        )
