"""`quality.check-contract`: a contract, executed on the systems that it names."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.quality import checking, contract_files, engines
from datareeve.capabilities.quality.catalog import Catalog, CatalogTable  # noqa: TC001 - the type of a field, which pydantic reads
from datareeve.capabilities.quality.compiling import Compiled, compile_contract
from datareeve.capabilities.quality.counting import counted
from datareeve.capabilities.quality.engines.places import DEFAULTS, elsewhere, parts
from datareeve.capabilities.quality.rule import Contract  # noqa: TC001 - as above
from datareeve.core.errors import BadInput
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
from datareeve.core.personal_data.declared import told_columns
from datareeve.core.value import Value

ROWS_A_SECOND = 5_000_000  # that one pass reads, as a first guess: the bench tells what was measured

LONGEST_SHOWN = 1200  # characters of a statement


class Place(Value):
    """A system on which the contract is checked: what its catalog says, and where it is read."""

    system: str
    read_on: str
    catalog: Catalog
    personal: dict[str, dict[str, str]] = Field(
        default_factory=dict
    )  # column -> category, by physical table name


class CheckFacts(Value):
    """The contract, and each place it is checked on."""

    contract: Contract
    places: tuple[Place, ...]
    rules: tuple[str, ...] = ()  # of the whole contract, where only some of them are asked


class CheckContract(Operation[CheckFacts]):
    """Check a data contract: run its rules on a database, a folder of files or Spark, and say what holds.

    What the catalog guarantees (a primary key, NOT NULL, a validated foreign key) is proved without reading a row; the rest is read in one pass a table and a
    few statements more, in a read-only snapshot, with a time limit each, on the replica where the estate names one. Every rule has a verdict: pass, warn, fail,
    or not run with the reason. Rows that break a rule are named by their key, at most twenty, and never by a value of a personal column. Verdicts and
    their history are kept in the quality store; nothing else is written. The run fails where a rule fails, or could not be run.
    """

    name: ClassVar[str] = "quality.check-contract"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "check the data contract",
        "run the data quality checks",
        "validate data integrity",
        "is the data complete, unique and fresh",
        "test the tables for nulls, missing values, duplicates and orphans",
        "execute the quality rules of a contract",
        "find rows that violate the contract",
    )

    takes_long: ClassVar[bool] = True

    contract: str = Field(description="the contract's name (contracts/NAME.yaml) or its path")
    system: str | None = Field(
        None, description="where it is checked; default: every system that the contract names under servers"
    )
    tables: tuple[str, ...] = Field((), description="only these tables of the contract")
    rules: tuple[str, ...] = Field((), description="only these rules, by their ids")
    sample_rows: int | None = Field(
        None,
        ge=1000,
        description="a first look: a sample of so many rows a table; verdicts then say between what the figure lies",
    )
    places: dict[str, str] = Field(
        default_factory=dict,
        description="tables that stand for others: {flights: flights__next} checks what is about to be published as flights",
    )
    allow_not_run: bool = Field(
        default=False, description="a rule that cannot be run does not fail the run; it is told all the same"
    )

    def observe(self, systems: Systems) -> CheckFacts:
        """The contract, and what the catalogs say of its tables."""
        whole = self._placed(contract_files.load(systems, self.contract))
        contract = self._wanted(whole)
        estate = set(systems.names())
        named = (self.system,) if self.system else tuple(name for name in contract.systems if name in estate)
        if not named:
            raise BadInput("contract.no-system", f"The contract {contract.name} names no system of the estate under `servers`.", "Name one: --system, or servers: [{server: NAME}] in the contract.")  # fmt: skip
        replicas = systems["quality"].read("settings")["replicas"]
        return CheckFacts(
            contract=contract,
            places=tuple(self._place(systems, contract, name, replicas.get(name, name)) for name in named),
            rules=tuple(rule.id for rule in whole.rules) if contract != whole else (),
        )

    def _placed(self, contract: Contract) -> Contract:
        tables = tuple(
            table.model_copy(update={"physical_name": self.places[name]})
            if (name := table.physical_name if table.physical_name in self.places else table.name)
            in self.places
            else table
            for table in contract.tables
        )
        return contract.model_copy(update={"tables": tables})

    def _place(self, systems: Systems, contract: Contract, system: str, read_on: str) -> Place:
        catalog = engines.catalog_of_named(systems, read_on, sorted(tables_of(contract)))
        datasets = systems["estate"].read("get", where=["datasets"]) or {}
        told = told_columns(datasets, system)
        return Place(system=system, read_on=read_on, catalog=catalog, personal=told)

    def _wanted(self, contract: Contract) -> Contract:
        """The contract with the rules that are asked for. Errors: `BadInput` `contract.no-table`, `contract.no-rule`."""
        tables, ids = {table.name for table in contract.tables}, {rule.id for rule in contract.rules}
        for what, wanted, known in (("table", self.tables, tables), ("rule", self.rules, ids)):
            for name in wanted:
                if name not in known:
                    raise BadInput(
                        f"contract.no-{what}",
                        f"The contract {contract.name} has no {what} {name!r}.",
                        f"It has: {', '.join(sorted(known)[:20])}.",
                    )
        rules = tuple(
            r
            for r in contract.rules
            if (not self.tables or r.table in self.tables) and (not self.rules or r.id in self.rules)
        )
        return contract.model_copy(update={"rules": rules})

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: CheckFacts) -> Plan:
        """A part for each system."""
        unsupported = tuple(_unsupported(facts.contract, one) for one in facts.contract.unsupported)
        if not facts.contract.rules:
            return Plan(operation=self.name, inputs=self.inputs(), summary=f"The contract {facts.contract.name} has no rule.",
                        nothing_to_do="There is nothing to check.", findings=unsupported)  # fmt: skip
        parts = [self._part(facts, place) for place in facts.places]
        if len(parts) == 1:
            return parts[0].model_copy(update={"findings": (*parts[0].findings, *unsupported)})
        labelled = tuple(part.model_copy(update={"part_id": str(n)}) for n, part in enumerate(parts, 1))
        names = ", ".join(place.system for place in facts.places)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Check {facts.contract.name} on {names}.",
            parts=labelled,
            findings=unsupported,
        )

    def _part(self, facts: CheckFacts, place: Place) -> Plan:
        contract = facts.contract
        dialect = engines.dialect_of(place.catalog.kind)
        compiled = compile_contract(contract, place.catalog, dialect, place.personal, self.sample_rows)
        proved = sum(bool(one.proof) for one in compiled.asked)
        cannot = sum(bool(one.not_run) for one in compiled.asked)
        own = self.model_copy(update={"system": place.system})
        return Plan(
            operation=self.name,
            inputs=own.inputs(),
            findings=tuple(_by_name(name, table, place.system) for name, table in sorted(place.catalog.tables.items()) if elsewhere(name, table.place)),
            summary=f"Check {counted(len(contract.rules), 'rule')} of {contract.name} on {place.system}: {proved} proved by the catalog, {counted(len(compiled.statements), 'statement')}"
            + (f", {cannot} cannot be run" if cannot else "") + ".",
            steps=(self._step(facts, place, compiled),),
            checks=self._checks(contract.name, place.system),
            figures={"rules": len(contract.rules), "proved": proved, "statements": len(compiled.statements)},
        )  # fmt: skip

    def _step(self, facts: CheckFacts, place: Place, compiled: Compiled) -> Step:
        contract = facts.contract
        given = {"rules": list(facts.rules), "partial": bool(facts.rules or self.sample_rows or self.places), "contract": contract.model_dump(mode="json", exclude_defaults=True), "compiled": compiled.model_dump(mode="json", exclude_defaults=True),
                 "system": place.system, "read_on": place.read_on}  # fmt: skip
        tables = [table for name, table in place.catalog.tables.items() if name in tables_of(contract)]
        rows, size = sum(t.estimated_rows or 0 for t in tables), sum(t.bytes or 0 for t in tables)
        return Step(
            id=f"check {contract.name} on {place.system}",
            call=Call(system="quality", action="do", arguments={"work": checking.WORK, "given": given}),
            why=f"Each rule of {contract.name} is asked of {place.system}" + (f", on {place.read_on}" if place.read_on != place.system else "") + ", READ ONLY.",
            effect=Effect.READ,
            probe=Claim(text=f"{contract.name} was checked on {place.system}", call=self._read("was_run", contract.name, place.system)),
            shown=tuple(_shortened(statement.listing or statement.sql) for statement in compiled.statements) or ("nothing: all of it is proved, or cannot be run",),
            no_undo="Nothing is changed; the verdicts stay, as history.",
            predicted=Prediction(rows=rows, bytes=size or None, seconds=round(rows * len(compiled.statements) / ROWS_A_SECOND, 1), basis="the catalog's estimates"),
        )  # fmt: skip

    def _checks(self, contract: str, system: str) -> tuple[Claim, ...]:
        holds = Claim(text=f"no rule of {contract} fails on {system}", call=self._read("broken", contract, system), expected=0,
                      remedy="The findings name the rules, and the rows by their keys.")  # fmt: skip
        complete = Claim(text=f"every rule of {contract} was run on {system}", call=self._read("left_out", contract, system), expected=0,
                         remedy="The findings say why; --allow-not-run lets the others decide.")  # fmt: skip
        return (holds,) if self.allow_not_run or self.sample_rows else (holds, complete)

    def _read(self, action: str, contract: str, system: str) -> Call:
        return Call(
            system="quality",
            action=action,
            arguments={"contract": contract, "system": system, "run": "{run}"},
        )


def tables_of(contract: Contract) -> set[str]:
    """The physical names of all tables that the rules are about or refer to."""
    physical = {table.name: table.physical_name for table in contract.tables}
    named = {rule.table for rule in contract.rules}
    named |= {
        str(other)
        for rule in contract.rules
        for other in (rule.arguments.get("table"), (rule.arguments.get("with") or {}).get("table"))
        if other
    }
    return {physical.get(name, name) for name in named}


def _by_name(name: str, table: CatalogTable, system: str) -> Finding:
    return Finding(
        rule="table-by-its-name",
        subject=f"{system}: {name}",
        what=f"It is checked as {table.name}: {system} has no schema of that name, and one table that is called so.",
        severity=Severity.INFO if parts(name.lower())[-2] in DEFAULTS else Severity.WARNING,
    )


def _shortened(sql: str) -> str:
    return sql if len(sql) <= LONGEST_SHOWN else f"{sql[: LONGEST_SHOWN // 2]} … {sql[-LONGEST_SHOWN // 2 :]}"


def _unsupported(contract: Contract, one: Any) -> Finding:
    return Finding(
        rule="rule-not-supported",
        subject=f"{contract.name}: {one.at}",
        what=f"{one.name} is not executed: {one.why}.",
        severity=Severity.WARNING,
    )
