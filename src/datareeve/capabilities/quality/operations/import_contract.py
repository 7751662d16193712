"""`quality.import-contract`: another tool's checks as a contract."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from datareeve.capabilities.quality.contracts import formats, servers, storing
from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.contracts.write import new_contract
from datareeve.capabilities.quality.counting import counted
from datareeve.capabilities.quality.rule import Contract, Unsupported  # noqa: TC001 - pydantic reads it
from datareeve.core.errors import BadInput
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.capabilities.quality.contracts.imports.imported import Imported


class ImportFacts(Value):
    """The contract that comes of the file, and what stands in its place."""

    text: str
    contract: Contract
    format: str
    asked: int
    executed: int
    left: tuple[Unsupported, ...]
    path: str
    standing: str | None = None
    before: str | None = None


class ImportContract(Operation[ImportFacts]):
    """Import data quality checks of another tool as a data contract.

    Reads dbt tests (schema.yml with dbt_utils and dbt_expectations), Great Expectations suites, SodaCL and Soda contracts, JSON Schema, Avro schemas, and what
    datacontract-cli reads (SQL DDL, Protobuf, DBML ...). Each thing that the file asks for becomes a rule that is executed, or is named with the reason why
    it is not, and stays in the contract for whoever executes it. Writes contracts/NAME.yaml, status draft. Undo gives back the file that stood there.
    """

    name: ClassVar[str] = "quality.import-contract"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "import our dbt tests as a contract",
        "convert a Great Expectations suite",
        "take over the SodaCL checks",
        "make a contract from a JSON Schema",
        "import an Avro schema as a data contract",
        "migrate from Great Expectations",
        "migrate from Soda",
    )

    path: str = Field(description="the file, below the project")
    format: str | None = Field(
        None,
        description="dbt, great-expectations, sodacl, json-schema, avro, or one of datacontract-cli's; default: told by what stands in it",
    )
    contract: str | None = Field(None, description="the contract's name; default: the file's")
    table: str = Field(
        "",
        description="the table that the file is about, where it does not say; of several, the one that is imported",
    )
    system: str = Field("", description="the system of the estate that holds the tables")
    replace: bool = Field(
        default=False, description="write it anew where a contract of that name stands already"
    )

    def observe(self, systems: Systems) -> ImportFacts:
        """The file, translated."""
        text = systems["files"].read("text", path=self.path)
        if text is None:
            raise BadInput(
                "contract.no-file", f"There is no file {self.path}.", "Give a path below the project."
            )
        name = storing.name_of(self.contract or PurePosixPath(self.path).name.split(".")[0])
        kind = self.format or formats.detected(text)
        made, asked, executed, left = self._made(systems, text, kind, name)
        path, standing, before = storing.standing(systems, name)
        return ImportFacts(
            text=made, contract=read(made, name), format=kind, asked=asked, executed=executed, left=left, path=path, standing=standing, before=before,
        )  # fmt: skip

    def _made(
        self, systems: Systems, text: str, kind: str, name: str
    ) -> tuple[str, int, int, tuple[Unsupported, ...]]:
        """(the contract's text, what was asked, what of it is executed, the rest by name)."""
        reader = formats.READERS.get(kind)
        if reader is None:
            made = (
                text if kind == "odcs" else systems["contract-tool"].read("imported", text=text, format=kind)
            )
            contract = read(made, name)
            total = len(contract.rules) + len(contract.unsupported)
            return made, total, len(contract.rules), contract.unsupported
        imported: Imported = reader(text, self.table)
        named = [one.physical_name or one.name for one in imported.tables]
        server = servers.of_system(systems, self.system, named) if self.system else None
        purpose = f"Imported from {self.path} ({kind})."
        made = new_contract(
            name,
            imported.tables,
            imported.rules,
            imported.leftovers,
            system=self.system,
            server=server,
            purpose=purpose,
        )
        own = read(made, name)  # what properties say becomes rules only now
        beside = tuple(one for one in own.unsupported if not one.at.rpartition(".")[2].startswith("quality["))
        rules = len({rule.at for rule in own.rules}) if not imported.asked else imported.executed
        asked = imported.asked or rules + len(beside)
        return made, asked + (len(beside) if imported.asked else 0), rules, (*imported.unsupported, *beside)

    def plan(self, facts: ImportFacts) -> Plan:
        """One file, and every check that is not executed as a finding."""
        findings = tuple(
            Finding(
                rule="rule-not-supported",
                subject=f"{self.path}: {one.at}",
                what=f"{one.name} is not executed: {one.why}",
                severity=Severity.WARNING,
            )
            for one in facts.left
        )
        figures = {
            "asked": facts.asked,
            "executed": facts.executed,
            "not_supported": len(facts.left),
            "rules": len(facts.contract.rules),
        }
        return storing.plan(
            self, facts.path, facts.text, facts.before, standing=facts.standing, replace=self.replace,
            summary=f"Import {self.path} ({facts.format}) as {facts.path}: {counted(len(facts.contract.rules), 'rule')}, {counted(len(facts.left), 'check')} that {'is' if len(facts.left) == 1 else 'are'} not executed.",
            why=f"What {self.path} asks is asked on every engine, in the open standard.",
            findings=findings, figures=figures,
        )  # fmt: skip
