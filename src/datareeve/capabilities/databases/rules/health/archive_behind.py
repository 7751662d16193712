"""The archive falls behind what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_BYTES = 2**30  # 64 segments of the usual size


def find(health: Health) -> Iterator[Finding]:
    """One finding from 1 GiB of WAL that is not archived yet, where archiving does not fail outright."""
    behind = health.figures.get("archive_behind_bytes", 0.0)
    if behind >= WARNING_BYTES and not health.figure("archive_failing"):
        yield Finding(
            rule="archive-behind",
            subject=health.system,
            what=f"{behind / 2**30:.1f} GiB of WAL wait to be archived.",
            why="That much is lost with the disk, and it fills up meanwhile.",
            instead="Look how long one run of archive_command takes; compress less, or archive several segments at a time.",
            figures={"archive_behind_bytes": behind},
        )
