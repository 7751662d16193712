"""`databases.create-index`: one index, built without blocking writers."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases import partitioned_index, sql
from datareeve.capabilities.databases.partitioned_index import Partition  # noqa: TC001 - pydantic reads it
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step, Systems
from datareeve.core.value import Value


class CreateIndexFacts(Value):
    """What create-index looks at."""

    table_exists: bool
    index_state: str | None  # 'valid', 'invalid' or None where there is no index of that name
    estimated_rows: int
    table_bytes: int
    missing_columns: tuple[str, ...] = ()
    is_partitioned: bool = False
    partitions: tuple[Partition, ...] = ()


class CreateIndex(Operation[CreateIndexFacts]):
    """Create an index without blocking writers.

    Builds with CREATE INDEX CONCURRENTLY, waits for locks with a timeout and tries again, and cleans up the invalid index that a failed
    build leaves. Undo drops the index.
    """

    name: ClassVar[str] = "databases.create-index"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "create an index on flights tailnum",
        "add a btree index to a column",
        "index this table",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    table: str = Field(description="table name, without schema")
    columns: tuple[str, ...] = Field(
        min_length=1, description="key columns or expressions in parentheses, in order"
    )
    schema_name: str = Field("public", description="the table's schema")
    key_options: tuple[str, ...] = Field(
        (),
        description="an operator class or a direction for each key, in order: '', 'DESC', 'jsonb_path_ops'",
    )
    include: tuple[str, ...] = Field((), description="columns carried along (INCLUDE)")
    method: str = Field(
        "btree", pattern="^(btree|hash|gin|gist|brin|spgist)$", description="index access method"
    )
    where: str | None = Field(None, description="predicate of a partial index")
    index: str | None = Field(None, description="name; default: table_columns_idx")

    def index_name(self) -> str:
        """The given name, or one made from table and columns as PostgreSQL would (at most 63 bytes)."""
        words = (re.sub(r"\W+", "_", column).strip("_") for column in self.columns)
        made = "_".join([self.table, *words])
        return self.index or f"{made.encode()[:59].decode(errors='ignore')}_idx"

    def observe(self, systems: Systems) -> CreateIndexFacts:
        """Whether the table and an index of that name are there, and how large the table is."""
        row = systems[self.system].read(
            "query",
            sql=sql.load("index_target"),
            parameters={
                "schema": self.schema_name,
                "table": self.table,
                "index": self.index_name(),
                "columns": [c for c in (*self.columns, *self.include) if not c.startswith("(")],
            },
            shape="row",
        )
        return CreateIndexFacts(**row)

    def plan(self, facts: CreateIndexFacts) -> Plan:
        """One step, CREATE INDEX CONCURRENTLY; nothing where a valid one is there."""
        subject = f"{self.schema_name}.{self.table} ({', '.join(self.columns)})"
        if facts.index_state == "valid":
            return self._quiet(f"{self.index_name()} exists and is valid.")
        if not facts.table_exists:
            return self._quiet("", blocker=f"There is no table {self.schema_name}.{self.table}.")
        if facts.missing_columns:
            lacking = ", ".join(facts.missing_columns)
            return self._quiet("", blocker=f"{self.schema_name}.{self.table} has no column {lacking}.")
        if facts.is_partitioned and (why := partitioned_index.blocker(self.table, facts.partitions)):
            return self._quiet("", blocker=why)
        building = (
            partitioned_index.steps(self, facts.partitions) if facts.is_partitioned else (self._step(facts),)
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Create index {self.index_name()} on {subject}.",
            requirements=(self._claim(f"{self.index_name()} is not there yet", facts.index_state),),
            steps=(*self._cleaning(facts), *building),
            checks=(self.valid(),),
        )

    def valid(self) -> Claim:
        """That the index is there and valid."""
        return self._claim(f"{self.index_name()} is valid", "valid")

    def _quiet(self, reason: str, blocker: str = "") -> Plan:
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=reason or blocker,
            nothing_to_do=reason,
            blockers=(blocker,) if blocker else (),
        )

    def _cleaning(self, facts: CreateIndexFacts) -> tuple[Step, ...]:
        """Where an earlier build failed: away with the invalid index that it left."""
        if facts.index_state != "invalid":
            return ()
        step = Step(
            id=f"drop-invalid {self.index_name()}",
            call=self._drop(),
            why=f"{self.index_name()} is what a failed build left: no query uses it, and its name is needed.",
            effect=Effect.REVERSIBLE,
            probe=self._claim(f"{self.index_name()} is gone", None),
            no_undo="An invalid index serves nobody; it is not made again.",
            predicted=Prediction(lock="SHARE UPDATE EXCLUSIVE", basis="PostgreSQL manual, DROP INDEX"),
            touches=(f"{self.system}:{self.schema_name}.{self.table}",),
            schemas=(self.schema_name,),
        )
        return (step,)

    def _drop(self) -> Call:
        statement = f"DROP INDEX CONCURRENTLY IF EXISTS {sql.identifier(self.schema_name, self.index_name())}"
        return Call(system=self.system, action="execute", arguments={"sql": statement})

    def _step(self, facts: CreateIndexFacts) -> Step:
        return Step(
            id=f"create-index {self.index_name()}",
            call=Call(
                system=self.system, action="execute", arguments={"sql": self.statement(), **sql.PATIENT}
            ),
            why=f"Queries that look up {', '.join(self.columns)} read the index instead of all of {self.table}.",
            effect=Effect.REVERSIBLE,
            probe=self.valid(),
            undo=(self._drop(),),
            predicted=Prediction(
                rows=facts.estimated_rows,
                bytes=facts.estimated_rows * 24,
                lock="SHARE UPDATE EXCLUSIVE",
                basis="pg_class estimate",
            ),
            touches=(f"{self.system}:{self.schema_name}.{self.table}",),
            schemas=(self.schema_name,),
        )

    def statement(self, *, concurrently: bool = True) -> str:
        """The CREATE INDEX statement."""
        keys = ", ".join(f"{key} {option}".rstrip() for key, option in self.optioned())
        carried = f" INCLUDE ({', '.join(sql.identifier(c) for c in self.include)})" if self.include else ""
        only = f" WHERE {self.where}" if self.where else ""
        how = " CONCURRENTLY" if concurrently else ""
        return f"CREATE INDEX{how} {sql.identifier(self.index_name())} ON {sql.identifier(self.schema_name, self.table)} USING {self.method} ({keys}){carried}{only}"

    def optioned(self) -> tuple[tuple[str, str], ...]:
        """Each key as SQL needs it, with its option."""
        written = (c if c.startswith("(") else sql.identifier(c) for c in self.columns)
        return tuple(zip_longest(written, self.key_options[: len(self.columns)], fillvalue=""))

    def _claim(self, text: str, expected: str | None) -> Claim:
        arguments = {
            "sql": sql.load("index_state"),
            "parameters": {"schema": self.schema_name, "index": self.index_name()},
            "shape": "scalar",
        }
        return Claim(
            text=text, call=Call(system=self.system, action="query", arguments=arguments), expected=expected
        )
