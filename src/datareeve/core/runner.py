"""The runner: the one place where anything is changed, for all operations.

    apply    re-check requirements -> for each step: write intent -> effect -> probe -> write outcome
    verify   failing checks undo the part, the failing step included
    resume   the probe of the last intent decides whether the effect happened; it is never repeated blindly
    undo     the steps' own undo calls, in reverse; then the plan's requirements must hold again

Everything it decides, it decides by the journal (`journal.py`), never by memory: a second worker does what the first would have done.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from datareeve.core import clock
from datareeve.core.amounts import watched
from datareeve.core.errors import BadInput, DatareeveError, Failed, LeaseLost, StalePlan
from datareeve.core.journal import Journal, ended
from datareeve.core.operation import (
    Check,
    Claim,
    Effect,
    Finding,
    Outcome,
    PartOutcome,
    Plan,
    StepOutcome,
    Systems,
    Verdict,
    examine,
)
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.core.authority import Gate
    from datareeve.core.journal import Boundary
    from datareeve.core.ledger import Fence, Ledger
    from datareeve.core.operation import Call, CatalogueView, Operation, Step, System

PLAIN_RESULTS = {"rows", "bytes", "before"}  # figures of a step, not of the report
UNDER_WAY, INTERRUPTED = "under way", "interrupted"
RECENT = 2000  # of the entries about runs: what was interrupted before them is found in the whole list only


class Progress(Protocol):
    """Told what the runner is doing: 'part', 'step', 'check', 'rehearsal', with fields that name it.

    One with a method `amount` is told with it, from another thread, how far the step is (`Amount`).
    """

    def __call__(self, event: str, **fields: Any) -> None:
        """Something began or ended."""


def silent(event: str, **fields: Any) -> None:
    """A progress that nobody watches."""
    del event, fields


class RunSummary(Value):
    """A run in a list."""

    run: str
    plan: str
    summary: str
    status: str  # 'under way' until it ended, 'interrupted' where nobody is at it any more
    by: str
    started_at: str
    ended_at: str = ""


class Runner:
    """Carries plans out and takes them back."""

    def __init__(
        self,
        ledger: Ledger,
        systems: Systems,
        catalogue: CatalogueView,
        gate: Gate,
        *,
        boundary: Boundary | None = None,
    ) -> None:
        self._ledger = ledger
        self._systems = systems
        self._catalogue = catalogue
        self._gate = gate
        self._boundary = boundary

    # -- what callers ask ----------------------------------------------------------------------------------------------------------

    def preview(self, operation: Operation[Any]) -> Plan:
        """Observe and plan: free, any number of times."""
        return operation.plan(operation.observe(self._systems))

    def store(self, plan: Plan, *, asked_by: str, task: str = "") -> str:
        """Keep a plan in the ledger, so that its fingerprint can be approved and applied later; gives the fingerprint."""
        fingerprint = plan.fingerprint
        if not any(
            e.body["asked_by"] == asked_by and e.body["task"] == task
            for e in self._ledger.entries("plan", subject=fingerprint)
        ):
            body = {"plan": plan.model_dump(mode="json"), "asked_by": asked_by, "task": task}
            self._ledger.append("plan", body, subject=fingerprint)
        return fingerprint

    def stored(self, fingerprint: str) -> Plan:
        """A plan by its fingerprint, or the start of it. Errors: `BadInput` `plan.unknown`, `plan.version`."""
        found = self._ledger.entries("plan", subject=fingerprint)
        if not found:
            raise BadInput(
                "plan.unknown",
                f"No plan has the fingerprint {fingerprint}.",
                "Plan again, and use the fingerprint it prints.",
            )
        try:
            return Plan.model_validate(found[-1].body["plan"])
        except ValidationError:
            raise BadInput(
                "plan.version",
                f"The plan {fingerprint} was made by another version of Datareeve, and cannot be read by this one.",
                "Use that version for its runs, or plan again.",
            ) from None

    def apply(self, plan: Plan, *, by: str, task: str = "", progress: Progress = silent) -> Outcome:
        """Carry a plan out. Errors: `Refused`, `NeedsApproval`, `StalePlan`, `LeaseLost` before anything happened.

        A part that fails is undone and told in the outcome, not raised.
        """
        allowed = self._gate.require(plan)
        run = f"{clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        fingerprint = self.store(plan, asked_by=by, task=task)
        with self._ledger.lease(run, _resources(plan)) as fence:
            journal = self._journal(run, fence)
            if not plan.parts:
                self._require_still(plan, run, fingerprint)
            journal.run_state(state="started", plan=fingerprint, summary=plan.summary, by=by, allowed=allowed, task=task,
                              cost_usd=sum(step.cost_usd for step in plan.all_steps()))  # fmt: skip
            return self._carry_out(plan, journal, progress)

    def resume(self, run: str, *, by: str, progress: Progress = silent) -> Outcome:
        """Carry on a run whose worker died. An ended run is told as it is.

        Errors: `Refused` `authority.never` where a rule has come to forbid what is left to do; the run can still be undone.
        """
        entries = self._entries(run)
        plan = self.stored(entries[0].body["plan"])
        with self._ledger.lease(run, _resources(plan)) as fence:
            entries = self._entries(run)
            if ended(entries) is not None:
                return self.outcome(run)
            taking_back = any(e.kind == "run" and e.body["state"] == "undoing" for e in entries)
            if not taking_back:
                self._gate.refuse_forbidden(plan)
            self._settle(plan, run)
            journal = self._journal(run, fence)
            journal.run_state(state="resumed", by=by)
            if taking_back:
                return self._take_back(plan, journal, progress)
            return self._carry_out(plan, journal, progress)

    def undo(self, run: str, *, by: str, progress: Progress = silent) -> Outcome:
        """Take a run back, step by step in reverse. Errors: `BadInput` `run.unknown`; `Failed` `run.under-way`."""
        entries = self._entries(run)
        plan = self.stored(entries[0].body["plan"])
        with self._ledger.lease(run, _resources(plan)) as fence:
            self._settle(plan, run)
            journal = self._journal(run, fence)
            journal.run_state(state="undoing", by=by)
            return self._take_back(plan, journal, progress)

    def recheck(self, run: str) -> tuple[Check, ...]:
        """Test every check of a run again, now; the answers are recorded as evidence."""
        checks = [Check.model_validate(e.body) for e in self._entries(run) if e.kind == "check"]
        latest = {(check.claim.text, check.claim.call.model_dump_json()): check.claim for check in checks}
        found = tuple(examine(claim, self._systems) for claim in latest.values())
        for check in found:
            self._ledger.append("evidence", check.model_dump(mode="json"), run=run)
        return found

    def outcome(self, run: str) -> Outcome:
        """What became of a run, from the ledger."""
        entries = self._entries(run)
        journal = Journal(self._ledger, run, _no_fence(run))
        last = ended(entries)
        return Outcome(
            run=run,
            plan=entries[0].body["plan"],
            status=last.body["status"] if last else "failed",
            parts=journal.parts(),
            started_at=entries[0].at,
            undo_at=max(
                (e.at for e in entries if e.kind == "run" and e.body["state"] == "undoing"), default=""
            ),
            ended_at=last.at if last else "",
        )

    def interrupted(self, like: Plan) -> list[RunSummary]:
        """The recent runs, oldest first, that did the same as a plan and that nobody is at any more, though they did not end."""
        return [
            run for run in self.runs(RECENT) if run.status == INTERRUPTED and self._is_like(run.plan, like)
        ]

    def _is_like(self, fingerprint: str, like: Plan) -> bool:
        kept = self._ledger.entries("plan", subject=fingerprint, limit=1)
        same = {"operation": like.operation, "inputs": like.model_dump(mode="json")["inputs"]}
        return bool(kept) and {name: kept[0].body["plan"].get(name) for name in same} == same

    def runs(self, newest: int | None = None) -> list[RunSummary]:
        """Every run, oldest first; with `newest`, those that began within so many entries about runs."""
        found = self._summaries(newest)
        open_ = {run.run for run in found if run.status == UNDER_WAY}
        dead = open_ - self._ledger.at_work() if open_ else open_
        dead = {run for run in dead if ended(self._entries(run)) is None}  # it may have ended as we looked
        return [run.model_copy(update={"status": INTERRUPTED}) if run.run in dead else run for run in found]

    def _summaries(self, newest: int | None) -> list[RunSummary]:
        summaries: dict[str, RunSummary] = {}
        for entry in self._ledger.entries("run", limit=newest):
            if entry.body["state"] == "started":
                body = entry.body
                summaries[entry.run] = RunSummary(
                    run=entry.run,
                    plan=body["plan"],
                    summary=body["summary"],
                    status=UNDER_WAY,
                    by=body["by"],
                    started_at=entry.at,
                )
            elif entry.run in summaries:
                ended_at = entry.at if entry.body["state"] == "ended" else ""
                status = entry.body.get("status", UNDER_WAY)
                summaries[entry.run] = summaries[entry.run].model_copy(
                    update={"status": status, "ended_at": ended_at}
                )
        return list(summaries.values())

    # -- carrying out --------------------------------------------------------------------------------------------------------------

    def _carry_out(self, plan: Plan, journal: Journal, progress: Progress) -> Outcome:
        for leaf in substituted(plan, journal.run).leaves():
            known = journal.part(leaf)
            if known is None:
                progress(
                    "part",
                    part_id=leaf.part_id,
                    operation=leaf.operation,
                    serves=leaf.serves,
                    summary=leaf.summary,
                )
                journal.part_ended(self._part(leaf, journal, progress))
        return self._end(journal)

    def _end(self, journal: Journal) -> Outcome:
        journal.run_state(state="ended", status=_status(journal.parts()))
        return self.outcome(journal.run)

    def _part(self, leaf: Plan, journal: Journal, progress: Progress) -> PartOutcome:
        lost = [need for need in leaf.needs if not _succeeded(need, journal.parts())]
        if lost:
            return _part_outcome(leaf, "skipped", reason=f"it needs {', '.join(lost)}, which was not done")
        if journal.undoing(leaf):
            return self._undo_part(leaf, journal, "its undo was interrupted", progress)
        if not journal.begun(leaf):
            try:
                self._require_still(leaf, journal.run, self._entries(journal.run)[0].body["plan"])
            except StalePlan as stale:
                return _part_outcome(leaf, "failed", reason=f"{stale.what} {stale.remedy}".rstrip())
        for step in leaf.steps:
            progress("step", step=step.id, why=step.why, status="begins")
            with watched(getattr(progress, "amount", None)):
                outcome = self._step(leaf, step, journal)
            progress("step", step=step.id, why=step.why, status=outcome.status, seconds=outcome.seconds)
            if outcome.status != "done":
                return self._undo_part(leaf, journal, outcome.error, progress)
        return self._verified(leaf, journal, progress)

    def _verified(self, leaf: Plan, journal: Journal, progress: Progress) -> PartOutcome:
        checks = self._catalogue.make(leaf.operation, leaf.inputs).verify(self._systems, leaf)
        for check in checks:
            journal.check(leaf, check)
            progress("check", text=check.claim.text, verdict=check.verdict)
        failing = [check for check in checks if check.verdict is not Verdict.HOLDS]
        if failing and leaf.steps:
            reason = f"the check failed: {failing[0].claim.text} {failing[0].reason}".rstrip()
            if _only_looked(leaf):  # what was found stays, and there is nothing to take back
                return _part_outcome(
                    leaf, "failed", reason=reason, steps=_outcomes(leaf, journal), checks=checks
                )
            return self._undo_part(leaf, journal, reason, progress)
        contradicted = [check for check in checks if check.verdict is Verdict.FAILS]
        if leaf.nothing_to_do and contradicted:  # so it was when it was planned; it is no longer
            reason = f"the check failed: {contradicted[0].claim.text}"
            return _part_outcome(leaf, "failed", reason=reason, checks=checks)
        status = "done" if leaf.steps else "blocked" if leaf.blockers else "nothing to do"
        return _part_outcome(
            leaf, status, reason=leaf.nothing_to_do, steps=_outcomes(leaf, journal), checks=checks
        )

    def _step(self, leaf: Plan, step: Step, journal: Journal) -> StepOutcome:
        state = journal.step(leaf, step)
        if state.outcome is not None and not state.undone:
            return state.outcome
        began = time.monotonic()
        try:
            if state.in_doubt and self._there(step):
                outcome = StepOutcome(step=step.id, status="done", found_by_probe=True)
                journal.outcome(leaf, step, outcome)
                return outcome
            if not state.in_doubt:
                journal.intent(leaf, step)
            elif not step.continues:
                self._call_all(step.undo, journal)
            return self._make_effect(leaf, step, journal, began)
        except LeaseLost:
            raise
        except DatareeveError as error:
            if error.code.startswith("ledger."):
                raise  # what cannot be journalled is not done, and not undone either: the run is resumed when the ledger is well
            outcome = StepOutcome(
                step=step.id, status="failed", seconds=_since(began), error=f"{error.code}: {error.what}"
            )
            journal.outcome(leaf, step, outcome)
            return outcome

    def _make_effect(self, leaf: Plan, step: Step, journal: Journal, began: float) -> StepOutcome:
        system = self._system(step.call)
        if step.transactional and self._ledger.identity() == system.identity() is not None:
            return self._make_effect_with_outcome(leaf, step, journal, system)
        journal.boundary(f"before effect of {leaf.part_id}/{step.id}")
        self._must_hold(journal)
        result = system.perform(step.call.action, run=journal.run, fence=journal.fence, **step.call.arguments)
        journal.boundary(f"after effect of {leaf.part_id}/{step.id}")
        if step.restarts:
            self._ledger.close()  # it may be on the server that was restarted: its connections are dead, and are made anew
        self._must_be_there(step)
        outcome = StepOutcome(step=step.id, status="done", seconds=_since(began), result=result)
        journal.outcome(leaf, step, outcome)
        return outcome

    def _make_effect_with_outcome(
        self, leaf: Plan, step: Step, journal: Journal, system: System
    ) -> StepOutcome:
        began = time.monotonic()
        with self._ledger.fenced_transaction(journal.fence) as transaction:
            journal.boundary(f"before effect of {leaf.part_id}/{step.id}")
            result = system.perform(
                step.call.action,
                run=journal.run,
                connection=transaction.driver_connection,
                **step.call.arguments,
            )
            journal.boundary(f"after effect of {leaf.part_id}/{step.id}")
            outcome = StepOutcome(step=step.id, status="done", seconds=_since(began), result=result)
            journal.outcome_in(transaction, leaf, step, outcome)
        journal.adopted(leaf, step, outcome)
        self._must_be_there(step)
        return outcome

    # -- taking back ---------------------------------------------------------------------------------------------------------------

    def _take_back(self, plan: Plan, journal: Journal, progress: Progress) -> Outcome:
        leaves = list(substituted(plan, journal.run).leaves())
        for leaf in reversed(leaves):
            known = journal.part(leaf)
            if journal.begun(leaf) and (known is None or known.status != "undone"):
                progress(
                    "part",
                    part_id=leaf.part_id,
                    operation=leaf.operation,
                    serves=leaf.serves,
                    summary=f"Undo: {leaf.summary}",
                )
                journal.part_ended(self._undo_part(leaf, journal, "undone on request", progress))
        # A part that failed before its first step has nothing to take back.
        taken_back = [journal.part(leaf) for leaf in leaves if journal.begun(leaf)]
        failed = any(part is not None and part.status == "failed" for part in taken_back)
        journal.run_state(state="ended", status="failed" if failed else "undone")
        return self.outcome(journal.run)

    def _undo_part(self, leaf: Plan, journal: Journal, reason: str, progress: Progress) -> PartOutcome:
        if not journal.undoing(leaf):
            journal.undo_begins(leaf, reason)
        outcomes = [self._undo_step(leaf, step, journal, progress) for step in reversed(leaf.steps)][::-1]
        if any(outcome.status == "undo-failed" for outcome in outcomes):
            return _part_outcome(
                leaf, "failed", reason=f"{reason}; not all of it could be undone", steps=outcomes
            )
        checks = tuple(examine(_again(claim), self._systems) for claim in leaf.requirements)
        for check in checks:
            journal.check(leaf, check)
        if different := [check for check in checks if check.verdict is Verdict.FAILS]:
            reason = f"{reason}; the undo was carried out, but this is not so: {different[0].claim.text}"
            return _part_outcome(leaf, "failed", reason=reason, steps=outcomes, checks=checks)
        return _part_outcome(leaf, "undone", reason=reason, steps=outcomes, checks=checks)

    def _undo_step(self, leaf: Plan, step: Step, journal: Journal, progress: Progress) -> StepOutcome:
        state = journal.step(leaf, step)
        if not state.intent:
            return StepOutcome(step=step.id, status="skipped")
        failed_with = state.outcome.error if state.outcome else ""
        if state.undone:
            return StepOutcome(step=step.id, status="undone", error=failed_with)
        if not step.undo:
            return StepOutcome(
                step=step.id, status="done", error=f"no way back: {step.no_undo}" if step.no_undo else ""
            )
        journal.undo_intent(leaf, step)
        try:
            self._call_all(step.undo, journal)
            if step.restarts:
                self._ledger.close()
        except LeaseLost:
            raise
        except DatareeveError as error:
            journal.undone(leaf, step, f"{error.code}: {error.what}")
            return StepOutcome(step=step.id, status="undo-failed", error=f"{error.code}: {error.what}")
        journal.undone(leaf, step)
        progress("step", step=step.id, why=step.why, status="undone")
        return StepOutcome(step=step.id, status="undone", error=failed_with)

    # -- small things --------------------------------------------------------------------------------------------------------------

    def _call_all(self, calls: Iterable[Call], journal: Journal) -> None:
        for call in calls:
            journal.boundary(f"before undo call {call.action}")
            self._must_hold(journal)
            self._system(call).perform(call.action, run=journal.run, fence=journal.fence, **call.arguments)
            journal.boundary(f"after undo call {call.action}")

    def _must_hold(self, journal: Journal) -> None:
        if not self._ledger.holds(journal.fence):
            raise LeaseLost(
                "lease.lost",
                f"Another worker has taken run {journal.run} over, or what it works on.",
                "This worker stops.",
            )

    def _require_still(self, plan: Plan, run: str, fingerprint: str) -> None:
        """As `_require`; where a run of this very plan was interrupted, it is that which changed the world, and it is named."""
        try:
            self._require(plan, run)
        except StalePlan as stale:
            before = [
                one.run
                for one in self.runs(RECENT)
                if (one.plan, one.status) == (fingerprint, INTERRUPTED) and one.run != run
            ]
            if not before:
                raise
            raise StalePlan(
                "plan.half-done",
                f"Run {before[-1]} of this very plan was interrupted, and is half done. {stale.what}",
                f"`datareeve resume {before[-1]}` carries it on, `datareeve undo {before[-1]}` takes it back.",
            ) from None

    def _require(self, leaf: Plan, run: str) -> None:
        for claim in substituted(leaf, run).requirements:
            check = examine(claim, self._systems)
            if check.verdict is Verdict.NOT_RUN:
                raise StalePlan(
                    "plan.requirement",
                    f"It could not be checked that {claim.text}: {check.reason}.",
                    "Plan again when it can.",
                )
            if check.verdict is Verdict.FAILS:
                raise StalePlan(
                    "plan.stale", f"This no longer holds: {claim.text}.", claim.remedy or "Plan again."
                )

    def _there(self, step: Step) -> bool:
        check = examine(step.probe, self._systems)
        if check.verdict is Verdict.NOT_RUN:
            raise Failed(
                "step.probe",
                f"It cannot be told whether {step.id} happened: {check.reason}",
                "Resume when the system is back.",
            )
        return check.verdict is Verdict.HOLDS

    def _must_be_there(self, step: Step) -> None:
        if not self._there(step):
            raise Failed(
                "step.no-effect",
                f"{step.id} was carried out, but its effect is not there: {step.probe.text}.",
                "Look at the system's log.",
            )

    def _settle(self, plan: Plan, run: str) -> None:
        for name in sorted({step.call.system for step in plan.all_steps()}):
            self._systems[name].settle(run)  # type: ignore[attr-defined]

    def _system(self, call: Call) -> System:
        return self._systems[call.system]  # type: ignore[return-value]

    def _journal(self, run: str, fence: Fence) -> Journal:
        return Journal(self._ledger, run, fence, self._boundary)

    def _entries(self, run: str) -> list[Any]:
        entries = self._ledger.entries(run=run)
        if not entries:
            raise BadInput("run.unknown", f"There is no run {run!r}.", "`datareeve runs` lists them.")
        return entries


def substituted(plan: Plan, run: str) -> Plan:
    """The plan with `{run}` in its texts replaced by the run's id."""
    text = plan.model_dump_json()
    return Plan.model_validate_json(text.replace("{run}", run)) if "{run}" in text else plan


