"""`pipelines.build`: rows loaded and models built beside what is published, compared with it and audited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.pipelines import ahead
from datareeve.capabilities.pipelines import facts as looking
from datareeve.capabilities.pipelines.facts import PipelineFacts, dumped
from datareeve.core.operation import (
    Call,
    Claim,
    Effect,
    Finding,
    Operation,
    Plan,
    Prediction,
    Severity,
    Step,
    Systems,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class Build(Operation[PipelineFacts]):
    """Build a pipeline's tables beside what is published, without publishing them.

    Rows come in batches, each committed in one transaction with how far the load came, so that an interrupted build goes on at the last
    committed batch. What is built is then compared with what is published, by key, and audited by the pipeline's data contracts and its change
    budget. Nobody who reads the published tables sees any of it. Undo drops the build.
    """

    name: ClassVar[str] = "pipelines.build"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "build the pipeline without publishing it",
        "load the pipeline beside what is published",
        "show what the next publication would change",
        "stage the pipeline's tables for review",
        "prepare the load and audit it, but do not publish",
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
        """A step for each load and model, then the comparison and the audit."""
        blockers = (
            *(f"{name}: {one['error']}" for name, one in facts.looked.items() if "error" in one),
            *facts.broken_contracts.values(),
            *(one["error"] for one in facts.engines.values() if "error" in one),
        )
        loads = facts.pipeline.loads
        rows = [one.get("rows") for one in facts.looked.values()]
        counted = (
            f"about {sum(r for r in rows if r):,} rows"
            if any(rows)
            else "rows that cannot be counted beforehand"
        )
        summary = f"Build {facts.key}: {len(loads)} load{'s' * (len(loads) != 1)} ({counted}) and {len(facts.pipeline.models)} model{'s' * (len(facts.pipeline.models) != 1)} beside what is published on {facts.system}."
        common = {
            "operation": self.name,
            "inputs": self.inputs(),
            "summary": summary,
            "findings": tuple(_findings(facts)),
        }
        if blockers:
            return Plan(**common, blockers=blockers)
        return ahead.told(
            facts, Plan(**common, steps=tuple(ahead.foreseen(facts, one) for one in self._steps(facts)))
        )

    def _steps(self, facts: PipelineFacts) -> Iterator[Step]:
        begin = Claim(
            text=f"a build of {facts.key} is begun by this run", call=facts.read("build"), expected="{run}"
        )
        yield step(
            facts,
            "begin",
            "begin",
            "A build stands beside what is published; what an interrupted run left is gone on with.",
            begin,
            {"digest": facts.digest},
        )
        loads = {name: dumped(one) for name, one in facts.pipeline.loads.items()}
        for name, load in loads.items():
            claim = Claim(text=f"{name} is loaded", call=facts.read("load", name))
            yield step(
                facts,
                f"load {name}",
                "load",
                _why(facts, name),
                claim,
                {"name": name, "load": load},
                _predicted(facts.looked.get(name, {})),
            )
        compared = Claim(text="what would change is known", call=facts.read("merged"))
        yield step(
            facts,
            "compare",
            "compare",
            "What the publication would add, change and remove is counted, and made ready.",
            compared,
            {"loads": loads},
        )
        yield from self._models(facts)
        audited = Claim(text="the build is audited", call=facts.read("audited"))
        checked = ", ".join(facts.pipeline.contract) or "no contract"
        given = {
            "contracts": list(facts.pipeline.contract),
            "budget": dumped(facts.pipeline.change_budget),
            "default_schema": facts.default_schema,
        }
        yield step(
            facts,
            "audit",
            "audit",
            f"It is checked by {checked}, and against the change budget, before anybody sees it.",
            audited,
            given,
        )

    def _models(self, facts: PipelineFacts) -> Iterator[Step]:
        if not facts.pipeline.models:
            return
        from datareeve.capabilities.pipelines.models.building import built  # noqa: PLC0415 - parses SQL

        for one in built(facts):
            claim = Claim(text=f"{one['name']} is built", call=facts.read("model", one["name"]))
            yield step(facts, f"model {one['name']}", "model", one["why"], claim, one)


def step(  # noqa: PLR0913, PLR0917 - what a step is made of
    facts: PipelineFacts,
    id_: str,
    work: str,
    why: str,
    probe: Claim,
    given: dict[str, Any],
    predicted: Prediction | None = None,
) -> Step:
    """One step of a build: interrupted, it is carried on; undone, the build is dropped."""
    return Step(
        id=id_,
        call=Call(system="pipelines", action="do", arguments={"work": work, "given": facts.given(**given)}),
        why=why,
        effect=Effect.REVERSIBLE,
        probe=probe,
        undo=(Call(system="pipelines", action="do", arguments={"work": "drop", "given": facts.given()}),),
        predicted=predicted or Prediction(),
        shown=_shown(facts, work, given),
        touches=(f"pipeline:{facts.key}",),
        on=(facts.system, *([given["engine"]] if given.get("engine") else [])),
        schemas=(facts.schema_,) if facts.schema_ else (),
        continues=True,
    )


def _shown(facts: PipelineFacts, work: str, given: dict[str, Any]) -> tuple[str, ...]:
    """What a step does, for people: the call holds it in full."""
    if work == "load":
        load = facts.pipeline.loads.get(given["name"])
        told = {"keys": ", ".join(given["load"].get("keys", ())), "cursor": (given["load"].get("cursor") or {}).get("column", ""),
                "deletes": given["load"].get("deletes", "")}  # fmt: skip
        extras = "".join(f", {name} {value}" for name, value in told.items() if value)
        return (f"{load.mode if load else 'full'} of {given['name']} into {facts.system}{extras}",)
    if work == "model":
        return (str(given["select"]),)
    return (f"{work} the build of {facts.key} on {facts.system}",)


def _why(facts: PipelineFacts, name: str) -> str:
    load, looked = facts.pipeline.loads[name], facts.looked.get(name, {})
    source = load.source
    place = (
        f"{source.system}: {source.table or 'a query'}"
        if source.table or source.query
        else ", ".join(source.files)
        if source.files
        else source.kind
    )
    what = {
        "full": "All rows",
        "snapshot": "All rows, as they are now,",
        "append": "New rows",
        "upsert": "New and changed rows",
        "scd2": "New versions of rows",
    }[load.mode]
    parts = f", in {looked['parts']} parts" if looked.get("parts", 0) > 1 else ""
    return f"{what} of {place} go to {load.to or name}{parts}."


def _predicted(looked: dict[str, Any]) -> Prediction:
    rows = looked.get("rows")
    return Prediction(rows=rows, bytes=looked.get("bytes"), basis="the source's own statistics")


def _findings(facts: PipelineFacts) -> Iterator[Finding]:
    for name, one in facts.looked.items():
        for warning in one.get("warnings", ()):
            yield Finding(rule="source-warning", subject=f"{facts.key}: {name}", what=f"{warning}.")
        for note in one.get("notes", ()):
            yield Finding(
                rule="type-kept-otherwise",
                subject=f"{facts.key}: {name}",
                what=f"{note}.",
                severity=Severity.INFO,
            )
