"""The progress report: the data engineer's own format, every figure from the ledger or a fresh look, never from a sentence.

Figures come by key from the plan's and the outcome's parts (`Plan.figures`, `PartOutcome.figures`, later parts over earlier ones) and from
`figures`, a fresh look that wins over them. The keys looked for are those of `FIGURES`; a figure that nobody measured is reported as
"not measured" and why. `workload_ms_before` and `_after` of a part were tried on a copy, the advice's promise; those of the fresh look are
its effect. Values of a user's rows never get in: of what a check observed only numbers, truths and what the plan had said are shown.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from datareeve.agent.describe import nodes, predicted, size
from datareeve.core import figures as readable
from datareeve.core.operation import (
    Check,
    Finding,
    Outcome,
    PartOutcome,
    Plan,
    Severity,
    Step,
    StepOutcome,
    Verdict,
)
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from datareeve.agent.task import Task

TEMPLATES = Path(__file__).parent / "templates"
EMOJI = "\N{FILE CABINET}\N{VARIATION SELECTOR-16}"

FIGURES = {  # the keys looked for, and how each is written
    "health": "{}",  # healthy, degraded or down
    "health_because": "{}",  # the rules that say so
    "queries_per_second": "{:,.1f} queries/s",
    "transactions_per_second": "{:,.1f} transactions/s",
    "latency_ms_p50": "ms",
    "latency_ms_p95": "ms",
    "latency_ms_p99": "ms",
    "connections_used_percent": "{:.0f} %",
    "cache_hit_percent": "{:.1f} %",
    "disk_used_percent": "{:.0f} %",
    "database_bytes": "bytes",
    "growth_bytes_per_day": "bytes",
    "workload_ms_before": "{:,.1f} ms",
    "workload_ms_after": "{:,.1f} ms",
    "rpo_seconds": "{:,.1f} s",  # restore point: how much the drill lost
    "rpo_at_most_seconds": "{:,.1f} s",  # and how much can be lost at worst, between two archived segments
    "rto_seconds": "{:,.1f} s",  # restore time: how long it took
    "backup_bytes": "bytes",
    "rows_compared": "{:,} rows",
    "records_processed": "{:,}",
    "pipeline_status": "{}",
    "api_status": "{}",
    "api_availability": "{}",  # up, degraded or down
    "api_uptime_percent": "percent",
    "api_limit_used_percent": "{:,.0f} %",
    "api_response_ms": "{:,.1f} ms",
    "ai_latency_ms_p95": "{:,.0f} ms",
    "api_usd_month": "money",
    "ai_cost_growth_percent": "{:+,.1f} %",
}
FORMS: dict[str, Callable[[float], str]] = {
    "bytes": size,
    "ms": lambda value: f"{readable.number(value, 3)} ms",
    "percent": lambda value: f"{readable.percent(value)} %",
    "money": readable.money,
}
ALIASES = {
    "p50_ms": "latency_ms_p50",
    "p95_ms": "latency_ms_p95",
    "p99_ms": "latency_ms_p99",
    "usd_month": "api_usd_month",
    "usd_growth_percent": "ai_cost_growth_percent",
}
OF_DATABASES = frozenset(
    ("health", "queries_per_second", "transactions_per_second", "connections_used_percent", "disk_used_percent", "database_bytes",
     "latency_ms_p50", "latency_ms_p95", "latency_ms_p99", "growth_bytes_per_day")
)  # fmt: skip
STATES = ("up", "degraded", "down")
NOT_MEASURED = "not measured"
WHY_NOT = {
    "growth_bytes_per_day": "growth needs size samples over an hour: `datareeve serve` takes them",
    "disk_used_percent": "the database's disk is not on this machine or was not looked at",
    "queries_per_second": "no part of this run measured the workload",
    "api_limit_used_percent": "no provider in estate.yaml says what a key may have a minute",
}
UNITS = ("ms", "bytes", "seconds", "percent")
MOST_KEYS = 20
LEFT = re.compile(r"Part [\d.]+ does this\.")
GOOD = ("done", "nothing to do")


class Line(Value):
    """One figure: its name, its words, and its number where it was measured."""

    name: str
    text: str
    value: float | int | str | None = None


class Comparison(Value):
    """Something foretold beside what happened."""

    subject: str
    predicted: str
    actual: str


class Done(Value):
    """A completed operation with its result in figures."""

    part_id: str
    operation: str
    serves: str
    result: str
    own: bool = True  # False: another part did it


class Evidence(Value):
    """One check: what was claimed, what looking gave."""

    part_id: str
    claim: str
    verdict: str
    observed: str = ""
    at: str = ""


class Undo(Value):
    """Whether a step has a way back."""

    part_id: str
    step: str
    way_back: str


class Report(Value):
    """A progress report, to be rendered."""

    title: str
    ticket: str = ""
    run: str = ""
    status: Literal["in progress", "completed", "blocked"]
    status_reason: str = ""
    database: tuple[Line, ...] = ()
    api: str
    api_lines: tuple[Line, ...] = ()  # where something is known of AI APIs
    completed: tuple[Done, ...] = ()
    metrics: tuple[Line, ...] = ()
    blockers: tuple[str, ...] = ()
    advice: tuple[Comparison, ...] = ()
    predictions: tuple[Comparison, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()
    undo: tuple[Undo, ...] = ()
    notes: tuple[str, ...] = ()
    figures: dict[str, Any] = Field(default_factory=dict)
    started_at: str = ""
    ended_at: str = ""

    def markdown(self) -> str:
        """The report as Markdown, the format of the role's description first."""
        return self._render("report.md")

    def html(self) -> str:
        """The report as one page that needs nothing else: no script, no font, no network."""
        return self._render("report.html")

    def json(self, **_: Any) -> str:
        """The report as JSON (pydantic's own method of that name is deprecated)."""
        return self.model_dump_json(indent=2)

    def _render(self, name: str) -> str:
        import jinja2  # noqa: PLC0415 - loaded when rendered

        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=jinja2.select_autoescape(["html"]),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"cell": _cell, "figures": _finding_figures}
        return environment.get_template(name).render(report=self, emoji=EMOJI)


