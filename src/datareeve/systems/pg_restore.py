"""Restoring a PostgreSQL backup beside production, and drills that prove it can be done.

A restored server has a folder of its own: `restore.json` (what it is; nothing is removed without it), `data`, `tablespaces`, `server.log`.
It never archives, never subscribes, runs no jobs of extensions that can be told so, and is managed through a Unix socket in a folder that
only its OS user can enter.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from datareeve.core import clock
from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused
from datareeve.systems import pg_backup, pg_compare, pg_server
from datareeve.systems.pg_server import LocalServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.systems.postgres import Postgres

RECORD = "restore.json"
NOT_REACHED = "recovery ended before configured recovery target was reached"
SOCKET_PORT = 5432  # names the socket of a server that takes no TCP connections
LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A restored server: its folder, the socket's folder, the port, and how to log in."""

    place: Path
    socket: Path
    port: int | None
    server: LocalServer
    login: dict[str, Any]  # user and dbname

    def connect(self) -> psycopg.Connection[dict[str, Any]]:
        """A connection through the socket."""
        return psycopg.connect(
            host=str(self.socket),
            port=self.port or SOCKET_PORT,
            row_factory=dict_row,
            autocommit=True,
            **self.login,
        )


# -- restoring -----------------------------------------------------------------------------------------------


def restore_backup(
    system: Postgres, label: str, moment: str, target: str, *, port: int | None
) -> dict[str, Any]:
    """Restore beside production, and leave the server running on loopback. A complete one of the same label and moment stays as it is.

    `moment`: 'latest', 'immediate' (where the backup became consistent), or ISO 8601 with a time zone.
    Errors: `restore.occupied`, `restore.production`, `backup.damaged`, `backup.wal-gap`, `restore.not-reached`, `restore.failed`.
    """
    place = target_folder(system, target)
    record = _record(place)
    if (
        record
        and (record["label"], record["moment"]) == (label, moment)
        and restored_state(system, target) == "running"
    ):
        return {"port": record["port"], "socket": record["socket"], "bytes": 0}
    _destroy(system, place)
    # A gap does not stand in the way of a moment before it; recovery itself says where it cannot reach one.
    entry = require_sound(system, label, replays_all=moment == "latest")
    figures, _ = restore(system, entry, moment, place, port=port or pg_server.free_port())
    return figures


def target_folder(system: Postgres, target: str) -> Path:
    """Where a restore goes: below the backup folder unless absolute. Errors: `Refused` `restore.production`, `restore.occupied`."""
    place = (pg_backup.folder(system) / "restored" / target).resolve()
    data = system.local_server.data.resolve() if system.local_server else None
    if data and (place.is_relative_to(data) or data.is_relative_to(place)):
        raise Refused(
            "restore.production",
            f"{place} is where {system.name} itself lives.",
            "Restore into a new folder.",
        )
    if place.exists() and any(place.iterdir()) and _record(place) is None:
        raise Refused(
            "restore.occupied",
            f"{place} holds files that no restore made.",
            "Restore into a new or empty folder.",
        )
    return place


def restored_state(system: Postgres, target: str) -> str | None:
    """'running', 'stopped' or 'unfinished'; None where nothing was restored there."""
    place = target_folder(system, target)
    record = _record(place)
    if record is None:
        return None
    restored = _restored(system, place, record)
    if not restored.server.running():
        return "stopped" if record["finished"] else "unfinished"
    return "running" if _promoted(restored) else "unfinished"


def remove_restored(system: Postgres, target: str) -> dict[str, Any]:
    """Stop a restored server and remove its folder and socket. Errors: `Refused` where no restore made that folder."""
    _destroy(system, target_folder(system, target))
    return {}


def restore(
    system: Postgres, entry: dict[str, Any], moment: str, place: Path, *, port: int | None = None
) -> tuple[dict[str, Any], Restored]:
    """Copy, recover, promote. Gives figures {seconds, bytes, port, socket, recovered_to} and the server.

    Without a port it takes no TCP connections.
    """
    began = time.monotonic()
    restored = _prepare(system, entry, moment, place, port=port)
    _copy(system, entry, place)
    _set_up(system, entry, moment, restored)
    _start(restored)
    record = {**(_record(place) or {}), "finished": clock.stamp()}
    pg_backup.write_json(place / RECORD, record)
    with restored.connect() as connection:
        row = connection.execute("SELECT pg_last_xact_replay_timestamp() AS at").fetchone() or {}
    recovered_to = row["at"].isoformat() if row.get("at") else None
    seconds = round(time.monotonic() - began, 3)
    return {
        "seconds": seconds,
        "bytes": entry["bytes"],
        "port": port,
        "socket": str(restored.socket),
        "recovered_to": recovered_to,
    }, restored


