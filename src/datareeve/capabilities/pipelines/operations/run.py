"""`pipelines.run`: a pipeline from its sources to what is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from datareeve.capabilities.pipelines import ahead
from datareeve.capabilities.pipelines import facts as looking
from datareeve.capabilities.pipelines.facts import PipelineFacts
from datareeve.capabilities.pipelines.operations.build import Build
from datareeve.capabilities.pipelines.parts import publication
from datareeve.core.operation import Effect, Operation, Plan

if TYPE_CHECKING:
    from datareeve.core.operation import Systems


class Run(Operation[PipelineFacts]):
    """Run a pipeline: load its sources, build its models, audit all of it, and publish it.

    What is loaded and built stands beside what is published until it has passed the pipeline's data contracts and is within its change budget;
    then all tables and the cursor are published in one transaction. Else the build is held, what was published stays, and `pipelines.publish`
    releases it. Killed at any moment, the next run goes on at the last committed batch, and no row is lost or doubled. Undo publishes the
    former state again.
    """

    name: ClassVar[str] = "pipelines.run"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "run the pipeline",
        "load the new data",
        "run the ETL pipeline and publish the result",
        "refresh the warehouse tables",
        "execute the nightly load",
        "bring the data warehouse up to date",
    )
    takes_long: ClassVar[bool] = True

    pipeline: str = Field(description="the pipeline's name (etl/NAME.yaml) or its path")
    environment: str | None = Field(
        None, description="one of the pipeline's environments; default: its own target"
    )

    def observe(self, systems: Systems) -> PipelineFacts:
        """The pipeline, its sources and its target."""
        return looking.observe(systems, self.pipeline, self.environment, look=True)

    def plan(self, facts: PipelineFacts) -> Plan:
        """A part that builds, and a part that publishes what is built."""
        build = Build(pipeline=self.pipeline, environment=self.environment).plan(facts)
        if build.blockers:
            return build.model_copy(update={"operation": self.name})
        parts = (
            build.model_copy(update={"part_id": "build"}),
            publication(facts, self.pipeline, self.environment),
        )
        summary = f"Run {facts.key}: {build.summary.partition(': ')[2].partition(' Expected: ')[0]} Then publish it."
        return ahead.told(facts, Plan(operation=self.name, inputs=self.inputs(), summary=summary, parts=parts, findings=build.findings))  # fmt: skip
