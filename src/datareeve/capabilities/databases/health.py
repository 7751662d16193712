"""One look at a PostgreSQL server: figures with their unit in the name, and the few lists that a finding names things from.

The queries name the figures themselves: every column of the single-row queries becomes a figure of that name. Counters (`*_total`) become
rates between this look and the newest sample in the ledger; where there is none, since the server's statistics began.

A look must never make a bad evening worse: every question is bounded in time and in rows, asks the catalog once, and asks nothing of a
table that someone holds locked. A question that fails is named as not seen, and the others are answered all the same.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.databases import health_space, health_trend, sql
from datareeve.capabilities.databases.health_facts import PageFacts  # noqa: TC001 - pydantic reads it at run time
from datareeve.capabilities.databases.health_space import Space  # noqa: TC001 - pydantic reads it at run time
from datareeve.capabilities.databases.health_trend import Forecast, ago, percent, spell
from datareeve.core import clock
from datareeve.core.errors import Failed, Refused, Unreachable
from datareeve.core.estate import HostSize, Targets
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.core.operation import Reader, Systems

__all__ = ["Figures", "Health", "Limits", "ago", "look", "percent", "spell"]

Figures = dict[str, float]
Row = dict[str, Any]

ASK_SECONDS = 5.0  # for one question; a look is of no use when it comes late
MEASURE_SECONDS = 15.0
MEASURED = 3  # tables, and as many B-trees, that pgstattuple is asked about
MEASURED_BYTES = 512 * 2**20  # together
SLOW_SECONDS = (
    300.0  # while sampling, between two questions that make the server look at every sequence, index or file
)
SLOW_SAMPLE = "sequence_used_percent_worst"  # stands for all that is asked so seldom
LARGEST = 10  # tables whose size is kept as a sample
HAS_WAL_STATISTICS, HAS_DATABASE_COLLATION, HAS_CHECKPOINTER = 140000, 150000, 170000

DATABASE_COLLATION = """SELECT 'the database''s default', datcollversion, pg_database_collation_actual_version(oid)
                  FROM pg_database WHERE datname = current_database()"""


class Session(Value):
    """A session with an open transaction, or one that blocks others. `blocked_by` are the sessions it waits for; 0 is a prepared transaction."""

    pid: int
    state: str | None
    transaction_seconds: float
    state_seconds: float
    blocked_by: tuple[int, ...] = ()
    blocked_seconds: float = 0.0
    kind: str = "client backend"
    role: str = ""
    application: str = ""
    xmin_age: int | None = None  # transactions since the oldest one it still sees as running
    waits_for: str = ""  # the lock mode
    waits_on: str = ""  # pg_locks.locktype
    relation: str = ""
    holds: tuple[str, ...] = ()  # lock modes on relations that others wait for

    @property
    def idle(self) -> bool:
        """Whether it holds its transaction open without working."""
        return (self.state or "").startswith("idle in transaction")


class Table(Value):
    """A table worth a look. Ages are None where it never happened, bytes where it is locked."""

    schema_name: str
    name: str
    live_rows: int
    dead_rows: int
    changed_rows: int
    vacuum_age_seconds: float | None
    analyze_age_seconds: float | None
    ours: bool = True  # not one of the server's own
    never_analyzed: bool = False
    autovacuum_off: bool = False
    unlogged: bool = False
    vacuum_at_rows: float | None = None  # dead rows from which autovacuum comes
    xid_age: int = 0
    multixact_age: int = 0
    bytes: int | None = None
    blocks_fetched: int = 0
    blocks_hit: int = 0

    @property
    def full_name(self) -> str:
        """Schema and name."""
        return f"{self.schema_name}.{self.name}"

    @property
    def dead_percent(self) -> float:
        """Dead rows as a part of all rows."""
        return percent(self.dead_rows, self.live_rows + self.dead_rows)

    @property
    def cache_hit_percent(self) -> float | None:
        """Blocks of the table found in the cache; None before a thousand were asked for."""
        enough = self.blocks_fetched >= health_trend.FEW_BLOCKS
        return percent(self.blocks_hit, self.blocks_fetched) if enough else None


class Sequence(Value):
    """A sequence and the highest value that it, and the column it feeds, can hold."""

    schema_name: str
    name: str
    last_value: int
    highest_value: int
    used_percent: float
    table: str | None = None


class Index(Value):
    """An index that costs and gives nothing: 'invalid', 'duplicate' (of `same_as`) or 'unused' and large."""

    schema_name: str
    name: str
    table: str
    bytes: int
    trouble: str = "invalid"
    same_as: str | None = None


class Slot(Value):
    """A replication slot and the WAL it makes the server keep."""

    name: str
    active: bool
    wal_status: str
    retained_bytes: int
    kind: str = "physical"
    safe_bytes: int | None = None  # that it may keep yet before max_slot_wal_keep_size cuts it off
    xmin_age: int | None = None
    inactive_seconds: float | None = None  # known from version 17 on

    @property
    def wal_lost(self) -> bool:
        """Whether WAL that it needs is gone, or goes with the next checkpoint."""
        return self.wal_status in ("lost", "unreserved")


class Standby(Value):
    """A standby as this server sees it."""

    name: str
    state: str
    sync_state: str
    lag_bytes: int | None
    lag_seconds: float | None
    xmin_age: int | None = None


class Prepared(Value):
    """A prepared transaction, by the name its application gave it."""

    name: str
    database: str
    seconds: float
    xmin_age: int = 0


class Vacuum(Value):
    """A vacuum at work."""

    schema_name: str
    name: str
    automatic: bool
    against_wraparound: bool
    seconds: float
    phase: str
    scanned_percent: float


class Limits(Value):
    """From where on something is worth a word. What stands here can be given to check-health, or lowered by a test."""

    transaction_seconds: float = 300.0
    idle_seconds: float = 60.0
    blocked_seconds: float = 10.0
    prepared_seconds: float = 300.0
    vacuum_seconds: float = 3 * 3600.0
    horizon_transactions: int = (
        1_000_000  # a holder of the horizon older than that keeps vacuum from its work
    )
    freeze_transactions: int | None = None  # default: the server's autovacuum_freeze_max_age
    measure_bloat: bool = True
    sampling: bool = False  # one look among many: what changes slowly is asked only every five minutes


class Health(Value):
    """What one look saw. `down`: why nothing could be seen, empty where the server answered."""

    system: str
    down: str = ""
    at: str = ""
    in_recovery: bool = False
    role_needs_grant: str = ""  # the role that cannot see other sessions
    unseen: tuple[str, ...] = ()  # what could not be asked, and why
    rates_since: str = ""  # 'over the last 60 s', 'since statistics began 3 h ago'
    figures: Figures = Field(default_factory=dict)
    settings: dict[str, str] = Field(default_factory=dict)  # those that can lose data
    extensions_behind: tuple[tuple[str, str, str], ...] = ()  # name, version here, version on disk
    collations_changed: tuple[tuple[str, str, str], ...] = ()  # name, version recorded, version now
    idle_holder: str = ""  # the application with most connections idle for long
    pool: str = ""  # the pool of the estate that stands in front
    sessions: tuple[Session, ...] = ()
    prepared: tuple[Prepared, ...] = ()
    tables: tuple[Table, ...] = ()
    spaces: tuple[Space, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    indexes: tuple[Index, ...] = ()
    slots: tuple[Slot, ...] = ()
    standbys: tuple[Standby, ...] = ()
    vacuums: tuple[Vacuum, ...] = ()
    disk_full: Forecast | None = None
    freeze_transactions: int = 200_000_000
    freeze_multixacts: int = 400_000_000
    limits: Limits = Limits()
    targets: Targets = Targets()
    backups_declared: bool = False
    page: PageFacts | None = None  # where a page is made of it

    def figure(self, name: str) -> float | None:
        """A figure, None where it could not be had."""
        return self.figures.get(name)

    @property
    def blocked(self) -> tuple[Session, ...]:
        """Sessions that wait for another."""
        return tuple(session for session in self.sessions if session.blocked_by)

    @property
    def horizon(self) -> tuple[tuple[int, str, str], ...]:
        """Who keeps vacuum from removing dead rows, oldest first: (age in transactions, who, how it is ended)."""
        held = [
            (s.xmin_age or 0, f"pid {s.pid}", f"databases.end-session for pid {s.pid}") for s in self.sessions
        ]
        held += [
            (s.xmin_age or 0, f"slot {s.name}", "its consumer catching up, or dropping the slot")
            for s in self.slots
        ]
        held += [
            (p.xmin_age, f"prepared transaction {p.name}", "COMMIT PREPARED or ROLLBACK PREPARED")
            for p in self.prepared
        ]
        held += [
            (s.xmin_age or 0, f"standby {s.name}", "ending the long query on it, or hot_standby_feedback off")
            for s in self.standbys
        ]
        return tuple(sorted((entry for entry in held if entry[0] > 0), reverse=True))


def look(systems: Systems, system: str, limits: Limits) -> Health:
    """Everything check-health knows of a PostgreSQL server, in at most twenty reads of it.

    A server that cannot be reached gives `down`, not an error; one that restarts while it is looked at is looked at once more.
    """
    try:
        seen = _look(systems, system, limits)
    except Unreachable:
        try:
            seen = _look(systems, system, limits)
        except Unreachable as error:
            down = f"{error.code}: {error.what}"
            return Health(system=system, down=down, at=clock.stamp(), figures={"up": 0.0})
    estate = systems["estate"]
    health = Health(
        system=system,
        at=clock.stamp(),
        limits=limits,
        targets=Targets(**(estate.read("get", where=["targets"]) or {})),
        backups_declared=estate.read("get", where=["systems", system, "backups"]) is not None,
        pool=_pool(systems, system),
        **seen,
    )
    return _with_history(health, systems["ledger"])


def _look(systems: Systems, system: str, limits: Limits) -> dict[str, Any]:
    began = time.monotonic()
    reader = systems[system]
    server = reader.read("server")
    reached = {"up": 1.0, "round_trip_ms": round(1000 * (time.monotonic() - began), 1)}
    slow = not limits.sampling or _is_due(systems["ledger"], system)
    seen = Questions(reader, server["version_num"]).answers(limits, slow=slow)
    seen["figures"] = reached | seen["figures"] | _disk(systems, server) | _backup_age(reader.read("backups"))
    seen["figures"] |= _saturation(systems, system, server, seen["figures"])
    return seen


class Questions:
    """The queries of one look, each bounded; one that fails leaves its answer empty and its name in `unseen`."""

    def __init__(self, reader: Reader, version: int) -> None:
        self._reader, self._version = reader, version
        self.unseen: list[str] = []

    def answers(self, limits: Limits, *, slow: bool) -> dict[str, Any]:
        """The fields of `Health` that the server itself tells; without `slow` not those that make it look at every sequence, index or file."""
        about = self._about()
        figures = self._figures(about)
        lists: dict[str, Any] = {
            "sessions": tuple(_session(entry) for entry in self._rows("sessions")),
            "prepared": self._made(Prepared, "prepared"),
            "tables": self._made(Table, "tables"),
            "slots": self._made(Slot, "slots"),
            "standbys": self._made(Standby, "standbys"),
            "vacuums": self._made(Vacuum, "vacuums"),
        }
        if slow:
            lists |= self._slow(about, figures, measure=limits.measure_bloat and not limits.sampling)
        holder = figures.pop("idle_holder", None) or ""
        seen = Health(system="", settings=about["settings"], **lists)
        return {
            "in_recovery": about["in_recovery"],
            "role_needs_grant": "" if about["sees_sessions"] else about["role"],
            "settings": about["settings"],
            "extensions_behind": tuple(map(tuple, about["extensions_behind"])),
            "collations_changed": tuple(map(tuple, about["collations_changed"])),
            "freeze_transactions": limits.freeze_transactions or about["freeze_transactions"],
            "freeze_multixacts": limits.freeze_transactions or about["freeze_multixacts"],
            "idle_holder": holder,
            "figures": figures | worst(seen) | (slow_worst(seen) if slow else {}),
            "unseen": tuple(self.unseen),
            **lists,
        }

    def _slow(self, about: Row, figures: Figures, *, measure: bool) -> dict[str, Any]:
        figures |= self._row(sql.load("health_size"))
        return {
            "sequences": self._made(Sequence, "sequences"),
            "indexes": self._indexes(figures),
            "spaces": self._spaces(about, figures, measure=measure),
        }

    def _about(self) -> Row:
        collation = (
            DATABASE_COLLATION
            if self._version >= HAS_DATABASE_COLLATION
            else "SELECT NULL, NULL, NULL WHERE false"
        )
        text = sql.load("health_server").replace("{database_collation}", collation)
        return dict(self._reader.read("query", sql=text, shape="row", timeout_seconds=ASK_SECONDS))

    def _figures(self, about: Row) -> dict[str, Any]:
        wal = "health_wal" if self._version >= HAS_CHECKPOINTER else "health_wal_16"
        full = (
            "(SELECT wal_buffers_full FROM pg_stat_wal)"
            if self._version >= HAS_WAL_STATISTICS
            else "NULL::bigint"
        )
        rows = [self._row(sql.load(f"health_{name}")) for name in ("activity", "database", "replication")]
        rows.append(self._row(sql.load(wal).replace("{wal_buffers_full}", full)))
        if about["statements_schema"] is not None:
            rows.append(self._row(_in_schema("health_statements", about["statements_schema"])))
        else:
            self.unseen.append("times of single queries (pg_stat_statements is not there)")
        return {key: value for row in rows for key, value in row.items() if value is not None}

    def _spaces(self, about: Row, figures: Figures, *, measure: bool) -> tuple[Space, ...]:
        tables, btrees = self._rows("table_space"), self._rows("index_space")
        spaces = [health_space.table_space(row) for row in tables] + [
            health_space.btree_space(row) for row in btrees
        ]
        figures["bloat_not_estimated"] = float(spaces.count(None))
        found = sorted((s for s in spaces if s), key=lambda s: -s.wasted_bytes)
        measured = self._measured(about, found) if measure and about["tuples_schema"] is not None else {}
        return tuple(s.as_measured(measured[s.oid]) if s.oid in measured else s for s in found)

    def _measured(self, about: Row, spaces: list[Space]) -> dict[int, float]:
        """Free percent by oid of the worst, where they are not too large to be read; a standby has no pgstattuple."""
        chosen: dict[str, list[int]] = {"table": [], "btree": []}
        left = MEASURED_BYTES
        for space in spaces:
            if space.worth_a_word and space.bytes <= left and len(chosen[space.kind]) < MEASURED:
                chosen[space.kind].append(space.oid)
                left -= space.bytes
        if not any(chosen.values()):
            return {}
        text = _in_schema("health_space_measured", about["tuples_schema"])
        given = {"tables": chosen["table"], "indexes": chosen["btree"]}
        rows = self._ask("bloat by pgstattuple", text, [], parameters=given, timeout_seconds=MEASURE_SECONDS)
        return {row["oid"]: float(row["free_percent"]) for row in rows}

    def _indexes(self, figures: Figures) -> tuple[Index, ...]:
        found: tuple[Index, ...] = self._made(Index, "indexes")
        for trouble in ("invalid", "duplicate", "unused"):
            figures[f"indexes_{trouble}"] = float(sum(1 for index in found if index.trouble == trouble))
        return found

    def _made(self, kind: Callable[..., Any], name: str) -> tuple[Any, ...]:
        return tuple(kind(**row) for row in self._rows(name))

    def _rows(self, name: str) -> list[Row]:
        return list(self._ask(name, sql.load(f"health_{name}"), []))

    def _row(self, text: str) -> Row:
        return dict(self._ask(_subject(text), text, {}, shape="row") or {})

    def _ask(
        self, name: str, text: str, otherwise: Any, timeout_seconds: float = ASK_SECONDS, **how: Any
    ) -> Any:
        try:
            return self._reader.read("query", sql=text, timeout_seconds=timeout_seconds, **how)
        except (Failed, Refused) as error:
            self.unseen.append(f"{name.replace('_', ' ')} ({error.code})")
            return otherwise


def _in_schema(name: str, schema: str) -> str:
    return sql.load(name).replace("{schema}", sql.identifier(schema))


def _subject(text: str) -> str:
    """What a query is about, by the first words of its comment."""
    return text.removeprefix("-- ").split(":", 1)[0].split(",", 1)[0].split("\n", 1)[0].lower()


def _session(entry: Row) -> Session:
    waits = {
        "blocked_by": sorted(set(entry.pop("blocked_by") or ())),
        "blocked_seconds": entry.pop("blocked_seconds") or 0.0,
    }
    if not waits["blocked_by"]:
        waits["blocked_seconds"] = 0.0
    given = {key: value for key, value in entry.items() if value is not None or key in ("state", "xmin_age")}
    return Session(**given, **waits)


def worst(seen: Health) -> Figures:
    """The largest of each list, which is what an alert watches."""
    clients = [s for s in seen.sessions if s.kind == "client backend"]
    tables = [t for t in seen.tables if t.ours]
    figures = {
        "transaction_seconds_longest": max((s.transaction_seconds for s in clients), default=0.0),
        "idle_in_transaction_seconds_longest": max((s.state_seconds for s in clients if s.idle), default=0.0),
        "sessions_blocked": float(len(seen.blocked)),
        "blocked_seconds_longest": max((s.blocked_seconds for s in seen.blocked), default=0.0),
        "prepared_seconds_longest": max((p.seconds for p in seen.prepared), default=0.0),
        "horizon_transactions_oldest": float(seen.horizon[0][0] if seen.horizon else 0),
        "dead_rows_percent_worst": max((t.dead_percent for t in tables), default=0.0),
        "xid_age_oldest": float(max((t.xid_age for t in seen.tables), default=0)),
        "multixact_age_oldest": float(max((t.multixact_age for t in seen.tables), default=0)),
        "slot_retained_bytes_worst": float(max((s.retained_bytes for s in seen.slots), default=0)),
        "slots_inactive": float(sum(1 for s in seen.slots if not s.active)),
        "vacuum_seconds_longest": max((v.seconds for v in seen.vacuums), default=0.0),
        "settings_unsafe": float(sum(1 for name, value in seen.settings.items() if value != SAFE[name])),
    }
    sized = sorted((t for t in tables if t.bytes), key=lambda t: -(t.bytes or 0))[:LARGEST]
    return figures | _root(seen) | {f"table_bytes:{t.full_name}": float(t.bytes or 0) for t in sized}


def slow_worst(seen: Health) -> Figures:
    """The same of the lists that are not part of every sample."""
    return {
        "wasted_bytes_estimated": float(sum(s.wasted_bytes for s in seen.spaces if s.worth_a_word)),
        SLOW_SAMPLE: max((s.used_percent for s in seen.sequences), default=0.0),
    }


def _is_due(ledger: Reader, system: str) -> bool:
    since = clock.stamp(clock.now() - timedelta(seconds=SLOW_SECONDS))
    return not ledger.read("samples", system=system, name=SLOW_SAMPLE, since=since, limit=1)


SAFE = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "track_counts": "on",
    "zero_damaged_pages": "off",
    "ignore_checksum_failure": "off",
}


def _root(seen: Health) -> Figures:
    """The head of the queue that has waited longest, for whoever is woken by an alert."""
    from datareeve.capabilities.databases.health_blocking import chains  # noqa: PLC0415 - it knows our types

    first = next(iter(chains(seen)), None)
    if first is None:
        return {}
    return {"blocking_root_pid": float(first.head.pid), "blocking_sessions_behind": float(len(first.behind))}


def _disk(systems: Systems, server: Row) -> Figures:
    """Use of the data directory's disk, where that directory is on this machine."""
    if not server["local_control"] or server["data_directory"] is None:
        return {}
    disk = systems["host"].read("disk", path=server["data_directory"])
    return {
        "disk_used_percent": percent(disk["used_bytes"], disk["total_bytes"]),
        "disk_free_bytes": disk["free_bytes"],
    }


