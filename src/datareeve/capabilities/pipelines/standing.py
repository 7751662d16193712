"""How each pipeline stands: from its schedule, its occasions and its runs. Pure."""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from datareeve.capabilities.pipelines.failures import classify
from datareeve.capabilities.pipelines.scheduling.endings import WELL, ending_of
from datareeve.capabilities.pipelines.scheduling.journal import KIND, Open, Story, story
from datareeve.capabilities.pipelines.scheduling.occasions import LATE, skips
from datareeve.capabilities.pipelines.scheduling.publications import PUBLISH, pipeline_of
from datareeve.capabilities.pipelines.spec import Schedule  # noqa: TC001 - pydantic reads it at run time
from datareeve.core import cron
from datareeve.core.ledger import Entry
from datareeve.core.operation import Outcome
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

State = Literal[
    "fresh", "late", "failing", "held", "waiting", "running", "interrupted", "never run", "broken"
]
TROUBLE: Final = ("broken", "failing", "held", "waiting", "interrupted", "late")
HISTORY = 30  # runs
LOOK_BACK = timedelta(days=400)  # for the last moment of a clock


class Failed(Value):
    """A failure, as it counts."""

    at: str
    code: str
    kind: str
    what: str
    next_step: str
    status: str = "failed"
    run: str = ""
    fingerprint: str = ""


class Ran(Value):
    """One run in the history."""

    run: str
    at: str
    status: str
    seconds: float | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    rejected: int | None = None


class Standing(Value):
    """How one pipeline stands."""

    pipeline: str
    state: State
    reason: str = ""
    last_run: str = ""
    last_run_at: str = ""
    published_at: str = ""
    age_seconds: float | None = (
        None  # since it was last known to be up to date: published, or with nothing to do
    )
    runs: int = 0
    succeeded: int = 0
    failures: dict[str, int] = Field(default_factory=dict)  # by kind
    last_failure: Failed | None = None
    next_at: str = ""  # of the clock; or of the next attempt
    missed: int = 0
    history: tuple[Ran, ...] = ()

    @property
    def success_percent(self) -> float | None:
        """Of the runs that ended; None where none did."""
        return round(100 * self.succeeded / self.runs, 3) if self.runs else None


class Kept(Value):
    """What is known of one pipeline."""

    pipeline: str
    schedule: Schedule | None = None
    error: str = ""  # what is wrong with its file
    runs: tuple[dict[str, Any], ...] = ()  # as `LedgerSystem.runs_of` tells them
    entries: tuple[dict[str, Any], ...] = ()  # its occasions, as the ledger keeps them
    far: str = ""  # how far what runs now is


def standing(kept: Kept, now: datetime, since: str) -> Standing:
    """How it stands now; what is counted is counted since a moment."""
    told = story(Entry.model_validate(one) for one in kept.entries)
    failed = sorted((*_failed_runs(kept.runs), *_failed_without_run(kept.entries)), key=lambda one: one.at)
    failed = [one for one in failed if one.at >= since]
    succeeded = [run for run in kept.runs if run["status"] in WELL and run["ended_at"]]
    counted = [one for one in failed if one.status != "waiting for approval"]
    good = max((run["ended_at"] for run in succeeded), default="")
    age = (now - datetime.fromisoformat(good)).total_seconds() if good else None
    state, reason = _state(kept, told, failed, good, now)
    last = kept.runs[-1] if kept.runs else None
    return Standing(
        pipeline=kept.pipeline,
        state=state,
        reason=reason,
        last_run=last["run"] if last else "",
        last_run_at=last["started_at"] if last else "",
        published_at=max((at for run in succeeded for at in _published(run)), default=""),
        age_seconds=age,
        runs=len(succeeded) + len(counted),
        succeeded=len(succeeded),
        failures=dict(Counter(one.kind for one in counted)),
        last_failure=failed[-1] if failed else None,
        next_at=_next(kept.schedule, told.open, now),
        missed=_missed(kept.entries, since),
        history=tuple(_ran(run) for run in kept.runs[-HISTORY:]),
    )


# -- states ------------------------------------------------------------------------------------------------------------------------


def _state(  # noqa: PLR0911 - one for each state
    kept: Kept, told: Story, failed: Sequence[Failed], good: str, now: datetime
) -> tuple[State, str]:
    last = kept.runs[-1] if kept.runs else None
    if kept.error:
        return "broken", kept.error
    if last and last["status"] == "under way":
        return "running", "; ".join(filter(None, (f"since {last['started_at'][:16]}Z", kept.far)))
    if last and last["status"] == "interrupted":
        return "interrupted", f"run {last['run']} is half done, and nobody is at it"
    if failed and failed[-1].at > good:
        bad = failed[-1]
        if bad.status == "held":
            return "held", bad.what
        return ("waiting", "its plan waits for an approval") if bad.status != "failed" else ("failing", f"{bad.code}: {bad.what}")  # fmt: skip
    if late := _late(kept.schedule, told, good, now):
        return "late", late
    return ("fresh", "") if good else ("never run", "")


