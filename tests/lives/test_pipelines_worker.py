"""Workers on a shared ledger: real processes on a real PostgreSQL, killed, stopped and woken up again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

import pipelines_schedule_rig as rig
from datareeve.capabilities.pipelines.scheduling.journal import Journal
from datareeve.core.errors import BadInput, Unreachable
from datareeve.interfaces import cli, worker
from datareeve.systems.job_queue import SCHEMA, JobQueue

HOURLY = {"cron": "0 * * * *", "retry_seconds": 1}
DEADLINE = 60
MINUTE = timedelta(minutes=1)


def until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
def project(tmp_path, database):
    """A project on a ledger of its own in PostgreSQL, with one pipeline."""
    allowed = "authority: {rules: [{decision: allow}]}"
    (tmp_path / "estate.yaml").write_text(f"version: 1\nledger: {database}\n{allowed}\n")
    (tmp_path / "schedules.json").write_text(json.dumps({"p": HOURLY}))
    return tmp_path


@pytest.fixture
def app(project):
    with contextlib.closing(rig.opened(project)) as app:
        yield app


@contextlib.contextmanager
def running(project, *words):
    """A worker as a process, in a group of its own; killed at the end with all that it started."""
    log = project / f"worker-{time.monotonic_ns()}.log"
    command = [sys.executable, rig.__file__, "worker", str(project), *words]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process
        finally:
            for number in (signal.SIGCONT, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            process.wait()


def open_occasion(app, starter):
    """One look of the loop before the hour, and one at it."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    more = app.more_schedules(starter)
    for now in (hour - 30 * MINUTE, hour):
        for _, act in more(now):
            act()


def queued(app):
    queue = app.job_queue()
    open_occasion(app, queue.put)
    return queue


def story(app):
    return Journal(app.ledger).refresh().of("p")


def done(app):
    return bool(story(app).ended)


def is_whole(app):
    """Each step once, in order, in one run that is done."""
    (run,) = app.runs()
    assert rig.lines(app.project) == [f"{step} {run.run}" for step in rig.STEPS]
    assert run.status == "done"
    (ended,) = story(app).ended
    assert (ended.last.told["status"], ended.last.told["run"], len(ended.attempts)) == ("done", run.run, 1)


