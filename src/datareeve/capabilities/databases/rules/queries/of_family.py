"""What the rules about statements share: a finding that names its family and what the family costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.workload import Family


def of_family(  # noqa: PLR0913 - the words of a finding
    family: Family, rule: str, *, what: str, why: str, instead: str, severity: Severity = Severity.WARNING
) -> Finding:
    """A finding about a family; `what` is followed by its text."""
    return Finding(
        rule=rule,
        subject=subject(family),
        what=f"{what}: {family.short}",
        why=why,
        instead=instead,
        severity=severity,
        figures={"fingerprint": family.fingerprint, "calls": family.calls, "total_ms": family.total_ms},
    )


def subject(family: Family) -> str:
    """How findings name a family: its fingerprint and the tables it asks."""
    return f"{family.fingerprint} ({', '.join(family.tables)})"
