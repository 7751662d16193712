"""`quality.classify-data`: which columns of a system hold personal data, and writing it into the estate."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.quality import engines
from datareeve.capabilities.quality.catalog import CatalogTable  # noqa: TC001 - in a signature that pydantic reads
from datareeve.capabilities.quality.classify import sampling
from datareeve.capabilities.quality.classify.categories import CATEGORIES, NOT_PERSONAL
from datareeve.capabilities.quality.classify.column import Classified  # noqa: TC001 - as above
from datareeve.capabilities.quality.classify.deciding import decide
from datareeve.capabilities.quality.engines.places import goes_by
from datareeve.core.errors import BadInput, Unreachable
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Step, Systems
from datareeve.core.value import Value

MOST_TABLES = 2_000
AT_ONCE = 50  # tables that are asked about in one read
MOST_FINDINGS = 2_000
LOOK_ALIKES = (
    "card",
    "iban",
    "email",
    "ssn",
    "phone",
    "full-name",
    "ip",
    "date",
)  # signs that make a person ask why not


class Scanned(Value):
    """A table and what its columns are taken for."""

    table: str  # as the engine names it
    columns: tuple[Classified, ...] = ()
    rows: int = 0  # that were looked at
    why_not: str = ""  # why its values could not be looked at; its names were


class ClassifyFacts(Value):
    """What was found, and what the estate says already."""

    scanned: tuple[Scanned, ...] = ()
    datasets: dict[str, dict[str, Any]] = Field(default_factory=dict)  # of this system, by name
    taken: tuple[str, ...] = ()  # names of datasets of other systems
    left_out: int = 0  # tables beyond the bound
    down: str = ""


class ClassifyData(Operation[ClassifyFacts]):
    """Find the columns that hold personal data, and write them into the estate.

    Looks at names, types and neighbours, and at a bounded sample of values of every table (400 rows from across it, read-only), which never leaves the
    adapter that read it: only counts do. JSON is looked at path by path, free text for addresses, numbers and names within. Each finding names the
    category, how sure it is and why; look-alikes (order numbers, UUIDs, times as seconds, ISBNs, versions) are kept out. With `write` the columns are put
    under `datasets` in estate.yaml, where masking, checks, erasure and the register take them from: a change that is approved, and that undo takes
    back. What a person has written there stays, `no` above all.
    """

    name: ClassVar[str] = "quality.classify-data"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "find personal data in the database",
        "which columns hold PII",
        "scan for GDPR relevant data",
        "classify columns by sensitivity",
        "where do we store e-mail addresses and card numbers",
        "where is personal data stored",
        "find sensitive columns and mark them",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql", "mysql", "sqlite", "duckdb", "folder", "spark")

    system: str = Field(min_length=1, description="the database or folder, by its name in the estate")
    tables: tuple[str, ...] = Field((), description="only these; default: all")
    write: bool = Field(default=True, description="plan to write what is found into estate.yaml")
    least_confidence: float = Field(0.5, ge=0, le=1, description="what is less sure is told, and not written")
    values: bool = Field(
        default=True, description="look at a sample of values; else at names and types alone"
    )

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> ClassifyFacts:
        """Catalog, samples and what the estate says. Errors: `BadInput` `engine.no-tables`, `classify.no-table`."""
        reader = systems[self.system]
        try:
            names = list(self.tables) or [
                ".".join(_quoted(part) for part in place) for place in engines.tables_of(reader)
            ]
        except Unreachable as error:
            return ClassifyFacts(down=f"{error.code}: {error.what}")
        catalog = engines.catalog_of(reader, names[:MOST_TABLES])
        for name in self.tables:
            if name not in catalog.tables and not catalog.down:
                raise BadInput("classify.no-table", f"{self.system} has no table {name!r}.", "Name one that it has, with its schema.")  # fmt: skip
        tables = sorted(
            {table.name: table for table in catalog.tables.values()}.values(), key=lambda t: t.name
        )
        scanned: list[Scanned] = []
        for start in range(0, len(tables), AT_ONCE):
            scanned += self._scanned(systems, tables[start : start + AT_ONCE])
        datasets = systems["estate"].read("get", where=["datasets"]) or {}
        return ClassifyFacts(
            scanned=tuple(scanned),
            datasets={
                name: _as_called(one, tables)
                for name, one in datasets.items()
                if one.get("system") == self.system
            },
            taken=tuple(sorted(name for name, one in datasets.items() if one.get("system") != self.system)),
            left_out=max(0, len(names) - MOST_TABLES),
            down=catalog.down,
        )

    def _scanned(self, systems: Systems, tables: list[CatalogTable]) -> list[Scanned]:
        dialect = engines.dialect_of(systems[self.system].kind)
        asked = {table.name: sampling.statements(table, dialect) if self.values else [] for table in tables}
        answers = self._asked(systems, {name: some[0] for name, some in asked.items() if some})
        again = {
            name: asked[name][1] for name, one in answers.items() if "error" in one and len(asked[name]) > 1
        }
        answers |= self._asked(systems, again)
        return [_judged(table, answers.get(table.name), looked=self.values) for table in tables]

    def _asked(self, systems: Systems, statements: dict[str, str]) -> dict[str, Any]:
        if not statements:
            return {}
        asked = [{"id": name, "sql": sql, "look": True} for name, sql in statements.items()]
        answer = systems[self.system].read("measure", statements=asked)
        found: dict[str, Any] = answer["statements"]
        return found

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: ClassifyFacts) -> Plan:
        """Findings, and one step for each table whose columns are to be written."""
        if facts.down:
            return Plan(operation=self.name, inputs=self.inputs(), summary=f"{self.system} could not be looked at.", blockers=(facts.down,))  # fmt: skip
        steps = tuple(self._steps(facts)) if self.write else ()
        found = [one for table in facts.scanned for one in table.columns if one.category]
        looked = sum(len(table.columns) for table in facts.scanned)
        summary = f"{len(found)} of {looked} columns of {self.system} hold personal data, in {sum(any(c.category for c in t.columns) for t in facts.scanned)} of {len(facts.scanned)} tables."
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do="" if steps else "Looking changes nothing." if not self.write else "The estate says all of it already.",
            steps=steps,
            checks=tuple(step.probe for step in steps),
            findings=tuple(self._findings(facts))[:MOST_FINDINGS],
            figures={
                "tables": len(facts.scanned),
                "columns": looked,
                "personal_columns": len(found),
                "sensitive_columns": sum(CATEGORIES[c.category].sensitivity != "personal" for c in found if c.category),
                "special_category_columns": sum(CATEGORIES[c.category].gdpr_special for c in found if c.category),
                "rows_looked_at": sum(table.rows for table in facts.scanned),
            },
        )  # fmt: skip

    def _steps(self, facts: ClassifyFacts) -> list[Step]:
        names = set(facts.datasets) | set(facts.taken)
        steps = []
        for table in facts.scanned:
            standing = _standing(facts.datasets, table.table)
            known = {column for _, one in standing for column in one.get("personal") or {}}
            new = {c.column: c.category for c in table.columns if c.category and c.column not in known and c.confidence >= self.least_confidence}  # fmt: skip
            if new:
                name = standing[0][0] if standing else _free(table.table, self.system, names)
                names.add(name)
                steps.append(self._step(name, table.table, new, exists=bool(standing)))
        return steps

    def _step(self, dataset: str, table: str, new: dict[str, str], *, exists: bool) -> Step:
        value: dict[str, Any] = (
            {"personal": new} if exists else {"system": self.system, "table": table, "personal": new}
        )
        arguments = {"where": ["datasets", dataset], "value": value, "depth": 2}
        holds = Call(system="estate", action="holds", arguments=arguments)
        return Step(
            id=f"declare {dataset}",
            call=Call(system="estate", action="add", arguments=arguments),
            why=f"Masking, checks, erasure and the register know the {_many(len(new), 'personal column')} of {table} from here.",
            effect=Effect.REVERSIBLE,
            probe=Claim(text=f"datasets.{dataset}.personal names {', '.join(sorted(new))}", call=holds),
            undo=(Call(system="estate", action="take_out", arguments=arguments),),
            touches=(f"estate:datasets.{dataset}",),
            paths=("estate.yaml",),
            needs_person=True,
        )

    def _findings(self, facts: ClassifyFacts) -> list[Finding]:
        found = []
        for table in facts.scanned:
            said = {column: str(category) for _, one in _standing(facts.datasets, table.table) for column, category in (one.get("personal") or {}).items()}  # fmt: skip
            if table.why_not:
                found.append(Finding(rule="not-looked-at", subject=table.table, what=f"No value was looked at: {table.why_not}. Columns are judged by their names.",
                                     instead="Give the reading role SELECT on it, and classify again."))  # fmt: skip
            for column in table.columns:
                found += _finding(table.table, column, said.get(column.column))
        if facts.left_out:
            found.append(Finding(rule="not-looked-at", subject=self.system, what=f"{facts.left_out:,} tables beyond the first {MOST_TABLES:,} were left out.", instead="Name them with tables."))  # fmt: skip
        return sorted(found, key=lambda one: one.severity == Severity.INFO)


def _as_called(dataset: dict[str, Any], tables: list[CatalogTable]) -> dict[str, Any]:
    """A dataset under the name that its table has here, where the owner wrote another one of it: `clicks.parquet`, that is `clicks`."""
    found = [table.name for table in tables if table.also and goes_by(str(dataset.get("table")), table)]
    return {**dataset, "table": found[0]} if found else dataset


def _judged(table: CatalogTable, answer: dict[str, Any] | None, *, looked: bool) -> Scanned:
    failed = (answer or {}).get("error") or {}
    rows = (answer or {}).get("rows") or []
    why = table.why_not or failed.get("what", "")
    if looked and not why and (closed := [column.name for column in table.columns if not column.readable]):
        why = f"this role may not read {', '.join(closed[:5])}"
    columns = decide(sampling.evidence(table, rows)) if table.columns else []
    return Scanned(table=table.name, columns=tuple(columns), rows=max((one["rows"] for one in rows), default=0), why_not=why)  # fmt: skip


def _finding(table: str, column: Classified, said: str | None) -> list[Finding]:
    subject = f"{table} ({column.column})"
    if said is not None and (said in (NOT_PERSONAL, "False") or column.category in (said, None)):
        return []  # a person has decided, or it stands there already
    if column.category is None:
        return [Finding(rule="looks-personal", subject=subject, what=column.evidence, severity=Severity.INFO)] if column.evidence.startswith("not taken") and column.looked_at and column.confidence < 0.9 else []  # fmt: skip # noqa: PLR2004
    category = CATEGORIES[column.category]
    law = (
        "a special category (GDPR art. 9); "
        if category.gdpr_special
        else "GDPR art. 10; "
        if category.gdpr_criminal
        else ""
    )
    paths = (
        f" At {', '.join(f'{path} ({kind})' for path, kind in sorted(column.paths.items())[:10])}."
        if column.paths
        else ""
    )
    differs = f" The estate says {said}, which stays." if said else ""
    return [
        Finding(
            rule="personal-data",
            subject=subject,
            what=f"It holds {category.words}: {law}{column.evidence}.{paths}{differs}",
            why=f"{category.name}, {column.confidence:.0%} sure.",
            severity=Severity.INFO if category.sensitivity == "personal" else Severity.WARNING,
            figures={"confidence": column.confidence, "values_looked_at": column.looked_at},
        )
    ]


def _standing(datasets: dict[str, dict[str, Any]], table: str) -> list[tuple[str, dict[str, Any]]]:
    """The datasets that are this table, as an owner may have written it: with or without its schema."""
    bare = table.rpartition(".")[2]
    whole = [(name, one) for name, one in datasets.items() if one.get("table") == table]
    return whole or [(name, one) for name, one in datasets.items() if one.get("table") == bare]


def _free(table: str, system: str, names: set[str]) -> str:
    """A name for a new dataset: the table's, with its system's in front where that is taken."""
    bare = (
        re.sub(r"[^\w.-]+", "-", table.removeprefix("public.").removeprefix("main.")).strip("-.") or "table"
    )
    for name in (bare, f"{system}-{bare}"):
        if name not in names:
            return name
    return next(
        f"{system}-{bare}-{n}" for n in range(2, len(names) + 3) if f"{system}-{bare}-{n}" not in names
    )


def _quoted(part: str) -> str:
    return part if re.fullmatch(r"\w+", part) else '"' + part.replace('"', '""') + '"'


def _many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
