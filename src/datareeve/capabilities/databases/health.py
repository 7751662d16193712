"""One look at a PostgreSQL server: figures with their unit in the name, and the few lists that a finding names things from.

The queries name the figures themselves: every column of the single-row queries becomes a figure of that name. Counters (`*_total`) become
rates between this look and the newest sample in the ledger; where there is none, since the server's statistics began.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.databases import sql
from datareeve.core import clock
from datareeve.core.errors import Unreachable
from datareeve.core.estate import Targets
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Reader, Systems

Figures = dict[str, float]

RATES = {  # counter -> its rate; the last is whether the statistics' own age is a fair window for it
    "transactions_total": ("transactions_per_second", True),
    "temp_bytes_total": ("temp_bytes_per_second", True),
    "queries_total": ("queries_per_second", False),
    "wal_bytes_total": ("wal_bytes_per_second", False),
}
WINDOW = timedelta(minutes=15)  # an older sample says little about now
SHORTEST_SECONDS = 5.0  # below this a rate is noise
FEW_BLOCKS = 1000  # below this many reads a hit ratio is noise
GROWTH_WINDOW = timedelta(days=7)
GROWTH_SHORTEST = timedelta(hours=1)


class Session(Value):
    """A client session with an open transaction. `blocked_by` are the sessions it waits for; 0 is a prepared transaction."""

    pid: int
    state: str | None
    transaction_seconds: float
    state_seconds: float
    blocked_by: tuple[int, ...] = ()
    blocked_seconds: float = 0.0

    @property
    def idle(self) -> bool:
        """Whether it holds its transaction open without working."""
        return (self.state or "").startswith("idle in transaction")


class Table(Value):
    """A table with dead or changed rows. Ages are None where it never happened."""

    schema_name: str
    name: str
    live_rows: int
    dead_rows: int
    changed_rows: int
    vacuum_age_seconds: float | None
    analyze_age_seconds: float | None

    @property
    def dead_percent(self) -> float:
        """Dead rows as a part of all rows."""
        return percent(self.dead_rows, self.live_rows + self.dead_rows)


class Sequence(Value):
    """A sequence and the highest value that it, and the column it feeds, can hold."""

    schema_name: str
    name: str
    last_value: int
    highest_value: int
    used_percent: float


class Index(Value):
    """An index that is not valid."""

    schema_name: str
    name: str
    table: str
    bytes: int


class Slot(Value):
    """A replication slot and the WAL it makes the server keep."""

    name: str
    active: bool
    wal_status: str
    retained_bytes: int

    @property
    def wal_lost(self) -> bool:
        """Whether WAL that it needs is gone, or goes with the next checkpoint."""
        return self.wal_status in ("lost", "unreserved")


class Limits(Value):
    """How long a session may hold a transaction, sit idle in one, or wait for a lock before it is worth a word."""

    transaction_seconds: float = 300.0
    idle_seconds: float = 60.0
    blocked_seconds: float = 10.0


class Health(Value):
    """What one look saw. `down`: why nothing could be seen, empty where the server answered."""

    system: str
    down: str = ""
    role_needs_grant: str = ""  # the role that cannot see other sessions
    rates_since: str = ""  # 'over the last 60 s', 'since statistics began 3 h ago'
    figures: Figures = Field(default_factory=dict)
    sessions: tuple[Session, ...] = ()
    tables: tuple[Table, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    invalid_indexes: tuple[Index, ...] = ()
    slots: tuple[Slot, ...] = ()
    limits: Limits = Limits()
    targets: Targets = Targets()
    backups_declared: bool = False

    def figure(self, name: str) -> float | None:
        """A figure, None where it could not be had."""
        return self.figures.get(name)

    @property
    def blocked(self) -> tuple[Session, ...]:
        """Sessions that wait for another."""
        return tuple(session for session in self.sessions if session.blocked_by)


def percent(part: float, whole: float) -> float:
    """`part` of `whole` in percent with two decimals; 0 of nothing."""
    return round(100.0 * part / whole, 2) if whole else 0.0


def look(systems: Systems, system: str, limits: Limits) -> Health:
    """Everything check-health knows, in eleven reads of the server (twelve with pg_stat_statements).

    A server that cannot be reached gives `down`, not an error.
    """
    began = time.monotonic()
    reader = systems[system]
    try:
        server = reader.read("server")
        reached = {"up": 1.0, "round_trip_ms": round(1000 * (time.monotonic() - began), 1)}
        seen = _see(reader, server)
    except Unreachable as error:
        return Health(system=system, down=f"{error.code}: {error.what}", figures={"up": 0.0})
    seen["figures"] = reached | seen["figures"] | _disk(systems, server) | _backup_age(reader.read("backups"))
    estate = systems["estate"]
    health = Health(
        system=system,
        limits=limits,
        targets=Targets(**(estate.read("get", where=["targets"]) or {})),
        backups_declared=estate.read("get", where=["systems", system, "backups"]) is not None,
        **seen,
    )
    return _with_history(health, systems["ledger"])


def _see(reader: Reader, server: dict[str, Any]) -> dict[str, Any]:
    """The fields of `Health` that the server itself tells."""

    def row(name: str) -> Figures:
        return {key: value for key, value in _ask(reader, name, "row").items() if value is not None}

    about = _ask(reader, "health_server", "row")
    sessions = tuple(_session(entry) for entry in _ask(reader, "health_sessions"))
    tables = tuple(Table(**entry) for entry in _ask(reader, "health_tables"))
    sequences = tuple(Sequence(**entry) for entry in _ask(reader, "health_sequences"))
    slots = tuple(Slot(**entry) for entry in _ask(reader, "health_slots"))
    figures = row("health_activity") | row("health_database") | row("health_replication")
    figures |= row("health_wal" if server["version_num"] >= 170000 else "health_wal_16")  # noqa: PLR2004 - pg_stat_checkpointer is new in 17
    if about["statements_schema"] is not None:
        text = sql.load("health_statements").replace("{schema}", sql.identifier(about["statements_schema"]))
        figures |= reader.read("query", sql=text, shape="row")
    return {
        "role_needs_grant": "" if about["sees_sessions"] else about["role"],
        "figures": figures | _worst(sessions, tables, sequences, slots),
        "sessions": sessions,
        "tables": tables,
        "sequences": sequences,
        "slots": slots,
        "invalid_indexes": tuple(Index(**entry) for entry in _ask(reader, "health_indexes")),
    }


def _ask(reader: Reader, name: str, shape: str = "rows") -> Any:
    return reader.read("query", sql=sql.load(name), shape=shape)


def _session(entry: dict[str, Any]) -> Session:
    waits = {
        "blocked_by": sorted(set(entry.pop("blocked_by") or ())),
        "blocked_seconds": entry.pop("blocked_seconds") or 0.0,
    }
    return Session(**entry, **waits)


def _worst(
    sessions: tuple[Session, ...],
    tables: tuple[Table, ...],
    sequences: tuple[Sequence, ...],
    slots: tuple[Slot, ...],
) -> Figures:
    """The largest of each list, which is what an alert watches."""
    return {
        "transaction_seconds_longest": max((s.transaction_seconds for s in sessions), default=0.0),
        "idle_in_transaction_seconds_longest": max(
            (s.state_seconds for s in sessions if s.idle), default=0.0
        ),
        "sessions_blocked": float(sum(1 for s in sessions if s.blocked_by)),
        "blocked_seconds_longest": max((s.blocked_seconds for s in sessions if s.blocked_by), default=0.0),
        "dead_rows_percent_worst": max((t.dead_percent for t in tables), default=0.0),
        "sequence_used_percent_worst": max((s.used_percent for s in sequences), default=0.0),
        "slot_retained_bytes_worst": float(max((s.retained_bytes for s in slots), default=0)),
    }


def _disk(systems: Systems, server: dict[str, Any]) -> Figures:
    """Use of the data directory's disk, where that directory is on this machine."""
    if not server["local_control"] or server["data_directory"] is None:
        return {}
    disk = systems["host"].read("disk", path=server["data_directory"])
    return {
        "disk_used_percent": percent(disk["used_bytes"], disk["total_bytes"]),
        "disk_free_bytes": disk["free_bytes"],
    }


