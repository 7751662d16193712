"""More sessions are at work than the machine has cores for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

# PostgreSQL wiki, Number Of Database Connections: about two sessions at work a core keep a machine busy; more only wait for each other.
WARNING_PER_CORE = 4.0
FEWEST = 8  # sessions: two of them on half a core are no crowd


def find(health: Health) -> Iterator[Finding]:
    """One finding from four running sessions a core, those that wait for an internal lock included."""
    per_core, cores = health.figures.get("sessions_per_core", 0.0), health.figures.get("cores", 1.0)
    if per_core >= WARNING_PER_CORE and per_core * cores >= FEWEST:
        waiting = health.figures.get("connections_waiting_lwlock", 0.0)
        pool = f"Lower the size of the pool {health.pool}" if health.pool else "Put a pool in front"
        yield Finding(
            rule="saturation",
            subject=health.system,
            what=f"{per_core * cores:.0f} sessions are at work on {cores:.0f} cores; {waiting:.0f} of them wait for an internal lock.",
            why="They take the cores from each other, and every query takes longer than the same queries one after another would.",
            instead=f"{pool} (databases.configure-pool), and look for the statements that take the time (databases.find-slow-queries).",
            figures={"sessions_per_core": per_core, "cores": cores},
            mended_by="databases.configure-pool",
        )
