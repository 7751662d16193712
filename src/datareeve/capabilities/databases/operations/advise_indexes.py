"""`databases.advise-indexes`: the indexes that a workload is measured to need, and those it can do without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import Field

from datareeve.capabilities.databases import index_advice, index_findings, index_trial, sql, workload
from datareeve.capabilities.databases.index_advice import Candidate, Situation
from datareeve.capabilities.databases.index_trial import Trial  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.databases.operations.create_index import CreateIndexFacts
from datareeve.core.operation import Copy, Effect, Operation, Plan, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Reader


class AdviseIndexesFacts(Value):
    """The workload, the tables and indexes it meets, and what a copy taught, where there was one."""

    situation: Situation
    statistics_days: float | None  # how long the server has counted the use of indexes
    trial: Trial | None = None


class AdviseIndexes(Operation[AdviseIndexesFacts]):
    """Advise indexes for the real workload, and create those that are measured to help.

    Takes candidates from the recorded statements, builds them on a disposable copy, runs the recorded statements with and without them, and
    keeps those that the workload would miss. Each is then created without blocking writers; undo drops them. Indexes that are there but
    unused, duplicate or invalid are reported, never dropped unasked (databases.drop-index does that).
    """

    name: ClassVar[str] = "databases.advise-indexes"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "implement proper indexing strategy",
        "which indexes are missing",
        "find missing indexes for our workload",
        "recommend indexes and try them first",
        "optimize queries and indexes",
        "are there unused or duplicate indexes",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    schemas: tuple[str, ...] = Field((), description="schemas to look at; empty: all but the system's")
    at_least_percent: float = Field(
        5, gt=0, le=100, description="an index must save this share of the workload's time"
    )
    budget_mb: float | None = Field(None, gt=0, description="what the new indexes together may take on disk")

    def observe(self, systems: Systems) -> AdviseIndexesFacts:
        """The workload, and how the planner answers it now."""
        reader = systems[self.system]
        days = reader.read("query", sql=sql.load("index_statistics_age"), shape="scalar")
        return AdviseIndexesFacts(situation=self._situation(reader), statistics_days=days)

    def _situation(self, reader: Reader) -> Situation:
        own = {"schemas": list(self.schemas)}
        rows = {
            what: reader.read("query", sql=sql.load(f"index_{what}"), parameters=own)
            for what in ("tables", "existing", "foreign_keys")
        }
        return Situation.model_validate(
            {
                "workload": workload.read(reader),
                "tables": rows["tables"],
                "indexes": rows["existing"],
                "foreign_keys": rows["foreign_keys"],
                "plans": [_plan_of(plan) for plan in reader.read("scans")],
            }
        )

    def rehearse(self, facts: AdviseIndexesFacts, copy: Copy) -> AdviseIndexesFacts:
        """Try the candidates. The copy is looked at afresh: earlier parts of a task may have given it keys."""
        situation = self._situation(copy)
        tried = index_trial.run(
            index_advice.candidates(situation),
            situation,
            copy,
            at_least_percent=self.at_least_percent,
            budget_mb=self.budget_mb,
        )
        return facts.model_copy(update={"situation": situation, "trial": tried})

    def plan(self, facts: AdviseIndexesFacts) -> Plan:
        """One part for each index that helps; findings for the rest."""
        situation, trial = facts.situation, facts.trial
        existing = tuple(index_findings.of_existing(situation, facts.statistics_days, self.system))
        if situation.workload.source.why_empty:
            why = situation.workload.source.sentence()
            return Plan(
                operation=self.name,
                inputs=self.inputs(),
                summary="No index is advised: there is no workload.",
                blockers=(why,),
                findings=existing,
            )
        chosen = _measured(trial) if trial else _estimated(situation, self.at_least_percent)
        parts = tuple(self._part(number, one, situation) for number, one in enumerate(chosen, 1))
        subjects = tuple(one.candidate.subject for one in chosen)
        doubt = (index_findings.not_measured(subjects),) if parts and trial is None else ()
        quiet = "" if parts else _quiet(situation, trial)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=quiet
            or f"Create {len(parts)} {'index' if len(parts) == 1 else 'indexes'}: {index_advice.described(subjects)}.",
            nothing_to_do=quiet,
            parts=parts,
            findings=(*doubt, *(index_findings.of_trial(trial) if trial else ()), *existing),
            figures=index_findings.figures(situation, trial),
        )

    def _part(self, number: int, one: Chosen, situation: Situation) -> Plan:
        """The leaf plan of one index, with what the trial knows of it."""
        candidate = one.candidate
        table = next(
            t for t in situation.tables if (t.schema_name, t.name) == (candidate.schema_name, candidate.table)
        )
        operation = candidate.operation(self.system)
        same_name = {i.name: i for i in situation.indexes if i.schema_name == candidate.schema_name}.get(
            operation.index_name()
        )
        if same_name is not None and same_name.is_valid:  # another index has taken the name
            operation = operation.model_copy(update={"index": f"{operation.index_name()[:61]}_2"})
            same_name = None
        state = "invalid" if same_name else None
        plan = operation.plan(
            CreateIndexFacts(
                table_exists=True, index_state=state, estimated_rows=table.rows, table_bytes=table.bytes
            )
        )
        *cleaning, build = plan.steps
        predicted = build.predicted.model_copy(update=one.predicted)
        steps = (*cleaning, build.model_copy(update={"why": one.why, "predicted": predicted}))
        return plan.model_copy(update={"part_id": str(number), "steps": steps})


class Chosen(NamedTuple):
    """A candidate that is advised, why, and what the trial predicts of its build."""

    candidate: Candidate
    why: str
    predicted: dict[str, Any]


def _measured(trial: Trial) -> list[Chosen]:
    return [
        Chosen(
            one.candidate,
            f"On a copy the recorded workload takes {one.saved_ms:,.0f} ms longer without it; used by {_families(len(one.families))}.",
            {"bytes": one.bytes, "seconds": one.build_seconds, "basis": "built on a copy"},
        )
        for one in trial.advised
    ]


def _estimated(situation: Situation, at_least_percent: float) -> list[Chosen]:
    chosen = index_advice.chosen_by_estimate(situation, at_least_percent)
    return [
        Chosen(c, f"By the planner's estimates it saves {percent} % of the workload; not yet measured.", {})
        for c, percent in chosen
    ]


def _families(count: int) -> str:
    return f"{count} {'family' if count == 1 else 'families'} of statements"


def _quiet(situation: Situation, trial: Trial | None) -> str:
    count = len(situation.workload.families)
    served = f"The workload's {count} families are served by the indexes that are there."
    if trial and trial.tried:
        served += f" {len(trial.tried)} more were tried on a copy, and none of them would be missed."
    return served


def _plan_of(plan: dict[str, Any]) -> dict[str, Any]:
    """A planned family of the `scans` read, in our words."""
    scans = [
        {("schema_name" if key == "schema" else key): value for key, value in scan.items()}
        for scan in plan["scans"]
    ]
    return {**plan, "scans": scans}
