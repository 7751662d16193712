"""`fsync`: a crash loses nothing."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation
from datareeve.core.operation import Severity


def advise(now: Situation) -> Advice | None:
    """On."""
    del now
    return Advice(value="on", why="Without it a power failure can corrupt the whole cluster beyond repair.")


RULE = Rule(
    "fsync",
    source="PostgreSQL manual, 19.5.1 WAL Settings: turning it off can result in unrecoverable data corruption",
    advise=advise,
    severity=Severity.CRITICAL,
)
