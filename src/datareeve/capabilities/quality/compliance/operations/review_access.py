"""`compliance.review-access`: who can read and write personal data, and how the way there is guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from datareeve.capabilities.quality.compliance import access
from datareeve.capabilities.quality.compliance import declared as estate
from datareeve.capabilities.quality.compliance.access import AccessFacts
from datareeve.capabilities.quality.compliance.keeping import keeping, none_of
from datareeve.core.errors import BadInput
from datareeve.core.operation import Finding, Operation, Plan, Severity, Systems

if TYPE_CHECKING:
    from collections.abc import Iterator


class ReviewAccess(Operation[AccessFacts]):
    """Review who has access to personal data.

    For each dataset with personal columns: the roles that can read or write it and by which way (owner, superuser, PUBLIC, a predefined role,
    a grant), what PUBLIC may and will be able to, passwords that never expire, accounts in use from several addresses, who passes row
    security, grants to roles that nobody is in; whether connections from elsewhere may come without TLS, how passwords are kept, whether pages
    have checksums; rights on partitions, on inherited tables and on views that show the table's columns count as rights on it. Of files (a
    folder, DuckDB, SQLite) it is told whose they are and whom their permissions let in. The run fails on a critical finding. Changes nothing
    but that its figures are kept, and reads no row.
    """

    name: ClassVar[str] = "compliance.review-access"
    examples: ClassVar[tuple[str, ...]] = (
        "who can read personal data",
        "access review of tables with customer data",
        "which roles have access to sensitive columns",
        "is PUBLIC allowed to read anything personal",
        "recertify database permissions for the auditor",
        "are connections to the database encrypted",
    )
    sampled_as: ClassVar[str] = "compliance"

    datasets: tuple[str, ...] = Field((), description="only these datasets; none: all with personal data")

    def observe(self, systems: Systems) -> AccessFacts:
        """Roles, rights and settings. Errors: `BadInput` `dataset.unknown`."""
        declared = estate.settings(systems)
        for name in self.datasets:
            if name not in declared.datasets:
                raise BadInput("dataset.unknown", f"estate.yaml has no dataset {name!r}.", f"It has: {', '.join(sorted(declared.datasets))}.")  # fmt: skip
        return access.look(systems, declared, self.datasets)

    def plan(self, facts: AccessFacts) -> Plan:
        """Findings, and figures of who can do what; a step that keeps them, as the record of the review."""
        found = (*access.findings(facts), *self._unused(facts))
        figures = self._figures(facts, found)
        looked = figures["access_datasets"]
        steps = (keeping("review", self.name, self.inputs(), "access_critical"),) if looked else ()
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"{figures['access_roles_reading']} roles can read personal data of {looked} datasets; {sum(one.severity is not Severity.INFO for one in found)} findings need somebody.",
            nothing_to_do="" if steps else "There was nothing to look at.",
            steps=steps,
            checks=(none_of("access_critical", "the access review has no critical finding", "The findings say what to take away or close."),) if steps else (),
            findings=(*found, *_not_looked(facts)),
            figures={**figures, "access": access.matrix(facts)},
        )  # fmt: skip

    def _figures(self, facts: AccessFacts, found: tuple[Finding, ...]) -> dict[str, int]:
        readers = {
            (system.system, one.role) for system in facts.systems for one in system.rights if one.reads
        }
        looked = sum(len(system.datasets) for system in facts.systems) + len(facts.files)
        return {
            "access_roles_reading": len(readers),
            "access_datasets": looked,
            "access_not_looked_at": len(facts.not_there),
            "access_critical": sum(one.severity is Severity.CRITICAL for one in found),
            "access_whole": int(not self.datasets and not facts.down),
        }

    @staticmethod
    def _unused(facts: AccessFacts) -> tuple[Finding, ...]:
        return tuple(
            Finding(rule="grant-to-nobody", subject=role, what=f"{role} has rights on personal data; it cannot log in, and nobody is in it.", instead="Take its grants away, or drop it.", severity=Severity.INFO)
            for role in access.unused(facts)
        )  # fmt: skip


def _not_looked(facts: AccessFacts) -> Iterator[Finding]:
    for system in facts.down:
        yield _unseen(system, facts.not_looked[system])
    for dataset, why in facts.not_there.items():
        yield _unseen(dataset, why)


def _unseen(subject: str, why: str) -> Finding:
    return Finding(rule="access-not-seen", subject=subject, what=f"Access to {subject} is not reviewed: {why.rstrip('.')}.", instead="Look at it by its own tools; a dataset that is none, take out of estate.yaml.")  # fmt: skip
