"""Backups of a PostgreSQL server: base backups by pg_basebackup and, for a server under local control, archived WAL.

A backup is written as `<label>.partial`, checked byte for byte against the manifest that the server sent, and only then renamed: what the
catalogue lists is whole. Below the system's backup folder:

    base/<label>/data          the data directory      base/<label>/checksums     for `sha256sum -c checksums`
    base/<label>/tablespaces   by oid, if any          base/<label>/backup.json   the catalogue's entry
    wal/<cluster>/<segment>.gz archived WAL            drills/<drill>.json        what restore drills found

`cluster` is the server's system identifier: a server made anew under an old name never mixes its WAL with its predecessor's.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shlex
import shutil
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import make_conninfo

from datareeve.core import clock
from datareeve.core.errors import BadInput, Failed
from datareeve.systems import pg_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.systems.postgres import Postgres

ARCHIVE_SECONDS = 60  # how long one WAL segment may take to be archived
SHOWN = 20  # names that an answer lists at most
MARK = "# datareeve"  # ends our archive_command
ENTRY = "backup.json"
CHECKSUMS = "checksums"
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
SEGMENT = re.compile(r"[0-9A-F]{24}")

# What a restored server must be at least as large in, and load, to replay this server's WAL.
KEPT_SETTINGS = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
    "shared_preload_libraries",
)


# -- where ---------------------------------------------------------------------------------------------------


def folder(system: Postgres) -> Path:
    """The folder of this system's backups: as the estate says, or where the server's OS user can go instead."""
    settings = system.entry.backups
    wanted = system.project / (settings.directory if settings else f".datareeve/backups/{system.name}")
    return pg_server.server_folder(wanted)


def owner(system: Postgres) -> str | None:
    """The OS user that owns backups and runs restored servers; None: ours."""
    return system.local_server.os_user if system.local_server else pg_server.service_user()


def describe_folder(system: Postgres) -> dict[str, Any]:
    """Where backups go, how WAL gets there, and how much room there is."""
    path = folder(system)
    cluster = cluster_of(system)
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    data = system.local_server.data if system.local_server else None
    return {
        "path": str(path),
        "cluster": cluster,
        "archive_command": archive_command(path / "wal" / cluster),
        "free_bytes": shutil.disk_usage(there).free,
        "on_data_disk": there.stat().st_dev == data.stat().st_dev if data and data.exists() else None,
    }


def cluster_of(system: Postgres) -> str:
    """The server's system identifier, which initdb made."""
    return str(system.query("SELECT system_identifier::text FROM pg_control_system()", shape="scalar"))


def archive_command(wal: Path) -> str:
    """The shell command that archives one WAL segment: compressed, synced, renamed; never over another file.

    A segment that is there already is compared: the server asks again for one after a crash. The folder stands in it once: before
    version 16 the server cuts what is longer than 1,023 bytes.
    """
    return (
        f'd={_in_command(f"{wal}/")}; f="%f"; if test -f "$d$f.gz"; then gzip -dc "$d$f.gz" | cmp -s - "%p"; '
        'else gzip -1 -c < "%p" > "$d$f.partial" && sync "$d$f.partial" && mv "$d$f.partial" "$d$f.gz" && sync "$d"; '
        f"fi {MARK}"
    )


def restore_command(wal: Path) -> str:
    """The shell command that brings one archived WAL segment back; fails where it is not there."""
    return f'gzip -dc < {_in_command(f"{wal}/")}%f.gz > "%p"'


def _in_command(text: str) -> str:
    """A text within archive_command or restore_command: quoted for the shell, and its % for the server."""
    return shlex.quote(text).replace("%", "%%")


def make_folders(system: Postgres) -> Path:
    """The backup folder with its parts, which only the server's OS user can enter."""
    path = folder(system)
    pg_server.make_folder(path, None)
    for part in ("base", "wal", f"wal/{cluster_of(system)}", "drills", "restored"):
        pg_server.make_folder(path / part, owner(system))
        (path / part).chmod(0o700)
    return path


# -- settings ------------------------------------------------------------------------------------------------


def configure(system: Postgres, settings: dict[str, str | None], *, run: str) -> dict[str, Any]:
    """Store settings, reload, and restart where one of them asks for it. A server that does not come up gets them back as they were."""
    make_folders(system)
    auto = system.control().data / "postgresql.auto.conf"
    before = auto.read_bytes()
    for name, value in settings.items():
        system.alter_system(name, value, run=run)
    system.reload(run=run)
    pending = "SELECT count(*) FROM pg_settings WHERE pending_restart AND name = ANY(%(names)s)"
    if not system.query(pending, {"names": list(settings)}, shape="scalar"):
        return {"restarted": False}
    try:
        return {"restarted": True, **system.restart(run=run)}
    except Failed:
        auto.write_bytes(before)
        system.control().start()
        raise


