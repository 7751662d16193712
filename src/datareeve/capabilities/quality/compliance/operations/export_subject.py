"""`compliance.export-subject`: everything that is kept of one person, for that person."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.quality.compliance import declared as estate
from datareeve.capabilities.quality.compliance.erasing import several
from datareeve.capabilities.quality.compliance.inputs import KeyReference  # noqa: TC001 - a field's type
from datareeve.capabilities.quality.compliance.looking import Counted, SubjectFacts, ambiguous, look
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

OWNER_ONLY = "600"


class ExportFacts(Value):
    """The subject, and what stands where the bundle is to be written."""

    found: SubjectFacts
    standing: dict[str, Any] | None = None
    path: str


class ExportSubject(Operation[ExportFacts]):
    """Give a person all the data that is kept of them.

    Gathers the subject's rows from every dataset that names it (by key, by references in the catalog, by lineage, by identifying values, lines
    of logs) into one ZIP of JSON and CSV below the project, readable by its owner alone, with the register's purposes, legal bases, recipients
    and retention (GDPR article 15, portability by article 20). The key is given by reference; plans and ledger hold a keyed digest and counts.
    Undo removes the file.
    """

    name: ClassVar[str] = "compliance.export-subject"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "subject access request",
        "a person asks for a copy of their data",
        "export all data we hold about a customer",
        "GDPR article 15 request for one person",
        "data portability export as JSON and CSV",
        "what do we know about this user",
        "CCPA right to know request",
    )

    subject: str = Field(description="whose data: customer, as the datasets of the estate call it")
    key: KeyReference
    path: str | None = Field(None, description="the file, below the project; default: data/subject-access/SUBJECT-DIGEST.zip")  # fmt: skip

    def observe(self, systems: Systems) -> ExportFacts:
        """Who it is, where it is, and what stands at the path."""
        declared = estate.settings(systems)
        found = look(systems, declared, self.subject, self.key)
        path = self.path or f"data/subject-access/{self.subject}-{found.sought.digest[:12]}.zip"
        return ExportFacts(found=found, path=path, standing=systems["compliance"].read("bundle", path=path))

    def plan(self, facts: ExportFacts) -> Plan:
        """One step: the file."""
        found, unclear = facts.found, ambiguous(facts.found)
        wanted = [one for one in found.counted if one.rows and one.place.name not in unclear]
        blockers = self._blockers(facts)
        quiet = self._quiet(facts, wanted) if not blockers else ""
        steps = () if quiet or blockers else (self._step(facts, wanted),)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=quiet or f"Write what is kept of {found.who} to {facts.path}: {sum(one.rows for one in wanted):,} rows of {len(wanted)} datasets.",
            nothing_to_do=quiet,
            requirements=(self._the_same(found),) if steps else (),
            steps=steps,
            checks=(self._there(facts, wanted),) if steps or (quiet and wanted) else (),
            findings=self._findings(found, wanted),
            figures={"rows_found": found.rows, "datasets_searched": len(found.counted), **{f"rows_{one.place.name}": one.rows for one in found.counted}},
            blockers=blockers,
        )  # fmt: skip

    @staticmethod
    def _quiet(facts: ExportFacts, wanted: list[Counted]) -> str:
        if not wanted:
            return f"Nothing is kept of {facts.found.who}."
        same = facts.standing is not None and facts.standing.get("datasets") == {one.place.name: one.rows for one in wanted}  # fmt: skip
        return f"{facts.path} holds what is kept of {facts.found.who}." if same else ""

    @staticmethod
    def _blockers(facts: ExportFacts) -> tuple[str, ...]:
        down = [f"{one.dataset}: {one.why}. {one.instead}" for one in facts.found.unreached if one.blocks]
        if facts.standing is not None and facts.standing.get("subject") != facts.found.sought.digest:
            down.append(f"Another file stands at {facts.path}: give another path.")
        return tuple(down)

    def _step(self, facts: ExportFacts, wanted: list[Counted]) -> Step:
        found = facts.found
        stores = [{"system": one.place.system, "store": one.place.store.model_dump(mode="json", exclude_defaults=True)} for one in wanted]  # fmt: skip
        about = {"what": "subject access", "subject": self.subject, "datasets": {one.place.name: {**found.registered.get(one.place.name, {}), "system": one.place.system, "found": one.place.found} for one in wanted}}  # fmt: skip
        arguments = {"path": facts.path, "stores": stores, "sought": found.sought.model_dump(mode="json"), "about": about}  # fmt: skip
        return Step(
            id="write the bundle",
            call=Call(system="compliance", action="write_bundle", arguments=arguments),
            why="A person may have what is kept of them, why, on what basis, for how long and who gets it (GDPR articles 15 and 20).",
            effect=Effect.REVERSIBLE,
            probe=self._there(facts, wanted),
            undo=(Call(system="compliance", action="remove_bundle", arguments={"path": facts.path}),),
            predicted=Prediction(rows=sum(one.rows for one in wanted), basis="counted"),
            touches=(f"files:{facts.path}",),
            paths=(facts.path,),
        )

    @staticmethod
    def _there(facts: ExportFacts, wanted: list[Counted]) -> Claim:
        counts = {one.place.name: one.rows for one in wanted}
        return Claim(
            text=f"{facts.path} holds {sum(counts.values()):,} rows of {facts.found.who}, for its owner's eyes alone",
            call=Call(system="compliance", action="bundle_of", arguments={"path": facts.path}),
            expected={"subject": facts.found.sought.digest, "datasets": counts, "mode": OWNER_ONLY},
            remedy="The data changed meanwhile: plan again.",
        )

    def _the_same(self, found: SubjectFacts) -> Claim:
        arguments = {"subject": self.subject, "reference": self.key, "digest": found.sought.digest}
        return Claim(
            text=f"{self.key} leads to {found.who}",
            call=Call(system="compliance", action="names_still", arguments=arguments),
            remedy="Another key stands there now: plan again.",
        )

    @staticmethod
    def _findings(found: SubjectFacts, wanted: list[Counted]) -> tuple[Finding, ...]:
        unknown = [
            one.place.name for one in wanted if not found.registered.get(one.place.name, {}).get("purposes")
        ]
        text = [one.place.name for one in wanted if one.place.found == "in text"]
        return (
            *(Finding(rule="subject-not-reached", subject=one.dataset, what=f"{one.dataset} is not searched: {one.why}.", instead=one.instead) for one in found.unreached),
            *(Finding(rule="shared-identifiers", subject=name, what=f"Rows of {name} are left out: other people's rows hold the same values, and whose these are nobody can say (article 15(4)).", instead="Give that dataset a subject_key.") for name in sorted(ambiguous(found))),
            *several(found),
            *(Finding(rule="no-purpose", subject=name, what=f"The register of processing names no purpose of {name}: the person is owed one (article 15(1)(a)).", instead="Name it under processing in estate.yaml.") for name in unknown),
            *(Finding(rule="others-in-text", subject=name, what=f"Lines of {name} may name other people too.", instead="Look through them before the file is handed over (article 15(4)).", severity=Severity.INFO) for name in text),
        )  # fmt: skip
