"""`full_page_writes`: pages torn by a crash can be repaired."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation
from datareeve.core.operation import Severity


def advise(now: Situation) -> Advice | None:
    """On."""
    del now
    return Advice(
        value="on", why="Without page images in the WAL a page half written at a crash stays corrupt."
    )


RULE = Rule(
    "full_page_writes",
    source="PostgreSQL manual, 19.5.1 WAL Settings: turning it off might lead to unrecoverable or silent data corruption",
    advise=advise,
    severity=Severity.CRITICAL,
)
