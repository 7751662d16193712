"""MariaDB 10.5 and MySQL 8.0 and newer, through PyMySQL.

Everything is read in a READ ONLY transaction with a time limit that the server keeps (`max_statement_time`, `max_execution_time`), one
statement a message (the client flag for several is never set, and local files are never sent). What such a transaction still lets through
is refused by `mysql_text.only_reading`. Datareeve changes nothing on these engines yet.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused, Unreachable
from datareeve.systems.adapter import reads
from datareeve.systems.answers import Shape, answers, missing_driver, shaped
from datareeve.systems.erasing import Subjects
from datareeve.systems.json_values import ROW_CAP
from datareeve.systems.measured import Measured
from datareeve.systems.mysql_text import only_reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from datareeve.core.estate import MysqlSystem
    from datareeve.core.secrets import Secret
    from datareeve.systems.measure import Engine

CONNECT_SECONDS = 10
LOCK_SECONDS = 5  # that a reader waits for a lock of the table's definition
GRACE_SECONDS = 5  # after the server's own limit, before the connection is given up
OLDEST = {"MariaDB": (10, 5), "MySQL": (8, 0)}
# Known ways of lexing, whatever the server's default: PyMySQL escapes with backslashes, and so judges `only_reading`.
SETTINGS = "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', SESSION lock_wait_timeout = %d, SESSION innodb_lock_wait_timeout = %d"


class Mysql(Measured, Subjects):
    """One database on one MariaDB or MySQL server."""

    kind = "mysql"
    entry: MysqlSystem

    def __init__(
        self, name: str, entry: MysqlSystem, password: Secret | None = None, project: Path | None = None
    ) -> None:
        super().__init__(name)
        self.entry = entry
        self.password = password
        self.project = project or Path.cwd()
        self._connection: Any = None
        self._about: dict[str, Any] = {}

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def query(
        self,
        sql: str,
        parameters: dict[str, Any] | list[Any] | None = None,
        shape: Shape = "rows",
        timeout_seconds: float | None = None,
    ) -> Any:
        """The answer of one statement that only reads, in a READ ONLY transaction. Shapes and bound as for PostgreSQL.

        Errors: `Refused` `mysql.not-a-read`, `mysql.several-statements`; `Failed` `mysql.timeout`.
        """
        statement = only_reading(sql)
        with self._reading(timeout_seconds) as cursor:
            cursor.execute(statement, parameters or None)
            names = [column[0] for column in cursor.description or ()]
            rows = cursor.fetchmany(ROW_CAP + 1)
        return shaped(names, rows, shape, self.kind)

    @reads
    def ask(self, statements: dict[str, str]) -> dict[str, Any]:
        """The rows of several statements by name; None for one that the engine will not answer as it is written."""
        return answers(self.query, statements)

    def measuring(self, sqls: list[str], busy_share: float) -> AbstractContextManager[Engine]:
        """See `Measured`."""
        from datareeve.systems import mysql_measure  # noqa: PLC0415 - asked for by checks only

        del sqls, busy_share
        return mysql_measure.engine(self)

    @reads
    def server(self) -> dict[str, Any]:
        """What this server is: engine (MariaDB, MySQL), version, version_num ([10, 11, 14]), database, user, read_only, statistics (is performance_schema on?), data_directory, here (is that on this machine?)."""
        with self._reading(None) as cursor:
            cursor.execute(
                "SELECT @@version, DATABASE(), CURRENT_USER(), @@global.read_only, @@performance_schema, @@datadir, @@hostname"
            )
            version, database, user, read_only, statistics, data, host = cursor.fetchone()
        return {
            **self._about,
            "version": version.split("-")[0],
            "database": database,
            "user": user,
            "read_only": bool(read_only),
            "statistics": bool(statistics),
            "data_directory": data,
            "here": host == socket.gethostname() and os.path.isdir(data),  # noqa: PTH112 - Path.is_dir raises where a parent is closed
        }

    @reads
    def workload(self) -> dict[str, Any]:
        """The recorded workload without any value, as for PostgreSQL: performance_schema's digests, the slow query log, a trace or a file of statements."""
        from datareeve.systems import workload_elsewhere  # noqa: PLC0415 - parses statements

        return workload_elsewhere.of_mysql(self).summary()

    @reads
    def plan_of(self, sql: str | None = None, fingerprint: str | None = None) -> dict[str, Any]:
        """The optimizer's plan of a statement, or of a family of the workload, without running it and without any constant in it."""
        from datareeve.systems import plans_elsewhere  # noqa: PLC0415

        return plans_elsewhere.of_mysql(self, sql, fingerprint)

    # -- what the runner asks ------------------------------------------------------------------------------------------------------

    def identity(self) -> str:
        """Host as the server names itself, port, database and account."""
        where = self.query(
            "SELECT CONCAT_WS(':', @@hostname, @@port, DATABASE(), CURRENT_USER())", shape="scalar"
        )
        return f"mysql:{where}"

    def close(self) -> None:
        """Close the reading connection."""
        if self._connection is not None:
            driver = _driver()
            with suppress(driver.MySQLError, OSError):  # it was closed already, or the server is gone
                self._connection.close()
            self._connection = None

    # -- connection ----------------------------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self, timeout_seconds: float | None) -> Iterator[Any]:
        """A cursor in a READ ONLY transaction with a time limit."""
        seconds = timeout_seconds or self.entry.read_timeout_seconds
        with self.translated():
            connection = self._connected()
            thread = connection.thread_id()
            connection._read_timeout = seconds + GRACE_SECONDS  # noqa: SLF001 - for a statement that heeds no limit
            try:
                with connection.cursor() as cursor:
                    cursor.execute(self.limit(seconds))
                    cursor.execute("START TRANSACTION READ ONLY")
                    yield cursor
                connection.rollback()
            except BaseException:
                self.close()
                if timed_out(connection):
                    self.kill(thread)
                raise

    def limit(self, seconds: float) -> str:
        """What sets the server's own limit of a statement's time."""
        if self._about["engine"] == "MariaDB":
            return f"SET SESSION max_statement_time = {seconds:.3f}"
        return f"SET SESSION max_execution_time = {int(seconds * 1000)}"

    def supported(self) -> None:
        """Look what server this is. Errors: `BadInput` `mysql.too-old`."""
        self._connected()

    def _connected(self) -> Any:
        if self._connection is None or not self._connection.open:
            self._connection = self.connect()
            with self._connection.cursor() as cursor:
                cursor.execute(SETTINGS % (LOCK_SECONDS, LOCK_SECONDS))
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
            self._about = _engine(str(self._connection.server_version))
            if tuple(self._about["version_num"][:2]) < OLDEST[self._about["engine"]]:
                said = f"{self._about['engine']} {'.'.join(map(str, self._about['version_num']))}"
                self.close()
                raise BadInput(
                    "mysql.too-old",
                    f"{self.name} is {said}.",
                    "Datareeve works with MariaDB 10.5 and MySQL 8.0, and newer.",
                )
        return self._connection

    def connect(self) -> Any:
        """A new connection. Errors: `Unreachable`, `BadInput` `mysql.driver`."""
        driver = _driver()
        parts = urlsplit(self.entry.url)
        options = dict(parse_qsl(parts.query))
        tls = {"ssl_ca": options["ssl_ca"], "ssl_verify_cert": True} if "ssl_ca" in options else {}
        try:
            return driver.connect(
                host=parts.hostname or "localhost",
                port=parts.port or 3306,
                user=unquote(parts.username or ""),
                password=self.password.reveal() if self.password else "",
                database=unquote(parts.path.strip("/")),
                unix_socket=options.get("unix_socket"),
                charset="utf8mb4",
                connect_timeout=CONNECT_SECONDS,
                local_infile=False,
                autocommit=True,
                program_name="datareeve",
                **tls,
            )
        except RuntimeError as error:  # an authentication plugin that needs the cryptography package
            raise Unreachable(
                "mysql.login-method",
                f"{self.name} wants a login method that the driver has not: {str(error)[:80]}.",
                "pip install cryptography, or connect over TLS or a socket.",
            ) from None

    def conninfo(self) -> str:
        """How DuckDB attaches this database, with the password. Never to be shown."""
        parts = urlsplit(self.entry.url)
        given = {
            "host": parts.hostname or "localhost",
            "port": str(parts.port or 3306),
            "user": unquote(parts.username or ""),
            "password": self.password.reveal() if self.password else "",
            "database": unquote(parts.path.strip("/")),
        }
        return " ".join(f'{key}="{_escaped(value)}"' for key, value in given.items() if value)

    def kill(self, thread: int) -> None:
        """End a statement that went on after its reader had given up."""
        driver = _driver()
        with suppress(driver.MySQLError, OSError, Unreachable):  # the limit on the server is left to end it
            connection = self.connect()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(f"KILL QUERY {int(thread)}")
            finally:
                connection.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the driver as ours, without values."""
        driver = _driver()
        try:
            yield
        except driver.MySQLError as error:
            raise translate(error, self.name) from None
        except (TypeError, ValueError, KeyError) as error:
            if isinstance(error, DatareeveError):
                raise
            raise BadInput(
                "mysql.parameters",
                f"{self.name}: the statement and its parameters do not fit.",
                "Name them as %(name)s, and write % as %%.",
            ) from None


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _driver() -> Any:
    try:
        import pymysql  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
    except ImportError:
        raise missing_driver("mysql", "MariaDB and MySQL", "PyMySQL") from None
    return pymysql


def timed_out(connection: Any) -> bool:
    """Whether the driver gave up waiting: it then closes the socket without a word to the server."""
    return not connection.open


def _engine(version: str) -> dict[str, Any]:
    """'5.5.5-10.11.14-MariaDB-0+deb12u2' is MariaDB 10.11.14; '8.0.36' is MySQL."""
    engine = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    numbers = re.findall(r"\d+\.\d+\.\d+", version)
    number = numbers[-1] if engine == "MariaDB" and len(numbers) > 1 else numbers[0] if numbers else "0.0.0"
    return {"engine": engine, "version_num": [int(part) for part in number.split(".")]}


KNOWN: dict[int, tuple[type[DatareeveError], str, str, str]] = {
    1045: (Unreachable, "mysql.login", "{system} refused the login.", "Check the user, the password reference and the account's host."),
    1698: (Unreachable, "mysql.login", "{system} refused the login.", "Check the user, the password reference and the account's host."),
    1044: (Unreachable, "mysql.database", "{system}: the account may not use the database in the URL.", "GRANT SELECT ON it to the account, or correct the URL."),
    1049: (Unreachable, "mysql.database", "The database in the URL of {system} does not exist.", "Correct the URL, or create it."),
    1040: (Unreachable, "mysql.too-many-connections", "{system} has no connection left.", "Close some, or raise max_connections."),
    1129: (Unreachable, "mysql.host-blocked", "{system} blocks this host after too many failed connects.", "Run FLUSH HOSTS there, and mend what failed."),
    2002: (Unreachable, "mysql.unreachable", "{system} cannot be reached.", "Check host, port and that the server runs; then try again."),
    2003: (Unreachable, "mysql.unreachable", "{system} cannot be reached.", "Check host, port and that the server runs; then try again."),
    2006: (Unreachable, "mysql.lost", "The connection to {system} was lost.", "Try again when the server is back."),
    2013: (Unreachable, "mysql.lost", "The connection to {system} was lost.", "Try again when the server is back."),
    1927: (Unreachable, "mysql.lost", "The connection to {system} was ended by the server.", "Try again."),
    1053: (Unreachable, "mysql.lost", "{system} is shutting down.", "Try again when the server is back."),
    1205: (Failed, "mysql.lock-timeout", "{system}: a lock was not granted in time.", "Another session holds it; try in a quieter hour."),
    1969: (Failed, "mysql.timeout", "{system}: the statement took longer than allowed.", "Give systems.*.read_timeout_seconds more, or try in a quieter hour."),
    3024: (Failed, "mysql.timeout", "{system}: the statement took longer than allowed.", "Give systems.*.read_timeout_seconds more, or try in a quieter hour."),
    1317: (Failed, "mysql.timeout", "{system}: the statement was ended.", "Someone, or a time limit, ended it: try again."),
    1792: (Refused, "mysql.not-a-read", "{system}: the statement would write; it was refused by the server's READ ONLY transaction.", "Give a statement that only reads."),
    1290: (Refused, "mysql.read-only", "{system} does not allow this with the options it was started with.", "Give a statement that only reads."),
    1064: (BadInput, "mysql.syntax", "{system}: this is not SQL as the server knows it{where}.", "Correct the statement."),
}  # fmt: skip
SAID = {
    1054,
    1146,
    1142,
    1143,
    1051,
    1052,
    1072,
    1176,
    1227,
    1305,
    1356,
    1370,
}  # name objects and grants only


def translate(error: Any, system: str) -> DatareeveError:
    """The error as ours, by its number. The server's own words are passed on only where they cannot quote a value (a duplicate key's do)."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    said = str(error.args[1]) if len(error.args) > 1 else ""
    if number in KNOWN:
        kind, code, what, remedy = KNOWN[number]
        line = re.search(r"at line (\d+)$", said)
        return kind(code, what.format(system=system, where=f" (line {line[1]})" if line else ""), remedy)
    if number in SAID:
        refused = number in {1142, 1143, 1227, 1370}
        return (Refused if refused else Failed)(
            "mysql.grant" if refused else f"mysql.{number}",
            f"{system}: {said}.",
            "GRANT it to the account, as an owner." if refused else "",
        )
    return Failed(
        f"mysql.{number or 'error'}",
        f"{system}: error {number} ({_symbol(number)}).",
        "The server's own log has the detail; values are not repeated here.",
    )


def _symbol(number: int) -> str:
    from pymysql.constants import CR, ER  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra

    names: dict[int, str] = {
        value: name for module in (ER, CR) for name, value in vars(module).items() if isinstance(value, int)
    }
    return names.get(number, "not known").lower().replace("_", " ")
