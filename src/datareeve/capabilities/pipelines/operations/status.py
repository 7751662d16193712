"""`pipelines.status`: how the pipelines stand."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.pipelines import spec_files
from datareeve.capabilities.pipelines.flow.following import SAMPLE
from datareeve.capabilities.pipelines.scheduling.publications import RUN
from datareeve.capabilities.pipelines.standing import ENTRIES, TROUBLE, Kept, Standing, of_pipeline, standing
from datareeve.core import clock
from datareeve.core.errors import BadInput, DatareeveError
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity
from datareeve.core.runner import UNDER_WAY
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datareeve.core.operation import Systems

RUNS = [RUN, "pipelines.publish", "pipelines.build"]
TOLD = 50  # samples of how far loads are: the newest is among them, though pipelines run side by side
CRITICAL = ("failing", "broken", "held")


class StatusFacts(Value):
    """What the pipelines' files and the ledger tell."""

    now: datetime
    since: str
    pipelines: tuple[Kept, ...]


class Status(Operation[StatusFacts]):
    """Show how the pipelines stand: fresh, late, failing, held, running or interrupted, with the next step.

    Of each pipeline, or of one: its last run, when it was last up to date, the share of runs that succeeded in the period (the target is more than
    99 %), its failures by kind (source, data, target, code, capacity, schedule) with what to do next, runs that were missed, and rows in, out and
    rejected of its last runs. Looks at the ledger and the pipelines' files only, at no row of any table.
    """

    name: ClassVar[str] = "pipelines.status"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "how do the pipelines stand",
        "which pipelines are failing",
        "why did the nightly load fail",
        "pipeline success rate this month",
        "when was the warehouse last loaded",
        "which scheduled runs were missed",
        "how many rows did the last runs load",
    )
    sampled_as: ClassVar[str] = "pipelines"

    pipeline: str | None = Field(None, description="only this one; default: all of the project")
    environment: str | None = Field(None, description="of its environments; default: its own target")
    days: float = Field(30.0, gt=0, le=400, description="the period that runs are counted in")

    def observe(self, systems: Systems) -> StatusFacts:
        """The pipelines of the project, their runs and their occasions. Errors: `BadInput` `pipelines.unknown`."""
        now = clock.now()
        since = clock.stamp(now - timedelta(days=self.days))
        ledger = systems["ledger"]
        runs = ledger.read("runs_of", operations=RUNS, since=since)
        entries = ledger.read("entries_since", kind=ENTRIES, since="") if self._names(systems) else []
        kept = (self._kept(systems, name, runs, entries) for name in self._names(systems))
        return StatusFacts(now=now, since=since, pipelines=tuple(kept))

    def _names(self, systems: Systems) -> tuple[str, ...]:
        known = tuple(spec_files.paths(systems))
        if self.pipeline is None:
            return known
        name = self.pipeline.rpartition("/")[2].partition(".")[0]
        if name not in known:
            raise BadInput(
                "pipelines.unknown",
                f"There is no pipeline {self.pipeline!r}.",
                f"There are: {', '.join(known) or 'none yet'}.",
            )
        return (name,)

    def _kept(
        self, systems: Systems, name: str, runs: Sequence[dict[str, Any]], entries: Sequence[dict[str, Any]]
    ) -> Kept:
        default = systems["estate"].read("get", where=["pipelines", "environment"])
        mine = of_pipeline(runs, name, self.environment, default)
        known: dict[str, Any] = {
            "pipeline": name,
            "runs": mine,
            "entries": tuple(entry for entry in entries if entry["subject"] == name),
        }
        try:
            pipeline = spec_files.load(systems, name).pipeline
        except DatareeveError as error:
            return Kept(**known, error=f"{error.code}: {error.what}")
        other = pipeline.environments.get(self.environment or default or "")
        system = (other and other.system) or pipeline.target.system
        return Kept(**known, schedule=pipeline.schedule, far=_far(systems, system, mine))

    def plan(self, facts: StatusFacts) -> Plan:
        """Figures and findings; nothing is done."""
        found = tuple(standing(kept, facts.now, facts.since) for kept in facts.pipelines)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=_summary(found, self.days),
            nothing_to_do="Looking changes nothing.",
            findings=tuple(_findings(found)),
            figures=_figures(found),
        )


