"""`databases.schedule-backups`: backups and drills in the estate's schedules, which `datareeve serve` runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator

from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Step, Systems
from datareeve.core.value import Value

# A nightly backup must not find last night's, a minute under 24 hours old, young enough.
SCHEDULED_MAX_AGE_HOURS = 12.0
OPERATIONS = ("databases.back-up", "databases.drill-restore")


class ScheduleFacts(Value):
    """What stands in the estate."""

    schedules: dict[str, Any]
    rules: tuple[dict[str, Any], ...]


class ScheduleBackups(Operation[ScheduleFacts]):
    """Schedule backups and restore drills.

    Puts a nightly backup and a weekly restore drill into the schedules of estate.yaml. They run while `datareeve serve` runs: as a systemd
    service, `ExecStart=datareeve serve` with `WorkingDirectory=` the project and `Restart=always`; from crontab, `@reboot cd PROJECT &&
    datareeve serve`. Whether they may run unattended is the owner's to say: where no rule allows it, the rule to paste is a finding.
    Undo takes the schedules out.
    """

    name: ClassVar[str] = "databases.schedule-backups"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "schedule backups every night",
        "run a backup daily at 2:15",
        "automate the backups",
        "put the restore drill on a weekly schedule",
        "change when the backup runs",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    cron: str = Field("15 2 * * *", description="when to back up: five fields")
    drill_cron: str = Field("30 3 * * 0", description="when to drill the restore: five fields")
    timezone: str = Field("UTC", description="the time zone of both")

    @field_validator("cron", "drill_cron")
    @classmethod
    def _five_fields(cls, expression: str) -> str:
        try:
            CronSim(expression, datetime(2025, 1, 1, tzinfo=UTC))
        except CronSimError:
            raise ValueError("a schedule is five fields, minute hour day month weekday: 15 2 * * *") from None
        return expression

    def observe(self, systems: Systems) -> ScheduleFacts:
        """The schedules and rules of the estate."""
        estate = systems["estate"]
        rules = estate.read("get", where=["authority", "rules"])
        return ScheduleFacts(
            schedules=estate.read("get", where=["schedules"]) or {}, rules=tuple(rules or ())
        )

    def plan(self, facts: ScheduleFacts) -> Plan:
        """One step a schedule that is not as it should be."""
        steps = tuple(
            self._step(name, entry, facts)
            for name, entry in self.entries().items()
            if facts.schedules.get(name) != entry
        )
        quiet = (
            ""
            if steps
            else f"Backups ({self.cron}) and drills ({self.drill_cron}) of {self.system} are scheduled."
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=quiet
            or f"Schedule backups ({self.cron}) and restore drills ({self.drill_cron}) of {self.system}.",
            nothing_to_do=quiet,
            requirements=tuple(_stands(name, facts.schedules.get(name)) for name in self.entries())
            if steps
            else (),
            steps=steps,
            checks=tuple(_stands(name, entry) for name, entry in self.entries().items()),
            findings=() if self._allowed(facts) else (self._rule_to_paste(),),
        )

    def entries(self) -> dict[str, dict[str, Any]]:
        """The schedules by name, as they stand in estate.yaml."""
        backup, drill = OPERATIONS
        inputs = {"system": self.system, "max_age_hours": SCHEDULED_MAX_AGE_HOURS}
        return {
            f"back-up-{self.system}": {
                "operation": backup,
                "inputs": dict(inputs),
                "cron": self.cron,
                "timezone": self.timezone,
            },
            f"drill-restore-{self.system}": {
                "operation": drill,
                "inputs": dict(inputs),
                "cron": self.drill_cron,
                "timezone": self.timezone,
            },
        }

    def _step(self, name: str, entry: dict[str, Any], facts: ScheduleFacts) -> Step:
        where = ["schedules", name]
        return Step(
            id=f"schedule {name}",
            call=Call(system="estate", action="put", arguments={"where": where, "value": entry}),
            why=f"{entry['operation']} then runs by itself ({entry['cron']}, {self.timezone}) while `datareeve serve` runs.",
            effect=Effect.REVERSIBLE,
            probe=_stands(name, entry),
            undo=(
                Call(
                    system="estate",
                    action="put",
                    arguments={"where": where, "value": facts.schedules.get(name)},
                ),
            ),
            touches=(f"estate:schedules {name}",),
            paths=("estate.yaml",),
        )

    def _allowed(self, facts: ScheduleFacts) -> bool:
        """Whether some rule lets both run unattended on this system; the gate itself decides when they run."""
        return all(
            any(_allows(rule, operation, self.system) for rule in facts.rules) for operation in OPERATIONS
        )

    def _rule_to_paste(self) -> Finding:
        return Finding(
            rule="schedule-needs-authority",
            subject=self.system,
            what="No rule lets the scheduled backups run unattended: each run would wait for an approval.",
            why="Datareeve does not widen its own authority.",
            instead="Paste into estate.yaml:\n"
            "authority:\n  rules:\n"
            f"    - decision: allow\n      operations: [{', '.join(OPERATIONS)}]\n      systems: [{self.system}]\n"
            "      why: scheduled backups and drills run unattended\n",
        )


def _stands(name: str, entry: dict[str, Any] | None) -> Claim:
    call = Call(system="estate", action="get", arguments={"where": ["schedules", name]})
    text = (
        f"schedule {name} runs {entry['operation']} at {entry['cron']}"
        if entry
        else f"there is no schedule {name}"
    )
    return Claim(text=text, call=call, expected=entry)


def _allows(rule: dict[str, Any], operation: str, system: str) -> bool:
    named = rule.get("operations") or ["*"]
    matches = any(
        operation == name or (name.endswith("*") and operation.startswith(name[:-1])) for name in named
    )
    return (
        rule.get("decision") == "allow" and matches and (not rule.get("systems") or system in rule["systems"])
    )
