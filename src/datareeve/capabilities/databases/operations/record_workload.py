"""`databases.record-workload`: one snapshot of what the application asked, so that there is a history."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from datareeve.core import clock
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step, Systems
from datareeve.core.value import Value

BYTES_PREDICTED = 8_000  # of a snapshot of 200 families; docs/reference tells what was measured


class RecordWorkloadFacts(Value):
    """Whether the source counts, and when the last snapshot was taken."""

    why_empty: str = ""
    counts: bool = True
    age_seconds: float | None = None


class RecordWorkload(Operation[RecordWorkloadFacts]):
    """Record one snapshot of the workload's counters, for its history.

    Takes the counters of pg_stat_statements (or of the declared trace or log): the 200 families with the most time and the sum of the rest,
    a few kilobytes. Two snapshots give the workload between them: databases.show-workload, and the windows of databases.check-slo. Scheduled
    every five minutes in estate.yaml (`schedules: {workload-app: {operation: databases.record-workload, inputs: {system: app}, cron: "*/5 * * * *"}}`),
    it keeps all of two days, one an hour for a month and one a day for a year. Undo forgets the snapshot.
    """

    name: ClassVar[str] = "databases.record-workload"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "record a snapshot of the workload",
        "keep a history of the query statistics",
        "snapshot pg_stat_statements",
        "remember what the application asks for later comparison",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    least_seconds: float = Field(
        60.0, ge=0, description="nothing is done where the last snapshot is younger than this"
    )

    def observe(self, systems: Systems) -> RecordWorkloadFacts:
        """The source, and the age of the newest snapshot."""
        source = systems[self.system].read("workload_source")
        moments = systems["ledger"].read("snapshot_moments", system=self.system)
        age = (clock.now() - datetime.fromisoformat(moments[-1])).total_seconds() if moments else None
        return RecordWorkloadFacts(why_empty=source["why_empty"], counts=source["counts"], age_seconds=age)

    def plan(self, facts: RecordWorkloadFacts) -> Plan:
        """One step, or none where there is nothing to count or a fresh snapshot is there."""
        base = {"operation": self.name, "inputs": self.inputs()}
        if facts.why_empty:
            return Plan(summary="There is no workload to record.", blockers=(f"{facts.why_empty}.",), **base)
        if facts.age_seconds is not None and facts.age_seconds < self.least_seconds:
            why = f"The last snapshot of {self.system} is younger than {self.least_seconds:g} s."
            return Plan(summary="The workload is recorded.", nothing_to_do=why, **base)
        step = self._step()
        return Plan(
            summary=f"Record a snapshot of {self.system}'s workload.",
            steps=(step,),
            checks=(step.probe,),
            **base,
        )

    def _step(self) -> Step:
        taken = Call(
            system="ledger", action="snapshot_taken", arguments={"system": self.system, "run": "{run}"}
        )
        return Step(
            id="snapshot",
            call=Call(system="ledger", action="record_workload", arguments={"system": self.system}),
            why="Counters only ever grow: two snapshots tell what was asked between them.",
            effect=Effect.REVERSIBLE,
            probe=Claim(
                text=f"a snapshot of {self.system}'s workload by this run is in the ledger", call=taken
            ),
            undo=(
                Call(
                    system="ledger",
                    action="forget_snapshots",
                    arguments={"system": self.system, "by_run": "{run}"},
                ),
            ),
            predicted=Prediction(bytes=BYTES_PREDICTED, basis="a snapshot of 200 families, compressed"),
        )
