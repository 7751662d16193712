"""`databases.set-up-backups`: back up, prove it by a restore, and schedule both."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases import backups  # noqa: TC001 - pydantic reads it at run time
from datareeve.capabilities.databases.operations.back_up import BackUp
from datareeve.capabilities.databases.operations.drill_restore import DrillFacts, DrillRestore
from datareeve.capabilities.databases.operations.schedule_backups import ScheduleBackups, ScheduleFacts
from datareeve.core.operation import Effect, Operation, Plan, Systems
from datareeve.core.value import Value


class SetUpFacts(Value):
    """What its parts look at."""

    backup: backups.BackupFacts
    drill: DrillFacts
    schedule: ScheduleFacts


class SetUpBackups(Operation[SetUpFacts]):
    """Set up automated backups and recovery.

    Three parts: a verified backup with WAL archiving where the server allows it; a restore drill that proves it, with RPO and RTO
    measured; schedules for both in estate.yaml. Each part is undone by itself.
    """

    name: ClassVar[str] = "databases.set-up-backups"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "set up automated backups and recovery",
        "configure backup and disaster recovery",
        "make sure that we never lose data",
        "implement a backup strategy with tested restores",
        "backup and recovery",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    cron: str = Field("15 2 * * *", description="when to back up: five fields")
    drill_cron: str = Field("30 3 * * 0", description="when to drill the restore: five fields")
    timezone: str = Field("UTC", description="the time zone of both")
    archive_timeout_seconds: int = Field(
        300, ge=1, description="WAL is archived at least this often: the most work that can be lost"
    )

    def observe(self, systems: Systems) -> SetUpFacts:
        """What each part looks at."""
        back_up, drill, schedule = self.parts()
        return SetUpFacts(
            backup=back_up.observe(systems), drill=drill.observe(systems), schedule=schedule.observe(systems)
        )

    def plan(self, facts: SetUpFacts) -> Plan:
        """The three parts; the drill needs the backup."""
        back_up, drill, schedule = self.parts()
        first = back_up.plan(facts.backup)
        coming = any(step.id == "base-backup" for step in first.steps)
        second = drill.plan(facts.drill.model_copy(update={"coming": coming}))
        third = schedule.plan(facts.schedule)
        parts = (first.labelled("1"), second.labelled("2", needs=("1",)), third.labelled("3"))
        quiet = (
            "Backups are taken, drilled and scheduled." if all(part.nothing_to_do for part in parts) else ""
        )
        summary = quiet or f"Back up {self.system}, prove the backup by restoring it, and schedule both."
        return Plan(
            operation=self.name, inputs=self.inputs(), summary=summary, nothing_to_do=quiet, parts=parts
        )

    def parts(self) -> tuple[BackUp, DrillRestore, ScheduleBackups]:
        """The operations it is made of."""
        return (
            BackUp(system=self.system, archive_timeout_seconds=self.archive_timeout_seconds),
            DrillRestore(system=self.system),
            ScheduleBackups(
                system=self.system, cron=self.cron, drill_cron=self.drill_cron, timezone=self.timezone
            ),
        )
