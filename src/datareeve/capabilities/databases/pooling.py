"""A connection pool as values: what it is fitted to, how large it is made and why, and its configuration file."""

from __future__ import annotations

import configparser
import math
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.databases import queueing
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.databases.settings import HostFacts

WAITING_PART = 0.95  # of the transactions shall wait no longer for a connection than the target
WAIT_MS = 10.0  # that target, where none is given
PEAK_PERCENT = 99  # of the sampled intervals: the one above all but a hundredth
CROWD = 4  # connections a core; more of them only take turns on the cores
LOOPBACK = "127.0.0.1"
PREPARED = (1, 21)  # the PgBouncer version that keeps prepared statements apart in transaction mode


INSTEAD = {  # how to do without what keeps connections from being shared
    "LISTEN": "LISTEN on one direct connection beside the pool.",
    "session advisory lock": "pg_advisory_xact_lock ends with its transaction.",
    "temporary table": "CREATE TEMP TABLE ... ON COMMIT DROP, or WITH, within one transaction.",
    "PREPARE": "Prepare by the protocol, as drivers do, with PgBouncer 1.21 or newer.",
    "SET": "SET LOCAL, or ALTER ROLE ... SET for what always holds.",
    "cursor WITH HOLD": "Page by key instead of holding a cursor.",
}


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
    features: dict[str, int] = Field(default_factory=dict)  # of a session, in the workload's statements
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
    def rate(self) -> float:
        """Transactions a second."""
        return self.transactions / self.seconds

    @property
    def service_seconds(self) -> float:
        """How long a transaction keeps its connection."""
        return self.busy_ms / 1000 / self.transactions if self.transactions else 0.0

    @property
    def concurrency(self) -> float:
        """Connections busy on average, by Little's law."""
        return queueing.littles_law(self.rate, self.service_seconds)

    def needed(self, wait_ms: float = WAIT_MS) -> int:
        """Connections with which hardly a transaction waits longer than `wait_ms` for one."""
        wait = wait_ms / 1000
        return queueing.servers_for(self.concurrency, self.service_seconds, wait=wait, part=WAITING_PART)

    def arithmetic(self, wait_ms: float = WAIT_MS) -> str:
        """Rate, time, what they come to, and the headroom."""
        needed = self.needed(wait_ms)
        return (
            f"{self}; with {needed} of them ({needed / self.concurrency:.1f} x) {WAITING_PART:.0%} wait at most {wait_ms:g} ms for one"
            f" (Erlang C: {queueing.erlang_c(needed, self.concurrency):.1%} wait at all)"
        )

    def __str__(self) -> str:
        return (
            f"{self.rate:.1f} transactions/s x {self.service_seconds * 1000:.1f} ms each = {self.concurrency:.2f} connections busy"
            f" ({self.basis})"
        )


def intervals(samples: Sequence[dict[str, Any]]) -> tuple[Load, ...]:
    """The load between each two looks in which there was work.

    `samples`: active_ms_total and transactions_total, as `watch` records them; a counter that fell was reset in between. Time idle in a
    transaction keeps its connection, too: it is added where it was sampled.
    """
    looks: dict[str, dict[str, float]] = {}
    for sample in samples:
        looks.setdefault(sample["at"], {})[sample["name"]] = sample["value"]
    whole = [
        (at, look)
        for at, look in sorted(looks.items())
        if look.keys() >= {"active_ms_total", "transactions_total"}
    ]
    loads = [
        Load(
            transactions=look["transactions_total"] - former["transactions_total"],
            busy_ms=_held(look) - _held(former),
            seconds=(datetime.fromisoformat(at) - datetime.fromisoformat(before)).total_seconds(),
            basis="",
        )
        for (before, former), (at, look) in pairwise(whole)
    ]
    return tuple(load for load in loads if load.transactions > 0 and load.busy_ms > 0)


def _held(look: dict[str, float]) -> float:
    return look["active_ms_total"] + look.get("idle_in_transaction_ms_total", 0.0)


def busiest_interval(samples: Sequence[dict[str, Any]]) -> Load | None:
    """The interval above all but a hundredth (so of fewer than a hundred the busiest); None where no two looks show work."""
    found = sorted(intervals(samples), key=lambda load: load.concurrency)
    if not found:
        return None
    peak = found[math.ceil(len(found) * PEAK_PERCENT / 100) - 1]
    which = "the busiest" if peak is found[-1] else f"the {PEAK_PERCENT}th percentile"
    return peak.model_copy(update={"basis": f"{which} of {len(found)} sampled intervals"})


def recorded_load(source: dict[str, Any], families: Sequence[dict[str, Any]]) -> Load | None:
    """The mean of a recorded workload: its statements, and the time they took; None where it has no times."""
    seconds = source.get("seconds")
    busy = sum(family["total_ms"] or 0.0 for family in families)
    calls = sum(family["calls"] for family in families)
    if not seconds or not busy or not calls:
        return None
    return Load(
        transactions=calls,
        busy_ms=busy,
        seconds=seconds,
        basis=f"mean of {calls:,} statements recorded in {source['place']}",
    )


class Sized(Value):
    """The pool's size, the most that the server allows, and the arithmetic."""

    size: int
    usable: int
    why: str


class Wish(Value):
    """What was asked for: a size of one's own, the wait to size for, the mode, and the size that is there."""

    given: int | None = None
    former: int | None = None
    wait_ms: float = WAIT_MS
    mode: str = "transaction"


def size_of(server: PoolServer, host: HostFacts | None, load: Load | None, wish: Wish) -> Sized | None:
    """What load and cores ask for, within what the server allows; None where neither load nor host is known.

    A `former` size that is still enough, and not far too much, is kept: a pool is not changed for every breath of the load.
    """
    kept = server.reserved + max(5, server.max_connections // 10)
    usable = max(server.max_connections - kept, 1)
    bound = f"at most {usable}: max_connections {server.max_connections} less {kept} for superusers, backups and direct logins"
    if wish.given is not None:
        return Sized(size=min(wish.given, usable), usable=usable, why=f"As given; {bound}.")
    if load is None and host is None:
        return None
    needs = [need for need in (_by_load(server, load, wish), _by_cores(host)) if need is not None]
    size = min(max(need for need, _ in needs), usable)
    reasons = [reason for _, reason in needs if reason]
    former = wish.former
    if former is not None and size < former <= min(4 * size, usable):
        size, reasons = former, [*reasons, f"{former} is configured and still enough"]
    return Sized(size=size, usable=usable, why="; ".join([*reasons, bound]) + ".")


def _by_load(server: PoolServer, load: Load | None, wish: Wish) -> tuple[int, str] | None:
    if wish.mode == "session":  # a connection is held for as long as its client stays, however little it asks
        return server.connections, f"in session mode each of {server.connections} sessions keeps a connection"
    return (load.needed(wish.wait_ms), load.arithmetic(wish.wait_ms)) if load else None


def _by_cores(host: HostFacts | None) -> tuple[int, str]:
    """The least that keeps the machine busy (PostgreSQL wiki, Number Of Database Connections)."""
    busy = 2 * host.cores + 1 if host else 2
    return busy, f"2 x {host.cores} cores + 1 = {busy} keep the machine busy" if host else ""


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
