"""PostgreSQL 13 and newer, through psycopg 3.

Reading is done on a connection whose every transaction is READ ONLY, with a statement timeout, under the estate's `read_role` where one
is given; the extended protocol (one statement a message) is used throughout. Effects go through a second connection, marked with the
run's id in `application_name`, so that a later worker can find and end what an earlier one left going (`settle`).
"""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg import errors as pg
from psycopg import sql as pgsql
from psycopg.rows import dict_row

from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused, Unreachable
from datareeve.systems import pg_backup, pg_dependencies, pg_maintenance, pg_repack, pg_restore
from datareeve.systems.adapter import effects, reads
from datareeve.systems.erasing import Subjects
from datareeve.systems.json_values import ROW_CAP, to_json
from datareeve.systems.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from datareeve.core.estate import PostgresqlSystem
    from datareeve.core.secrets import Secret
    from datareeve.systems.measure import Engine
    from datareeve.systems.pg_server import LocalServer
    from datareeve.systems.what_if import WhatIf
    from datareeve.systems.workload_source import Recording

OLDEST = 130000
CONNECT_SECONDS = 10

# SQLSTATE classes whose server message may quote a row's value: their text is never passed on.
CLASSES_WITH_VALUES = {"21", "22", "23", "P0", "HV", "XX", "44"}


