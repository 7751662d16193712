"""`max_worker_processes`: room for parallel workers on many cores."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """As many as cores where that is more than the built-in 8."""
    if now.host is None or now.host.cores <= 8:  # noqa: PLR2004 - the built-in value
        return None
    return Advice(
        value=now.host.cores,
        why=f"{now.host.cores} cores can run more background workers than the built-in 8 allow.",
    )


RULE = Rule("max_worker_processes", source="PostgreSQL manual, 19.4.6 Asynchronous Behavior", advise=advise)
