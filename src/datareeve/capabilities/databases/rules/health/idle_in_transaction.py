"""A session holds its transaction open without working: locks and dead rows stay for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health, Session


def find(health: Health) -> Iterator[Finding]:
    """One finding a session, at most 20."""
    for session in health.sessions:
        if session.idle and session.state_seconds >= health.limits.idle_seconds:
            yield Finding(
                rule="idle-in-transaction",
                subject=f"pid {session.pid}",
                what=f"It has been idle in a transaction for {session.state_seconds:.0f} s{_whose(session)}.",
                why="It keeps its locks, and vacuum cannot remove what died since its transaction began.",
                instead="Commit or roll back in the application, or end it (databases.end-session); set idle_in_transaction_session_timeout as a net.",
                figures={"idle_seconds": round(session.state_seconds, 1)},
                mended_by="databases.end-session",
            )


def _whose(session: Session) -> str:
    """' (role app, reports)', as far as it is known."""
    known = [f"role {session.role}"] if session.role else []
    known += [session.application] if session.application else []
    return f" ({', '.join(known)})" if known else ""