class Postgres(Measured, Subjects):
    """One database on one server."""

    kind = "postgresql"
    entry: PostgresqlSystem
    original: Postgres | None = None  # where this is a copy: the database whose workload was recorded
    recorded: tuple[tuple[int, int], Recording] | None = (
        None  # the workload's file as last read, by its time and size
    )

    def __init__(
        self,
        name: str,
        entry: PostgresqlSystem,
        password: Secret | None = None,
        server: LocalServer | None = None,
        project: Path | None = None,
    ) -> None:
        super().__init__(name)
        self.entry = entry
        self.password = password
        self.local_server = server
        self.project = project or Path.cwd()  # relative paths of the entry start here
        self._reader: psycopg.Connection[dict[str, Any]] | None = None
        self._identity: str | None = None

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def query(
        self,
        sql: str,
        parameters: dict[str, Any] | list[Any] | None = None,
        shape: Literal["rows", "row", "scalar", "column"] = "rows",
        timeout_seconds: float | None = None,
    ) -> Any:
        """The answer of one statement, run in a READ ONLY transaction.

        `shape`: rows (list of dicts), row (a dict or None), scalar (first column of the first row, or None), column (first column as
        a list). At most 100,000 rows come back; a larger answer is an error, not a cut.
        """
        with self._reading(timeout_seconds) as cursor:
            if (
                not parameters
            ):  # without parameters the driver sends plain text, which may hold several statements
                refuse_several(cursor.connection, sql)
            cursor.execute(marked(sql), parameters or None)
            rows = cursor.fetchmany(ROW_CAP + 1) if cursor.description else []
        if len(rows) > ROW_CAP:
            raise BadInput(
                "postgres.too-many-rows",
                f"The query gave more than {ROW_CAP:,} rows.",
                "Add a LIMIT or an aggregate.",
            )
        table = [{key: to_json(value) for key, value in row.items()} for row in rows]
        if shape == "rows":
            return table
        if shape == "row":
            return table[0] if table else None
        column = [next(iter(row.values())) for row in table]
        return column if shape == "column" else (column[0] if column else None)

    def measuring(self, sqls: list[str], busy_share: float) -> AbstractContextManager[Engine]:
        """See `Measured`."""
        from datareeve.systems import pg_measure  # noqa: PLC0415 - asked for by checks only

        del sqls
        return pg_measure.engine(self, busy_share)

    @reads
    def server(self) -> dict[str, Any]:
        """What this server is.

        version_num, version, in_recovery, database, user, superuser, data_directory (None where hidden),
        system_identifier (None where hidden), local_control (may Datareeve start and stop it?), replication (may the role stream?).
        """
        facts: dict[str, Any] = self.query(SERVER_SQL, shape="row")
        facts["local_control"] = self.local_server is not None
        facts["bin"] = str(self.local_server.bin) if self.local_server else None
        return facts

    @reads
    def setting_on_file(self, name: str) -> str | None:
        """The value that ALTER SYSTEM has stored for a setting; None where it has stored none.

        Reads pg_file_settings where the role may, else what pg_settings tells of the source.
        """
        if self.query(
            "SELECT has_table_privilege('pg_catalog.pg_file_settings', 'SELECT') AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')",
            shape="scalar",
        ):
            stored = self.query(
                "SELECT setting FROM pg_file_settings WHERE name = %(name)s AND sourcefile LIKE '%%/postgresql.auto.conf'"
                " ORDER BY seqno DESC LIMIT 1",
                {"name": name},
                shape="scalar",
            )
        else:
            stored = self.query(
                "SELECT current_setting(name) FROM pg_settings WHERE name = %(name)s AND sourcefile LIKE '%%/postgresql.auto.conf'",
                {"name": name},
                shape="scalar",
            )
        return None if stored is None else str(stored)

    @reads
    def workload(self) -> dict[str, Any]:
        """The recorded workload without any value: {source, families, loops}. See `workload_source.Recording.summary`."""
        from datareeve.systems import workload_replay  # noqa: PLC0415 - parses statements

        return workload_replay.summary(self)

    @reads
    def workload_source(self) -> dict[str, Any]:
        """Whether a workload can be counted here: {kind, counts, why_empty}."""
        from datareeve.systems import workload_replay  # noqa: PLC0415

        return workload_replay.source_of(self)

    @reads
    def within(self, target_ms: float, windows: list[float] | None = None) -> dict[str, Any]:
        """How many recorded calls of each family took at most `target_ms`, counted one by one. See `workload_replay.within`."""
        from datareeve.systems import workload_replay  # noqa: PLC0415

        return workload_replay.within(self, target_ms, windows or [])

    @reads
    def calls_counted(self) -> dict[str, Any] | None:
        """How many calls pg_stat_statements counted in this database, and since when: {calls, since}; None where it does not tell."""
        from datareeve.systems import workload_statistics  # noqa: PLC0415

        return workload_statistics.calls_counted(self)

    @reads
    def replay(
        self,
        fingerprints: list[str] | None = None,
        *,
        limit: int = 5,
        repeats: int = 3,
        statement_seconds: float = 10.0,
        budget_seconds: float = 60.0,
    ) -> dict[str, Any]:
        """Run the workload's reads, READ ONLY and bounded, and give their timings: {families: [{fingerprint, ms, failed}], left_out}."""
        from datareeve.systems import workload_replay  # noqa: PLC0415

        with self.translated():
            return workload_replay.replay(
                self,
                fingerprints,
                limit=limit,
                repeats=repeats,
                statement_seconds=statement_seconds,
                budget_seconds=budget_seconds,
            )

    @reads
    def needs(self, fingerprints: list[str] | None = None) -> list[dict[str, Any]]:
        """How the planner would answer each family, and what each scan of a table is asked, without a value: [{fingerprint, cost, indexes, scans}]."""
        from datareeve.systems import workload_trial  # noqa: PLC0415

        return workload_trial.needs(self, fingerprints)

    @reads
    def what_if_indexes(self, indexes: list[dict[str, str]]) -> dict[str, dict[str, Any]]:
        """What indexes [{name, ddl}] would be on a stats-only twin: {name: {bytes, error, why_not}}."""
        with self.translated():
            return self._what_if.twin(indexes).hypothetical_indexes()

    @reads
    def what_if(
        self, indexes: list[dict[str, str]], visible: list[list[str]], fingerprints: list[str] | None = None
    ) -> list[dict[str, Any]]:
        """How the workload would be planned with each set of hypothetical indexes there: [{fingerprint: {cost, indexes, shape}}]."""
        with self.translated():
            return self._what_if.costs(indexes, visible, fingerprints)

    @cached_property
    def _what_if(self) -> WhatIf:
        from datareeve.systems.what_if import WhatIf  # noqa: PLC0415 - it starts a server of its own

        return WhatIf(self)

    @reads
    def plan_of(self, sql: str | None = None, fingerprint: str | None = None) -> dict[str, Any]:
        """The plan of a statement, or of a family of the workload, without running it and without any constant in it."""
        from datareeve.systems import workload_replay  # noqa: PLC0415

        return workload_replay.plan_of(self, sql, fingerprint)

    # -- plans and rewrites: see pg_plans and pg_rewrite -----------------------------------------------------------------------------

    @reads
    def captured_plans(self, limit: int = 50, only: list[str] | None = None) -> dict[str, Any]:
        """The plans of the workload's most costly families now, and what they rest on: {version_num, settings, tables, families}."""
        from datareeve.systems import pg_plans  # noqa: PLC0415 - parses statements

        return pg_plans.capture(self, limit, only)

    @reads
    def plan_under(self, fingerprint: str, settings: dict[str, str]) -> list[dict[str, Any]]:
        """How a family would be planned with other planner settings: [{shape, cost}]."""
        from datareeve.systems import pg_plans  # noqa: PLC0415

        return pg_plans.plan_under(self, fingerprint, settings)

    @reads
    def statement(self, sql: str) -> dict[str, Any]:
        """A statement as a family of its own, without its values: {fingerprint, sql, kind, parsed}; the values stay in this process."""
        from datareeve.systems import pg_rewrite  # noqa: PLC0415

        return pg_rewrite.given(self, sql)

    @reads
    def constants(self, fingerprints: list[str]) -> dict[str, dict[str, dict[str, Any]]]:
        """What may be told of the constants of families, by fingerprint and `$n`: a unit of time, the kind of a pattern, how many there are."""
        from datareeve.systems import pg_rewrite  # noqa: PLC0415

        return {one: pg_rewrite.constants(self, one) for one in fingerprints}

    @reads
    def compare_statements(
        self, fingerprint: str, sql: str, rounds: int = 3, statement_seconds: float = 30.0
    ) -> dict[str, Any]:
        """A family's recorded executions as they are and written as `sql`: the same rows, and at what time? See pg_rewrite.compare."""
        from datareeve.systems import pg_rewrite  # noqa: PLC0415

        return pg_rewrite.compare(self, fingerprint, sql, rounds, statement_seconds)

    @reads
    def executed_plan(
        self, sql: str | None = None, fingerprint: str | None = None, statement_seconds: float = 30.0
    ) -> dict[str, Any]:
        """Run a statement or a family's recorded execution READ ONLY, and give its plan with times, rows and buffers, without constants."""
        from datareeve.systems import pg_rewrite  # noqa: PLC0415

        return pg_rewrite.executed_plan(self, sql, fingerprint, statement_seconds)

    @reads
    def session_features(self) -> dict[str, int]:
        """How often the workload keeps state in its sessions: {'LISTEN': 3}. See `session_features`."""
        from datareeve.systems import session_features  # noqa: PLC0415

        return session_features.session_features(self)

    # -- effects -------------------------------------------------------------------------------------------------------------------

    @effects
    def execute(  # noqa: PLR0913 - the choices of one statement
        self,
        sql: str,
        *,
        run: str,
        connection: Any = None,
        lock_timeout_ms: int = 5000,
        statement_timeout_ms: int = 0,
        attempts: int = 5,
    ) -> dict[str, Any]:
        """Carry out one statement outside a transaction block (so CONCURRENTLY works).

        It waits at most `lock_timeout_ms` for a lock and tries again with growing pauses. With `connection`, inside that transaction
        instead. A concurrent index build also outlives a restart of the server: see `pg_maintenance`. Gives {rows}.
        """
        if connection is not None:
            with self.translated():
                connection.execute(f"SET LOCAL lock_timeout = {int(lock_timeout_ms)}")
                return {"rows": _persistently(lambda: _in_savepoint(connection, sql), attempts)}
        attempt = pg_maintenance.Attempt(sql, run, lock_timeout_ms, statement_timeout_ms, attempts)
        return {"rows": pg_maintenance.execute(self, attempt)}

    @effects
    def alter_system(self, name: str, value: str | None, *, run: str) -> dict[str, Any]:
        """Store a setting in postgresql.auto.conf (None: take it out). It acts after `reload` or `restart`."""
        statement = (
            pgsql.SQL("ALTER SYSTEM RESET {}").format(pgsql.Identifier(name))
            if value is None
            else pgsql.SQL("ALTER SYSTEM SET {} = {}").format(
                pgsql.Identifier(name), _setting_literal(name, value)
            )
        )
        with self._acting(run) as effect:
            effect.execute(statement, prepare=True)
        return {}

    @effects
    def reload(self, *, run: str) -> dict[str, Any]:
        """Make the server read its configuration again, and wait until this is seen in a new session."""
        with self._acting(run) as effect:
            before = effect.execute("SELECT pg_conf_load_time() AS at", prepare=True).fetchone()
            effect.execute("SELECT pg_reload_conf()", prepare=True)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with self._acting(run) as effect:
                after = effect.execute("SELECT pg_conf_load_time() AS at", prepare=True).fetchone()
            if after != before:
                return {}
            time.sleep(0.02)
        raise Failed(
            "postgres.reload",
            f"{self.name} did not load its configuration within 10 s.",
            "Look at the server's log.",
        )

    @effects
    def restart(self, *, run: str) -> dict[str, Any]:
        """Restart the server (fast mode: sessions are disconnected, transactions rolled back). Gives {seconds_down}."""
        del run
        self.disconnect()
        return {"seconds_down": self.control().restart()}

    @effects
    def revive(self, settings: dict[str, str | None], *, run: str) -> dict[str, Any]:
        """Start a server that does not come up with what ALTER SYSTEM stored. Quiet where it runs.

        The settings' former values are put back in its file first (None: taken out).
        """
        del run
        self.disconnect()
        server = self.control()
        if not server.running():
            server.store(settings)
            server.restart()
        return {}

    # -- backups: see pg_backup and pg_restore ----------------------------------------------------------

    @reads
    def backup_folder(self) -> dict[str, Any]:
        """Where backups really go: path, archive_command, free_bytes, on_data_disk (None where not known)."""
        return pg_backup.describe_folder(self)

    @reads
    def streaming_refused(self) -> str | None:
        """Why this role cannot take a base backup; None where it can."""
        return pg_backup.streaming_refused(self)

    @reads
    def backups(self) -> list[dict[str, Any]]:
        """The catalogue of complete base backups, oldest first."""
        return pg_backup.catalogue(self)

    @reads
    def damaged_files(self, label: str | None = None, *, thorough: bool = True) -> list[str] | None:
        """Files of a backup (default: the newest) that are not as they were taken; None where there is no such backup."""
        return pg_backup.damaged_files(self, label, thorough=thorough)

    @reads
    def missing_wal(self, label: str | None = None, *, thorough: bool = False) -> list[str] | None:
        """Archived WAL that a backup (default: the newest) needs and that is missing or, `thorough`, unreadable."""
        return pg_backup.missing_wal(self, label, thorough=thorough)

    @reads
    def wal_before(self, segment: str) -> int:
        """How many archived WAL files are older than a segment."""
        return len(pg_backup.wal_before(self, segment))

    @reads
    def restored_state(self, target: str) -> str | None:
        """A restored server: 'running' (promoted, takes connections), 'stopped', 'unfinished'; None where there is none."""
        return pg_restore.restored_state(self, target)

    @reads
    def drill_verdict(self, drill: str | None = None) -> str | None:
        """'passed', or why a drill (default: the last one) did not pass; None where none is recorded."""
        return pg_restore.drill_verdict(self, drill)

    @reads
    def last_drill(self) -> dict[str, Any] | None:
        """The record of the last restore drill, None where there was none."""
        return pg_restore.last_drill(self)

    @effects
    def configure(self, settings: dict[str, str | None], *, run: str) -> dict[str, Any]:
        """Store settings (None: take out) and make them act: reload, and restart where one asks for it."""
        return pg_backup.configure(self, settings, run=run)

    @effects
    def base_backup(self, label: str, *, run: str, rate_limit: str | None = None) -> dict[str, Any]:
        """Take a base backup with the WAL it needs, check every byte, then catalogue it. Gives its entry's figures."""
        return pg_backup.base_backup(self, label, mark=application_name(run), rate_limit=rate_limit)

    @effects
    def remove_backup(self, label: str) -> dict[str, Any]:
        """Remove one base backup, whole or half-made; quiet where there is none."""
        return pg_backup.remove_backup(self, label)

    @effects
    def remove_wal(self, before: str) -> dict[str, Any]:
        """Remove archived WAL older than a segment. Gives {files, bytes}."""
        return pg_backup.remove_wal(self, before)

    @effects
    def restore_backup(self, label: str, moment: str, target: str, port: int | None = None) -> dict[str, Any]:
        """Restore a backup to a moment into a new folder, and start a server on it beside this one."""
        return pg_restore.restore_backup(self, label, moment, target, port=port)

    @effects
    def remove_restored(self, target: str) -> dict[str, Any]:
        """Stop a restored server and remove its folder; quiet where there is none."""
        return pg_restore.remove_restored(self, target)

    @effects
    def drill_restore(
        self, drill: str, label: str | None = None, exact_up_to_bytes: int = 2**30
    ) -> dict[str, Any]:
        """Restore a backup (default: the newest) beside this server, compare, measure, and destroy it again."""
        return pg_restore.drill(self, drill, label, exact_up_to_bytes=exact_up_to_bytes)

    @effects
    def remove_drill(self, drill: str) -> dict[str, Any]:
        """Destroy what a drill left, and its record."""
        return pg_restore.remove_drill(self, drill)

    # -- maintenance: see pg_maintenance ----------------------------------------------------------------

    @reads
    def session(self, pid: int) -> dict[str, Any] | None:
        """A session by its pid, what it runs as a shape without constants, whom it blocks; None where there is none."""
        return pg_maintenance.session(self, pid)

    @reads
    def blocking_roots(self) -> list[dict[str, Any]]:
        """The sessions that hold others up and wait for none themselves: [{pid, waiting}], the worst first."""
        return pg_maintenance.blocking_roots(self)

    @reads
    def session_is_there(self, who: dict[str, Any]) -> bool:
        """Whether that very session (pid, backend_start) is there; with a query_start, whether it still runs that statement."""
        return pg_maintenance.still_there(self, who)

    @reads
    def repack_parts(self) -> dict[str, Any]:
        """What pg_repack needs, as far as it is there: client (path), client_version, extension_version, available_version."""
        return pg_repack.parts(self)

    @reads
    def dependencies(self, schema: str, table: str, sample_rows: int = 30_000) -> list[dict[str, Any]]:
        """Pairs of columns of which one decides the other, and how far the planner is off where both are asked for."""
        return pg_dependencies.dependencies(self, schema, table, sample_rows)

    @reads
    def misestimate(self, schema: str, table: str, columns: list[str]) -> float | None:
        """By which factor the planner is wrong about the commonest values of some columns together; None where there are no rows."""
        return pg_dependencies.misestimate(self, schema, table, columns)

    @effects
    def maintain(  # noqa: PLR0913 - the choices of one statement
        self,
        sql: str,
        table: str,
        *,
        run: str,
        settings: dict[str, str] | None = None,
        lock_timeout_ms: int = 5000,
        attempts: int = 3,
    ) -> dict[str, Any]:
        """Carry out a VACUUM or an ANALYZE of a table under settings of its own session. Gives {bytes_before, bytes_after}."""
        return pg_maintenance.maintain(
            self,
            sql,
            table,
            run=run,
            settings=settings or {},
            lock_timeout_ms=lock_timeout_ms,
            attempts=attempts,
        )

    @effects
    def reindex(
        self, index: str, *, run: str, lock_timeout_ms: int = 60_000, attempts: int = 3
    ) -> dict[str, Any]:
        """Rebuild an index concurrently, and clean up what interrupted rebuilds left. Gives {bytes_before, bytes_after}."""
        return pg_maintenance.reindex(
            self, index, run=run, lock_timeout_ms=lock_timeout_ms, attempts=attempts
        )

    @effects
    def end_session(self, who: dict[str, Any], mode: str, *, run: str) -> dict[str, Any]:
        """Cancel or terminate the session that was looked at, if it is still that one."""
        return pg_maintenance.end_session(self, who, mode=mode, run=run)

    @effects
    def repack(self, table: str, *, run: str, wait_seconds: int = 60) -> dict[str, Any]:
        """Write a table and its indexes anew with pg_repack. Gives {bytes_before, bytes_after}."""
        return pg_repack.repack(self, table, run=run, wait_seconds=wait_seconds)

    # -- what the runner asks -----------------------------------------------------------------------------------------------------

    def identity(self) -> str:
        """System identifier, database and login: two URLs of one database are one, for one user."""
        if self._identity is None:
            facts = self.query(
                "SELECT system_identifier::text AS cluster, (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS database, session_user AS login FROM pg_control_system()",
                shape="row",
            )
            self._identity = f"pg:{facts['cluster']}:{facts['database']}:{facts['login']}"
        return self._identity

    def settle(self, run: str) -> None:
        """Terminate sessions that an earlier worker of this run left, and wait until they are gone."""
        if self.local_server is not None and not self.local_server.running():
            return  # nothing goes on in a server that is down, and the undo may be to start it
        find = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()"
        with self._acting(None) as effect:
            deadline = time.monotonic() + 30
            while (
                left := effect.execute(find, (application_name(run),)).fetchall()
            ) and time.monotonic() < deadline:
                for row in left:
                    effect.execute("SELECT pg_terminate_backend(%s)", (row["pid"],))
                time.sleep(0.02)
        if left:
            raise Failed(
                "postgres.settle",
                f"{len(left)} sessions of run {run} on {self.name} do not end.",
                "End them with pg_terminate_backend, then resume.",
            )

    def control(self) -> LocalServer:
        """The means to start and stop this server. Errors: `Refused` where its files are not on this machine."""
        if self.local_server is None:
            raise Refused(
                "postgres.no-control",
                f"Datareeve cannot start or stop {self.name}: its files are not declared to be on this machine.",
                f"Restart it yourself, or give systems.{self.name}.server in estate.yaml.",
            )
        return self.local_server

    def close(self) -> None:
        """Let go of everything: the reading connection, and the twin where one was made."""
        if "_what_if" in self.__dict__:
            self._what_if.close()
            del self.__dict__["_what_if"]
        self.disconnect()

    def disconnect(self) -> None:
        """Close the reading connection; it is opened again when something is read."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # -- connections -----------------------------------------------------------------------------------------------------------------

    def connect(self, **options: Any) -> psycopg.Connection[dict[str, Any]]:
        """A new autocommit connection with dict rows. Errors: `Unreachable`, `BadInput` (`postgres.too-old`)."""
        with self.translated():
            connection = psycopg.connect(
                self.entry.url,
                password=self.password.reveal() if self.password else None,
                autocommit=True,
                row_factory=dict_row,
                connect_timeout=CONNECT_SECONDS,
                client_encoding="utf8",  # else texts of an SQL_ASCII database come as bytes
                **options,
            )
        if (version := connection.info.server_version) < OLDEST:
            connection.close()
            raise BadInput(
                "postgres.too-old",
                f"{self.name} is PostgreSQL {version // 10000}.",
                "Datareeve works with 13 and newer.",
            )
        return connection

    def conninfo(self, **options: Any) -> str:
        """How libpq connects here, with the password: for DuckDB, which attaches databases by such a text. Never to be shown."""
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - asked for by pipelines only

        secret = {"password": self.password.reveal()} if self.password else {}
        return make_conninfo(self.entry.url, **secret, connect_timeout=CONNECT_SECONDS, **options)

    def reading(
        self, timeout_seconds: float | None = None
    ) -> AbstractContextManager[psycopg.Cursor[dict[str, Any]]]:
        """A cursor in a READ ONLY transaction, for the modules of `systems` that read several statements."""
        return self._reading(timeout_seconds)

    @contextmanager
    def _reading(self, timeout_seconds: float | None) -> Iterator[psycopg.Cursor[dict[str, Any]]]:
        if self._reader is None or self._reader.broken or self._reader.closed:
            self._reader = self.connect(
                application_name="datareeve/read", options="-c default_transaction_read_only=on -c jit=off"
            )
            self._reader.prepare_threshold = None
            if self.entry.read_role:
                with self.translated():
                    self._reader.execute(
                        pgsql.SQL("SET ROLE {}").format(pgsql.Identifier(self.entry.read_role))
                    )
        seconds = timeout_seconds or self.entry.read_timeout_seconds
        with self.translated(), self._reader.transaction(), self._reader.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY", prepare=False)
            cursor.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            yield cursor

    @contextmanager
    def _acting(self, run: str | None) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        with (
            self.connect(application_name=application_name(run) if run else "datareeve") as connection,
            self.translated(),
        ):
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the driver as ours, without values."""
        try:
            yield
        except psycopg.Error as error:
            raise translate(error, self.name) from None
        except UnicodeDecodeError:
            raise Failed(
                "postgres.encoding",
                f"{self.name} gave text that is not UTF-8: its database keeps bytes of any kind (SQL_ASCII).",
                "Leave out the columns or objects with such names or values.",
            ) from None


