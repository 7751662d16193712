"""`compliance.register-processing`: the register of processing, written from the estate, with its gaps named."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.quality.compliance import declared as estate
from datareeve.capabilities.quality.compliance import registering
from datareeve.core.estate_data import DataSettings  # noqa: TC001 - the type of a field
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Step, Systems
from datareeve.core.value import Value


class RegisterFacts(Value):
    """What the estate declares, and the pages as they stand."""

    declared: DataSettings
    name: str
    standing: dict[str, str | None]


class RegisterProcessing(Operation[RegisterFacts]):
    """Write the register of processing (GDPR article 30).

    A page in Markdown and HTML of what is processed, why, on what legal basis, whose data and which categories, who gets it, where it lies and
    how long it is kept, from estate.yaml; with the gaps named: a dataset with personal data in no processing, without a time limit, in a place
    that the register does not allow, a transfer without a safeguard. Undo puts the earlier pages back.
    """

    name: ClassVar[str] = "compliance.register-processing"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "write the register of processing activities",
        "GDPR article 30 record",
        "ROPA document",
        "which personal data do we process and on what legal basis",
        "record of processing with purposes, recipients and retention",
        "update the data protection register",
    )

    folder: str = Field("data/compliance", description="where register.md and register.html are written, below the project")  # fmt: skip

    def observe(self, systems: Systems) -> RegisterFacts:
        """The estate, and the pages that are there."""
        files = systems["files"]
        return RegisterFacts(
            declared=estate.settings(systems),
            name=str(systems["estate"].read("get", where=["name"]) or "estate"),
            standing={path: files.read("digest", path=path) for path in self._paths()},
        )

    def plan(self, facts: RegisterFacts) -> Plan:
        """A step for each page that differs."""
        found = registering.gaps(facts.declared)
        texts = dict(zip(self._paths(), (registering.as_markdown(facts.declared, found, facts.name), registering.as_html(facts.declared, found, facts.name)), strict=True))  # fmt: skip
        steps = tuple(self._write(path, text, facts.standing[path]) for path, text in texts.items() if _digest(text) != facts.standing[path])  # fmt: skip
        counted, gaps = len(facts.declared.processing), sum(map(registering.is_serious, found))
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"The register holds {counted} processing activities of {len(facts.declared.datasets)} datasets; {gaps} gaps, {len(found) - gaps} notes.",
            nothing_to_do="" if steps else "The pages are those of this estate.",
            steps=steps,
            checks=tuple(_is(path, text) for path, text in texts.items()),
            findings=found,
            figures={"processing": counted, "datasets": len(facts.declared.datasets), "register_gaps": gaps, "register_notes": len(found) - gaps},
        )  # fmt: skip

    def _paths(self) -> tuple[str, str]:
        folder = self.folder.rstrip("/")
        return f"{folder}/register.md", f"{folder}/register.html"

    @staticmethod
    def _write(path: str, text: str, before: str | None) -> Step:
        return Step(
            id=f"write {path}",
            call=Call(system="files", action="write", arguments={"path": path, "text": text}),
            why="Whoever processes personal data keeps a record of it, and shows it to the authority on request (article 30(4)).",
            effect=Effect.REVERSIBLE,
            probe=_is(path, text),
            undo=(Call(system="files", action="restore", arguments={"path": path, "digest": before}),),
            touches=(f"files:{path}",),
            paths=(path,),
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is(path: str, text: str) -> Claim:
    reading = Call(system="files", action="digest", arguments={"path": path})
    return Claim(text=f"{path} is the register of this estate", call=reading, expected=_digest(text))
