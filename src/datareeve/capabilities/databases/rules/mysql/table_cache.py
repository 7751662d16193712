"""Tables are opened over and over: the table cache is too small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

WARNING_RATE = 10.0


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding at ten openings a second with a full cache."""
    rate, full = look.figures.get("tables_opened_per_second", 0.0), look.figures.get("tables_open_most", 0.0)
    if rate >= WARNING_RATE and look.figures.get("tables_open", 0.0) >= full:
        yield Finding(
            rule="table-cache",
            subject=look.system,
            what=f"{rate:g} tables are opened a second, and the cache of {full:,.0f} is full.",
            why="Each opening locks the cache and reads the table's definition.",
            instead="Raise table_open_cache (and open_files_limit with it).",
            severity=Severity.INFO,
            figures={"tables_opened_per_second": rate, "tables_open_most": full},
        )
