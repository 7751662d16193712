"""Rehearsal: a plan is tried on a disposable copy of each database before anybody is asked to approve it.

Operations enrich their facts on the copy (an index is built and the real queries are run with and without it), and every statement of the plan
is executed there and timed, in order, so that a later part is tried on what the earlier ones leave. What fails on the copy is taken out of
the plan and told as a blocker.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol, cast

from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Finding, Plan, Severity, Step
from datareeve.core.runner import silent

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from datareeve.core.operation import CatalogueView, Copy, Systems
    from datareeve.core.runner import Progress

NO_ROWS = "twin.no-rows"  # the copy has statistics only, and the operation wanted to run something
REHEARSED = "execute"  # the action whose statements are tried; settings, files and backups are not a database's content


class Copies(Protocol):
    """Makes disposable copies."""

    def __call__(self, system: str, /) -> AbstractContextManager[Copy] | None:
        """A copy of the system of that name; None where this kind is not copied. Errors: where a copy cannot be had, with the reason."""


class Rehearsal:
    """One rehearsal of one plan."""

    def __init__(
        self, systems: Systems, catalogue: CatalogueView, copies: Copies, progress: Progress = silent
    ) -> None:
        self._systems = systems
        self._catalogue = catalogue
        self._copies = copies
        self._progress = progress
        self._made: dict[str, Copy | None] = {}
        self._why_not: dict[str, str] = {}

    def __call__(self, plan: Plan) -> Plan:
        """The plan with what the copy taught. Where no copy can be had it stays as it is, with a finding that says why."""
        with ExitStack() as stack:
            parts = (
                tuple(self._rehearsed(part, stack) for part in plan.parts)
                if plan.operation == "task"
                else None
            )
            return self._rehearsed(plan, stack) if parts is None else plan.model_copy(update={"parts": parts})

    def _rehearsed(self, plan: Plan, stack: ExitStack) -> Plan:
        target = plan.inputs.get("system")
        if target is None or not self._worth_trying(plan):
            return plan
        operation = self._catalogue.make(plan.operation, plan.inputs)
        if not operation.needs_a_copy():
            facts = operation.rehearse(operation.observe(self._systems), cast("Copy", self._systems[target]))
            return _placed(operation.plan(facts), plan)
        copy = self._copy(target, stack)
        if copy is None:
            return plan.model_copy(update={"findings": (*plan.findings, *self._not_rehearsed(target))})
        self._progress("rehearsal", text=f"{plan.operation}: {plan.summary}")
        facts = operation.observe(self._systems)
        try:
            facts = operation.rehearse(facts, copy)
        except DatareeveError as error:
            if error.code != NO_ROWS:
                raise
        tried = self._tried(_placed(operation.plan(facts), plan), copy)
        return tried.model_copy(update={"findings": (*tried.findings, *_partly(copy))})

    def _worth_trying(self, plan: Plan) -> bool:
        """Whether there is a statement to try, or the operation has something of its own to find out on a copy.

        Where looking already says that there is nothing to do, no copy is made to contradict it: a second run stays quiet.
        """
        if plan.nothing_to_do:
            return False
        own = self._catalogue.make(plan.operation, plan.inputs).learns_on_a_copy()
        return own or any(step.call.action == REHEARSED for step in plan.all_steps())

    def _copy(self, system: str, stack: ExitStack) -> Copy | None:
        if system not in self._made:
            self._progress("rehearsal", text=f"copying {system}")
            try:
                made = self._copies(system)
                self._made[system] = stack.enter_context(made) if made is not None else None
            except DatareeveError as error:
                self._made[system], self._why_not[system] = None, f"{error.code}: {error.what}"
        return self._made[system]

    def _not_rehearsed(self, system: str) -> tuple[Finding, ...]:
        why = self._why_not.get(system)
        if why is None:
            return ()
        what = f"This was not tried on a copy of {system} ({why}): its predictions are the planner's."
        return (Finding(rule="not-rehearsed", subject=system, what=what),)

    def _tried(self, plan: Plan, copy: Copy) -> Plan:
        if _kind(copy) == "twin":
            return plan  # no statement of it could fail for want of rows, or take a time that means anything
        if plan.parts:
            return plan.model_copy(update={"parts": tuple(self._tried(part, copy) for part in plan.parts)})
        steps = []
        for step in plan.steps:
            if step.call.action != REHEARSED or step.call.system != copy.name:
                steps.append(step)
                continue
            began = time.monotonic()
            try:
                copy.perform(step.call.action, **step.call.arguments)
            except DatareeveError as error:
                reason = f"On a copy, {step.id} failed ({error.code}: {error.what}); it is not done on {copy.name}."
                return plan.model_copy(
                    update={
                        "steps": (),
                        "checks": (),
                        "requirements": (),
                        "blockers": (*plan.blockers, reason),
                    }
                )
            seconds = time.monotonic() - began
            steps.append(_timed(step, seconds) if _kind(copy) == "clone" else _tried_in_part(step))
        return plan.model_copy(update={"steps": tuple(steps)})


def _kind(copy: Copy) -> str:
    """'clone' (all rows), 'sample' (a part of them) or 'twin' (statistics only)."""
    return str(copy.read("copy_kind"))


def _partly(copy: Copy) -> tuple[Finding, ...]:
    """What is to be said where the copy does not hold all rows."""
    kind, differs = _kind(copy), str(getattr(copy, "differs", ""))
    if kind == "sample":
        what = f"This was tried on a part of the rows of {copy.name}: what fails only on the others is not known, and times say nothing. {differs}"
        return (Finding(rule="rehearsed-in-part", subject=copy.name, what=what, severity=Severity.INFO),)
    if kind == "twin":
        what = f"This was not tried on rows of {copy.name}: its predictions are the planner's. {differs}"
        return (Finding(rule="not-rehearsed", subject=copy.name, what=what),)
    return ()


def _tried_in_part(step: Step) -> Step:
    """A step that went well on a part of the rows, which foretells no time."""
    basis = f"{step.predicted.basis}; tried on a part of the rows".removeprefix("; ")
    return step.model_copy(update={"predicted": step.predicted.model_copy(update={"basis": basis})})


def _placed(again: Plan, plan: Plan) -> Plan:
    """The new plan as the same part of a wider one."""
    return again.labelled(plan.part_id, needs=plan.needs, serves=plan.serves) if plan.part_id else again


def _timed(step: Step, seconds: float) -> Step:
    predicted = step.predicted.model_copy(
        update={"seconds": round(seconds, 3), "basis": "rehearsed on a copy"}
    )
    return step.model_copy(update={"predicted": predicted})
