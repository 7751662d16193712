"""`databases.tune-autovacuum`: when autovacuum comes to a table, and how fast it works there, by the table's size and churn."""

from __future__ import annotations

import json
from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases import autovacuum, maintenance, sql
from datareeve.capabilities.databases.autovacuum import Churn, Server, Setting  # noqa: TC001 - pydantic reads them
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
from datareeve.core.value import Value


class TuneAutovacuumFacts(Value):
    """The tables with what is written in them, and the server's own settings."""

    tables: tuple[Churn, ...]
    server: Server
    standby: str = ""


class TuneAutovacuum(Operation[TuneAutovacuumFacts]):
    """Tune autovacuum table by table, from size and churn.

    Large tables wait too long for a vacuum at the server's defaults. Sets thresholds, insert thresholds, analyze thresholds, cost limit,
    freezing of append-only tables and fillfactor as storage parameters of the tables that need them, each with the arithmetic that gives
    it. Undo sets or resets each to exactly what it was.
    """

    name: ClassVar[str] = "databases.tune-autovacuum"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "tune autovacuum for large tables",
        "set autovacuum storage parameters per table",
        "autovacuum comes too late on our biggest tables",
        "lower autovacuum_vacuum_scale_factor",
        "autovacuum cannot keep up with updates",
        "set fillfactor for HOT updates",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    table: str | None = Field(None, description="table name, without schema; default: all that need it")
    schema_name: str | None = Field(None, description="schema; default: public for a named table, else all")
    tables: int = Field(20, ge=1, le=500, description="at most so many tables, the largest first")

    def observe(self, systems: Systems) -> TuneAutovacuumFacts:
        """What is written where, since when."""
        reader = systems[self.system]
        schema = self.schema_name or ("public" if self.table else None)
        where = {"schemas": [schema] if schema else [], "table": self.table}
        return TuneAutovacuumFacts(
            tables=reader.read("query", sql=sql.load("maintenance_churn"), parameters=where),
            server=reader.read("query", sql=sql.load("maintenance_autovacuum"), shape="row"),
            standby=maintenance.standby(reader),
        )

    def plan(self, facts: TuneAutovacuumFacts) -> Plan:
        """A step for each table that wants parameters of its own."""
        if facts.standby:
            return maintenance.quiet(self, blocker=facts.standby)
        if self.table and not facts.tables:
            return maintenance.quiet(self, blocker=f"There is no table {self.schema_name or 'public'}.{self.table} with storage of its own (a partitioned one has none: name a partition).")  # fmt: skip
        advised = [(t, s) for t in facts.tables if (s := autovacuum.advice(t, facts.server))]
        advised.sort(key=lambda pair: (-pair[0].size, pair[0].shown))
        blockers = tuple(maintenance.lacks_owner(t.shown) for t, _ in advised if not t.is_owner)[:5]
        chosen = [(t, s) for t, s in advised if t.is_owner][: self.tables]
        findings = tuple(_findings(facts))
        if not chosen:
            reason = "" if blockers else _quiet(facts)
            return maintenance.quiet(self, reason, findings=findings).model_copy(update={"summary": reason or blockers[0], "blockers": blockers})  # fmt: skip
        steps = tuple(self._step(table, settings) for table, settings in chosen)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Set storage parameters of {', '.join(t.shown for t, _ in chosen)}.",
            requirements=tuple(self._as_before(table, settings) for table, settings in chosen),
            steps=steps,
            checks=tuple(step.probe for step in steps),
            findings=findings,
            blockers=blockers,
            figures={"tables": len(chosen), "counted_hours": facts.server.counted_hours},
        )

    def _step(self, table: Churn, settings: tuple[Setting, ...]) -> Step:
        listed = ", ".join(f"{one.name} = {one.value}" for one in settings)
        return Step(
            id=f"autovacuum {table.shown}",
            call=self._alter(table, f"SET ({listed})"),
            why=" ".join(dict.fromkeys(one.why for one in settings)),
            effect=Effect.REVERSIBLE,
            probe=self._options(table, settings, {one.name: one.value for one in settings}, f"{table.shown} has {listed}"),
            undo=self._undo(table, settings),
            predicted=Prediction(lock=f"SHARE UPDATE EXCLUSIVE on {table.shown}", basis="PostgreSQL manual, ALTER TABLE"),
            touches=(f"{self.system}:{table.shown}",),
            schemas=(table.schema_name,),
            transactional=True,
        )  # fmt: skip

    def _undo(self, table: Churn, settings: tuple[Setting, ...]) -> tuple[Call, ...]:
        names = {one.name for one in settings}
        had_not = [one.name for one in settings if one.name not in table.options]
        before = list(table.options)
        first = next((n for n, name in enumerate(before) if name in names), None)
        # What is set goes to the end of the list, so that all from the first changed one on are set: then their order is what it was.
        had = [f"{name} = {table.options[name]}" for name in before[first:]] if first is not None else []
        calls = [self._alter(table, f"RESET ({', '.join(had_not)})")] if had_not else []
        return (*calls, *([self._alter(table, f"SET ({', '.join(had)})")] if had else []))

    def _alter(self, table: Churn, change: str) -> Call:
        statement = f"ALTER TABLE {sql.identifier(table.schema_name, table.name)} {change}"
        return Call(system=self.system, action="execute", arguments={"sql": statement})

    def _as_before(self, table: Churn, settings: tuple[Setting, ...]) -> Claim:
        had = {one.name: table.options[one.name] for one in settings if one.name in table.options}
        return self._options(table, settings, had, f"the storage parameters of {table.shown} are as observed")

    def _options(self, table: Churn, settings: tuple[Setting, ...], expected: dict[str, str], text: str) -> Claim:  # fmt: skip
        as_jsonb = json.dumps(
            dict(sorted(expected.items(), key=lambda pair: (len(pair[0]), pair[0])))
        )  # jsonb sorts keys by length first
        return maintenance.claim(
            self.system, text, "maintenance_options", expected=as_jsonb,
            table=sql.identifier(table.schema_name, table.name), names=[one.name for one in settings],
        )  # fmt: skip


def _quiet(facts: TuneAutovacuumFacts) -> str:
    return f"{len(facts.tables)} tables were looked at: none waits too long for a vacuum at its settings."


def _findings(facts: TuneAutovacuumFacts) -> list[Finding]:
    found = []
    if not facts.server.is_on:
        found.append(Finding(rule="autovacuum-off", subject="autovacuum", what="It is switched off for the whole server.",
                             why="Dead rows stay, and a forced vacuum comes only before wraparound.", instead="Switch it on: databases.tune-settings.", severity=Severity.CRITICAL))  # fmt: skip
    off = [t for t in facts.tables if t.options.get("autovacuum_enabled", "true").lower() in {"false", "off", "0", "no"}]  # fmt: skip
    found += [
        Finding(rule="autovacuum-off-for-table", subject=t.shown, what="autovacuum_enabled is off for it, and no vacuum comes but before wraparound.",
                instead=f"ALTER TABLE {t.shown} RESET (autovacuum_enabled), unless a job of your own vacuums it.") for t in off
    ]  # fmt: skip
    return found
