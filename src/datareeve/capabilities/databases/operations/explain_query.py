"""`databases.explain-query`: how a statement is answered, as a tree with its worst nodes marked, in the terminal or as a page."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import explain, rewrites
from datareeve.capabilities.databases.engines.explained import explain_plan, shown
from datareeve.capabilities.databases.rules import plans
from datareeve.core.errors import BadInput
from datareeve.core.operation import (
    Call,
    Claim,
    Copy,
    Effect,
    Finding,
    Operation,
    Plan,
    Reader,
    Severity,
    Step,
    Systems,
)
from datareeve.core.value import Value
from datareeve.systems.workload_source import shape_of

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Explained


class ExplainQueryFacts(Value):
    """The plan as EXPLAIN (FORMAT JSON) gives it, with `?` in place of constants, and the page that stands there already."""

    fingerprint: str
    sql: str
    answer: dict[str, Any]
    kind: str = "postgresql"  # of the system
    where: str = ""  # where it was run; empty: nowhere
    before: str | None = None  # digest of the file where the page goes


class ExplainQuery(Operation[ExplainQueryFacts]):
    """Explain how a query is answered: its plan as a tree, with the worst nodes marked and what to do about them.

    Takes a statement or the fingerprint of a family of the workload. It is planned, not run, unless `analyze` is given: then it is run on the
    disposable copy of a rehearsal, or, with `on_source`, on the database itself in a READ ONLY transaction with a timeout. Constants are shown
    as `?`. With `html` the plan is also written as one page that needs no network; that file is the only effect, and undo takes it back.
    """

    name: ClassVar[str] = "databases.explain-query"
    examples: ClassVar[tuple[str, ...]] = (
        "explain this query",
        "EXPLAIN ANALYZE SELECT * FROM table",
        "show the query plan",
        "why is this query slow",
        "does this query use an index",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql", "mysql", "sqlite", "duckdb")

    system: str = Field(description="the database's name in the estate")
    sql: str | None = Field(
        None, description="one statement; parameters may be left open as $1 (PostgreSQL 16 and newer)"
    )
    fingerprint: str | None = Field(
        None, description="a family of the workload, as databases.find-slow-queries lists them"
    )
    analyze: bool = Field(
        default=False, description="run it, for real times and rows: on the copy of a rehearsal"
    )
    on_source: bool = Field(
        default=False,
        description="with analyze: run it on the database itself, READ ONLY, at most timeout_seconds",
    )
    timeout_seconds: float = Field(
        30.0, gt=0, le=3600, description="with analyze: it is given up after so long"
    )
    html: str | None = Field(
        None, description="write the plan as a page too, to this file below the project, as data/plan.html"
    )

    def observe(self, systems: Systems) -> ExplainQueryFacts:
        """The plan. Errors: `BadInput` `explain.which` where neither or both are given."""
        if (self.sql is None) == (self.fingerprint is None):
            raise BadInput(
                "explain.which",
                "Give either a statement or a fingerprint.",
                "--sql 'SELECT ...' or --fingerprint 0123456789ab",
            )
        reader = systems[self.system]
        if reader.kind != "postgresql":
            return self._elsewhere(reader)
        here = self.analyze and self.on_source
        asked = {"sql": self.sql, "fingerprint": self.fingerprint}
        answer = (
            reader.read("executed_plan", **asked, statement_seconds=self.timeout_seconds)
            if here
            else reader.read("plan_of", **asked)
        )
        if self.analyze and not here and self.sql is not None:
            reader.read("statement", sql=self.sql)  # its values stay in this process, for the rehearsal
        return ExplainQueryFacts(
            fingerprint=self._fingerprint(),
            sql=self._text(reader.read("workload") if self.fingerprint else {}),
            answer=answer,
            where=self.system if here else "",
            before=systems["files"].read("digest", path=self.html) if self.html else None,
        )

    def _elsewhere(self, reader: Reader) -> ExplainQueryFacts:
        """The plan of another engine. Errors: `BadInput` `engine.cannot` where it is to be run, or made a page of."""
        if self.analyze or self.html:
            raise BadInput(
                "engine.cannot",
                f"databases.explain-query with analyze or html works on postgresql; {self.system} is {reader.kind}.",
                "Leave them out: the plan is then shown as a tree.",
            )
        answer = reader.read("plan_of", sql=self.sql, fingerprint=self.fingerprint)
        return ExplainQueryFacts(fingerprint=self.fingerprint or "", sql="", answer=answer, kind=reader.kind)

    def rehearse(self, facts: ExplainQueryFacts, copy: Copy) -> ExplainQueryFacts:
        """Run it on the copy, where running was asked for."""
        if not self.learns_on_a_copy() or rewrites.kind_of(copy) == "twin":
            return facts
        answer = copy.read(
            "executed_plan", fingerprint=facts.fingerprint, statement_seconds=self.timeout_seconds
        )
        return facts.model_copy(
            update={"answer": answer, "where": f"{rewrites.PLACES[rewrites.kind_of(copy)]} of {self.system}"}
        )

    def learns_on_a_copy(self) -> bool:
        """Only where it is to be run, and not on the database itself."""
        return self.analyze and not self.on_source

    def inputs(self) -> dict[str, Any]:
        """The inputs, the statement without its values: they are nobody's business afterwards."""
        return {**super().inputs(), "sql": None if self.sql is None else shape_of(self.sql).text}

    def _fingerprint(self) -> str:
        return self.fingerprint or shape_of(self.sql or "").fingerprint

    def _text(self, recorded: dict[str, Any]) -> str:
        if self.sql is not None:
            return shape_of(self.sql).sql
        return next((str(f["sql"]) for f in recorded["families"] if f["fingerprint"] == self.fingerprint), "")

    def plan(self, facts: ExplainQueryFacts) -> Plan:
        """The tree and what stands out in it; with `html`, one step that writes the page."""
        if facts.kind != "postgresql":
            inputs = {**super().inputs(), "sql": shown(self.sql, facts.kind)}
            return explain_plan(self.name, inputs, facts.kind, facts.answer)
        plan = explain.read_plan(facts.answer)
        summary = _summary(plan, facts.where)
        page = self._page(plan, facts) if self.html else ""
        current = not page or facts.before == hashlib.sha256(page.encode()).hexdigest()
        untried = self.analyze and not facts.where
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do="" if not current or untried else summary,
            steps=() if current else (self._step(page, facts.before),),
            findings=(*((NOT_RUN,) if untried else ()), *plans.findings(plan)),
            figures=_figures(plan),
        )

    def _page(self, plan: Explained, facts: ExplainQueryFacts) -> str:
        kind = f"run on {facts.where}" if facts.where else "planned, not run"
        source = f"{self.system} · family {facts.fingerprint} · {kind}"
        return explain.as_page(
            plan, title=f"Plan of a query on {self.system}", statement=facts.sql, source=source
        )

    def _step(self, page: str, before: str | None) -> Step:
        path = self.html or ""
        digest = hashlib.sha256(page.encode()).hexdigest()
        there = Call(system="files", action="digest", arguments={"path": path})
        return Step(
            id=f"write {path}",
            call=Call(system="files", action="write", arguments={"path": path, "text": page}),
            why="The plan can be read, kept and passed on as one page.",
            effect=Effect.REVERSIBLE,
            probe=Claim(text=f"{path} is this plan's page", call=there, expected=digest),
            undo=(Call(system="files", action="restore", arguments={"path": path, "digest": before}),),
            touches=(f"files:{path}",),
            paths=(path,),
        )


