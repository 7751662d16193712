"""A project that cannot be written: one line with a code, nothing done, and what only looks goes on looking."""

import contextlib
import os
import subprocess
import tempfile

import duckdb
import pytest

from datareeve.core.errors import BadInput
from datareeve.core.ledger import open_ledger
from datareeve.interfaces import cli, crash

ESTATE = "version: 1\nsystems: {wh: {kind: duckdb, path: w.duckdb}}\n"
HEALTH = ("run", "databases.check-health", "--system", "wh")
ACT = (
    HEALTH,
    ("delegate", "watch the health of wh"),
    ("serve",),
    ("resume", "20260101-000000-abcdef"),
    ("undo", "20260101-000000-abcdef"),
)
LOOK = (("runs",), ("runs", "--verify"), ("status",), (*HEALTH, "--plan"))  # fmt: skip


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "estate.yaml").write_text(ESTATE)
    with duckdb.connect(str(folder / "w.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    return folder


@contextlib.contextmanager
def read_only(folder):
    """The folder, as nobody may write it: root is stopped by the mount alone."""
    if os.geteuid():
        shut = [folder, *(one for one in folder.rglob("*") if one.is_dir())]
        for one in shut:
            one.chmod(0o555)
        yield
        for one in shut:
            one.chmod(0o755)
        return
    for options in (["--bind", folder, folder], ["-o", "remount,ro,bind", folder]):
        if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
            pytest.skip("no right to mount here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def told(capfd, project, *words):
    status = cli.main([*words, "--project", str(project)])
    return status, capfd.readouterr()


def test_what_would_act_is_refused_in_one_line_whatever_the_command(project, capfd):
    with read_only(project):
        for words in ACT:
            status, (out, err) = told(capfd, project, *words)
            assert (status, out) == (2, ""), words
            assert err.startswith("project.read-only: "), (words, err)
            assert "Traceback" not in err
            assert len(err.splitlines()) == 2
        assert told(capfd, project, "init", "duckdb:other.duckdb")[0] == 2


def test_what_only_looks_still_does(project, capfd):
    assert told(capfd, project, *HEALTH)[0] == 0
    before = told(capfd, project, "runs", "--json")
    with read_only(project):
        assert told(capfd, project, "runs", "--json") == before
        for words in LOOK:
            status, (_, err) = told(capfd, project, *words)
            assert status == 0, (words, err)
        for words in ACT:
            assert told(capfd, project, *words)[0] == 2, words


@pytest.mark.parametrize("known", [True, False], ids=["with a store", "without"])
def test_how_the_data_stands_says_what_is_to_be_done_where_its_store_cannot_be_written(project, capfd, known):
    if known:
        assert told(capfd, project, "run", "quality.report")[0] == 0
    with read_only(project):
        status, (out, err) = told(capfd, project, "run", "quality.report", "--plan")
    assert (status, out, len(err.splitlines())) == (2, "", 2), err
    assert err.startswith("quality-store.read-only: ")
    assert "Give the right to write there" in err


def test_what_a_dead_writer_left_in_its_log_is_read_where_it_can_be(project, tmp_path):
    ledger = open_ledger(f"sqlite:///{project}/.datareeve/ledger.sqlite")
    ledger.append("event", {"type": "x"})
    kept = tmp_path / "kept"  # as a kill leaves it: the log was not folded into the file
    subprocess.run(["cp", "-r", project, kept], check=True)
    ledger.close()
    with read_only(kept):
        again = open_ledger(f"sqlite:///{kept}/.datareeve/ledger.sqlite")
        assert [entry.body["type"] for entry in again.entries("event")] == ["x"]
        for write in (lambda: again.append("event", {}), lambda: again.add_samples([]), lambda: again.acquire("r")):  # fmt: skip
            with pytest.raises(BadInput, match="nothing is done"):
                write()
        again.close()


def test_a_place_that_can_be_no_folder_is_told(project, capfd):
    (project / ".datareeve").write_text("a file")
    status, (_, err) = told(capfd, project, "runs")
    assert (status, err.partition(":")[0]) == (2, "project.read-only")


def test_a_crash_is_told_though_its_details_can_be_written_nowhere(project, capfd, monkeypatch):
    def shut(*_args, **_named):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", shut)
    monkeypatch.setattr("datareeve.app.App.open", lambda *_: 1 / 0)
    status, (_, err) = told(capfd, project, "runs")
    assert status == 1
    assert err.startswith("internal: ZeroDivisionError, which should not happen.")
    assert "could not be written anywhere; it came up in test_read_only_project.py:" in err


def test_a_crash_before_any_word_and_with_words_that_are_no_text_is_written_down():
    for words in ([], ["runs\udcff"], ["runs", "--project", "\0"]):
        error = crash.written_down(ValueError("x"), words)
        assert error.code == "internal"
        assert "The details are in" in error.remedy
