"""`databases.add-foreign-key`: a foreign key, added and validated while both tables are written to."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.rules.schema import orphans
from datareeve.capabilities.databases.schema import made_name
from datareeve.capabilities.databases.survey import Reference, measure_references
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step, Systems
from datareeve.core.value import Value

# Locks here hold others up, so they are waited for briefly, again and again.
QUICK = {"lock_timeout_ms": 2000, "attempts": 8}


class AddForeignKeyFacts(Value):
    """What add-foreign-key looks at. The kinds are None where there is no such table; types have an entry for each column that is there."""

    table_kind: str | None
    references_kind: str | None
    types: dict[str, str] = Field(default_factory=dict)
    references_types: dict[str, str] = Field(default_factory=dict)
    is_key: bool = False  # the database keeps the referenced columns unique
    key_planned: bool = False  # or will, by a part that comes before
    present_name: str | None = None  # the same foreign key, under whatever name
    present_valid: bool | None = None
    present_definition: str | None = None
    name_taken: bool = False
    rows: int = 0
    orphan_values: int = 0
    orphan_rows: int = 0
    orphan_keys: tuple[str, ...] = ()


class AddForeignKey(Operation[AddForeignKeyFacts]):
    """Add a foreign key without a long lock.

    Adds the constraint NOT VALID (a lock for a moment, asked for again and again), then validates it while both tables are read and written. Rows that
    refer to nothing are counted and named by at most 20 keys, and never deleted: they block it, or with `not_valid_ok` it is left NOT VALID, which
    holds for new rows only. Undo drops the constraint.
    """

    name: ClassVar[str] = "databases.add-foreign-key"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "add a foreign key from flights carrier to airlines",
        "flights.dest should reference airports.faa",
        "make orders refer to customers with a constraint",
        "enforce the relation between two tables",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    table: str = Field(description="the table that refers, without schema")
    columns: tuple[str, ...] = Field(min_length=1, description="its columns, in order")
    references_table: str = Field(description="the table referred to, without schema")
    references_columns: tuple[str, ...] = Field(
        min_length=1, description="its key's columns, in the same order"
    )
    schema_name: str = Field("public", description="the referring table's schema")
    references_schema: str | None = Field(None, description="the other table's schema; default: the same")
    constraint: str | None = Field(None, max_length=63, description="name; default: table_columns_fkey")
    not_valid_ok: bool = Field(
        default=False, description="where orphans are there, enforce it for new rows only (NOT VALID)"
    )

    def constraint_name(self) -> str:
        """The given name, or the one PostgreSQL would give (at most 63 bytes)."""
        return self.constraint or made_name("_".join((self.table, *self.columns)), "fkey")

    @property
    def reference(self) -> Reference:
        """The reference from table to key, not yet measured."""
        return Reference(
            table=f"{self.schema_name}.{self.table}",
            columns=self.columns,
            target=f"{self._target_schema}.{self.references_table}",
            keys=self.references_columns,
            evidence="name",
        )

    def observe(self, systems: Systems) -> AddForeignKeyFacts:
        """Both tables as the catalog has them, and an exact count of orphans."""
        places = {
            "schema": self.schema_name, "table": self.table, "columns": list(self.columns), "constraint": self.constraint_name(),
            "references_schema": self._target_schema, "references_table": self.references_table, "references_columns": list(self.references_columns),
        }  # fmt: skip
        row = systems[self.system].read(
            "query", sql=sql.load("schema_reference_target"), parameters=places, shape="row"
        )
        facts = AddForeignKeyFacts(**row)
        if facts.present_valid or self._blocker(facts):
            return facts
        measured = measure_references(systems[self.system], [self.reference])[0]
        return facts.model_copy(
            update=measured.model_dump(include={"rows", "orphan_values", "orphan_rows", "orphan_keys"})
        )

    def plan(self, facts: AddForeignKeyFacts) -> Plan:
        """Add it NOT VALID, then validate; only what is missing of the two, and only the first where orphans are accepted."""
        if facts.present_valid:
            return self._quiet(
                f"{self.reference.start} has the foreign key {facts.present_name} to {self.reference.end}."
            )
        if blocker := self._blocker(facts):
            return self._quiet(blocker=blocker)
        broken = (orphans.finding(self._measured(facts)),) if facts.orphan_rows else ()
        if broken and not self.not_valid_ok:
            blocker = f"{broken[0].subject}: {broken[0].what} Mend them, or give not_valid_ok=True to enforce it for new rows only."
            return self._quiet(blocker=blocker, findings=broken)
        if broken and facts.present_name:
            reason = f"{facts.present_name} is there, NOT VALID; {facts.orphan_rows:,} orphan rows keep it from being validated."
            return self._quiet(reason, findings=broken)
        name = facts.present_name or self.constraint_name()
        add = () if facts.present_name else (self._add(name),)
        validate = () if broken else (self._validate(name, facts),)
        left = f"; it stays NOT VALID until {facts.orphan_rows:,} orphan rows are mended" if broken else ""
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Make {self.reference.start} a foreign key to {self.reference.end}{left}.",
            requirements=(self._state(name, "not valid" if facts.present_name else None),),
            steps=(*add, *validate),
            checks=(self._state(name, "not valid" if broken else "valid"),),
            findings=broken,
            figures={"rows": facts.rows, "orphan_rows": facts.orphan_rows},
        )

    def _blocker(self, facts: AddForeignKeyFacts) -> str:
        start, end = self.reference.start, self.reference.end
        pairs = tuple(zip(self.columns, self.references_columns, strict=False))
        unlike = [f"{c} is {facts.types[c]}, {k} is {facts.references_types[k]}" for c, k in pairs
                  if c in facts.types and k in facts.references_types and not comparable(facts.types[c], facts.references_types[k])]  # fmt: skip
        reasons = (
            (
                len(self.columns) != len(self.references_columns),
                f"{start} and {end} do not have as many columns.",
            ),
            (facts.table_kind is None, f"There is no table {self.reference.table}."),
            (facts.references_kind is None, f"There is no table {self.reference.target}."),
            (
                facts.table_kind != "r" or facts.references_kind not in ("r", "p"),
                f"{start} to {end}: only plain tables can be given a foreign key without a long lock.",
            ),
            (
                len(facts.types) < len(set(self.columns)),
                f"{self.reference.table} has no column {_missing(self.columns, facts.types)}.",
            ),
            (
                len(facts.references_types) < len(set(self.references_columns)),
                f"{self.reference.target} has no column {_missing(self.references_columns, facts.references_types)}.",
            ),
            (
                bool(unlike),
                f"{start} and {end} are of types that do not compare: {'; '.join(unlike)}. Change one of them first.",
            ),
            (
                not (facts.is_key or facts.key_planned),
                f"{end} is not a key: add a primary key or unique constraint there first (databases.add-primary-key).",
            ),
            (
                facts.name_taken and not facts.present_name,
                f"{self.reference.table} has another constraint {self.constraint_name()}. Give another name with `constraint`.",
            ),
        )
        return next((text for stands_in_the_way, text in reasons if stands_in_the_way), "")

    def _quiet(self, reason: str = "", blocker: str = "", findings: tuple[Any, ...] = ()) -> Plan:
        blockers = (blocker,) if blocker else ()
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=reason or blocker,
            nothing_to_do=reason,
            blockers=blockers,
            findings=findings,
        )

    def _measured(self, facts: AddForeignKeyFacts) -> Reference:
        counts = facts.model_dump(include={"rows", "orphan_values", "orphan_rows", "orphan_keys"})
        return self.reference.model_copy(update=counts)

    # -- steps -------------------------------------------------------------------------------------------------------------------------

    def _add(self, name: str) -> Step:
        columns, keys = (
            ", ".join(map(sql.identifier, names)) for names in (self.columns, self.references_columns)
        )
        target = sql.identifier(self._target_schema, self.references_table)
        return self._step(
            f"add-foreign-key {name}",
            f"ALTER TABLE {self._quoted} ADD CONSTRAINT {sql.identifier(name)} FOREIGN KEY ({columns}) REFERENCES {target} ({keys}) NOT VALID",
            why="From here on every new row must refer to a row that is there; existing rows are not read yet.",
            probe=self._state(name, "not valid"),
            undo=(self._drop(name),),
            predicted=Prediction(lock="SHARE ROW EXCLUSIVE on both tables, for a moment"),
        )

    def _validate(self, name: str, facts: AddForeignKeyFacts) -> Step:
        restore = (
            (f"ALTER TABLE {self._quoted} ADD CONSTRAINT {sql.identifier(name)} {facts.present_definition}",)
            if facts.present_name
            else ()
        )
        return self._step(
            f"validate-foreign-key {name}",
            f"ALTER TABLE {self._quoted} VALIDATE CONSTRAINT {sql.identifier(name)}",
            why="Existing rows are read and proved to refer to rows that are there, while both tables are read and written.",
            probe=self._state(name, "valid"),
            undo=(self._drop(name), *restore),
            predicted=Prediction(rows=facts.rows, lock="SHARE UPDATE EXCLUSIVE", basis="counted"),
        )

    def _step(self, step_id: str, statement: str, *, undo: tuple[str, ...], **parts: Any) -> Step:
        return Step(
            id=step_id,
            call=self._execute(statement),
            effect=Effect.REVERSIBLE,
            transactional=True,
            undo=tuple(map(self._execute, undo)),
            touches=(f"{self.system}:{self.reference.table}", f"{self.system}:{self.reference.target}"),
            schemas=tuple(sorted({self.schema_name, self._target_schema})),
            **parts,
        )

    def _drop(self, name: str) -> str:
        return f"ALTER TABLE IF EXISTS {self._quoted} DROP CONSTRAINT IF EXISTS {sql.identifier(name)}"

    def _execute(self, statement: str) -> Call:
        return Call(system=self.system, action="execute", arguments={"sql": statement, **QUICK})

    def _state(self, name: str, state: str | None) -> Claim:
        parameters = {"schema": self.schema_name, "table": self.table, "constraint": name}
        arguments = {"sql": sql.load("schema_constraint_state"), "parameters": parameters, "shape": "scalar"}
        text = f"foreign key {name} of {self.reference.table} is {state or 'not there'}"
        return Claim(
            text=text, call=Call(system=self.system, action="query", arguments=arguments), expected=state
        )

    @property
    def _target_schema(self) -> str:
        return self.references_schema or self.schema_name

    @property
    def _quoted(self) -> str:
        return sql.identifier(self.schema_name, self.table)


def _missing(wanted: tuple[str, ...], there: dict[str, str]) -> str:
    return ", ".join(name for name in wanted if name not in there)


COMPARABLE = (
    {"smallint", "integer", "bigint", "numeric"},
    {"real", "double precision"},
    {"text", "character varying", "character", "citext", "name"},
    {"date", "timestamp without time zone", "timestamp with time zone"},
)


def comparable(one: str, other: str) -> bool:
    """Whether values of two types can be equal without a cast, as a foreign key needs."""
    return one == other or any(one in family and other in family for family in COMPARABLE)