def report(
    task: Task | None,
    outcome: Outcome | None,
    *,
    plan: Plan | None = None,
    figures: Mapping[str, Any] | None = None,
    notes: Iterable[str] = (),
) -> Report:
    """The report of a task: before it is carried out (`outcome` None), while, and after.

    `plan` adds what was foretold, what could not be planned and the ways back; `figures` is a fresh look. No task: the estate now.
    """
    parts = sorted(outcome.parts, key=_place) if outcome else []
    tried = _known([node.figures for node in nodes(plan)] if plan else [], [part.figures for part in parts])
    fresh = _known([figures or {}])
    known = {**tried, **fresh}
    blockers = _blockers(plan, parts)
    status, reason = _status(outcome, plan)
    return Report(
        title=_title(task, outcome),
        ticket=task.ticket if task else "",
        run=outcome.run if outcome else "",
        status=status,
        status_reason=reason,
        database=tuple(_database(known, parts)),
        api=_written(known, "api_status") if "api_status" in known else "not configured in this estate",
        api_lines=tuple(_api(known)),
        completed=tuple(_done(part, _also(part, plan, task)) for part in parts if part.status in GOOD),
        metrics=tuple(_metrics(known)),
        blockers=blockers,
        advice=tuple(_advice(tried, fresh)),
        predictions=tuple(_predictions(plan, parts)),
        evidence=tuple(_evidence(part, check) for part in parts for check in part.checks),
        findings=_findings(plan, parts),
        undo=tuple(_undo(plan, parts)),
        notes=tuple(notes),
        figures=known,
        started_at=outcome.started_at if outcome else "",
        ended_at=outcome.ended_at if outcome else "",
    )


def _title(task: Task | None, outcome: Outcome | None) -> str:
    if task:
        return task.title or next(iter(task.work), "")
    return (
        ", ".join(dict.fromkeys(part.operation for part in outcome.parts))
        if outcome
        else "Status of the estate"
    )


