"""How an attempt ended, read from its outcome, and when another follows. Pure."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.failures import classify, code_of
from datareeve.capabilities.pipelines.scheduling.publications import PUBLISH
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datetime import datetime

    from datareeve.capabilities.pipelines.failures import Where
    from datareeve.capabilities.pipelines.spec import Schedule
    from datareeve.core.operation import Outcome, PartOutcome

LONGEST_WAIT = timedelta(days=1)
JITTER = 0.2
WELL = ("done", "nothing to do")
SIDES: tuple[tuple[str, Where], ...] = (
    ("load", "source"),
    ("model", "target"),
    ("publish", "target"),
    ("begin", "target"),
    ("compare", "target"),
)


class Ending(Value):
    """How an attempt ended."""

    status: str
    run: str = ""
    code: str = ""
    what: str = ""
    kind: str = ""
    retry: bool = False
    next_step: str = ""
    fingerprint: str = ""


def again_at(schedule: Schedule, key: str, attempt: int, now: datetime) -> datetime:
    """When an attempt is followed by the next: each waits twice as long as the one before, give or take a fifth, so that not all come at once."""
    spread = int.from_bytes(hashlib.sha256(f"{key} {attempt}".encode()).digest()[:4], "big") / 2**32
    try:
        wait = timedelta(
            seconds=schedule.retry_seconds * 2 ** (attempt - 1) * (1 - JITTER + 2 * JITTER * spread)
        )
    except OverflowError:
        wait = LONGEST_WAIT
    return now + min(wait, LONGEST_WAIT)


def failed(code: str, what: str, where: Where = "") -> Ending:
    """A failure, classified."""
    told = classify(code, where)
    return Ending(
        status="failed", code=code, what=what, kind=told.kind, retry=told.retry, next_step=told.next_step
    )


def ending_of(outcome: Outcome) -> Ending:
    """What an outcome says of its attempt: done, held until a person looks at it, or failed, and why."""
    if outcome.status in WELL:
        return Ending(status=outcome.status, run=outcome.run)
    part = next((part for part in outcome.parts if part.status not in WELL), None)
    ending = _of_part(part) if part is not None else failed("pipelines.failed", "It was not done.")
    return ending.model_copy(update={"run": outcome.run})


def _of_part(part: PartOutcome) -> Ending:
    for step in part.steps:
        if step.error and (code := code_of(step.error)):
            return failed(code, step.error.partition(":")[2].strip(), _side(step.step))
    if code := code_of(part.reason):
        return failed(code, part.reason.partition(":")[2].strip())
    if part.operation == PUBLISH and part.reason.startswith("This no longer holds"):
        return failed("pipelines.held", part.reason).model_copy(update={"status": "held"})
    if part.reason.startswith("It could not be checked"):
        return failed("plan.requirement", part.reason)
    if part.reason.startswith("the check failed"):
        return failed("pipelines.audit", part.reason)
    return failed("pipelines.failed", part.reason or "; ".join(part.blockers))


def _side(step: str) -> Where:
    return next((side for start, side in SIDES if step.startswith(start)), "")