def test_the_tables_of_the_queue_are_made_once_in_a_schema_of_their_own(app):
    queue = app.job_queue()
    assert not queue.used(60)
    threads = [threading.Thread(target=app.job_queue().prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.prepare()
    with app.ledger.engine.connect() as connection:
        asked = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'procrastinate%%'"
        assert connection.exec_driver_sql(asked).scalars().all() == [SCHEMA]


def test_a_job_stands_in_the_queue_once_however_often_it_is_put(app):
    queue = app.job_queue()
    for _ in range(3):
        queue.put("p")
    queue.put("Ünï")
    assert queue.waiting() == {"p", "Ünï"}


def test_a_worker_does_what_is_queued_and_with_once_it_ends(app):
    queue = queued(app)
    with running(app.project, "once") as process:
        assert process.wait(DEADLINE) == 0
    is_whole(app)
    assert queue.waiting() == set()
    assert not queue.used(60)  # it said goodbye


def test_a_worker_that_is_killed_has_its_run_finished_by_another(app):
    queued(app)
    (app.project / "block-load-b").touch()
    with running(app.project) as first:
        until((app.project / "at-load-b").exists, "the first worker begins the second step")
        child = int((app.project / "at-load-b").read_text())
        first.kill()  # the worker alone: what it started ends by itself
        first.wait()
        until(lambda: not _alive(child), "the run's process ends with its worker")
        (app.project / "block-load-b").unlink()
        with running(app.project):
            until(lambda: done(app), "the second worker finishes it")
    is_whole(app)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - not a file to be kept
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_stopped_worker_that_wakes_up_after_another_took_over_records_nothing(app):
    queued(app)
    block = app.project / "block-load-b"
    block.touch()
    with running(app.project) as first:
        until((app.project / "at-load-b").exists, "the first worker begins the second step")
        child = int((app.project / "at-load-b").read_text())
        os.killpg(first.pid, signal.SIGSTOP)  # the worker and its run
        with app.ledger.engine.begin() as connection:  # as if its leases had run out
            connection.exec_driver_sql("UPDATE leases SET expires_at = 0")
        (app.project / "at-load-b").unlink()
        with running(app.project):
            until((app.project / "at-load-b").exists, "the second worker takes it over")
            os.killpg(first.pid, signal.SIGCONT)
            block.unlink()  # now both go on
            until(lambda: not _alive(child), "the first worker's run gives up")
            until(lambda: done(app), "the second worker finishes it")
    is_whole(app)
    moments = [entry.body["moment"] for entry in app.ledger.entries("step", run=app.runs()[0].run) if entry.subject == "1/load b"]  # fmt: skip
    assert moments == ["intent", "outcome"]
    app.verify_ledger()


def test_a_worker_that_is_told_to_stop_finishes_its_step_and_leaves_the_rest(app):
    queue = queued(app)
    block = app.project / "block-load-a"
    block.touch()
    with running(app.project) as first:
        until((app.project / "at-load-a").exists, "it begins")
        first.terminate()
        block.unlink()
        assert first.wait(DEADLINE) == 0
    (run,) = app.runs()
    assert run.status == "interrupted"
    assert rig.lines(app.project) == [f"load a {run.run}"]
    assert queue.waiting() == {"p"}
    with running(app.project, "once") as second:
        assert second.wait(DEADLINE) == 0
    is_whole(app)


def test_a_failure_that_may_pass_is_tried_again_by_a_worker(app):
    queued(app)
    (app.project / "fail").write_text("postgres.unreachable")
    with running(app.project):
        until(
            lambda: story(app).open and story(app).open[0].last and story(app).open[0].last.ended, "it fails"
        )
        (app.project / "fail").unlink()
        until(lambda: done(app), "it is tried again")
    assert [attempt.told["status"] for attempt in story(app).ended[0].attempts] == ["failed", "done"]


def test_serve_leaves_runs_to_workers_where_one_lives_and_else_runs_them_itself(app):
    children = worker.Children(app.project, rig.COMMAND)
    starter = worker.Starter(children, app.job_queue())
    try:
        open_occasion(app, starter)
        until(lambda: done(app), "it is run by a process of serve's own")
        is_whole(app)
    finally:
        starter.stop()
    app.job_queue().prepare()
    with app.ledger.engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO {SCHEMA}.procrastinate_workers DEFAULT VALUES")
    starter = worker.Starter(children, app.job_queue())
    starter("p")
    assert app.job_queue().waiting() == {"p"}
    starter.stop()


def test_what_serve_runs_itself_is_stopped_after_its_step_when_serve_ends(app):
    (app.project / "block-load-a").touch()
    starter = worker.Starter(worker.Children(app.project, rig.COMMAND), None)
    open_occasion(app, starter)
    until((app.project / "at-load-a").exists, "it begins")
    ending = threading.Thread(target=starter.stop)
    ending.start()
    (app.project / "block-load-a").unlink()
    ending.join(DEADLINE)
    assert [one.status for one in app.runs()] == ["interrupted"]
    assert len(rig.lines(app.project)) == 1


def test_without_a_shared_ledger_a_worker_says_what_it_needs(tmp_path, capsys):
    (tmp_path / "estate.yaml").write_text("version: 1\n")
    assert cli.main(["worker", "--once", "--json", "--project", str(tmp_path)]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "worker.needs-shared-ledger"


def test_the_command_ends_when_nothing_is_left_and_refuses_what_it_cannot_do(project, capsys):
    assert cli.main(["worker", "--once", "--project", str(project)]) == 0
    assert "up to 1 at once" in capsys.readouterr().err
    assert cli.main(["worker", "--concurrency", "0", "--json", "--project", str(project)]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "worker.concurrency"


def test_a_queue_of_a_newer_version_is_told(app):
    queue = app.job_queue()
    queue.prepare()
    with app.ledger.engine.begin() as connection:
        connection.exec_driver_sql(f"COMMENT ON SCHEMA {SCHEMA} IS '99.00.00_01.sql'")
    with pytest.raises(BadInput) as caught:
        app.job_queue().prepare()
    assert caught.value.code == "worker.newer"


def test_a_ledger_that_is_away_is_told():
    queue = JobQueue("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unreachable) as caught:
        queue.put("p")
    assert caught.value.code == "ledger.unreachable"