def require_sound(system: Postgres, label: str | None, *, replays_all: bool) -> dict[str, Any]:
    """The catalogue's entry, once every byte of it, and of all WAL archived since, was read and found as it was taken."""
    entry = pg_backup.find(system, label)
    if entry is None:
        raise BadInput(
            "backup.unknown",
            f"{system.name} has no backup {label or 'at all'}.",
            "`databases.back-up` takes one.",
        )
    if damaged := pg_backup.damaged_files(system, entry["label"], thorough=True):
        raise Failed(
            "backup.damaged",
            f"Backup {entry['label']} is damaged: {'; '.join(damaged[:5])}.",
            "Back up again, and look at that disk.",
        )
    if replays_all and (gaps := pg_backup.missing_wal(system, entry["label"], thorough=True)):
        raise Failed(
            "backup.wal-gap",
            f"Archived WAL is not whole: {'; '.join(gaps[:5])}.",
            "Back up again; until then, restore to a moment before the gap.",
        )
    return entry


def _prepare(
    system: Postgres, entry: dict[str, Any], moment: str, place: Path, *, port: int | None
) -> Restored:
    if not entry["archived"] and moment not in {"latest", "immediate"}:
        raise BadInput(
            "restore.no-archive",
            f"Backup {entry['label']} came without archived WAL.",
            "It restores to its own end alone: moment 'immediate'.",
        )
    for parent in reversed(place.parents):
        if not parent.exists():
            pg_server.make_folder(parent, pg_backup.owner(system))
    pg_server.make_folder(place, pg_backup.owner(system))
    place.chmod(0o700)
    if shutil.disk_usage(place).free < entry["bytes"]:
        raise BadInput(
            "restore.disk",
            f"The restore needs {entry['bytes']:,} bytes; {place} has less.",
            "Give a target on a larger disk.",
        )
    socket = Path(tempfile.mkdtemp(prefix="datareeve-"))
    pg_server.make_folder(socket, pg_backup.owner(system))
    record = {
        "label": entry["label"],
        "moment": moment,
        "port": port,
        "socket": str(socket),
        "finished": None,
        "version_num": entry["version_num"],
    }
    pg_backup.write_json(place / RECORD, record)
    return _restored(system, place, record)


def _copy(system: Postgres, entry: dict[str, Any], place: Path) -> None:
    source = pg_backup.folder(system) / "base" / entry["label"]
    parts = [str(source / part) for part in ("data", "tablespaces") if (source / part).exists()]
    pg_server.run_as(pg_backup.owner(system), ["cp", "-a", "--reflink=auto", *parts, str(place)])
    for link in (place / "data" / "pg_tblspc").iterdir():
        if link.is_symlink():
            link.unlink()
            link.symlink_to(place / "tablespaces" / link.name)


def _set_up(system: Postgres, entry: dict[str, Any], moment: str, restored: Restored) -> None:
    """Its own configuration, appended where the last word counts, so that nothing of production's is touched or joined."""
    data = restored.place / "data"
    settings = {
        **ISOLATED,
        "listen_addresses": "127.0.0.1" if restored.port else "",
        "port": str(restored.port or SOCKET_PORT),
        "unix_socket_directories": str(restored.socket),
    }
    settings |= _recovery(system, entry, moment)
    absent = not (data / "postgresql.conf").exists()  # Debian keeps it elsewhere
    _append(data / "postgresql.conf", entry["settings"] if absent else {})
    _append(data / "postgresql.auto.conf", settings)
    # Logins over TCP need the password that came along; md5 also stands for SCRAM, by what is stored.
    hosts = "host all all 127.0.0.1/32 md5\n" if restored.port else ""
    (restored.place / "pg_hba.conf").write_text(f"local all all trust\n{hosts}")
    (restored.place / "pg_ident.conf").write_text("")
    if entry["archived"]:
        (data / "recovery.signal").touch()


# What keeps a restored server from acting on the world, and from taking production's memory.
ISOLATED = {
    "archive_mode": "off",
    "autovacuum": "off",
    "cluster_name": "datareeve restore",
    "cron.launch_active_jobs": "off",
    "external_pid_file": "",
    "hot_standby": "off",
    "huge_pages": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "max_logical_replication_workers": "0",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "shared_buffers": "128MB",
    "ssl": "off",
    "synchronous_standby_names": "",
}


def _recovery(system: Postgres, entry: dict[str, Any], moment: str) -> dict[str, str]:
    if not entry["archived"]:
        return {}
    common = {
        "restore_command": pg_backup.restore_command(pg_backup.folder(system) / "wal" / entry["cluster"]),
        "recovery_target_action": "promote",
    }
    if moment == "latest":
        return common
    if moment == "immediate":
        return {**common, "recovery_target": "immediate"}
    if LSN.fullmatch(moment):
        return {**common, "recovery_target_lsn": moment, "recovery_target_inclusive": "off"}
    return {**common, "recovery_target_time": datetime.fromisoformat(moment).isoformat(sep=" ")}


