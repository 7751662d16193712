"""`quality.propose-contract`: a contract drafted from what the tables look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.quality import engines, profile
from datareeve.capabilities.quality.contracts import proposing, servers, storing
from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.counting import counted
from datareeve.capabilities.quality.engines.places import DEFAULTS, choose, goes_by
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.personal_data.declared import told_columns
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.capabilities.quality.catalog import Catalog, CatalogTable

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
    references between the tables, orders between columns, sums and products, what one value decides of another (a city has one country), totals that are the sums
    of their lines, series without gaps, rows that are alike but for their key, text without damage, and personal data by names and by a sample that the adapter looks at. Writes an ODCS file with a rule for each regularity,
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
        told = self._told(systems, catalog)
        settings = systems["quality"].read("settings")
        found = profile.profile(
            reader, catalog, engines.dialect_of(reader.kind), told,
            sample_rows=self.sample_rows, timeout_seconds=settings["statement_seconds"],
        )  # fmt: skip
        name = storing.name_of(self.contract or (found[0].name if len(found) == 1 else self.system))
        server = servers.of_system(systems, self.system, catalog.tables)
        text = proposing.propose(
            name, found, system=self.system, server=server, owner=self.owner, now=clock.now()
        )
        path, standing, before = storing.standing(systems, name)
        return ProposeFacts(
            text=text, path=path, standing=standing, before=before, rows=sum(one.rows for one in found),
            left_out=tuple(f"{one.table}.{why}" for one in found for why in one.left_out) + tuple(f"{table.name}: {table.why_not}" for table in catalog.tables.values() if table.why_not),
            sampled=tuple(f"{one.table} ({one.looked_at:,} of {one.rows:,} rows)" for one in found if one.sampled),
        )  # fmt: skip

    def _catalog(self, reader: Any) -> Catalog:
        names = list(self.tables) or [".".join(map(_quoted, place)) for place in engines.tables_of(reader)][:MOST_TABLES]  # fmt: skip
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
        return catalog.model_copy(update={"tables": _portable(reader, catalog)})

    def _told(self, systems: Systems, catalog: Catalog) -> dict[str, dict[str, str]]:
        """What the estate says of the columns of these tables, whichever of its names it calls each by."""
        told = told_columns(systems["estate"].read("get", where=["datasets"]) or {}, self.system)
        found: dict[str, dict[str, str]] = {name: {} for name in catalog.tables}
        for name, table in catalog.tables.items():
            for dataset, columns in told.items():
                found[name] |= columns if goes_by(dataset, table) else {}
        return found

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
            summary=f"Draft a contract of {counted(len(contract.rules), 'rule')} for {counted(len(contract.tables), 'table')} of {self.system}, {counted(facts.rows, 'row')}: {facts.path}.",
            why="What the data looks like is written down as rules, with evidence, for a person to review.",
            findings=(*left, *sampled),
            figures={"rules": len(contract.rules), "tables": len(contract.tables), "rows_profiled": facts.rows},
        )  # fmt: skip


def _quoted(part: str) -> str:
    return part if "." not in part else '"' + part.replace('"', '""') + '"'


def _portable(reader: Any, catalog: Catalog) -> dict[str, CatalogTable]:
    """The tables by the names that a draft calls them: without the schema that each engine names otherwise, where one alone has the name."""
    listed = engines.tables_of(reader)
    found = {}
    for name, table in catalog.tables.items():
        of_itself = table.place[0] in DEFAULTS or reader.kind == "mysql" or len(table.place) == 1
        alone = choose([table.place[-1]], listed).get(table.place[-1]) == table.place
        found[table.place[-1] if of_itself and alone else name] = table
    return found


def _finding(rule: str, subject: str, what: str) -> Finding:
    return Finding(rule=rule, subject=subject, what=what, severity=Severity.INFO)
