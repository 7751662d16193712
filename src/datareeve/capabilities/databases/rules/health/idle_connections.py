"""Most connections are taken by sessions that do nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_PERCENT = 50.0  # of the usable connections, idle for half an hour or longer


def find(health: Health) -> Iterator[Finding]:
    """One finding when half of the usable connections have been idle for 30 minutes; names who holds most of them."""
    idle, usable = (
        health.figures.get("connections_idle_long", 0.0),
        health.figures.get("connections_usable", 0.0),
    )
    if usable and 100 * idle / usable >= WARNING_PERCENT:
        whose = f", most of {health.idle_holder}" if health.idle_holder else ""
        yield Finding(
            rule="idle-connections",
            subject=health.system,
            what=f"{idle:.0f} of {usable:.0f} usable connections have been idle for half an hour or longer{whose}.",
            why="Each takes memory and a place that a new client is refused for; every snapshot passes over them.",
            instead="Let the application's pool shrink, or share connections in a pool in front (databases.configure-pool); idle_session_timeout (14 and newer) ends what is forgotten.",
            figures={"connections_idle_long": idle, "connections_usable": usable},
            mended_by="databases.configure-pool",
        )
