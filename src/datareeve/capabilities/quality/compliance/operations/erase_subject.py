"""`compliance.erase-subject`: a person's data taken out of every store, with a proof."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.quality.compliance import declared as estate
from datareeve.capabilities.quality.compliance import erasing, proving
from datareeve.capabilities.quality.compliance.inputs import KeyReference  # noqa: TC001 - a field's type
from datareeve.capabilities.quality.compliance.looking import Counted, SubjectFacts, look, with_circumstances
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Systems


class EraseSubject(Operation[SubjectFacts]):
    """Erase a person's data everywhere, and prove it.

    Finds the subject in every dataset that names it: by key, by references in the catalog, by lineage, by the values that tell it, in text.
    Rows are deleted or made anonymous as the estate says, tables in the order of their references, each in one transaction; DuckDB files,
    Parquet, CSV, JSON lines and logs are written anew. Then every store is searched again, by the key and by what told the person, and a
    signed proof is written. The key is given by reference and stands nowhere else: plans and ledger hold keyed digests. Legal holds forbid it.
    There is no way back: a person approves it. Backups keep what they have until they expire, which is said.
    """

    name: ClassVar[str] = "compliance.erase-subject"
    effect: ClassVar[Effect] = Effect.IRREVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "erase a customer's data everywhere",
        "forget a customer",
        "a user asks for deletion under GDPR article 17",
        "right to be forgotten request",
        "delete all personal data of one person and prove it",
        "anonymise a data subject in every database and log",
        "CCPA deletion request",
    )

    subject: str = Field(description="whose data: customer, as the datasets of the estate call it")
    key: KeyReference
    proof_folder: str = Field("data/proofs", description="where the proof is written, below the project")
    leave_held: bool = Field(default=False, description="erase what no legal hold names, leave the rest")
    erase_shared: bool = Field(default=False, description="erase rows that are found by values alone, though other people's rows hold the same values")  # fmt: skip
    vacuum: bool = Field(default=True, description="PostgreSQL: VACUUM and new statistics for the tables concerned")  # fmt: skip

    def observe(self, systems: Systems) -> SubjectFacts:
        """Who it is, where it is, how many rows, what forbids it, what keeps copies. Digests only."""
        declared = estate.settings(systems)
        return with_circumstances(systems, look(systems, declared, self.subject, self.key), declared)

    def plan(self, facts: SubjectFacts) -> Plan:
        """Files, then rows, then what stood beside, then the proof."""
        held = erasing.held_datasets(facts) if self.leave_held else set()
        wanted, blockers = (
            erasing.meant(facts, held),
            erasing.blockers(facts, held, leave_held=self.leave_held, shared=self.erase_shared),
        )
        before = erasing.ended_before(facts, wanted)
        quiet = "" if wanted or before or blockers or facts.left or (facts.bundles and not held) else f"No store holds anything of {facts.who} that is to be erased."  # fmt: skip
        acting = not blockers and not quiet
        path = f"{self.proof_folder.rstrip('/')}/erasure-{facts.sought.digest[:12]}-{{run}}.json"
        steps = (*erasing.steps(facts, wanted, held, vacuum=self.vacuum), proving.proof(facts, wanted, held, path)) if acting else ()  # fmt: skip
        rows = sum(one.rows for one in wanted)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=quiet or f"Erase {facts.who}: {rows:,} rows in {len(wanted)} datasets.",
            nothing_to_do=quiet,
            requirements=(self._the_same(facts), erasing.holds_as_seen(facts.holds_digest), *(erasing.still_as_counted(facts, one) for one in wanted)) if steps else (),
            steps=steps,
            checks=self._checks(facts, [*wanted, *before], held, path) if steps else (),
            findings=(*erasing.findings(facts, wanted, held), *self._key_stays(wanted)),
            figures={"rows_found": facts.rows, "datasets_searched": len(facts.counted), "identifiers": len(facts.sought.traces), **{f"rows_{one.place.name}": one.rows for one in facts.counted}},
            blockers=tuple(blockers),
        )  # fmt: skip

    def _key_stays(self, wanted: list[Counted]) -> tuple[Finding, ...]:
        """The last place where the key stands is the one that was named."""
        if not wanted or not self.key.startswith("file:"):
            return ()
        what = f"{self.key} itself holds the subject's key, and is needed until the erasure has ended."
        return (
            Finding(rule="key-stands-in-a-file", subject=self.key, what=what, instead="Remove that file then.", severity=Severity.INFO),
        )  # fmt: skip

    def _the_same(self, facts: SubjectFacts) -> Claim:
        arguments = {"subject": self.subject, "reference": self.key, "digest": facts.sought.digest}
        return Claim(
            text=f"{self.key} leads to {facts.who}",
            call=Call(system="compliance", action="names_still", arguments=arguments),
            remedy="Another key stands there now: plan again.",
        )

    @staticmethod
    def _checks(facts: SubjectFacts, wanted: list[Counted], held: set[str], path: str) -> tuple[Claim, ...]:
        staying = [one for one in facts.counted if one.rows and (one.place.name in held or one.place.store.mode == "keep")]  # fmt: skip
        by_value = (erasing.nobody_by_value(facts, one) for one in facts.counted if one in wanted)
        return (
            *(erasing.nothing_left(facts, [one]) for one in wanted),
            *(erasing.still_there(facts, one) for one in staying),
            *(claim for claim in by_value if claim is not None),
            proving.proof_stands(path),
        )
