"""Drills on real servers: while the application writes, with broken backups, and after a kill."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

import backup_rig
from datareeve.capabilities.databases.operations.drill_restore import DrillRestore
from datareeve.systems import pg_backup, pg_compare

SERVERS = [None, pytest.param(backup_rig.DEBIAN, marks=pytest.mark.system)]


@pytest.fixture(scope="module", params=SERVERS)
def archived(request):
    """A server that archives, with backup b1."""
    with backup_rig.place(request.param) as place:
        place.archiving()
        place.sql(
            'CREATE TABLE odd ("Weird \'name" text, at timestamptz, f float8, j jsonb)',
            "INSERT INTO odd VALUES (NULL, now(), 0.1, '{}')",
        )
        yield place


def sockets():
    return {
        path
        for path in Path(tempfile.gettempdir()).glob("datareeve-*")
        if not path.name.startswith(("datareeve-test", "datareeve-backups"))
    }


def failure(outcome):
    """Why the only step failed, once its part was undone."""
    assert (outcome.status, outcome.parts[0].status) == ("failed", "undone")
    return outcome.parts[0].steps[0].error


def left_over(place):
    return [path.name for path in (place.folder / "drills").iterdir() if path.is_dir()]


def test_a_drill_proves_the_backup_measures_it_and_leaves_nothing(archived):
    before = sockets()
    outcome = archived.do(DrillRestore(system="app"))
    figures = outcome.parts[0].figures
    assert (outcome.status, figures["tables"], figures["rows_compared"], figures["differing"]) == (
        "done",
        2,
        1001,
        0,
    )
    assert (figures["point_in_time"], figures["marker_restored"], figures["sampled"]) == (True, True, 0)
    assert 0 <= figures["rpo_seconds"] < 5
    assert 60 <= figures["rpo_at_most_seconds"] < 70
    assert 0 < figures["rto_seconds"] < 30
    assert (left_over(archived), sockets()) == ([], before)
    assert all(check.verdict == "holds" for check in archived.runner.recheck(outcome.run))
    again = archived.plan(DrillRestore(system="app"))
    assert (again.nothing_to_do, again.figures["rows_compared"]) == (
        "Backup b1 passed a drill less than 24 hours ago.",
        1001,
    )
    archived.runner.undo(outcome.run, by="test")
    assert archived.plan(DrillRestore(system="app")).nothing_to_do == ""


def test_writes_that_go_on_make_no_false_difference(archived):
    stop = threading.Event()

    def write():
        with archived.server.connect() as application:
            while not stop.is_set():
                application.execute("INSERT INTO t VALUES (-1, 'busy')")
                application.execute("UPDATE t SET v = v || '.' WHERE n = 1")
                application.execute("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE n = -1)")

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        found = [archived.app.perform("drill_restore", run=f"w{n}", drill=f"w{n}") for n in range(2)]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert [(figures["differing"], figures["marker_restored"]) for figures in found] == [(0, True), (0, True)]


def test_a_large_table_is_compared_by_a_sample_of_its_pages(archived):
    archived.sql(
        "CREATE TABLE large AS SELECT g, repeat('x', 500) AS pad FROM generate_series(1, 20000) AS g"
    )
    figures = archived.app.perform("drill_restore", run="s", drill="s", exact_up_to_bytes=2**20)
    assert (figures["sampled"], figures["differing"]) == (1, 0)
    assert 1000 + 500 < figures["rows_compared"] < 10000
    archived.sql("DROP TABLE large")


def test_a_table_that_differs_is_named_and_fails_the_drill(archived, monkeypatch):
    honest = pg_compare.production

    def altered(system, limit):
        then = honest(system, limit)
        rows, _ = then.digests["public.t" if "public.t" in then.digests else '"public"."t"']
        then.digests['"public"."t"'] = (rows, "1")
        return then

    monkeypatch.setattr(pg_compare, "production", altered)
    outcome = archived.do(DrillRestore(system="app", max_age_hours=0))
    assert failure(outcome) == (
        'drill.differs: The restored app is not as production was: 1 tables differ: "public"."t".'
    )
    assert left_over(archived) == []


def test_a_damaged_backup_fails_the_drill(archived):
    version = archived.folder / "base" / "b1" / "data" / "PG_VERSION"
    with backup_rig.instead(version, b"99\n"):
        outcome = archived.do(DrillRestore(system="app", max_age_hours=0))
    assert failure(outcome) == "backup.damaged: Backup b1 is damaged: data/PG_VERSION: checksum differs."


def test_a_gap_in_the_archive_fails_the_drill(archived):
    segment = archived.wal / f"{archived.app.read('backups')[0]['wal_end']}.gz"
    with backup_rig.instead(segment, None):
        outcome = archived.do(DrillRestore(system="app", max_age_hours=0))
    assert failure(outcome) == f"backup.wal-gap: Archived WAL is not whole: {segment.stem}: missing."


@pytest.mark.system
def test_a_byte_that_changed_before_it_was_checksummed_is_found_by_comparing():
    with backup_rig.place(
        backup_rig.DEBIAN
    ) as place:  # without page checksums the server itself cannot see it
        place.archiving()
        path = (
            place.folder
            / "base"
            / "b1"
            / "data"
            / place.sql("SELECT pg_relation_filepath('t') AS path")[0]["path"]
        )
        path.write_bytes(path.read_bytes().replace(b"value 77", b"VALUE 77"))
        base = place.folder / "base" / "b1"
        lines = "".join(
            f"{digest}  {name}\n" for name, (digest, _) in sorted(pg_backup.digests(base).items())
        )
        (base / "checksums").write_text(lines)
        entry = json.loads((base / "backup.json").read_text())
        pg_backup.write_json(
            base / "backup.json", {**entry, "checksums": hashlib.sha256(lines.encode()).hexdigest()}
        )
        assert place.app.read("damaged_files", label="b1") == []
        outcome = place.do(DrillRestore(system="app"))
        assert failure(outcome).startswith("drill.differs")


def test_a_server_out_of_reach_is_drilled_by_its_base_backup_alone():
    with backup_rig.place(control=False) as place:
        place.app.perform("base_backup", run="b1", label="b1")
        place.sql("INSERT INTO t VALUES (0, 'later')")
        outcome = place.do(DrillRestore(system="app"))
        figures = outcome.parts[0].figures
        assert (
            outcome.status,
            figures["point_in_time"],
            figures["changed_while_comparing"],
            figures["differing"],
        ) == ("done", False, 1, 0)
        assert [f.rule for f in outcome.parts[0].findings] == ["no-point-in-time-recovery"]


def test_without_a_backup_there_is_nothing_to_drill(archived):
    with backup_rig.place() as place:
        assert place.plan(DrillRestore(system="app")).blockers == (
            "app has no backup to drill with: databases.back-up takes one.",
        )


SLOW_DRILL = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import servers
from datareeve.systems import pg_compare
from datareeve.systems.pg_server import LocalServer
pg_compare.compare = lambda *a, **k: sys.stdin.read()
local = LocalServer(data=Path(sys.argv[4]), bin=Path(sys.argv[5]), os_user=sys.argv[6] or None)
servers.registry(Path(sys.argv[2]), sys.argv[3], local)["app"].perform("drill_restore", run="k", drill="k")
"""


@pytest.mark.kills
def test_the_server_of_a_killed_drill_goes_with_its_undo(archived):
    local = archived.server.local
    arguments = [
        Path(__file__).parents[1],
        archived.project,
        archived.server.url,
        local.data,
        local.bin,
        local.os_user or "",
    ]
    worker = subprocess.Popen([sys.executable, "-c", SLOW_DRILL, *map(str, arguments)], stdin=subprocess.PIPE)
    record = archived.folder / "drills" / "k" / "restore.json"
    deadline = time.monotonic() + 30
    while (
        not (record.exists() and json.loads(record.read_text())["finished"]) and time.monotonic() < deadline
    ):
        worker.poll()
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdin.close()
    postmaster = int((record.parent / "data" / "postmaster.pid").read_text().split()[0])
    assert archived.app.read("drill_verdict", drill="k") is None
    archived.app.perform("remove_drill", run="k", drill="k")
    assert left_over(archived) == []
    assert not psutil.pid_exists(postmaster) or psutil.Process(postmaster).status() == psutil.STATUS_ZOMBIE
