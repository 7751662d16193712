"""`databases.find-plan-regressions`: statements that are planned in another way than before, with the likely cause."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import plan_history, rewrites, sql
from datareeve.capabilities.databases.operations.record_plans import read_history
from datareeve.capabilities.databases.plan_history import CHEAPER, SLOWER, Capture, Cause, Change
from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Copy, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Reader


class Measured(Value):
    """The old and the new plan, run on a copy."""

    ms_before: float
    ms_after: float
    buffers_before: float
    buffers_after: float
    reproduced: bool  # both plans were taken on the copy as they were recorded


class FindPlanRegressionsFacts(Value):
    """What changed, and what a copy said of it."""

    captures: int
    families: int
    changes: tuple[Change, ...]
    measured: dict[str, Measured] = Field(default_factory=dict)
    why_empty: str = ""


class FindPlanRegressions(Operation[FindPlanRegressionsFacts]):
    """Find statements whose plan changed for the worse, and what changed it.

    Plans the workload anew and compares with what databases.record-plans kept: both plans side by side, cost and time then and now, and the cause:
    a changed setting (tried by putting it back), statistics that are gone or old, an index that is gone, growth, another version. In rehearsal
    both plans are run on a disposable copy.
    """

    name: ClassVar[str] = "databases.find-plan-regressions"
    examples: ClassVar[tuple[str, ...]] = (
        "find plan regressions",
        "which queries changed their execution plan",
        "did a query plan get worse since yesterday",
        "why did the planner switch to a sequential scan",
        "compare query plans before and after the upgrade",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    top: int = Field(50, ge=1, le=500, description="how many families are looked at, the most costly first")
    since_days: float = Field(7, gt=0, description="older changes are taken as accepted")
    rounds: int = Field(3, ge=3, le=21, description="how often both plans are run in turn on a copy")

    def observe(self, systems: Systems) -> FindPlanRegressionsFacts:
        """Plan anew, compare, and try by putting settings back."""
        reader = systems[self.system]
        history = read_history(systems, self.system)
        now = Capture.model_validate(reader.read("captured_plans", limit=self.top))
        since = clock.stamp(clock.now() - timedelta(days=self.since_days))
        found = plan_history.changes(history, now, since)
        return FindPlanRegressionsFacts(
            captures=len(history),
            families=len(now.families),
            changes=tuple(_tried(reader, one) for one in found),
            why_empty=reader.read("workload")["source"]["why_empty"],
        )

    def rehearse(self, facts: FindPlanRegressionsFacts, copy: Copy) -> FindPlanRegressionsFacts:
        """Run old and new plan: on the copy the cause is taken away and put there, in a transaction that is rolled back."""
        if rewrites.kind_of(copy) != "clone":
            return facts
        found = {one.fingerprint: measured for one in facts.changes if (measured := self._measure(copy, one))}
        return facts.model_copy(update={"measured": found})

    def _measure(self, copy: Copy, change: Change) -> Measured | None:
        before, after = states(change)
        try:
            runs = copy.read(
                "measure_states",
                fingerprint=change.fingerprint,
                before=before,
                after=after,
                rounds=self.rounds,
            )
        except DatareeveError:
            return None
        old, new = runs["before"], runs["after"]
        if old["ms"] is None:
            return None
        return Measured(
            ms_before=old["ms"],
            ms_after=new["ms"],
            buffers_before=old["buffers"],
            buffers_after=new["buffers"],
            reproduced=change.before.shape in old["shapes"] and change.after.shape in new["shapes"],
        )

    def plan(self, facts: FindPlanRegressionsFacts) -> Plan:
        """What changed; nothing is changed by telling it."""
        if facts.why_empty:
            return Plan(
                operation=self.name,
                inputs=self.inputs(),
                summary="There is no workload to plan.",
                blockers=(f"{facts.why_empty}.",),
            )
        if not facts.captures:
            return Plan(operation=self.name, inputs=self.inputs(), summary=NO_RECORD, nothing_to_do=NO_RECORD)
        findings = tuple(self._finding(one, facts.measured.get(one.fingerprint)) for one in facts.changes)
        worse = sum(finding.rule == "plan-regression" for finding in findings)
        summary = _summary(facts, worse)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do="" if worse and not facts.measured else summary,
            findings=findings,
            figures={
                "families": facts.families,
                "captures": facts.captures,
                "changed": len(findings),
                "regressions": worse,
                **{f"plans of {f.figures['fingerprint']}": f.figures["plans"] for f in findings},
            },
        )

    def _finding(self, change: Change, measured: Measured | None) -> Finding:
        rule = verdict(change, measured)
        return Finding(
            rule=rule,
            subject=f"{change.fingerprint} ({', '.join(sorted(t.rpartition('.')[2] for t in plan_history.tables_of(change.after.tree)))})",
            what=f"{TITLES[rule]} since {change.seen_at[:16]}: {_figures_told(change, measured)}. {change.sql[:SHOWN]}",
            why=_why(change.causes),
            instead=_instead(change.causes, self.system) if rule == "plan-regression" else "",
            severity=Severity.WARNING if rule == "plan-regression" else Severity.INFO,
            figures=_figures(change, measured),
        )


SHOWN = 90
NO_RECORD = "There is nothing to compare with: no plan is recorded yet. Run databases.record-plans, best on a schedule."
TITLES = {
    "plan-regression": "It is planned in another way, and worse,",
    "plan-improved": "It is planned in another way, and better,",
    "plan-changed": "It is planned in another way",
}


def _tried(reader: Reader, change: Change) -> Change:
    """The change with its settings tried: those that, put back, bring the old plan back are proven."""
    settings = [cause for cause in change.causes if cause.kind == "setting"]
    proven = {
        cause.subject for cause in settings if _brings_back(reader, change, {cause.subject: cause.before})
    }
    if settings and not proven and _brings_back(reader, change, {c.subject: c.before for c in settings}):
        proven = {cause.subject for cause in settings}  # only together
    told = [
        cause.model_copy(update={"proven": cause.subject in proven}) if cause in settings else cause
        for cause in change.causes
    ]
    kept = [cause for cause in told if cause.proven] or told  # what is proven needs no other suspects
    return change.model_copy(update={"causes": tuple(kept)})


def _brings_back(reader: Reader, change: Change, settings: dict[str, str]) -> bool:
    try:
        found = reader.read("plan_under", fingerprint=change.fingerprint, settings=settings)
    except DatareeveError:
        return False
    return any(one["shape"] == change.before.shape for one in found)


def states(change: Change) -> tuple[list[str], list[str]]:
    """Statements that make, on a copy of the database as it is now, the state before the change and the one after it."""
    before = [_set(name, old) for name, (old, _) in change.settings.items()]
    after = [_set(name, new) for name, (_, new) in change.settings.items()]
    for cause in change.causes:
        if cause.kind in {"index-gone", "index-invalid"}:
            before.append(cause.before)
        elif cause.kind == "index-new":
            before.append(f"DROP INDEX {sql.identifier(cause.subject.partition('.')[0], cause.after)}")
        elif cause.kind == "statistics-gone":
            after.append(_forget(cause))
    return before, after


def _set(name: str, value: str) -> str:
    quoted = value.replace("'", "''")
    return f"SET LOCAL {sql.identifier(name)} = '{quoted}'"


def _forget(cause: Cause) -> str:
    schema, _, table = cause.subject.partition(".")
    quoted = sql.identifier(schema, table).replace("'", "''")
    return f"DELETE FROM pg_catalog.pg_statistic WHERE starelid = '{quoted}'::regclass"  # noqa: S608 - of the copy's own catalog


# -- what is told ------------------------------------------------------------------------------------------------------------------


def verdict(change: Change, measured: Measured | None) -> str:
    """Worse, better or only another: by what was measured, else by the workload's times, else by what the planner expects.

    Costs of a plan that is made without statistics are guesses: such a change is told as worse.
    """
    if measured is not None and measured.reproduced:
        return _compared(measured.ms_before, measured.ms_after)
    if change.ms_before and change.ms_after:
        return _compared(change.ms_before, change.ms_after)
    if any(cause.kind in {"statistics-gone", "index-gone", "index-invalid"} for cause in change.causes):
        return "plan-regression"
    return _compared(change.before.cost, change.after.cost)


def _compared(before: float, after: float) -> str:
    if after > before * SLOWER:
        return "plan-regression"
    return "plan-improved" if after < before * CHEAPER else "plan-changed"


def _figures_told(change: Change, measured: Measured | None) -> str:
    told = [f"cost {change.before.cost:,.0f} then, {change.after.cost:,.0f} now"]
    if change.ms_before and change.ms_after:
        told.append(f"{change.ms_before:,.1f} ms a call then, {change.ms_after:,.1f} ms now")
    if measured is not None and measured.reproduced:
        told.append(
            f"measured on a copy {measured.ms_before:,.1f} ms with the old plan, {measured.ms_after:,.1f} ms with the new one"
        )
    return "; ".join(told)


def _why(causes: tuple[Cause, ...]) -> str:
    if not causes:
        return "No cause was found: settings, statistics, indexes, sizes and version are as they were. Other values in the statement may be planned otherwise."
    told = [f"{cause.what}{' (put back, the old plan returns)' if cause.proven else ''}" for cause in causes]
    return f"What changed: {'; '.join(told)}."


def _instead(causes: tuple[Cause, ...], system: str) -> str:
    told = dict.fromkeys(_remedy(cause, system) for cause in causes)
    return " ".join(part for part in told if part)


def _remedy(cause: Cause, system: str) -> str:
    schema, _, table = cause.subject.partition(".")
    match cause.kind:
        case "setting":
            return f"Put {cause.subject} back to {cause.before}, or try other values with databases.tune-settings."
        case "index-gone" | "index-invalid":
            return (
                f"{cause.before};"
                if cause.kind == "index-gone"
                else f"Build it anew (databases.reindex): {cause.before}."
            )
        case "statistics-gone" | "statistics-old" | "growth":
            return f"databases.analyze-table with system={system} schema_name={schema} table={table}."
        case "version":
            return "ANALYZE after the upgrade; then look at the plan with databases.explain-query."
        case _:
            return ""


def _figures(change: Change, measured: Measured | None) -> dict[str, Any]:
    return {
        "fingerprint": change.fingerprint,
        "cost_before": change.before.cost,
        "cost_after": change.after.cost,
        "rows_before": change.before.rows,
        "rows_after": change.after.rows,
        "ms_before": change.ms_before,
        "ms_after": change.ms_after,
        "measured": measured.model_dump() if measured else None,
        "causes": [
            cause.model_dump(include={"kind", "subject", "what", "proven"}) for cause in change.causes
        ],
        "shape_before": change.before.shape,
        "shape_after": change.after.shape,
        "plans": plan_history.side_by_side(change.before.tree, change.after.tree),
    }


def _summary(facts: FindPlanRegressionsFacts, worse: int) -> str:
    looked = f"{facts.families} {'family' if facts.families == 1 else 'families'}"
    if not facts.changes:
        return f"{looked} are planned as they were."
    count = len(facts.changes)
    return f"{count} of {looked} {'is' if count == 1 else 'are'} planned in another way than before, {worse} of them worse."
