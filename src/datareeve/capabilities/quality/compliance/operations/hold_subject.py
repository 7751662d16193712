"""`compliance.hold-subject`: a legal hold, which no erasure and no retention passes."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from datareeve.capabilities.quality.compliance import declared as estate
from datareeve.capabilities.quality.compliance.inputs import KeyReference  # noqa: TC001 - a field's type
from datareeve.core.errors import BadInput
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Step, Systems
from datareeve.core.value import Value


class HoldFacts(Value):
    """The digest of the subject's key, and what stands in the estate."""

    digest: str | None
    standing: dict[str, Any] | None


class HoldSubject(Operation[HoldFacts]):
    """Place a legal hold on a person's data, or on datasets.

    While it stands in estate.yaml, erasures of the subject are blocked and retention passes its rows by. The person is named by a keyed digest,
    which this prints; the key itself is given by reference and written nowhere. Undo takes the hold out.
    """

    name: ClassVar[str] = "compliance.hold-subject"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "put a legal hold on a customer",
        "litigation hold: do not delete this person's data",
        "preserve evidence for a court case",
        "freeze deletion of a dataset until a date",
        "stop retention for a subject under investigation",
    )

    hold: str = Field(min_length=1, max_length=100, description="what it is called: smith-v-us")
    why: str = Field(min_length=1, description="the case or the law that asks for it; without personal data")
    subject: str | None = Field(None, description="whose data: customer; none: whoever's")
    key: KeyReference | None = Field(None, description="where the subject's key stands: env:NAME, file:path; none: everyone's")  # fmt: skip
    datasets: tuple[str, ...] = Field((), description="only these datasets; none: all")
    until: str | None = Field(None, description="the last day, 2027-12-31; none: until it is taken out")

    @field_validator("until")
    @classmethod
    def _a_day(cls, given: str | None) -> str | None:
        from datetime import date  # noqa: PLC0415 - only to read it

        return None if given is None else date.fromisoformat(given).isoformat()

    def observe(self, systems: Systems) -> HoldFacts:
        """Who is meant. Errors: `BadInput` `hold.nobody`, `subject.unknown`, `dataset.unknown`."""
        declared = estate.settings(systems)
        if self.key is not None and self.subject is None:
            raise BadInput("hold.nobody", "A key was given without a subject.", "Say whose key it is: --subject customer.")  # fmt: skip
        if self.subject is not None:
            estate.refuse_unknown_subject(declared, self.subject)
        if unknown := set(self.datasets) - declared.datasets.keys():
            raise BadInput("dataset.unknown", f"There is no dataset {min(unknown)!r}.", f"There are: {', '.join(declared.datasets) or 'none'}.")  # fmt: skip
        digest = None
        if self.key is not None:
            digest = systems["compliance"].read("sought", subject=self.subject, reference=self.key, names=[])["digest"]  # fmt: skip
        return HoldFacts(digest=digest, standing=systems["estate"].read("get", where=["holds", self.hold]))

    def plan(self, facts: HoldFacts) -> Plan:
        """One entry of estate.yaml."""
        wanted = self._wanted(facts)
        who = (
            f"{self.subject or 'everyone'} {facts.digest[:12]}"
            if facts.digest
            else self.subject or "everyone"
        )
        there = facts.standing == wanted
        where = f", datasets {', '.join(self.datasets)}" if self.datasets else ""
        steps = () if there else (self._step(wanted, facts.standing),)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Hold {self.hold!r} {'stands' if there else 'is placed'} on {who}{where}.",
            nothing_to_do=f"Hold {self.hold!r} stands as asked." if there else "",
            steps=steps,
            checks=(self._stands(wanted),),
            figures={"digest": facts.digest} if facts.digest else {},
        )  # fmt: skip

    def _wanted(self, facts: HoldFacts) -> dict[str, Any]:
        given = {"subject": self.subject, "keys": [facts.digest] if facts.digest else [], "datasets": list(self.datasets), "why": self.why, "until": self.until}  # fmt: skip
        return {key: value for key, value in given.items() if value}

    def _stands(self, wanted: dict[str, Any]) -> Claim:
        call = Call(system="estate", action="get", arguments={"where": ["holds", self.hold]})
        return Claim(text=f"hold {self.hold!r} stands in estate.yaml", call=call, expected=wanted)

    def _step(self, wanted: dict[str, Any], standing: dict[str, Any] | None) -> Step:
        def put(value: dict[str, Any] | None) -> Call:
            return Call(
                system="estate", action="put", arguments={"where": ["holds", self.hold], "value": value}
            )

        return Step(
            id="place the hold",
            call=put(wanted),
            why="What a court or an authority may ask for must not be erased by a routine.",
            effect=Effect.REVERSIBLE,
            probe=self._stands(wanted),
            undo=(put(standing),),
            touches=(f"estate:holds.{self.hold}",),
            paths=("estate.yaml",),
        )
