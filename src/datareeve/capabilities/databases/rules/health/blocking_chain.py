"""Sessions wait for a lock: who is at the head of the queue, and who waits behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health, Session

CRITICAL_SECONDS = 120.0


def find(health: Health) -> Iterator[Finding]:
    """One finding for each session that blocks others and waits for nobody itself."""
    waited = {s.pid: s.blocked_seconds for s in health.blocked}
    blockers = {pid for s in health.blocked for pid in s.blocked_by}
    for head in sorted(blockers - waited.keys()):
        behind = sorted(_behind(head, health.blocked))
        longest = max(waited[pid] for pid in behind)
        if longest >= health.limits.blocked_seconds:
            yield Finding(
                rule="blocking-chain",
                subject=f"pid {head}" if head else "a prepared transaction",
                what=f"It blocks {len(behind)} sessions: pid {', '.join(str(pid) for pid in behind[:20])}.",
                why="They wait until its transaction ends, and new ones queue up behind them.",
                instead=_advice(head, health),
                severity=Severity.CRITICAL if longest >= CRITICAL_SECONDS else Severity.WARNING,
                figures={"sessions": len(behind), "blocked_seconds": round(longest, 1)},
            )


def _behind(head: int, blocked: tuple[Session, ...]) -> set[int]:
    """Everyone who waits for `head`, directly or through others."""
    found: set[int] = set()
    edge = {head}
    while edge:
        edge = {s.pid for s in blocked if edge & set(s.blocked_by)} - found
        found |= edge
    return found


def _advice(head: int, health: Health) -> str:
    if not head:
        return "Find it in pg_prepared_xacts; COMMIT PREPARED or ROLLBACK PREPARED."
    idle = any(s.pid == head and s.idle for s in health.sessions)
    return f"Make it commit, or SELECT pg_{'terminate' if idle else 'cancel'}_backend({head})."
