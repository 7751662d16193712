"""`pipelines.replay-rejects`: rows in quarantine, taken once more."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.pipelines import facts as looking
from datareeve.capabilities.pipelines.facts import PipelineFacts  # noqa: TC001 - the type of a field, which pydantic reads
from datareeve.capabilities.pipelines.parts import once_more
from datareeve.capabilities.pipelines.spec import Evolution, Rejects
from datareeve.core.errors import BadInput
from datareeve.core.operation import Effect, Operation, Plan, Systems
from datareeve.core.value import Value


class ReplayFacts(Value):
    """The pipeline, and what lies in quarantine of the load."""

    pipeline: PipelineFacts
    rows: int
    until: str  # the newest moment of them


class ReplayRejects(Operation[ReplayFacts]):
    """Take rows out of quarantine and load them once more, after the pipeline was mended.

    Rows that were rejected for a type or a missing key are tried again as the pipeline reads them now; those that fit are audited and published
    like any load, and leave the quarantine in the same transaction; those that do not stay, with their reason. What has come since is newer and is
    never replaced by a replayed row. Undo publishes the former rows again.
    """

    name: ClassVar[str] = "pipelines.replay-rejects"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "replay the rejected rows",
        "load the rows in quarantine again",
        "retry what the load rejected",
        "reprocess the quarantine of the pipeline",
        "take the bad records once more after the fix",
    )

    pipeline: str = Field(description="the pipeline's name (etl/NAME.yaml) or its path")
    load: str = Field(description="which of its loads")
    environment: str | None = Field(
        None, description="one of the pipeline's environments; default: its own target"
    )

    def observe(self, systems: Systems) -> ReplayFacts:
        """The pipeline, and how many rows wait. Errors: `BadInput` `pipelines.no-load`, `pipelines.no-replay`."""
        facts = looking.observe(systems, self.pipeline, self.environment, look=False)
        load = facts.pipeline.loads.get(self.load)
        if load is None:
            raise BadInput(
                "pipelines.no-load",
                f"{facts.path} has no load {self.load!r}.",
                f"It has: {', '.join(facts.pipeline.loads) or 'none'}.",
            )
        if load.mode == "snapshot":
            raise BadInput(
                "pipelines.no-replay",
                f"{self.load} keeps snapshots: rows of an earlier moment belong to none.",
                "Run the pipeline.",
            )
        found = systems["pipelines"].read("rejected", pipeline=facts.key, system=facts.system, load=self.load)
        return ReplayFacts(pipeline=facts, rows=found["rows"], until=found["until"])

    def plan(self, facts: ReplayFacts) -> Plan:
        """The steps of a run, for the rows in quarantine alone."""
        if not facts.rows:
            return Plan(operation=self.name, inputs=self.inputs(), summary=f"{self.load} has no row in quarantine.", nothing_to_do="Nothing was rejected that could be taken once more.")  # fmt: skip
        one = facts.pipeline
        load = one.pipeline.loads[self.load]
        mode = ("upsert" if load.keys else "append") if load.mode == "full" else load.mode
        # What cannot be taken goes back to where it came from: that is no reason to refuse the rest.
        load = load.model_copy(update={"mode": mode, "columns": load.columns, "rejects": Rejects(at_most_percent=100.0, at_most_rows=facts.rows),
                                       "evolution": Evolution(wider_type="quarantine", missing_column="null"), "deletes": "keep"})  # fmt: skip
        why = f"Load {facts.rows:,} rejected rows of {self.load} once more."
        parts = once_more(one, self, load, why=why, rows=facts.rows, given={"replayed": facts.until})
        return Plan(operation=self.name, inputs=self.inputs(), summary=why, parts=parts)
