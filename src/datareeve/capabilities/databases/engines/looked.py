"""The plan of check-health where the database is not PostgreSQL: the same words and figures, from a `Look`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import engines
from datareeve.core.operation import Plan, Severity

if TYPE_CHECKING:
    from datareeve.capabilities.databases.engines import Look


def health_plan(operation: str, inputs: dict[str, Any], look: Look) -> Plan:
    """Figures and findings; there is nothing to do."""
    found = engines.of(look.kind).findings(look)
    grave = [finding for finding in found if finding.severity != Severity.INFO]
    health = "down" if look.down else "degraded" if grave else "healthy"
    noticed = f"{len(found)} findings" if len(found) != 1 else "1 finding"
    summary = (
        f"{look.system} is down: {look.down}"
        if look.down
        else f"{look.system} is {health}, {noticed}; {look.said}."
    )
    told = {"health_not_seen": "; ".join(look.not_told)} if look.not_told else {}
    because = ", ".join(dict.fromkeys(finding.rule for finding in grave))
    return Plan(
        operation=operation,
        inputs=inputs,
        summary=summary,
        nothing_to_do="Looking changes nothing.",
        findings=found,
        figures={"health": health, "health_because": because, **told, **look.figures},
    )
