"""A B-tree that is mostly air."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_space import ERROR_PERCENT
from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding a B-tree that wastes half of itself and 10 MiB (pgexperts' pgx_scripts); one of random keys is a third empty by nature."""
    for space in health.spaces:
        if space.kind == "btree" and space.worth_a_word:
            how = (
                "measured by pgstattuple"
                if space.measured
                else f"estimated from statistics, ± {ERROR_PERCENT['btree']} % of the file"
            )
            yield Finding(
                rule="index-bloat",
                subject=f"{space.schema_name}.{space.name}",
                what=f"{space.wasted_bytes / 2**20:,.0f} of its {space.bytes / 2**20:,.0f} MiB ({space.wasted_percent:g} %) hold no row of {space.table}; {how}.",
                why="Each look-up reads more pages, and the cache holds air. Vacuum frees pages only when they are wholly empty.",
                instead="Rebuild it without blocking writers (databases.reindex).",
                figures={
                    "bytes": space.bytes,
                    "wasted_bytes": space.wasted_bytes,
                    "wasted_percent": space.wasted_percent,
                },
                mended_by="databases.reindex",
            )