def streaming_refused(system: Postgres) -> str | None:
    """Why this role cannot stream a base backup: the server's refusal of a replication connection. None where it can."""
    try:
        with system.connect(replication="true") as connection:
            connection.pgconn.exec_(b"IDENTIFY_SYSTEM")
    except (BadInput, Failed) as error:
        # The server answers other connections, so that it is there: what it refused is replication.
        refused = error.code == "postgres.unreachable"
        return "the server refuses a replication connection" if refused else f"{error.code}: {error.what}"
    return None


# -- taking --------------------------------------------------------------------------------------------------


def base_backup(system: Postgres, label: str, *, mark: str, rate_limit: str | None = None) -> dict[str, Any]:
    """Take, check and catalogue a base backup. A complete one of that label is left as it is; a half-made one is taken anew.

    `rate_limit`: at most that much a second ('50M'). Errors: `backup.disk`, `backup.damaged`, `backup.not-archived`.
    """
    base = make_folders(system) / "base"
    final, partial = base / checked_label(label), base / f"{label}.partial"
    if not (final / ENTRY).exists():
        remove_tree(partial)
        _require_room(system, base)
        try:
            entry = _take(system, label, partial, mark=mark, rate_limit=rate_limit)
            write_json(partial / ENTRY, entry)
            partial.rename(final)
            _sync(base)
        except BaseException:
            remove_tree(partial)
            raise
    entry = json.loads((final / ENTRY).read_text())
    if entry["archived"]:
        wait_archived(system, entry["cluster"], entry["wal_end"])
    return {key: entry[key] for key in ("label", "bytes", "files", "wal_start", "started", "finished")}


def checked_label(label: str) -> str:
    """The label, where it can be a folder's name. Errors: `BadInput` `backup.label`."""
    if not LABEL.fullmatch(label) or label.endswith(".partial"):
        raise BadInput(
            "backup.label",
            "That is not a backup's label.",
            "Use letters, digits, dot, dash and underscore, at most 63.",
        )
    return label


def _require_room(system: Postgres, base: Path) -> None:
    needed = int(system.query(SIZE_SQL, shape="scalar") or 0)
    free = shutil.disk_usage(base).free
    if needed > free:
        raise BadInput(
            "backup.disk",
            f"A backup of {system.name} needs about {needed:,} bytes; {base} has {free:,} free.",
            f"Free space, or set systems.{system.name}.backups.directory to a larger disk.",
        )


def _take(
    system: Postgres, label: str, partial: Path, *, mark: str, rate_limit: str | None
) -> dict[str, Any]:
    started = clock.stamp()
    cluster = cluster_of(system)
    command = archive_command(folder(system) / "wal" / cluster)
    archived = bool(system.query(ARCHIVING_SQL, {"command": command}, shape="scalar"))
    pg_server.make_folder(partial, owner(system))
    _pg_basebackup(system, label, partial, mark=mark, rate_limit=rate_limit)
    manifest = json.loads((partial / "data" / "backup_manifest").read_text())
    sums = digests(partial)
    _compare_with_manifest(sums, manifest)
    lines = "".join(f"{digest}  {path}\n" for path, (digest, _) in sorted(sums.items()))
    (partial / CHECKSUMS).write_text(lines)
    wal = manifest["WAL-Ranges"][-1]
    server = system.read("server")
    segment_bytes = int(
        system.query("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'", shape="scalar")
    )
    return {
        "label": label,
        "cluster": cluster,
        "started": started,
        "finished": clock.stamp(),
        "verified": clock.stamp(),
        "bytes": sum(size for _, size in sums.values()),
        "files": len(sums),
        "checksums": hashlib.sha256(lines.encode()).hexdigest(),
        "wal_start": segment_of(wal["Timeline"], wal["Start-LSN"], segment_bytes),
        "wal_end": segment_of(wal["Timeline"], wal["End-LSN"], segment_bytes, ends=True),
        "segment_bytes": segment_bytes,
        "archived": archived,
        "version_num": server["version_num"],
        "version": server["version"],
        "settings": {
            name: system.query("SELECT current_setting(%(name)s)", {"name": name}, shape="scalar")
            for name in KEPT_SETTINGS
        },
    }


# The bytes that a base backup copies, as far as this role may know them.
SIZE_SQL = """
SELECT sum(pg_tablespace_size(oid)) FROM pg_tablespace
 WHERE spcname = 'pg_default' OR has_tablespace_privilege(oid, 'CREATE') OR pg_has_role('pg_read_all_stats', 'USAGE')
"""
# Whether the server archives by this very command.
ARCHIVING_SQL = (
    "SELECT current_setting('archive_mode') <> 'off' AND current_setting('archive_command') = %(command)s"
)
TABLESPACES_SQL = """
SELECT oid::text AS oid, pg_tablespace_location(oid) AS location
  FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%'
"""


