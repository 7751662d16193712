"""How the estate stands: a fresh look at each system, and the service levels it is held to beside what was really measured.

A level that nobody measured is said not to be measured, with what measures it; it is never taken for kept.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.agent.describe import size
from datareeve.agent.report import Line, Report, report
from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Outcome, PartOutcome
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from datareeve.core.estate import Estate
    from datareeve.core.ledger import Ledger
    from datareeve.core.operation import CatalogueView, Operation, Plan, Systems

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


API = "gateway"  # the name that AI APIs stand under: their figures' in the ledger, their service levels'
API_LOOK = "ai.providers-status"  # what looks at them
API_OBJECTIVES = {  # the target: whether it is a least, and the figure it is measured by
    "api_uptime_percent": (True, "api_uptime_percent"),
    "ai_cost_growth_percent": (False, "ai_cost_growth_percent"),
}
API_UNMEASURED = {
    "api_uptime_percent": "requests through the gateway",
    "ai_cost_growth_percent": "a whole month through the gateway, and this one",
}


DATA = "data"  # the name that data contracts' service level stands under
DATA_LOOK = "quality.report"  # what looks at them: without the catalogs, it asks no system
DATA_TARGET = "validation_pass_percent"


PIPELINES = "pipelines"  # the name that the service level of pipelines' runs stands under
PIPELINES_LOOK = "pipelines.status"  # what looks at them: it asks the ledger only
PIPELINES_TARGET = "pipeline_success_percent"


class Objective(Value):
    """A service level of one system: the target (at most, or more than), and what the last 30 days gave."""

    system: str
    target: str
    limit: float
    more_than: bool = False  # the target is a least: an uptime
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
        return self.latest is None or (
            self.latest > self.limit if self.more_than else self.latest <= self.limit
        )

    @property
    def share(self) -> float | None:
        """The share of measurements within the target; None where there are none."""
        return self.within / self.measured if self.measured else None


def levels(
    estate: Estate, catalogue: CatalogueView, preview: Callable[[Operation[Any]], Plan]
) -> dict[str, dict[str, Any]]:
    """What is looked at now for the service levels: the queries of each database, and AI APIs where there are any."""
    found = query_levels(estate, catalogue, preview)
    if has_apis(estate):
        part = _look(API_LOOK, None, catalogue, preview)
        found[API] = {**part.figures, **({"why_not": part.reason} if part.status == "failed" else {})}
    part = _look(DATA_LOOK, None, catalogue, preview, coverage=False)
    if part.figures.get("contracts") or part.status == "failed":
        found[DATA] = {**part.figures, **({"why_not": part.reason} if part.status == "failed" else {})}
    part = _look(PIPELINES_LOOK, None, catalogue, preview)
    if part.figures.get("pipelines") or part.status == "failed":
        found[PIPELINES] = {**part.figures, **({"why_not": part.reason} if part.status == "failed" else {})}
    return found


def has_apis(estate: Estate) -> bool:
    """Whether the estate has AI providers behind a gateway."""
    return estate.gateway is not None and any(entry.kind in API_KINDS for entry in estate.systems.values())


API_KINDS = ("openai", "anthropic")
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
    """Every target of every database and of AI APIs, measured or not; `levels`: what the function of that name gave."""
    found = _objectives(estate, ledger)
    looked = levels or {}
    queries = tuple(
        o.model_copy(update={"queries": looked.get(o.system, {})}) if o.target == "query_ms_p95" else o
        for o in found
    )
    return (
        *queries,
        *_api_objectives(estate, looked.get(API, {})),
        *_data_objectives(estate, looked.get(DATA)),
        *_pipeline_objectives(estate, looked.get(PIPELINES)),
    )


def _api_objectives(estate: Estate, seen: Mapping[str, Any]) -> Iterator[Objective]:
    """Uptime is of requests: each is a measurement. Growth is of two months: it is one."""
    for target, (more_than, figure) in API_OBJECTIVES.items() if has_apis(estate) else ():
        limit, latest = getattr(estate.targets, target), seen.get(figure)
        plain = Objective(
            system=API,
            target=target,
            limit=limit,
            more_than=more_than,
            measured_by=str(seen.get("why_not") or API_UNMEASURED[target]),
        )
        if latest is None:
            yield plain
        elif target == "api_uptime_percent":
            counted = {"measured": seen["api_requests"], "within": seen["api_requests"] - seen["api_errors"]}
            yield plain.model_copy(update={"latest": latest, "at": clock.stamp(), **counted})
        else:
            yield plain.model_copy(
                update={"latest": latest, "at": clock.stamp(), "measured": 1, "within": int(latest <= limit)}
            )


def _data_objectives(estate: Estate, seen: Mapping[str, Any] | None) -> Iterator[Objective]:
    """The pass rate of data contracts: each verdict is a measurement."""
    if seen is None:
        return
    measured_by = str(
        seen.get("why_not")
        or "`datareeve run quality.check-contract`, by itself once quality.watch-contracts is set up"
    )
    limit, latest = estate.targets.validation_pass_percent, seen.get("pass_percent_period")
    plain = Objective(system=DATA, target=DATA_TARGET, limit=limit, more_than=True, measured_by=measured_by)
    counted = {"measured": seen.get("verdicts", 0), "within": seen.get("verdicts_passed", 0)}
    yield (
        plain
        if latest is None
        else plain.model_copy(update={"latest": latest, "at": clock.stamp(), **counted})
    )


def _pipeline_objectives(estate: Estate, seen: Mapping[str, Any] | None) -> Iterator[Objective]:
    """The success of pipelines' runs: each that ended is a measurement."""
    if seen is None:
        return
    plain = Objective(
        system=PIPELINES,
        target=PIPELINES_TARGET,
        limit=estate.targets.pipeline_success_percent,
        more_than=True,
        measured_by=str(
            seen.get("why_not") or "`datareeve run pipelines.run`, by itself where a pipeline has a schedule"
        ),
    )
    latest = seen.get("success_percent")
    counted = {"measured": seen.get("runs", 0), "within": seen.get("runs_succeeded", 0)}
    yield (
        plain
        if latest is None
        else plain.model_copy(update={"latest": latest, "at": clock.stamp(), **counted})
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


def api_status(
    estate: Estate, catalogue: CatalogueView, preview: Callable[[Operation[Any]], Plan]
) -> tuple[Report, ...]:
    """The progress report of AI APIs as they are now; () where the estate has none."""
    if not has_apis(estate):
        return ()
    part = _look(API_LOOK, None, catalogue, preview)
    now = clock.stamp()
    done = "done" if part.status != "failed" else "failed"
    looked = Outcome(run="", plan="", status=done, parts=(part,), started_at=now, ended_at=now)
    figures = (
        {"api_status": f"down: {part.reason}", "api_availability": "down"}
        if part.status == "failed"
        else part.figures
    )
    told = report(None, looked, figures=figures)
    not_here = Line(name="Health", text="not looked at here")
    return (told.model_copy(update={"title": "Status of AI APIs", "database": (not_here,)}),)


def pipelines_status(
    catalogue: CatalogueView, preview: Callable[[Operation[Any]], Plan]
) -> tuple[Report, ...]:
    """The progress report of pipelines as they are now; () where the project has none."""
    part = _look(PIPELINES_LOOK, None, catalogue, preview)
    if not part.figures.get("pipelines") and part.status != "failed":
        return ()
    now = clock.stamp()
    done = "done" if part.status != "failed" else "failed"
    looked = Outcome(run="", plan="", status=done, parts=(part,), started_at=now, ended_at=now)
    told = report(None, looked, figures=part.figures)
    not_here = Line(name="Health", text="not looked at here")
    return (told.model_copy(update={"title": "Status of pipelines", "database": (not_here,)}),)


def status_elsewhere(estate: Estate, systems: Systems) -> tuple[Report, ...]:
    """Of every system that no health check is for: a folder by what lies in it, and others by name, so that none is left out silently."""
    return tuple(
        _folder_status(name, systems) if entry.kind == "folder" else _named_only(name, entry.kind)
        for name, entry in estate.systems.items()
        if entry.kind not in LOOKS and entry.kind not in API_KINDS
    )


def _folder_status(name: str, systems: Systems) -> Report:
    """What of a folder of files can be looked at without reading a row."""
    try:
        seen = systems[name].read("server")
    except DatareeveError as error:
        return _plain(name, Line(name="Health", text=f"down: {error.what}"), {"health": "down"})
    tables, files = seen["tables"], seen["files"]
    what = f"{tables:,} {'table' if tables == 1 else 'tables'} in {files:,} {'file' if files == 1 else 'files'}, {size(seen['bytes'])}"
    health = "healthy" if seen["tables"] else "empty"
    figures = {"health": health, **{key: seen[key] for key in ("tables", "files", "bytes")}}
    return _plain(name, Line(name="Health", text=f"{health}: a folder of {what}"), figures)


def _named_only(name: str, kind: str) -> Report:
    return _plain(name, Line(name="Health", text=f"not looked at here: a system of kind {kind}"), {})


def _plain(name: str, line: Line, figures: dict[str, Any]) -> Report:
    now = clock.stamp()
    done = "failed" if figures.get("health") == "down" else "done"
    looked = Outcome(run="", plan="", status=done, parts=(), started_at=now, ended_at=now)
    told = report(None, looked, figures=figures)
    return told.model_copy(
        update={"title": f"Status of {name}", "database": (line,), "status_reason": "", "figures": figures}
    )


def _look(
    name: str,
    system: str | None,
    catalogue: CatalogueView,
    preview: Callable[[Operation[Any]], Plan],
    **inputs: Any,
) -> PartOutcome:
    """What looking gives; a system that cannot be looked at is down, and the report says why."""
    try:
        plan = preview(catalogue.make(name, {**inputs, **({"system": system} if system else {})}))
    except DatareeveError as error:
        reason = f"{error.what} {error.remedy}".strip()
        return PartOutcome(
            part_id="1",
            operation=name,
            summary=error.what,
            status="failed",
            reason=reason,
            figures={"health": "down"} if system else {},
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
