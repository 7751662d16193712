"""Looking at a PostgreSQL database that is to join the estate: what it is, what our role may not do there, whether its files are here.

Nothing is changed on the server. What is missing is told with the statement that a database owner can paste.
"""

from __future__ import annotations

import os
import pwd
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import psutil
from psycopg import sql as pgsql

from datareeve.core.estate import Estate, PostgresqlSystem, ServerControl
from datareeve.core.value import Value
from datareeve.systems import urls
from datareeve.systems.pg_server import find_binaries
from datareeve.systems.postgres import Postgres
from datareeve.systems.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.core.operation import Reader
    from datareeve.core.secrets import Secret

READ_ROLE = "datareeve_read"
PARAMETER_GRANTS = 150000  # the version from which ALTER SYSTEM can be granted setting by setting
SETTINGS = (  # those that tuning, monitoring and archiving change
    "archive_command", "archive_mode", "archive_timeout", "autovacuum_analyze_scale_factor",
    "autovacuum_vacuum_scale_factor", "checkpoint_completion_target", "default_statistics_target",
    "effective_cache_size", "effective_io_concurrency", "fsync", "full_page_writes",
    "idle_in_transaction_session_timeout", "jit_above_cost", "log_autovacuum_min_duration",
    "log_checkpoints", "log_lock_waits", "log_min_duration_statement", "log_parameter_max_length",
    "log_temp_files", "maintenance_work_mem", "max_connections", "max_parallel_maintenance_workers",
    "max_parallel_workers", "max_parallel_workers_per_gather", "max_wal_size", "max_worker_processes",
    "min_wal_size", "password_encryption", "random_page_cost", "shared_buffers", "shared_preload_libraries",
    "track_io_timing", "wal_buffers", "wal_compression", "wal_level", "work_mem",
)  # fmt: skip
SERVICE = re.compile(r"/([^/\n]*(?:postgres|pgsql)[^/\n]*\.service)")
ELSEWHERE = "Its files are not on this machine: Datareeve does not start or stop it."


class Missing(Value):
    """A right or part that our role lacks: what does not work without it, and what to paste to get it."""

    without: str
    statements: tuple[str, ...]


class Introduction(Value):
    """A database as `init` found it."""

    url: str  # user and database spelt out, without the password
    version: str
    in_recovery: bool
    user: str
    superuser: bool
    size_bytes: int
    schemas: dict[str, int]  # schema: number of tables
    pg_stat_statements: bool
    read_role: str | None
    server: ServerControl | None
    notes: tuple[str, ...]
    missing: tuple[Missing, ...]
    least_privilege: tuple[str, ...]  # statements that make a role for reading only; empty where there is one

    @property
    def product(self) -> str:
        """What it is called."""
        return "PostgreSQL"

    @property
    def database(self) -> str:
        """The database's name."""
        return unquote(urlsplit(self.url).path[1:])


def look(
    url: str, project: Path, *, password: Secret | None = None, reference: str | None = None
) -> Introduction:
    """Connect to a database and look. The password is given as itself or by reference.

    Errors: `BadInput` (`url.*`, `postgres.too-old`, `secret.*`), `Unreachable` (`postgres.unreachable`, `postgres.login`, ...).
    """
    label = urls.place(url)
    entry = PostgresqlSystem(kind="postgresql", url=url, password=reference, read_timeout_seconds=30.0)
    registry = Registry(Estate(systems={label: entry}), project)
    if password is not None:
        registry.add(Postgres(label, entry, password))
    try:
        server = registry[label].read("server")
        seen = registry[label].read(
            "query", sql=resources.files(__package__).joinpath("pg_look.sql").read_text("utf-8"), shape="row"
        )
        server["alters_system"] = _alters_system(registry[label], server)
        control, why_not = local_control(server, seen["backend_pid"])
    finally:
        registry.close()
    return Introduction(
        url=urls.spelt_out(url, server["user"], server["database"]),
        version=server["version"].split()[0],
        in_recovery=server["in_recovery"],
        user=server["user"],
        superuser=server["superuser"],
        size_bytes=seen["size_bytes"],
        schemas=seen["schemas"],
        pg_stat_statements=seen["statements_created"] and seen["statements_loaded"] is not False,
        read_role=READ_ROLE if seen["read_role"] else None,
        server=control,
        notes=tuple(_notes(server, why_not)),
        missing=tuple(_missing(server, seen)),
        least_privilege=() if seen["read_role"] else tuple(_least_privilege(server["user"], seen["schemas"])),
    )


def _alters_system(system: Reader, server: dict[str, Any]) -> bool:
    if server["superuser"] or server["version_num"] < PARAMETER_GRANTS:
        return bool(server["superuser"])
    return bool(
        system.read(
            "query", sql="SELECT has_parameter_privilege('shared_buffers', 'ALTER SYSTEM')", shape="scalar"
        )
    )


# -- control ------------------------------------------------------------------------------------------------


class _NoControlError(Exception):
    """Why Datareeve does not start or stop a server."""


def local_control(server: dict[str, Any], backend_pid: int) -> tuple[ServerControl | None, str]:
    """How to start and stop the server where its files are here and we may, else None and why."""
    try:
        return _control(server, backend_pid), ""
    except _NoControlError as reason:
        return None, str(reason)
    except PermissionError:
        return (
            None,
            f"{server['data_directory']} cannot be read by this operating system user: Datareeve does not start or stop the server.",
        )
    except (OSError, ValueError, psutil.Error):
        return None, ELSEWHERE


