"""`pipelines.backfill`: a span of a load, read once more and put in the place of what is published of it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.pipelines import ahead
from datareeve.capabilities.pipelines import facts as looking
from datareeve.capabilities.pipelines.facts import PipelineFacts, dumped
from datareeve.capabilities.pipelines.parts import once_more
from datareeve.core.errors import BadInput
from datareeve.core.intervals import intervals
from datareeve.core.operation import Effect, Operation, Plan, Systems
from datareeve.core.value import Value

SHOWN = 12  # intervals that are listed one by one


class BackfillFacts(Value):
    """The pipeline, and what there is of the span at the source and in what is published."""

    pipeline: PipelineFacts
    counted: tuple[tuple[str, str, int, int], ...]  # since, until, rows at the source, rows published


class Backfill(Operation[BackfillFacts]):
    """Load a span of a pipeline's load once more: rows that were missed, or that were corrected at the source.

    The plan lists each interval with its rows at the source and its rows as published. Intervals commit one by one, so that a backfill that is
    interrupted goes on with the next; nobody sees any of it until all of it is audited and published in one transaction. With mode append the
    rows of the span take the place of those that are published of it; with upsert and scd2 they are merged by key. The cursor stays where it is.
    Undo publishes the former rows again.
    """

    name: ClassVar[str] = "pipelines.backfill"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "backfill last month",
        "reload the days that were missed",
        "load the first week of January again",
        "rerun the pipeline for a range of dates",
        "replay history into the table",
    )
    takes_long: ClassVar[bool] = True

    pipeline: str = Field(description="the pipeline's name (etl/NAME.yaml) or its path")
    load: str = Field(description="which of its loads; it has a cursor")
    since: str = Field(description="the first moment, or value of the cursor: 2026-01-01")
    until: str = Field(description="where it ends; not part of it: 2026-02-01")
    interval: str = Field("day", description="hour, day, week, month, or a number of a key's values")
    rows_per_second: float | None = Field(
        None, gt=0, description="a throttle, for a source that others work on"
    )
    environment: str | None = Field(
        None, description="one of the pipeline's environments; default: its own target"
    )

    @property
    def _window(self) -> dict[str, str]:
        return {"since": self.since, "until": self.until, "interval": self.interval}

    def observe(self, systems: Systems) -> BackfillFacts:
        """The pipeline, and the rows of each interval. Errors: `BadInput` `pipelines.no-load`, `pipelines.no-backfill`, `pipelines.interval`."""
        facts = looking.observe(systems, self.pipeline, self.environment, look=False)
        load = facts.pipeline.loads.get(self.load)
        if load is None:
            raise BadInput(
                "pipelines.no-load",
                f"{facts.path} has no load {self.load!r}.",
                f"It has: {', '.join(facts.pipeline.loads) or 'none'}.",
            )
        if load.cursor is None or not (load.source.table or load.source.query):
            raise BadInput(
                "pipelines.no-backfill",
                f"{self.load} has no cursor on a table or query, by which a span could be told.",
                "Run the pipeline: a load without cursor reads everything.",
            )
        intervals(**self._window)
        given = {
            "name": self.load,
            "load": dumped(load),
            "window": self._window,
            "system": facts.system,
            "schema": facts.schema_,
        }
        counted = systems["pipelines"].read("look", what="backfill", given=given)
        return BackfillFacts(pipeline=facts, counted=tuple(tuple(one) for one in counted))

    def plan(self, facts: BackfillFacts) -> Plan:
        """The steps of a run, for the span alone."""
        load = facts.pipeline.pipeline.loads[self.load]
        if self.rows_per_second:
            load = load.model_copy(update={"rows_per_second": self.rows_per_second})
        rows = sum(count for _, _, count, _ in facts.counted)
        why = f"Load {self.load} once more from {self.since} to {self.until}: {len(facts.counted)} intervals, {rows:,} rows at the source."
        shown = tuple(_listed(facts.counted))
        parts = once_more(
            facts.pipeline, self, load, why=why, rows=rows, given={"window": self._window}, shown=shown
        )
        return ahead.told(
            facts.pipeline, Plan(operation=self.name, inputs=self.inputs(), summary=why, parts=parts)
        )


def _listed(counted: tuple[tuple[str, str, int, int], ...]) -> list[str]:
    lines = [
        f"{since} to {until}: {there:,} rows at the source, {here:,} published"
        for since, until, there, here in counted[:SHOWN]
    ]
    rest = counted[SHOWN:]
    if rest:
        lines.append(
            f"and {len(rest)} more, to {rest[-1][1]}: {sum(one[2] for one in rest):,} rows at the source, {sum(one[3] for one in rest):,} published"
        )
    return lines
