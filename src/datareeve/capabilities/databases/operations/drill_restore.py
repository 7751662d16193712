"""`databases.drill-restore`: proof that the backups bring the data back, with how much and how fast measured."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import backups
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Prediction, Step, Systems
from datareeve.core.value import Value

DRILL = "{run}"  # the runner puts the run's id
MEASURED = ("rpo_seconds", "rpo_at_most_seconds", "rto_seconds", "tables", "rows_compared", "differing")


class DrillFacts(Value):
    """What a drill looks at."""

    server: backups.BackupFacts
    last: dict[str, Any] | None  # the record of the last drill
    last_age_hours: float | None
    coming: bool = False  # an earlier part of the same plan takes a backup with an archive


class DrillRestore(Operation[DrillFacts]):
    """Prove that the backups can be restored.

    Restores the newest backup and its archived WAL to a moment of now, on a temporary server beside production; compares row counts and a
    checksum of every table with production at exactly that moment, while the application goes on writing; measures how much would be lost
    (RPO) and how long it takes (RTO); destroys the temporary server. On production it reads, commits one empty transaction and closes one
    WAL segment. A damaged backup or a gap in the archive makes the drill fail.
    """

    name: ClassVar[str] = "databases.drill-restore"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "test that our backups can be restored",
        "run a restore drill",
        "does recovery work, and how long does it take",
        "measure RPO and RTO",
        "disaster recovery test",
        "prove the backup is good",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    label: str | None = Field(None, description="which backup; default: the newest")
    max_age_hours: float = Field(
        24.0, ge=0, description="a younger passed drill of the newest backup is enough; 0 always drills"
    )
    exact_up_to_bytes: int = Field(
        2**30, gt=0, description="larger tables are compared by a sample of their pages of that size"
    )

    def observe(self, systems: Systems) -> DrillFacts:
        """The backups, the archive, the room, and the last drill."""
        last = systems[self.system].read("last_drill")
        age = backups.age_hours(last["ended"]) if last else None
        return DrillFacts(server=backups.look(systems, self.system), last=last, last_age_hours=age)

    def plan(self, facts: DrillFacts) -> Plan:
        """One step; nothing where the newest backup has passed a drill lately."""
        blockers, quiet = self._blockers(facts), self._quiet(facts)
        steps = () if quiet or blockers else (self._step(facts),)
        summary = (
            quiet
            or " ".join(blockers)
            or f"Restore the newest backup of {self.system} on a temporary server, compare, and destroy it."
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do=quiet,
            requirements=(backups.intact(self.system, self.label, thorough=False),) if steps else (),
            steps=steps,
            checks=self._checks(facts, steps),
            findings=self._findings(facts),
            figures={key: facts.last[key] for key in MEASURED if quiet and facts.last and key in facts.last},
            blockers=() if quiet else blockers,
        )

    def _quiet(self, facts: DrillFacts) -> str:
        if (
            facts.coming
            or facts.last is None
            or facts.last_age_hours is None
            or facts.last_age_hours >= self.max_age_hours
        ):
            return ""
        newest = facts.server.newest
        wanted = self.label or (newest.label if newest else None)
        if facts.last["verdict"] != "passed" or facts.last.get("label") != wanted:
            return ""
        return f"Backup {wanted} passed a drill less than {self.max_age_hours:g} hours ago."

    def _blockers(self, facts: DrillFacts) -> tuple[str, ...]:
        server, blockers = facts.server, []
        if server.newest is None and not facts.coming:
            blockers.append(f"{self.system} has no backup to drill with: databases.back-up takes one.")
        if self._archived(facts) and not server.now["may_switch_wal"]:
            blockers.append(
                f"{server.user} may not close a WAL segment. As a superuser: GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {server.user};"
            )
        needed = server.newest.bytes if server.newest else server.now["bytes"] or 0
        if needed > server.free_bytes:
            blockers.append(
                f"backup.disk: the drill needs {needed:,} bytes and {server.folder} has {server.free_bytes:,} free."
            )
        return tuple(blockers)

    def _step(self, facts: DrillFacts) -> Step:
        arguments = {"drill": DRILL, "label": self.label, "exact_up_to_bytes": self.exact_up_to_bytes}
        size = facts.server.newest.bytes if facts.server.newest else facts.server.now["bytes"]
        return Step(
            id="drill-restore",
            call=Call(system=self.system, action="drill_restore", arguments=arguments),
            why="A backup is worth what its restore brings back: restored, compared and measured, then destroyed.",
            effect=Effect.REVERSIBLE,
            probe=self._passed(DRILL),
            undo=(Call(system=self.system, action="remove_drill", arguments={"drill": DRILL}),),
            predicted=Prediction(bytes=size, basis="the backup's size, for as long as the drill takes"),
            touches=(f"{self.system}:backups",),
        )

    def _checks(self, facts: DrillFacts, steps: tuple[Step, ...]) -> tuple[Claim, ...]:
        if not steps:
            return ()
        archive = (backups.whole_archive(self.system, self.label),) if self._archived(facts) else ()
        return (self._passed(DRILL), backups.intact(self.system, self.label), *archive)

    def _archived(self, facts: DrillFacts) -> bool:
        newest = facts.server.newest
        return facts.coming or (newest is not None and newest.archived)

    def _passed(self, drill: str) -> Claim:
        call = Call(system=self.system, action="drill_verdict", arguments={"drill": drill})
        return Claim(
            text=f"the restore drill {drill} passed",
            call=call,
            expected="passed",
            remedy="Look at the drill's reason; back up again.",
        )

    def _findings(self, facts: DrillFacts) -> tuple[Finding, ...]:
        return backups.findings(self.system, facts.server, point_in_time=self._archived(facts))