# -- what the ledger adds ----------------------------------------------------------------------------------------------------------------


def _with_history(health: Health, ledger: Reader) -> Health:
    """The same look with rates and growth, which one look alone cannot give."""
    now, system = clock.now(), health.system
    recent = ledger.read("samples", system=system, since=clock.stamp(now - WINDOW))
    sizes = ledger.read(
        "samples", system=system, name="database_bytes", since=clock.stamp(now - GROWTH_WINDOW)
    )
    rates, since = _rates(health.figures, *_previous(recent, now))
    more = rates | _growth(health.figures, sizes, now)
    return health.model_copy(update={"figures": health.figures | more, "rates_since": since})


def _previous(samples: list[dict[str, Any]], now: datetime) -> tuple[Figures, float]:
    """The counters of the newest earlier look, and its age in seconds; nothing where there was none."""
    looks = [s for s in samples if s["name"] == "transactions_total" and _age(s, now) >= SHORTEST_SECONDS]
    if not looks:
        return {}, 0.0
    newest = looks[-1]
    same = {s["name"]: s["value"] for s in samples if s["at"] == newest["at"]}
    return same, _age(newest, now)


def _age(sample: dict[str, Any], now: datetime) -> float:
    return (now - datetime.fromisoformat(sample["at"])).total_seconds()


