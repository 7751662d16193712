"""Many connections fail before they are made: a wrong password, or someone who tries passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_trend import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook

ENOUGH = 100
WARNING_SHARE = 0.1


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding where a tenth of at least 100 connects failed."""
    failed, every = look.grown.get("aborted_connects_total", 0.0), look.grown.get("connects_total", 0.0)
    if failed >= ENOUGH and failed > WARNING_SHARE * every:
        yield Finding(
            rule="aborted-connects",
            subject=look.system,
            what=f"{failed:,.0f} of {every:,.0f} connects failed in {spell(look.window_seconds)}.",
            why="An application with an old password, a health check that only opens a port, or someone who guesses passwords.",
            instead="The error log names host and account (log_warnings = 2; MySQL: log_error_verbosity = 3).",
            severity=Severity.WARNING,
            figures={"aborted_connects": failed, "connects": every},
        )