def _saturation(systems: Systems, system: str, server: Row, figures: Figures) -> Figures:
    """Sessions at work for each core, where the cores are known: of this machine, or as the estate gives them."""
    given = systems["estate"].read("get", where=["systems", system, "host"])
    if given:
        cores = HostSize(**given).cores
    elif server["local_control"]:
        cores = systems["host"].read("size")["cores"]
    else:
        return {}
    busy = figures.get("connections_running", 0.0) + figures.get("connections_waiting_lwlock", 0.0)
    return {"cores": float(cores), "sessions_per_core": round(busy / cores, 2)}


def _pool(systems: Systems, system: str) -> str:
    """The pool that the estate puts in front of it; empty where there is none."""
    declared = systems["estate"].read("get", where=["systems"]) or {}
    return next(
        (
            name
            for name, entry in declared.items()
            if entry.get("kind") == "pgbouncer" and entry.get("database") == system
        ),
        "",
    )


def _backup_age(backups: list[Row]) -> Figures:
    """Hours since the newest whole backup ended."""
    if not backups:
        return {}
    ended = datetime.fromisoformat(backups[-1]["finished"])
    return {"backup_age_hours": round((clock.now() - ended).total_seconds() / 3600, 2)}


def _with_history(health: Health, ledger: Reader) -> Health:
    """The same look with rates, growth and a forecast, which one look alone cannot give."""
    now, system = clock.now(), health.system
    recent = ledger.read("samples", system=system, since=clock.stamp(now - health_trend.WINDOW))
    more, since = health_trend.rates(health.figures, *health_trend.previous(recent, now))
    past: dict[str, list[health_trend.Point]] = {"database_bytes": [], "disk_free_bytes": []}
    for row in ledger.read(
        "hourly", system=system, names=list(past), since=clock.stamp(now - health_trend.GROWTH_WINDOW)
    ):
        past[row["name"]].append((datetime.fromisoformat(row["at"]), row["value"]))
    if "database_bytes" in health.figures:
        more |= health_trend.growth(health.figures["database_bytes"], past["database_bytes"], now)
    full = None
    if "disk_free_bytes" in health.figures:
        full = health_trend.forecast(health.figures["disk_free_bytes"], past["disk_free_bytes"], now)
        # A figure that stopped coming would leave its alert standing for ever.
        more["disk_full_days"] = full.days if full else health_trend.FARTHEST_DAYS
    return health.model_copy(
        update={"figures": health.figures | more, "rates_since": since, "disk_full": full}
    )
