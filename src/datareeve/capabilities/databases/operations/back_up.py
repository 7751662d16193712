"""`databases.back-up`: a verified base backup, and the WAL archive that makes every later moment restorable."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases import backups, sql
from datareeve.capabilities.databases.backups import BackupFacts
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Prediction, Step, Systems

LABEL = "{run}"  # the runner puts the run's id
ROOM = 1.1  # free bytes wanted for a byte of database: WAL comes along


class BackUp(Operation[BackupFacts]):
    """Back up a PostgreSQL server.

    Takes a base backup with pg_basebackup while the database is in use, checks every byte of it against the checksums that the server sent,
    and only then lists it. On a server whose files are on this machine it first sets up WAL archiving (which restarts the server
    once where archive_mode is off), so that any later moment can be restored. Nothing is done while the newest backup is younger than
    max_age_hours. Undo removes that backup, and puts the archive's settings back.
    """

    name: ClassVar[str] = "databases.back-up"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "back up the database",
        "take a backup of production now",
        "make a base backup",
        "set up WAL archiving so that we can restore to any point in time",
        "we have no backup",
        "turn on continuous archiving",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    max_age_hours: float = Field(24.0, ge=0, description="a younger backup is enough; 0 always takes one")
    point_in_time: bool = Field(
        default=True, description="also archive WAL, where the server's files are on this machine"
    )
    archive_timeout_seconds: int = Field(
        300, ge=1, description="WAL is archived at least this often: the most work that can be lost"
    )
    rate_limit: str | None = Field(
        None, pattern=r"^\d+[kM]?$", description="read at most this much a second, as 50M; default: no limit"
    )

    def observe(self, systems: Systems) -> BackupFacts:
        """The server's archiving, rights and size, the folder's room, and the backups there are."""
        return backups.look(systems, self.system)

    def plan(self, facts: BackupFacts) -> Plan:
        """Archiving where it is missing, then a base backup where the newest is too old."""
        missing = self._missing_settings(facts)
        archived = facts.archives or bool(missing)
        blockers = self._blockers(facts)
        steps = self._steps(facts, missing, archived=archived, blocked=bool(blockers))
        quiet = "" if steps or blockers else self._quiet(facts)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Back up {self.system} into {facts.folder}." if steps else quiet or blockers[0],
            nothing_to_do=quiet,
            requirements=self._requirements(facts, steps),
            steps=steps,
            checks=self._checks(facts, steps, archived=archived),
            findings=self._findings(facts, archived=archived),
            figures=self._figures(facts),
            blockers=blockers,
        )

    # -- deciding ----------------------------------------------------------------------------------------------

    def _missing_settings(self, facts: BackupFacts) -> dict[str, str | None]:
        """The settings that archiving needs and the server has not; none where it is not ours to set up."""
        if (
            not (self.point_in_time and facts.local_control and facts.superuser)
            or facts.in_recovery
            or facts.archives_elsewhere
        ):
            return {}
        timeout = facts.now["archive_timeout_seconds"]
        wanted: dict[str, str | None] = {}
        if not facts.archives:
            wanted |= {"archive_mode": "on", "archive_command": facts.archive_command}
        if timeout == 0 or timeout > self.archive_timeout_seconds:
            wanted["archive_timeout"] = f"{self.archive_timeout_seconds}s"
        if facts.now["wal_level"] == "minimal":
            wanted["wal_level"] = "replica"
        if facts.now["max_wal_senders"] == 0:
            wanted["max_wal_senders"] = "10"
        return wanted

    def _enough(self, facts: BackupFacts, *, archived: bool) -> bool:
        newest = facts.newest
        return (
            newest is not None
            and not facts.newest_damage
            and newest.age_hours < self.max_age_hours
            and newest.archived >= archived
        )

    def _blockers(self, facts: BackupFacts) -> tuple[str, ...]:
        blockers = []
        senderless = facts.now["max_wal_senders"] == 0 and facts.local_control and facts.superuser
        if facts.streaming_refused and not senderless:
            blockers.append(
                f"{facts.user} may not stream a base backup ({facts.streaming_refused}). As a superuser: "
                f"ALTER ROLE {sql.identifier(facts.user)} REPLICATION; and in pg_hba.conf: host replication {facts.user} <address>/32 scram-sha-256"
            )
        needed = int((facts.now["bytes"] or 0) * ROOM)
        if needed > facts.free_bytes and not self._enough(facts, archived=facts.archives):
            blockers.append(
                f"backup.disk: a backup needs about {needed:,} bytes and {facts.folder} has {facts.free_bytes:,} free. "
                f"Free space, or set systems.{self.system}.backups.directory to a larger disk."
            )
        return tuple(blockers)

    def _quiet(self, facts: BackupFacts) -> str:
        newest = facts.newest
        return (
            f"Backup {newest.label if newest else ''} is whole and younger than {self.max_age_hours:g} hours."
        )

    # -- steps ---------------------------------------------------------------------------------------------------

    def _steps(
        self, facts: BackupFacts, missing: dict[str, str | None], *, archived: bool, blocked: bool
    ) -> tuple[Step, ...]:
        if blocked:
            return ()
        archive = (self._archive_step(facts, missing),) if missing else ()
        backup = () if self._enough(facts, archived=archived) else (self._backup_step(facts),)
        return archive + backup

    def _archive_step(self, facts: BackupFacts, missing: dict[str, str | None]) -> Step:
        before = {name: facts.stored[name] for name in missing}
        restarts = missing.keys() >= {"archive_mode"} and facts.now["archive_mode"] == "off"
        return Step(
            id="archive-wal",
            call=Call(system=self.system, action="configure", arguments={"settings": missing}),
            why="Archived WAL makes every moment after a base backup restorable."
            + (" The server restarts once." if restarts else ""),
            effect=Effect.REVERSIBLE,
            probe=self._archives(facts) if "archive_command" in missing else self._timeout(),
            undo=(Call(system=self.system, action="configure", arguments={"settings": before}),),
            touches=(f"{self.system}:settings",),
            restarts=restarts or bool(missing.keys() & {"wal_level", "max_wal_senders"}),
        )

    def _backup_step(self, facts: BackupFacts) -> Step:
        return Step(
            id="base-backup",
            call=Call(
                system=self.system,
                action="base_backup",
                arguments={"label": LABEL, "rate_limit": self.rate_limit},
            ),
            why="A whole copy of the server, taken while it works; checked byte for byte before it is listed.",
            effect=Effect.REVERSIBLE,
            probe=backups.intact(self.system, LABEL, thorough=False),
            undo=(Call(system=self.system, action="remove_backup", arguments={"label": LABEL}),),
            predicted=Prediction(bytes=facts.now["bytes"], basis="pg_tablespace_size"),
            touches=(f"{self.system}:backups",),
        )

    # -- what it rests on, and what shows that it is done -------------------------------------------------------

    def _requirements(self, facts: BackupFacts, steps: tuple[Step, ...]) -> tuple[Claim, ...]:
        if any(step.id == "archive-wal" for step in steps):
            return (self._mode(facts.now["archive_mode"]),)
        return ()

    def _checks(self, facts: BackupFacts, steps: tuple[Step, ...], *, archived: bool) -> tuple[Claim, ...]:
        taken = any(step.id == "base-backup" for step in steps)
        label = LABEL if taken else facts.newest.label if facts.newest else None
        if label is None:
            return ()
        pitr = (self._archives(facts), backups.whole_archive(self.system, label)) if archived else ()
        return (backups.intact(self.system, label), *pitr)

    def _archives(self, facts: BackupFacts) -> Claim:
        return backups.archiving(self.system, facts.archive_command)

    def _mode(self, value: str) -> Claim:
        arguments = {"sql": "SELECT current_setting('archive_mode')", "shape": "scalar"}
        call = Call(system=self.system, action="query", arguments=arguments)
        return Claim(text=f"archive_mode is {value}", call=call, expected=value)

    def _timeout(self) -> Claim:
        call = Call(
            system=self.system,
            action="query",
            arguments={"sql": sql.load("backup_timeout"), "shape": "scalar"},
        )
        text = f"WAL is archived at least every {self.archive_timeout_seconds} s"
        return Claim(text=text, call=call, expected=self.archive_timeout_seconds, comparison="at_most")

    def _findings(self, facts: BackupFacts, *, archived: bool) -> tuple[Finding, ...]:
        return backups.findings(self.system, facts, point_in_time=archived) + self._not_allowed(
            facts, archived=archived
        )

    def _not_allowed(self, facts: BackupFacts, *, archived: bool) -> tuple[Finding, ...]:
        """Archiving that we could set up with more rights: the statements to paste."""
        ours = facts.local_control and not facts.archives_elsewhere and not facts.in_recovery
        if archived or not (self.point_in_time and ours) or facts.superuser:
            return ()
        command = facts.archive_command.replace("'", "''")
        return (
            Finding(
                rule="archiving-needs-superuser",
                subject=self.system,
                what=f"{facts.user} may not change the server's settings, so WAL is not archived.",
                instead=f"As a superuser: ALTER SYSTEM SET archive_mode = 'on'; ALTER SYSTEM SET archive_command = '{command}'; "
                f"ALTER SYSTEM SET archive_timeout = '{self.archive_timeout_seconds}s'; then restart the server, and back up again.",
            ),
        )

    @staticmethod
    def _figures(facts: BackupFacts) -> dict[str, float | int]:
        known = {"backups": len(facts.backups), "database_bytes": facts.now["bytes"] or 0}
        return (
            {**known, "newest_backup_age_hours": round(facts.newest.age_hours, 2)}
            if facts.newest
            else dict(known)
        )
