"""Ending a session on a real server: only that one, only with a person's approval, and never one that serves the server itself."""

import threading
import time

import psycopg
import pytest

import maintenance_rig
from datareeve.capabilities.databases.operations.end_session import EndSession
from datareeve.core.errors import NeedsApproval, StalePlan

CANARY = "canary-of-a-row"


@pytest.fixture
def chain(database):
    """A session idle in a transaction, which holds up another, which holds up a third."""
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE accounts (id int PRIMARY KEY, note text)")
        app.execute("INSERT INTO accounts VALUES (1, 'a'), (2, 'b')")
        head = psycopg.connect(database, application_name="nightly")
        middle, tail = psycopg.connect(database), psycopg.connect(database)
        head.execute(f"UPDATE accounts SET note = '{CANARY}' WHERE id = 1")
        middle.execute("UPDATE accounts SET note = 'c' WHERE id = 2")
        threads = [
            threading.Thread(target=_ignoring, args=(middle, "UPDATE accounts SET note = 'm' WHERE id = 1")),
            threading.Thread(target=_ignoring, args=(tail, "UPDATE accounts SET note = 't' WHERE id = 2")),
        ]
        pids = (head.info.backend_pid, middle.info.backend_pid, tail.info.backend_pid)
        for thread in threads:
            thread.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = ANY (%s)"
        wait(lambda: app.execute(waiting, (list(pids),)).fetchone()[0] == 2)
        yield app, head, pids
        app.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY (%s)", (list(pids),)
        )
        for thread in threads:
            thread.join()
        for connection in (head, middle, tail):
            connection.close()


def _ignoring(connection, statement):
    try:
        connection.execute(statement)
        connection.commit()
    except psycopg.Error:
        pass


def wait(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone(app, pid):
    return app.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()[0] == 0


def test_the_root_of_a_blocking_chain_is_ended_by_a_persons_approval_only(tmp_path, database, chain):
    connection, _, (head, middle, _) = chain
    with maintenance_rig.opened(tmp_path, database) as app:
        operation = EndSession(system="app", root_of_blocking=True)
        plan = app.preview(operation)
        assert plan.summary == f"Terminate pid {head} (nightly, role postgres, idle in transaction)."
        (told,) = plan.findings
        assert f"It blocks 1 sessions (pid {middle}" in told.what
        assert told.why == "It runs: UPDATE accounts SET note = $1 WHERE id = $2"
        assert CANARY not in plan.model_dump_json()
        assert plan.figures["sessions_blocked"] == 2
        with pytest.raises(NeedsApproval, match="only ever by a person's approval"):
            app.apply(plan, by="test")
        assert not gone(connection, head)
        outcome = app.apply(plan, by="test", approved=True)
        assert outcome.status == "done"
        assert gone(connection, head)
        assert CANARY not in "".join(entry.model_dump_json() for entry in app.ledger.entries())
        assert (
            app.preview(EndSession(system="app", pid=head)).nothing_to_do
            == f"There is no session with pid {head}."
        )


def test_a_session_that_went_on_is_left_alone(tmp_path, database, chain):
    connection, session, (head, *_) = chain
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(EndSession(system="app", pid=head, mode="terminate"))
        session.commit()
        session.execute("SELECT 1")  # the same session in another transaction: somebody else's work by now
        with pytest.raises(StalePlan, match="still the session that was looked at"):
            app.apply(plan, by="test", approved=True)
        # and where it goes on between that look and the signal:
        who = plan.steps[0].call.arguments
        with pytest.raises(Exception, match="is not doing what it did"):
            app.systems["app"].perform("end_session", run="r1", **who)
    assert not gone(connection, head)


def test_another_session_under_the_same_pid_is_left_alone(systems, database, chain):
    connection, _, (head, *_) = chain
    session = systems["app"].read("session", pid=head)
    who = {key: session[key] for key in ("pid", "backend_start", "xact_start", "query_start", "state")}
    other = {**who, "backend_start": "2020-01-01T00:00:00+00:00"}
    assert systems["app"].perform("end_session", run="r1", who=other, mode="terminate") == {"sent": False}
    assert not gone(connection, head)


def test_a_running_statement_is_cancelled_and_its_session_stays(tmp_path, database, chain):
    connection, _, (_, middle, _) = chain
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(EndSession(system="app", pid=middle))
        assert plan.summary.startswith(f"Cancel pid {middle}")
        assert app.apply(plan, by="test", approved=True).status == "done"
        assert not gone(connection, middle)


@pytest.mark.parametrize("at", ["before effect", "after effect"])
def test_a_worker_that_dies_in_the_middle_ends_it_once(tmp_path, database, chain, at):
    connection, _, (head, *_) = chain
    with maintenance_rig.opened(tmp_path, database, boundary=maintenance_rig.DieBefore(at)) as app:
        plan = app.preview(EndSession(system="app", pid=head))
        with pytest.raises(maintenance_rig.Killed):
            app.apply(plan, by="test", approved=True)
        run = app.runs()[-1].run
    with maintenance_rig.opened(tmp_path, database) as app:
        assert app.resume(run, by="test").status == "done"
    assert gone(connection, head)


def test_servants_of_the_server_and_our_own_sessions_are_never_ended(tmp_path, database):
    with (
        psycopg.connect(database, application_name="datareeve/20260101-000000-abc") as ours,
        maintenance_rig.opened(tmp_path, database) as app,
    ):
        writer = ours.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
        ).fetchone()[0]
        plan = app.preview(EndSession(system="app", pid=writer))
        assert plan.blockers == (
            f"Pid {writer} is a checkpointer, not a client's session: it is never ended from here.",
        )
        plan = app.preview(EndSession(system="app", pid=ours.info.backend_pid))
        assert plan.blockers[0].endswith("is one of Datareeve's own: `datareeve undo` or `resume` its run.")


def test_nobody_waits_on_a_quiet_server(tmp_path, database):
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(EndSession(system="app", root_of_blocking=True))
        assert (plan.nothing_to_do, plan.findings) == (
            "No session waits for a lock that another one holds.",
            (),
        )
