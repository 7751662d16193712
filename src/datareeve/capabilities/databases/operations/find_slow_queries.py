"""`databases.find-slow-queries`: where a workload's time goes, what loops, and which statements could be written better."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, field_validator

from datareeve.capabilities.databases import workload, workload_history
from datareeve.capabilities.databases.engines import statements
from datareeve.capabilities.databases.plan_history import KIND
from datareeve.capabilities.databases.rules import queries
from datareeve.capabilities.databases.workload import Family, Workload
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.operation import Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

COSTLY_PERCENT = 10  # of the workload's time
SLOWER = 1.5  # times the mean of before
LEAST_CALLS = 10  # in each of both times
LEAST_PERCENT = 1  # of the workload's time; a family below it may be as slow as it likes


class Before(Value):
    """A family's mean milliseconds in the time before, and in the time after it."""

    mean_ms: float
    now_ms: float

    @property
    def times(self) -> float:
        """How many times slower it is now."""
        return self.now_ms / self.mean_ms if self.mean_ms else 1.0


class RecordedPlan(Value):
    """The newest plan that databases.record-plans kept of a family."""

    at: str
    shape: str
    cost: float


class SlowQueries(Workload):
    """A workload, with what history and recorded plans say of its families, by fingerprint."""

    before: dict[str, Before] = Field(default_factory=dict)
    compared: str = ""  # which times are compared: 'the last 24 hours with the 24 before'
    plans: dict[str, RecordedPlan] = Field(default_factory=dict)


class FindSlowQueries(Operation[SlowQueries]):
    """Find slow queries, N+1 loops and statements that could be written better.

    Ranks the families of the recorded workload by the time they take in all, holds their 95th percentile against the target, finds loops that
    ask one row at a time, and names what to write instead. With snapshots of databases.record-workload it also tells which families are slower
    than before, and looks at a window of time only where `since` is given. Reads statements and timings, never values.
    """

    name: ClassVar[str] = "databases.find-slow-queries"
    examples: ClassVar[tuple[str, ...]] = (
        "optimize query performance",
        "find slow queries",
        "which queries take the most time",
        "why is the application slow",
        "find N+1 query patterns",
        "queries over 100 ms",
        "which queries are slower than yesterday",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql", "mysql", "sqlite", "duckdb")

    system: str = Field(description="the database's name in the estate")
    target_ms_p95: float = Field(
        100.0, gt=0, description="what the 95th percentile of a query is held against"
    )
    top: int = Field(20, ge=1, le=500, description="how many families are listed")
    since: str | None = Field(
        None,
        description="only what was asked since: 30m, 1h, 2d, yesterday, or a moment such as 2026-11-22T10:00 (UTC)",
    )

    @field_validator("since")
    @classmethod
    def _is_a_moment(cls, text: str | None) -> str | None:
        try:
            if text is not None:
                workload_history.moment_of(text)
        except BadInput as error:
            raise ValueError(f"{error.what} {error.remedy}") from None
        return text

    def observe(self, systems: Systems) -> SlowQueries:
        """The recorded workload, or its window since a moment; means of before, and the plans that are kept.

        Errors: `BadInput` `engine.cannot` where a window is asked for of an engine whose workload is not recorded in the ledger.
        """
        if self.since and systems[self.system].kind != "postgresql":
            raise BadInput(
                "engine.cannot",
                f"databases.find-slow-queries with since works on postgresql; {self.system} is {systems[self.system].kind}.",
                "Leave since out: it needs snapshots of databases.record-workload.",
            )
        found = (
            workload_history.window(systems, self.system, self.since)
            if self.since
            else workload.read(systems[self.system])
        )
        before, compared = _before(systems, self.system, self.since)
        return SlowQueries(
            **dict(found), before=before, compared=compared, plans=_recorded(systems, self.system)
        )

    def plan(self, facts: SlowQueries) -> Plan:
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
            *(self._slower(f, facts) for f in facts.families if _is_slower(f, facts)),
            *workload.loop_findings(facts),
            *self._better_written(facts),
        )
        if facts.source.dialect != "postgres":
            findings = tuple(statements.said_elsewhere(finding) for finding in findings)
        summary = self._summary(facts, slow, findings)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do=summary,
            findings=findings,
            figures=self._figures(facts),
        )

    def _summary(self, facts: SlowQueries, slow: tuple[Family, ...], findings: tuple[Finding, ...]) -> str:
        loops = sum(finding.rule.startswith("n-plus-one") for finding in findings)
        held = f"{len(slow)} of {len(facts.families)} families are above {self.target_ms_p95:g} ms at the 95th percentile"
        if all(family.p95_ms is None for family in facts.families):
            held = f"{len(facts.families)} families; the source has no time of each call, so no percentile is known"
        looped = f"; {loops} {'loop asks' if loops == 1 else 'loops ask'} row by row" if loops else ""
        return f"{held}{looped}. {facts.source.sentence()}"

    def _slow(self, family: Family, facts: SlowQueries) -> Finding:
        return Finding(
            rule="slow-query",
            subject=queries.subject(family),
            what=f"95 % of its {family.calls:,} calls take up to {family.p95_ms:,.0f} ms, the target is {self.target_ms_p95:g} ms: {family.short}",
            why=f"It takes {_share(family, facts)} % of the workload's time.",
            instead=f"Look at its plan (databases.explain-query, fingerprint={family.fingerprint}), and let databases.advise-indexes try indexes.",
            severity=Severity.WARNING,
            figures=_row(family, facts),
        )

    def _costly(self, family: Family, facts: SlowQueries) -> Finding:
        return Finding(
            rule="costly-query",
            subject=queries.subject(family),
            what=f"Its {family.calls:,} calls take {family.mean_ms or 0:,.1f} ms on average: {family.short}",
            why=f"It takes {_share(family, facts)} % of the workload's time.",
            instead=f"Look at its plan (databases.explain-query, fingerprint={family.fingerprint}), and let databases.advise-indexes try indexes.",
            severity=Severity.INFO,
            figures=_row(family, facts),
        )

    def _slower(self, family: Family, facts: SlowQueries) -> Finding:
        before = facts.before[family.fingerprint]
        kept = facts.plans.get(family.fingerprint)
        compare = (
            "databases.find-plan-regressions tells whether its plan changed"
            if kept
            else "databases.record-plans keeps plans to compare with"
        )
        return Finding(
            rule="slower-than-before",
            subject=queries.subject(family),
            what=f"{before.times:,.1f} times slower than before, {before.now_ms:,.1f} ms a call instead of {before.mean_ms:,.1f} ms: {family.short}",
            why=f"Compared are {facts.compared}. It takes {_share(family, facts)} % of the workload's time.",
            instead=f"{compare}; databases.explain-query, fingerprint={family.fingerprint}, shows how it is answered now.",
            severity=Severity.WARNING,
            figures=_row(family, facts),
        )

    def _better_written(self, facts: SlowQueries) -> tuple[Finding, ...]:
        return tuple(
            finding for family in facts.families for finding in queries.review(family, facts.source.dialect)
        )

    def _figures(self, facts: SlowQueries) -> dict[str, Any]:
        return {
            "workload": facts.source.model_dump(),
            "families": len(facts.families),
            "calls": sum(family.calls for family in facts.families),
            "total_ms": round(facts.total_ms, 1),
            "by_family": [
                {**_row(family, facts), "sql": family.sql} for family in facts.families[: self.top]
            ],
        }


