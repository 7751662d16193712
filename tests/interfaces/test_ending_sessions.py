"""Ending a session from the command line: `--yes` was given before anybody has read the plan, and is no approval of it."""

import psycopg


def test_yes_is_not_enough_to_end_a_session_but_approving_what_was_read_is(datareeve, database):
    with psycopg.connect(database, application_name="nightly") as session, psycopg.connect(database) as look:
        pid = session.info.backend_pid
        session.execute("SELECT count(*) FROM trips")
        command = ("run", "databases.end-session", "--pid", str(pid))
        there = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
        waiting = datareeve(*command, "--yes")
        assert (waiting.status, look.execute(there, (pid,)).fetchone()[0]) == (4, 1)
        assert "only ever by a person's approval" in waiting.err
        fingerprint = datareeve(*command, "--plan", "--json").json["fingerprint"]
        look.rollback()
        assert datareeve(*command, "--approve", fingerprint).status == 0
        assert look.execute(there, (pid,)).fetchone()[0] == 0
        session.close()