NOT_RUN = Finding(
    rule="not-run",
    subject="this plan",
    what="Running was asked for, but there was no copy to run it on: rows and costs are the planner's estimates.",
    instead="With on_source it is run on the database itself, in a READ ONLY transaction with the timeout.",
    severity=Severity.INFO,
)


def _summary(plan: Explained, where: str) -> str:
    root = plan.root
    if not plan.executed:
        return f"{root.kind}, estimated cost {root.cost:,.0f} for {root.rows:,.0f} rows."
    worst = plan.worst[0] if plan.worst else root
    took = explain.milliseconds(plan.execution_ms or root.ms or 0.0)
    return f"{took} on {where} for {root.actual_rows or 0:,.0f} rows; {worst.title} takes {worst.share:.0%} of it."


def _figures(plan: Explained) -> dict[str, Any]:
    known = {"tree": explain.as_text(plan), "cost": plan.root.cost, "rows": plan.root.rows}
    if not plan.executed:
        return known
    run = {
        "execution_ms": plan.execution_ms,
        "planning_ms": plan.planning_ms,
        "actual_rows": plan.root.actual_rows,
    }
    worst = [
        {"node": node.title, "self_ms": round(node.own_ms or 0.0, 3), "share": round(node.share, 3)}
        for node in plan.worst
    ]
    return {**known, **run, "worst": worst}
