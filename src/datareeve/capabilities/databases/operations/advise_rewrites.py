"""`databases.advise-rewrites`: statements that could be written better, each proved on a copy before it is proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import rewrites, sql, workload
from datareeve.capabilities.databases.rewrites import Comparison, Proposal, Tried
from datareeve.capabilities.databases.rules.queries.rewriting import Catalog, Column, Table
from datareeve.capabilities.databases.workload import Family
from datareeve.core.errors import BadInput, DatareeveError
from datareeve.core.operation import Copy, Operation, Plan, Systems
from datareeve.core.value import Value
from datareeve.systems.workload_source import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.core.operation import Reader


class AdviseRewritesFacts(Value):
    """The statements looked at, what the rules make of them, and what a copy said."""

    families: tuple[Family, ...]
    proposals: tuple[Proposal, ...]
    comparisons: tuple[Comparison | None, ...] | None = None  # one a proposal; None where no copy was had
    where: rewrites.Place = "source"  # they were executed
    why_empty: str = ""


class AdviseRewrites(Operation[AdviseRewritesFacts]):
    """Advise better ways to write the workload's statements, each proved to give the same rows faster.

    Rules rewrite what keeps an index or a join from being used: dates cut out of moments, NOT IN, correlated subqueries, counts for existence,
    needless DISTINCT, UNION and ORDER BY, and more. In rehearsal old and new text run on a disposable copy with recorded values; only what gives
    the same rows, and is faster beyond the noise, is proposed. Nothing is changed: the application's text is its owner's.
    """

    name: ClassVar[str] = "databases.advise-rewrites"
    examples: ClassVar[tuple[str, ...]] = (
        "rewrite slow SQL statements",
        "how could this statement be written better",
        "advise rewrites of our SQL and prove them equal",
        "turn NOT IN and correlated subqueries into joins",
        "find non-sargable predicates",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    sql: str | None = Field(None, description="one statement; default: the recorded workload")
    fingerprint: str | None = Field(
        None, description="a family of the workload, as databases.find-slow-queries lists them"
    )
    on_source: bool = Field(
        default=False,
        description="compare on the database itself, READ ONLY and with the timeout, where no copy is made",
    )
    top: int = Field(50, ge=1, le=500, description="how many families are looked at, the most costly first")
    rounds: int = Field(3, ge=3, le=21, description="how often old and new text are run in turn")
    statement_seconds: float = Field(
        30.0, gt=0, description="a statement that takes longer on the copy is given up"
    )

    def observe(self, systems: Systems) -> AdviseRewritesFacts:
        """The statements and what the catalog says of their tables. Errors: `BadInput` `rewrite.which`."""
        reader = systems[self.system]
        why_empty, families = self._families(reader)
        catalog = _catalog(reader, families)
        constants = reader.read("constants", fingerprints=[family.fingerprint for family in families])
        found = [
            one
            for family in families
            for one in rewrites.proposals(family, catalog.with_constants(constants[family.fingerprint]))
        ]
        compared = tuple(self._compared(reader, one) for one in found) if self.on_source else None
        return AdviseRewritesFacts(
            families=families, proposals=tuple(found), comparisons=compared, why_empty=why_empty
        )

    def learns_on_a_copy(self) -> bool:
        """Unless it compares on the database itself."""
        return not self.on_source

    def inputs(self) -> dict[str, Any]:
        """The inputs, the statement without its values: those stay in the process that they were given to."""
        return {**super().inputs(), "sql": None if self.sql is None else shape_of(self.sql).text}

    def _families(self, reader: Reader) -> tuple[str, tuple[Family, ...]]:
        if self.sql is not None and self.fingerprint is not None:
            raise BadInput(
                "rewrite.which",
                "Give a statement or a fingerprint, not both.",
                "--sql 'SELECT ...' or --fingerprint 0123456789ab",
            )
        if self.sql is not None:
            return "", (_given(reader.read("statement", sql=self.sql)),)
        known = workload.read(reader)
        if self.fingerprint is None:
            return known.source.why_empty, tuple(f for f in known.families if f.parsed and not f.is_write)[
                : self.top
            ]
        one = next((f for f in known.families if f.fingerprint == self.fingerprint), None)
        if one is None:
            raise BadInput(
                "workload.unknown-family",
                f"The workload has no family {self.fingerprint!r}.",
                "`databases.find-slow-queries` lists them.",
            )
        return "", (one,)

    def rehearse(self, facts: AdviseRewritesFacts, copy: Copy) -> AdviseRewritesFacts:
        """Execute each proposal beside the statement as it is, with the same recorded values."""
        kind = rewrites.kind_of(copy)
        if self.on_source or kind == "twin":
            return facts
        compared = tuple(self._compared(copy, one) for one in facts.proposals)
        return facts.model_copy(update={"comparisons": compared, "where": kind})

    def _compared(self, copy: Reader, one: Proposal) -> Comparison | None:
        try:
            found = copy.read(
                "compare_statements",
                fingerprint=one.fingerprint,
                sql=one.sql,
                rounds=self.rounds,
                statement_seconds=self.statement_seconds,
            )
        except DatareeveError:
            return None  # told as not tried
        return Comparison.model_validate(found)

    def plan(self, facts: AdviseRewritesFacts) -> Plan:
        """What is proposed, and what was tried in vain; nothing is changed."""
        if facts.why_empty:
            return Plan(
                operation=self.name,
                inputs=self.inputs(),
                summary="There is no workload to look at.",
                blockers=(f"{facts.why_empty}.",),
            )
        by_print = {family.fingerprint: family for family in facts.families}
        compared = facts.comparisons or (None,) * len(facts.proposals)
        tried = [
            Tried(
                proposal=one,
                comparison=found,
                where=facts.where,
                is_ordered=rewrites.is_ordered(by_print[one.fingerprint].sql),
            )
            for one, found in zip(facts.proposals, compared, strict=True)
        ]
        summary = _summary(facts, tried)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do="" if facts.proposals and facts.comparisons is None else summary,
            findings=tuple(rewrites.finding(by_print[one.proposal.fingerprint], one) for one in tried),
            figures={"statements": len(facts.families), **_counted(tried)},
        )


def _catalog(reader: Reader, families: Iterable[Family]) -> Catalog:
    """What the rules may rest on. A table that is on the search path stands before others of its name."""
    names = sorted({name for family in families for name in family.tables})
    rows = reader.read("query", sql=sql.load("rewrite_tables"), parameters={"names": names}) if names else []
    volatile = reader.read("query", sql=sql.load("rewrite_volatile"), shape="column")
    return Catalog(tables={row["name"]: _table(row) for row in rows}, volatile=frozenset(volatile))


def _table(row: dict[str, Any]) -> Table:
    columns = {c["name"]: Column(type=c["type"], not_null=c["not_null"]) for c in row["columns"] or ()}
    return Table(
        schema_name=row["schema_name"],
        name=row["name"],
        columns=columns,
        keys=tuple(tuple(key) for key in row["keys"]),
        rows=row["rows"],
    )


def _given(shape: dict[str, Any]) -> Family:
    """A statement that was given, as a family of one call."""
    unknown = dict.fromkeys(("total_ms", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "rows"))
    return Family(
        fingerprint=shape["fingerprint"], sql=shape["sql"], calls=1, is_write=shape["kind"] == "write", parsed=shape["parsed"],
        tables=shape_of(shape["sql"]).tables, leading_wildcard=False, examples=1, example_ref=shape["fingerprint"], **unknown,
    )  # fmt: skip


def _summary(facts: AdviseRewritesFacts, tried: list[Tried]) -> str:
    looked = f"{len(facts.families)} {'statement' if len(facts.families) == 1 else 'statements'}"
    if not tried:
        return f"No rule has a better writing for {looked}."
    good = [one for one in tried if one.verdict == "proposed"]
    if facts.comparisons is None:
        return f"{_writings(len(tried))} known of {looked}; running both must tell whether they are the same and faster: in a rehearsal, or with on_source."
    if not good:
        return (
            f"Of {looked} {_writings(len(tried))} known, and none of those tried is both the same and faster."
        )
    saved = sum(one.comparison.ms[0] - one.comparison.ms[1] for one in good if one.comparison)
    return f"{len(good)} of {len(tried)} other writings of {looked} give the same rows faster: {saved:,.0f} ms less over the executions tried."


def _writings(count: int) -> str:
    return "1 other writing is" if count == 1 else f"{count} other writings are"


def _counted(tried: list[Tried]) -> dict[str, Any]:
    verdicts = [one.verdict for one in tried]
    return {
        "tried": sum(v != "not tried" for v in verdicts),
        "proposed": verdicts.count("proposed"),
        "by_statement": [
            {"fingerprint": t.proposal.fingerprint, "rule": t.proposal.rule, "verdict": t.verdict}
            for t in tried
        ],
    }
