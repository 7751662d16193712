"""`compliance.apply-retention`: what is older than it may be, removed."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.quality.compliance import declared as estate
from datareeve.capabilities.quality.compliance import retention
from datareeve.capabilities.quality.compliance.erasing import holds_as_seen
from datareeve.capabilities.quality.compliance.retention import RetentionFacts
from datareeve.core.errors import BadInput
from datareeve.core.operation import Effect, Operation, Plan, Systems


class ApplyRetention(Operation[RetentionFacts]):
    """Remove what is older than it may be kept.

    Counts in every dataset with retention_days the rows whose retention_column is older; drops partitions that are old as a whole, deletes
    other rows of PostgreSQL in batches, writes DuckDB files, Parquet, CSV and JSON lines anew. Legal holds are passed by: their rows stay.
    More than max_rows of one dataset is not planned. There is no way back but a backup.
    """

    name: ClassVar[str] = "compliance.apply-retention"
    effect: ClassVar[Effect] = Effect.IRREVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "delete data older than its retention period",
        "apply the retention policy",
        "storage limitation: purge old personal data",
        "drop partitions that are past their retention",
        "which rows are older than they may be kept",
        "clean up expired customer records in batches",
    )

    datasets: tuple[str, ...] = Field((), description="only these datasets; none: all that have retention_days")  # fmt: skip
    max_rows: int = Field(1_000_000, gt=0, description="the most rows of one dataset that one run may remove")

    def observe(self, systems: Systems) -> RetentionFacts:
        """What is past its time today, and what is held. Errors: `BadInput` `dataset.unknown`."""
        declared = estate.settings(systems)
        if unknown := set(self.datasets) - declared.datasets.keys():
            raise BadInput("dataset.unknown", f"There is no dataset {min(unknown)!r}.", f"There are: {', '.join(declared.datasets) or 'none'}.")  # fmt: skip
        return retention.look(systems, declared, self.datasets)

    def plan(self, facts: RetentionFacts) -> Plan:
        """A step for each partition, table and file that holds something past its time."""
        some = retention.due(facts)
        blockers = tuple(retention.blockers(some, self.max_rows))
        steps = () if blockers else tuple(retention.steps(some, facts.holds_digest))
        rows = sum(one.rows for one in some)
        quiet = "" if some else "No dataset holds a row that is past its time." if facts.aged else "No dataset has retention_days."  # fmt: skip
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=quiet or f"Remove {rows:,} rows that are past their time from {len(some)} datasets.",
            nothing_to_do=quiet,
            requirements=(holds_as_seen(facts.holds_digest), *(retention.as_counted(one) for one in some)) if steps else (),
            steps=steps,
            checks=() if blockers else tuple(retention.none_older(one) for one in facts.aged if not one.left_alone),
            findings=retention.findings(facts),
            figures={"rows_past_retention": rows, "datasets_with_retention": len(facts.aged), "datasets_without_retention": len(facts.unlimited), **{f"rows_{one.dataset}": one.rows for one in some}},
            blockers=blockers,
        )  # fmt: skip
