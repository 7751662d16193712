"""`databases.drop-index`: one index that is not needed, taken away without blocking, with its definition kept for the way back."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases import sql
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step, Systems
from datareeve.core.value import Value


class DropIndexFacts(Value):
    """What drop-index looks at. `definition` None: there is no index of that name."""

    table: str | None = None
    definition: str | None = None
    is_valid: bool = True
    bytes: int = 0
    scans: int = 0
    comment: str | None = None
    tablespace: str | None = None
    is_clustered: bool = False
    is_replica_identity: bool = False
    is_partition: bool = False
    constraints: tuple[
        str, ...
    ] = ()  # the index's own, and foreign keys that rest on it: 'primary key flights_pkey on public.flights'


class DropIndex(Operation[DropIndexFacts]):
    """Drop an index without blocking readers or writers.

    Uses DROP INDEX CONCURRENTLY. An index that a constraint rests on is refused, with what rests on it. Undo builds the index again from
    its own definition, with its comment.
    """

    name: ClassVar[str] = "databases.drop-index"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "drop the index flights_tailnum_idx",
        "remove an unused index",
        "delete a duplicate index",
        "get rid of an invalid index",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    index: str = Field(description="the index's name, without schema")
    schema_name: str = Field("public", description="the index's schema")

    def observe(self, systems: Systems) -> DropIndexFacts:
        """The index's definition, and what rests on it."""
        parameters = {"schema": self.schema_name, "index": self.index}
        row = systems[self.system].read(
            "query", sql=sql.load("index_to_drop"), parameters=parameters, shape="row"
        )
        return DropIndexFacts(**row) if row else DropIndexFacts()

    def plan(self, facts: DropIndexFacts) -> Plan:
        """One step; nothing where it is gone already, a blocker where something rests on it."""
        if facts.definition is None:
            reason = f"There is no index {self._shown}."
            return Plan(operation=self.name, inputs=self.inputs(), summary=reason, nothing_to_do=reason)
        if blockers := self._blockers(facts):
            return Plan(
                operation=self.name,
                inputs=self.inputs(),
                summary=f"{self._shown} cannot be dropped.",
                blockers=blockers,
            )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Drop index {self._shown} on {facts.table} ({facts.bytes / 1e6:.1f} MB, {facts.scans:,} scans counted).",
            requirements=(self._definition_claim(facts.definition),),
            steps=(self._step(facts, facts.definition),),
            checks=(self._gone(),),
            figures={"bytes": facts.bytes, "scans": facts.scans},
        )

    @property
    def _shown(self) -> str:
        return f"{self.schema_name}.{self.index}"

    def _blockers(self, facts: DropIndexFacts) -> tuple[str, ...]:
        found = [
            f"{self._shown} carries {what}: drop that constraint first if it is not needed."
            for what in facts.constraints
        ]
        if facts.is_replica_identity:
            found.append(
                f"{self._shown} identifies rows for logical replication: set another REPLICA IDENTITY first."
            )
        if facts.is_partition:
            found.append(
                f"{self._shown} belongs to an index of partitions, which cannot be dropped concurrently: drop it in a quiet window."
            )
        return tuple(found)

    def _step(self, facts: DropIndexFacts, definition: str) -> Step:
        return Step(
            id=f"drop-index {self.index}",
            call=self._execute(f"DROP INDEX CONCURRENTLY {self._name}"),
            why=f"Every write to {facts.table} maintains it and its {facts.bytes / 1e6:.1f} MB are backed up, whether a query uses it or not.",
            effect=Effect.REVERSIBLE,
            probe=self._gone(),
            undo=self._undo(facts, definition) if facts.is_valid else (),
            no_undo=""
            if facts.is_valid
            else "It is invalid, what a failed build left: it is not made again.",
            predicted=Prediction(bytes=-facts.bytes, lock="SHARE UPDATE EXCLUSIVE", basis="pg_relation_size"),
            touches=(f"{self.system}:{facts.table}",),
            schemas=(self.schema_name,),
        )

    def _undo(self, facts: DropIndexFacts, definition: str) -> tuple[Call, ...]:
        # A half-made drop leaves an invalid index of the same name, so what is left of it goes first.
        again = definition.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)
        if facts.tablespace:
            head, where, predicate = again.partition(" WHERE ")
            again = f"{head} TABLESPACE {sql.identifier(facts.tablespace)}{where}{predicate}"
        calls = [
            self._execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self._name}"),
            self._execute(again, **sql.PATIENT),
        ]
        if facts.comment is not None:
            quoted = facts.comment.replace("'", "''")
            calls.append(self._execute(f"COMMENT ON INDEX {self._name} IS '{quoted}'"))
        if facts.is_clustered:
            calls.append(self._execute(f"ALTER TABLE {facts.table} CLUSTER ON {sql.identifier(self.index)}"))
        return tuple(calls)

    @property
    def _name(self) -> str:
        return sql.identifier(self.schema_name, self.index)

    def _execute(self, statement: str, **waiting: int) -> Call:
        return Call(system=self.system, action="execute", arguments={"sql": statement, **waiting})

    def _gone(self) -> Claim:
        arguments = {
            "sql": sql.load("index_state"),
            "parameters": {"schema": self.schema_name, "index": self.index},
            "shape": "scalar",
        }
        return Claim(
            text=f"{self._shown} is gone",
            call=Call(system=self.system, action="query", arguments=arguments),
            expected=None,
        )

    def _definition_claim(self, definition: str) -> Claim:
        parameters = {"schema": self.schema_name, "index": self.index}
        arguments = {"sql": sql.load("index_definition"), "parameters": parameters, "shape": "scalar"}
        return Claim(
            text=f"{self._shown} is still defined as observed, and no constraint rests on it",
            call=Call(system=self.system, action="query", arguments=arguments),
            expected=definition,
            remedy="Plan again.",
        )
