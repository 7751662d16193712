"""`databases.drop-unused-indexes`: indexes that another one makes needless, that are invalid, or (when asked) that nobody uses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import index_redundancy, maintenance, sql
from datareeve.capabilities.databases.index_redundancy import Use, Verdict  # noqa: TC001 - pydantic reads them
from datareeve.capabilities.databases.operations.drop_index import DropIndex, DropIndexFacts
from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Reader

WHY = {
    "invalid": "A failed build left it invalid: no query uses it, and every write maintains it.",
    "duplicate": "{stand_in} has the same keys over the same rows, and answers every query that it answers.",
    "prefix": "{stand_in} begins with its keys, over the same rows, and answers every query that it answers.",
    "unused": "No query has used it for {days:g} days, and no constraint rests on it.",
}


class DropUnusedIndexesFacts(Value):
    """The indexes, how long their use has been counted, and what else is known of it."""

    indexes: tuple[Use, ...]
    counted_days: float = 0.0
    unused_since: str | None = None
    standbys: int = 0
    planned: tuple[str, ...] = ()  # names of indexes that the planner chooses for the recorded workload
    standby: str = ""


class DropUnusedIndexes(Operation[DropUnusedIndexesFacts]):
    """Drop indexes that are provably needless, and, when asked, those that nobody uses.

    By itself only what is proved goes: invalid indexes, duplicates, and those whose keys another index begins with. Unused ones go with
    `unused_days`, where their use was counted for as long; never what enforces uniqueness, serves a foreign key, identifies rows for
    replication, orders the table, or is chosen for a recorded statement. Each is dropped without blocking; undo builds it again.
    """

    name: ClassVar[str] = "databases.drop-unused-indexes"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "drop all duplicate and redundant indexes",
        "clean up indexes nobody has used for 30 days",
        "which indexes are only a prefix of another one",
        "remove all invalid indexes",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    schemas: tuple[str, ...] = Field((), description="schemas to look at; empty: all but the system's")
    unused_days: float | None = Field(None, gt=0, description="also those that were not used for so many days")  # fmt: skip
    limit: int = Field(20, ge=1, le=500, description="at most so many, the largest first")

    def observe(self, systems: Systems) -> DropUnusedIndexesFacts:
        """The indexes with their use; the recorded workload's plans only where unused ones are asked for."""
        reader = systems[self.system]
        since = clock.now() - timedelta(days=self.unused_days) if self.unused_days else None
        return DropUnusedIndexesFacts(
            indexes=reader.read("query", sql=sql.load("maintenance_index_uses"), parameters={"schemas": list(self.schemas)}),
            counted_days=reader.read("query", sql=sql.load("index_statistics_age"), shape="scalar"),
            unused_since=since.isoformat() if since else None,
            standbys=reader.read("query", sql=sql.load("maintenance_standbys"), shape="scalar"),
            planned=_planned(reader) if self.unused_days else (),
            standby=maintenance.standby(reader),
        )  # fmt: skip

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: DropUnusedIndexesFacts) -> Plan:
        """One part for each index that goes, made by databases.drop-index."""
        if facts.standby:
            return maintenance.quiet(self, blocker=facts.standby)
        proved = index_redundancy.provable(facts.indexes)
        idle = self._unused(facts, proved)
        chosen = sorted((*proved, *idle), key=lambda v: (-v.index.bytes, v.index.shown))[: self.limit]
        findings = tuple(self._findings(facts, idle))
        blockers = self._too_soon(facts)
        if not chosen:
            reason = f"{len(facts.indexes)} indexes were looked at: each is valid and answers something that no other one does."
            return maintenance.quiet(self, "" if blockers else reason, findings=findings).model_copy(
                update={"summary": blockers[0] if blockers else reason, "blockers": blockers}
            )
        parts = tuple(self._part(str(n), verdict) for n, verdict in enumerate(chosen, 1))
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Drop {len(parts)} {'index' if len(parts) == 1 else 'indexes'}: {', '.join(v.index.shown for v in chosen[:5])}.",
            parts=parts,
            findings=findings,
            blockers=blockers,
            figures={"indexes": len(parts), "bytes": sum(v.index.bytes for v in chosen), "counted_days": facts.counted_days},
        )  # fmt: skip

    def _unused(self, facts: DropUnusedIndexesFacts, proved: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
        if self.unused_days is None or self._too_soon(facts):
            return ()
        taken = {v.index.shown for v in proved} | {v.stand_in for v in proved}
        found = index_redundancy.unused(facts.indexes, taken, facts.unused_since)
        return tuple(v for v in found if v.index.name not in facts.planned)

    def _too_soon(self, facts: DropUnusedIndexesFacts) -> tuple[str, ...]:
        if self.unused_days is None or facts.counted_days >= self.unused_days:
            return ()
        return (f"The use of indexes has been counted for {facts.counted_days:g} days only: what was not used for {self.unused_days:g} is not known yet.",)  # fmt: skip

    def _part(self, number: str, verdict: Verdict) -> Plan:
        index = verdict.index
        operation = DropIndex(system=self.system, index=index.name, schema_name=index.schema_name)
        known = index.model_dump(include=set(DropIndexFacts.model_fields))
        plan = operation.plan(DropIndexFacts(**known))
        why = WHY[verdict.reason].format(stand_in=verdict.stand_in, days=self.unused_days or 0)
        steps = tuple(step.model_copy(update={"why": why}) for step in plan.steps)
        return plan.model_copy(update={"part_id": number, "steps": steps})

    def _findings(self, facts: DropUnusedIndexesFacts, idle: tuple[Verdict, ...]) -> list[Finding]:
        if self.unused_days is None:
            return []
        found = [
            Finding(
                rule="index-use-on-standbys",
                subject=", ".join(v.index.shown for v in idle[:10]),
                what=f"{facts.standbys} standbys follow this server, and what they use is not counted here.",
                instead="Look at pg_stat_user_indexes on each of them before you approve.",
            )
        ] if facts.standbys and idle else []  # fmt: skip
        return [*found, *(_kept(one, facts) for one in facts.indexes if _only_not_scanned(one, facts))]


def _only_not_scanned(one: Use, facts: DropUnusedIndexesFacts) -> bool:
    """Not scanned, and kept all the same, for a reason worth telling."""
    return one.is_valid and one.scans == 0 and not one.constraints and bool(one.serves_foreign_keys or one.name in facts.planned)  # fmt: skip


def _kept(one: Use, facts: DropUnusedIndexesFacts) -> Finding:
    served = (
        f"the foreign key {', '.join(one.serves_foreign_keys)} is checked by it when a referenced row goes"
    )
    why = "the planner chooses it for a recorded statement" if one.name in facts.planned else served
    return Finding(
        rule="unused-index-kept",
        subject=one.shown,
        what=f"It was not scanned in {facts.counted_days:g} days, and stays: {why}.",
        severity=Severity.INFO,
        figures={"bytes": one.bytes},
    )


def _planned(reader: Reader) -> tuple[str, ...]:
    """The indexes in the plans of the recorded workload; none where there is no workload."""
    try:
        plans = reader.read("needs")
    except DatareeveError:
        return ()
    return tuple(sorted({index for plan in plans for index in plan["indexes"]}))
