"""`compliance.review-access`: who can read and write personal data, and how the way there is guarded."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.quality.compliance import access
from datareeve.capabilities.quality.compliance import declared as estate
from datareeve.capabilities.quality.compliance.access import AccessFacts
from datareeve.core.operation import Finding, Operation, Plan, Severity, Systems


class ReviewAccess(Operation[AccessFacts]):
    """Review who has access to personal data.

    For each dataset with personal columns: the roles that can read or write it and by which way (owner, superuser, PUBLIC, a predefined role,
    a grant), what PUBLIC may and will be able to, passwords that never expire, accounts in use from several addresses, who passes row
    security, grants to roles that nobody is in; whether connections from elsewhere may come without TLS, how passwords are kept, whether pages
    have checksums. Changes nothing and reads no row.
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
        """Roles, rights and settings."""
        declared = estate.settings(systems)
        wanted = {
            name: one for name, one in declared.datasets.items() if not self.datasets or name in self.datasets
        }
        return access.look(
            systems, declared.model_copy(update={"datasets": wanted, "processing": {}, "holds": {}})
        )

    def plan(self, facts: AccessFacts) -> Plan:
        """Findings, and figures of who can do what."""
        found = (*access.findings(facts), *self._unused(facts))
        readers = {one.role for system in facts.systems for one in system.rights if one.reads}
        looked = sum(len(system.datasets) for system in facts.systems)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"{len(readers)} roles can read personal data of {looked} datasets; {sum(one.severity is not Severity.INFO for one in found)} findings need somebody.",
            nothing_to_do="Looking changes nothing.",
            findings=found + tuple(_not_looked(system, why) for system, why in facts.not_looked.items()),
            figures={
                "access_roles_reading": len(readers),
                "access_datasets": looked,
                "access_critical": sum(one.severity is Severity.CRITICAL for one in found),
                "access": access.matrix(facts),
            },
        )  # fmt: skip

    @staticmethod
    def _unused(facts: AccessFacts) -> tuple[Finding, ...]:
        return tuple(
            Finding(rule="grant-to-nobody", subject=role, what=f"{role} has rights on personal data; it cannot log in, and nobody is in it.", instead="Take its grants away, or drop it.", severity=Severity.INFO)
            for role in access.unused(facts)
        )  # fmt: skip


def _not_looked(system: str, why: str) -> Finding:
    return Finding(rule="access-not-seen", subject=system, what=f"Access to {system} is not reviewed: {why}.", instead="Look at the files' own rights.", severity=Severity.INFO)  # fmt: skip
