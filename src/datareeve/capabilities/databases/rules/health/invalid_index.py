"""An index that no query can use, and that every write pays for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding an index."""
    for index in (entry for entry in health.indexes if entry.trouble == "invalid"):
        yield Finding(
            rule="invalid-index",
            subject=f"{index.schema_name}.{index.name}",
            what=f"The index on {index.table} is invalid: its build did not finish.",
            why="Queries do not use it; writes still keep it up, and a unique one guarantees nothing.",
            instead="Rebuild it without blocking writers (databases.reindex), or drop it (databases.drop-index).",
            figures={"bytes": index.bytes},
            mended_by="databases.reindex",
        )