def _pg_basebackup(system: Postgres, label: str, partial: Path, *, mark: str, rate_limit: str | None) -> None:
    tool = pg_server.tool(system, "pg_basebackup")
    command = [
        str(tool),
        "--pgdata",
        str(partial / "data"),
        "--format=plain",
        "--wal-method=stream",
        "--checkpoint=fast",
    ]
    command += ["--manifest-checksums=SHA256", "--no-password", f"--label={label}"]
    command += [f"--max-rate={rate_limit}"] if rate_limit else []
    for space in system.query(TABLESPACES_SQL):
        pg_server.make_folder(partial / "tablespaces", owner(system))
        old, new = (
            str(path).replace("=", "\\=")
            for path in (space["location"], partial / "tablespaces" / space["oid"])
        )
        command.append(f"--tablespace-mapping={old}={new}")
    # The mark lets `settle` end the streaming sessions of a worker that was killed.
    command += ["--dbname", make_conninfo(system.entry.url, application_name=mark)]
    password = system.password.reveal() if system.password else None
    with pg_server.password_file(system.entry.url, password, owner(system)) as env:
        pg_server.run_as(owner(system), command, env=env)


def wait_archived(system: Postgres, cluster: str, segment: str) -> float:
    """Wait until a segment is archived; gives the seconds. Errors: `Failed` `backup.not-archived`."""
    began = time.monotonic()
    while not (folder(system) / "wal" / cluster / f"{segment}.gz").exists():
        if time.monotonic() - began > ARCHIVE_SECONDS:
            raise Failed(
                "backup.not-archived",
                f"{system.name} did not archive WAL segment {segment} within {ARCHIVE_SECONDS} s.",
                "SELECT * FROM pg_stat_archiver and the server's log tell why the archive_command fails.",
            )
        time.sleep(0.02)
    return time.monotonic() - began


# -- looking -------------------------------------------------------------------------------------------------


def catalogue(system: Postgres) -> list[dict[str, Any]]:
    """Every complete base backup, oldest first."""
    entries = [
        json.loads(path.read_text())
        for path in (folder(system) / "base").glob(f"*/{ENTRY}")
        if path.parent.suffix != ".partial"
    ]
    return sorted(entries, key=lambda entry: str(entry["finished"]))


def find(system: Postgres, label: str | None, cluster: str | None = None) -> dict[str, Any] | None:
    """The catalogue's entry of a label, or the newest (of a cluster); None where there is none."""
    entries = [
        e for e in catalogue(system) if label in {None, e["label"]} and cluster in {None, e["cluster"]}
    ]
    return entries[-1] if entries else None


def damaged_files(system: Postgres, label: str | None, *, thorough: bool) -> list[str] | None:
    """What is wrong with a backup's files, at most 20: by name and size, or `thorough` by reading every byte."""
    entry = find(system, label)
    if entry is None:
        return None
    place = folder(system) / "base" / entry["label"]
    lines = (place / CHECKSUMS).read_text() if (place / CHECKSUMS).exists() else ""
    if hashlib.sha256(lines.encode()).hexdigest() != entry["checksums"]:
        return [f"{CHECKSUMS}: not as it was written"]
    wanted = {path: digest for digest, path in (line.split("  ", 1) for line in lines.splitlines())}
    paths = dict(_files(place))
    wrong = [f"{path}: missing" for path in wanted if path not in paths]
    wrong += [f"{path}: not part of the backup" for path in paths if path not in wanted]
    if thorough:
        wrong += [
            f"{path}: checksum differs"
            for path, (digest, _) in digests(place).items()
            if digest != wanted.get(path, digest)
        ]
    elif not wrong and sum(path.stat().st_size for path in paths.values()) != entry["bytes"]:
        wrong.append("sizes differ from the catalogue's")
    return sorted(wrong)[:SHOWN]


def missing_wal(system: Postgres, label: str | None, *, thorough: bool) -> list[str] | None:
    """Segments between a backup's start and the newest archived one that are not there, at most 20.

    `thorough` also unpacks each, which checks its CRC. None where there is no such backup or it came without an archive.
    """
    entry = find(system, label)
    if entry is None or not entry["archived"]:
        return None
    wal, size = folder(system) / "wal" / entry["cluster"], entry["segment_bytes"]
    there = {number_of(path.name, size): path for path in _archived(wal)}
    first, last = (number_of(entry[key], size) for key in ("wal_start", "wal_end"))
    timeline = int(entry["wal_start"][:8], 16)
    wrong = []
    for number in range(first, max(last, *there, 0) + 1):
        if number not in there:
            wrong.append(f"{name_of(timeline, number, size)}: missing")
        elif thorough and not _unpacks(there[number], size):
            wrong.append(f"{there[number].name}: unreadable")
    return wrong[:SHOWN]


