"""`databases.repair-schema`: every primary and foreign key that the rows allow, in one plan; the rest for the owner to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from datareeve.capabilities.databases.operations.add_foreign_key import AddForeignKey, AddForeignKeyFacts
from datareeve.capabilities.databases.operations.add_primary_key import AddPrimaryKey, AddPrimaryKeyFacts
from datareeve.capabilities.databases.operations.review_schema import MEGABYTE
from datareeve.capabilities.databases.rules.schema import missing_foreign_key, missing_primary_key, review
from datareeve.capabilities.databases.survey import CandidateKey, Reference, Survey, survey
from datareeve.core.operation import Effect, Operation, Plan, Systems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.schema import Table

ANSWERED = {missing_primary_key.RULE, missing_foreign_key.RULE}  # the rules whose findings parts answer
COMPOSITES_BYTES = (
    16 * MEGABYTE
)  # in larger tables a key of several columns that is not to be added is tested on a sample only


class RepairSchema(Operation[Survey]):
    """Repair a schema's integrity: add the missing primary and foreign keys that the rows allow.

    Looks at the whole schema once. Adds a primary key where a declared or named key is unique and never null, then foreign keys for references without
    orphans. What needs a decision is left to the owner, with the statement to paste: references with orphans (counted, and named by at most 20 keys),
    keys of several columns that nothing but the rows suggests, references that could be to one table or
    another, tables without any key. No row is changed or deleted. Undo drops what was added.
    """

    name: ClassVar[str] = "databases.repair-schema"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "design optimal schema for application needs",
        "ensure referential integrity",
        "add all missing primary keys and foreign keys",
        "repair the schema",
        "design and maintain database schemas",
        "ensure data integrity with constraints",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    schema_name: str | None = Field(
        None, description="one schema; default: those the estate declares, else all"
    )
    composite_keys: bool = Field(
        default=False, description="also add primary keys of several columns that only the rows suggest"
    )
    largest_mb: int = Field(4096, ge=0, description="tables larger than this many megabytes are not read")

    def observe(self, systems: Systems) -> Survey:
        """The catalog and the rows of the whole schema; keys of several columns are tested on all rows of a large table only where they are wanted."""
        largest = self.largest_mb * MEGABYTE
        composites = largest if self.composite_keys else min(COMPOSITES_BYTES, largest)
        return survey(
            systems, self.system, self.schema_name, largest_bytes=largest, composites_bytes=composites
        )

    def plan(self, facts: Survey) -> Plan:
        """One part a key: primary keys first, then the foreign keys, each needing the primary key that it refers to."""
        parts: dict[str, Plan] = {}  # by the subject of the finding that it answers
        blockers: list[str] = []
        for subject, plan in (*self._primary_keys(facts), *self._foreign_keys(facts)):
            blockers += plan.blockers
            if plan.steps:
                needs = tuple(parts[need].part_id for need in plan.needs if need in parts)
                parts[subject] = plan.model_copy(update={"part_id": str(len(parts) + 1), "needs": needs})
        left = tuple(f for f in review(facts) if f.subject not in parts or f.rule not in ANSWERED)
        waiting = f"left to the owner's decision: {len(left)}"
        quiet = f"All {len(facts.tables)} tables have the keys that their rows allow; {waiting}."
        primary = sum(plan.operation == AddPrimaryKey.name for plan in parts.values())
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Add {primary} primary and {len(parts) - primary} foreign keys; {waiting}."
            if parts
            else quiet,
            nothing_to_do="" if parts or blockers else quiet,
            parts=tuple(parts.values()),
            findings=left,
            figures={
                "primary_keys": primary,
                "foreign_keys": len(parts) - primary,
                "left_to_the_owner": len(left),
            },
            blockers=tuple(blockers),
        )

    def _primary_keys(self, facts: Survey) -> Iterator[tuple[str, Plan]]:
        for key in facts.keys:
            if not key.is_key or key.sampled or (key.evidence == "values" and not self.composite_keys):
                continue
            table = facts.table(key.table)
            operation = AddPrimaryKey(
                system=self.system, schema_name=table.schema_name, table=table.name, columns=key.columns
            )
            yield table.full_name, operation.plan(_key_facts(facts, table, key, operation.constraint_name()))

    def _foreign_keys(self, facts: Survey) -> Iterator[tuple[str, Plan]]:
        for reference in facts.references:
            if not reference.orphan_rows and not reference.rivals:
                table, target = facts.table(reference.table), facts.table(reference.target)
                operation = AddForeignKey(
                    system=self.system,
                    schema_name=table.schema_name,
                    table=table.name,
                    columns=reference.columns,
                    references_schema=target.schema_name,
                    references_table=target.name,
                    references_columns=reference.keys,
                )
                plan = operation.plan(_reference_facts(facts, reference, operation.constraint_name()))
                yield reference.start, plan.model_copy(update={"needs": (reference.target,)})


def _key_facts(facts: Survey, table: Table, key: CandidateKey, constraint: str) -> AddPrimaryKeyFacts:
    """What add-primary-key would observe, from the survey."""
    same_schema = [t for t in facts.schema_facts.relations if t.schema_name == table.schema_name]
    taken = {t.name for t in same_schema} | {index.name for t in same_schema for index in t.indexes}
    return AddPrimaryKeyFacts(
        table_kind=table.kind,
        nullable={name: not table.column(name).not_null for name in key.columns},
        name_taken=constraint in taken,
        rows=key.rows,
    )


def _reference_facts(facts: Survey, reference: Reference, constraint: str) -> AddForeignKeyFacts:
    """What add-foreign-key would observe, from the survey; a key found by it is taken as planned."""
    table, target = facts.table(reference.table), facts.table(reference.target)
    return AddForeignKeyFacts(
        table_kind=table.kind,
        references_kind=target.kind,
        types={name: table.column(name).base_type for name in reference.columns},
        references_types={name: target.column(name).base_type for name in reference.keys},
        is_key=reference.keys in target.unique_keys,
        key_planned=True,
        name_taken=any(c.name == constraint for c in table.constraints),
        rows=reference.rows,
    )
