"""What the backup operations share: what they look at, and the claims they rest on.

A *backup* is a base backup with the WAL it needs; an *archive* is the WAL written since, which makes every moment restorable (PITR); *RPO* is
how much committed work a disaster would cost, *RTO* how long the way back takes. A *drill* measures both.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import sql
from datareeve.core import clock
from datareeve.core.operation import Call, Claim, Finding
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Systems

SETTINGS = ("archive_mode", "archive_command", "archive_timeout", "wal_level", "max_wal_senders")
NO_COMMAND = {"", "(disabled)"}
MARK = "# datareeve"  # ends the archive_command that the adapter makes


class Backup(Value):
    """One entry of the catalogue."""

    label: str
    finished: str
    bytes: int
    wal_start: str
    archived: bool  # WAL since is archived: any later moment can be restored
    version_num: int
    age_hours: float


class BackupFacts(Value):
    """A server as its backups see it."""

    in_recovery: bool
    local_control: bool
    superuser: bool
    user: str
    streaming_refused: str | None
    folder: str
    free_bytes: int
    on_data_disk: bool | None
    archive_command: str  # ours, for this server
    now: dict[str, Any]  # backup_server.sql
    stored: dict[str, str | None]  # what ALTER SYSTEM has stored for SETTINGS
    backups: tuple[Backup, ...]  # of this server, oldest first
    newest_damage: tuple[str, ...] = ()

    @property
    def newest(self) -> Backup | None:
        """The backup taken last."""
        return self.backups[-1] if self.backups else None

    @property
    def archives(self) -> bool:
        """Whether the server archives to us already."""
        return bool(self.now["archive_mode"] != "off" and self.now["archive_command"] == self.archive_command)

    @property
    def archives_elsewhere(self) -> bool:
        """Whether somebody else's archiving is in place, which is left alone."""
        command = self.now["archive_command"]
        foreign = command not in NO_COMMAND and not command.endswith(MARK)
        return bool(self.now["archive_mode"] != "off" and (foreign or self.now["archive_library"]))


def look(systems: Systems, name: str) -> BackupFacts:
    """Read everything that backing up depends on."""
    system = systems[name]
    server, folder = system.read("server"), system.read("backup_folder")
    backups = catalogue(systems, name, folder["cluster"])
    damage = system.read("damaged_files", label=backups[-1].label, thorough=False) if backups else []
    return BackupFacts(
        in_recovery=server["in_recovery"],
        local_control=server["local_control"],
        superuser=server["superuser"],
        user=server["user"],
        streaming_refused=system.read("streaming_refused"),
        folder=folder["path"],
        free_bytes=folder["free_bytes"],
        on_data_disk=folder["on_data_disk"],
        archive_command=folder["archive_command"],
        now=system.read("query", sql=sql.load("backup_server"), shape="row"),
        stored={setting: system.read("setting_on_file", name=setting) for setting in SETTINGS},
        backups=backups,
        newest_damage=tuple(damage),
    )


def catalogue(systems: Systems, name: str, cluster: str | None = None) -> tuple[Backup, ...]:
    """The catalogue, oldest first; of one server where `cluster` names it. Works while the server is down."""
    entries = systems[name].read("backups")
    return tuple(
        Backup(
            **{key: entry[key] for key in Backup.model_fields if key != "age_hours"},
            age_hours=age_hours(entry["finished"]),
        )
        for entry in entries
        if cluster in {None, entry["cluster"]}
    )


def age_hours(moment: str) -> float:
    """Hours since a moment."""
    return (clock.now() - datetime.fromisoformat(moment)).total_seconds() / 3600


def intact(system: str, label: str | None, *, thorough: bool = True) -> Claim:
    """Every file of a backup (None: the newest) is as it was taken; `thorough` reads every byte."""
    how = "every byte" if thorough else "every file"
    return Claim(
        text=f"{how} of backup {label or 'taken last'} is as it was taken",
        call=Call(system=system, action="damaged_files", arguments={"label": label, "thorough": thorough}),
        expected=[],
        remedy="Take a new backup with databases.back-up.",
    )


def whole_archive(system: str, label: str | None) -> Claim:
    """No archived WAL is missing since a backup began (None: the newest)."""
    return Claim(
        text=f"the archive holds all WAL since backup {label or 'taken last'}",
        call=Call(system=system, action="missing_wal", arguments={"label": label, "thorough": True}),
        expected=[],
        remedy="Take a new backup with databases.back-up: it starts a new archive.",
    )


def archiving(system: str, command: str) -> Claim:
    """The server archives by our command."""
    arguments = {"sql": sql.load("backup_archiving"), "parameters": {"command": command}, "shape": "scalar"}
    return Claim(
        text=f"{system} archives its WAL", call=Call(system=system, action="query", arguments=arguments)
    )


def findings(system: str, facts: BackupFacts, *, point_in_time: bool) -> tuple[Finding, ...]:
    """What is wrong with where backups go and with what they can bring back."""
    found = []
    if facts.on_data_disk:
        found.append(_same_disk(system, facts))
    if not point_in_time:
        found.append(_no_point_in_time(system, facts))
    return tuple(found)


def _same_disk(system: str, facts: BackupFacts) -> Finding:
    return Finding(
        rule="backups-on-data-disk",
        subject=f"{system}: {facts.folder}",
        what="Backups are on the same disk as the data.",
        why="One broken disk takes the database and its backups together.",
        instead=f"Set systems.{system}.backups.directory in estate.yaml to a folder on another disk, then back up again.",
    )


def _no_point_in_time(system: str, facts: BackupFacts) -> Finding:
    if facts.archives_elsewhere:
        why = "Another tool archives this server's WAL; its command is left alone."
        instead = "Keep restoring moments with that tool, or take its archive_command out and back up again."
    elif facts.in_recovery:
        why, instead = "This is a standby.", "Back up the primary, which archives its own WAL."
    elif not facts.local_control:
        why = "Its WAL can be archived only by a command that runs on its own machine."
        instead = (
            f"Run Datareeve on that machine and give systems.{system}.server.data in estate.yaml; or let the server archive by itself "
            "(archive_mode = on, archive_command = your archiver's, restart)."
        )
    else:
        why, instead = (
            "The WAL archive was not asked for, or may not be set up.",
            "Run databases.back-up with point_in_time, as a superuser.",
        )
    return Finding(
        rule="no-point-in-time-recovery",
        subject=system,
        what="Only the moments of base backups can be restored: a disaster costs everything since the newest one (RPO = its age).",
        why=why,
        instead=instead,
        figures={"rpo_hours": round(facts.newest.age_hours, 2)} if facts.newest else {},
    )