def wal_before(system: Postgres, segment: str) -> list[Path]:
    """Archived segments older than one; as pg_archivecleanup, without regard to the timeline. Timeline histories stay."""
    wal = folder(system) / "wal" / cluster_of(system)
    return [path for path in _archived(wal) if path.name[8:24] < segment[8:]]


# -- removing ------------------------------------------------------------------------------------------------


def remove_backup(system: Postgres, label: str) -> dict[str, Any]:
    """Remove a base backup and what a killed worker left of it. The catalogue forgets it first."""
    base = folder(system) / "base"
    place, partial = base / checked_label(label), base / f"{label}.partial"
    entry = find(system, label)
    if place.exists():
        remove_tree(partial)
        place.rename(partial)
    remove_tree(partial)
    return {"bytes": entry["bytes"] if entry else 0}


def remove_wal(system: Postgres, before: str) -> dict[str, Any]:
    """Remove archived segments older than one."""
    old = wal_before(system, before)
    size = sum(path.stat().st_size for path in old)
    for path in old:
        path.unlink(missing_ok=True)
    return {"files": len(old), "bytes": size}


# -- parts ---------------------------------------------------------------------------------------------------


def digests(place: Path) -> dict[str, tuple[str, int]]:
    """SHA-256 and size of every file of a backup, by its path in the backup's folder."""
    found = {}
    for name, path in _files(place):
        with path.open("rb") as file:
            found[name] = (hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size)
    return found


def _files(place: Path) -> Iterator[tuple[str, Path]]:
    for part in ("data", "tablespaces"):
        for parent, _, names in os.walk(place / part):
            for name in names:
                path = Path(parent, name)
                if not path.is_symlink():
                    yield path.relative_to(place).as_posix(), path


def _compare_with_manifest(sums: dict[str, tuple[str, int]], manifest: dict[str, Any]) -> None:
    """What stands on disk must be what the server sent. Errors: `Failed` `backup.damaged`."""
    wrong = []
    for file in manifest["Files"]:
        name = file.get("Path") or bytes.fromhex(file["Encoded-Path"]).decode(errors="surrogateescape")
        space = re.fullmatch(r"pg_tblspc/(\d+)/(.*)", name)
        path = f"tablespaces/{space[1]}/{space[2]}" if space else f"data/{name}"
        if sums.get(path, ("", -1)) != (file["Checksum"], file["Size"]):
            wrong.append(name)
    if wrong:
        raise Failed(
            "backup.damaged",
            f"{len(wrong)} files were not written as the server sent them: {', '.join(wrong[:5])}.",
            "Check the disk; then back up again.",
        )


def _archived(wal: Path) -> list[Path]:
    """The archived segments, oldest first."""
    return sorted(path for path in wal.glob("*.gz") if SEGMENT.fullmatch(path.stem))


def _unpacks(path: Path, size: int) -> bool:
    try:
        with gzip.open(path) as file:
            return sum(len(block) for block in iter(lambda: file.read(2**20), b"")) == size
    except (OSError, EOFError, zlib.error):
        return False


def segment_of(timeline: int, lsn: str, size: int, *, ends: bool = False) -> str:
    """The WAL file that holds a position; `ends`: the one that holds the byte before it."""
    high, low = (int(part, 16) for part in lsn.split("/"))
    return name_of(timeline, ((high << 32) + low - ends) // size, size)


def name_of(timeline: int, number: int, size: int) -> str:
    """The file name of the WAL segment of that number."""
    each = 2**32 // size
    return f"{timeline:08X}{number // each:08X}{number % each:08X}"


def number_of(name: str, size: int) -> int:
    """The number of a WAL segment, counted from the beginning of WAL."""
    return int(name[8:16], 16) * (2**32 // size) + int(name[16:24], 16)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a small record so that it is there whole or not at all."""
    partial = path.with_suffix(".new")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def remove_tree(path: Path) -> None:
    """Remove a folder. Errors: `Failed` `backup.not-removed`, for what stays must not be called gone."""
    while path.exists():
        try:
            shutil.rmtree(path)
        except FileNotFoundError:  # a server that is just ending takes some of its files away itself
            continue
        except OSError as error:
            what = f"{path} cannot be removed: {error.strerror}."
            raise Failed("backup.not-removed", what, "Mend its rights, then undo again.") from None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