def _far(systems: Systems, system: str, runs: Sequence[dict[str, Any]]) -> str:
    """How far the load is that runs now, by what it told last; '' where none does, or it has told nothing yet."""
    if not runs or runs[-1]["status"] != UNDER_WAY:
        return ""
    told = systems["ledger"].read(
        "samples", system=system, name=SAMPLE, since=runs[-1]["started_at"], limit=TOLD
    )
    mine = [one for one in told if one["labels"]["run"] == runs[-1]["run"]]
    if not mine:
        return ""
    labels, share = mine[-1]["labels"], mine[-1]["value"]
    rows = f", {labels['rows']:,} rows" if labels["rows"] is not None else ""
    left = labels["seconds_left"]
    ends = f", about {timedelta(seconds=round(left))} left" if left is not None else ""
    return f"load {labels['load']} {100 * share:.0f} %{rows}{ends}, told at {mine[-1]['at'][11:19]}Z"


def _summary(found: Sequence[Standing], days: float) -> str:
    if not found:
        return "There is no pipeline yet."
    states = Counter(one.state for one in found)
    told = ", ".join(f"{count} {state}" for state, count in states.most_common())
    runs, well = sum(one.runs for one in found), sum(one.succeeded for one in found)
    rate = f" {well:,} of {runs:,} runs succeeded in {days:g} days." if runs else ""
    return f"Pipelines: {told}.{rate}"


def _figures(found: Sequence[Standing]) -> dict[str, Any]:
    runs, well = sum(one.runs for one in found), sum(one.succeeded for one in found)
    states = Counter(one.state for one in found)
    kinds: Counter[str] = sum((Counter(one.failures) for one in found), Counter())
    figures: dict[str, Any] = {
        "pipelines": len(found),
        "pipeline_status": ", ".join(f"{count} {state}" for state, count in states.most_common())
        or "none yet",
        "records_processed": sum(ran.rows_in or 0 for one in found for ran in one.history),
        **{f"pipelines_{state}": states[state] for state in TROUBLE},
        "runs": runs,
        "runs_succeeded": well,
        "runs_missed": sum(one.missed for one in found),
        **{f"failures_{kind}": count for kind, count in sorted(kinds.items())},
    }
    if runs:
        figures["success_percent"] = round(100 * well / runs, 3)
    for one in found:
        figures |= _of_one(one)
    figures["by_pipeline"] = [
        {**one.model_dump(mode="json"), "success_percent": one.success_percent} for one in found
    ]
    return figures


def _of_one(one: Standing) -> dict[str, Any]:
    """The figures of one pipeline, each a sample of its own, so that there can be alerts on it."""
    last = next((ran for ran in reversed(one.history) if ran.rows_in is not None), None)
    told = {
        "age_seconds": None if one.age_seconds is None else round(one.age_seconds),
        "trouble": int(one.state in TROUBLE),
        "success_percent": one.success_percent,
        "rows_in": last and last.rows_in,
        "rows_out": last and last.rows_out,
        "rejected": last and last.rejected,
    }
    return {f"{one.pipeline}.{figure}": value for figure, value in told.items() if value is not None}


def _findings(found: Iterable[Standing]) -> Iterable[Finding]:
    for one in found:
        if one.state in TROUBLE:
            yield _trouble(one)
        if one.missed:
            yield Finding(
                rule="runs-missed",
                subject=one.pipeline,
                what=f"{one.missed:,} of its moments passed with nobody there to run it.",
                why="What `schedule.catch_up` says became of them.",
                instead="Keep `datareeve serve` running, under systemd or as a service.",
                severity=Severity.INFO,
                figures={"missed": one.missed},
            )


def _trouble(one: Standing) -> Finding:
    failure = one.last_failure if one.state in ("failing", "held", "waiting") else None
    return Finding(
        rule=f"pipeline-{one.state}",
        subject=one.pipeline,
        what=f"{one.pipeline} is {one.state}: {one.reason}",
        why=f"A failure of its {failure.kind}." if failure else "",
        instead=_next_step(one),
        severity=Severity.CRITICAL if one.state in CRITICAL else Severity.WARNING,
        figures={"run": one.last_run, **({"code": failure.code} if failure else {})},
    )


def _next_step(one: Standing) -> str:
    if one.state == "held":
        return f"Look at the rules that failed; `datareeve run pipelines.publish --pipeline {one.pipeline}` shows why it is held, and releases it."
    if one.state == "interrupted":
        return f"`datareeve resume {one.last_run}` carries it on; where it has a schedule, its next run does."
    if one.state == "waiting" and one.last_failure:
        return f"`datareeve run {RUN} --pipeline {one.pipeline} --approve {one.last_failure.fingerprint[:12]}`, or allow it under `authority` in estate.yaml."
    if one.state == "broken":
        return "Correct its file at the line that is named."
    if one.state == "late":
        return "Start `datareeve serve`; where workers are used, `datareeve worker` too."
    return one.last_failure.next_step if one.last_failure else ""