def _known(*sources: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures by key, later ones over earlier. Only keys and kinds we know."""
    found = (
        (ALIASES.get(key, key), value) for source in sources for one in source for key, value in one.items()
    )
    return {key: value for key, value in found if key in FIGURES and _is_figure(key, value)}


def _is_figure(key: str, value: Any) -> bool:
    if FIGURES[key] == "{}":
        return isinstance(value, str)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _written(known: Mapping[str, Any], key: str) -> str:
    if key not in known:
        return NOT_MEASURED
    form = FORMS.get(FIGURES[key])
    return form(known[key]) if form else FIGURES[key].format(known[key])


def _line(known: Mapping[str, Any], name: str, key: str) -> Line:
    why = f" ({WHY_NOT[key]})" if key not in known and key in WHY_NOT else ""
    return Line(name=name, text=_written(known, key) + why, value=known.get(key))


def _database(known: Mapping[str, Any], parts: list[PartOutcome]) -> Iterator[Line]:
    if "api_status" in known and not known.keys() & OF_DATABASES:
        for name in ("Health", "Performance", "Storage"):
            yield Line(name=name, text=f"{NOT_MEASURED} (this was no work on a database)", value=None)
        return
    health, why = _health(known, parts)
    yield Line(name="Health", text=f"{health} ({why})" if why else health, value=health)
    rate = "queries_per_second" if "queries_per_second" in known else "transactions_per_second"
    rate = rate if rate in known else "queries_per_second"
    latency = ", ".join(f"p{p} {_written(known, f'latency_ms_p{p}')}" for p in (50, 95, 99))
    measured = any(f"latency_ms_p{p}" in known for p in (50, 95, 99))
    speed = _line(known, "", rate).text
    yield Line(
        name="Performance",
        text=f"{speed}; latency {latency if measured else NOT_MEASURED}",
        value=known.get(rate),
    )
    used, bytes_ = _line(known, "", "disk_used_percent").text, _written(known, "database_bytes")
    growth = _line(known, "", "growth_bytes_per_day").text
    per_day = " a day" if "growth_bytes_per_day" in known else ""
    text = f"disk used {used}; database {bytes_}; growth {growth}{per_day}"
    yield Line(name="Storage", text=text, value=known.get("disk_used_percent"))
    if "connections_used_percent" in known:
        yield _line(known, "Connections", "connections_used_percent")


def _api(known: Mapping[str, Any]) -> Iterator[Line]:
    """The lines of the role's own format, and what it costs; none where nothing is known of AI APIs."""
    if not known.keys() & {"api_status", "api_availability"}:
        return
    word = str(known.get("api_availability") or known["api_status"]).partition(":")[0]
    uptime = (
        f" ({_written(known, 'api_uptime_percent')} of requests answered in 30 days)"
        if "api_uptime_percent" in known
        else ""
    )
    available = word if word in STATES else NOT_MEASURED
    yield Line(name="Availability", text=f"{available}{uptime}", value=available)
    yield _line(known, "Rate Limits", "api_limit_used_percent")
    mean = f"{_written(known, 'api_response_ms')} on average" if "api_response_ms" in known else ""
    p95 = f"p95 {_written(known, 'ai_latency_ms_p95')}" if "ai_latency_ms_p95" in known else ""
    text = ", ".join(words for words in (mean, p95) if words) or NOT_MEASURED
    yield Line(name="Response Time", text=text, value=known.get("api_response_ms"))
    if "api_usd_month" in known:
        growth = (
            f", {_written(known, 'ai_cost_growth_percent')} beside last month"
            if "ai_cost_growth_percent" in known
            else ""
        )
        yield Line(
            name="Cost",
            text=f"{_written(known, 'api_usd_month')} this month{growth}",
            value=known["api_usd_month"],
        )


def _health(known: Mapping[str, Any], parts: list[PartOutcome]) -> tuple[str, str]:
    """As measured; else from what was seen: it answered, and whether a critical finding stands."""
    if "health" in known:
        return str(known["health"]), str(known.get("health_because", ""))
    if not known.keys() & {
        "connections_used_percent",
        "transactions_per_second",
        "queries_per_second",
        "database_bytes",
    }:
        return NOT_MEASURED, "no part of this run looked at the server's health"
    critical = [f.rule for part in parts for f in part.findings if f.severity is Severity.CRITICAL]
    if critical:
        return "degraded", f"critical: {', '.join(dict.fromkeys(critical))}"
    return "healthy", "it answered, and nothing critical was found"


def _metrics(known: Mapping[str, Any]) -> Iterator[Line]:
    yield _line(
        known, "Records Processed", "records_processed" if "records_processed" in known else "rows_compared"
    )
    text = str(known.get("pipeline_status", "not configured in this estate"))
    yield Line(name="Pipeline Status", text=text, value=known.get("pipeline_status"))
    if "rpo_seconds" in known or "rto_seconds" in known:
        point = _line(known, "Restore point (RPO)", "rpo_seconds")
        bound = (
            f" in the drill, at most {_written(known, 'rpo_at_most_seconds')}"
            if "rpo_at_most_seconds" in known
            else ""
        )
        yield point.model_copy(update={"text": point.text + bound})
        yield _line(known, "Restore time (RTO)", "rto_seconds")


def _advice(tried: Mapping[str, Any], fresh: Mapping[str, Any]) -> Iterator[Comparison]:
    """What the advice promised, tried on a copy, beside the workload run again for real."""
    if {"workload_ms_before", "workload_ms_after"} <= tried.keys():
        yield Comparison(
            subject="the recorded workload",
            predicted=f"{_change(tried)}, tried on a copy",
            actual=_change(fresh),
        )


def _change(known: Mapping[str, Any]) -> str:
    if not {"workload_ms_before", "workload_ms_after"} <= known.keys():
        return f"{NOT_MEASURED} (the workload was not run again)"
    before, after = known["workload_ms_before"], known["workload_ms_after"]
    percent = f" ({(after - before) / before:+.0%})" if before else ""
    return f"{_written(known, 'workload_ms_before')} to {_written(known, 'workload_ms_after')}{percent}"


def _status(
    outcome: Outcome | None, plan: Plan | None
) -> tuple[Literal["in progress", "completed", "blocked"], str]:
    unplanned = len(plan.blockers) if plan else 0
    if outcome is None and plan is None:
        return "completed", "nothing is being carried out"
    if outcome is None:
        return (
            ("blocked", "nothing could be planned")
            if plan and not plan.parts and unplanned
            else ("in progress", "planned, not carried out")
        )
    good = [part for part in outcome.parts if part.status in GOOD]
    verified = f"{len(good)} of {len(outcome.parts)} operations done and verified"
    if unplanned or outcome.status not in GOOD:
        return "blocked", f"{verified}; {unplanned} not planned" if unplanned else verified
    waiting = sum(len(part.blockers) for part in outcome.parts)
    return "completed", f"{verified}; {waiting} waiting for a decision, see Blockers" if waiting else verified


WAITS = "Waits for part "  # how the planner begins a blocker that an earlier part tells, with all that wait for it


def _blockers(plan: Plan | None, parts: list[PartOutcome]) -> tuple[str, ...]:
    found = [
        (node.part_id, blocker)
        for node in _nodes(plan, parts)
        for blocker in node.blockers
        if not blocker.startswith(WAITS)
    ]
    failed = [
        (p.part_id, f"{p.operation} {p.status}: {p.reason}")
        for p in parts
        if p.status not in (*GOOD, "blocked")
    ]
    return tuple(f"{part_id}: {text}" if part_id else text for part_id, text in [*found, *failed])


def _nodes(plan: Plan | None, parts: list[PartOutcome]) -> Iterator[Plan | PartOutcome]:
    """What has findings and blockers of its own: composites from the plan; leaves from the outcome, before it from the plan."""
    yield from (node for node in (nodes(plan) if plan else ()) if node.parts or not parts)
    yield from parts


def _findings(plan: Plan | None, parts: list[PartOutcome]) -> tuple[Finding, ...]:
    """Critical ones first, each once, without those that this very run has mended."""
    found = {
        (f.rule, f.subject): f for node in _nodes(plan, parts) for f in node.findings if not _mended(f, parts)
    }
    return tuple(
        _bounded(f)
        for f in sorted(found.values(), key=lambda finding: -list(Severity).index(finding.severity))
    )


def _mended(finding: Finding, parts: list[PartOutcome]) -> bool:
    return any(
        part.status == "done" and part.operation == finding.mended_by and finding.subject in part.summary
        for part in parts
    )


def _bounded(finding: Finding) -> Finding:
    """The finding with at most twenty keys in any list."""
    figures = {
        key: value[:MOST_KEYS] if isinstance(value, list | tuple) else value
        for key, value in finding.figures.items()
    }
    return finding.model_copy(update={"figures": figures})


def _also(part: PartOutcome, plan: Plan | None, task: Task | None) -> str:
    """The bullets that the part answers: its own, and those that the plan says it serves too."""
    served = plan.figures.get("served", {}) if plan and task else {}
    bullets = task.bullets if task else ()
    more = [
        bullets[int(n) - 1] for n, ids in served.items() if part.part_id in ids and int(n) <= len(bullets)
    ]
    return "; ".join(dict.fromkeys([part.serves, *more] if part.serves else more))


def _done(part: PartOutcome, serves: str) -> Done:
    known = _known([part.figures])
    figures = ", ".join(
        f"{_name(key)} {_written(known, key)}"
        for key in FIGURES
        if known.get(key, "") not in ("", part.summary)
    )
    reason = part.summary
    if left_to_another(part):
        return Done(
            part_id=part.part_id, operation=part.operation, serves=serves, result=part.reason, own=False
        )
    if part.status == "nothing to do" and part.reason:
        found = "" if part.summary in ("", part.reason) else f"{part.summary.rstrip('.')}; "
        reason = f"{found}nothing to do: {part.reason}"
    holding = sum(check.verdict is Verdict.HOLDS for check in part.checks)
    checks = f"{holding} of {len(part.checks)} checks hold" if part.checks else ""
    result = "; ".join(text for text in (reason.rstrip("."), figures, checks) if text)
    return Done(part_id=part.part_id, operation=part.operation, serves=serves, result=result or part.status)


def left_to_another(part: PartOutcome) -> bool:
    """Whether another part of the same task did what this one asks for; the planner says which."""
    return part.status == "nothing to do" and bool(LEFT.fullmatch(part.reason))


def _name(key: str) -> str:
    """A figure's name without its unit, which stands behind the number."""
    return " ".join(word for word in key.removesuffix("_per_second").split("_") if word not in UNITS)


def _steps(plan: Plan | None) -> dict[tuple[str, str], Step]:
    return {(leaf.part_id, step.id): step for leaf in plan.leaves() for step in leaf.steps} if plan else {}


def _predictions(plan: Plan | None, parts: list[PartOutcome]) -> Iterator[Comparison]:
    """Each step's prediction beside what it took. A step without a prediction is left out."""
    steps = _steps(plan)
    for part in parts:
        for taken in part.steps:
            step = steps.get((part.part_id, taken.step))
            if step and predicted(step.predicted):
                subject = f"{part.part_id} {taken.step}"
                yield Comparison(subject=subject, predicted=predicted(step.predicted), actual=_actual(taken))


def _actual(taken: StepOutcome) -> str:
    result = taken.result
    known = (
        f"{result['rows']:,} rows" if isinstance(result.get("rows"), int) else "",
        size(result["bytes"]) if isinstance(result.get("bytes"), int) else "",
        f"{taken.seconds:.3g} s" if taken.seconds is not None else "",
        taken.status if taken.status != "done" else "",
        "found by its probe" if taken.found_by_probe else "",
    )
    return ", ".join(word for word in known if word) or NOT_MEASURED


def _undo(plan: Plan | None, parts: list[PartOutcome]) -> Iterator[Undo]:
    steps = _steps(plan)
    for part in parts:
        for taken in part.steps:
            step = steps.get((part.part_id, taken.step))
            if taken.status == "done" and step:
                way = "undo gives back what was before" if step.undo else f"no way back: {step.no_undo}"
                yield Undo(part_id=part.part_id, step=taken.step, way_back=way)
            elif taken.status in ("undone", "undo-failed"):
                yield Undo(part_id=part.part_id, step=taken.step, way_back=taken.status)


def _evidence(part: PartOutcome, check: Check) -> Evidence:
    observed = "" if check.verdict is Verdict.NOT_RUN else _shown(check)
    return Evidence(
        part_id=part.part_id,
        claim=check.claim.text,
        verdict=f"{check.verdict}: {check.reason}" if check.reason else str(check.verdict),
        observed=observed,
        at=check.at,
    )


def _shown(check: Check) -> str:
    """What was observed, if it cannot be a row's value: a number, a truth, nothing, or what the plan itself had said."""
    if check.observed is None or isinstance(check.observed, bool | int | float):
        return "nothing" if check.observed is None else _number("", check.observed)
    return (
        str(check.observed)
        if check.observed == check.claim.expected and isinstance(check.observed, str)
        else ""
    )


def _finding_figures(finding: Finding) -> str:
    """A finding's figures in words; of a list of keys at most twenty."""
    words = []
    for key, value in finding.figures.items():
        shown = (
            ", ".join(_number(key, v) for v in value[:MOST_KEYS])
            if isinstance(value, list | tuple)
            else _number(key, value)
        )
        words.append(f"{key.replace('_', ' ')}: {shown}")
    return "; ".join(words)


def _number(name: str, value: Any) -> str:
    """A figure by its name; what is none as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return str(value) if isinstance(value, int) else readable.written(name, value)


def _cell(text: object) -> str:
    """Text that stays within its line of Markdown and its cell of a table, and is not read as HTML."""
    words = " ".join(str(text).split())
    return words.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _place(part: PartOutcome) -> tuple[int, ...]:
    """By the bullets' numbers: '2' before '10', '2' before '2.1'."""
    return tuple(int(number) if number.isdigit() else 0 for number in part.part_id.split("."))
