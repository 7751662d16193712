"""`databases.analyze-table`: the planner's statistics, gathered where they are missing or old, and made finer where they are wrong."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases import maintenance, sql
from datareeve.capabilities.databases.operations.vacuum_table import Table  # noqa: TC001 - pydantic reads it
from datareeve.core.operation import (
    Call,
    Claim,
    Copy,
    Effect,
    Finding,
    Operation,
    Plan,
    Prediction,
    Step,
    Systems,
)
from datareeve.core.value import Value

WORTH_ROWS = 100  # of a table never analysed: the planner guesses well enough below
ROW_BYTES = 100  # of a table that nobody has counted yet
STALE_SHARE = 0.1  # of the rows, changed since: what autovacuum's default scale factor waits for
WRONG_BY = 4.0  # times, before statistics on several columns are worth having
BETTER_BY = 2.0  # times less wrong with them, as measured on the copy
MOST_EXTENDED = 3  # each makes every ANALYZE dearer
NAME_BYTES = 63


class Column(Value):
    """A column, its own statistics target and the extended statistics that it is part of."""

    name: str
    target: int | None = None
    extended: tuple[str, ...] = ()


class Correlation(Value):
    """Columns that depend on one another, and by which factor the planner was wrong on the copy, before and with statistics on both."""

    columns: tuple[str, ...]
    factor_before: float
    factor_after: float


class AnalyzeTableFacts(Value):
    """The tables; of a named one also its columns, and what a copy taught."""

    tables: tuple[Table, ...]
    columns: tuple[Column, ...] = ()
    standby: str = ""
    correlations: tuple[Correlation, ...] | None = None  # None: not looked for on a copy


class AnalyzeTable(Operation[AnalyzeTableFacts]):
    """Gather the planner's statistics where they are missing or out of date.

    Takes the named table, or every table that was never analysed or has changed much since; partitioned parents too, which autovacuum
    never analyses. With `columns` and `statistics_target` it looks closer at those columns. On a copy it finds columns that depend on one
    another, measures how far the planner is off, and proposes extended statistics where they make it right. Targets and extended
    statistics are undone; statistics themselves replace older ones.
    """

    name: ClassVar[str] = "databases.analyze-table"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "run ANALYZE on tables with stale statistics",
        "update planner statistics",
        "gather statistics on partitioned tables",
        "the planner estimates too few rows for correlated columns",
        "create extended statistics",
        "raise the statistics target of a column",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    table: str | None = Field(None, description="table name, without schema; default: all that need it")
    schema_name: str = Field("public", description="the named table's schema")
    columns: tuple[str, ...] = Field((), description="columns of the named table to look at more closely")
    statistics_target: int | None = Field(None, ge=0, le=10_000, description="how closely: the number of common values and histogram bounds kept")  # fmt: skip
    extended: bool = Field(
        default=True, description="propose extended statistics, where a copy shows that they help"
    )

    def observe(self, systems: Systems) -> AnalyzeTableFacts:
        """The tables with what was changed in them since they were analysed."""
        reader = systems[self.system]
        where = {"schemas": [self.schema_name] if self.table else [], "table": self.table}
        rows = reader.read("query", sql=sql.load("maintenance_tables"), parameters=where)
        columns = reader.read("query", sql=sql.load("maintenance_columns"), parameters={"table": self._name()}) if self.table else ()  # fmt: skip
        return AnalyzeTableFacts(tables=rows, columns=columns, standby=maintenance.standby(reader))

    def rehearse(self, facts: AnalyzeTableFacts, copy: Copy) -> AnalyzeTableFacts:
        """Which columns depend on one another, and whether statistics on both mend the estimate: measured, not believed."""
        if not (self.table and self.extended and facts.tables) or copy.read("copy_kind") == "twin":
            return facts
        has = {frozenset(c.name for c in facts.columns if name in c.extended) for one in facts.columns for name in one.extended}  # fmt: skip
        found: list[Correlation] = []
        taken: set[frozenset[str]] = set(has)
        for one in copy.read("dependencies", schema=self.schema_name, table=self.table):
            columns = frozenset(one["columns"])
            if (one["factor"] or 0) >= WRONG_BY and columns not in taken and len(found) < MOST_EXTENDED:
                taken.add(columns)
                found.append(self._tried(tuple(sorted(columns)), one["factor"], copy))
        return facts.model_copy(update={"correlations": tuple(found)})

    def _tried(self, columns: tuple[str, ...], before: float, copy: Copy) -> Correlation:
        copy.perform("execute", sql=self._create(columns))
        copy.perform("maintain", sql=f"ANALYZE {self._name()}", table=self._name())
        after = copy.read("misestimate", schema=self.schema_name, table=self.table, columns=list(columns))
        copy.perform(
            "execute", sql=self._drop(columns)
        )  # the plan's own statements are tried on the same copy
        return Correlation(columns=columns, factor_before=before, factor_after=after or 1.0)

    def learns_on_a_copy(self) -> bool:
        """Only for a named table: looking for dependent columns in all of them is nobody's wish."""
        return self.table is not None and self.extended

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: AnalyzeTableFacts) -> Plan:
        """A part for each table, with what makes its statistics finer first."""
        if facts.standby:
            return maintenance.quiet(self, blocker=facts.standby)
        if self.table is None:
            return self._all(facts)
        if not facts.tables:
            return maintenance.quiet(self, blocker=f"There is no table {self._shown}.")
        missing = [name for name in self.columns if name not in {c.name for c in facts.columns}]
        if missing:
            return maintenance.quiet(self, blocker=f"{self._shown} has no column {', '.join(missing)}.")
        if self.columns and self.statistics_target is None:
            return maintenance.quiet(self, blocker="Columns are named, but no statistics_target for them.")
        return self.plan_of(facts.tables[0], facts)

    def _all(self, facts: AnalyzeTableFacts) -> Plan:
        if self.columns:
            return maintenance.quiet(
                self, blocker="Columns are named, but not whose they are: give the table."
            )
        whole = {t.oid for t in facts.tables if t.is_partitioned and t.may_maintain and _need(t)}
        wanted = [
            t for t in facts.tables if t.may_maintain and _need(t) and t.root not in whole
        ]  # ANALYZE of a parent does its partitions too
        lacking = [t for t in facts.tables if not t.may_maintain and _need(t)]
        blockers = tuple(maintenance.lacks_owner(t.shown) for t in lacking[:5])
        if not wanted:
            reason = "" if blockers else "The statistics of every table are there and not out of date."
            return maintenance.quiet(self, reason).model_copy(update={"summary": reason or blockers[0], "blockers": blockers})  # fmt: skip
        parts = []
        for n, table in enumerate(wanted, 1):
            own = self.model_copy(update={"table": table.name, "schema_name": table.schema_name})
            parts.append(own.plan_of(table, AnalyzeTableFacts(tables=(table,))).model_copy(update={"part_id": str(n)}))  # fmt: skip
        shown = [t.shown for t in wanted]
        said = ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")  # noqa: PLR2004 - a line's worth
        return Plan(operation=self.name, inputs=self.inputs(), summary=f"Analyse {said}.", parts=tuple(parts), blockers=blockers,
                    figures={"tables": len(wanted)})  # fmt: skip

    def plan_of(self, table: Table, facts: AnalyzeTableFacts) -> Plan:
        """The plan of one table."""
        if not table.may_maintain:
            return maintenance.quiet(self, blocker=maintenance.lacks_owner(table.shown))
        chosen = [c for c in facts.correlations or () if c.factor_before >= BETTER_BY * c.factor_after]
        finer = [*self._targets(table, facts), *(self._extended(table, one) for one in chosen)]
        need = _need(table, named=True) or ("it is looked at more closely" if finer else "")
        findings = tuple(self._not_mended(table, c) for c in facts.correlations or () if c not in chosen)
        if not need:
            return maintenance.quiet(self, f"The statistics of {table.shown} are there and nothing has changed since.", findings=findings)  # fmt: skip
        steps = (*finer, self._step(table, need))
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Analyse {table.shown}: {need}.",
            requirements=self._requirements(table, finer),
            steps=steps,
            checks=tuple(step.probe for step in steps),
            findings=findings,
            figures={"rows": table.rows, "changed_rows": table.changed_rows},
        )

    def _requirements(self, table: Table, finer: list[Step]) -> tuple[Claim, ...]:
        there = maintenance.claim(self.system, f"{table.shown} is there", "maintenance_exists", table=self._name())  # fmt: skip
        return (there, *(_before(step) for step in finer))

    @property
    def _shown(self) -> str:
        return f"{self.schema_name}.{self.table}"

    def _name(self) -> str:
        return sql.identifier(self.schema_name, self.table or "")

    # -- the steps -----------------------------------------------------------------------------------------------------------------

    def _step(self, table: Table, need: str) -> Step:
        return Step(
            id=f"analyze {table.shown}",
            call=Call(system=self.system, action="maintain", arguments={"sql": f"ANALYZE {self._name()}", "table": self._name()}),
            why=f"The planner chooses by statistics, and {need}.",
            effect=Effect.REVERSIBLE,
            probe=maintenance.claim(self.system, f"{table.shown} was analysed", "maintenance_analyzed", table=self._name(), since=table.last_analyze),
            no_undo="Newer statistics replace older ones; nothing else is changed.",
            predicted=Prediction(rows=min(table.rows, 30_000), lock=f"SHARE UPDATE EXCLUSIVE on {table.shown}", basis="300 rows for each of 100 bounds"),
            **self._touched(table),
        )  # fmt: skip

    def _touched(self, table: Table) -> dict[str, tuple[str, ...]]:
        return {"touches": (f"{self.system}:{table.shown}",), "schemas": (table.schema_name,)}

    def _targets(self, table: Table, facts: AnalyzeTableFacts) -> list[Step]:
        own = {c.name: c.target for c in facts.columns}
        return [self._target(table, name, own[name]) for name in self.columns if own[name] != self.statistics_target]  # fmt: skip

    def _target(self, table: Table, column: str, before: int | None) -> Step:
        set_to = f"ALTER TABLE {self._name()} ALTER COLUMN {sql.identifier(column)} SET STATISTICS"
        text = f"{column} of {table.shown} has the statistics target {self.statistics_target}"
        return Step(
            id=f"target {table.shown} {column}",
            call=self._execute(f"{set_to} {self.statistics_target}"),
            why=f"Its values are counted with {self.statistics_target} common values and bounds, rather than {before or 'the default of 100'}.",
            effect=Effect.REVERSIBLE,
            probe=maintenance.claim(self.system, text, "maintenance_column_target", expected=self.statistics_target, table=self._name(), column=column),
            undo=(self._execute(f"{set_to} {-1 if before is None else before}"),),
            predicted=Prediction(lock=f"SHARE UPDATE EXCLUSIVE on {table.shown}", basis="PostgreSQL manual, ALTER TABLE"),
            **self._touched(table),
        )  # fmt: skip

    def _extended(self, table: Table, one: Correlation) -> Step:
        name = self._statistics_name(one.columns)
        return Step(
            id=f"statistics {self.schema_name}.{name}",
            call=self._execute(self._create(one.columns)),
            why=f"{' and '.join(one.columns)} depend on one another: the planner was wrong by a factor of {one.factor_before:g} on a copy, and by {one.factor_after:g} with it.",
            effect=Effect.REVERSIBLE,
            probe=maintenance.claim(self.system, f"the statistics {self.schema_name}.{name} are there", "maintenance_extended", schema=self.schema_name, name=name),
            undo=(self._execute(self._drop(one.columns)),),
            predicted=Prediction(lock=f"SHARE UPDATE EXCLUSIVE on {table.shown}", basis="PostgreSQL manual, CREATE STATISTICS"),
            **self._touched(table),
        )  # fmt: skip

    def _create(self, columns: tuple[str, ...]) -> str:
        name = sql.identifier(self.schema_name, self._statistics_name(columns))
        listed = ", ".join(sql.identifier(c) for c in columns)
        return f"CREATE STATISTICS {name} (dependencies, ndistinct, mcv) ON {listed} FROM {self._name()}"

    def _drop(self, columns: tuple[str, ...]) -> str:
        name = sql.identifier(self.schema_name, self._statistics_name(columns))
        return f"DROP STATISTICS IF EXISTS {name}"

    def _statistics_name(self, columns: tuple[str, ...]) -> str:
        made = re.sub(r"\W+", "_", "_".join([self.table or "", *columns]))
        return f"{made.encode()[: NAME_BYTES - 5].decode(errors='ignore')}_stat"

    def _execute(self, statement: str) -> Call:
        return Call(system=self.system, action="execute", arguments={"sql": statement})

    def _not_mended(self, table: Table, one: Correlation) -> Finding:
        return Finding(
            rule="correlated-columns",
            subject=f"{table.shown} ({', '.join(one.columns)})",
            what=f"They depend on one another: the planner is wrong by a factor of {one.factor_before:g}, and extended statistics do not mend it.",
            instead="Raise their statistics target, or store one of them only.",
            figures={"factor": one.factor_before, "factor_with_statistics": one.factor_after},
        )