def _late(schedule: Schedule | None, told: Story, good: str, now: datetime) -> str:
    """What should have been done by now, and was not begun."""
    waiting, watched = told.open, told.known.watched
    overdue = [one for one in waiting if now - one.occasion.at > LATE and not one.attempts]
    if overdue:
        return f"due since {overdue[0].occasion.at:%Y-%m-%d %H:%M}Z and not begun: is `datareeve serve` running, and a worker?"
    if schedule is None or schedule.cron is None or not good or waiting:
        return ""
    moment = _last_moment(schedule, now - LATE)
    begun = datetime.fromisoformat(good)
    if moment is None or begun >= moment or (watched is not None and watched >= moment):
        return ""
    return f"its moment was {moment:%Y-%m-%d %H:%M}Z, and nothing was done: is `datareeve serve` running?"


def _last_moment(schedule: Schedule, until: datetime) -> datetime | None:
    assert schedule.cron is not None  # noqa: S101 - asked before
    for back in (timedelta(hours=2), timedelta(days=2), timedelta(days=40), LOOK_BACK):
        passed = cron.moments(
            schedule.cron, schedule.timezone, until - back, until, skips=skips(schedule.skip_days)
        )
        if found := deque(passed, maxlen=1):
            return found[0]
    return None


def _next(schedule: Schedule | None, waiting: Sequence[Open], now: datetime) -> str:
    again = [at for one in waiting if (at := one.not_before()) is not None]
    if again:
        return again[0].isoformat()
    if schedule is None or schedule.cron is None:
        return ""
    ahead = cron.moments(
        schedule.cron, schedule.timezone, now, now + LOOK_BACK, skips=skips(schedule.skip_days)
    )
    return next((moment.isoformat() for moment in ahead), "")


# -- counting ----------------------------------------------------------------------------------------------------------------------


def _failed_runs(runs: Iterable[dict[str, Any]]) -> Iterable[Failed]:
    """Runs that ended and were not done. One that a person took back afterwards was done before."""
    for run in runs:
        if not run["ended_at"] or run["status"] in WELL:
            continue
        outcome = Outcome(run=run["run"], plan="", status=run["status"], parts=run["parts"])
        ending = ending_of(outcome)
        if ending.what != "undone on request":
            yield Failed(at=run["ended_at"], code=ending.code, kind=ending.kind, what=ending.what, next_step=ending.next_step, status=ending.status, run=run["run"])  # fmt: skip


def _failed_without_run(entries: Iterable[dict[str, Any]]) -> Iterable[Failed]:
    """Attempts that came to no run: the source could not even be looked at, or a person is to approve."""
    for entry in entries:
        body = entry["body"]
        if body["state"] == "ended" and body.get("status") not in WELL and not body.get("run"):
            code = str(body.get("code", ""))
            yield Failed(
                at=entry["at"],
                code=code,
                kind=str(body.get("kind") or classify(code).kind),
                what=str(body.get("what", "")),
                next_step=str(body.get("next_step") or classify(code).next_step),
                status=str(body["status"]),
                fingerprint=str(body.get("fingerprint", "")),
            )


def _missed(entries: Iterable[dict[str, Any]], since: str) -> int:
    return sum(int(one["body"]["occasion"]["missed"]) for one in entries if one["at"] >= since and "occasion" in one["body"])  # fmt: skip


def _published(run: dict[str, Any]) -> Iterable[str]:
    return (run["ended_at"] for part in run["parts"] if part["operation"] == PUBLISH and part["status"] == "done")  # fmt: skip


def _ran(run: dict[str, Any]) -> Ran:
    steps = [step for part in run["parts"] for step in part.get("steps", ()) if step["status"] == "done"]
    loads = [step["result"] for step in steps if step["step"].startswith("load ")]
    out = [step["result"] for step in steps if step["step"].startswith("publish")]
    began = datetime.fromisoformat(run["started_at"])
    ended = datetime.fromisoformat(run["ended_at"]) if run["ended_at"] else None
    return Ran(
        run=run["run"],
        at=run["started_at"],
        status=run["status"],
        seconds=round((ended - began).total_seconds(), 3) if ended else None,
        rows_in=_sum(loads, "rows"),
        rows_out=_sum(out, "rows"),
        rejected=_sum(loads, "rejected"),
    )


def _sum(results: Sequence[dict[str, Any]], figure: str) -> int | None:
    found = [one[figure] for one in results if isinstance(one.get(figure), int)]
    return sum(found) if found else None


def of_pipeline(
    runs: Iterable[dict[str, Any]], name: str, environment: str | None, default: str | None
) -> tuple[dict[str, Any], ...]:
    """Those of one pipeline, in one environment; `default`: the estate's own, of runs that named none."""
    return tuple(run for run in runs if pipeline_of(run["inputs"], environment, default) == name)


ENTRIES = KIND
