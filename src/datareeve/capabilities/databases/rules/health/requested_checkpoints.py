"""Checkpoints are forced by the amount of WAL instead of coming on time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

ENOUGH = 50


def find(health: Health) -> Iterator[Finding]:
    """One finding when more than half of at least 50 checkpoints were requested."""
    timed, requested = (
        health.figures.get(f"checkpoints_{kind}_total", 0.0) for kind in ("timed", "requested")
    )
    if requested > timed and timed + requested >= ENOUGH:
        yield Finding(
            rule="requested-checkpoints",
            subject=health.system,
            what=f"{requested:.0f} of {timed + requested:.0f} checkpoints were requested rather than timed.",
            why="Each one writes all changed blocks at once, and makes the next change of a block log it in full.",
            instead="Raise max_wal_size (databases.tune-settings).",
            severity=Severity.INFO,
            figures={"checkpoints_timed": timed, "checkpoints_requested": requested},
        )
