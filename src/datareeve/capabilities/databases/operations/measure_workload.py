"""`databases.measure-workload`: how long the recorded reads take on this database now."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases.workload import Measurement
from datareeve.core.operation import Operation, Plan, Systems
from datareeve.core.value import Value


class MeasureWorkloadFacts(Value):
    """A measurement, and why there is none where there is none."""

    measurement: Measurement
    source: str
    why_empty: str = ""


class MeasureWorkload(Operation[MeasureWorkloadFacts]):
    """Measure the recorded workload on the database as it is now.

    Replays the recorded reads one after another in READ ONLY transactions, with a statement timeout and a bound on the whole, and gives
    percentiles, queries a second and each family's milliseconds (median of three). Done before and after a change, it shows what the change
    was worth (`workload.compare`).
    """

    name: ClassVar[str] = "databases.measure-workload"
    examples: ClassVar[tuple[str, ...]] = (
        "measure the workload",
        "benchmark the database with our real queries",
        "replay the recorded queries and time them",
        "report performance benchmarks",
        "query latency percentiles now",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    cases: int = Field(5, ge=1, le=50, description="recorded executions of each family that are replayed")
    repeats: int = Field(3, ge=1, le=21, description="runs of each; the median counts")
    statement_seconds: float = Field(10.0, gt=0, description="a statement that takes longer is given up")
    budget_seconds: float = Field(
        60.0, gt=0, description="families that are not begun by then are left out, the least important ones"
    )

    def observe(self, systems: Systems) -> MeasureWorkloadFacts:
        """Replay the reads."""
        reader = systems[self.system]
        source = reader.read("workload")["source"]
        bounds = {"statement_seconds": self.statement_seconds, "budget_seconds": self.budget_seconds}
        measured = reader.read("replay", limit=self.cases, repeats=self.repeats, **bounds)
        return MeasureWorkloadFacts(
            measurement=Measurement.model_validate(measured),
            source=f"{source['statements']:,} statements from {source['place']}",
            why_empty=source["why_empty"],
        )

    def plan(self, facts: MeasureWorkloadFacts) -> Plan:
        """The figures; nothing is changed."""
        measured = facts.measurement
        if not measured.timed:
            why = (
                facts.why_empty
                or "No recorded read could be replayed: the source keeps no parameters, or every statement failed."
            )
            return Plan(
                operation=self.name, inputs=self.inputs(), summary="Nothing was measured.", blockers=(why,)
            )
        figures = measured.figures()
        failed = sum(sum(family.failed.values()) for family in measured.families)
        summary = (
            f"{len(measured.timed)} families of reads, replayed from {facts.source}: p50 {figures['p50_ms']} ms, p95 {figures['p95_ms']} ms,"
            f" p99 {figures['p99_ms']} ms, {figures['queries_per_second']} queries/s in one session."
        )
        figures |= {"left_out": measured.left_out, "failed": failed, "source": facts.source}
        return Plan(
            operation=self.name, inputs=self.inputs(), summary=summary, nothing_to_do=summary, figures=figures
        )