def _is_costly(family: Family, facts: SlowQueries) -> bool:
    """Whether it takes much of the workload's time, where no percentile is known to hold against the target."""
    return all(f.p95_ms is None for f in facts.families) and _share(family, facts) >= COSTLY_PERCENT


def _share(family: Family, facts: SlowQueries) -> float:
    return round(100 * (family.total_ms or 0) / facts.total_ms, 1) if facts.total_ms else 0.0


def _row(family: Family, facts: SlowQueries) -> dict[str, Any]:
    return {
        "fingerprint": family.fingerprint,
        "calls": family.calls,
        "total_ms": family.total_ms,
        "share_percent": _share(family, facts),
        "mean_ms": family.mean_ms,
        "p95_ms": family.p95_ms,
        "mean_ms_before": before.mean_ms if (before := facts.before.get(family.fingerprint)) else None,
        "times_slower": round(before.times, 3) if before else None,
        "recorded_plan": kept.model_dump() if (kept := facts.plans.get(family.fingerprint)) else None,
    }


def _is_slower(family: Family, facts: SlowQueries) -> bool:
    before = facts.before.get(family.fingerprint)
    return before is not None and before.times >= SLOWER and _share(family, facts) >= LEAST_PERCENT


# -- history -----------------------------------------------------------------------------------------------------------------------

DAY = timedelta(days=1)


def _before(systems: Systems, system: str, since: str | None) -> tuple[dict[str, Before], str]:
    """Families' means in a window and in the one of the same length before it, where both have enough calls."""
    now = clock.now()
    start = workload_history.moment_of(since, now) if since else now - DAY
    history = workload_history.load(systems, system, start - (now - start))
    later = workload_history.summed(history.stretches(start))
    earlier = workload_history.summed(history.stretches(start - (now - start), start))
    both = {
        key: Before(mean_ms=round(earlier[key].moments().mean, 3), now_ms=round(delta.moments().mean, 3))
        for key, delta in later.items()
        if key in earlier and min(delta.calls, earlier[key].calls) >= LEAST_CALLS
    }
    hours = (now - start).total_seconds() / 3600
    span = f"{hours:,.0f} hours" if hours >= 2 else f"{hours * 60:,.0f} minutes"  # noqa: PLR2004
    return both, f"the last {span} with the {span} before"


def _recorded(systems: Systems, system: str) -> dict[str, RecordedPlan]:
    """The newest recorded plan of each family."""
    found: dict[str, RecordedPlan] = {}
    for one in systems["ledger"].read("readings", kind=KIND, system=system):
        for family in one["reading"]["families"]:
            plan = family["plans"][0]
            found[family["fingerprint"]] = RecordedPlan(at=one["at"], shape=plan["shape"], cost=plan["cost"])
    return found