SERVER_SQL = """
SELECT current_setting('server_version_num')::int AS version_num, current_setting('server_version') AS version,
       pg_is_in_recovery() AS in_recovery, current_database() AS database, session_user AS user, rolsuper AS superuser, rolreplication OR rolsuper AS replication,
       CASE WHEN pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') OR rolsuper THEN current_setting('data_directory') END AS data_directory,
       current_setting('server_encoding') AS encoding
  FROM pg_roles WHERE rolname = session_user
"""


def marked(sql: str) -> str:
    """A statement with a mark at its end by which pg_stat_statements' readers know it as ours; 18 keeps no comment before a statement."""
    return f"{sql.rstrip().rstrip(';')}\n/* datareeve */"


def application_name(run: str) -> str:
    """How the sessions of a run are marked; at most 63 bytes, as the server cuts it."""
    return f"datareeve/{run}"[:63]


def _persistently(act: Callable[[], int], attempts: int) -> int:
    """What `act` gives (rows; none where it counts none), tried again with growing pauses while a lock is not to be had."""
    for attempt in range(1, attempts + 1):
        try:
            return max(act(), 0)
        except pg.LockNotAvailable:
            if attempt == attempts:
                raise
            time.sleep(min(0.2 * 2**attempt, 5.0))
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _in_savepoint(connection: Any, sql: str) -> int:
    """A statement whose failure leaves the surrounding transaction usable."""
    with connection.transaction():
        return int(connection.execute(sql, prepare=True).rowcount)


