"""Who blocks whom, as trees: each head of a queue with everyone who waits behind it, directly or through others. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.capabilities.databases.health import Health, Prepared, Session

PREPARED = 0  # the pid that pg_blocking_pids gives for a prepared transaction
SHOWN = 50  # lines of a tree


@dataclass(frozen=True)
class Waiter:
    """A place in a tree: the session, and how deep it stands. The head stands at 0."""

    pid: int
    depth: int
    session: Session | None = None  # None: a prepared transaction, or a session that our role cannot see


@dataclass(frozen=True)
class Chain:
    """A head of a queue, and those behind it in the order of the tree."""

    head: Waiter
    behind: tuple[Waiter, ...]
    prepared: tuple[Prepared, ...] = ()

    @property
    def longest_seconds(self) -> float:
        """How long the one that waits longest has waited."""
        return max((w.session.blocked_seconds for w in self.behind if w.session), default=0.0)

    @property
    def name(self) -> str:
        """The head as a finding's subject names it: 'pid 4711', 'prepared transaction billing-7'."""
        if self.head.pid != PREPARED:
            return f"pid {self.head.pid}"
        return (
            f"prepared transaction {self.prepared[0].name}"
            if len(self.prepared) == 1
            else "a prepared transaction"
        )

    def lines(self) -> list[str]:
        """The tree as text, one session a line."""
        shown = [f"{self.name}: {_state(self.head, self.behind)}"]
        shown += [f"{'   ' * (w.depth - 1)}└─ pid {w.pid} {waits(w)}" for w in self.behind[:SHOWN]]
        left = len(self.behind) - SHOWN
        return shown + ([f"   … and {left} more"] if left > 0 else [])


def chains(health: Health) -> tuple[Chain, ...]:
    """Every tree, the one whose sessions waited longest first. A session that waits for several stands below the first of them."""
    blocked = {s.pid: s for s in health.blocked}
    by_pid = {s.pid: s for s in health.sessions}
    heads = sorted({pid for s in blocked.values() for pid in s.blocked_by} - blocked.keys())
    heads += _of_rings(blocked, heads)
    made = (_chain(head, blocked, by_pid, health.prepared) for head in heads)
    return tuple(sorted((c for c in made if c.behind), key=lambda c: -c.longest_seconds))


def _of_rings(blocked: dict[int, Session], heads: list[int]) -> list[int]:
    """One session of each ring that waits for itself, as before the server notices a deadlock; nobody outside it is to blame."""
    reached = {w for head in heads for w in _reach(head, blocked)}
    found: list[int] = []
    for pid in sorted(blocked):
        if pid not in reached:
            found.append(pid)
            reached |= {pid, *_reach(pid, blocked)}
    return found


def _reach(head: int, blocked: dict[int, Session]) -> set[int]:
    found: set[int] = set()
    edge = {head}
    while edge:
        edge = {s.pid for s in blocked.values() if edge & set(s.blocked_by)} - found
        found |= edge
    return found


def _chain(
    head: int, blocked: dict[int, Session], by_pid: dict[int, Session], prepared: Iterable[Prepared]
) -> Chain:
    seen, behind = {head}, []
    # A stack, not recursion: a queue may be as long as the server has connections.
    left = [(pid, 1) for pid in _next(head, blocked)]
    while left:
        pid, depth = left.pop(0)
        if pid not in seen:
            seen.add(pid)
            behind.append(Waiter(pid=pid, depth=depth, session=by_pid.get(pid)))
            left = [(after, depth + 1) for after in _next(pid, blocked)] + left
    return Chain(
        head=Waiter(pid=head, depth=0, session=by_pid.get(head)),
        behind=tuple(behind),
        prepared=tuple(prepared) if head == PREPARED else (),
    )


def _next(pid: int, blocked: dict[int, Session]) -> list[int]:
    """Who waits for it, and for nobody in that queue before: a later waiter is told below the one just ahead of it."""
    direct = [s for s in blocked.values() if pid in s.blocked_by]
    ahead = {s.pid for s in direct}
    first = [s for s in direct if not (ahead - {s.pid}) & set(s.blocked_by)]
    return [s.pid for s in sorted(first or direct, key=lambda s: (-s.blocked_seconds, s.pid))]


def waits(waiter: Waiter) -> str:
    """'waits 12 s for ShareLock on public.flights'."""
    session = waiter.session
    if session is None:
        return "waits"
    on = {
        "transactionid": "a row",
        "tuple": "a row",
        "virtualxid": "a transaction",
        "advisory": "an advisory lock",
    }
    thing = on.get(session.waits_on, session.waits_on)
    place = (
        f"{thing} of {session.relation}"
        if session.relation and thing == "a row"
        else session.relation or thing
    )
    return f"waits {session.blocked_seconds:.0f} s for {session.waits_for or 'a lock'}" + (
        f" on {place}" if place else ""
    )


def _state(head: Waiter, behind: tuple[Waiter, ...]) -> str:
    session = head.session
    if session is None:
        return (
            "holds its locks until it is committed or rolled back"
            if head.pid == PREPARED
            else "state not visible"
        )
    who = " ".join(
        part for part in (session.role, f"({session.application})" if session.application else "") if part
    )
    state = f"{session.state or 'state not visible'} for {session.state_seconds:.0f} s"
    relation = next((w.session.relation for w in behind if w.session and w.session.relation), None)
    holds = f", holds {', '.join(session.holds)} on {relation}" if session.holds and relation else ""
    return f"{state}{f', {who}' if who else ''}{holds}"