def _resources(plan: Plan) -> list[str]:
    return sorted({resource for step in plan.all_steps() for resource in step.touches})


def _no_fence(run: str) -> Fence:
    from datareeve.core.ledger import Fence  # noqa: PLC0415 - only the reader of a finished run needs it here

    return Fence(resource="", token=0, run=run)


def _only_looked(leaf: Plan) -> bool:
    return all(step.effect is Effect.READ and not step.undo for step in leaf.steps)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 4)


def _again(claim: Claim) -> Claim:
    return claim.model_copy(update={"text": f"as before: {claim.text}"})


def _outcomes(leaf: Plan, journal: Journal) -> list[StepOutcome]:
    return [state.outcome for step in leaf.steps if (state := journal.step(leaf, step)).outcome is not None]


def _part_outcome(
    leaf: Plan,
    status: Any,
    *,
    reason: str = "",
    steps: Iterable[StepOutcome] = (),
    checks: tuple[Check, ...] = (),
) -> PartOutcome:
    steps = tuple(steps)
    measured = {
        key: value for step in steps for key, value in step.result.items() if key not in PLAIN_RESULTS
    }
    measured.pop("findings", None)
    found = tuple(finding for step in steps for finding in noticed(step))
    return PartOutcome(
        part_id=leaf.part_id, operation=leaf.operation, serves=leaf.serves, summary=leaf.summary, status=status, reason=reason,
        steps=steps, checks=checks, figures={**leaf.figures, **measured}, findings=(*leaf.findings, *found), blockers=leaf.blockers,
    )  # fmt: skip


def noticed(step: StepOutcome) -> tuple[Finding, ...]:
    """What a step found while it was carried out: `findings` in its result."""
    return tuple(Finding.model_validate(one) for one in step.result.get("findings", ()))


def _succeeded(need: str, parts: tuple[PartOutcome, ...]) -> bool:
    """A need names a part or a composite: every ended part under it must be done, or have had nothing to do."""
    under = [part for part in parts if part.part_id == need or part.part_id.startswith(f"{need}.")]
    return bool(under) and all(part.status in {"done", "nothing to do"} for part in under)


def _status(parts: tuple[PartOutcome, ...]) -> str:
    """Done only when nothing failed and nothing was blocked."""
    statuses = {part.status for part in parts} - {"nothing to do"}
    if not statuses:
        return "nothing to do"
    if statuses == {"done"}:
        return "done"
    return "partly done" if "done" in statuses else "failed"