def refuse_several(connection: psycopg.Connection[Any], sql: str) -> None:
    """Refuse a text of several statements, by the server's own parser: a prepared statement can only be one.

    A COMMIT among them would end the READ ONLY transaction. Errors: `BadInput` `postgres.several-statements`; the server's own where
    the text is wrong in another way.
    """
    parsed = connection.pgconn.prepare(b"", sql.encode(connection.info.encoding))
    if parsed.status == psycopg.pq.ExecStatus.COMMAND_OK:
        return
    error = pg.error_from_result(parsed, encoding=connection.info.encoding)
    if (
        error.diag.source_function == "exec_parse_message"
    ):  # a statement that is wrong in itself is told by the parser's own functions
        raise BadInput(
            "postgres.several-statements",
            "More than one statement was given.",
            "Give one statement at a time.",
        )
    raise error


def _setting_literal(name: str, value: str) -> pgsql.Composable:
    # List settings must be given as separate literals, or the whole list becomes one quoted name.
    if name in {
        "shared_preload_libraries",
        "search_path",
        "log_destination",
        "listen_addresses",
        "session_preload_libraries",
    }:
        return pgsql.SQL(", ").join(pgsql.Literal(part.strip()) for part in value.split(","))
    return pgsql.Literal(value)


KNOWN: dict[str, tuple[type[DatareeveError], str, str, str]] = {
    "28": (Unreachable, "postgres.login", "{system} refused the login.", "Check the user, the password reference and pg_hba.conf."),
    "3D000": (Unreachable, "postgres.database", "The database named in the URL of {system} does not exist.", "Correct the URL, or create it."),
    "42501": (Refused, "postgres.grant", "{system}: {said}.", "Let an owner or superuser grant it; `datareeve init` prints the statements."),
    "55P03": (Failed, "postgres.lock-timeout", "{system}: a lock was not granted in time.", "Another session holds it: see pg_locks, or try in a quieter window."),
    "57014": (Failed, "postgres.timeout", "{system}: the statement took longer than allowed.", "Give systems.*.read_timeout_seconds more, or try in a quieter hour."),
    "53100": (Failed, "postgres.disk-full", "{system}: the server's disk is full.", "Free or add space; nothing was left half-done."),
    "53300": (Unreachable, "postgres.too-many-connections", "{system} has no connection left.", "Close some, or put a pool in front (databases.configure-pool)."),
    "25006": (Refused, "postgres.read-only", "{system} takes no writes here (a standby, or a read-only session).", "Give the primary's URL."),
    "08": (Unreachable, "postgres.lost", "The connection to {system} was lost (SQLSTATE {state}).", "Resume when the server is back."),
    "57": (Unreachable, "postgres.lost", "The connection to {system} was lost (SQLSTATE {state}).", "Resume when the server is back."),
}  # fmt: skip  # by SQLSTATE, else by its class: what the caller is told


