"""`quality.mark-expected`: a person's word on a figure, remembered."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Step, Systems
from datareeve.core.value import Value

LOOKED_AT = 200  # newest figures of the rule


class MarkFacts(Value):
    """The figure that is meant, and what was said of it before."""

    at: str = ""  # '' where there is none
    figure: float | None = None
    says: str = ""
    before: dict[str, Any] | None = None  # the mark that stands there
    known: int = 0  # figures of the rule


class MarkExpected(Operation[MarkFacts]):
    """Say that a figure was to be expected, so that it raises no alarm again.

    Two things can be meant. `one-off`: it was right, and will not stay (a promotion, a strike, a closed shop); what is expected afterwards is as if it
    had not been. `new-normal`: it is how things are from now on (a new branch, another source); the level is learned from that figure on. By
    default the newest figure of the rule that was not good is meant. The word is kept with its reason in the quality store. Undo takes it back.
    """

    name: ClassVar[str] = "quality.mark-expected"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "this alarm was expected",
        "mark the drop in volume as expected",
        "the new row count is the new normal",
        "that spike was a one-off, do not alarm again",
        "give feedback on an anomaly",
        "tell the quality checks that this figure is fine",
    )

    contract: str = Field(min_length=1, description="the contract's name")
    system: str = Field(min_length=1, description="where the rule was checked")
    rule: str = Field(min_length=1, description="the rule's id")
    kind: Literal["one-off", "new-normal"] = Field(description="right this time, or right from now on")
    why: str = Field(
        min_length=3, max_length=500, description="the reason, for whoever looks at it next year"
    )
    at: str | None = Field(
        None, description="the figure's moment, as the verdict has it; default: the newest that was not good"
    )
    by_whom: str = Field("", max_length=200, description="who says so")

    def observe(self, systems: Systems) -> MarkFacts:
        """The rule's newest figures, and the marks that stand."""
        quality = systems["quality"]
        same = {"contract": self.contract, "system": self.system, "rule": self.rule}
        history = quality.read("history", **same, most=LOOKED_AT)
        wanted = (
            [row for row in history if row["at"] == self.at]
            if self.at
            else [row for row in history if row["says"] in ("fail", "warn")]
        )
        if not wanted:
            return MarkFacts(known=len(history))
        found = wanted[0]
        before = next((mark for mark in quality.read("marks", **same) if mark["at"] == found["at"]), None)
        return MarkFacts(
            at=found["at"], figure=found["figure"], says=found["says"], before=before, known=len(history)
        )

    def plan(self, facts: MarkFacts) -> Plan:
        """One step, or none where it was said already."""
        base: dict[str, Any] = {"operation": self.name, "inputs": self.inputs()}
        if not facts.at:
            which = f"of {self.at}" if self.at else "that was not good"
            why = f"The rule {self.rule} has no figure {which} on {self.system} ({facts.known} are known): check the contract first, or name its moment with at."
            return Plan(summary="There is no figure to say this of.", blockers=(why,), **base)
        if facts.before is not None and facts.before["kind"] == self.kind:
            return Plan(
                summary="It was said before.",
                nothing_to_do=f"The figure of {facts.at} is marked {self.kind} already.",
                **base,
            )
        step = self._step(facts)
        meant = "left out of what is learned" if self.kind == "one-off" else "the level from then on"
        return Plan(
            summary=f"Remember that {self.rule} of {facts.at} was expected: {meant}.",
            steps=(step,),
            checks=(step.probe,),
            **base,
        )

    def _step(self, facts: MarkFacts) -> Step:
        at = {"contract": self.contract, "system": self.system, "rule": self.rule, "at": facts.at}
        said = {"kind": self.kind, "why": self.why, "by_whom": self.by_whom}
        undo = Call(system="quality", action="unmark", arguments=at)
        if facts.before is not None:
            former = {key: facts.before[key] for key in ("kind", "why", "by_whom")}
            undo = Call(system="quality", action="mark", arguments={**at, **former})
        return Step(
            id=f"mark {self.rule} {facts.at}",
            call=Call(system="quality", action="mark", arguments={**at, **said}),
            why="A person knows what no history tells: said once, it raises no alarm again.",
            effect=Effect.REVERSIBLE,
            probe=Claim(
                text=f"the figure of {self.rule} of {facts.at} is marked {self.kind}",
                call=Call(system="quality", action="mark_of", arguments=at),
                expected=self.kind,
            ),
            undo=(undo,),
        )