def _append(path: Path, settings: dict[str, str]) -> None:
    """Add settings to a configuration file, and take out the target of an earlier recovery: two are an error, even an empty one."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if not line.lstrip().startswith("recovery_target")]
    added = [f"{name} = {_quoted(value)}" for name, value in settings.items()]
    path.write_text("\n".join([*kept, *added, ""]), encoding="utf-8")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _start(restored: Restored) -> None:
    """Start, and wait for as long as recovery takes: until it is promoted, or has ended."""
    server, place = restored.server, restored.place
    places = {
        "data_directory": server.data,
        "hba_file": place / "pg_hba.conf",
        "ident_file": place / "pg_ident.conf",
    }
    options = " ".join(f"-c {name}={shlex.quote(str(path))}" for name, path in places.items())
    log = place / "server.log"
    pg_server.run_as(
        server.os_user,
        [str(server.bin / "pg_ctl"), "start", "-W", "-l", str(log), "-D", str(server.data), "-o", options],
    )
    began = time.monotonic()
    while not _promoted(restored):
        # The postmaster writes its pid file a moment after pg_ctl has returned.
        if time.monotonic() - began > 1 and not server.running():
            raise _why_not(log)
        time.sleep(0.02)


def _promoted(restored: Restored) -> bool:
    try:
        with restored.connect() as connection:
            row = connection.execute("SELECT NOT pg_is_in_recovery() AS promoted").fetchone()
    except psycopg.OperationalError:
        return False
    return bool(row and row["promoted"])


def _why_not(log: Path) -> Failed:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    fatal = [line.split("FATAL:", 1)[1].strip() for line in lines if "FATAL:" in line]
    if any(NOT_REACHED in line for line in fatal):
        return Failed(
            "restore.not-reached",
            "The archived WAL ends before the moment asked.",
            "Ask for an earlier moment, or for 'latest'.",
        )
    said = next(
        (line for line in reversed(fatal) if "the database system is" not in line), "it ended without a word"
    )
    return Failed(
        "restore.failed", f"The restored server did not come up: {said[:200]}.", "Try another backup."
    )


def _record(place: Path) -> dict[str, Any] | None:
    path = place / RECORD
    return json.loads(path.read_text()) if path.exists() else None


def _restored(system: Postgres, place: Path, record: dict[str, Any]) -> Restored:
    known = conninfo_to_dict(system.entry.url)
    login = {key: known[key] for key in ("user", "dbname") if known.get(key)}
    server = LocalServer(
        data=place / "data",
        bin=_binaries(system, record["version_num"] // 10000),
        os_user=pg_backup.owner(system),
    )
    return Restored(
        place=place, socket=Path(record["socket"]), port=record["port"], server=server, login=login
    )


def _binaries(system: Postgres, major: int) -> Path:
    """Server binaries of the very version that wrote the backup. Errors: `BadInput` `postgres.no-binaries`."""
    candidates = [
        system.local_server.bin if system.local_server else None,
        pg_server.find_binaries(major),
        pg_server.embedded_binaries(),
    ]
    for folder in candidates:
        if folder is not None and pg_server.version_of(folder) == major:
            return pg_server.reachable_binaries(folder)
    raise BadInput(
        "postgres.no-binaries",
        f"No PostgreSQL {major} is installed here to restore with.",
        f"Install your system's postgresql-{major} package.",
    )


def _destroy(system: Postgres, place: Path) -> None:
    record = _record(place)
    if record is None:
        return
    restored = _restored(system, place, record)
    if (restored.server.data / "postmaster.pid").exists():
        with contextlib.suppress(Failed):  # a stale pid file: nothing to stop
            restored.server.stop("immediate")
    shutil.rmtree(restored.socket, ignore_errors=True)
    for part in ("data", "tablespaces"):
        pg_backup.remove_tree(place / part)
    pg_backup.remove_tree(place)  # the record goes last, so that a killed removal can be done again


# -- drills --------------------------------------------------------------------------------------------------


def drill(system: Postgres, name: str, label: str | None, *, exact_up_to_bytes: int) -> dict[str, Any]:
    """Restore to a moment of now, compare with production as it was at that moment, destroy, and record what was found.

    Gives {rpo_seconds, rpo_at_most_seconds, rto_seconds, tables, rows_compared, differing, ...}. Errors: those of `restore`; `drill.differs`.
    """
    drills = pg_backup.make_folders(system) / "drills"
    for left in drills.glob("*/"):  # a killed drill's server
        _destroy(system, left)
    record: dict[str, Any] = {"drill": pg_backup.checked_label(name), "started": clock.stamp()}
    try:
        record |= _drill(system, drills / name, label, exact_up_to_bytes)
        record["verdict"] = _verdict(record)
    except DatareeveError as error:
        record["verdict"] = f"{error.code}: {error.what}"
        raise
    finally:
        _destroy(system, drills / name)
        pg_backup.write_json(
            drills / f"{name}.json", {"verdict": "interrupted", **record, "ended": clock.stamp()}
        )
    if record["verdict"] != "passed":
        raise Failed(
            "drill.differs",
            f"The restored {system.name} is not as production was: {record['verdict']}.",
            "Do not rely on this backup; back up again and drill again.",
        )
    return {
        key: value
        for key, value in record.items()
        if key not in {"drill", "started", "verdict", "differing_tables"}
    }


def _drill(system: Postgres, place: Path, label: str | None, limit: int) -> dict[str, Any]:
    began = time.monotonic()
    entry = _sound_backup(system, label)
    check_seconds = time.monotonic() - began  # a real recovery checks the backup, too
    archived = entry["archived"]
    then = pg_compare.production(system, limit)
    archive_seconds = _archive_now(system, entry["cluster"]) if archived else None
    moment = then.lsn if archived else "immediate"
    with _temporary(system, entry, moment, place) as (figures, restored):  # noqa: SIM117 - errors of the comparison alone
        with restored.connect() as connection, system.translated():
            found = pg_compare.compare(then, connection, exact=archived)
    last = datetime.fromisoformat(figures["recovered_to"] or entry["started"])
    return {
        "label": entry["label"],
        "bytes": entry["bytes"],
        "rto_seconds": round(check_seconds + figures["seconds"], 3),
        "rpo_seconds": round(max((then.at - last).total_seconds(), 0.0), 3),
        "rpo_at_most_seconds": _longest_loss(system, archive_seconds),
        "point_in_time": archived,
        **found,
    }


def _sound_backup(system: Postgres, label: str | None) -> dict[str, Any]:
    newest = pg_backup.find(system, label, pg_backup.cluster_of(system))
    if newest is None:
        what = f"{system.name} has no such backup of this server to drill with."
        raise BadInput("backup.unknown", what, "`databases.back-up` takes one.")
    return require_sound(system, newest["label"], replays_all=True)


def _longest_loss(system: Postgres, archive_seconds: float | None) -> float | None:
    """How old unarchived work can get: archive_timeout, and the time a segment takes. None: without a limit."""
    timeout = "SELECT setting::int FROM pg_settings WHERE name = 'archive_timeout'"
    open_seconds = system.query(timeout, shape="scalar")
    return round(open_seconds + archive_seconds, 3) if archive_seconds is not None and open_seconds else None


@contextlib.contextmanager
def _temporary(
    system: Postgres, entry: dict[str, Any], moment: str, place: Path
) -> Iterator[tuple[dict[str, Any], Restored]]:
    try:
        yield restore(system, entry, moment, place)
    finally:
        _destroy(system, place)


def _archive_now(system: Postgres, cluster: str) -> float:
    """Close the WAL segment of this moment and wait until it is archived; gives the seconds that took."""
    with system.connect(application_name="datareeve/drill") as connection, system.translated():
        # A record after the moment, without which recovery could not tell that the moment has been reached.
        connection.execute("SELECT pg_logical_emit_message(false, 'datareeve', 'drill')")
        row = connection.execute("SELECT pg_walfile_name(pg_switch_wal()) AS segment").fetchone() or {}
    return pg_backup.wait_archived(system, cluster, row["segment"])


def _verdict(record: dict[str, Any]) -> str:
    if record["differing"]:
        return f"{record['differing']} tables differ: {', '.join(record['differing_tables'])}"
    if not record["marker_restored"] and record["point_in_time"]:
        return "the last commit before the moment is not there"
    return "passed"


def last_drill(system: Postgres) -> dict[str, Any] | None:
    """The record that ended last."""
    records = [json.loads(path.read_text()) for path in (pg_backup.folder(system) / "drills").glob("*.json")]
    return max(records, key=lambda record: str(record["ended"]), default=None)


def drill_verdict(system: Postgres, drill: str | None) -> str | None:
    """The verdict of one drill, or of the last."""
    if drill is None:
        record = last_drill(system)
        return str(record["verdict"]) if record else None
    path = pg_backup.folder(system) / "drills" / f"{pg_backup.checked_label(drill)}.json"
    return str(json.loads(path.read_text())["verdict"]) if path.exists() else None


def remove_drill(system: Postgres, drill: str) -> dict[str, Any]:
    """Destroy what a drill left, and its record."""
    drills = pg_backup.folder(system) / "drills"
    _destroy(system, drills / pg_backup.checked_label(drill))
    (drills / f"{drill}.json").unlink(missing_ok=True)
    return {}
