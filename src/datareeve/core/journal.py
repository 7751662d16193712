"""What the ledger knows of one run, and the writing of it: the runner decides only by this, so that any worker can carry on.

`boundary` is called before and after every journalled write and every effect, with its name: the kill tests stop the process there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from datareeve.core.operation import Check, PartOutcome, StepOutcome

if TYPE_CHECKING:
    from datareeve.core.ledger import Entry, Fence, Ledger
    from datareeve.core.operation import Plan, Step


class Boundary(Protocol):
    """Called at every boundary of a run; by default nothing listens."""

    def __call__(self, name: str) -> None:
        """The run has come to the boundary `name`."""


def _no_listener(name: str) -> None:
    del name


class Journal:
    """The entries of one run under one lease."""

    def __init__(self, ledger: Ledger, run: str, fence: Fence, boundary: Boundary | None = None) -> None:
        self.ledger = ledger
        self.run = run
        self.fence = fence
        self.boundary: Boundary = boundary or _no_listener
        self._steps: dict[str, StepState] = {}
        self._parts: dict[str, PartOutcome] = {}
        self._undoing: set[str] = set()
        self._pending: list[tuple[str, dict[str, Any], str]] = []
        self.checks: dict[str, list[Check]] = {}
        for entry in ledger.entries(run=run):
            self._fold(entry.kind, entry.subject, entry.body)

    # -- what is known -------------------------------------------------------------------------------------------------------------

    def step(self, leaf: Plan, step: Step) -> StepState:
        """How far a step has come."""
        return self._steps.get(_subject(leaf, step), StepState())

    def part(self, leaf: Plan) -> PartOutcome | None:
        """What became of a part; None while it is not ended."""
        return self._parts.get(leaf.part_id)

    def parts(self) -> tuple[PartOutcome, ...]:
        """The ended parts, in the order they ended first."""
        return tuple(self._parts.values())

    def undoing(self, leaf: Plan) -> bool:
        """Whether this part was already being undone."""
        return leaf.part_id in self._undoing

    def begun(self, leaf: Plan) -> bool:
        """Whether any step of this part has an intent."""
        return any(self.step(leaf, step).intent for step in leaf.steps)

    # -- writing -------------------------------------------------------------------------------------------------------------------

    def run_state(self, **body: Any) -> None:
        """Record that the run started, ended or is being undone."""
        self._write("run", self.run, body)

    def intent(self, leaf: Plan, step: Step) -> None:
        """Record, before the effect, that it is about to be made."""
        self._write(
            "step", _subject(leaf, step), {"moment": "intent", "call": step.call, "predicted": step.predicted}
        )

    def outcome(self, leaf: Plan, step: Step, outcome: StepOutcome) -> None:
        """Record what became of the effect: with the next entry, in one commit, which is before anything else is done.

        If it is lost on the way there, the probe tells it again; so a step costs one commit, not two.
        """
        body = {"moment": "outcome", **outcome.model_dump(mode="json")}
        self.boundary(f"before outcome of {_subject(leaf, step)}")
        self._pending.append(("step", body, _subject(leaf, step)))
        self.boundary(f"after outcome of {_subject(leaf, step)}")
        self._fold("step", _subject(leaf, step), body)

    def outcome_in(self, transaction: Any, leaf: Plan, step: Step, outcome: StepOutcome) -> None:
        """Record it inside the effect's own transaction."""
        body = {"moment": "outcome", **outcome.model_dump(mode="json")}
        self.boundary(f"before outcome of {_subject(leaf, step)} in its transaction")
        transaction.append("step", body, subject=_subject(leaf, step), run=self.run)
        self.boundary(f"after outcome of {_subject(leaf, step)} in its transaction")

    def adopted(self, leaf: Plan, step: Step, outcome: StepOutcome) -> None:
        """Take over what a committed transaction has recorded."""
        self._fold("step", _subject(leaf, step), {"moment": "outcome", **outcome.model_dump(mode="json")})

    def undo_begins(self, leaf: Plan, reason: str) -> None:
        """Record that a part is going to be undone, and why: after a crash it goes on being undone."""
        self._write("part", leaf.part_id, {"undoing": reason})

    def undo_intent(self, leaf: Plan, step: Step) -> None:
        """Record, before it, that a step is about to be undone."""
        self._write("step", _subject(leaf, step), {"moment": "undo-intent", "calls": list(step.undo)})

    def undone(self, leaf: Plan, step: Step, error: str = "") -> None:
        """Record that a step is undone, or could not be."""
        self._write(
            "step", _subject(leaf, step), {"moment": "undo-failed" if error else "undone", "error": error}
        )

    def check(self, leaf: Plan, check: Check) -> None:
        """Record a check with its evidence."""
        self._write("check", leaf.part_id, check.model_dump(mode="json"))

    def part_ended(self, outcome: PartOutcome) -> None:
        """Record what became of a part."""
        self._write("part", outcome.part_id, outcome.model_dump(mode="json"))

    def flush(self) -> None:
        """Write the last outcome, where nothing else follows it."""
        if self._pending:
            self.ledger.append_all(self._pending, run=self.run, fence=self.fence)
            self._pending.clear()

    def _write(self, kind: str, subject: str, body: dict[str, Any]) -> None:
        name = f"{body.get('moment') or body.get('state') or kind} of {subject}"
        self.boundary(f"before {name}")
        self._pending.append((kind, body, subject))
        self.flush()
        self.boundary(f"after {name}")
        self._fold(kind, subject, body)

    # -- folding -------------------------------------------------------------------------------------------------------------------

    def _fold(self, kind: str, subject: str, body: dict[str, Any]) -> None:
        if kind == "step":
            self._steps.setdefault(subject, StepState()).fold(body)
        elif kind == "check":
            self.checks.setdefault(subject, []).append(Check.model_validate(body))
        elif kind == "part" and "undoing" in body:
            self._undoing.add(subject)
            self.checks.pop(subject, None)
        elif kind == "part":
            self._parts[subject] = PartOutcome.model_validate(body)
            self._undoing.discard(subject)


class StepState:
    """How far one step has come: intent, outcome, undo."""

    def __init__(self) -> None:
        self.intent = False
        self.outcome: StepOutcome | None = None
        self.undone = False

    @property
    def in_doubt(self) -> bool:
        """An intent without an outcome: only the probe can tell."""
        return self.intent and self.outcome is None

    @property
    def done(self) -> bool:
        """The effect is there and was seen."""
        return self.outcome is not None and self.outcome.status == "done"

    def fold(self, body: dict[str, Any]) -> None:
        """Take one journalled moment into account."""
        moment = body["moment"]
        if moment == "intent":
            self.intent, self.outcome, self.undone = True, None, False
        elif moment == "outcome":
            self.outcome = StepOutcome.model_validate({k: v for k, v in body.items() if k != "moment"})
        elif moment == "undone":
            self.undone = True


def _subject(leaf: Plan, step: Step) -> str:
    return f"{leaf.part_id}/{step.id}"


def ended(entries: list[Entry]) -> Entry | None:
    """The last entry that says the run ended or was undone; None while it is under way."""
    states = [entry for entry in entries if entry.kind == "run"]
    return states[-1] if states and states[-1].body["state"] == "ended" else None
