"""Trouble that comes from outside: each has a code, says what to do, and leaves nothing half-done."""

import socket
import struct
import subprocess
import threading

import psycopg
import pytest

INDEX = (
    "run",
    "databases.create-index",
    "--system",
    "app",
    "--table",
    "trips",
    "--columns",
    "plane",
    "--yes",
)


def use(project, database, url):
    estate = project / "estate.yaml"
    estate.write_text(estate.read_text().replace(database, url))


def indexes(database):
    with psycopg.connect(database) as connection:
        return connection.execute(
            "SELECT count(*) FROM pg_indexes WHERE indexname = 'trips_plane_idx'"
        ).fetchone()[0]


def test_a_role_without_rights_is_told_which_and_nothing_is_done(datareeve, project, database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS poor")
        connection.execute("CREATE ROLE poor LOGIN")
    use(project, database, database.replace("postgres@", "poor@"))
    answer = datareeve(*INDEX)
    assert answer.status == 1
    assert "postgres.grant" in answer.out + answer.err
    assert "must be owner of table trips" in answer.out + answer.err
    assert indexes(database) == 0


def test_a_database_that_takes_no_writes_is_told_so(datareeve, database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = on")
    answer = datareeve(*INDEX)
    assert answer.status == 1
    assert "postgres.read-only" in answer.out + answer.err
    assert indexes(database) == 0


def test_a_server_that_is_too_old_is_refused(datareeve, project, database):
    with old_server() as port:
        use(project, database, f"postgresql://postgres@127.0.0.1:{port}/app")
        answer = datareeve(*INDEX)
    assert answer.status == 2
    assert "postgres.too-old" in answer.err
    assert "PostgreSQL 12" in answer.err


def test_a_server_that_is_gone_is_told_so(datareeve, project, database):
    use(project, database, "postgresql://postgres@127.0.0.1:1/app")
    answer = datareeve(*INDEX)
    assert answer.status == 1
    assert "postgres.unreachable" in answer.err


def test_a_lock_that_never_comes_leaves_nothing_half_done(datareeve, database):
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE trips IN ACCESS EXCLUSIVE MODE")
        answer = datareeve(
            "run",
            "databases.add-primary-key",
            "--system",
            "app",
            "--table",
            "trips",
            "--columns",
            "plane",
            "--plan",
        )
    assert answer.status in {0, 1}
    assert "Traceback" not in answer.err
    assert indexes(database) == 0


def test_on_a_full_disk_nothing_is_done_because_nothing_could_be_recorded(datareeve, project, database):
    datareeve(
        "run", "databases.check-health", "--system", "app"
    )  # the ledger's tables are made while there is room
    state = project / ".datareeve"
    state.rename(project / "kept")
    state.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", state], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here")
    try:
        subprocess.run(["cp", "-r", f"{project}/kept/.", state], check=True)
        subprocess.run(["dd", "if=/dev/zero", f"of={state}/filler"], capture_output=True, check=False)
        answer = datareeve(*INDEX)
        assert answer.status == 1
        assert "ledger.full" in answer.err
        assert indexes(database) == 0
        (state / "filler").unlink()
        assert datareeve(*INDEX).status == 0
    finally:
        subprocess.run(["umount", "-l", state], check=True)


class old_server:  # noqa: N801 - used as a context
    """Just enough of PostgreSQL's protocol to log in to a server of version 12.22: there is no such server to be had."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self.listener.getsockname()[1]

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                self.greet(client)

    def greet(self, client):
        while (code := struct.unpack("!ii", client.recv(8))[1]) in {80877103, 80877104}:  # may I encrypt? no
            client.sendall(b"N")
        assert code == 196608
        client.recv(4096)
        client.sendall(message(b"R", struct.pack("!i", 0)))
        for name, value in (("server_version", "12.22"), ("client_encoding", "UTF8")):
            client.sendall(message(b"S", f"{name}\0{value}\0".encode()))
        client.sendall(message(b"Z", b"I"))
        client.recv(4096)

    def __exit__(self, *caught):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body
