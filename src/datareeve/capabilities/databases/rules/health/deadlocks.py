"""Transactions killed each other's progress since the last look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding when there were deadlocks between two looks; those of long ago say nothing about now."""
    new = health.figures.get("deadlocks_new", 0.0)
    if new > 0:
        yield Finding(
            rule="deadlocks",
            subject=health.system,
            what=f"{new:.0f} deadlocks {health.rates_since}.",
            why="In each one a transaction was rolled back with an error.",
            instead="Let every transaction lock rows in the same order; the server's log names the statements.",
            figures={"deadlocks": new},
        )
