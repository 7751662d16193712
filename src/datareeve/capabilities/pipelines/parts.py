"""The two parts of what runs a pipeline, whole or in part: a build, and its publication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines import ahead
from datareeve.capabilities.pipelines.operations.build import Build, step
from datareeve.capabilities.pipelines.operations.publish import Publish, is_published, published
from datareeve.core.operation import Claim, Plan, Prediction, Step
from datareeve.core.value import fingerprint

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.facts import PipelineFacts
    from datareeve.capabilities.pipelines.spec import Load


def publication(facts: PipelineFacts, pipeline: str, environment: str | None) -> Plan:
    """The part that publishes what the part `build` has built: only where it kept its contracts and the change budget."""
    operation = Publish(pipeline=pipeline, environment=environment)
    passed = Claim(
        text="the build kept its contracts and the change budget",
        call=facts.read("publishable"),
        expected="",
        remedy=f"`datareeve run {operation.name} --pipeline {pipeline}` shows why it is held, and releases it.",
    )
    return Plan(
        operation=operation.name,
        inputs=operation.inputs(),
        summary=f"Publish {facts.key} on {facts.system}.",
        requirements=(passed,),
        steps=(published(facts, build="{run}", held=False),),
        checks=(is_published(facts),),
        part_id="publish",
        needs=("build",),
    )


def once_more(  # noqa: PLR0913 - what such a load is made of
    facts: PipelineFacts,
    operation: Any,
    load: Load,
    *,
    why: str,
    rows: int,
    given: dict[str, Any],
    shown: tuple[str, ...] = (),
) -> tuple[Plan, Plan]:
    """The parts that load one load of a pipeline again, in another way than by its cursor: `given` tells its work how."""
    name = operation.load
    narrowed = facts.model_copy(
        update={"pipeline": facts.pipeline.model_copy(update={"loads": {name: load}, "models": {}})}
    )
    whole = Build(pipeline=operation.pipeline, environment=operation.environment).plan(narrowed)

    def changed(planned: Step) -> Step:
        work, told = planned.call.arguments["work"], planned.call.arguments["given"]
        if work == "begin":  # a build of its own: what another run left is not gone on with
            return step(
                facts,
                planned.id,
                work,
                planned.why,
                planned.probe,
                {**told, "digest": fingerprint([facts.digest, name, given])},
            )
        if work != "load":
            return planned
        made = step(
            facts,
            planned.id,
            work,
            why,
            planned.probe,
            {**told, **given},
            Prediction(rows=rows, basis="counted"),
        )
        return ahead.foreseen(facts, made).model_copy(update={"shown": shown})

    build = whole.model_copy(
        update={"steps": tuple(map(changed, whole.steps)), "part_id": "build", "summary": why}
    )
    return build, publication(facts, operation.pipeline, operation.environment)
