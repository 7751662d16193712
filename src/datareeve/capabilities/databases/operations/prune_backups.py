"""`databases.prune-backups`: old backups, and the WAL that only they need, go for good."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases import backups
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step, Systems
from datareeve.core.value import Value

NO_WAY_BACK = "IRREVERSIBLE: what was backed up there, and the moments it made restorable, are gone."


class PruneFacts(Value):
    """What pruning looks at."""

    known: tuple[backups.Backup, ...]  # of this server, oldest first
    keep: int
    old_wal: int  # archived segments that no kept backup needs


class PruneBackups(Operation[PruneFacts]):
    """Remove backups beyond the newest few, and archived WAL that no kept backup needs. This cannot be undone.

    Keeps the newest `keep` (default: what estate.yaml says for the system, else 7). WAL is removed only up to where the oldest kept
    backup begins, so every moment since then stays restorable.
    """

    name: ClassVar[str] = "databases.prune-backups"
    effect: ClassVar[Effect] = Effect.IRREVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "remove old backups",
        "free disk space taken by old backups",
        "apply the backup retention policy",
        "keep only the last seven backups",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    keep: int | None = Field(
        None, ge=1, description="how many base backups stay; default: systems.<name>.backups.keep, else 7"
    )

    def observe(self, systems: Systems) -> PruneFacts:
        """The backups of this server, how many are kept, and how much archived WAL is older than what they need."""
        system = systems[self.system]
        known = backups.catalogue(systems, self.system, system.read("backup_folder")["cluster"])
        keep = (
            self.keep or systems["estate"].read("get", where=["systems", self.system, "backups", "keep"]) or 7
        )
        first = _oldest_kept(known, keep)
        return PruneFacts(
            known=known,
            keep=keep,
            old_wal=system.read("wal_before", segment=first.wal_start) if first else 0,
        )

    def plan(self, facts: PruneFacts) -> Plan:
        """One step a backup, oldest first, then the WAL."""
        old, first = facts.known[: -facts.keep], _oldest_kept(facts.known, facts.keep)
        steps = tuple(self._backup_step(backup) for backup in old)
        if first is not None and facts.old_wal:
            steps += (self._wal_step(first),)
        quiet = (
            ""
            if steps
            else f"{len(facts.known)} backups are kept of at most {facts.keep}, and no archived WAL is older than they need."
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=quiet
            or f"Remove {len(old)} backups of {self.system} and {facts.old_wal} WAL segments, for good.",
            nothing_to_do=quiet,
            requirements=(backups.intact(self.system, first.label, thorough=False),)
            if steps and first
            else (),
            steps=steps,
            checks=tuple(step.probe for step in steps),
            figures={"backups": len(facts.known), "bytes_freed": sum(backup.bytes for backup in old)}
            if steps
            else {},
        )

    def _backup_step(self, backup: backups.Backup) -> Step:
        arguments = {"label": backup.label, "thorough": False}
        return Step(
            id=f"remove {backup.label}",
            call=Call(system=self.system, action="remove_backup", arguments={"label": backup.label}),
            why=f"It is older than the backups to keep ({backup.finished}).",
            effect=Effect.IRREVERSIBLE,
            probe=Claim(
                text=f"backup {backup.label} is gone",
                call=Call(system=self.system, action="damaged_files", arguments=arguments),
                expected=None,
            ),
            no_undo=NO_WAY_BACK,
            predicted=Prediction(bytes=backup.bytes, basis="the catalogue"),
            touches=(f"{self.system}:backups",),
        )

    def _wal_step(self, first: backups.Backup) -> Step:
        return Step(
            id=f"remove-wal before {first.wal_start}",
            call=Call(system=self.system, action="remove_wal", arguments={"before": first.wal_start}),
            why=f"Backup {first.label}, the oldest kept with an archive, begins at {first.wal_start}.",
            effect=Effect.IRREVERSIBLE,
            probe=Claim(
                text=f"no archived WAL is older than {first.wal_start}",
                call=Call(system=self.system, action="wal_before", arguments={"segment": first.wal_start}),
                expected=0,
            ),
            no_undo=NO_WAY_BACK,
            touches=(f"{self.system}:backups",),
        )


def _oldest_kept(known: tuple[backups.Backup, ...], keep: int) -> backups.Backup | None:
    """The oldest of the backups to keep that rests on the archive."""
    return next((backup for backup in known[-keep:] if backup.archived), None)
