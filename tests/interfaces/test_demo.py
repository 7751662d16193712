"""The demo, as a person runs it: from an empty folder to the report, again, and back."""

import json
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from datareeve.core import estate
from datareeve.core.errors import BadInput
from datareeve.interfaces import demo
from datareeve.interfaces.console import Screen
from datareeve.systems import pg_server

DATAREEVE = Path(sys.executable).parent / "datareeve"
BULLETS = [line[2:] for line in demo.delegation().splitlines() if line.startswith("- ")]


def datareeve(*words, status=0):
    done = subprocess.run([DATAREEVE, *words], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def project():
    """A demo that is ready and has not been run yet; what its schema is then stands in schema.sql."""
    parent = Path(
        tempfile.mkdtemp(prefix="datareeve-demo-")
    )  # pytest's own folders are closed to the server's user
    parent.chmod(0o755)
    folder = parent / "demo"
    demo.prepare(folder, demo.Show(Screen(as_json=True)))
    (folder / "schema.sql").write_text(schema(folder))
    (folder / "settings.json").write_text(settings(folder))
    yield folder
    demo.reset(folder)
    parent.rmdir()


@pytest.fixture(scope="module")
def report(project):
    return json.loads(datareeve("demo", "--project", project, "--json"))


def url(project):
    return estate.load(project / "estate.yaml").systems["app"].url


def schema(project):
    """The schema as pg_dump writes it, but for the random line it puts in."""
    program = pg_server.embedded_binaries() / "pg_dump"
    dumped = subprocess.run(
        [program, "--schema-only", url(project)], capture_output=True, text=True, check=True
    )
    return re.sub(r"^\\(un)?restrict .*$", "", dumped.stdout, flags=re.MULTILINE)


def settings(project):
    program = pg_server.embedded_binaries() / "psql"
    query = "SELECT name, setting FROM pg_settings WHERE context <> 'internal' AND source <> 'client' ORDER BY name"
    return subprocess.run(
        [program, "-XAtc", query, url(project)], capture_output=True, text=True, check=True
    ).stdout


def test_the_task_is_done_and_every_bullet_has_its_result(report):
    assert report["status"] == "completed"
    assert report["ticket"] == "ISS-0345"
    served = {done["serves"] for done in report["completed"]} | {
        part["bullet"] for part in report.get("served", [])
    }
    noted = " ".join(report["notes"])
    assert [bullet for bullet in BULLETS if bullet not in served and bullet not in noted] == []


def test_everything_it_claims_holds(report):
    assert len(report["evidence"]) > 40
    assert {evidence["verdict"] for evidence in report["evidence"]} == {"holds"}


def test_the_workload_is_faster_afterwards(project, report):
    before, after = (demo.sample_workload.summary(project / name) for name in (demo.TRACE, demo.TRACE_AFTER))
    assert after["statements"] == pytest.approx(before["statements"], rel=0.05)
    assert after["latency_ms_p95"] < before["latency_ms_p95"] / 3
    assert report["figures"]["latency_ms_p95"] == pytest.approx(after["latency_ms_p95"])


def test_the_report_is_kept_for_people_programs_and_browsers(project, report):
    assert json.loads((project / "data/report.json").read_text()) == report
    assert report["run"] in (project / "data/report.md").read_text()
    assert "<html" in (project / "data/report.html").read_text()


def test_the_approval_is_recorded_as_the_demos(project, report):
    assert {run["by"] for run in json.loads(datareeve("runs", "--project", project, "--json"))} == {"demo"}
    assert any("given here by 'demo'" in note for note in report["notes"])


def test_a_second_run_is_quiet_and_says_why(project, report):
    kept = (project / "data/report.json").read_text()
    told = datareeve("demo", "--project", project)
    assert told.count("nothing to do") >= len(BULLETS) - 1
    assert "steps" not in told.split("Fingerprint")[0].split("Looking and planning")[1]
    assert (project / "data/report.json").read_text() == kept


def test_it_can_be_stopped_and_comes_back(project, report):
    datareeve("demo", "--project", project, "--stop")
    assert not demo.pg_server.LocalServer(
        data=demo._data(project), bin=pg_server.embedded_binaries(), os_user=pg_server.service_user()
    ).running()
    demo.prepare(project, demo.Show(Screen(as_json=True)))
    assert schema(project)


def test_undo_gives_the_schema_back_byte_for_byte_and_the_settings(project, report):
    datareeve("undo", report["run"], "--project", project)
    assert schema(project) == (project / "schema.sql").read_text()
    assert settings(project) == (project / "settings.json").read_text()


def test_a_demo_that_was_interrupted_begins_anew(tmp_path):
    folder = tmp_path / "demo"
    demo._claim(folder)
    local, server_url = pg_server.initialise(demo._data(folder))
    demo.reset(folder)
    assert not folder.exists()
    assert not local.data.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(server_url).port)) != 0


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"demo\.folder"):
        demo.prepare(tmp_path, demo.Show(Screen(as_json=True)))
    with pytest.raises(BadInput, match=r"demo\.folder"):
        demo.reset(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
