"""`databases.show-workload`: what the application asked in a window of time, and how it changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field, field_validator

from datareeve.capabilities.databases import workload_history as history
from datareeve.capabilities.databases.workload import Workload, suspected_loops
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.operation import Finding, Operation, Plan, Systems
from datareeve.core.value import Value

POINTS = 24  # of a trend
REACH = timedelta(days=1)  # before which a family must not have been seen to be new


class ShowWorkloadFacts(Value):
    """The workload of a window, trends of its longest families, and families that are new."""

    workload: Workload
    trends: tuple[history.Trend, ...] = ()
    ends: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    loops: tuple[Finding, ...] = ()


class ShowWorkload(Operation[ShowWorkloadFacts]):
    """Show what the application asked in a window of time, with each family's trend.

    Differences of the snapshots that databases.record-workload takes: per family calls a second, mean milliseconds, what 95 % of the calls
    are surely not above, blocks, WAL and temporary files, and the families that were not there yesterday. Where the server lost counters
    in between (a reset, a crash, an eviction) it says so. Changes nothing.
    """

    name: ClassVar[str] = "databases.show-workload"
    examples: ClassVar[tuple[str, ...]] = (
        "show the workload of the last hour",
        "what did the application ask since this morning",
        "trend of calls per second by query family",
        "which query families are new since yesterday",
        "workload history of the last two days",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    since: str = Field("1h", description="30m, 1h, 2d, yesterday, or a moment such as 2026-11-22T10:00 (UTC)")
    top: int = Field(20, ge=1, le=500, description="how many families are listed")

    @field_validator("since")
    @classmethod
    def _is_a_moment(cls, text: str) -> str:
        try:
            history.moment_of(text)
        except BadInput as error:
            raise ValueError(f"{error.what} {error.remedy}") from None
        return text

    def observe(self, systems: Systems) -> ShowWorkloadFacts:
        """Snapshots of the window, and of the day before where the ledger has them."""
        since = history.moment_of(self.since)
        found = history.load(systems, self.system, min(since, clock.now() - REACH))
        return self.facts_of(found, since)

    def facts_of(self, found: history.History, since: datetime) -> ShowWorkloadFacts:
        """What a history tells of the time since a moment."""
        workload = history.workload_of(found, since)
        single = found.stretches(since)
        stretches = history.merged(single, POINTS)
        shown = [family.fingerprint for family in workload.families[: self.top]]
        new = {name.fingerprint for name in found.new_since(clock.now() - REACH)}
        return ShowWorkloadFacts(
            workload=workload,
            trends=history.trends(stretches, shown),
            ends=tuple(clock.stamp(stretch.end) for stretch in stretches),
            new=tuple(f.fingerprint for f in workload.families if f.fingerprint in new),
            loops=tuple(
                finding
                for finding in suspected_loops(workload)
                if history.in_step(single, finding.figures["parent"], finding.figures["children"][0])
            ),
        )

    def plan(self, facts: ShowWorkloadFacts) -> Plan:
        """What was asked; nothing is changed."""
        workload = facts.workload
        if workload.source.why_empty:
            why = workload.source.sentence()
            return Plan(operation=self.name, inputs=self.inputs(), summary=why, nothing_to_do=why)
        seconds = workload.source.seconds or 0.0
        rate = (
            f"{workload.source.statements / seconds:,.1f} queries a second" if seconds else "no time passed"
        )
        new = f", {len(facts.new)} of them new since yesterday" if facts.new else ""
        summary = f"{len(workload.families)} families{new}, {rate}. {workload.source.sentence()}"
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do=summary,
            findings=facts.loops,
            figures=self._figures(facts, seconds),
        )

    def _figures(self, facts: ShowWorkloadFacts, seconds: float) -> dict[str, Any]:
        trends = {trend.fingerprint: trend for trend in facts.trends}
        return {
            "families": len(facts.workload.families),
            "calls": facts.workload.source.statements,
            "total_ms": round(facts.workload.total_ms, 1),
            "window_seconds": round(seconds, 1),
            "points_end_at": list(facts.ends),
            "by_family": [
                {
                    **family.model_dump(
                        include={
                            "fingerprint", "sql", "calls", "total_ms", "mean_ms", "min_ms", "max_ms", "p95_at_most_ms", "rows", "resources",
                        }
                    ),
                    "calls_per_second": round(family.calls / seconds, 4) if seconds else None,
                    "new": family.fingerprint in facts.new,
                    "trend": trends[family.fingerprint].model_dump(exclude={"fingerprint"}),
                }
                for family in facts.workload.families[: self.top]
            ],
        }  # fmt: skip
