"""A transaction open for long: vacuum cannot remove what died since it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding for the longest working transaction; sessions that sit idle in one are another rule's."""
    working = [
        s
        for s in health.sessions
        if s.kind == "client backend"
        and not s.idle
        and not s.blocked_by
        and s.transaction_seconds >= health.limits.transaction_seconds
    ]
    for session in working[:1]:
        yield Finding(
            rule="long-transaction",
            subject=f"pid {session.pid}",
            what=f"Its transaction has been open for {session.transaction_seconds:.0f} s ({len(working)} this long).",
            why="Rows that died since then cannot be removed, and its locks are held until it ends.",
            instead="Let it end, or split its work into batches; databases.end-session cancels it.",
            figures={
                "transaction_seconds": round(session.transaction_seconds, 1),
                "transactions": len(working),
            },
            mended_by="databases.end-session",
        )
