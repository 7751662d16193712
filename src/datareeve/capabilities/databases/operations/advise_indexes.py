"""`databases.advise-indexes`: the indexes that a workload is measured to need, and those it can do without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import Field

from datareeve.capabilities.databases import (
    index_candidates,
    index_findings,
    index_trial,
    index_whatif,
    sql,
    workload,
)
from datareeve.capabilities.databases.index_facts import Candidate, Situation, digest
from datareeve.capabilities.databases.index_search import Limits
from datareeve.capabilities.databases.index_trial import Trial  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.databases.index_whatif import WhatIf  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.databases.operations.create_index import CreateIndex, CreateIndexFacts
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Copy, Effect, Operation, Plan, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Reader

PERCENT_FOR_SIZE = (
    0.5  # of the workload, that an index of one percent of the tables' size must save beside the rest
)
PLANS_REMEMBERED = 50
MOST_FAMILIES = 200  # those with the most time; the rest of a workload does not decide about indexes


class AdviseIndexesFacts(Value):
    """The workload, the tables and indexes it meets, and what a twin and a copy taught, where there was one."""

    situation: Situation
    statistics_days: float | None  # how long the server has counted the use of indexes
    is_standby: bool = False  # it takes no writes: what is advised is created on its primary
    tried_before: bool = False  # this very workload, with these very indexes
    what_if: WhatIf | None = None
    why_no_twin: str = ""
    trial: Trial | None = None
    why_no_trial: str = ""


class AdviseIndexes(Operation[AdviseIndexesFacts]):
    """Advise indexes for the real workload, and create those that are measured to help.

    Takes candidates from the plans of the recorded statements (several columns, covering, partial, expressions, BRIN, GIN), asks the planner
    about all of them on a stats-only twin, builds the best on a disposable copy, runs the recorded statements with and without each, and
    keeps those that the workload would miss, for what they cost in bytes and on every written row. Each is then created without blocking
    writers; undo drops them. Indexes that are there but unused, duplicate or invalid are reported, never dropped unasked
    (databases.drop-unused-indexes does that).
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
        0.5,
        gt=0,
        le=100,
        description="an index must save this share of the workload's time, and more for its size",
    )
    budget_mb: float | None = Field(None, gt=0, description="what the new indexes together may take on disk")
    most_write_percent: float | None = Field(
        None,
        ge=0,
        description="by how much all writing may become dearer, as measured; each index is weighed by it anyway",
    )
    execute: bool = Field(
        default=True,
        description="false: ask the planner on the twin only, run nothing on a copy (seconds, and only an estimate)",
    )

    def observe(self, systems: Systems) -> AdviseIndexesFacts:
        """The workload, and how the planner answers it now."""
        reader = systems[self.system]
        situation = self._situation(reader)
        return AdviseIndexesFacts(
            situation=situation,
            statistics_days=reader.read("query", sql=sql.load("index_statistics_age"), shape="scalar"),
            is_standby=reader.read("server")["in_recovery"],
            tried_before=digest(situation) in _digests(systems),
        )

    def _situation(self, reader: Reader) -> Situation:
        own: dict[str, Any] = {"schemas": list(self.schemas), "tables": None}
        rows = {
            what: reader.read("query", sql=sql.load(what), parameters=own)
            for what in ("index_tables", "index_existing", "index_foreign_keys", "maintenance_index_uses")
        }
        recorded = workload.read(reader)
        weightiest = sorted(recorded.families, key=lambda f: (-(f.total_ms or 0.0), -f.calls, f.fingerprint))
        return Situation.model_validate(
            {
                "workload": recorded,
                "tables": rows["index_tables"],
                "indexes": rows["index_existing"],
                "uses": rows["maintenance_index_uses"],
                "foreign_keys": rows["index_foreign_keys"],
                "needs": reader.read(
                    "needs", fingerprints=[f.fingerprint for f in weightiest[:MOST_FAMILIES]]
                ),
                "extensions": reader.read("query", sql=sql.load("index_extensions"), shape="column"),
            }
        )

    def needs_a_copy(self) -> bool:
        """The twin is made from the database itself; only executing needs rows."""
        return self.execute

    def rehearse(self, facts: AdviseIndexesFacts, copy: Copy) -> AdviseIndexesFacts:
        """Ask the twin, and try the best on the copy. The copy is looked at afresh: earlier parts of a task may have given it keys."""
        has_rows = self.execute and copy.read("copy_kind") != "twin"
        situation = self._situation(copy).written_like(facts.situation) if has_rows else facts.situation
        limits = self._limits(situation)
        candidates = index_candidates.candidates(situation)
        update: dict[str, Any] = {"situation": situation}
        try:
            update["what_if"] = index_whatif.ask(candidates, situation, copy, limits)
        except DatareeveError as error:
            update["why_no_twin"] = error.what
        if has_rows:
            asked = update.get("what_if")
            listed = (
                tuple(one.candidate for one in asked.shortlist)
                if asked
                else candidates[: index_whatif.SHORTLIST]
            )
            untold = asked.untold if asked else ()
            update["trial"] = index_trial.run((*listed, *untold), situation, copy, limits)
        elif self.execute:
            update["why_no_trial"] = str(getattr(copy, "differs", ""))
        return facts.model_copy(update=update)

    def _limits(self, situation: Situation) -> Limits:
        return Limits(
            at_least_percent=self.at_least_percent,
            bytes_per_percent=max(situation.table_bytes / 100 / PERCENT_FOR_SIZE, 1.0),
            budget_bytes=None if self.budget_mb is None else int(self.budget_mb * 1e6),
            most_write_percent=self.most_write_percent,
        )

    def plan(self, facts: AdviseIndexesFacts) -> Plan:
        """One part for each index that helps; findings for the rest."""
        situation, trial = facts.situation, facts.trial
        if situation.workload.source.why_empty:
            return self._without_workload(facts)
        chosen = self._chosen(facts)
        if facts.is_standby and chosen:
            return self._on_primary(facts, chosen)
        named = self._named(tuple(one.candidate for one in chosen), situation)
        parts = tuple(
            self._part(number, one, *named[number - 1], situation) for number, one in enumerate(chosen, 1)
        )
        subjects = tuple(one.candidate.subject for one in chosen)
        quiet, waiting = ("", "") if parts else self._nothing(facts)
        summary = f"Create {len(parts)} {'index' if len(parts) == 1 else 'indexes'}: {index_candidates.described(subjects)}."
        made = tuple(operation.index_name() for operation, _ in named)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary if parts else quiet or waiting,
            nothing_to_do=quiet,
            blockers=(waiting,) if waiting else (),
            parts=parts,
            findings=index_findings.told(
                situation,
                trial,
                facts.statistics_days,
                self.system,
                tuple(one.candidate for one in chosen),
                facts.why_no_trial,
            ),
            figures={
                **index_findings.figures(situation, trial, facts.what_if),
                **({"tried": digest(situation, made)} if trial else {}),
            },
        )

    def _without_workload(self, facts: AdviseIndexesFacts) -> Plan:
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary="No index is advised: there is no workload.",
            blockers=(facts.situation.workload.source.sentence(),),
            findings=index_findings.told(facts.situation, None, facts.statistics_days, self.system, (), ""),
        )

    def _on_primary(self, facts: AdviseIndexesFacts, chosen: list[Chosen]) -> Plan:
        named = self._named(tuple(one.candidate for one in chosen), facts.situation)
        statements = "; ".join(operation.statement() for operation, _ in named)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"{len(chosen)} indexes are advised for the primary of {self.system}, which is a standby.",
            blockers=(f"{self.system} is a standby and takes no writes. On its primary: {statements}",),
            findings=index_findings.told(
                facts.situation, facts.trial, facts.statistics_days, self.system, (), facts.why_no_trial
            ),
            figures=index_findings.figures(facts.situation, facts.trial, facts.what_if),
        )

    def _chosen(self, facts: AdviseIndexesFacts) -> list[Chosen]:
        if facts.trial is not None:
            return _measured(facts.trial)
        if facts.what_if is not None:
            return _foretold(facts.what_if)
        return [] if facts.tried_before else _estimated(facts.situation, self.at_least_percent)

    def _nothing(self, facts: AdviseIndexesFacts) -> tuple[str, str]:
        """(why there is nothing to do, what is waited for); one of them is empty."""
        situation, trial = facts.situation, facts.trial
        served = f"The workload's {len(situation.workload.families)} families are served by the indexes that are there."
        if trial is not None:
            return (
                f"{served} {len(trial.tried)} more were tried on a copy, and none of them would be missed.",
                "",
            )
        if facts.what_if is not None:
            return (
                f"{served} The planner was asked about {facts.what_if.asked} more, and would hardly gain by them.",
                "",
            )
        if facts.tried_before:
            return (
                f"{served} This workload was tried with these indexes on a copy, and nothing has changed since.",
                "",
            )
        if count := len(index_candidates.candidates(situation)):
            return (
                "",
                f"{count} indexes could be useful, and the statistics alone cannot tell: they wait for a trial on a copy.",
            )
        return served, ""

    def _part(
        self, number: int, one: Chosen, operation: CreateIndex, state: str | None, situation: Situation
    ) -> Plan:
        """The leaf plan of one index, with what the trial knows of it."""
        candidate = one.candidate
        table = situation.table(candidate.schema_name, candidate.table)
        plan = operation.plan(
            CreateIndexFacts(
                table_exists=True,
                index_state=state,
                is_partitioned=bool(table and table.is_partitioned),
                partitions=situation.partitions(table) if table else (),
                estimated_rows=situation.rows_of(table) if table else 0,
                table_bytes=table.bytes if table else 0,
            )
        )
        *cleaning, build = plan.steps
        predicted = build.predicted.model_copy(update=one.predicted)
        steps = (*cleaning, build.model_copy(update={"why": one.why, "predicted": predicted}))
        return plan.model_copy(update={"part_id": str(number), "steps": steps})

    def _named(
        self, candidates: tuple[Candidate, ...], situation: Situation
    ) -> list[tuple[CreateIndex, str | None]]:
        """The operations under names that are free, and 'invalid' where a failed build of one is in the way.

        Two of one plan never have the same name: partial indexes with the same keys differ in their predicates only.
        """
        taken = {(i.schema_name, i.name): i.is_valid for i in situation.indexes}
        named: list[tuple[CreateIndex, str | None]] = []
        for candidate in candidates:
            operation = candidate.operation(self.system)
            base, number = operation.index_name().encode(), 1
            while taken.get((candidate.schema_name, operation.index_name())):
                number += 1
                name = f"{base[:60].decode(errors='ignore')}_{number}"
                operation = operation.model_copy(update={"index": name})
            place = (candidate.schema_name, operation.index_name())
            named.append((operation, "invalid" if place in taken else None))
            taken[place] = True
        return named


