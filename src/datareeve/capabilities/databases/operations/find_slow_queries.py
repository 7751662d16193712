"""`databases.find-slow-queries`: where a workload's time goes, what loops, and which statements could be written better."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import workload
from datareeve.capabilities.databases.rules import queries
from datareeve.capabilities.databases.workload import Family, Workload
from datareeve.core.operation import Finding, Operation, Plan, Severity, Systems

COSTLY_PERCENT = 10  # of the workload's time


class FindSlowQueries(Operation[Workload]):
    """Find slow queries, N+1 loops and statements that could be written better.

    Ranks the families of the recorded workload by the time they take in all, holds their 95th percentile against the target, finds loops that
    ask one row at a time, and names what to write instead. Reads statements and timings, never values.
    """

    name: ClassVar[str] = "databases.find-slow-queries"
    examples: ClassVar[tuple[str, ...]] = (
        "optimize query performance",
        "find slow queries",
        "which queries take the most time",
        "why is the application slow",
        "find N+1 query patterns",
        "queries over 100 ms",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    target_ms_p95: float = Field(
        100.0, gt=0, description="what the 95th percentile of a query is held against"
    )
    top: int = Field(20, ge=1, le=500, description="how many families are listed")

    def observe(self, systems: Systems) -> Workload:
        """The recorded workload."""
        return workload.read(systems[self.system])

    def plan(self, facts: Workload) -> Plan:
        """What was found; nothing is changed."""
        if facts.source.why_empty:
            why = facts.source.sentence()
            return Plan(
                operation=self.name,
                inputs=self.inputs(),
                summary="There is no workload to look at.",
                blockers=(why,),
            )
        slow = tuple(
            family
            for family in facts.families
            if family.p95_ms is not None and family.p95_ms > self.target_ms_p95
        )
        findings = (
            *(self._slow(f, facts) for f in slow),
            *(self._costly(f, facts) for f in facts.families if _is_costly(f, facts)),
            *workload.loop_findings(facts),
            *self._better_written(facts),
        )
        summary = self._summary(facts, slow, findings)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do=summary,
            findings=findings,
            figures=self._figures(facts),
        )

    def _summary(self, facts: Workload, slow: tuple[Family, ...], findings: tuple[Finding, ...]) -> str:
        loops = sum(finding.rule.startswith("n-plus-one") for finding in findings)
        held = f"{len(slow)} of {len(facts.families)} families are above {self.target_ms_p95:g} ms at the 95th percentile"
        if all(family.p95_ms is None for family in facts.families):
            held = f"{len(facts.families)} families; the source has no time of each call, so no percentile is known"
        looped = f"; {loops} {'loop asks' if loops == 1 else 'loops ask'} row by row" if loops else ""
        return f"{held}{looped}. {facts.source.sentence()}"

    def _slow(self, family: Family, facts: Workload) -> Finding:
        return Finding(
            rule="slow-query",
            subject=queries.subject(family),
            what=f"95 % of its {family.calls:,} calls take up to {family.p95_ms:,.0f} ms, the target is {self.target_ms_p95:g} ms: {family.short}",
            why=f"It takes {_share(family, facts)} % of the workload's time.",
            instead=f"Look at its plan (databases.explain-query, fingerprint={family.fingerprint}), and let databases.advise-indexes try indexes.",
            severity=Severity.WARNING,
            figures=_row(family, facts),
        )

    def _costly(self, family: Family, facts: Workload) -> Finding:
        return Finding(
            rule="costly-query",
            subject=queries.subject(family),
            what=f"Its {family.calls:,} calls take {family.mean_ms or 0:,.1f} ms on average: {family.short}",
            why=f"It takes {_share(family, facts)} % of the workload's time.",
            instead=f"Look at its plan (databases.explain-query, fingerprint={family.fingerprint}), and let databases.advise-indexes try indexes.",
            severity=Severity.INFO,
            figures=_row(family, facts),
        )

    def _better_written(self, facts: Workload) -> tuple[Finding, ...]:
        return tuple(finding for family in facts.families for finding in queries.review(family))

    def _figures(self, facts: Workload) -> dict[str, Any]:
        return {
            "workload": facts.source.model_dump(),
            "families": len(facts.families),
            "calls": sum(family.calls for family in facts.families),
            "total_ms": round(facts.total_ms, 1),
            "by_family": [
                {**_row(family, facts), "sql": family.sql} for family in facts.families[: self.top]
            ],
        }


def _is_costly(family: Family, facts: Workload) -> bool:
    """Whether it takes much of the workload's time, where no percentile is known to hold against the target."""
    return all(f.p95_ms is None for f in facts.families) and _share(family, facts) >= COSTLY_PERCENT


def _share(family: Family, facts: Workload) -> float:
    return round(100 * (family.total_ms or 0) / facts.total_ms, 1) if facts.total_ms else 0.0


def _row(family: Family, facts: Workload) -> dict[str, Any]:
    return {
        "fingerprint": family.fingerprint,
        "calls": family.calls,
        "total_ms": family.total_ms,
        "share_percent": _share(family, facts),
        "mean_ms": family.mean_ms,
        "p95_ms": family.p95_ms,
    }
