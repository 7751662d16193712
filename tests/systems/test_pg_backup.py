"""Base backups, the WAL archive and what can go wrong with either, on real servers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import backup_rig
import servers
from datareeve.core.errors import BadInput, Failed
from datareeve.systems import pg_backup


@pytest.fixture(scope="module")
def archived():
    """A server that archives, with backup b1; tests leave it as they found it."""
    with backup_rig.place() as place:
        place.archiving()
        yield place


@pytest.fixture
def fresh():
    with backup_rig.place() as place:
        yield place


def archive(wal, segment):
    """Run the archive command for a file as the server would."""
    command = pg_backup.archive_command(wal)
    said = (
        command.replace("%%", "\0").replace("%p", str(segment)).replace("%f", segment.name).replace("\0", "%")
    )
    return subprocess.run(["sh", "-c", said], check=False).returncode


def test_the_archive_command_works_in_any_folder_and_never_replaces_a_segment(tmp_path):
    wal = tmp_path / "a 'quoted' $folder 100%f"
    wal.mkdir()
    segment = tmp_path / "000000010000000000000001"
    segment.write_bytes(b"first" * 1000)
    assert archive(wal, segment) == 0
    kept = (wal / f"{segment.name}.gz").read_bytes()
    assert archive(wal, segment) == 0  # asked again after a crash
    segment.write_bytes(b"other" * 1000)
    assert archive(wal, segment) != 0
    assert [path.name for path in wal.iterdir()] == [f"{segment.name}.gz"]
    assert (wal / f"{segment.name}.gz").read_bytes() == kept


def test_a_segment_that_cannot_be_written_is_not_called_archived(tmp_path):
    segment = tmp_path / "000000010000000000000001"
    segment.write_bytes(b"x")
    assert archive(tmp_path / "no such folder", segment) != 0


@pytest.mark.parametrize(
    ("lsn", "ends", "name"),
    [
        ("0/2000028", False, "000000010000000000000002"),
        ("0/3000000", False, "000000010000000000000003"),
        ("0/3000000", True, "000000010000000000000002"),
        ("1/0", True, "0000000100000000000000FF"),
        ("A/FF000000", False, "000000010000000A000000FF"),
    ],
)
def test_a_position_is_in_the_segment_that_the_server_names(lsn, ends, name):
    assert pg_backup.segment_of(1, lsn, 2**24, ends=ends) == name
    assert pg_backup.name_of(1, pg_backup.number_of(name, 2**24), 2**24) == name


def test_a_catalogued_backup_is_whole_and_sha256sum_agrees(archived):
    entry = archived.app.read("backups")[0]
    assert (entry["label"], entry["archived"], entry["wal_start"] <= entry["wal_end"]) == ("b1", True, True)
    assert archived.app.read("damaged_files", label="b1") == []
    assert archived.app.read("missing_wal", label="b1", thorough=True) == []
    checked = subprocess.run(
        ["sha256sum", "-c", "--quiet", "checksums"], cwd=archived.folder / "base" / "b1", check=False
    )
    assert checked.returncode == 0


def test_only_the_owner_can_read_backups_and_wal(archived):
    assert {part: oct((archived.folder / part).stat().st_mode & 0o777) for part in ("base", "wal")} == {
        "base": "0o700",
        "wal": "0o700",
    }


def test_a_changed_a_missing_and_a_strange_file_are_each_found(archived):
    data = archived.folder / "base" / "b1" / "data"
    version = data / "PG_VERSION"
    content = version.read_bytes()
    version.write_bytes(content.replace(b"8", b"9"))
    assert (
        archived.app.read("damaged_files", label="b1", thorough=False) == []
    )  # same size: only reading it tells
    assert archived.app.read("damaged_files", label="b1") == ["data/PG_VERSION: checksum differs"]
    version.unlink()
    assert archived.app.read("damaged_files", label="b1", thorough=False) == ["data/PG_VERSION: missing"]
    version.write_bytes(content)
    (data / "strange").write_text("")
    assert archived.app.read("damaged_files", label="b1", thorough=False) == [
        "data/strange: not part of the backup"
    ]
    (data / "strange").unlink()
    assert archived.app.read("damaged_files", label="b1") == []


def test_changed_checksums_do_not_vouch_for_changed_files(archived):
    checksums = archived.folder / "base" / "b1" / "checksums"
    before = checksums.read_text()
    checksums.write_text(before.replace("0", "1", 1))
    assert archived.app.read("damaged_files", label="b1", thorough=False) == [
        "checksums: not as it was written"
    ]
    checksums.write_text(before)


def test_a_gap_and_a_broken_segment_in_the_archive_are_found(archived):
    for _ in range(3):
        archived.sql("INSERT INTO t VALUES (0, 'more')", "CHECKPOINT")
        segment = archived.sql("SELECT pg_walfile_name(pg_switch_wal()) AS name")[0]["name"]
        pg_backup.wait_archived(archived.app, archived.wal.name, segment)
    middle = sorted(archived.wal.glob("*.gz"))[-2]
    content = middle.read_bytes()
    middle.write_bytes(content[:-20])
    assert archived.app.read("missing_wal", label="b1") == []
    assert archived.app.read("missing_wal", label="b1", thorough=True) == [f"{middle.name}: unreadable"]
    middle.unlink()
    assert archived.app.read("missing_wal", label="b1") == [f"{middle.stem}: missing"]
    middle.write_bytes(content)
    assert archived.app.read("missing_wal", label="b1", thorough=True) == []


def test_a_label_that_leads_out_of_the_folder_is_refused(archived):
    with pytest.raises(BadInput, match=r"backup\.label"):
        archived.app.perform("base_backup", run="r", label="../b2")
    with pytest.raises(BadInput, match=r"backup\.label"):
        archived.app.perform("remove_backup", run="r", label="b1.partial")


def test_a_disk_too_small_is_refused_before_anything_is_written(archived, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(BadInput, match=r"backup\.disk.*1,000 free"):
        archived.app.perform("base_backup", run="r", label="b2")
    assert [path.name for path in (archived.folder / "base").iterdir()] == ["b1"]


def test_a_failing_archive_command_makes_the_backup_fail(archived, monkeypatch):
    monkeypatch.setattr(pg_backup, "ARCHIVE_SECONDS", 0.2)
    with pytest.raises(Failed, match=r"backup\.not-archived"):
        pg_backup.wait_archived(archived.app, archived.wal.name, "0000000100000000000000FE")


def test_a_server_that_does_not_start_again_gets_its_settings_back(fresh):
    with pytest.raises(Failed, match=r"postgres\.restart"):
        fresh.app.perform("configure", run="r", settings={"shared_preload_libraries": "no_such_library"})
    assert fresh.sql("SHOW shared_preload_libraries")[0]["shared_preload_libraries"] == ""
    assert fresh.app.read("setting_on_file", name="shared_preload_libraries") is None


def test_tablespaces_come_along_and_are_their_own_after_a_restore(fresh):
    space = fresh.server.local.data.parent / "space"
    space.mkdir()
    os.chown(space, fresh.server.local.data.stat().st_uid, -1)
    fresh.sql(
        f"CREATE TABLESPACE elsewhere LOCATION '{space}'",
        "CREATE TABLE far TABLESPACE elsewhere AS SELECT 42 AS n",
    )
    fresh.app.perform("base_backup", run="r", label="b1")
    fresh.app.perform("restore_backup", run="r", label="b1", moment="immediate", target="x")
    links = list((fresh.folder / "restored" / "x" / "data" / "pg_tblspc").iterdir())
    assert [link.resolve() for link in links] == [
        fresh.folder / "restored" / "x" / "tablespaces" / links[0].name
    ]
    assert fresh.app.read("restored_state", target="x") == "running"
    fresh.app.perform("remove_restored", run="r", target="x")
    fresh.sql("DROP TABLE far", "DROP TABLESPACE elsewhere")
    space.rmdir()


def test_a_password_reaches_pg_basebackup_and_stands_nowhere(fresh):
    hba = fresh.server.local.data / "pg_hba.conf"
    hba.write_text("host all,replication keeper 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
    fresh.sql(
        "CREATE ROLE keeper LOGIN REPLICATION PASSWORD 's3:cr\\et'",
        "GRANT pg_monitor TO keeper",
        "SELECT pg_reload_conf()",
    )
    (fresh.project / "password").write_text("s3:cr\\et")
    (fresh.project / "password").chmod(0o600)
    url = fresh.server.url.replace("postgres@", "keeper@")
    systems = servers.registry(fresh.project, url, fresh.server.local, password="file:password")  # noqa: S106 - a reference
    systems["app"].perform("base_backup", run="r", label="b1")
    systems.close()
    assert fresh.app.read("damaged_files", label="b1") == []
    assert [
        path for path in fresh.folder.rglob("*") if path.is_file() and b"s3:cr" in path.read_bytes()
    ] == []
    without = servers.registry(fresh.project, url)
    assert without["app"].read("streaming_refused").startswith("postgres.login")
    without.close()


SLOW_BACKUP = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import servers
from datareeve.systems.pg_server import LocalServer
local = LocalServer(data=Path(sys.argv[4]), bin=Path(sys.argv[5]), os_user=sys.argv[6] or None)
servers.registry(Path(sys.argv[2]), sys.argv[3], local)["app"].perform("base_backup", run="r7", label="b7", rate_limit="1M")
"""


