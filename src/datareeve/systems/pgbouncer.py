"""PgBouncer in front of a database of the estate, on this machine: starting, reloading, stopping, asking it and asking through it.

`<directory>/<name>.ini` is what the project says. PgBouncer itself reads a copy of it in a folder of its own below `.datareeve/` (as root
it runs as another user, who may not enter the project), together with what must not stand in the project: process id, log, and, where
logins are checked, the SCRAM verifiers of the roles. Those are copied from the server, file mode 0600; no password is ever written.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import pwd
import re
import shutil
import signal
import socket
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Literal

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from datareeve.core.errors import BadInput, DatareeveError, Failed
from datareeve.core.estate import STATE_FOLDER
from datareeve.systems import pg_server
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.json_values import to_json
from datareeve.systems.postgres import translate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datareeve.core.estate import PgbouncerSystem
    from datareeve.systems.postgres import Postgres

READY_SECONDS = 10
DRAIN_SECONDS = 5  # for transactions under way, when it is stopped
LOG_TAIL = 4_000_000  # bytes of the log that are looked through
REFUSED = re.compile(
    rb"pooler error: .*(?:authentication failed|no such user|SASL)|login failed|server login failed",
    re.IGNORECASE,
)
PLACES = ":/usr/sbin:/usr/local/sbin"  # where Debian and others keep servers

VERIFIERS_SQL = "SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin AND rolpassword LIKE 'SCRAM-SHA-256$%' ORDER BY rolname"
LOGINS_SQL = "SELECT rolname, '' AS rolpassword FROM pg_roles WHERE rolcanlogin ORDER BY rolname"


class Pgbouncer(Adapter):
    """One PgBouncer process, known by its configuration file."""

    kind = "pgbouncer"

    def __init__(self, name: str, entry: PgbouncerSystem, project: Path, database: Postgres) -> None:
        super().__init__(name)
        self.entry = entry
        self.database = database
        self.ini = project / entry.directory / f"{name}.ini"
        self._wanted_folder = project / STATE_FOLDER / "pgbouncer" / name

    # -- reads -------------------------------------------------------------------------------------------------

    @reads
    def installed(self) -> dict[str, Any] | None:
        """Path and version ([1, 18, 0]) of the program; None where it is not installed."""
        path = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + PLACES)
        if path is None:
            return None
        found = re.search(
            r"(\d+)\.(\d+)\.(\d+)", pg_server.run_as(pg_server.service_user(), [path, "--version"]).stdout
        )
        return {"path": path, "version": [int(part) for part in found.groups()] if found else [0, 0, 0]}

    @reads
    def target(self) -> dict[str, Any]:
        """Where the database is, as its URL says: host, port, dbname, user, sslmode (None where not said)."""
        parts = conninfo_to_dict(self.database.entry.url)
        user = str(parts.get("user") or "postgres")
        place = {"host": parts.get("host") or "localhost", "port": int(parts.get("port") or 5432)}
        return {**place, "dbname": parts.get("dbname") or user, "user": user, "sslmode": parts.get("sslmode")}

    @reads
    def running(self) -> bool:
        """Whether this very PgBouncer runs."""
        return self._process() is not None

    @reads
    def serves(self, digest: str) -> bool:
        """Whether it runs, with the configuration of that SHA-256 digest."""
        return self.running() and _digest(self._folder / "pool.ini") == digest

    @reads
    def port_taken(self, port: int) -> bool:
        """Whether something else than this PgBouncer listens on a port of the loopback interface."""
        if self.running() and self._port() == port:
            return False
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    @reads
    def show(
        self, what: Literal["POOLS", "STATS", "STATS_TOTALS", "CONFIG", "DATABASES", "LISTS", "VERSION"]
    ) -> list[dict[str, Any]]:
        """The rows of `SHOW what` on the admin console. Errors: `Unreachable`."""
        if what not in {"POOLS", "STATS", "STATS_TOTALS", "CONFIG", "DATABASES", "LISTS", "VERSION"}:
            raise BadInput(
                "pgbouncer.show",
                f"{what!r} is not shown.",
                "Ask for POOLS, STATS, CONFIG, DATABASES, LISTS or VERSION.",
            )
        with self._connected(dbname="pgbouncer") as console:
            return [
                {key: to_json(value) for key, value in row.items()} for row in console.execute(f"SHOW {what}")
            ]

    @reads
    def configured(self, name: str) -> str | None:
        """The value of a setting that the running PgBouncer uses, as SHOW CONFIG gives it."""
        return next((str(row["value"]) for row in self.show("CONFIG") if row["key"] == name), None)

    @reads
    def ask(self, sql: str) -> Any:
        """The first column of the first row of a query, asked through the pool in a READ ONLY transaction. Errors: `Unreachable`."""
        with self._connected() as connection, connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            row = connection.execute(sql).fetchone()
        return to_json(next(iter(row.values()))) if row else None

    @reads
    def status(self) -> dict[str, Any]:
        """One look at it: {running, pools, stats, databases, login_failures}, without its own console; lists are empty where it does not run.

        Rows are those of SHOW POOLS, STATS and DATABASES; `login_failures` are the refused logins, of clients or at the server, that its
        log holds. Errors: `Unreachable`.
        """
        empty: dict[str, Any] = {
            "running": False,
            "pools": [],
            "stats": [],
            "databases": [],
            "login_failures": 0,
        }
        if not self.running():
            return empty
        own = {"POOLS": "database", "STATS": "database", "DATABASES": "name"}
        with self._connected(dbname="pgbouncer") as console:
            rows = {what: [to_json(dict(row)) for row in console.execute(f"SHOW {what}")] for what in own}
        shown = {
            what.lower(): [row for row in rows[what] if row[key] != "pgbouncer"] for what, key in own.items()
        }
        return {**shown, "running": True, "login_failures": self._login_failures()}

    @reads
    def load_tested(self, digest: str) -> dict[str, Any] | None:
        """The record of a load test with those arguments; None where there is none."""
        from datareeve.systems import pool_load  # noqa: PLC0415 - it makes copies

        return pool_load.record_of(self, digest)

    # -- effects -----------------------------------------------------------------------------------------------

    @effects
    def load_test(self, digest: str, *, run: str, **wish: Any) -> dict[str, Any]:
        """Drive pgbench through pools of several sizes, on a disposable copy or where `wish` says. See `pool_load.load_test`."""
        from datareeve.systems import pool_load  # noqa: PLC0415 - it makes copies

        return pool_load.load_test(self, digest, pool_load.Wish(**wish), run)

    @effects
    def forget_load_test(self, digest: str) -> dict[str, Any]:
        """Remove the record of a load test; quiet where there is none."""
        from datareeve.systems import pool_load  # noqa: PLC0415 - it makes copies

        return pool_load.forget(self, digest)

    @effects
    def start(self) -> dict[str, Any]:
        """Serve the configuration that stands in the project: start, or where it runs take it over without losing a client.

        A change of port or address needs a new start. Errors: `BadInput` `pgbouncer.not-installed`, `Failed` `pgbouncer.start`,
        `pgbouncer.port-taken` where another program was faster.
        """
        program = self.installed()
        if program is None:
            raise BadInput(
                "pgbouncer.not-installed",
                "PgBouncer is not installed here.",
                "Install your system's pgbouncer package.",
            )
        if self.running() and _address(self.ini) != _address(self._folder / "pool.ini"):
            self.stop()
        self._lay_out()
        if (process := self._process()) is not None:
            process.send_signal(signal.SIGHUP)
        else:
            self._launch(program["path"])
        self._wait_until_ready()
        return {}

    def _launch(self, program: str) -> None:
        command = [program, "--daemon", "--quiet", str(self._folder / "run.ini")]
        # Where two plans chose the same port at the same moment, the system gives it to one: the other is told so, and plans again.
        refused = self.port_taken(self._port())
        failed = (
            not refused and pg_server.run_as(pg_server.service_user(), command, check=False).returncode != 0
        )
        if refused or (failed and self.port_taken(self._port())):
            raise Failed(
                "pgbouncer.port-taken",
                f"Another program has taken port {self._port()} since {self.name} was planned.",
                "Plan again: another free port is chosen.",
            )
        if failed:
            raise Failed(
                "pgbouncer.start",
                f"PgBouncer {self.name} did not start.",
                f"Its log is {self._folder / 'log'}.",
            )

    @effects
    def stop(self) -> dict[str, Any]:
        """End it once the transactions under way have ended (at most 5 s are given), and remove its folder. Quiet where it does not run."""
        if (process := self._process()) is not None:
            process.send_signal(signal.SIGINT)
            _, alive = psutil.wait_procs([process], timeout=DRAIN_SECONDS)
            for late in alive:
                late.kill()
            psutil.wait_procs(alive, timeout=DRAIN_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)
        return {}

    # -- files and process -------------------------------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return pg_server.server_folder(self._wanted_folder)

    def _lay_out(self) -> None:
        user = pg_server.service_user()
        pg_server.make_folder(self._folder, user)
        self._folder.chmod(0o700)
        files = {
            "pool.ini": self.ini.read_text(encoding="utf-8"),
            "users.txt": self._users(),
            "run.ini": self._run_ini(),
        }
        for name, text in files.items():
            _write_private(self._folder / name, text, user)

    def _run_ini(self) -> str:
        # Not by %include: a second [pgbouncer] section would set everything in the first back to its default.
        own = {"pidfile": "pid", "logfile": "log", "auth_file": "users.txt"}
        lines = [f"{key} = {self._folder / file}" for key, file in own.items()]
        return self.ini.read_text(encoding="utf-8").replace(
            "[pgbouncer]\n", "\n".join(["[pgbouncer]", *lines, ""]), 1
        )

    def _users(self) -> str:
        # Where logins are not checked, PgBouncer still wants to know the names.
        trusting = _settings(self.ini).get("auth_type") == "trust"
        rows = self.database.query(LOGINS_SQL if trusting else VERIFIERS_SQL)
        return "".join(f"{_quoted(row['rolname'])} {_quoted(row['rolpassword'])}\n" for row in rows)

    def _process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(int((self._folder / "pid").read_text()))
            # A process id may have gone to another program since.
            return process if str(self._folder / "run.ini") in process.cmdline() else None
        except (OSError, ValueError, psutil.Error):
            return None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            if time.monotonic() > deadline:
                raise Failed(
                    "pgbouncer.start",
                    f"PgBouncer {self.name} did not come up in {READY_SECONDS} s.",
                    f"Its log is {self._folder / 'log'}.",
                )
            time.sleep(0.02)

    def _ready(self) -> bool:
        try:
            return self.running() and self.configured("default_pool_size") == _settings(self.ini).get(
                "default_pool_size"
            )
        except DatareeveError:  # not listening yet
            return False

    def _login_failures(self) -> int:
        """Refused logins in the newest part of the log. Only their number leaves this method."""
        try:
            with (self._folder / "log").open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(log.tell() - LOG_TAIL, 0))
                return sum(1 for line in log if REFUSED.search(line))
        except OSError:
            return 0

    # -- connections -------------------------------------------------------------------------------------------

    def _port(self) -> int:
        return int(_settings(self._folder / "pool.ini").get("listen_port", self.entry.port))

    def _host(self) -> str:
        address = _settings(self._folder / "pool.ini").get("listen_addr", "*")
        return "127.0.0.1" if address in {"*", "0.0.0.0"} else address.split(",")[0]  # noqa: S104 - compared, not bound

    @contextmanager
    def _connected(self, **change: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        password = self.database.password.reveal() if self.database.password else None
        # Within this machine no TLS is needed, and the pool does not pass start-up options on.
        local: dict[str, Any] = {
            "host": self._host(),
            "port": self._port(),
            "sslmode": "disable",
            "options": None,
        }
        session: dict[str, Any] = {
            "autocommit": True,
            "prepare_threshold": None,
            "connect_timeout": READY_SECONDS,
        }
        options = {**local, **session, "gssencmode": "disable", "password": password, **change}
        try:
            with closing(
                psycopg.connect(self.database.entry.url, row_factory=dict_row, **options)
            ) as connection:
                yield connection
        except psycopg.Error as error:
            raise translate(error, self.name) from None


def _settings(ini: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";", "#"))
    parser.read(ini, encoding="utf-8")
    return dict(parser["pgbouncer"]) if parser.has_section("pgbouncer") else {}


def _address(ini: Path) -> tuple[str | None, str | None]:
    settings = _settings(ini)
    return settings.get("listen_addr"), settings.get("listen_port")


def _digest(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _write_private(file: Path, text: str, user: str | None) -> None:
    """Write a file that only the service user can read; it is never there with wider rights."""
    partial = file.with_suffix(file.suffix + ".new")
    partial.unlink(missing_ok=True)
    with os.fdopen(
        os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as out:
        out.write(text)
    if user is not None:
        os.chown(partial, pwd.getpwnam(user).pw_uid, -1)
    partial.replace(file)
