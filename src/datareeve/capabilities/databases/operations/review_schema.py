"""`databases.review-schema`: what is wrong with a schema, measured on its rows, and what to do instead."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases.rules.schema import review
from datareeve.capabilities.databases.survey import Survey, survey
from datareeve.core.operation import Effect, Operation, Plan, Systems

MEGABYTE = 1024**2


class ReviewSchema(Operation[Survey]):
    """Review a schema: missing keys, broken references, types that waste or overflow.

    Finds tables without a primary key (and the columns that really are one), columns that refer to another table without a foreign key,
    orphans with their count and at most 20 keys, foreign keys without an index, and column types that will hurt. Names and statistics
    propose, exact queries on the rows decide; tables larger than `largest_mb` are left alone. Changes nothing.
    """

    name: ClassVar[str] = "databases.review-schema"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "review the schema",
        "check my tables for missing primary keys and foreign keys",
        "find orphan rows",
        "which column types are wrong or wasteful",
        "is my database design sound?",
        "audit referential integrity",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql", "mysql", "sqlite", "duckdb")

    system: str = Field(description="the database's name in the estate")
    schema_name: str | None = Field(
        None, description="one schema; default: those the estate declares, else all"
    )
    largest_mb: int = Field(4096, ge=0, description="tables larger than this many megabytes are not read")

    def observe(self, systems: Systems) -> Survey:
        """The catalog, and exact tests of the keys and references that it suggests."""
        return survey(systems, self.system, self.schema_name, largest_bytes=self.largest_mb * MEGABYTE)

    def plan(self, facts: Survey) -> Plan:
        """No steps: findings, and how many of each rule."""
        found = review(facts)
        counts = Counter(finding.rule for finding in found)
        listed = ", ".join(f"{count} {rule}" for rule, count in counts.items())
        summary = f"{len(facts.tables)} tables reviewed: {listed or 'nothing found'}."
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do="A review changes nothing.",
            findings=found,
            figures={"tables": len(facts.tables), "findings": dict(counts)},
        )
