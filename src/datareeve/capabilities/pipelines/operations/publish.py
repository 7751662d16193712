"""`pipelines.publish`: what is built becomes what is published, all of it in one transaction."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.pipelines import ahead
from datareeve.capabilities.pipelines import facts as looking
from datareeve.capabilities.pipelines.facts import PipelineFacts
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step, Systems


class Publish(Operation[PipelineFacts]):
    """Publish what a pipeline has built, also where it was held back.

    All tables and the cursor change in one transaction: readers see the former state or the new one. A build that its contracts or the change
    budget held back is published only by a person's approval of this very plan, which names the build, why it was held and what it changes.
    Undo publishes the former state again, until the next publication.
    """

    name: ClassVar[str] = "pipelines.publish"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "publish the build",
        "release the held batch",
        "publish the pipeline although its audit failed",
        "let the held back load through",
        "approve and publish the pending changes of the pipeline",
    )

    pipeline: str = Field(description="the pipeline's name (etl/NAME.yaml) or its path")
    environment: str | None = Field(
        None, description="one of the pipeline's environments; default: its own target"
    )

    def observe(self, systems: Systems) -> PipelineFacts:
        """The pipeline, and what is built of it."""
        return looking.observe(systems, self.pipeline, self.environment, look=False)

    def plan(self, facts: PipelineFacts) -> Plan:
        """One step, for the build that stands there now."""
        build = facts.build
        if not build:
            return Plan(operation=self.name, inputs=self.inputs(), summary=f"Nothing of {facts.key} waits to be published.", nothing_to_do="There is no build beside what is published.")  # fmt: skip
        if build.get("audit") is None:
            return Plan(operation=self.name, inputs=self.inputs(), summary=f"The build of {facts.key} is not whole.", blockers=(f"Its run {build['run']} did not come to the audit: run the pipeline again.",))  # fmt: skip
        why = build.get("held") or ""
        summary = (
            f"Publish build {build['id']} of {facts.key}: {_said(build['changes'])}"
            + (f"; it was held: {why}" if why else "")
            + "."
        )
        stands = Claim(
            text=f"no other build waits than {build['id']}",
            call=facts.read("another", build["id"]),
            expected=False,
        )
        return ahead.told(facts, Plan(operation=self.name, inputs=self.inputs(), summary=summary, requirements=(stands,),
                    steps=(published(facts, build=build["id"], held=bool(why), rows=_rows(build["changes"])),), checks=(is_published(facts),)))  # fmt: skip


def published(facts: PipelineFacts, *, build: str, held: bool, rows: int | None = None) -> Step:
    """The step that publishes."""
    given = facts.given(build=build)
    step = Step(
        id="publish",
        call=Call(system="pipelines", action="do", arguments={"work": "publish", "given": given}),
        why=f"All tables of {facts.key} and its cursor change in one transaction on {facts.system}.",
        effect=Effect.REVERSIBLE,
        probe=Claim(
            text=f"{facts.key} was published by this run", call=facts.read("published"), expected="{run}"
        ),
        undo=(Call(system="pipelines", action="do", arguments={"work": "put-back", "given": facts.given()}),),
        predicted=Prediction(rows=rows, basis="counted in the build" if rows is not None else ""),
        shown=(f"one transaction on {facts.system}: tables, cursor and what is known of {facts.key}",),
        touches=(f"pipeline:{facts.key}",),
        on=(facts.system,),
        schemas=(facts.schema_,) if facts.schema_ else (),
        continues=True,
        needs_person=held,
    )
    return ahead.foreseen(facts, step)


def is_published(facts: PipelineFacts) -> Claim:
    """The check that this run's publication is the one that stands."""
    return Claim(
        text=f"{facts.key} is published as this run built it", call=facts.read("published"), expected="{run}"
    )


def _rows(changes: list[dict[str, Any]]) -> int:
    return sum(one[what] for one in changes for what in ("added", "changed", "removed"))


def _said(changes: list[dict[str, Any]]) -> str:
    return ", ".join(f"{one['table']} +{one['added']} ~{one['changed']} -{one['removed']}" for one in changes)