def _rates(now: Figures, before: Figures, seconds: float) -> tuple[Figures, str]:
    """Per second and per call, since the earlier look; since the statistics began where there was none, or was a reset after it."""
    totals = {name: value for name, value in now.items() if name.endswith("_total")}
    fresh = bool(before) and all(totals[name] >= before[name] for name in totals.keys() & before.keys())
    used = (
        {name: value - before[name] for name, value in totals.items() if name in before} if fresh else totals
    )
    window = max(seconds if fresh else now["statistics_seconds"], 1.0)
    rates = {
        rate: round(used[name] / window, 3)
        for name, (rate, always) in RATES.items()
        if name in used and (fresh or always)
    }
    if fresh and "deadlocks_total" in used:
        rates["deadlocks_new"] = used["deadlocks_total"]
    since = f"over the last {spell(window)}" if fresh else f"since statistics began {ago(window)}"
    return rates | _ratios(used, now), since


def spell(seconds: float) -> str:
    """A time in the unit it is said in: '60 s', '5 min', '3.5 h'."""
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004 - two hours


def ago(seconds: float | None) -> str:
    """How long since something happened: 'never', '2.5 h ago'."""
    return "never" if seconds is None else f"{spell(seconds)} ago"


def _ratios(used: Figures, now: Figures) -> Figures:
    """Hit ratio and mean times, of the work in `used`; the hit ratio of all work where that was next to none."""
    ratios = {}
    blocks = used if used.get("blocks_hit_total", 0) + used.get("blocks_read_total", 0) >= FEW_BLOCKS else now
    read = blocks["blocks_hit_total"] + blocks["blocks_read_total"]
    if read >= FEW_BLOCKS:
        ratios["cache_hit_percent"] = percent(blocks["blocks_hit_total"], read)
    for name, spent, count in (
        ("query_ms_mean", "query_ms_total", "queries_total"),
        ("transaction_ms_mean", "active_ms_total", "transactions_total"),
    ):
        if used.get(count) and spent in used:
            ratios[name] = round(used[spent] / used[count], 3)
    return ratios


def _growth(figures: Figures, samples: list[dict[str, Any]], now: datetime) -> Figures:
    """Bytes a day since the oldest sample of the last week, when that is at least an hour ago."""
    if not samples or _age(samples[0], now) < GROWTH_SHORTEST.total_seconds():
        return {}
    return {
        "growth_bytes_per_day": round(
            (figures["database_bytes"] - samples[0]["value"]) / _age(samples[0], now) * 86400
        )
    }


def _backup_age(backups: list[dict[str, Any]]) -> Figures:
    """Hours since the newest whole backup ended."""
    if not backups:
        return {}
    ended = datetime.fromisoformat(backups[-1]["finished"])
    return {"backup_age_hours": round((clock.now() - ended).total_seconds() / 3600, 2)}
