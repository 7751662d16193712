"""One look at a connection pool: figures with their unit in the name, from SHOW POOLS, STATS and DATABASES. Asks nothing of the database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Severity
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.core.operation import Systems

Figures = dict[str, float]

WINDOW = timedelta(minutes=15)  # an older sample says little about now
MICROSECONDS = 1000  # in a millisecond; PgBouncer counts time in microseconds
TOTALS = {  # a counter of SHOW STATS -> its name here, and what one of it is of ours
    "total_xact_count": ("pool_transactions_total", 1),
    "total_query_count": ("pool_queries_total", 1),
    "total_xact_time": ("pool_transaction_ms_total", MICROSECONDS),
    "total_wait_time": ("pool_wait_ms_total", MICROSECONDS),
}
COUNTS = {  # a column of SHOW POOLS -> its name here
    "cl_active": "pool_clients_active",
    "cl_waiting": "pool_clients_waiting",
    "sv_active": "pool_servers_active",
    "sv_idle": "pool_servers_idle",
    "sv_used": "pool_servers_used",
    "sv_login": "pool_servers_logging_in",
}
# Alerts on these figures, as `databases.watch` writes them: without a name and system.
ALERTS: dict[str, dict[str, Any]] = {
    "pool-down": {
        "sample": "pool_up", "below": 1, "severity": Severity.CRITICAL, "escalates_as": "severe-slowdown",
        "advice": "databases.configure-pool starts it again.",
    },
    "pool-waiting": {
        "sample": "pool_wait_seconds_longest", "above": 5, "clear": 1, "for_samples": 2, "severity": Severity.CRITICAL,
        "escalates_as": "severe-slowdown", "advice": "databases.check-pool says whether the pool is too small or the queries too long.",
    },
    "pool-full": {
        "sample": "pool_used_percent", "above": 95, "clear": 80, "for_samples": 5,
        "advice": "databases.configure-pool sizes it by the peak that was sampled.",
    },
    "pool-logins": {
        "sample": "pool_login_failures_new", "above": 0, "for_samples": 1,
        "advice": "databases.configure-pool takes over changed passwords; see the pool's log.",
    },
}  # fmt: skip


class PoolHealth(Value):
    """What one look saw. `absent`: no pool was ever configured. `down`: why nothing could be seen."""

    system: str
    pool: str
    absent: bool = False
    down: str = ""
    paused: bool = False
    mode: str = ""
    since: str = "since it started"  # the time that rates and means are over
    figures: Figures = Field(default_factory=dict)
    sampled_active: tuple[float, ...] = ()  # connections at work, in the samples of the last day

    def figure(self, name: str) -> float:
        """A figure, 0 where it could not be had."""
        return self.figures.get(name, 0.0)


def look(systems: Systems, system: str) -> PoolHealth:
    """The pool in front of a database, with rates since the last sample. A pool that does not answer gives `down`, not an error."""
    pool = pool_of(systems, system)
    declared = systems["estate"].read("get", where=["systems", pool]) is not None
    try:
        status = systems[pool].read("status")
    except DatareeveError as error:
        return PoolHealth(
            system=system, pool=pool, down=f"{error.code}: {error.what}", figures={"pool_up": 0.0}
        )
    if not status["running"]:
        figures = {"pool_up": 0.0} if declared else {}
        return PoolHealth(
            system=system,
            pool=pool,
            absent=not declared,
            down="It does not run." if declared else "",
            figures=figures,
        )
    now, ledger = clock.now(), systems["ledger"]
    recent = _newest(ledger.read("samples", system=system, name="pool_transactions_total", limit=1), now)
    earlier = ledger.read("samples", system=system, since=recent["at"]) if recent else []
    day = clock.stamp(now - timedelta(days=1))
    active = ledger.read("samples", system=system, name="pool_servers_active", since=day, limit=1440)
    return _seen(
        PoolHealth(system=system, pool=pool), status, earlier, now, tuple(s["value"] for s in active)
    )


def pool_of(systems: Systems, system: str) -> str:
    """The pool that the estate puts in front of a database; the name that configure-pool would give it where there is none."""
    estate = systems["estate"]
    fronts = (
        name
        for name in systems.names("pgbouncer")
        if name == system or (estate.read("get", where=["systems", name]) or {}).get("database") == system
    )
    return next(fronts, f"{system}-pool")


def _newest(samples: Sequence[dict[str, Any]], now: datetime) -> dict[str, Any] | None:
    young = [s for s in samples if now - datetime.fromisoformat(s["at"]) <= WINDOW]
    return young[-1] if young else None


def _seen(
    about: PoolHealth,
    status: dict[str, Any],
    earlier: Sequence[dict[str, Any]],
    now: datetime,
    active: tuple[float, ...],
) -> PoolHealth:
    figures = {"pool_up": 1.0, **_counts(status), **_totals(status)}
    before = {s["name"]: s["value"] for s in earlier}
    seconds = (now - datetime.fromisoformat(earlier[0]["at"])).total_seconds() if earlier else 0.0
    rates, since = _rates(figures, before, seconds)
    return about.model_copy(
        update={
            "paused": any(int(row.get("paused", 0)) for row in status["databases"]),
            "mode": next((str(row["pool_mode"]) for row in status["pools"]), ""),
            "figures": figures | rates,
            "since": since,
            "sampled_active": active,
        }
    )


def _counts(status: dict[str, Any]) -> Figures:
    """Clients and server connections now. Of several pools (users) the fullest counts for `pool_used_percent`."""
    pools = status["pools"]
    sizes = [int(row["pool_size"]) for row in status["databases"]]
    size = max(sizes, default=0)
    figures = {ours: float(sum(int(row[theirs]) for row in pools)) for theirs, ours in COUNTS.items()}
    fullest = max((int(row["sv_active"]) for row in pools), default=0)
    longest = max((int(row["maxwait"]) + int(row.get("maxwait_us", 0)) / 1e6 for row in pools), default=0.0)
    return figures | {
        "pool_size": float(size),
        "pool_used_percent": round(100 * fullest / size, 1) if size else 0.0,
        "pool_wait_seconds_longest": round(longest, 3),
        "pool_login_failures_total": float(status["login_failures"]),
    }


def _totals(status: dict[str, Any]) -> Figures:
    return {
        ours: round(sum(float(row[theirs]) for row in status["stats"]) / unit, 3)
        for theirs, (ours, unit) in TOTALS.items()
    }


def _rates(now: Figures, before: Figures, seconds: float) -> tuple[Figures, str]:
    """Since the sample before; since PgBouncer's start where there is none or it started again. Failures are new only against a sample."""
    fresh = seconds > 0 and all(now[name] >= before.get(name, 0.0) for name, _ in TOTALS.values())
    used = {name: now[name] - before.get(name, 0.0) if fresh else now[name] for name, _ in TOTALS.values()}
    rates: Figures = {}
    if used["pool_transactions_total"]:
        rates["pool_wait_ms_mean"] = round(used["pool_wait_ms_total"] / used["pool_transactions_total"], 3)
        rates["pool_transaction_ms_mean"] = round(
            used["pool_transaction_ms_total"] / used["pool_transactions_total"], 3
        )
    failures = now["pool_login_failures_total"] - (
        before.get("pool_login_failures_total", 0.0) if fresh else 0.0
    )
    rates["pool_login_failures_new"] = max(failures, 0.0)
    if fresh:
        rates["pool_transactions_per_second"] = round(used["pool_transactions_total"] / seconds, 3)
    return rates, f"over the last {seconds:.0f} s" if fresh else "since it started"
