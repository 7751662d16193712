"""How the estate stands: a fresh look at each system, and the service levels it is held to beside what was really measured.

A level that nobody measured is said not to be measured, with what measures it; it is never taken for kept.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.agent.report import Report, report
from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Outcome, PartOutcome
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from datareeve.core.estate import Estate
    from datareeve.core.ledger import Ledger
    from datareeve.core.operation import CatalogueView, Operation, Plan

WINDOW = timedelta(days=30)
LOOKS = dict.fromkeys(  # what looks at a system of that kind
    ("postgresql", "mysql", "sqlite", "duckdb"), "databases.check-health"
)
OBJECTIVES_OF = {"postgresql"}  # the kinds whose service levels are measured
OBJECTIVES = {  # the target: the figure it is measured by, and what measures it
    "query_ms_p95": (
        "latency_ms_p95",
        "a delegated task whose workload is recorded, or `datareeve run databases.find-slow-queries`",
    ),
    "backup_age_hours": (
        "backup_age_hours",
        "`datareeve run databases.check-health`, by itself once databases.watch is set up",
    ),
    "restore_point_seconds": ("rpo_at_most_seconds", "`datareeve run databases.drill-restore`"),
    "restore_time_seconds": ("rto_seconds", "`datareeve run databases.drill-restore`"),
}


class Objective(Value):
    """A service level of one system: the target (at most), and what the last 30 days gave."""

    system: str
    target: str
    limit: float
    latest: float | None = None
    at: str = ""
    measured: int = 0
    within: int = 0
    measured_by: str = ""
    queries: dict[str, Any] = Field(
        default_factory=dict
    )  # of query_ms_p95: the figures of `LEVEL`, looked at now

    @property
    def kept(self) -> bool:
        """Whether nothing says that it is missed."""
        if self.queries.get("slo_verdict") in {"met", "missed"}:
            return bool(self.queries["slo_verdict"] == "met")
        return self.latest is None or self.latest <= self.limit

    @property
    def share(self) -> float | None:
        """The share of measurements within the target; None where there are none."""
        return self.within / self.measured if self.measured else None


LEVEL = "databases.check-slo"  # what holds the queries of a system against the target, call by call


def query_levels(
    estate: Estate, catalogue: CatalogueView, preview: Callable[[Operation[Any]], Plan]
) -> dict[str, dict[str, Any]]:
    """The service level of each database's queries as its workload's source counted them; where that fails, why."""
    return {
        system: _query_level(system, catalogue, preview)
        for system, entry in estate.systems.items()
        if entry.kind in catalogue.get(LEVEL).goes_to
    }


def _query_level(
    system: str, catalogue: CatalogueView, preview: Callable[[Operation[Any]], Plan]
) -> dict[str, Any]:
    try:
        plan = preview(catalogue.make(LEVEL, {"system": system}))
    except DatareeveError as error:
        return {"slo_verdict": "not known", "slo_notes": [f"{error.what} {error.remedy}".strip()]}
    return {**plan.figures, "summary": plan.summary}


def objectives(
    estate: Estate, ledger: Ledger, levels: Mapping[str, dict[str, Any]] | None = None
) -> tuple[Objective, ...]:
    """Every target of every database, measured or not; `levels`: what `query_levels` gave."""
    found = _objectives(estate, ledger)
    queries = levels or {}
    return tuple(
        o.model_copy(update={"queries": queries.get(o.system, {})}) if o.target == "query_ms_p95" else o
        for o in found
    )


def _objectives(estate: Estate, ledger: Ledger) -> tuple[Objective, ...]:
    since = clock.stamp(clock.now() - WINDOW)
    figures = list(_figures_of_runs(ledger, since))
    return tuple(
        _objective(
            system,
            target,
            getattr(estate.targets, target),
            [*_samples(ledger, system, figure, since), *_of(figures, system, figure)],
            measured_by,
        )
        for system, entry in estate.systems.items()
        if entry.kind in OBJECTIVES_OF
        for target, (figure, measured_by) in OBJECTIVES.items()
    )


def status(
    system: str,
    *,
    estate: Estate,
    catalogue: CatalogueView,
    ledger: Ledger,
    preview: Callable[[Operation[Any]], Plan],
) -> Report:
    """The progress report of one system as it is now: a fresh look, and the newest figures of earlier work."""
    part = _look(LOOKS[estate.systems[system].kind], system, catalogue, preview)
    known = {
        OBJECTIVES[o.target][0]: o.latest
        for o in objectives(estate, ledger)
        if o.system == system and o.latest is not None
    }
    now = clock.stamp()
    done = "done" if part.status != "failed" else "failed"
    looked = Outcome(run="", plan="", status=done, parts=(part,), started_at=now, ended_at=now)
    return report(None, looked, figures={**known, **part.figures}).model_copy(
        update={"title": f"Status of {system}"}
    )


def _look(
    name: str, system: str, catalogue: CatalogueView, preview: Callable[[Operation[Any]], Plan]
) -> PartOutcome:
    """What looking gives; a system that cannot be looked at is down, and the report says why."""
    try:
        plan = preview(catalogue.make(name, {"system": system}))
    except DatareeveError as error:
        reason = f"{error.what} {error.remedy}".strip()
        return PartOutcome(
            part_id="1",
            operation=name,
            summary=error.what,
            status="failed",
            reason=reason,
            figures={"health": "down"},
        )
    seen = {"figures": plan.figures, "findings": plan.findings, "blockers": plan.blockers}
    return PartOutcome(part_id="1", operation=name, summary=plan.summary, status="nothing to do", **seen)


def _objective(
    system: str, target: str, limit: float, values: list[tuple[str, float]], measured_by: str
) -> Objective:
    if not values:
        return Objective(system=system, target=target, limit=limit, measured_by=measured_by)
    at, latest = max(values)
    within = sum(value <= limit for _, value in values)
    return Objective(
        system=system,
        target=target,
        limit=limit,
        latest=latest,
        at=at,
        measured=len(values),
        within=within,
        measured_by=measured_by,
    )


def _samples(ledger: Ledger, system: str, figure: str, since: str) -> list[tuple[str, float]]:
    return [(sample.at, sample.value) for sample in ledger.samples(system, name=figure, since=since)]


def _of(figures: list[tuple[str, str, str, float]], system: str, figure: str) -> list[tuple[str, float]]:
    return [(at, value) for of, name, at, value in figures if (of, name) == (system, figure)]


def _figures_of_runs(ledger: Ledger, since: str) -> Iterator[tuple[str, str, str, float]]:
    """System, figure, moment and value of what the parts of runs measured."""
    wanted = {figure for figure, _ in OBJECTIVES.values()}
    systems: dict[str, dict[str, str]] = {}
    for entry in ledger.entries("part"):
        measured = {
            key: value
            for key, value in entry.body.get("figures", {}).items()
            if key in wanted and isinstance(value, (int, float))
        }
        if measured and entry.at >= since:
            system = systems.setdefault(entry.run, _systems_of(ledger, entry.run)).get(entry.subject, "")
            yield from ((system, key, entry.at, float(value)) for key, value in measured.items())


def _systems_of(ledger: Ledger, run: str) -> dict[str, str]:
    """Which system each part of a run worked on."""
    from datareeve.core.operation import Plan  # noqa: PLC0415 - read back from the ledger only here

    started = ledger.entries("run", run=run)[0]
    plan = Plan.model_validate(ledger.entries("plan", subject=started.body["plan"])[-1].body["plan"])
    return {leaf.part_id: str(leaf.inputs.get("system", "")) for leaf in plan.leaves()}
