"""A table that is mostly air."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_space import ERROR_PERCENT
from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding a table that wastes half of itself and 10 MiB, or a quarter and 1 GiB (pgexperts' pgx_scripts)."""
    for space in health.spaces:
        if space.kind == "table" and space.worth_a_word:
            how = (
                "measured by pgstattuple"
                if space.measured
                else f"estimated from statistics, ± {ERROR_PERCENT['table']} % of the file"
            )
            yield Finding(
                rule="table-bloat",
                subject=f"{space.schema_name}.{space.name}",
                what=f"{space.wasted_bytes / 2**20:,.0f} of its {space.bytes / 2**20:,.0f} MiB ({space.wasted_percent:g} %) hold no row; {how}.",
                why="Every scan and every backup reads it, the cache holds it, and plain vacuum does not give it back.",
                instead="Rebuild it (databases.repack-table), then let autovacuum come earlier (databases.tune-autovacuum) or it comes back.",
                figures={
                    "bytes": space.bytes,
                    "wasted_bytes": space.wasted_bytes,
                    "wasted_percent": space.wasted_percent,
                },
                mended_by="databases.repack-table",
            )
