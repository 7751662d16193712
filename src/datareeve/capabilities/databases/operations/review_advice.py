"""`databases.review-advice`: the indexes that earlier runs made, looked at again after a day of real work."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import advice_review, maintenance
from datareeve.capabilities.databases.advice_review import Reviewed  # noqa: TC001 - pydantic reads it
from datareeve.core import clock
from datareeve.core.operation import Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

WORSE_BY = 1.2  # times, that statements on its table may take more before it is said


class ReviewAdviceFacts(Value):
    """The indexes that runs made."""

    reviewed: tuple[Reviewed, ...]


class ReviewAdvice(Operation[ReviewAdviceFacts]):
    """Look again at the indexes that were advised, after a day of real work.

    Says of each index that an earlier run made whether it is used, how often and when last, its size now, what share of the updates on its
    table stays HOT, and what the statements on that table take, before and since (where databases.record-workload takes snapshots).
    Proposes dropping what a day of work did not use. To have it looked at every morning, put under `schedules:` in estate.yaml:
    `review-advice: {operation: databases.review-advice, inputs: {system: NAME}, cron: "0 7 * * *"}`.
    """

    name: ClassVar[str] = "databases.review-advice"
    examples: ClassVar[tuple[str, ...]] = (
        "were the indexes you created used",
        "review the indexes that were advised",
        "look again at created indexes after a day",
        "did the index advice pay off",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    after_hours: float = Field(24.0, ge=24, description="how long an index must have had to be used, before it is called unused")  # fmt: skip

    def observe(self, systems: Systems) -> ReviewAdviceFacts:
        """The runs in the ledger, the counters of the server, the history of the workload."""
        return ReviewAdviceFacts(reviewed=advice_review.look(systems, self.system, clock.now()))

    def plan(self, facts: ReviewAdviceFacts) -> Plan:
        """Figures and findings; there is nothing to do."""
        there = [one for one in facts.reviewed if one.served]
        summary = self._summary(there)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do=summary,
            findings=tuple(f for one in there if (f := self._finding(one))),
            figures={"indexes": len(there), "used": sum(_is_used(one) for one in there), "unused": sum(self._is_unused(one) for one in there),
                     "bytes": sum(one.served.bytes for one in there if one.served), **_figures(there)},
        )  # fmt: skip

    def _summary(self, there: list[Reviewed]) -> str:
        if not there:
            return "No run has made an index here that is still there."
        used, early = sum(_is_used(one) for one in there), sum(self._is_early(one) for one in there)
        said = f"{used} of {len(there)} indexes that were made here are used"
        return f"{said}; {early} had less than {self.after_hours:g} hours to be." if early else f"{said}."

    def _is_early(self, one: Reviewed) -> bool:
        return not _is_used(one) and one.counted_hours < self.after_hours

    def _is_unused(self, one: Reviewed) -> bool:
        return not _is_used(one) and not self._is_early(one)

    def _finding(self, one: Reviewed) -> Finding | None:
        if self._is_unused(one) and one.served:
            return self._unused(one)
        times = one.times
        if times and times.ms_after > WORSE_BY * times.ms_before:
            return Finding(
                rule="advised-index-made-worse",
                subject=f"{one.made.schema_name}.{one.made.index}",
                what=f"Statements on its table took {times.ms_before:g} ms on average before it was made, and take {times.ms_after:g} ms since.",
                instead=f"databases.explain-query says how they are answered; `datareeve undo {one.made.run}` takes the index back.",
                figures=times.model_dump(),
            )
        return None

    def _unused(self, one: Reviewed) -> Finding:
        assert one.served is not None  # noqa: S101 - for the type checker: the caller has looked
        kept = " It enforces uniqueness, and stays for that." if one.served.is_unique or one.served.has_constraint else ""  # fmt: skip
        return Finding(
            rule="advised-index-unused",
            subject=f"{one.made.schema_name}.{one.made.index}",
            what=f"Run {one.made.run} made it {one.hours:,.0f} hours ago, and no statement has used it since.{kept}",
            why=f"It takes {maintenance.megabytes(one.served.bytes)}, and every write to {one.served.table} maintains it.",
            instead="" if kept else f"Drop it: databases.drop-index --index {one.made.index} --schema {one.made.schema_name}. Ask first what runs once a month.",
            severity=Severity.INFO if kept else Severity.WARNING,
            figures={"bytes": one.served.bytes, "hours": one.hours, "scans": one.served.scans},
            mended_by="" if kept else "databases.drop-index",
        )  # fmt: skip


def _is_used(one: Reviewed) -> bool:
    return bool(one.served and one.served.scans)


def _figures(there: list[Reviewed]) -> dict[str, Any]:
    """For each index by its name: uses, size, HOT share and times before and since, as far as they are known."""
    return {f"{one.made.schema_name}.{one.made.index}": _told(one) for one in there}


def _told(one: Reviewed) -> dict[str, Any]:
    served = one.served
    if served is None:
        return {}
    told: dict[str, Any] = {
        "run": one.made.run, "hours": one.hours, "scans": served.scans, "rows_read": served.rows_read, "last_scan": served.last_scan,
        "bytes": served.bytes, "updates": served.updates,
        "hot_percent": round(100 * served.hot_updates / served.updates, 1) if served.updates else None,
        "hot_percent_before": one.hot_percent_before,
    }  # fmt: skip
    if one.times:
        told |= {"ms_before": one.times.ms_before, "ms_after": one.times.ms_after, "families": one.times.families}  # fmt: skip
    return told
