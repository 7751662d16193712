"""Sessions wait for a lock: who is at the head of the queue, and who waits behind it, as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_blocking import PREPARED, Chain, chains
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

CRITICAL_SECONDS = 120.0
NAMED = 20


def find(health: Health) -> Iterator[Finding]:
    """One finding for each session that blocks others and waits for nobody itself."""
    for chain in chains(health):
        longest = chain.longest_seconds
        if longest >= health.limits.blocked_seconds:
            yield Finding(
                rule="blocking-chain",
                subject=chain.name,
                what=f"{_blocks(chain)}: pid {', '.join(str(w.pid) for w in chain.behind[:NAMED])}.",
                why="They wait until its transaction ends, and new ones queue up behind them.",
                instead=_advice(chain),
                severity=Severity.CRITICAL if longest >= CRITICAL_SECONDS else Severity.WARNING,
                figures={
                    "sessions": len(chain.behind),
                    "blocked_seconds": round(longest, 1),
                    "tree": chain.lines(),
                },
                mended_by="" if chain.head.pid == PREPARED else "databases.end-session",
            )


def _blocks(chain: Chain) -> str:
    """'Idle in transaction for 300 s, it blocks 3 sessions'."""
    session, many = chain.head.session, "session" if len(chain.behind) == 1 else "sessions"
    state = (
        f"{session.state.capitalize()} for {session.state_seconds:.0f} s, it"
        if session and session.state
        else "It"
    )
    return f"{state} blocks {len(chain.behind)} {many}"


def _advice(chain: Chain) -> str:
    if chain.head.pid == PREPARED:
        return "Find it in pg_prepared_xacts; COMMIT PREPARED or ROLLBACK PREPARED."
    idle = chain.head.session is not None and chain.head.session.idle
    verb = "terminate" if idle else "cancel"
    return f"Make it commit, or {verb} it with an approval (databases.end-session --pid {chain.head.pid})."