def _control(server: dict[str, Any], backend_pid: int) -> ServerControl:
    """The server is this machine's when our session's own process is a child of the postmaster that the data directory names."""
    if server["data_directory"] is None:
        raise _NoControlError(
            "Its data directory is hidden from this role, so it is not known whether its files are on this machine."
        )
    data = Path(server["data_directory"])
    postmaster = psutil.Process(int((data / "postmaster.pid").read_text().split("\n", 1)[0]))
    if psutil.Process(backend_pid).ppid() != postmaster.pid:
        raise _NoControlError(ELSEWHERE)
    owner = data.stat().st_uid
    if os.geteuid() not in {0, owner}:
        raise _NoControlError("Only the operating system user that it runs as may start and stop it.")
    if service := _service(postmaster.pid):
        raise _NoControlError(f"systemd runs it as {service}: restart it with `systemctl restart {service}`.")
    binaries = _binaries(postmaster, server["version_num"] // 10000)
    if binaries is None:
        raise _NoControlError("Its pg_ctl was not found, so Datareeve does not start or stop it.")
    return ServerControl(data=str(data), bin=str(binaries), os_user=pwd.getpwuid(owner).pw_name)


def _service(pid: int) -> str | None:
    # pg_ctl would take the server out of systemd's hands.
    cgroup = Path(f"/proc/{pid}/cgroup")
    found = SERVICE.search(cgroup.read_text()) if cgroup.exists() else None
    return found[1] if found else None


def _binaries(postmaster: psutil.Process, major: int) -> Path | None:
    try:
        folder = Path(postmaster.exe()).parent
    except psutil.Error:
        return find_binaries(major)
    return folder if (folder / "pg_ctl").exists() else find_binaries(major)


# -- what is missing ----------------------------------------------------------------------------------------


def _notes(server: dict[str, Any], why_not: str) -> Iterable[str]:
    if server["in_recovery"]:
        yield "It is a standby: reading works; whatever changes the database needs the primary's URL."
    if server["superuser"]:
        yield f"{server['user']} is a superuser: everything works, and nothing but the authority in estate.yaml holds Datareeve back."
    if why_not:
        yield why_not


def _missing(server: dict[str, Any], seen: dict[str, Any]) -> Iterable[Missing]:
    user = server["user"]
    if not seen["monitor"]:
        yield Missing(
            without="Settings, statistics and other sessions are seen only in part.",
            statements=(_grant("GRANT pg_monitor TO {}", user),),
        )
    if seen["unreadable"]:
        yield Missing(
            without=f"Some tables cannot be read in {', '.join(seen['unreadable'])}: orphans, types and checksums are not looked at there.",
            statements=tuple(_read_grants(seen["unreadable"], user)),
        )
    if seen["other_owners"] and not server["in_recovery"]:
        yield Missing(
            without="Indexes and keys are made by a table's owner only: they can be planned, not applied.",
            statements=tuple(_grant("GRANT {} TO {}", owner, user) for owner in seen["other_owners"]),
        )
    if not server["superuser"]:
        yield from _missing_server_rights(server, user)
    if not seen["statements_created"] or seen["statements_loaded"] is False:
        yield Missing(
            without="Statements are not counted: advice needs pg_stat_statements, a log or a file of statements.",
            statements=tuple(_count_statements(seen)),
        )


def _missing_server_rights(server: dict[str, Any], user: str) -> Iterable[Missing]:
    if not server["replication"]:
        yield Missing(
            without="Base backups cannot be taken.", statements=(_grant("ALTER ROLE {} REPLICATION", user),)
        )
    if not server["alters_system"] and not server["in_recovery"]:
        yield Missing(
            without="Server settings can be planned, not applied.",
            statements=tuple(_setting_grants(server["version_num"], user)),
        )


def _setting_grants(version: int, user: str) -> Iterable[str]:
    if version < PARAMETER_GRANTS:
        yield _grant("ALTER ROLE {} SUPERUSER", user)
    else:
        yield _grant(f"GRANT ALTER SYSTEM ON PARAMETER {', '.join(SETTINGS)} TO {{}}", user)
        yield _grant("GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {}", user)


def _count_statements(seen: dict[str, Any]) -> Iterable[str]:
    if not seen["statements_loaded"]:
        yield "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'; -- keep those already in it, then restart the server"
    if not seen["statements_created"]:
        yield "CREATE EXTENSION pg_stat_statements;"


def _least_privilege(user: str, schemas: Iterable[str]) -> Iterable[str]:
    """A role for reading only, which `read_role` in estate.yaml makes every read run under."""
    yield _grant("CREATE ROLE {} NOLOGIN", READ_ROLE)
    yield _grant("GRANT pg_monitor TO {}", READ_ROLE)
    yield from _read_grants(schemas, READ_ROLE)
    yield _grant("GRANT {} TO {}", READ_ROLE, user)


def _read_grants(schemas: Iterable[str], role: str) -> Iterable[str]:
    for schema in schemas:
        yield _grant("GRANT USAGE ON SCHEMA {} TO {}", schema, role)
        yield _grant("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}", schema, role)


def _grant(template: str, *names: str) -> str:
    return template.format(*(pgsql.Identifier(name).as_string() for name in names)) + ";"