class Chosen(NamedTuple):
    """A candidate that is advised, why, and what is predicted of its build."""

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


def _foretold(what_if: WhatIf) -> list[Chosen]:
    return [
        Chosen(
            one.candidate,
            "By the planner's estimates on a twin the workload is faster with it; nothing was executed.",
            {"bytes": one.bytes, "basis": "estimated from statistics"},
        )
        for one in what_if.chosen
    ]


def _estimated(situation: Situation, at_least_percent: float) -> list[Chosen]:
    chosen = index_candidates.estimated(situation, max(at_least_percent, 2.5))
    return [
        Chosen(c, f"By the planner's estimates it saves {percent} % of the workload; not yet measured.", {})
        for c, percent in chosen
    ]


def _families(count: int) -> str:
    return f"{count} {'family' if count == 1 else 'families'} of statements"


def _digests(systems: Systems) -> set[str]:
    """What was tried before, as the plans in the ledger tell."""
    entries = systems["ledger"].read("entries", kind="plan", limit=PLANS_REMEMBERED)
    return {found for entry in entries for found in _within(entry["body"]["plan"])}


def _within(plan: dict[str, Any]) -> list[str]:
    own = (
        [plan["figures"]["tried"]]
        if plan["operation"] == AdviseIndexes.name and "tried" in plan["figures"]
        else []
    )
    return [*own, *(found for part in plan["parts"] for found in _within(part))]
