"""`databases.record-plans`: the plans of the workload as they are now, kept for comparing."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases.plan_history import KIND, Capture, Kept
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Step, Systems
from datareeve.core.value import Value


class RecordPlansFacts(Value):
    """The plans of now, and what is kept already."""

    now: Capture
    history: tuple[Kept, ...]
    why_empty: str = ""


class RecordPlans(Operation[RecordPlansFacts]):
    """Record how the workload's statements are planned, so that a later plan regression is found.

    Keeps the shape, cost and tree of each costly family's plan without constants, with what it rests on: planner settings, statistics, indexes
    and the version. Families whose plan is recorded as it is are not recorded again. Run it on a schedule; databases.find-plan-regressions compares.
    """

    name: ClassVar[str] = "databases.record-plans"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "record the query plans",
        "keep a baseline of execution plans",
        "capture query plans before the upgrade",
        "store the plans of our top statements",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    top: int = Field(50, ge=1, le=500, description="how many families are recorded, the most costly first")

    def observe(self, systems: Systems) -> RecordPlansFacts:
        """The plans now, and those that are kept."""
        reader = systems[self.system]
        why_empty = reader.read("workload")["source"]["why_empty"]
        return RecordPlansFacts(
            now=Capture.model_validate(reader.read("captured_plans", limit=self.top)),
            history=read_history(systems, self.system),
            why_empty=why_empty,
        )

    def plan(self, facts: RecordPlansFacts) -> Plan:
        """One step, where a plan or what the plans rest on is not recorded as it is."""
        if facts.why_empty:
            return Plan(
                operation=self.name,
                inputs=self.inputs(),
                summary="There is no workload to plan.",
                blockers=(f"{facts.why_empty}.",),
            )
        fresh = [one.fingerprint for one in facts.now.families if _is_fresh(one.fingerprint, facts)]
        around = _differs_around(facts)
        count = len(facts.now.families)
        quiet = (
            ""
            if fresh or around
            else f"The plans of {count} {'family' if count == 1 else 'families'} are recorded as they are."
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=quiet
            or f"Record {len(fresh)} of {count} plans, with the settings and statistics that all of them rest on.",
            nothing_to_do=quiet,
            steps=() if quiet else (self._step(fresh),),
            figures={"families": count, "new_or_changed": len(fresh), "captures_kept": len(facts.history)},
        )

    def _step(self, fresh: list[str]) -> Step:
        kept = Call(
            system="ledger", action="kept", arguments={"kind": KIND, "system": self.system, "run": "{run}"}
        )
        reading = {"action": "captured_plans", "arguments": {"limit": self.top, "only": sorted(fresh)}}
        return Step(
            id=f"record plans of {self.system}",
            call=Call(
                system="ledger", action="keep", arguments={"kind": KIND, "system": self.system, **reading}
            ),
            why="A plan that is slower later can be held against the one that was taken before, with what changed in between.",
            effect=Effect.REVERSIBLE,
            probe=Claim(text=f"This run's plans of {self.system} are kept", call=kept),
            no_undo="What was seen stays in the ledger; nothing is changed by it.",
        )


def read_history(systems: Systems, system: str) -> tuple[Kept, ...]:
    """The captures that are kept of a system, oldest first."""
    found = systems["ledger"].read("readings", kind=KIND, system=system)
    return tuple(Kept(at=one["at"], capture=Capture.model_validate(one["reading"])) for one in found)


def _is_fresh(fingerprint: str, facts: RecordPlansFacts) -> bool:
    """Whether a family's plans of now have a shape that its newest record does not."""
    now = facts.now.family(fingerprint)
    kept = next((one for k in reversed(facts.history) if (one := k.capture.family(fingerprint))), None)
    return now is not None and (kept is None or not now.shapes <= kept.shapes)


def _differs_around(facts: RecordPlansFacts) -> bool:
    """Whether settings, version, indexes or statistics are not what the newest record says."""
    if not facts.history:
        return True
    kept, now = facts.history[-1].capture, facts.now
    return (kept.settings, kept.version_num, _states(kept)) != (now.settings, now.version_num, _states(now))


def _states(capture: Capture) -> dict[str, tuple[object, ...]]:
    return {name: (t.has_statistics, t.indexes, t.analyzed_at) for name, t in capture.tables.items()}
