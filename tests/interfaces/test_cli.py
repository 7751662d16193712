"""The command line's contract: exit statuses, errors, approvals, JSON, and that it never shows a traceback."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import psycopg
import pytest

from datareeve.app import App
from datareeve.interfaces import cli

INDEX = ("run", "databases.create-index", "--table", "trips", "--columns", "plane")
PYTHON = [sys.executable, "-m", "datareeve.interfaces.cli"]
COMMANDS = [
    "demo",
    "init",
    "delegate",
    "run",
    "approve",
    "resume",
    "undo",
    "operations",
    "runs",
    "evidence",
    "status",
    "slo",
    "serve",
    "mcp",
]


def indexes(database):
    with psycopg.connect(database) as connection:
        return [
            row[0]
            for row in connection.execute(
                "SELECT indexname FROM pg_indexes WHERE tablename = 'trips' ORDER BY 1"
            )
        ]


def test_help_names_every_command_and_imports_nothing_heavy():
    listing = subprocess.run([*PYTHON, "--help"], capture_output=True, text=True, check=True).stdout
    assert [command for command in COMMANDS if f" {command} " not in listing] == []
    loaded = "import sys; from datareeve.interfaces import cli; cli.main(['--help']); print(sorted({m.partition('.')[0] for m in sys.modules}))"
    modules = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]
    assert [
        heavy
        for heavy in ("pydantic", "sqlalchemy", "psycopg", "mcp", "jinja2", "sqlglot", "markdown_it")
        if f"'{heavy}'" in modules
    ] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_inputs(command, capsys):
    assert cli.main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--json" in shown
    assert "--project" in shown


def test_an_operation_is_done_verified_told_and_taken_back(datareeve, database):
    done = datareeve(*INDEX, "--yes", "--json")
    assert (done.status, done.json["status"]) == (0, "done")
    assert indexes(database) == ["trips_pkey", "trips_plane_idx"]
    run = done.json["run"]
    assert [check["verdict"] for check in datareeve("evidence", run, "--json").json] == ["holds"]
    shown = datareeve("runs", run)
    assert "trips_plane_idx is valid" in shown.out
    assert "expected lock SHARE UPDATE EXCLUSIVE" in shown.out
    assert datareeve("undo", run).status == 0
    assert indexes(database) == ["trips_pkey"]
    again = datareeve("evidence", run, "--recheck")
    assert again.status == 1
    assert "no longer holds  trips_plane_idx is valid" in again.out


def test_a_second_time_there_is_nothing_to_do_and_the_reason_is_told(datareeve):
    datareeve(*INDEX, "--yes")
    again = datareeve(*INDEX, "--yes")
    assert again.status == 0
    assert "nothing to do" in again.out
    assert "trips_plane_idx exists and is valid." in again.out


def test_without_an_approval_nothing_happens_and_the_command_to_paste_carries_it_out(datareeve, database):
    waiting = datareeve(*INDEX)
    assert waiting.status == 4
    assert indexes(database) == ["trips_pkey"]
    assert waiting.err.startswith("approval.needed: 1 of 1 steps need a person's approval")
    command = waiting.err.splitlines()[-1].partition("datareeve ")[2].split()
    assert cli.main(command) == 0
    assert indexes(database) == ["trips_pkey", "trips_plane_idx"]


def test_an_approved_fingerprint_lets_the_same_command_through(datareeve, database):
    fingerprint = datareeve(*INDEX, "--json").json["fingerprint"]
    assert datareeve("approve", fingerprint[:12]).status == 0
    assert datareeve(*INDEX).status == 0
    assert indexes(database) == ["trips_pkey", "trips_plane_idx"]


def test_a_plan_is_shown_whole_and_changes_nothing(datareeve, database):
    shown = datareeve(*INDEX, "--plan")
    assert shown.status == 0
    for part in (
        "CREATE INDEX CONCURRENTLY trips_plane_idx",
        "DROP INDEX CONCURRENTLY IF EXISTS",
        "SHARE UPDATE EXCLUSIVE",
        "fingerprint ",
    ):
        assert part in shown.out
    assert indexes(database) == ["trips_pkey"]
    assert datareeve("runs", "--json").json == []


def test_an_approval_for_another_plan_does_not_fit(datareeve, database):
    fingerprint = datareeve(*INDEX, "--plan", "--json").json["fingerprint"]
    other = datareeve(
        "run", "databases.create-index", "--table", "trips", "--columns", "id", "--approve", fingerprint
    )
    assert other.status == 2
    assert other.err.startswith("approval.other-plan:")
    assert indexes(database) == ["trips_pkey"]


def test_a_plan_that_the_world_has_overtaken_is_not_carried_out(datareeve, database):
    fingerprint = datareeve(*INDEX, "--plan", "--json").json["fingerprint"]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE INDEX trips_plane_idx ON trips (plane)")
    stale = datareeve(*INDEX, "--approve", fingerprint)
    assert stale.status == 1
    assert stale.err.startswith("plan.stale:")


def test_what_the_authority_forbids_is_refused_by_the_rule(datareeve, project, database):
    estate = project / "estate.yaml"
    estate.write_text(
        estate.read_text().replace(
            "  rules: []", "  rules:\n    - {decision: never, schemas: [public], why: hands off}"
        )
    )
    refused = datareeve(*INDEX, "--yes")
    assert refused.status == 3
    assert "hands off" in refused.err
    assert indexes(database) == ["trips_pkey"]


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["frobnicate"], 2, "command.usage"),
        (["undo"], 2, "command.usage"),
        (["delegate", "--paln"], 2, "command.usage"),
        (["run", "databases.create-idnex"], 2, "operation.unknown"),
        (["run", "databases.create-index", "--tabel", "trips"], 2, "operation.field"),
        (["run", "databases.create-index", "--table", "trips"], 2, "operation.input"),
        (
            ["run", "databases.create-index", "--table", "trips", "--columns", "plane", "--system", "nope"],
            2,
            "system.unknown",
        ),
        (["operations", "nope"], 2, "operation.unknown"),
        (["runs", "nope"], 2, "run.unknown"),
        (["undo", "nope"], 2, "run.unknown"),
        (["approve", "0123456789abcdef"], 2, "plan.unknown"),
        (["approve", "0"], 2, "plan.ambiguous"),
        (["delegate", "no-such-file"], 2, "task.file"),
        (["delegate", "Review the schema", "--report", "report.docx"], 2, "report.format"),
        (["delegate", "Deploy the Kubernetes cluster"], 5, "task.not-our-work"),
        (["init", "oracle://u@h/d"], 2, "url.kind"),
        (["init", "postgresql://u:hidden@127.0.0.1:1/d"], 1, "postgres.unreachable"),
    ],
)
def test_bad_input_has_a_code_and_a_remedy_in_text_and_in_json(datareeve, words, status, code):
    text, as_json = datareeve(*words), datareeve(*words, "--json")
    assert (text.status, as_json.status) == (status, status)
    assert text.err.splitlines()[-2].startswith(f"{code}: ")
    assert text.err.splitlines()[-1].startswith("  ")
    assert {"error": code, "exit_status": status}.items() <= as_json.json.items()
    assert as_json.json["remedy"]
    assert "Traceback" not in text.err + as_json.err
    assert "hidden" not in text.err + as_json.out


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"x" * 5_000_000, "task.too-large"),
        (b"Back up \x1b[2J the database", "task.control-characters"),
        (b"\xff\xfe", "task.encoding"),
        (b"**Task**:\n", "task.empty"),
    ],
)
def test_a_task_that_is_no_task_is_refused(datareeve, tmp_path, content, code):
    file = tmp_path / "task.txt"
    file.write_bytes(content)
    answer = datareeve("delegate", str(file))
    assert answer.status == 2
    assert answer.err.startswith(f"{code}: ")


def test_a_delegated_sentence_is_answered_with_the_progress_report(datareeve, tmp_path):
    path = tmp_path / "report.html"
    answer = datareeve("delegate", "Review the schema", "--report", str(path))
    assert answer.status == 0
    assert "Data Engineer Agent Progress Report" in answer.out
    assert path.read_text().lower().startswith("<!doctype html>")


def test_a_task_comes_from_standard_input(project):
    done = subprocess.run(
        [*PYTHON, "delegate", "-", "--plan", "--json", "--project", str(project)],
        input="Review the schema",
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["plan"]["parts"][0]["operation"] == "databases.review-schema"


def test_status_tells_figures_and_is_1_where_a_database_is_down(datareeve, project):
    up = datareeve("status", "--json")
    assert (up.status, up.json[0]["figures"]["health"]) == (
        0,
        "degraded",
    )  # the tests' server runs without fsync, and that is told
    estate = project / "estate.yaml"
    estate.write_text(estate.read_text().replace("postgres@127.0.0.1:", "postgres@127.0.0.2:"))
    down = datareeve("status", "--json")
    assert (down.status, down.json[0]["figures"]["health"]) == (1, "down")


def test_service_levels_that_nobody_measured_are_said_to_be_unmeasured(datareeve):
    found = {objective["target"]: objective for objective in datareeve("slo", "--json").json}
    assert found["restore_time_seconds"]["limit"] == 3600
    assert found["restore_time_seconds"]["latest"] is None
    assert "not measured yet" in datareeve("slo").out


def test_a_changed_ledger_is_found(datareeve, project):
    datareeve(*INDEX, "--yes")
    assert datareeve("runs", "--verify").status == 0
    with sqlite3.connect(project / ".datareeve" / "ledger.sqlite") as ledger:
        for (trigger,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            ledger.execute(f"DROP TRIGGER {trigger}")
        ledger.execute("UPDATE entries SET body = replace(body, 'trips', 'trip5')")
    ledger.close()
    damaged = datareeve("runs", "--verify")
    assert damaged.status == 1
    assert damaged.err.startswith("ledger.")


def test_what_nobody_foresaw_is_one_line_and_a_file(datareeve, project, monkeypatch):
    def broken(self):
        raise RuntimeError("seven")

    monkeypatch.setattr(App, "runs", broken)
    answer = datareeve("runs")
    assert answer.status == 1
    assert answer.err.startswith("internal: RuntimeError, which should not happen.")
    (crash,) = (project / ".datareeve").glob("crash-*.txt")
    assert str(crash) in answer.err
    assert "seven" not in answer.err
    assert "RuntimeError: seven" in crash.read_text()
    assert crash.stat().st_mode & 0o777 == 0o600


def test_an_interrupt_says_how_to_carry_on(datareeve, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(App, "runs", interrupted)
    answer = datareeve("runs")
    assert answer.status == 130
    assert "datareeve resume RUN" in answer.err


def test_a_reader_that_has_seen_enough_is_no_error():
    shell = f"{sys.executable} -m datareeve.interfaces.cli operations --json | head -1"
    piped = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert (piped.stdout, piped.stderr) == ("[\n", "")


def test_control_characters_of_a_name_are_shown_and_not_obeyed(datareeve, database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute('CREATE TABLE "bad\x1b[2Jname" (a int)')
    shown = datareeve("run", "databases.review-schema")
    assert "\x1b" not in shown.out
    assert "bad\\x1b[2Jname" in shown.out
