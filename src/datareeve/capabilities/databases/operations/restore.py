"""`databases.restore`: a backup, brought to a moment, as a server of its own beside production."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import ClassVar

from pydantic import Field, field_validator

from datareeve.capabilities.databases import backups
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step, Systems
from datareeve.core.value import Value

NOT_TIMES = {"latest", "immediate"}


class RestoreFacts(Value):
    """What restore looks at; the server itself may be down."""

    backup: backups.Backup | None  # the one to restore
    known: int  # backups in the catalogue
    damage: tuple[str, ...]
    state: str | None  # of the target: 'running', 'stopped', 'unfinished'
    refused: str = ""  # why the target cannot be used


class Restore(Operation[RestoreFacts]):
    """Restore a backup to a moment, into a new folder beside production.

    Brings back the newest backup before the moment (or the one named), replays archived WAL up to that moment, and leaves a server running
    on a free port of the loopback interface, with archiving, subscriptions and scheduled jobs switched off. Production is never written to:
    copy over what you need, or switch the application when you are sure. Undo stops that server and removes its folder.
    """

    name: ClassVar[str] = "databases.restore"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "restore the database to yesterday 14:00",
        "bring back the data as it was before the bad deploy",
        "recover a deleted table from the backup",
        "point-in-time recovery to a moment",
        "restore last night's backup beside production",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    moment: str = Field(
        "latest",
        description="latest, immediate (the backup alone), or ISO 8601 with a time zone: 2025-07-20T14:00:00+00:00",
    )
    label: str | None = Field(None, description="which backup; default: the newest one before the moment")
    target: str | None = Field(
        None,
        description="folder; default: restored/ in the backup folder; an absolute path is taken as it is",
    )
    port: int | None = Field(None, ge=1024, le=65535, description="port on 127.0.0.1; default: a free one")

    @field_validator("moment")
    @classmethod
    def _in_utc(cls, moment: str) -> str:
        if moment in NOT_TIMES:
            return moment
        try:
            parsed = datetime.fromisoformat(moment)
        except ValueError:
            raise ValueError(
                "the moment is latest, immediate, or ISO 8601: 2025-07-20T14:00:00+00:00"
            ) from None
        if parsed.tzinfo is None:
            raise ValueError("the moment needs a time zone: 2025-07-20T14:00:00+00:00")
        return parsed.astimezone(UTC).isoformat()

    def observe(self, systems: Systems) -> RestoreFacts:
        """Which backup it would be, whether its files are there, and what stands in the target."""
        system, known = systems[self.system], backups.catalogue(systems, self.system)
        backup = self._choose(known)
        if backup is None:
            return RestoreFacts(backup=None, known=len(known), damage=(), state=None)
        damage = system.read("damaged_files", label=backup.label, thorough=False)
        try:
            state, refused = system.read("restored_state", target=self._target(backup)), ""
        except DatareeveError as error:
            state, refused = None, str(error)
        return RestoreFacts(
            backup=backup, known=len(known), damage=tuple(damage), state=state, refused=refused
        )

    def plan(self, facts: RestoreFacts) -> Plan:
        """One step that copies, recovers and starts; nothing where that server runs already."""
        blocker = self._blocker(facts)
        if blocker or facts.backup is None:
            return Plan(operation=self.name, inputs=self.inputs(), summary=blocker, blockers=(blocker,))
        target = self._target(facts.backup)
        running = f"The restored server in {target} runs already." if facts.state == "running" else ""
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=running
            or f"Restore backup {facts.backup.label} of {self.system} to {self.moment} beside production, in {target}.",
            nothing_to_do=running,
            requirements=()
            if running
            else (self._state(target, None), backups.intact(self.system, facts.backup.label, thorough=False)),
            steps=() if running else (self._step(facts.backup, target),),
            checks=(self._state(target, "running"),),
            figures={"backup_age_hours": round(facts.backup.age_hours, 2), "backups": facts.known},
        )

    def _choose(self, known: tuple[backups.Backup, ...]) -> backups.Backup | None:
        wanted = [b for b in known if self.label in {None, b.label}]
        if self.moment not in NOT_TIMES:
            wanted = [
                b for b in wanted if datetime.fromisoformat(b.finished) <= datetime.fromisoformat(self.moment)
            ]
        return wanted[-1] if wanted else None

    def _target(self, backup: backups.Backup) -> str:
        return self.target or f"{backup.label}-{re.sub('[^0-9a-z]+', '-', self.moment)}"

    def _blocker(self, facts: RestoreFacts) -> str:
        if facts.backup is None:
            named = f" {self.label}" if self.label else ""
            before = "" if self.moment in NOT_TIMES else f" that was finished before {self.moment}"
            return f"{self.system} has no backup{named}{before}; the catalogue holds {facts.known}. databases.back-up takes one."
        if facts.damage:
            return f"Backup {facts.backup.label} is damaged ({'; '.join(facts.damage[:5])}). Name another with --label."
        if self.moment not in NOT_TIMES and not facts.backup.archived:
            return f"Backup {facts.backup.label} came without archived WAL: only its own end can be restored, with moment 'immediate'."
        if facts.state in {"stopped", "unfinished"}:
            return f"A restored server stands {facts.state} in {self._target(facts.backup)}: undo the run that made it, or name another target."
        return facts.refused

    def _step(self, backup: backups.Backup, target: str) -> Step:
        arguments = {"label": backup.label, "moment": self.moment, "target": target, "port": self.port}
        return Step(
            id="restore",
            call=Call(system=self.system, action="restore_backup", arguments=arguments),
            why=f"The data as it was ({self.moment}) becomes a server of its own; production stays as it is.",
            effect=Effect.REVERSIBLE,
            probe=self._state(target, "running"),
            undo=(Call(system=self.system, action="remove_restored", arguments={"target": target}),),
            predicted=Prediction(bytes=backup.bytes, basis="the backup's size"),
            touches=(f"{self.system}:restored {target}",),
            paths=(target,) if self.target else (),
        )

    def _state(self, target: str, expected: str | None) -> Claim:
        call = Call(system=self.system, action="restored_state", arguments={"target": target})
        text = (
            f"the restored server in {target} is {expected}"
            if expected
            else f"nothing is restored in {target}"
        )
        return Claim(text=text, call=call, expected=expected)
