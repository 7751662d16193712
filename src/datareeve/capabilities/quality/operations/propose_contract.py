"""`quality.propose-contract`: a contract drafted from what the tables look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.quality import engines, profile
from datareeve.capabilities.quality.contracts import proposing, storing
from datareeve.capabilities.quality.contracts.read import read
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.capabilities.quality.catalog import Catalog

MOST_TABLES = 50


class ProposeFacts(Value):
    """The draft, and what stands in its place."""

    text: str
    path: str
    standing: str | None = None
    before: str | None = None  # digest
    rows: int = 0
    left_out: tuple[str, ...] = ()
    sampled: tuple[str, ...] = ()


class ProposeContract(Operation[ProposeFacts]):
    """Draft a data contract from what the tables look like.

    Looks at tables of a database, a folder of files or Spark: rows, NULLs, distinct values, ranges, lengths, shapes of text, keys of one, two or three columns,
    references between the tables, orders between columns, and personal data by names and by a sample that the adapter looks at. Writes an ODCS file with a rule for each regularity,
    each with its evidence ("336,776 rows, 0 NULL") and bounds with slack, status draft: a person reviews it before it is relied on. Of columns
    that look personal, or that may say who did something, there are counts and lengths only; no value of them is written. Tables above `sample_rows` are looked at by a sample, which is said. Undo gives back the file that stood there.
    """

    name: ClassVar[str] = "quality.propose-contract"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "propose a data contract",
        "draft quality rules from the data",
        "profile a table and suggest checks",
        "which data quality rules should this table have",
        "create data quality checks for our tables",
        "generate a contract from an existing table",
        "implement data quality checks",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql", "mysql", "sqlite", "duckdb", "folder", "spark")

    system: str = Field(description="the name of the database, folder or Spark in the estate")
    tables: tuple[str, ...] = Field((), description=f"which tables; default: all, up to {MOST_TABLES}")
    contract: str | None = Field(
        None, description="the contract's name; default: the one table's, else the system's"
    )
    owner: str = Field("", description="who answers for it")
    sample_rows: int = Field(
        profile.SAMPLED_ABOVE, ge=1000, description="a larger table is looked at by a sample of so many rows"
    )
    replace: bool = Field(
        default=False, description="write it anew where a contract of that name stands already"
    )

    def observe(self, systems: Systems) -> ProposeFacts:
        """The profiles, and the draft that comes of them."""
        reader = systems[self.system]
        catalog = self._catalog(reader)
        told = self._told(systems)
        settings = systems["quality"].read("settings")
        found = profile.profile(
            reader, catalog, engines.dialect_of(reader.kind), told,
            sample_rows=self.sample_rows, timeout_seconds=settings["statement_seconds"],
        )  # fmt: skip
        name = storing.name_of(
            self.contract or (found[0].table.rsplit(".", 1)[-1] if len(found) == 1 else self.system)
        )
        text = proposing.propose(
            name, found, system=self.system, kind=reader.kind, owner=self.owner, now=clock.now()
        )
        path, standing, before = storing.standing(systems, name)
        return ProposeFacts(
            text=text, path=path, standing=standing, before=before, rows=sum(one.rows for one in found),
            left_out=tuple(f"{one.table}.{why}" for one in found for why in one.left_out) + tuple(f"{table.name}: {table.why_not}" for table in catalog.tables.values() if table.why_not),
            sampled=tuple(f"{one.table} ({one.looked_at:,} of {one.rows:,} rows)" for one in found if one.sampled),
        )  # fmt: skip

    def _catalog(self, reader: Any) -> Catalog:
        names = (
            list(self.tables) or [".".join(place[-2:]) for place in engines.tables_of(reader)][:MOST_TABLES]
        )
        catalog = engines.catalog_of(reader, names)
        if catalog.down:
            raise BadInput(
                "contract.no-system",
                f"{self.system} does not answer: {catalog.down}",
                "Try again when it does.",
            )
        missing = [name for name in names if name not in catalog.tables]
        if missing or not names:
            raise BadInput(
                "contract.no-table",
                f"{self.system} has no table {missing[0]}." if missing else f"{self.system} has no tables.",
                "Give tables that are there.",
            )
        return catalog

    def _told(self, systems: Systems) -> dict[str, dict[str, str]]:
        """What the estate says of the columns of these tables: under each name that a table may be asked by."""
        datasets = systems["estate"].read("get", where=["datasets"]) or {}
        own = [one for one in datasets.values() if one.get("system") == self.system]
        told = {one["table"]: dict(one.get("personal") or {}) for one in own}
        return {**{name.rsplit(".", 1)[-1]: columns for name, columns in told.items()}, **told}

    def plan(self, facts: ProposeFacts) -> Plan:
        """One file; nothing where one of that name stands already, unless it is to be replaced."""
        contract = read(facts.text, "draft")
        left = [_finding("not-profiled", one, "It is not in the draft.") for one in facts.left_out]
        sampled = [
            _finding(
                "profiled-by-sample", one, "Its rules rest on a sample; unique keys are not proposed of one."
            )
            for one in facts.sampled
        ]
        return storing.plan(
            self, facts.path, facts.text, facts.before, standing=facts.standing, replace=self.replace,
            summary=f"Draft a contract of {len(contract.rules)} rules for {len(contract.tables)} tables of {self.system}, {facts.rows:,} rows: {facts.path}.",
            why="What the data looks like is written down as rules, with evidence, for a person to review.",
            findings=(*left, *sampled),
            figures={"rules": len(contract.rules), "tables": len(contract.tables), "rows_profiled": facts.rows},
        )  # fmt: skip


def _finding(rule: str, subject: str, what: str) -> Finding:
    return Finding(rule=rule, subject=subject, what=what, severity=Severity.INFO)
