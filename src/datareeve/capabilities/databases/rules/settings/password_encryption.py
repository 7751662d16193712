"""`password_encryption`: how new passwords are stored."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation
from datareeve.core.operation import Severity


def advise(now: Situation) -> Advice | None:
    """scram-sha-256; passwords stored as md5 keep working until they are changed."""
    del now
    return Advice(
        value="scram-sha-256", why="A stolen md5 hash is as good as the password; a SCRAM verifier is not."
    )


RULE = Rule(
    "password_encryption",
    source="PostgreSQL manual, 20.5 Password Authentication: md5 is deprecated",
    advise=advise,
    severity=Severity.WARNING,
)
