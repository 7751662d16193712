"""`databases.end-session`: a statement cancelled or a session ended, by a person's approval of exactly that one."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from datareeve.capabilities.databases import maintenance
from datareeve.core.operation import (
    Call,
    Claim,
    Effect,
    Finding,
    Operation,
    Plan,
    Prediction,
    Severity,
    Step,
    Systems,
)
from datareeve.core.value import Value

OURS = "datareeve"


class Session(Value):
    """A session, and what it runs as a shape without constants."""

    pid: int
    backend_start: str | None = None
    xact_start: str | None = None
    query_start: str | None = None
    state: str | None = None
    backend_type: str | None = None
    application_name: str | None = None
    role: str | None = None
    wait_event_type: str | None = None
    transaction_seconds: float | None = None
    state_seconds: float | None = None
    blocks: tuple[int, ...] = ()
    longest_wait_seconds: float | None = None
    is_here: bool | None = None
    prevents_wraparound: bool = False
    runs: str = ""


class EndSessionFacts(Value):
    """The session that is meant; None where there is none. `asked`: its pid, where it was found as the root of a blocking chain."""

    session: Session | None = None
    root: int | None = None
    waiting: int = 0  # behind the root, directly or through others


class EndSession(Operation[EndSessionFacts]):
    """Cancel a session's statement or end the session, only ever by a person's approval.

    Takes a pid, or the session at the root of the longest blocking chain. Shows what it runs without constants, since when, and whom it
    blocks. Just before, it is looked at again: another session under the same pid, or the same in another transaction, is left alone.
    Never a replication sender, never one of ours, and an autovacuum that prevents wraparound only where that is said. There is no undo:
    its transaction is rolled back.
    """

    name: ClassVar[str] = "databases.end-session"
    effect: ClassVar[Effect] = Effect.IRREVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "terminate the session that blocks the others",
        "kill session with pid 4711",
        "cancel a running query",
        "end an idle in transaction session",
        "unblock waiting sessions",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    pid: int | None = Field(None, ge=1, description="the session's process id")
    root_of_blocking: bool = Field(default=False, description="instead of a pid: the session that holds most others up")  # fmt: skip
    mode: Literal["auto", "cancel", "terminate"] = Field(
        "auto",
        description="cancel its statement, or end it; auto: cancel what runs, end what idles in a transaction",
    )
    even_wraparound: bool = Field(default=False, description="even an autovacuum that prevents transaction id wraparound")  # fmt: skip

    @model_validator(mode="after")
    def _one_of_the_two(self) -> EndSession:
        if (self.pid is None) is not self.root_of_blocking:
            raise ValueError("give either --pid or --root-of-blocking")
        return self

    def observe(self, systems: Systems) -> EndSessionFacts:
        """The session as it is now."""
        reader = systems[self.system]
        roots = reader.read("blocking_roots") if self.root_of_blocking else []
        root = roots[0]["pid"] if roots else None
        pid = root if self.root_of_blocking else self.pid
        found = reader.read("session", pid=pid) if pid else None
        return EndSessionFacts(session=found, root=root, waiting=roots[0]["waiting"] if roots else 0)

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: EndSessionFacts) -> Plan:
        """One step; nothing where the session is gone, a blocker where it is not one to be ended."""
        if self.root_of_blocking and facts.root is None:
            return maintenance.quiet(self, "No session waits for a lock that another one holds.")
        if facts.root == 0:
            return maintenance.quiet(self, blocker="A prepared transaction holds the others up, which is no session: COMMIT PREPARED or ROLLBACK PREPARED it (pg_prepared_xacts).")  # fmt: skip
        one = facts.session
        if one is None:
            return maintenance.quiet(self, f"There is no session with pid {self.pid or facts.root}.")
        if blocker := self._blocker(one):
            return maintenance.quiet(self, blocker=blocker, findings=(self._told(one, facts),))
        mode = self._mode(one)
        if mode == "cancel" and one.state != "active":
            return maintenance.quiet(self, f"Pid {one.pid} runs no statement that could be cancelled: it is {one.state or 'not known to run one'}.")  # fmt: skip
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"{mode.capitalize()} {_described(one)}.",
            requirements=(self._unchanged(one, mode),),
            steps=(self._step(one, mode),),
            checks=(self._gone(one, mode),),
            findings=(self._told(one, facts),),
            figures={"sessions_blocked": max(len(one.blocks), facts.waiting)},
        )

    def _mode(self, one: Session) -> Literal["cancel", "terminate"]:
        if self.mode == "auto":
            return (
                "cancel" if one.state == "active" or one.backend_type == "autovacuum worker" else "terminate"
            )
        return self.mode

    def _blocker(self, one: Session) -> str:
        if one.backend_type is None or one.backend_start is None:
            return f"This role may not see what pid {one.pid} is: grant it pg_read_all_stats and pg_signal_backend."
        if one.backend_type not in {"client backend", "autovacuum worker"}:
            return (
                f"Pid {one.pid} is a {one.backend_type}, not a client's session: it is never ended from here."
            )
        if (one.application_name or "").startswith(OURS):
            return f"Pid {one.pid} is one of Datareeve's own: `datareeve undo` or `resume` its run."
        if one.prevents_wraparound and not self.even_wraparound:
            return f"Pid {one.pid} is an autovacuum that prevents transaction id wraparound: it comes again at once, and without it the database stops taking writes. Give --even-wraparound if that is meant."
        return ""

    def _told(self, one: Session, facts: EndSessionFacts) -> Finding:
        waited = f", the longest for {one.longest_wait_seconds:.0f} s" if one.longest_wait_seconds else ""
        behind = (
            f"It blocks {len(one.blocks)} sessions (pid {', '.join(map(str, one.blocks[:10]))}{waited})."
            if one.blocks
            else "It blocks nobody."
        )
        since = (
            f" In its transaction for {one.transaction_seconds:.0f} s."
            if one.transaction_seconds is not None
            else ""
        )
        again = (
            " An autovacuum that was cancelled comes again."
            if one.backend_type == "autovacuum worker"
            else ""
        )
        return Finding(
            rule="session-to-end",
            subject=_described(one),
            what=f"{behind}{since}{again}",
            why=f"It runs: {one.runs}" if one.runs else "",
            instead="Ask whoever runs it, where there is time to.",
            severity=Severity.WARNING if one.blocks else Severity.INFO,
            figures={"blocks": len(one.blocks), "waiting": facts.waiting},
        )  # fmt: skip

    # -- the step ------------------------------------------------------------------------------------------------------------------

    def _step(self, one: Session, mode: str) -> Step:
        return Step(
            id=f"{mode} {one.pid}",
            call=Call(system=self.system, action="end_session", arguments={"who": self._who(one, mode), "mode": mode}),
            why=f"It holds {len(one.blocks)} others up." if one.blocks else "It was asked for.",
            effect=Effect.IRREVERSIBLE,
            probe=self._gone(one, mode),
            no_undo="Its transaction is rolled back; whoever ran it has to begin again.",
            predicted=Prediction(seconds=0.1, basis="a signal; rolling back takes no time in PostgreSQL"),
            touches=(f"{self.system}:session {one.pid}",),
            needs_person=True,
        )  # fmt: skip

    def _who(self, one: Session, mode: str) -> dict[str, Any]:
        # Cancelling hits whatever runs when the signal comes, so that the statement itself is part of who is meant.
        started = one.query_start if mode == "cancel" else None
        return {"pid": one.pid, "backend_start": one.backend_start, "xact_start": one.xact_start, "query_start": started, "state": one.state}  # fmt: skip

    def _gone(self, one: Session, mode: str) -> Claim:
        said = "its statement is over" if mode == "cancel" else "it has ended"
        call = Call(system=self.system, action="session_is_there", arguments={"who": self._who(one, mode)})
        return Claim(text=f"pid {one.pid}: {said}", call=call, expected=False)

    def _unchanged(self, one: Session, mode: str) -> Claim:
        text = f"pid {one.pid} is still the session that was looked at, in the same transaction, and {one.state or 'at work'}"
        return maintenance.claim(self.system, text, "maintenance_session_state", remedy="Look again, and plan again.", **self._who(one, mode))  # fmt: skip


def _described(one: Session) -> str:
    words = [
        one.application_name or one.backend_type or "",
        f"role {one.role}" if one.role else "",
        one.state or "",
    ]
    return f"pid {one.pid} ({', '.join(word for word in words if word)})"
