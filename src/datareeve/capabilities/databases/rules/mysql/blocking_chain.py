"""Sessions that wait for another's lock: named from the one at the root of the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health_trend import spell
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding a session that others wait for and that waits for none; one for those whose blocker is not known."""
    waiting = [
        t for t in look.transactions if t.blocked_by and t.blocked_seconds >= look.limits.blocked_seconds
    ]
    blocked = {t.thread for t in look.transactions if t.blocked_by}
    for root in sorted({by for t in waiting for by in t.blocked_by} - blocked):
        behind = sorted(_behind(root, look))
        longest = max(t.blocked_seconds for t in look.transactions if t.thread in behind)
        who = f"session {root}" if root else "a session that is not known"
        state = next(
            ("idle in its transaction" for t in look.transactions if t.thread == root and t.idle), "at work"
        )
        yield Finding(
            rule="blocking-chain",
            subject=who,
            what=f"{len(behind)} sessions wait for {who}{f', which is {state}' if root else ' to let go of a table'}: {', '.join(map(str, behind))}; the longest for {spell(longest)}.",
            why="Everything behind it stands still until it commits or is ended, or innodb_lock_wait_timeout rolls a waiter back.",
            instead=f"Let it commit, or KILL {root}."
            if root
            else "SHOW PROCESSLIST shows who has the table open; MariaDB's plugin metadata_lock_info names it.",
            severity=Severity.CRITICAL,
            figures={"blocking": root, "waiting": behind, "seconds": longest},
        )


def _behind(root: int, look: MysqlLook) -> set[int]:
    """The sessions that wait for one, or for one of those."""
    found: set[int] = set()
    while True:
        more = {t.thread for t in look.transactions if {root, *found} & set(t.blocked_by)} - found - {root}
        if not more:
            return found
        found |= more