@pytest.mark.kills
def test_a_killed_backup_is_never_catalogued_and_can_be_taken_again(fresh):
    local = fresh.server.local
    arguments = [
        Path(__file__).parents[1],
        fresh.project,
        fresh.server.url,
        local.data,
        local.bin,
        local.os_user or "",
    ]
    worker = subprocess.Popen([sys.executable, "-c", SLOW_BACKUP, *map(str, arguments)])
    streaming = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'datareeve/r7'"
    deadline = time.monotonic() + 30
    while (
        not (fresh.folder / "base" / "b7.partial" / "data" / "base").exists() and time.monotonic() < deadline
    ):
        worker.poll()
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    assert fresh.app.read("backups") == []
    assert fresh.app.read("damaged_files", label="b7") is None
    assert fresh.sql(streaming)[0]["n"] > 0  # pg_basebackup outlives its parent
    fresh.app.settle("r7")
    assert fresh.sql(streaming)[0]["n"] == 0
    fresh.app.perform("base_backup", run="r7", label="b7")
    assert fresh.app.read("damaged_files", label="b7") == []
    assert [path.name for path in (fresh.folder / "base").iterdir()] == ["b7"]


def test_a_long_path_stands_in_the_archive_command_once(tmp_path):
    wal = tmp_path.joinpath(*["a folder of some length"] * 20)
    assert len(pg_backup.archive_command(wal)) < len(str(wal)) + 300
