"""What passed through the gateway and what it cost, from its store: the figures that alerts and budgets are judged by. Reading only."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from datareeve.core import clock, secrets
from datareeve.core import estate as estates
from datareeve.core.estate import ESTATE_FILE
from datareeve.systems.gateway_keys import open_store, settings_of
from datareeve.systems.store_database import named_statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from datareeve.core.estate_gateway import GatewaySettings, SpendBudget
    from datareeve.systems.store_database import Transaction

SQL = named_statements("gateway_figures.sql")
USD = 1e-6
LEAST_SHARE = 0.05  # of a period, that a forecast rests on
Spent = list[dict[str, Any]]


def figures(project: Path, seconds: float) -> dict[str, Any]:
    """Traffic of the last `seconds`, spending of the day and the month, and each budget: {traffic, spending, budgets}.

    Where there is no store yet nothing was counted: all is zero, latencies are None. Errors: those of `estate.load` and of the store.
    """
    settings = settings_of(estates.load(project / ESTATE_FILE))
    now = clock.now()
    with _reading(project, settings) as t:
        if t is None:
            return {"traffic": _traffic_of({}, seconds), "spending": _nothing(), "budgets": {}}
        today, month = _spent(t, _day(now), None), _spent(t, _month(now), None)
        return {
            "traffic": _traffic(t, now.timestamp() - seconds, seconds),
            "spending": _spending(t, now, today, month),
            "budgets": {
                name: _budget(budget, today, month, now) for name, budget in settings.budgets.items()
            },
        }


def last_month_usd(project: Path) -> float | None:
    """US dollars of the last whole calendar month (UTC); None where the gateway did not serve through all of it."""
    settings, now = settings_of(estates.load(project / ESTATE_FILE)), clock.now()
    with _reading(project, settings) as t:
        return _last_month(t, now) if t is not None else None


@contextmanager
def _reading(project: Path, settings: GatewaySettings) -> Iterator[Transaction | None]:
    store = open_store(settings, project, partial(secrets.resolve, base=project), make=False)
    if store is None:
        yield None
        return
    try:
        with store.reading() as transaction:
            yield transaction
    finally:
        store.close()


def _traffic(t: Transaction, since: float, seconds: float) -> dict[str, Any]:
    found = _traffic_of(t.rows(SQL["traffic"], since=since)[0], seconds)
    for name, share in (("p50", 0.5), ("p95", 0.05)):
        place = int(found["answered"] * share)
        rows = t.rows(SQL["nth_slowest"], since=since, place=place)
        found[f"latency_ms_{name}"] = round(rows[0]["ms"], 1) if rows else None
    return found


def _traffic_of(row: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    counts = {
        name: int(row.get(name) or 0)
        for name in ("requests", "failed", "refused", "throttled", "cached", "unpriced", "answered")
    }
    sent = counts["requests"] - counts["refused"]
    return {
        **counts,
        "requests_per_minute": round(counts["requests"] * 60 / seconds, 2),
        "error_percent": round(100 * counts["failed"] / sent, 2) if sent else 0.0,
        "cache_hit_percent": round(100 * counts["cached"] / sent, 2) if sent else 0.0,
        "latency_ms_p50": None,
        "latency_ms_p95": None,
    }


# -- money -------------------------------------------------------------------------------------------------------------------------


def _nothing() -> dict[str, Any]:
    return {
        "usd_today": 0.0,
        "usd_month": 0.0,
        "usd_month_forecast": 0.0,
        "usd_last_month": None,
        "saved_usd_month": 0.0,
    }


def _spending(t: Transaction, now: datetime, today: Spent, month: Spent) -> dict[str, Any]:
    spent = _usd(month)
    return {
        "usd_today": _usd(today),
        "usd_month": spent,
        "usd_month_forecast": round(spent / _elapsed(now, "month"), 6),
        "usd_last_month": _last_month(t, now),
        "saved_usd_month": round(sum(row["saved_microusd"] for row in month) * USD, 6),
    }


def _spent(t: Transaction, since: datetime, until: datetime | None) -> Spent:
    end = int(until.timestamp()) if until else 2**53
    rows = t.rows(SQL["spent"], since=int(since.timestamp()), until=end)
    # PostgreSQL sums into numeric.
    return [{**row, **{name: int(row[name]) for name in ("cost_microusd", "saved_microusd")}} for row in rows]


def _last_month(t: Transaction, now: datetime) -> float | None:
    this = _month(now)
    last = _month(this - timedelta(days=1))
    first = t.rows(SQL["first_hour"])[0]["hour"]
    if first is None or first > last.timestamp() + 86_400:
        return None  # a month that was served in part says nothing about growth
    return _usd(_spent(t, last, this))


def _budget(budget: SpendBudget, today: Spent, month: Spent, now: datetime) -> dict[str, Any]:
    """What is spent of a budget; of one that holds for each key or team by itself, of the one that spent most."""
    rows = today if budget.period == "day" else month
    by_holder: dict[tuple[str, str], int] = {}
    for row in rows:
        if _counts(budget, row):
            holder = (row["key_name"] if budget.key == "*" else "", row["team"] if budget.team == "*" else "")
            by_holder[holder] = by_holder.get(holder, 0) + row["cost_microusd"]
    spent = max(by_holder.values(), default=0) * USD
    forecast = spent / _elapsed(now, budget.period)
    return {
        "usd": budget.usd,
        "spent_usd": round(spent, 6),
        "percent": round(100 * spent / budget.usd, 2),
        "forecast_percent": round(100 * forecast / budget.usd, 2),
        "hard": budget.hard,
    }


def _counts(budget: SpendBudget, row: Mapping[str, Any]) -> bool:
    return (
        (budget.key in (None, row["key_name"]) or (budget.key == "*" and bool(row["key_name"])))
        and (budget.team in (None, row["team"]) or (budget.team == "*" and bool(row["team"])))
        and budget.model in (None, row["asked_model"], f"{row['provider']}/{row['model']}")
    )


def _usd(rows: Spent) -> float:
    return round(sum(int(row["cost_microusd"]) for row in rows) * USD, 6)


def _day(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _month(now: datetime) -> datetime:
    return _day(now).replace(day=1)


def _elapsed(now: datetime, period: str) -> float:
    """The share of the day or month that is over, at least a twentieth: a forecast from the first minutes would be noise."""
    start = _day(now) if period == "day" else _month(now)
    end = start + timedelta(days=1) if period == "day" else _month(start + timedelta(days=32))
    share = (now - start).total_seconds() / (end - start).total_seconds()
    return max(share, LEAST_SHARE)
