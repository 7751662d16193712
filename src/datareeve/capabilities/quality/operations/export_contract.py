"""`quality.export-contract`: a contract in another tool's format."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from datareeve.capabilities.quality import contract_files
from datareeve.capabilities.quality.contracts import formats, storing
from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.counting import counted
from datareeve.core.errors import BadInput
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value
from datareeve.systems.contract_tool import PER_TABLE

if TYPE_CHECKING:
    from datareeve.capabilities.quality.rule import Contract, Rule

ENDINGS = {
    "avro": "avsc",
    "jsonschema": "json",
    "markdown": "md",
    "protobuf": "proto",
    "avro-idl": "avdl",
    "pydantic-model": "py",
    "spark": "py",
    "sqlalchemy": "py",
    "iceberg": "json",
    "bigquery": "json",
}


class ExportFacts(Value):
    """The text, what it cannot hold, and what stands in its place."""

    text: str
    rules: int
    left: tuple[tuple[str, str], ...]  # (rule, why)
    path: str
    standing: str | None = None
    before: str | None = None


class ExportContract(Operation[ExportFacts]):
    """Export a data contract to another tool's format.

    Writes Great Expectations suites, SodaCL and dbt tests by itself, and through datacontract-cli Avro, JSON Schema, HTML, Markdown, SQL DDL, Protobuf and more.
    What a format cannot hold is named, rule by rule, and never weakened to fit. Undo gives back the file that stood there.
    """

    name: ClassVar[str] = "quality.export-contract"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "export the contract as dbt tests",
        "write the contract as a Great Expectations suite",
        "give the contract as SodaCL",
        "export the data contract to JSON Schema",
        "make an HTML page of the data contract",
        "generate DDL from the data contract",
    )

    contract: str = Field(description="the contract's name (contracts/NAME.yaml) or its path")
    format: str = Field(
        description="dbt, great-expectations, sodacl, or one of datacontract-cli's: avro, jsonschema, html, markdown, sql, protobuf ..."
    )
    table: str | None = Field(
        None, description="which table, for formats that hold one; default: the only one"
    )
    path: str | None = Field(None, description="the file; default: contracts/exports/NAME.FORMAT.ENDING")
    replace: bool = Field(default=False, description="write it anew where another file stands there")

    def observe(self, systems: Systems) -> ExportFacts:
        """The contract in that format."""
        source = contract_files.path_of(systems, self.contract)
        text = systems["files"].read("text", path=source) or ""
        name = source.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        contract = read(text, name)
        made, left, ending = self._made(systems, text, contract)
        path = self.path or f"{storing.FOLDER}/exports/{name}.{self.format}.{ending}"
        files = systems["files"]
        told = [(rule.id, why) for rule, why in left] + [
            (one.name, "It is not executed here either, and left out.")
            for one in contract.unsupported
            if self.format in formats.WRITERS
        ]
        return ExportFacts(
            text=made, rules=len(contract.rules), left=tuple(told), path=path,
            standing=files.read("text", path=path), before=files.read("digest", path=path),
        )  # fmt: skip

    def _made(
        self, systems: Systems, text: str, contract: Contract
    ) -> tuple[str, list[tuple[Rule, str]], str]:
        """(the text, the rules that it does not hold with why, the file's ending)."""
        known = formats.WRITERS.get(self.format)
        if known is None:
            table = self._table(contract) if self.format in PER_TABLE else self.table
            made = systems["contract-tool"].read("exported", text=text, format=self.format, table=table)
            return (
                made,
                list(formats.not_held(contract.rules, self.format)),
                ENDINGS.get(self.format, self.format),
            )
        ending, writer = known
        table = self._table(contract)
        held = writer(contract.of_table(table), table)
        return held.text, list(held.left), ending

    def _table(self, contract: Contract) -> str:
        names = [table.name for table in contract.tables]
        if self.table in names:
            return str(self.table)
        if self.table is None and len(names) == 1:
            return names[0]
        what = f"has no table {self.table!r}" if self.table else f"has {counted(len(names), 'table')}"
        raise BadInput(
            "contract.no-table",
            f"The contract {contract.name} {what}.",
            f"Give one: --table, of {', '.join(names)}.",
        )

    def plan(self, facts: ExportFacts) -> Plan:
        """One file, and every rule that it does not hold as a finding."""
        findings = tuple(
            Finding(
                rule="rule-not-held",
                subject=f"{self.contract}: {rule}",
                what=f"It is not in {facts.path}: {why}",
                severity=Severity.WARNING,
            )
            for rule, why in facts.left
        )
        return storing.plan(
            self, facts.path, facts.text, facts.before, standing=facts.standing, replace=self.replace,
            summary=f"Export {self.contract} as {self.format} to {facts.path}; {counted(len(facts.left), 'rule')} {'is' if len(facts.left) == 1 else 'are'} not held by it.",
            why=f"Whoever works with {self.format} has the contract's rules.",
            findings=findings, figures={"rules": facts.rules, "not_held": len(facts.left)},
        )  # fmt: skip
