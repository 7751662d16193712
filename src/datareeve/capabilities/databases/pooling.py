"""A connection pool as values: what it is fitted to, how large it is made and why, and its configuration file."""

from __future__ import annotations

import configparser
import math
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.databases.settings import HostFacts

HEADROOM = 2  # arrivals bunch up: twice the mean of the busiest interval
LOOPBACK = "127.0.0.1"
PREPARED = (1, 21)  # the PgBouncer version that keeps prepared statements apart in transaction mode


class Target(Value):
    """Where PgBouncer reaches the server, as the estate's URL says."""

    host: str
    port: int
    dbname: str
    user: str
    sslmode: str | None = None


class PoolServer(Value):
    """The server's limits and the session state seen on it."""

    max_connections: int
    reserved: int  # for superusers and pg_use_reserved_connections
    connections: int
    listeners: int
    session_locks: int
    temporary_tables: int
    sees_sessions: bool
    may_read_verifiers: bool
    may_read_hba: bool


class Verifiers(Value):
    """How passwords are stored: roles with SCRAM and with md5, and whether our own is SCRAM."""

    scram: int
    md5: int
    own: bool


class Load(Value):
    """Work on the database over some time."""

    transactions: float
    busy_ms: float  # the time that connections spent on them, added up
    seconds: float
    basis: str

    @property
    def concurrency(self) -> float:
        """Connections busy on average: arrivals a second times seconds each (Little's law, 1961)."""
        return self.busy_ms / 1000 / self.seconds

    @property
    def needed(self) -> int:
        """Connections for that, with headroom."""
        return math.ceil(self.concurrency * HEADROOM)

    def __str__(self) -> str:
        rate, held = self.transactions / self.seconds, self.busy_ms / self.transactions
        return (
            f"{rate:.1f} transactions/s x {held:.1f} ms each = {self.concurrency:.2f} connections busy"
            f" ({self.basis}), x {HEADROOM} for bunching = {self.needed}"
        )


def busiest_interval(samples: Sequence[dict[str, Any]]) -> Load | None:
    """The interval between two looks in which most connections were busy; None where no two looks show work.

    `samples`: active_ms_total and transactions_total, as `watch` records them; a counter that fell was reset in between.
    """
    looks: dict[str, dict[str, float]] = {}
    for sample in samples:
        looks.setdefault(sample["at"], {})[sample["name"]] = sample["value"]
    whole = [
        (at, look)
        for at, look in sorted(looks.items())
        if {"active_ms_total", "transactions_total"} <= look.keys()
    ]
    loads = [
        Load(
            transactions=look["transactions_total"] - former["transactions_total"],
            busy_ms=look["active_ms_total"] - former["active_ms_total"],
            seconds=(datetime.fromisoformat(at) - datetime.fromisoformat(before)).total_seconds(),
            basis=f"the busiest of {len(whole) - 1} sampled intervals",
        )
        for (before, former), (at, look) in pairwise(whole)
    ]
    working = [load for load in loads if load.transactions > 0 and load.busy_ms > 0]
    return max(working, key=lambda load: load.concurrency, default=None)


class Sized(Value):
    """The pool's size, the most that the server allows, and the arithmetic."""

    size: int
    usable: int
    why: str


def size_of(
    server: PoolServer, host: HostFacts | None, load: Load | None, *, given: int | None, former: int | None
) -> Sized | None:
    """What load and cores ask for, within what the server allows; None where neither load nor host is known.

    A `former` size that is still enough, and not far too much, is kept: a pool is not changed for every breath of the load.
    """
    kept = server.reserved + max(5, server.max_connections // 10)
    usable = max(server.max_connections - kept, 1)
    bound = f"at most {usable}: max_connections {server.max_connections} less {kept} for superusers, backups and direct logins"
    if given is not None:
        return Sized(size=min(given, usable), usable=usable, why=f"As given; {bound}.")
    if load is None and host is None:
        return None
    reasons = [str(load)] if load else []
    busy = 2 * host.cores + 1 if host else 2  # PostgreSQL wiki, Number Of Database Connections
    reasons += [f"2 x {host.cores} cores + 1 = {busy} keep the machine busy"] if host else []
    size = min(max(load.needed if load else 0, busy), usable)
    if former is not None and size < former <= min(4 * size, usable):
        size, reasons = former, [*reasons, f"{former} is configured and still enough"]
    return Sized(size=size, usable=usable, why="; ".join([*reasons, bound]) + ".")


class Choices(Value):
    """What was decided about a pool, for its file; `whys` by key."""

    system: str
    target: Target
    sized: Sized
    mode: str
    auth: str
    listen: str
    port: int
    prepared: bool
    whys: dict[str, str]


def render(choices: Choices) -> str:
    """The text of pgbouncer.ini, with the reason above what was decided."""
    target = choices.target
    database = f"{_name(target.dbname)} = host={_value(target.host)} port={target.port} dbname={_value(target.dbname)}"
    lines = [
        f"; PgBouncer in front of {choices.system}, written by Datareeve (databases.configure-pool).",
        "",
    ]
    lines += ["[databases]", database, "", "[pgbouncer]"]
    for key, value in _values(choices).items():
        if why := choices.whys.get(key) or WHYS.get(key):
            lines.append(f"; {why}")
        lines.append(f"{key} = {value}".rstrip())
    return "\n".join([*lines, ""])


WHYS = {
    "reserve_pool_size": "After three seconds of waiting a quarter more may be opened.",
    "max_db_connections": "All users together leave room for superusers, backups and direct logins.",
    "max_client_conn": "Clients wait here, where one costs 2 kB, and not on the server.",
    "query_wait_timeout": "A client that waited half a minute for a connection is told so, instead of hanging.",
    "ignore_startup_parameters": "Sent by JDBC; harmless.",
    "max_prepared_statements": "Drivers' prepared statements are kept apart in transaction mode.",
    "server_tls_sslmode": "As the estate's URL asks.",
}


def _values(choices: Choices) -> dict[str, object]:
    size = choices.sized.size
    values: dict[str, object] = {
        "listen_addr": choices.listen,
        "listen_port": choices.port,
        "unix_socket_dir": "",
        "auth_type": choices.auth,
        "stats_users": choices.target.user,
        "pool_mode": choices.mode,
        "default_pool_size": size,
        "reserve_pool_size": max(2, size // 4),
        "reserve_pool_timeout": 3,
        "max_db_connections": choices.sized.usable,
        "max_client_conn": max(400, 10 * size),
        "query_wait_timeout": 30,
        "server_idle_timeout": 600,
        "server_lifetime": 3600,
        "ignore_startup_parameters": "extra_float_digits",
        "log_connections": 0,
        "log_disconnections": 0,
    }
    values |= {"max_prepared_statements": 200} if choices.prepared else {}
    return values | ({"server_tls_sslmode": choices.target.sslmode} if choices.target.sslmode else {})


def parse(text: str) -> dict[str, dict[str, str]]:
    """The sections of a pgbouncer.ini without its comments; empty where it cannot be read."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";", "#"))
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    return {name: dict(parser[name]) for name in parser.sections()}


def pool_size(text: str | None) -> int | None:
    """The default_pool_size of a pgbouncer.ini."""
    found = parse(text or "").get("pgbouncer", {}).get("default_pool_size", "")
    return int(found) if found.isdigit() else None


def _name(text: str) -> str:
    return (
        text if text.isascii() and text.replace("_", "a").isalnum() else '"' + text.replace('"', '""') + '"'
    )


def _value(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
