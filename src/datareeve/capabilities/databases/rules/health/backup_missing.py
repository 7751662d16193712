"""Backups are declared in the estate, and none was ever taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding until the first backup is in the catalogue."""
    if health.backups_declared and health.figure("backup_age_hours") is None:
        yield Finding(
            rule="backup-missing",
            subject=health.system,
            what="The estate says where backups go; there is none.",
            why="What is lost with the disk is lost.",
            instead="Run databases.back-up.",
        )
