"""`databases.add-primary-key`: a primary key, added while the table is written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.schema import made_name
from datareeve.capabilities.databases.survey import CandidateKey, measure_keys
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping


# A lock that holds others up is waited for briefly, again and again. A concurrent build holds nobody up while it waits, and a second attempt would
# find the invalid index of the first.
QUICK = {"lock_timeout_ms": 2000, "attempts": 8}
PATIENT = {"lock_timeout_ms": 600_000, "attempts": 1}


class AddPrimaryKeyFacts(Value):
    """What add-primary-key looks at. `nullable` has an entry for each of the wanted columns that is there."""

    table_kind: str | None
    primary_key: tuple[str, ...] | None = None
    nullable: dict[str, bool] = Field(default_factory=dict)
    name_taken: bool = False
    rows: int = 0
    repeated: int = 0  # rows whose key another row has already
    nulls: int = 0  # rows with a null in the key


class AddPrimaryKey(Operation[AddPrimaryKeyFacts]):
    """Add a primary key without blocking writers.

    Builds the unique index concurrently, proves that no column is null with a validated check (so that SET NOT NULL reads nothing under its
    lock), then makes the index the primary key. Refuses, with counts, where rows repeat or are null. Undo drops the key and gives the columns back
    the nulls they could hold.
    """

    name: ClassVar[str] = "databases.add-primary-key"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "add a primary key to planes",
        "make tailnum the primary key of planes",
        "this table has no primary key, give it one",
        "set the primary key of orders to order_id",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    table: str = Field(description="table name, without schema")
    columns: tuple[str, ...] = Field(min_length=1, description="the key's columns, in order")
    schema_name: str = Field("public", description="the table's schema")
    constraint: str | None = Field(None, max_length=63, description="name; default: table_pkey")

    def constraint_name(self) -> str:
        """The given name, or the one PostgreSQL would give (at most 63 bytes)."""
        return self.constraint or made_name(self.table, "pkey")

    def observe(self, systems: Systems) -> AddPrimaryKeyFacts:
        """The table as the catalog has it, and an exact count of the rows that stand in the way."""
        row = systems[self.system].read(
            "query",
            sql=sql.load("schema_key_target"),
            parameters={**self._place, "columns": list(self.columns), "constraint": self.constraint_name()},
            shape="row",
        )
        if (
            row["table_kind"] == "r"
            and row["primary_key"] is None
            and len(row["nullable"]) == len(set(self.columns))
        ):
            candidate = CandidateKey(
                table=f"{self.schema_name}.{self.table}", columns=self.columns, evidence="declared"
            )
            tested = measure_keys(systems[self.system], [candidate])[0]
            row |= {"rows": tested.rows, "repeated": tested.repeated, "nulls": tested.nulls}
        return AddPrimaryKeyFacts(**row)

    def plan(self, facts: AddPrimaryKeyFacts) -> Plan:
        """The index, the proof that nothing is null where that is needed, the constraint."""
        if facts.primary_key == self.columns:
            return self._quiet(
                f"{self.schema_name}.{self.table} has the primary key ({', '.join(self.columns)})."
            )
        if blocker := self._blocker(facts):
            return self._quiet("", blocker)
        nullable = tuple(sorted(name for name, may in facts.nullable.items() if may))
        steps = (
            self._build_index(facts),
            *(self._forbid_nulls(nullable) if nullable else ()),
            self._add_constraint(),
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Make ({', '.join(self.columns)}) the primary key of {self.schema_name}.{self.table} ({facts.rows:,} rows).",
            requirements=(self._key_claim(None), self._nullable_claim(nullable)),
            steps=steps,
            checks=(self._key_claim(self.columns),),
            figures={"rows": facts.rows},
        )

    def _blocker(self, facts: AddPrimaryKeyFacts) -> str:
        table, columns = f"{self.schema_name}.{self.table}", ", ".join(self.columns)
        missing = [name for name in self.columns if name not in facts.nullable]
        counts = (
            f"{facts.repeated:,} rows repeat another row's ({columns}), {facts.nulls:,} have a null in it"
        )
        reasons = (
            (facts.table_kind is None, f"There is no table {table}."),
            (
                facts.table_kind != "r",
                f"{table} is not a plain table (partitioned, foreign or a view): an index cannot be built on it concurrently. Add the key in a maintenance window.",
            ),
            (bool(missing), f"{table} has no column {', '.join(missing)}."),
            (
                facts.primary_key is not None,
                f"{table} has another primary key, ({', '.join(facts.primary_key or ())}). Drop it first if it is wrong.",
            ),
            (
                facts.name_taken,
                f"{self.schema_name} has another relation {self.constraint_name()}. Give another name with `constraint`.",
            ),
            (
                bool(facts.repeated or facts.nulls),
                f"{table}: {counts}. Mend or remove those rows, or choose other columns.",
            ),
        )
        return next((text for stands_in_the_way, text in reasons if stands_in_the_way), "")

    def _quiet(self, reason: str, blocker: str = "") -> Plan:
        blockers = (blocker,) if blocker else ()
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=reason or blocker,
            nothing_to_do=reason,
            blockers=blockers,
        )

    # -- steps -------------------------------------------------------------------------------------------------------------------------

    def _build_index(self, facts: AddPrimaryKeyFacts) -> Step:
        index = self.constraint_name()
        arguments = {
            "sql": sql.load("index_state"),
            "parameters": {"schema": self.schema_name, "index": index},
            "shape": "scalar",
        }
        statement = f"CREATE UNIQUE INDEX CONCURRENTLY {sql.identifier(index)} ON {self._quoted} ({', '.join(map(sql.identifier, self.columns))})"
        return self._step(
            f"build-index {index}",
            statement,
            why="The index that will hold the key is built while the table is read and written as before.",
            probe=Claim(
                text=f"{index} is valid",
                call=Call(system=self.system, action="query", arguments=arguments),
                expected="valid",
            ),
            undo=f"DROP INDEX CONCURRENTLY IF EXISTS {sql.identifier(self.schema_name, index)}",
            patience=PATIENT,
            predicted=Prediction(
                rows=facts.rows, bytes=facts.rows * 24, lock="SHARE UPDATE EXCLUSIVE", basis="counted"
            ),
        )

    def _forbid_nulls(self, nullable: tuple[str, ...]) -> tuple[Step, ...]:
        check = made_name(self.table, "pkey_not_null_check")
        alter, quoted = f"ALTER TABLE {self._quoted}", sql.identifier(check)
        drop_check = f"ALTER TABLE IF EXISTS {self._quoted} DROP CONSTRAINT IF EXISTS {quoted}"
        condition = " AND ".join(f"{sql.identifier(name)} IS NOT NULL" for name in nullable)
        short = Prediction(lock="ACCESS EXCLUSIVE, for a moment")
        return (
            self._step(
                f"add-check {check}",
                f"{alter} ADD CONSTRAINT {quoted} CHECK ({condition}) NOT VALID",
                why="From here on no null can be written into the key; existing rows are not read yet.",
                probe=self._check_claim(check, "not valid"),
                undo=drop_check,
                predicted=short,
            ),
            self._step(
                f"validate-check {check}",
                f"{alter} VALIDATE CONSTRAINT {quoted}",
                why="Every row is read once, under a lock that lets others read and write.",
                probe=self._check_claim(check, "valid"),
                undo=drop_check,
                predicted=Prediction(lock="SHARE UPDATE EXCLUSIVE"),
            ),
            self._step(
                "set-not-null",
                f"{alter} {', '.join(f'ALTER COLUMN {sql.identifier(name)} SET NOT NULL' for name in nullable)}",
                why="A primary key's columns are NOT NULL; the validated check proves it, so the table is not read again under this lock.",
                probe=self._nullable_claim((), of=nullable),
                undo=f"ALTER TABLE IF EXISTS {self._quoted} {', '.join(f'ALTER COLUMN {sql.identifier(name)} DROP NOT NULL' for name in nullable)}",
                predicted=short,
            ),
            self._step(
                f"drop-check {check}",
                f"{alter} DROP CONSTRAINT IF EXISTS {quoted}",
                why="NOT NULL says the same; the check was scaffolding.",
                probe=self._check_claim(check, None),
                undo=drop_check,
                predicted=short,
            ),
        )

    def _add_constraint(self) -> Step:
        name = sql.identifier(self.constraint_name())
        return self._step(
            f"add-primary-key {self.constraint_name()}",
            f"ALTER TABLE {self._quoted} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {name}",
            why="The finished index becomes the primary key; nothing is read or built under this lock.",
            probe=self._key_claim(self.columns),
            undo=f"ALTER TABLE IF EXISTS {self._quoted} DROP CONSTRAINT IF EXISTS {name}",
            predicted=Prediction(lock="ACCESS EXCLUSIVE, for a moment"),
        )

    def _step(
        self, step_id: str, statement: str, *, undo: str, patience: dict[str, int] = QUICK, **parts: Any
    ) -> Step:
        return Step(
            id=step_id,
            call=self._execute(statement, patience),
            effect=Effect.REVERSIBLE,
            transactional="CONCURRENTLY" not in statement,
            undo=(self._execute(undo, patience),),
            touches=(f"{self.system}:{self.schema_name}.{self.table}",),
            schemas=(self.schema_name,),
            **parts,
        )

    def _execute(self, statement: str, patience: dict[str, int]) -> Call:
        return Call(system=self.system, action="execute", arguments={"sql": statement, **patience})

    # -- claims ------------------------------------------------------------------------------------------------------------------------

    def _key_claim(self, columns: tuple[str, ...] | None) -> Claim:
        what = f"the primary key ({', '.join(columns)})" if columns else "no primary key"
        return self._claim(
            f"{self.schema_name}.{self.table} has {what}",
            "schema_primary_key",
            {},
            list(columns) if columns else None,
        )

    def _nullable_claim(self, nullable: tuple[str, ...], of: tuple[str, ...] = ()) -> Claim:
        text = f"of the key's columns, nulls are possible in: {', '.join(nullable) or 'none'}"
        return self._claim(
            text, "schema_nullable", {"columns": list(of or self.columns)}, list(nullable) or None
        )

    def _check_claim(self, check: str, state: str | None) -> Claim:
        return self._claim(
            f"{check} is {state or 'not there'}", "schema_constraint_state", {"constraint": check}, state
        )

    def _claim(self, text: str, query: str, parameters: Mapping[str, Any], expected: Any) -> Claim:
        arguments = {"sql": sql.load(query), "parameters": {**self._place, **parameters}, "shape": "scalar"}
        return Claim(
            text=text, call=Call(system=self.system, action="query", arguments=arguments), expected=expected
        )

    @property
    def _place(self) -> dict[str, Any]:
        return {"schema": self.schema_name, "table": self.table}

    @property
    def _quoted(self) -> str:
        return sql.identifier(self.schema_name, self.table)
