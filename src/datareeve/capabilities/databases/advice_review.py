"""What became of the indexes that were advised: made by which run, used since, and what the statements on their table take now.

The ledger knows the runs, the server counts the scans, and the workload's snapshots (where they are taken) hold the times.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases import workload_history as history
from datareeve.core.errors import DatareeveError
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datareeve.core.operation import Reader, Systems

MADE_BY = "databases.create-index"
RUNS_LOOKED_AT = 1000
BEFORE = timedelta(days=7)  # of history before an index was made, that its effect is judged against


class Made(Value):
    """An index that a run made."""

    run: str
    at: str  # when the run ended
    schema_name: str
    index: str
    columns: tuple[str, ...] = ()


class Served(Value):
    """How an index has served since, and how its table is written."""

    table: str
    table_name: str
    is_valid: bool
    bytes: int
    scans: int
    rows_read: int
    last_scan: str | None = None
    updates: int = 0
    hot_updates: int = 0
    inserts: int = 0
    is_unique: bool = False
    has_constraint: bool = False
    counted_since: str = ""


class Times(Value):
    """What the statements on a table took on average, before an index was made and since, by the same families."""

    families: int
    ms_before: float
    ms_after: float


class Reviewed(Value):
    """An index, what made it, how it served, and what it changed; `served` None: it is gone."""

    made: Made
    served: Served | None = None
    hours: float = 0.0  # since it was made
    counted_hours: float = (
        0.0  # for how long its use has been counted: since then, or since a reset of the counters
    )
    times: Times | None = None
    hot_percent_before: float | None = None


def made_here(ledger: Reader, system: str) -> tuple[Made, ...]:
    """Indexes that ended runs made on a system and nobody took back, the oldest first; the latest run of each name."""
    plans = {entry["subject"]: entry["body"]["plan"] for entry in ledger.read("entries", kind="plan", limit=RUNS_LOOKED_AT)}  # fmt: skip
    started: dict[str, str] = {}
    found: dict[tuple[str, str], Made] = {}
    for entry in ledger.read("entries", kind="run", limit=RUNS_LOOKED_AT):
        body, run = entry["body"], entry["run"]
        if body["state"] == "started":
            started[run] = body["plan"]
        elif body["state"] == "ended" and run in started:
            for one in _indexes(plans.get(started[run], {}), system, run, entry["at"]):
                key = (one.schema_name, one.index)
                if body["status"] in {"done", "partly done"}:
                    found[key] = one
                elif key in found and found[key].run == run:
                    del found[key]
    return tuple(sorted(found.values(), key=lambda one: (one.at, one.index)))


def _indexes(plan: dict[str, Any], system: str, run: str, at: str) -> Iterator[Made]:
    for leaf in _leaves(plan):
        inputs = leaf.get("inputs", {})
        if leaf.get("operation") != MADE_BY or inputs.get("system") != system:
            continue
        for step in leaf.get("steps", []):
            kind, _, name = step["id"].partition(" ")
            if kind == "create-index":
                yield Made(run=run, at=at, schema_name=inputs.get("schema_name", "public"), index=name, columns=tuple(inputs.get("columns", ())))  # fmt: skip


def _leaves(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if not plan.get("parts"):
        yield plan
    for part in plan.get("parts", []):
        yield from _leaves(part)


def look(systems: Systems, system: str, now: datetime) -> tuple[Reviewed, ...]:
    """Every index that runs made here, looked at now."""
    return tuple(_one(systems, system, made, now) for made in made_here(systems["ledger"], system))


def _one(systems: Systems, system: str, made: Made, now: datetime) -> Reviewed:
    parameters = {"schema": made.schema_name, "index": made.index}
    row = systems[system].read("query", sql=sql.load("maintenance_index_review"), parameters=parameters, shape="row")  # fmt: skip
    began = datetime.fromisoformat(made.at)
    hours = _hours(made.at, now)
    if row is None:
        return Reviewed(made=made, hours=hours)
    served = Served(**row)
    counted = hours if served.counted_since == "-infinity" else min(hours, _hours(served.counted_since, now))
    return Reviewed(made=made, served=served, hours=hours, counted_hours=counted, times=_times(systems, system, served.table_name, began),
                    hot_percent_before=_hot_before(systems, system, served.table, made.at))  # fmt: skip


def _hours(since: str, now: datetime) -> float:
    return round((now - datetime.fromisoformat(since)).total_seconds() / 3600, 2)


def _times(systems: Systems, system: str, table: str, began: datetime) -> Times | None:
    """By the snapshots of the workload; None where there are none on both sides of the moment, or none of the families is on both."""
    try:
        found = history.load(systems, system, began - BEFORE)
    except DatareeveError:
        return None
    stretches = found.stretches(began - BEFORE)
    before = history.summed(s for s in stretches if s.end <= began)
    after = history.summed(s for s in stretches if s.begin >= began)
    on_table = {key for key, name in found.names.items() if table in {t.rpartition(".")[2] for t in name.tables}}  # fmt: skip
    both = sorted(on_table & before.keys() & after.keys())
    return Times(families=len(both), ms_before=_mean(before, both, after), ms_after=_mean(after, both, after)) if both else None  # fmt: skip


def _mean(deltas: dict[str, history.Delta], families: Iterable[str], weights: dict[str, history.Delta]) -> float:  # fmt: skip
    """The mean time of a call, each family weighed by its calls since: another mix of statements is not taken for an effect."""
    calls = sum(weights[key].calls for key in families)
    total = sum(deltas[key].total_ms / deltas[key].calls * weights[key].calls for key in families)
    return round(total / calls, 3)


def _hot_before(systems: Systems, system: str, table: str, at: str) -> float | None:
    """The share of HOT updates when the index was made, where health samples hold it."""
    found = systems["ledger"].read("samples", system=system, name=f"hot_updates_percent:{table}")
    earlier = [one["value"] for one in found if one["at"] <= at]
    return earlier[-1] if earlier else None
