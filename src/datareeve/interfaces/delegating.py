"""From a task or an operation to its outcome: plan, show, ask where the authority asks, carry out, tell."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput, DatareeveError, NeedsApproval
from datareeve.core.operation import Effect
from datareeve.core.value import fingerprint
from datareeve.interfaces import console, fields, picking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.agent.planner import TaskPlan
    from datareeve.app import App
    from datareeve.core.operation import Outcome, Plan
    from datareeve.interfaces.console import Screen

REPORT_FORMATS = {".md": "markdown", ".json": "json", ".html": "html"}


def person() -> str:
    """Who gives the command: the operating system's user, by number where it has no name.

    The environment is not asked (`getpass.getuser` believes LOGNAME): another pair of eyes must be another user.
    """
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def read(task: str) -> str:
    """The text of a task: of a file, of standard input (`-`), or the words themselves where they are a sentence.

    Errors: `BadInput` `task.file`, and those of `task.parse`.
    """
    from datareeve.agent.task import MAX_BYTES, parse  # noqa: PLC0415 - of a task only: an operation needs no language

    if task == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    elif _is_file(task):
        with Path(task).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    elif " " in task.strip():
        data = task.encode()
    elif task.startswith("-"):
        raise BadInput(
            "command.usage", f"Unknown option: {task}.", "`datareeve delegate --help` shows how it is used."
        )
    else:
        raise BadInput(
            "task.file",
            f"There is no file {task}.",
            "Name a file, - for standard input, or give the task as one sentence in quotes.",
        )
    parse(data)
    return data.decode("utf-8-sig")


def check_report_path(path: Path | None) -> None:
    """Refuse a report that could not be written, before anything is done. Errors: `BadInput` `report.format`, `report.folder`."""
    if path and path.suffix not in REPORT_FORMATS:
        raise BadInput(
            "report.format", f"A report is not written as {path.name!r}.", "Name it .md, .json or .html."
        )
    if path and not path.resolve().parent.is_dir():
        raise BadInput(
            "report.folder", f"There is no folder {path.resolve().parent}.", "Make it, or name another."
        )


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a file's name: a sentence
        return False


def exit_status(plan: Plan, outcome: Outcome) -> int:
    """0 only where all that was asked for is done, or was in place."""
    blocked = plan.blockers or (
        not plan.parts and not plan.steps and any(part.blockers for part in outcome.parts)
    )
    return 0 if outcome.status in {"done", "nothing to do"} and not blocked else 1


class Work:
    """What a task and a single operation have in common once there is a plan. `again` is the command to give again."""

    task = ""

    def __init__(self, app: App, screen: Screen, again: str) -> None:
        self.app = app
        self.screen = screen
        self._again = again

    def rehearsed(self, plan: Plan, progress: console.Watcher) -> Plan:
        """The plan as it was tried on a copy; without a copy it stands as it was looked up, and that is told."""
        try:
            return self.app.rehearse(plan, progress)
        except DatareeveError as error:
            self.screen.tell(
                console.line(("! ", "yellow"), f"Not tried on a copy: {error.what} {error.remedy}")
            )
            return plan

    def show_only(self, plan: Plan) -> int:
        """Show a plan and keep it, so that its fingerprint can be approved."""
        if any(plan.all_steps()):
            self._tell_interrupted(plan)
            self.app.store(plan, asked_by=person(), task=self.task)
        self.screen.show(self.as_json(plan), console.plan_view(plan))
        return 0

    def _tell_interrupted(self, plan: Plan) -> None:
        """Where the same was begun before and stands half done, that is likely to be carried on, and not to be begun again."""
        if any(step.effect is not Effect.READ for step in plan.all_steps()):
            self.screen.tell(
                *(console.interrupted_view(one.run) for one in self.app.runner.interrupted(plan))
            )

    def carry_out(self, plan: Plan, *, approved: bool) -> Outcome:
        """Show a plan and carry it out. Where the authority wants an approval, a person at the terminal is asked.

        Errors: `NeedsApproval` with the command to paste, and all those of the runner.
        """
        if any(plan.all_steps()):
            # What only looks is approved by nobody: `--plan` shows its statements.
            self.screen.tell(console.plan_view(plan, looks=False), "")
            self._tell_interrupted(plan)
        try:
            return self._apply(plan, approved=approved)
        except NeedsApproval as waiting:
            if self.screen.can_ask() and self.screen.ask("Carry this out?"):
                return self._apply(plan, approved=True)
            print_ = self.app.store(plan, asked_by=person(), task=self.task)
            command = f"Read the plan, then give:  {self._again} --approve {print_}"
            raise NeedsApproval(waiting.code, waiting.what, command, fingerprint=print_) from None

    def _apply(self, plan: Plan, *, approved: bool) -> Outcome:
        with self.screen.progress(plan) as progress:
            return self.app.apply(plan, by=person(), approved=approved, task=self.task, progress=progress)

    def finish(self, plan: Plan, outcome: Outcome) -> int:
        """Tell the outcome; gives the exit status."""
        self.screen.show(outcome, console.outcome_view(outcome, plan))
        return exit_status(plan, outcome)

    def as_json(self, plan: Plan) -> Any:
        """The plan as `--json` prints it."""
        return console.plan_json(plan)


class SingleOperation(Work):
    """One operation, with its inputs as they stand on the command line."""

    def __init__(self, app: App, screen: Screen, name: str, words: Sequence[str], *, again: str) -> None:
        super().__init__(app, screen, again)
        operation = app.catalogue.get(name)
        given = fields.with_only_system(operation, fields.inputs_of(operation, words), app.systems)
        self.operation = app.catalogue.make(name, given)

    def plan(self, *, rehearse: bool) -> Plan:
        """Observe and plan; try it on a copy where the operation has something to learn there."""
        plan = self.app.preview(self.operation)
        if not (rehearse and self.operation.learns_on_a_copy()):
            return plan
        with self.screen.progress() as progress:
            return self.rehearsed(plan, progress)

    def kept(self, start: str) -> Plan:
        """The kept plan that is approved. Errors: `BadInput` `approval.other-plan` where it is for something else."""
        plan = picking.kept_plan(self.app, start)
        return _same(plan, (plan.operation, plan.inputs) == (self.operation.name, self.operation.inputs()))


class Delegation(Work):
    """A task in words."""

    def __init__(self, app: App, screen: Screen, text: str, *, again: str) -> None:
        super().__init__(app, screen, again)
        self.task = text
        self._read: TaskPlan | None = None

    def plan(self, *, rehearse: bool) -> Plan:
        """Plan the task, and try the plan on a copy. Errors: `BadInput` `task.unclear` where nothing of it can be planned."""
        with self.screen.progress() as progress:
            progress("planning", text="Looking and planning")
            self._read = self.app.plan_task(self.task)
            if not self._read.plan.parts:
                raise BadInput(
                    "task.unclear",
                    " ".join(self._read.plan.blockers),
                    "Say it more closely, or choose from `datareeve operations`.",
                )
            plan = self.rehearsed(self._read.plan, progress) if rehearse else self._read.plan
        self.screen.tell(*(console.line(("· ", "dim"), note) for note in self._read.notes))
        return plan

    def show_only(self, plan: Plan) -> int:
        """Show a plan and keep it: 2 where some words were not understood or not enough, 1 where something is left to somebody else."""
        super().show_only(plan)
        asked = self._read is not None and bool(self._read.questions)
        return 2 if asked else 1 if plan.blockers else 0

    def kept(self, start: str) -> Plan:
        """The kept plan that is approved. Errors: `BadInput` `approval.other-plan` where it is for another task."""
        plan = picking.kept_plan(self.app, start)
        from datareeve.agent.task import parse  # noqa: PLC0415 - as above

        return _same(plan, plan.inputs.get("task") == fingerprint(parse(self.task)))

    def finish_with(self, plan: Plan, outcome: Outcome, path: Path | None) -> int:
        """Tell the outcome as the progress report, and write it to a file where one is named. Gives the exit status."""
        from datareeve.agent.report import report  # noqa: PLC0415 - as above
        from datareeve.agent.task import parse  # noqa: PLC0415

        told = report(parse(self.task), outcome, plan=plan, notes=self._read.notes if self._read else ())
        self.screen.show({"outcome": outcome, "report": told}, "", console.markdown_view(told.markdown()))
        if path:
            path.write_text(getattr(told, REPORT_FORMATS[path.suffix])(), encoding="utf-8")
            self.screen.tell(console.line(("The report is in ", "dim"), path))
        return exit_status(plan, outcome)

    def as_json(self, plan: Plan) -> Any:
        """The plan with what was noticed and what is asked back."""
        read = self._read
        asked = (
            {
                "notes": read.notes,
                "questions": [question.model_dump(mode="json") for question in read.questions],
            }
            if read
            else {}
        )
        return {**asked, "plan": console.plan_json(plan)}


def _same(plan: Plan, is_same: bool) -> Plan:  # noqa: FBT001 - a private helper
    if not is_same:
        raise BadInput(
            "approval.other-plan",
            f"The plan {plan.fingerprint[:16]}… is for something else.",
            "Plan again, and approve the fingerprint it prints.",
        )
    return plan
