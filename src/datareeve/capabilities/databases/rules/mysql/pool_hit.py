"""The buffer pool is full and misses often: the working set does not fit in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

WARNING_PERCENT = 95.0
FULL_PERCENT = 5.0
ENOUGH_PAGES = 100_000  # below this a ratio is noise


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding below 95 % of hits, over enough pages, in a pool with no free pages left."""
    hit = look.figures.get("pool_hit_percent", 100.0)
    enough = look.grown.get("pages_asked_total", 0.0) >= ENOUGH_PAGES
    if hit < WARNING_PERCENT and enough and look.figures.get("pool_free_percent", 100.0) < FULL_PERCENT:
        yield Finding(
            rule="pool-hit",
            subject=look.system,
            what=f"{100 - hit:.1f} % of page reads go to the disk; the buffer pool of InnoDB is full.",
            why="A page from the disk takes a hundred times as long as one from memory.",
            instead="Raise innodb_buffer_pool_size (it can be changed while the server runs), or look for statements that read whole tables.",
            severity=Severity.WARNING,
            figures={
                "pool_hit_percent": hit,
                "pool_bytes": int(look.settings.get("innodb_buffer_pool_size") or 0),
            },
        )