def translate(error: psycopg.Error, system: str) -> DatareeveError:
    """The error as ours: a stable code, names of objects, and never a row's value."""
    state = error.sqlstate or ""
    if isinstance(error, pg.OperationalError) and not state:
        return _connection_error(error, system)
    if not _quotes_values(error) and (known := KNOWN.get(state) or KNOWN.get(state[:2])):
        kind, code, what, remedy = known
        return kind(code, what.format(system=system, said=error.diag.message_primary, state=state), remedy)
    objects = (
        ("table", error.diag.table_name),
        ("column", error.diag.column_name),
        ("constraint", error.diag.constraint_name),
    )
    about = ", ".join(f"{what} {name}" for what, name in objects if name)
    if _quotes_values(error):
        what, remedy = (
            type(error).__name__,
            "The server's own log has the detail; values are not repeated here.",
        )
    else:
        what, remedy = error.diag.message_primary or type(error).__name__, ""
    return Failed(
        f"postgres.{state or 'error'}", f"{system}: {what}{f' ({about})' if about else ''}.", remedy
    )


def _quotes_values(error: psycopg.Error) -> bool:
    """Whether the server's message may quote a row's value: by its class, or because a function wrote it, under whatever SQLSTATE."""
    return (error.sqlstate or "")[
        :2
    ] in CLASSES_WITH_VALUES or error.diag.source_function == "exec_stmt_raise"


def _connection_error(error: psycopg.Error, system: str) -> DatareeveError:
    text = str(error)
    if (
        "password authentication failed" in text
        or "no pg_hba.conf entry" in text
        or "no password supplied" in text
    ):
        return Unreachable(
            "postgres.login",
            f"{system} refused the login.",
            "Check the user, the password reference and pg_hba.conf.",
        )
    if "does not exist" in text:
        return Unreachable(
            "postgres.database",
            f"{system}: the role or database named in the URL does not exist.",
            "Correct the URL.",
        )
    return Unreachable(
        "postgres.unreachable",
        f"{system} cannot be reached.",
        "Check host, port and that the server runs; then try again.",
    )


def new_label() -> str:
    """A short unique label for temporary objects."""
    return uuid.uuid4().hex[:10]
