"""Most of the buffer pool waits to be written: the disk does not keep up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

WARNING_PERCENT = 75.0


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding from 75 % of dirty pages, or where statements waited for a free page."""
    dirty = look.figures.get("pool_dirty_percent", 0.0)
    waits = look.grown.get("pool_waits_total", 0.0) if look.fresh else 0.0
    if dirty >= WARNING_PERCENT or waits:
        yield Finding(
            rule="pool-dirty",
            subject=look.system,
            what=f"{dirty:g} % of the buffer pool waits to be written"
            + (f"; statements waited {waits:,.0f} times for a free page." if waits else "."),
            why="Past innodb_max_dirty_pages_pct every writer waits for the disk.",
            instead="Raise innodb_io_capacity to what the disk can do; spread large writes.",
            severity=Severity.WARNING,
            figures={"pool_dirty_percent": dirty},
        )