def _need(table: Table, *, named: bool = False) -> str:
    """Why a table wants to be analysed; '' where it does not."""
    if table.is_partitioned:
        return _need_of_parent(table)
    if table.analyzed_at is None and not table.has_statistics:
        rows = max(table.rows, table.live_rows, table.bytes // ROW_BYTES if table.rows_unknown else 0)
        return "it was never analysed" if rows >= (1 if named else WORTH_ROWS) else ""
    least = 1 if named else max(1000, STALE_SHARE * table.live_rows)
    return f"{table.changed_rows:,} of its rows have changed since" if table.changed_rows >= least else ""


def _need_of_parent(table: Table) -> str:
    """Autovacuum looks at partitions only; what it found there, the parent's own statistics do not know."""
    if not table.has_statistics:
        return "autovacuum never analyses a partitioned parent"
    if table.last_analyze is None or table.parts_analyzed_at is None:
        return ""
    newer = datetime.fromisoformat(table.parts_analyzed_at) > datetime.fromisoformat(table.last_analyze)
    return "its partitions have been analysed since, the parent itself was not" if newer else ""


def _before(step: Step) -> Claim:
    """That what a step makes is not there yet."""
    (expected,) = (False,) if step.probe.expected is True else (_former_target(step),)
    return step.probe.model_copy(update={"text": f"not yet: {step.probe.text}", "expected": expected})


def _former_target(step: Step) -> int | None:
    target = int(step.undo[0].arguments["sql"].rsplit(" ", 1)[1])
    return None if target < 0 else target
